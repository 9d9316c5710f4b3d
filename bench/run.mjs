// npm run bench: every kernel on every backend and instruction set that runs here, the machine's own limits, and the peers that are
// installed, in one run. Each measurement is a process of its own, pinned to one core where the system can; rounds go through all of them in
// turn, so that a noisy minute falls on all alike; medians of the rounds, with their spread. Prints the Markdown of docs/results/performance-raw.md.

import { spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { Command } from "commander";
import picomatch from "picomatch";
import { nativeTargets } from "../dist/kernels/native.js";
import { loadWasm } from "../dist/kernels/wasm.js";
import { cCompiler, withVariables } from "../scripts/environment.mjs";
import { CASES, WORKING_SETS } from "./cases.mjs";
import { measureFiles } from "./files.mjs";
import { findPeers, PYTHON_SCRIPT } from "./peers.mjs";
import { markdown } from "./report.mjs";

const HERE = dirname(fileURLToPath(import.meta.url));
const BUILD = join(HERE, "..", "build", "bench");
const say = (line) => process.stderr.write(`${line}\n`);

const options = new Command("npm run bench --")
  .description("Measures every kernel on every backend against the machine's limits and installed peers; prints Markdown.")
  .option("--json", "print JSON instead")
  .option("--out <file>", "also write the JSON to a file")
  .option("--quick", "one round, of each backend only the best instruction set, dense kernels only in the cache")
  .option("--only <glob>", "only what matches GROUP/CASE/BACKEND, for instance 'sparse/**' or '*/normal/native*'")
  .option("--rounds <n>", "rounds", Number, 3)
  .option("--files [folder]", "also move a file of 1 GB against cp, in this folder (default: the system's for temporary files)")
  .allowExcessArguments(false)
  .parse()
  .opts();

const core = String(cpus().length - 1);
const pinned = process.platform === "linux" && spawnSync("taskset", ["-c", core, "true"]).status === 0;

/** Runs a command that prints JSON, on one core unless it has threads of its own. */
function run(command, { free = false, env = {} } = {}) {
  const [first, ...rest] = pinned && !free ? ["taskset", "-c", core, ...command] : command;
  const result = spawnSync(first, rest, { encoding: "utf8", env: withVariables(env) });
  if (result.status !== 0) throw new Error(`${command.join(" ")}: ${result.stderr}`);
  return JSON.parse(result.stdout);
}

const node = (item, how) => run([process.execPath, join(HERE, "measure.mjs"), JSON.stringify(item)], how);

/** The backends and instruction sets that run here, the best of each first. */
function findVariants() {
  const found = [];
  const add = (backend, list) => {
    try {
      for (const [i, isa] of list().entries()) found.push({ backend, isa, best: i === 0 });
    } catch (error) {
      say(`left out: ${backend}: ${error.message}`);
    }
  };
  const native = () =>
    nativeTargets()
      .filter((t) => t.runs)
      .map((t) => t.name);
  add("native", native);
  add("wasm", () => ["simd128", "scalar"].filter((isa) => loadWasm(isa)));
  add("js", () => ["scalar"]);
  return found;
}

/** Everything that is to be measured: { group, name, label, set, best, measure }. */
function plan() {
  const items = [...limits(), ...peers()];
  const variants = findVariants();
  for (const { group, name } of CASES) {
    for (const { backend, isa, best } of variants) {
      const label = backend === "js" ? "js" : `${backend} ${isa}`;
      const add = (set, extra = {}, suffix = "") =>
        items.push({
          group,
          name,
          label: label + suffix,
          backend,
          set,
          best,
          measure: () => node({ group, name, backend, isa, bytes: WORKING_SETS[set], ...extra }, { free: extra.threads > 1 }),
        });
      if (group === "threads") {
        if (backend === "native" && best)
          for (const threads of [1, 2]) add("memory", { threads }, `, ${threads} thread${threads > 1 ? "s" : ""}`);
      } else if (group === "redraw") {
        if (backend === "native") add("memory", { threads: 1 });
      } else if (group === "calls") add("few");
      else for (const set of workingSets(group, backend, best)) add(set);
    }
  }
  for (const { backend, isa, best } of variants.filter((v) => v.best)) items.push(start(backend, isa, best));
  items.push(start(undefined, undefined, true));
  return items;
}

/** In the cache for all; and in memory where that can be the limit: not for JavaScript, and of dense kernels only for the best ISA. */
function workingSets(group, backend, best) {
  if (backend === "js" || (options.quick && (group === "noise" || group === "dense"))) return ["L2"];
  return best || group === "sparse" ? ["L2", "memory"] : ["L2"];
}

/** What the machine's memory can do, by bench/memory.c. */
function limits() {
  const program = join(BUILD, "memory");
  mkdirSync(BUILD, { recursive: true });
  const compiler = cCompiler ?? "cc";
  const compile = (flags) => spawnSync(compiler, ["-O3", ...flags, join(HERE, "memory.c"), "-o", program]).status === 0;
  if (!compile(["-march=native", "-mprefer-vector-width=512"]) && !compile(["-march=native"]) && !compile([])) {
    say(`left out: memcpy, read-modify-write and read: ${compiler} does not compile bench/memory.c`);
    return [];
  }
  return ["copy", "rmw", "read"].flatMap((kind) =>
    Object.entries(WORKING_SETS).map(([set, bytes]) => {
      const label = { copy: "memcpy", rmw: "read-modify-write", read: "read" }[kind];
      return {
        group: "limits",
        name: kind,
        label,
        set,
        best: true,
        always: true,
        measure: () => run([program, kind, String(bytes)]),
      };
    }),
  );
}

function peers() {
  const { peers: found, missing } = findPeers();
  for (const line of missing) say(`left out: ${line}`);
  return found.map(({ peer, name, python, version }) => {
    const bytes = WORKING_SETS.L2;
    const measure = () => (python ? run([python, PYTHON_SCRIPT, peer, name, String(bytes)]) : node({ peer, name, bytes }));
    return { group: "peers", name, label: peer, version, set: "L2", best: true, always: true, measure };
  });
}

/** The first import of the library in a fresh process, until the backend is there; without a backend, of an empty file: what Node takes for itself. */
function start(backend, isa, best) {
  const file = new URL(backend === undefined ? "empty.mjs" : "../dist/esm/index.js", import.meta.url).href;
  const program = `
    const before = process.memoryUsage().rss, worked = process.cpuUsage(), began = performance.now();
    const { backend } = await import(${JSON.stringify(file)});
    backend.name;
    const seconds = (performance.now() - began) / 1000;
    const { user, system } = process.cpuUsage(worked);
    console.log(JSON.stringify({ seconds, work: (user + system) / 1e6, elements: 1, bytes: process.memoryUsage().rss - before }));`;
  const env = backend === undefined ? {} : { BROWNIAN_BACKEND: backend, BROWNIAN_ISA: isa };
  const measure = () => run([process.execPath, "--input-type=module", "-e", program], { env });
  return { group: "start", name: "first import", label: backend ?? "an empty module", backend, set: "process", best, measure };
}

/** Median and spread of each number over the rounds. */
function summary(item, rounds) {
  const sorted = (key) => rounds.map((r) => r[key]).sort((a, b) => a - b);
  const median = (key) => sorted(key)[rounds.length >> 1];
  const seconds = sorted("seconds");
  return {
    group: item.group,
    case: item.name,
    label: item.label,
    ...(item.version && { version: item.version }),
    ...(item.backend && { backend: item.backend }),
    workingSet: item.set,
    elements: median("elements"),
    bytes: median("bytes"),
    seconds: median("seconds"),
    spread: (seconds.at(-1) - seconds[0]) / median("seconds"),
    millionPerSecond: median("elements") / median("seconds") / 1e6,
    bytesPerSecond: median("bytes") / median("seconds"),
    ...(rounds[0].work !== undefined && { workSeconds: median("work") }),
    ...(rounds[0].overhead !== undefined && { overheadSeconds: median("overhead") }),
  };
}

const chosen = picomatch(options.only ?? "**", { bash: true });
const items = plan().filter(
  (item) => item.always || ((item.best || !options.quick) && chosen(`${item.group}/${item.name}/${item.label}`)),
);
const rounds = options.quick ? 1 : options.rounds;
const measured = items.map(() => []);
for (let round = 0; round < rounds; round++) {
  say(`round ${round + 1} of ${rounds}: ${items.length} measurements`);
  for (const [i, item] of items.entries()) measured[i].push(item.measure());
}
const results = items.map((item, i) => summary(item, measured[i]));
const files = options.files ? await measureFiles(options.files === true ? undefined : options.files, rounds) : null;
const machine = {
  processor: cpus()[0]?.model,
  cores: cpus().length,
  system: `${process.platform} ${process.arch}`,
  node: process.version,
  pinned,
  rounds,
  workingSets: WORKING_SETS,
};
const report = { machine, results, ...(files && { files }) };
const json = `${JSON.stringify(report, null, 2)}\n`;
if (options.out) writeFileSync(options.out, json);
process.stdout.write(options.json ? json : markdown(report));
