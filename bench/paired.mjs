// npm run bench:paired -- OTHER: is this checkout as fast as another one, both built? Each case is measured in both in turn, A B A B ..., each
// time in a process of its own, pinned to one core where the system can, so that a noisy minute falls on both alike. Prints the ratio of
// speeds (above 1: this one is faster), its median and the interval that holds it at 95 % (by order statistics), and what fell below 1.

import { spawnSync } from "node:child_process";
import { cpus } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { Command } from "commander";
import picomatch from "picomatch";
import { nativeTargets } from "../dist/kernels/native.js";
import { CASES, WORKING_SETS } from "./cases.mjs";

const HERE = dirname(fileURLToPath(import.meta.url));
const command = new Command("npm run bench:paired --")
  .argument("<other>", "folder of another checkout, built (npm run setup)")
  .option("--pairs <n>", "pairs a case", Number, 10)
  .option("--only <glob>", "only what matches GROUP or GROUP/CASE/BACKEND: redraw, calls/*/wasm", "**")
  .parse();
const { pairs, only } = command.opts();
const other = resolve(command.args[0]);

const core = String(cpus().length - 1);
const pinned = process.platform === "linux" && spawnSync("taskset", ["-c", core, "true"]).status === 0;

/** Elements a second; undefined where the checkout has no such case. */
function speed(folder, item) {
  const node = [process.execPath, join(folder, "bench", "measure.mjs"), JSON.stringify(item)];
  const [first, ...rest] = pinned ? ["taskset", "-c", core, ...node] : node;
  const { status, stdout } = spawnSync(first, rest, { encoding: "utf8" });
  if (status !== 0) return undefined;
  const { seconds, elements } = JSON.parse(stdout);
  return elements / seconds;
}

const variants = [
  { backend: "native", isa: nativeTargets().find(({ runs }) => runs)?.name },
  { backend: "wasm", isa: "simd128" },
  { backend: "js", isa: "scalar" },
].filter(({ isa }) => isa !== undefined);
const chosen = picomatch(only, { bash: true });
const items = CASES.filter(({ group }) => group !== "threads").flatMap(({ group, name }) =>
  variants
    .filter(({ backend }) => group !== "redraw" || backend === "native")
    .filter(({ backend }) => chosen(group) || chosen(`${group}/${name}/${backend}`))
    .map((variant) => ({ group, name, ...variant, bytes: WORKING_SETS.L2, ...(group === "redraw" && { threads: 1 }) })),
);

/** Ranks of the interval of a median that covers it at 95 %: Binomial(n, 1/2). */
function ranks(n) {
  let probability = 0.5 ** n;
  let below = probability;
  let k = 0;
  while (below + (probability * (n - k)) / (k + 1) <= 0.025) {
    probability *= (n - k) / (k + 1);
    below += probability;
    k++;
  }
  return [k, n - 1 - k];
}

const fell = [];
console.log("| case | backend | speed here / there | 95 % of the median |\n| --- | --- | --- | --- |");
for (const item of items) {
  const ratios = [];
  for (let pair = 0; pair < pairs; pair++) {
    const [here, there] = [speed(resolve(HERE, ".."), item), speed(other, item)];
    if (here !== undefined && there !== undefined) ratios.push(here / there);
  }
  const what = `${item.group} ${item.name} | ${item.backend} ${item.isa}`;
  if (ratios.length < pairs) {
    console.log(`| ${what} | not measured in both | |`);
    continue;
  }
  ratios.sort((a, b) => a - b);
  const [low, high] = ranks(pairs).map((rank) => ratios[rank]);
  const median = (ratios[(pairs - 1) >> 1] + ratios[pairs >> 1]) / 2;
  console.log(`| ${what} | ${median.toFixed(2)} | ${low.toFixed(2)} to ${high.toFixed(2)} |`);
  if (high < 1) fell.push(`${what}: ${median.toFixed(2)} (${low.toFixed(2)} to ${high.toFixed(2)})`);
}
console.log(fell.length === 0 ? "\nNothing fell." : `\nFell:\n${fell.map((line) => `- ${line}`).join("\n")}`);
