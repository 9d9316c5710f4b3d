// npm run trial:leaks: loads the library in 1,000 worker threads, one after another, and measures whether anything stays behind: memory, threads,
// open files, mappings. Every worker moves weights on native threads, maps a file and leaves it open, and uses WebAssembly; every fifth is
// ended while a job is running. What Node itself keeps for a worker with an (empty) WebAssembly module is measured the same way and does not
// count. Fails when something stays. Options: --loads N, --warm-up N (loads before that: allocators, the thread pool and caches fill up), --hold BYTES
// (keeps that much a load, to see it found). Linux only: it reads /proc.
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";

const BLOCKS = 8192; // of Q8_0
const SAMPLES = 20;

/** The smallest WebAssembly module: its header. */
const EMPTY_MODULE = Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0);

/** What every worker does. */
async function work({ bare, file, endMe }) {
  if (bare) return new WebAssembly.Instance(new WebAssembly.Module(EMPTY_MODULE));
  const { loadNative } = await import("../../dist/kernels/native.js");
  const { loadWasm } = await import("../../dist/kernels/wasm.js");
  const { perturb } = await import("../../dist/lattice/perturb.js");
  const { perturbAsync } = await import("../../dist/lattice/perturb-async.js");
  const options = { type: "Q8_0", sigma: 1e-3, seed: 1n };
  const data = new Uint8Array(34 * BLOCKS).fill(0x2c);
  perturb(data, options, loadWasm());
  let native;
  try {
    native = loadNative(undefined, 2);
  } catch {
    return;
  }
  perturb(data, options, native);
  await perturbAsync(data, options, native);
  native.files.mapLive(file, native.files.map(file));
  if (!endMe) return;
  const much = new Uint8Array(34 * BLOCKS * 64).fill(0x2c);
  perturbAsync(much, options, native);
  parentPort.postMessage("busy");
}

function load(bare, file, endMe) {
  return new Promise((resolve, reject) => {
    const worker = new Worker(fileURLToPath(import.meta.url), { workerData: { bare, file, endMe } });
    worker.on("message", () => worker.terminate());
    worker.on("error", reject);
    worker.on("exit", resolve);
  });
}

/** The process's own memory in kB, its threads, open files and mappings of `file`. */
function look(file) {
  setFlagsFromString("--expose-gc");
  runInNewContext("gc")();
  const status = readFileSync("/proc/self/status", "utf8");
  const field = (name) => Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)[1]);
  return {
    memory: field("RssAnon"),
    threads: field("Threads"),
    files: readdirSync("/proc/self/fd").length,
    mappings: readFileSync("/proc/self/maps", "utf8").split(file).length - 1,
  };
}

/** Least squares: kB a load, and its standard error. */
function slope(samples) {
  const n = samples.length;
  const meanX = samples.reduce((sum, s) => sum + s.loads, 0) / n;
  const meanY = samples.reduce((sum, s) => sum + s.memory, 0) / n;
  const sxx = samples.reduce((sum, s) => sum + (s.loads - meanX) ** 2, 0);
  const b = samples.reduce((sum, s) => sum + (s.loads - meanX) * (s.memory - meanY), 0) / sxx;
  const rest = samples.reduce((sum, s) => sum + (s.memory - meanY - b * (s.loads - meanX)) ** 2, 0);
  return { perLoad: b, error: Math.sqrt(rest / (n - 2) / sxx) };
}

/** Loads the library, or nothing of ours, in this many workers. */
async function measure(loads, warmUp, bare, hold) {
  const folder = mkdtempSync(join(tmpdir(), "brownian-loads-"));
  const file = join(folder, "mapped");
  const held = [];
  const samples = [];
  let ended = 0;
  try {
    writeFileSync(file, new Uint8Array(1 << 16));
    for (let i = 1; i <= warmUp; i++) await load(bare, file, i % 5 === 0);
    look(file); // the first look itself takes memory
    samples.push({ loads: 0, ...look(file) });
    for (let i = 1; i <= loads; i++) {
      if ((await load(bare, file, i % 5 === 0)) !== 0) ended++;
      if (hold > 0) held.push(new Uint8Array(hold).fill(1));
      if (Math.floor((i * SAMPLES) / loads) > Math.floor(((i - 1) * SAMPLES) / loads)) samples.push({ loads: i, ...look(file) });
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return { ended, ...slope(samples), held: held.length, samples };
}

/** The same in a process of its own. */
function measureApart(...args) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [fileURLToPath(import.meta.url), ...args], { encoding: "utf8" });
  if (status !== 0) throw new Error(`the process that loads did not survive (${status}): ${stderr}`);
  return JSON.parse(stdout);
}

function print(title, { samples, perLoad, error, ended }) {
  console.log(`${title}\nloads  memory kB  threads  files  mappings`);
  for (const s of samples) {
    console.log(
      [
        [s.loads, 5],
        [s.memory, 10],
        [s.threads, 8],
        [s.files, 6],
        [s.mappings, 9],
      ]
        .map(([x, w]) => `${x}`.padStart(w))
        .join(" "),
    );
  }
  console.log(`${perLoad.toFixed(2)} kB a load, standard error ${error.toFixed(2)}; ${ended} ended while at work\n`);
}

const { values } = parseArgs({
  options: {
    loads: { type: "string", default: "1000" },
    "warm-up": { type: "string", default: "20" },
    hold: { type: "string", default: "0" },
    measure: { type: "string" },
  },
});

function main() {
  if (!existsSync("/proc/self/status")) throw new Error("there is no /proc here to measure by");
  const sizes = ["--loads", values.loads, "--warm-up", values["warm-up"]];
  const bare = measureApart("--measure", "bare", ...sizes);
  const ours = measureApart("--measure", "ours", ...sizes, "--hold", values.hold);
  print("nothing of ours", bare);
  print("the library", ours);
  const excess = ours.perLoad - bare.perLoad;
  const error = Math.hypot(ours.error, bare.error);
  // A page, and five standard errors: what the allocator moves the figures by from load to load.
  const most = 4 + 5 * error;
  const [first, last] = [ours.samples[0], ours.samples.at(-1)];
  const more = ["threads", "files", "mappings"].filter((what) => last[what] > first[what]);
  console.log(
    `the library's own: ${excess.toFixed(2)} kB a load, standard error ${error.toFixed(2)}, allowed ${most.toFixed(2)}`,
  );
  if (more.length > 0) console.log(`there are more ${more.join(" and ")} at the end than at the beginning`);
  if (excess > most || more.length > 0) process.exitCode = 1;
}

if (!isMainThread) await work(workerData);
else if (values.measure === undefined) main();
else
  console.log(
    JSON.stringify(
      await measure(Number(values.loads), Number(values["warm-up"]), values.measure === "bare", Number(values.hold)),
    ),
  );
