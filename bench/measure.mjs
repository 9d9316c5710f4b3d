// One measurement in a process of its own: node bench/measure.mjs '{"group", "name", "bytes", and "backend", "isa", "threads" or "peer"}'.
// Prints the median seconds of one call, and the elements and bytes that it works on, as JSON. Timed by the package `benchmark`.

import Benchmark from "benchmark";
import { jsKernels } from "../dist/kernels/js/index.js";
import { loadNative } from "../dist/kernels/native.js";
import { loadWasm } from "../dist/kernels/wasm.js";
import { caseNamed } from "./cases.mjs";
import { makePeer } from "./peers.mjs";

const SAMPLE_SECONDS = 0.02;
const SECONDS = 0.2; // of sampling a case
const SAMPLES = 3; // at least, where one call alone takes long

/** The kernels of a variant. */
function kernelsOf({ backend, isa, threads }) {
  if (backend === "native") return loadNative(isa, threads);
  return backend === "wasm" ? loadWasm(isa) : jsKernels;
}

/** Median seconds of a call; `deferred` for one that returns a promise. */
function time(call, deferred = false) {
  return new Promise((resolve, reject) => {
    const benchmark = new Benchmark({
      fn: deferred ? (done) => call().then(() => done.resolve(), reject) : call,
      defer: deferred,
      minTime: SAMPLE_SECONDS,
      maxTime: SECONDS,
      minSamples: SAMPLES,
      onError: ({ target }) => reject(target.error),
      onComplete: ({ target }) => {
        const sorted = target.stats.sample.slice().sort((a, b) => a - b);
        if (sorted.length > 0) resolve(sorted[sorted.length >> 1]);
      },
    });
    benchmark.run({ async: false });
  });
}

/** Seconds of a call, and, of calls on few elements, what is left of it when the time per element is taken out. */
async function measure(item) {
  if (item.peer !== undefined) return timed(await makePeer(item.peer, item.name, item.bytes));
  const kernels = kernelsOf(item);
  const { group, make } = caseNamed(item.group, item.name);
  if (group !== "calls") return timed(make(kernels, item.bytes), group === "threads");
  const once = await timed(make(kernels, 0));
  const twice = await timed(make(kernels, 0, 2 * once.elements));
  return { ...once, overhead: Math.max(0, 2 * once.seconds - twice.seconds) };
}

async function timed({ elements, bytes, call }, deferred = false) {
  return { seconds: await time(call, deferred), elements, bytes };
}

process.stdout.write(JSON.stringify(await measure(JSON.parse(process.argv[2]))));
