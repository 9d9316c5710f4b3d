// npm run trial:headers: what becomes of files whose headers are damaged or made to do harm. 10,000 mutated ones in one process (read, looked at,
// every tenth moved) and 500 through the command line (inspect, perturb, generate): each is read, or refused by an error with a code; nothing ends a
// process; and of none does it take more than 300 MB + 4 x its header, or 2 s + 50 ms a MB of it. Takes --cases N, --commands N, --seed N. Prints
// figures; exit code 1 where something does not hold.
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { firstLook } from "../../dist/engine/first-look.js";
import { BrownianError } from "../../dist/errors.js";
import { chooseTensors, readModel } from "../../dist/files/index.js";
import { perturbFile } from "../../dist/thermostat/index.js";
import { withVariables } from "../environment.mjs";
import { dice, fieldsOf, LARGE, mutated } from "./mutations.mjs";

const { values } = parseArgs({
  options: {
    cases: { type: "string", default: "10000" },
    commands: { type: "string", default: "500" },
    seed: { type: "string", default: "1" },
  },
});
const [cases, commands, seed] = [values.cases, values.commands, values.seed].map(Number);

const MODEL = "models/fairytales-3M-Q8_0.gguf";
const CLI = "dist/cli/main.js";
const MB = 2 ** 20;
const mostMemory = (header) => 300 * MB + 4 * header;
/** Of the processor's time: the machine may have other work. */
const mostTime = (header) => 2 + (0.05 * header) / MB; // s
const MOVED = 10;

const folder = mkdtempSync(join(tmpdir(), "brownian-trial-"));
const path = join(folder, "mutated.gguf");
const out = join(folder, "out");
const whole = readFileSync(MODEL);
const fields = fieldsOf(whole);
const first = whole.subarray(0, fields.end);
const failures = [];
const must = (holds, what) => {
  if (!holds) failures.push(what);
};

/** The file of a header: with room for as much data as the model has, which takes none on the disk. */
function write(header, cut) {
  writeFileSync(path, header);
  if (!cut) truncateSync(path, header.length + whole.length - first.length);
}

/** The most memory that this process has had since it was asked last, in bytes; NaN where the system does not tell. */
function peak() {
  if (!existsSync("/proc/self/clear_refs")) return Number.NaN;
  const most = Number(/VmHWM:\s+(\d+)/.exec(readFileSync("/proc/self/status", "utf8"))[1]) * 1024;
  writeFileSync("/proc/self/clear_refs", "5");
  return most;
}

const cpu = ({ user, system } = process.cpuUsage()) => (user + system) / 1e6;

/** All that a header is asked for; resolves to "read", or to the code of the error. */
async function look(moves) {
  try {
    const model = await readModel(path);
    for (const name of Object.keys(model.metadata)) void model.metadata[name];
    chooseTensors(model, { skipUnsupported: true });
    firstLook(model, path);
    if (moves) await perturbFile(path, out, { sigma: 0.05, seed: 1n, skipUnsupported: true });
    return "read";
  } catch (error) {
    if (error instanceof BrownianError) return error.code;
    return `${error}`;
  } finally {
    rmSync(out, { force: true });
  }
}

const CODE = /^[a-z]+(-[a-z]+)*$/;
const counted = (counts) => [...counts].map(([what, n]) => `${what} ${n}`).join(", ");
const count = (counts, what) => counts.set(what, (counts.get(what) ?? 0) + 1);

async function inProcess() {
  const outcomes = new Map();
  let slowest = 0;
  let largest = 0;
  for (let i = 0; i < cases; i++) {
    const { kind, header } = mutated(first, fields, seed * 1e6 + i);
    write(header, kind === "cut");
    const before = cpu();
    const outcome = await look(i % MOVED === 0);
    const time = cpu() - before;
    const memory = peak();
    count(outcomes, CODE.test(outcome) ? outcome : "no code");
    slowest = Math.max(slowest, time);
    largest = Math.max(largest, memory || 0);
    const which = `header ${seed * 1e6 + i} (${kind})`;
    must(CODE.test(outcome), `${which}: ${outcome}`);
    must(!(time > mostTime(header.length)), `${which}: ${time.toFixed(1)} s`);
    must(!(memory > mostMemory(header.length)), `${which}: ${(memory / MB).toFixed(0)} MB`);
  }
  console.log(`${cases} headers: ${counted(outcomes)}; at most ${slowest.toFixed(2)} s, ${(largest / MB).toFixed(0)} MB`);
}

