// npm run bench: every kernel on every backend that runs here, against plain Math.random code, each in a process of its own, pinned to one
// core where the system can. Several rounds in turn, medians and spread; rates are of this machine now, ratios are of this one run.
import { spawnSync } from "node:child_process";
import { cpus } from "node:os";
import { fileURLToPath } from "node:url";
import { nativeTargets } from "../dist/kernels/native.js";
import { loadWasm } from "../dist/kernels/wasm.js";
import { table } from "../dist/report/table.js";

const ROUNDS = 3;
const CASES = ["uniform", "normal", "int8 s=1", "Q4_0 s=0.3", "Q4_K s=0.3", "int8 s2=0.001", "Q8_0 s2=0.001"];
const json = process.argv.includes("--json");

function variants() {
  const native = () =>
    nativeTargets()
      .filter((t) => t.runs)
      .map((t) => `native ${t.name}`);
  const wasm = () => ["simd128", "scalar"].filter((isa) => loadWasm(isa)).map((isa) => `wasm ${isa}`);
  const found = ["plain"];
  for (const list of [native, wasm]) {
    try {
      found.push(...list());
    } catch (error) {
      process.stderr.write(`left out: ${error.message}\n`);
    }
  }
  return [...found, "js scalar"];
}

const pinned = process.platform === "linux" && spawnSync("taskset", ["-c", "0", "true"]).status === 0;
const script = fileURLToPath(new URL("./case.mjs", import.meta.url));

function measure(name, variant) {
  const command = [process.execPath, script, name, variant];
  const [first, ...rest] = pinned ? ["taskset", "-c", String(cpus().length - 1), ...command] : command;
  const result = spawnSync(first, rest, { encoding: "utf8" });
  if (result.status !== 0) throw new Error(`${name} on ${variant}: ${result.stderr}`);
  return JSON.parse(result.stdout).rate;
}

const all = variants();
const results = [];
for (const name of CASES) {
  const rates = new Map(all.map((variant) => [variant, []]));
  for (let round = 0; round < ROUNDS; round++) for (const variant of all) rates.get(variant).push(measure(name, variant));
  const summary = (variant) => {
    const sorted = rates.get(variant).sort((a, b) => a - b);
    const median = sorted[sorted.length >> 1];
    return { median, spread: (sorted.at(-1) - sorted[0]) / median };
  };
  const peer = summary("plain").median;
  for (const variant of all) {
    const { median, spread } = summary(variant);
    results.push({ kernel: name, variant, millionPerSecond: median, spread, ratioToPlain: median / peer });
  }
}

const machine = { processor: cpus()[0]?.model, cores: cpus().length, node: process.version, pinned, rounds: ROUNDS };
if (json) process.stdout.write(`${JSON.stringify({ machine, results }, null, 2)}\n`);
else {
  const rows = results.map((r) => [
    r.kernel,
    r.variant === "plain" ? "Math.random" : r.variant,
    r.millionPerSecond.toFixed(r.millionPerSecond < 100 ? 1 : 0),
    `${(r.spread * 100).toFixed(0)} %`,
    `${r.ratioToPlain.toFixed(1)} x`,
  ]);
  process.stdout.write(
    `${machine.processor}, Node ${machine.node}, one thread${pinned ? ", pinned" : ""}; medians of ${ROUNDS} processes\n\n`,
  );
  process.stdout.write(`${table([["kernel", "backend", "million/s", "spread", "to Math.random"], ...rows], [2, 3, 4])}\n`);
}
