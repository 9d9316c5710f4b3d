// node bench/turns.mjs OTHER: like paired.mjs, but in one process and in short rounds that take turns, of which the least times count: what a busy
// machine can still tell. JavaScript is left out: two checkouts in one process share what V8 learns of types. Both must be built.

import { dirname, join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { Command } from "commander";
import picomatch from "picomatch";
import { WORKING_SETS } from "./cases.mjs";

const ROUND = 2e6; // nanoseconds
const WARM = { calls: 3000, others: 20 };

const command = new Command("node bench/turns.mjs")
  .argument("<other>", "folder of another checkout, built (npm run setup)")
  .option("--rounds <n>", "rounds a case", Number, 40)
  .option("--only <glob>", "only what matches GROUP or GROUP/CASE/BACKEND", "**")
  .parse();
const { rounds, only } = command.opts();
const chosen = picomatch(only, { bash: true });

/** A checkout's cases and kernels. */
async function checkout(folder) {
  const load = (path) => import(pathToFileURL(join(folder, path)).href);
  const { CASES } = await load("bench/cases.mjs");
  const { loadNative, nativeTargets } = await load("dist/kernels/native.js");
  const { loadWasm } = await load("dist/kernels/wasm.js");
  const isa = nativeTargets().find(({ runs }) => runs)?.name;
  return { cases: CASES, kernels: { native: loadNative(isa, 1), wasm: loadWasm("simd128") } };
}

async function nanoseconds(call, n, deferred) {
  const begin = process.hrtime.bigint();
  if (deferred) for (let i = 0; i < n; i++) await call();
  else for (let i = 0; i < n; i++) call();
  return Number(process.hrtime.bigint() - begin) / n;
}

const here = await checkout(resolve(dirname(fileURLToPath(import.meta.url)), ".."));
const there = await checkout(resolve(command.args[0]));

console.log("| case | backend | here, M/s | there | ratio of the least times |\n| --- | --- | ---: | ---: | ---: |");
for (const { group, name } of here.cases.filter((one) => one.group !== "threads")) {
  for (const backend of group === "redraw" ? ["native"] : ["native", "wasm"]) {
    if (!chosen(group) && !chosen(`${group}/${name}/${backend}`)) continue;
    const made = [here, there].map(({ cases, kernels }) =>
      cases
        .find((one) => one.group === group && one.name === name)
        ?.make(kernels[backend], group === "calls" ? 0 : WORKING_SETS.L2),
    );
    if (made.includes(undefined)) continue;
    const deferred = group === "redraw";
    for (let i = 0; i < (WARM[group] ?? WARM.others); i++) for (const { call } of made) await call();
    const calls = Math.max(1, Math.round(ROUND / (await nanoseconds(made[0].call, 3, deferred))));
    const least = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
    for (let round = 0; round < rounds; round++)
      for (const [i, { call }] of made.entries()) least[i] = Math.min(least[i], await nanoseconds(call, calls, deferred));
    const [a, b] = least.map((time, i) => ((made[i].elements / time) * 1e3).toFixed(0));
    console.log(`| ${group} ${name} | ${backend} | ${a} | ${b} | ${(least[1] / least[0]).toFixed(2)} |`);
  }
}
