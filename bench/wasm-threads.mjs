// node bench/wasm-threads.mjs [--rounds N] [--threads N,N] [--weights N] [--types "TYPE S,..."]: WebAssembly on several threads beside one, in one
// process and in rounds that take turns, of which the least times count: what a busy machine can still tell. One thread is `perturb`, as fast as it
// gets; "in place" is data in a SharedArrayBuffer. Processor time is that of all threads, by that of one: the ratio can be no more than the number of
// threads divided by it.

import { parseArgs } from "node:util";
import { loadWasm } from "../dist/kernels/wasm.js";
import { encodedFormat, formatNamed } from "../dist/lattice/formats.js";
import { perturb } from "../dist/lattice/perturb.js";
import { perturbAsync } from "../dist/lattice/perturb-async.js";
import { Field } from "../dist/laws/numbers.js";
import { I8_STEP, realisticWeights, sigmaFor } from "./weights.mjs";

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "40" },
    threads: { type: "string", default: "2" },
    weights: { type: "string", default: String(16 * 2 ** 20) },
    types: { type: "string", default: "Q8_0 1,Q8_0 0.03,Q4_0 0.3,Q4_0 0.03,F16 0.3,F32 0.3,I8 1,I8 0.03" },
  },
});
const rounds = Number(values.rounds);
const weights = Number(values.weights);
const counts = values.threads.split(",").map(Number);

/** Milliseconds of each call: on the clock, and of all processors together. The least of all rounds. */
async function leastOfAll(calls) {
  const least = calls.map(() => ({ clock: Number.POSITIVE_INFINITY, processors: Number.POSITIVE_INFINITY }));
  for (let round = 0; round < rounds; round++)
    for (const [i, call] of calls.entries()) {
      const before = process.cpuUsage();
      const began = performance.now();
      await call(round);
      const clock = performance.now() - began;
      const { user, system } = process.cpuUsage(before);
      least[i].clock = Math.min(least[i].clock, clock);
      least[i].processors = Math.min(least[i].processors, (user + system) / 1e3);
    }
  return least;
}

const one = loadWasm("simd128", 1);
const several = counts.map((threads) => loadWasm("simd128", threads));
const big = new Uint8Array(2 ** 28);
for (const kernels of several) await perturbAsync(big, { type: "I8", step: I8_STEP, sigma: I8_STEP, seed: 1n }, kernels); // starts them
const columns = counts
  .map((threads) => `${threads} threads | ratio | processor time | in place | ratio | processor time |`)
  .join(" ");
console.log(`| moves | 1 thread, M/s | ${columns}\n| --- | ---: |${" ---: |".repeat(6 * counts.length)}`);
for (const each of values.types.split(",")) {
  const [type, s] = each.split(" ");
  const format = encodedFormat(formatNamed(type));
  const { data, elements } = realisticWeights(type, (weights / format[Field.weights]) * format[Field.bytes]);
  const shared = new Uint8Array(new SharedArrayBuffer(data.length));
  shared.set(data);
  const options = { type, sigma: sigmaFor(type, data, Number(s)), seed: 1n, ...(type === "I8" && { step: I8_STEP }) };
  const calls = [
    (tick) => perturb(data, { ...options, tick }, one),
    ...several.flatMap((kernels) => [data, shared].map((on) => (tick) => perturbAsync(on, { ...options, tick }, kernels))),
  ];
  const [alone, ...others] = await leastOfAll(calls);
  const cells = others.flatMap(({ clock, processors }) => [
    (elements / clock / 1e3).toFixed(0),
    (alone.clock / clock).toFixed(2),
    (processors / alone.processors).toFixed(2),
  ]);
  console.log(`| ${type} s = ${s} | ${(elements / alone.clock / 1e3).toFixed(0)} | ${cells.join(" | ")} |`);
}
