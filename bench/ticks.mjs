// npm run bench:ticks: what a tick of each dynamics takes on a model file of 285 MB (268 million Q8_0 weights), against a full draw, and whether it holds up the
// event loop. Threads as BROWNIAN_THREADS says. Medians of the ticks; prints Markdown.

import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { Thermostat } from "../dist/index.js";
import { writeModel } from "./files.mjs";

const CASES = [
  ["white, sigma 0.05 RMS", { dynamics: "white", sigma: 0.05 }],
  ["white, s2 = 0.001 in steps", { dynamics: "white", sigma: Math.sqrt(0.001), scale: "step" }],
  ["white, s2 = 0.00001 in steps", { dynamics: "white", sigma: Math.sqrt(0.00001), scale: "step" }],
  ["andersen, tau 32, sigma 0.05 RMS", { dynamics: "andersen", tau: 32, sigma: 0.05 }],
  ["langevin, tau 32, sigma 0.05 RMS", { dynamics: "langevin", tau: 32, sigma: 0.05 }],
  ["wiener, tau 32, sigma 0.05 RMS", { dynamics: "wiener", tau: 32, sigma: 0.05 }],
  ["wiener, tau 1000, s2 = 0.01 in steps", { dynamics: "wiener", tau: 1000, sigma: 0.1, scale: "step" }],
];
const TICKS = 9;

const folder = mkdtempSync(join(tmpdir(), "brownian-bench-"));
process.once("SIGINT", () => process.exit(130));
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
const path = join(folder, "model.gguf");
writeModel(path, 1);
console.log(`${(statSync(path).size / 1e6).toFixed(0)} MB, ${TICKS} ticks each\n`);
console.log("| dynamics | ms a tick | million weights/s | longest hold of the event loop, ms |");
console.log("| --- | ---: | ---: | ---: |");
for (const [name, settings] of CASES) {
  const bath = await Thermostat.open(path, { ...settings, seed: 1n, scratch: folder });
  await bath.tick(); // what is made once: sigmas, the index of steps
  await bath.tick();
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  const times = [];
  let weights = 0;
  for (let tick = 0; tick < TICKS; tick++) {
    const began = performance.now();
    ({ weights } = await bath.tick());
    times.push(performance.now() - began);
    await new Promise((resolve) => setTimeout(resolve, 60)); // an engine takes as long for a token of such a model
  }
  delay.disable();
  await bath.close();
  const median = times.sort((a, b) => a - b)[TICKS >> 1];
  console.log(
    `| ${name} | ${median.toFixed(2)} | ${Math.round(weights / median / 1e3).toLocaleString("en-US")} | ${(delay.max / 1e6 - 1).toFixed(1)} |`,
  );
}