/** Told by a command when it ends: what it took. */
const report = join(folder, "report");
const REPORT = `data:text/javascript,${encodeURIComponent(`
  import { writeFileSync } from "node:fs";
  process.on("exit", () => writeFileSync(${JSON.stringify(report)}, JSON.stringify(process.resourceUsage())));`)}`;
const env = withVariables({
  NO_COLOR: "1",
  BROWNIAN_SCRATCH: join(folder, "scratch"),
  BROWNIAN_CACHE: join(folder, "cache"),
  BROWNIAN_THREADS: "1",
});

/** What a command on the file said, how it ended, and what it took. */
function run(args) {
  rmSync(report, { force: true });
  const { status, signal, stderr } = spawnSync(process.execPath, ["--import", REPORT, ...args], { env, encoding: "utf8" });
  rmSync(out, { force: true });
  const used = existsSync(report) ? JSON.parse(readFileSync(report, "utf8")) : undefined;
  return {
    ended: signal ?? status,
    said: stderr,
    time: used === undefined ? 0 : (used.userCPUTime + used.systemCPUTime) / 1e6,
    memory: (used?.maxRSS ?? 0) * 1024,
  };
}

const COMMANDS = {
  inspect: [CLI, "inspect", path],
  json: [CLI, "inspect", path, "--json"],
  perturb: [CLI, "perturb", path, "-o", out, "-s", "0.05", "--skip-unsupported"],
  generate: [CLI, "generate", "-m", path, "-s", "0.05", "--seed", "1", "--max-tokens", "2", "Once"],
};

function check(which, header, { ended, said, time, memory }) {
  must(ended === 0 || ended === 1 || ended === 2, `${which} ended with ${ended}: ${said.slice(-300)}`);
  must(ended === 0 || /^error: /m.test(said), `${which} says no error: ${said.slice(-300)}`);
  must(!/^\s+at .*:\d+:\d+\)?$/m.test(said), `${which} shows a trace: ${said.slice(-300)}`);
  must(!(time > mostTime(header.length)), `${which}: ${time.toFixed(1)} s`);
  must(!(memory > mostMemory(header.length)), `${which}: ${(memory / MB).toFixed(0)} MB`);
}

function byCommand() {
  const outcomes = new Map();
  let [slowest, largest] = [0, 0];
  for (let i = 0; i < commands; i++) {
    const number = seed * 1e6 + 500_000 + i;
    const { kind, header } = mutated(first, fields, number);
    write(header, kind === "cut");
    const command = dice(number).pick(Object.keys(COMMANDS));
    const ran = run(COMMANDS[command]);
    count(outcomes, `${command} ${ran.ended}`);
    [slowest, largest] = [Math.max(slowest, ran.time), Math.max(largest, ran.memory)];
    check(`${command} of header ${number} (${kind})`, header, ran);
  }
  const scratch = join(folder, "scratch");
  must(!existsSync(scratch) || readdirSync(scratch).length === 0, "live copies were left");
  console.log(`${commands} commands: ${counted(outcomes)}; at most ${slowest.toFixed(2)} s, ${(largest / MB).toFixed(0)} MB`);
}

/** Headers of many MB, each read by a process of its own. */
function large() {
  const files = JSON.stringify(new URL("../../dist/files/index.js", import.meta.url).href);
  const reading = `const { readModel } = await import(${files}); await readModel(process.argv[1]);`;
  for (const [name, make] of Object.entries(LARGE)) {
    const header = make();
    writeFileSync(path, header);
    truncateSync(path, header.length + 2 ** 23);
    const ran = run(["--input-type=module", "-e", reading, "--", path]);
    must(ran.ended === 0, `${name}: ended with ${ran.ended}: ${ran.said.slice(-300)}`);
    check(name, header, ran);
    const size = `${(header.length / MB).toFixed(1)} MB of header`;
    console.log(`${name} (${size}): ${ran.time.toFixed(2)} s, ${(ran.memory / MB).toFixed(0)} MB`);
  }
}

try {
  peak();
  await inProcess();
  byCommand();
  large();
} finally {
  rmSync(folder, { recursive: true, force: true });
}
for (const failure of failures) console.error(failure);
process.exitCode = failures.length > 0 ? 1 : 0;
