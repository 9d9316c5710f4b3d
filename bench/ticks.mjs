// npm run bench:ticks: what a tick of each dynamics takes on a model file of 285 MB (268 million Q8_0 weights), against a full draw, and whether it holds up
// the event loop: by the clock, which counts waiting for a core and what the host takes, and by the processor time of the loop's thread, which is what
// ticks do on it. Backend and threads as BROWNIAN_BACKEND and BROWNIAN_THREADS say. Medians of the ticks; prints Markdown.

import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, openSync, readSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Command } from "commander";
import { Thermostat } from "../dist/index.js";

const CASES = [
  ["white, sigma 0.05 RMS", { dynamics: "white", sigma: 0.05 }],
  ["white, s2 = 0.001 in steps", { dynamics: "white", sigma: Math.sqrt(0.001), scale: "step" }],
  ["white, s2 = 0.00001 in steps", { dynamics: "white", sigma: Math.sqrt(0.00001), scale: "step" }],
  ["andersen, tau 32, sigma 0.05 RMS", { dynamics: "andersen", tau: 32, sigma: 0.05 }],
  ["langevin, tau 32, sigma 0.05 RMS", { dynamics: "langevin", tau: 32, sigma: 0.05 }],
  ["wiener, tau 32, sigma 0.05 RMS", { dynamics: "wiener", tau: 32, sigma: 0.05 }],
  ["wiener, tau 1000, s2 = 0.01 in steps", { dynamics: "wiener", tau: 1000, sigma: 0.1, scale: "step" }],
];

const command = new Command("npm run bench:ticks --")
  .description("Measures ticks of each dynamics, and for how long they hold the event loop.")
  .argument("[model]", "GGUF model instead of a synthetic one; its float tensors have no steps for sigma to be in")
  .option("--ticks <n>", "ticks of each dynamics, after two that warm up", Number, 9)
  .option("--folder <folder>", "where the live copy lies", tmpdir())
  .allowExcessArguments(false)
  .parse();
const [given] = command.args;
const options = command.opts();

/** Of this thread alone: nanoseconds that it ran, that it waited for a core, and how often it got one. Some systems count them by leaps of milliseconds. */
const SCHEDSTAT = "/proc/thread-self/schedstat";
const stat = existsSync(SCHEDSTAT) ? openSync(SCHEDSTAT, "r") : undefined;
const line = Buffer.alloc(96);

/** Milliseconds that this thread has worked; NaN where nobody says. */
const worked = () =>
  stat === undefined ? Number.NaN : Number.parseInt(line.toString("latin1", 0, readSync(stat, line, 0, 96, 0)), 10) / 1e6;

/** Watches turns of the event loop, a millisecond apart, until it is called: the longest beyond that, by the clock and by this thread's work. */
function watchTurns() {
  const most = { clock: 0, work: 0 };
  let last = [performance.now(), worked()];
  const look = () => {
    const now = [performance.now(), worked()];
    most.clock = Math.max(most.clock, now[0] - last[0] - 1);
    most.work = Math.max(most.work, now[1] - last[1]);
    last = now;
    timer = setTimeout(look, 1);
  };
  let timer = setTimeout(look, 1);
  return () => {
    clearTimeout(timer);
    return most;
  };
}

const folder = mkdtempSync(join(options.folder, "brownian-bench-"));
process.once("SIGINT", () => process.exit(130));
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
const path = given ?? join(folder, "model.gguf");
// In a process of its own: what is left of it in the memory of this one would be collected amid ticks.
const files = new URL("./files.mjs", import.meta.url).href;
const write = `(await import("${files}")).writeModel(${JSON.stringify(path)}, 1)`;
if (given === undefined) spawnSync(process.execPath, ["--input-type=module", "-e", write], { stdio: "inherit" });
console.log(`${(statSync(path).size / 1e6).toFixed(0)} MB, ${options.ticks} ticks each\n`);
console.log("| dynamics | ms a tick | million weights/s | event loop held, ms | of its own work, ms |");
console.log("| --- | ---: | ---: | ---: | ---: |");
for (const [name, settings] of CASES) {
  if (given !== undefined && settings.scale === "step") continue;
  const bath = await Thermostat.open(path, { ...settings, seed: 1n, scratch: folder });
  await bath.tick(); // what is made once: sigmas, the index of steps
  await bath.tick();
  const turns = watchTurns();
  const times = [];
  let weights = 0;
  for (let tick = 0; tick < options.ticks; tick++) {
    const began = performance.now();
    ({ weights } = await bath.tick());
    times.push(performance.now() - began);
    await new Promise((resolve) => setTimeout(resolve, 60)); // an engine takes as long for a token of such a model
  }
  const { clock, work } = turns();
  await bath.close();
  const median = times.sort((a, b) => a - b)[options.ticks >> 1];
  const rate = Math.round(weights / median / 1e3).toLocaleString("en-US");
  console.log(`| ${name} | ${median.toFixed(2)} | ${rate} | ${clock.toFixed(1)} | ${work.toFixed(1)} |`);
}
