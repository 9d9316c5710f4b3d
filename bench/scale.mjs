// npm run bench:scale: how the cost of perturbing, ticking, inspecting, opening and closing grows with the model, on files of random weights that are shaped
// like real ones. Every measurement is a process of its own, whose own memory (what is not the page cache) is watched. Prints Markdown, and
// writes a plot where asked. Removes the files that it makes.

import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, statfsSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Command } from "commander";
import { SIZES, writeModelLike } from "./scale-models.mjs";

const options = new Command("npm run bench:scale --")
  .description("Measures how what is done to a model's file grows with it.")
  .option("--full", "also the largest size (8 billion weights: 9 GB, and as much again for the copies)")
  .option("--sizes <names>", "only these, with commas")
  .option("--folder <folder>", "where the files lie", tmpdir())
  .option("--ticks <n>", "ticks of each dynamics", Number, 9)
  .option("--plot <file>", "write the plot, as SVG")
  .option("--json <file>", "write the numbers")
  .allowExcessArguments(false)
  .parse()
  .opts();

const WORK = fileURLToPath(new URL("scale-work.mjs", import.meta.url));
const say = (line) => process.stderr.write(`${line}\n`);
const folder = mkdtempSync(join(options.folder, "brownian-scale-"));
process.once("SIGINT", () => process.exit(130));
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));

/** Anonymous memory of a process and its threads, in bytes: the page cache does not count. */
function ownMemory(pid) {
  try {
    return Number(/RssAnon:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0) * 1024;
  } catch {
    return 0; // it is gone, or there is no /proc
  }
}

/** What a task of scale-work.mjs measured, and the most memory that it had. */
async function work(task) {
  const child = spawn(process.execPath, [WORK, JSON.stringify(task)], { stdio: ["ignore", "pipe", "inherit"] });
  let peak = 0;
  const watch = setInterval(() => {
    peak = Math.max(peak, ownMemory(child.pid));
  }, 20);
  let out = "";
  child.stdout.on("data", (data) => {
    out += data;
  });
  const status = await new Promise((resolve) => child.once("close", resolve));
  clearInterval(watch);
  if (status !== 0) throw new Error(`${task.what} of ${task.model} failed (${status})`);
  return { ...JSON.parse(out), peak };
}

/** `cp`, without a copy by reference. */
function copySeconds(from, to) {
  spawnSync("sync");
  const began = performance.now();
  const { status, stderr } = spawnSync("cp", ["--reflink=never", from, to], { encoding: "utf8" });
  if (status !== 0) throw new Error(`cp: ${stderr}`);
  const seconds = (performance.now() - began) / 1000;
  rmSync(to);
  return seconds;
}

const names = options.sizes?.split(",") ?? Object.keys(SIZES).filter((name) => options.full || !SIZES[name].large);
const rows = [];
for (const name of names) {
  for (const type of ["Q8_0", "Q4_K_M"]) {
    const model = join(folder, `${name}-${type}.gguf`);
    const room = statfsSync(folder);
    const needed = 2.2 * SIZES[name].weights * 1.1;
    if (room.bavail * room.bsize < needed) {
      say(`left out: ${name} ${type}: ${folder} has no room for ${(needed / 1e9).toFixed(1)} GB`);
      continue;
    }
    say(`${name} ${type}`);
    const weights = writeModelLike(model, SIZES[name], type);
    const out = join(folder, "out.gguf");
    const copies = [0, 1, 2].map(() => copySeconds(model, out)).sort((a, b) => a - b);
    const row = { name, type, weights, bytes: statSync(model).size, cp: copies[1] };
    row.perturb = await work({ what: "perturb", model, out, sigma: 0.05 });
    rmSync(out);
    row.inspect = await work({ what: "inspect", model });
    row.open = await work({ what: "open", model, folder });
    for (const dynamics of ["andersen", "langevin", "wiener", "white"])
      row[dynamics] = await work({
        what: "ticks",
        model,
        folder,
        ticks: options.ticks,
        settings: { dynamics, sigma: 0.05, tau: 32 },
      });
    const sparse = { dynamics: "white", sigma: Math.sqrt(0.001), scale: "step" };
    row.sparse = await work({ what: "ticks", model, folder, ticks: options.ticks, settings: sparse });
    rows.push(row);
    rmSync(model);
  }
}

const ms = (seconds) => (seconds < 0.1 ? (1000 * seconds).toFixed(1) : (1000 * seconds).toFixed(0));
const TICKS = ["andersen", "langevin", "wiener", "white", "sparse"];
const MEASURED = ["perturb", "inspect", "open", ...TICKS];
console.log("Milliseconds; of ticks, medians with 60 ms between them.\n");
console.log(
  "| model | weights | MB | cp | perturb, file to file | inspect | open and close | andersen | langevin | wiener | white | white, s2 = .001 | most memory, MB |",
);
console.log("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
for (const row of rows) {
  const memory = Math.max(...MEASURED.map((what) => row[what].peak)) / 1e6;
  const cells = [row.cp, ...MEASURED.map((what) => row[what].seconds)].map(ms);
  console.log(
    `| ${row.name} ${row.type} | ${(row.weights / 1e6).toFixed(0)} M | ${(row.bytes / 1e6).toFixed(0)} | ${cells.join(" | ")} | ${memory.toFixed(0)} |`,
  );
}
console.log("\nNanoseconds a weight:\n");
console.log(`| model | ${["cp", ...MEASURED].join(" | ")} |`);
console.log(`| --- |${" ---: |".repeat(MEASURED.length + 1)}`);
for (const row of rows) {
  const cells = [row.cp, ...MEASURED.map((what) => row[what].seconds)].map((seconds) =>
    ((1e9 * seconds) / row.weights).toFixed(3),
  );
  console.log(`| ${row.name} ${row.type} | ${cells.join(" | ")} |`);
}
console.log("\nNanoseconds of processor time a weight, of a tick, on all threads:\n");
console.log(`| model | ${TICKS.join(" | ")} |`);
console.log(`| --- |${" ---: |".repeat(TICKS.length)}`);
for (const row of rows) {
  const cells = TICKS.map((what) => ((1e9 * row[what].work) / row.weights).toFixed(3));
  console.log(`| ${row.name} ${row.type} | ${cells.join(" | ")} |`);
}
if (options.json) writeFileSync(options.json, `${JSON.stringify(rows, null, 2)}\n`);
if (options.plot) {
  const { plotScale } = await import("./scale-plot.mjs");
  writeFileSync(options.plot, await plotScale(rows, MEASURED));
}
