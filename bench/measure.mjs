// One measurement in a process of its own: node bench/measure.mjs '{"group", "name", "bytes", and "backend", "isa", "threads" or "peer"}'.
// Prints the median seconds of one call, and the elements and bytes that it works on, as JSON. Timed by the package `benchmark`.

import Benchmark from "benchmark";
import { jsKernels } from "../dist/kernels/js.js";
import { loadNative } from "../dist/kernels/native.js";
import { loadWasm } from "../dist/kernels/wasm.js";
import { caseNamed } from "./cases.mjs";
import { makePeer } from "./peers.mjs";

const SAMPLE_SECONDS = 0.02;
const SECONDS = 0.2; // of sampling a case
const SAMPLES = 3; // at least, where one call alone takes long

const TURNS = 5; // of calls on n and on 2 n elements

const median = (numbers) => numbers.slice().sort((a, b) => a - b)[numbers.length >> 1];

/** The kernels of a variant. */
function kernelsOf({ backend, isa, threads }) {
  if (backend === "native") return loadNative(isa, threads);
  return backend === "wasm" ? loadWasm(isa) : jsKernels;
}

/** Median seconds of a call; `deferred` for one that returns a promise. */
function time(call, { deferred = false, seconds = SECONDS } = {}) {
  return new Promise((resolve, reject) => {
    const benchmark = new Benchmark({
      fn: deferred ? (done) => call().then(() => done.resolve(), reject) : call,
      defer: deferred,
      minTime: SAMPLE_SECONDS,
      maxTime: seconds,
      minSamples: SAMPLES,
      onError: ({ target }) => reject(target.error),
      onComplete: ({ target }) => {
        if (!target.error) resolve(median(target.stats.sample));
      },
    });
    benchmark.run({ async: false });
  });
}

/** What is measured of an item, as JSON carries it. */
async function measure(item) {
  if (item.peer !== undefined) return timed(await makePeer(item.peer, item.name, item.bytes));
  const kernels = kernelsOf(item);
  const { group, make } = caseNamed(item.group, item.name);
  if (group !== "calls") return timed(make(kernels, item.bytes), group === "threads" || group === "redraw");
  return calls((few) => make(kernels, 0, few));
}

/** Time of a call on few elements, and what is left of it without the time per element: twice the time of n less that of 2 n, in turns. */
async function calls(make) {
  const once = make();
  const twice = make(2 * once.elements);
  const seconds = [];
  const overheads = [];
  for (let turn = 0; turn < TURNS; turn++) {
    const one = await time(once.call, { seconds: SECONDS / TURNS });
    const two = await time(twice.call, { seconds: SECONDS / TURNS });
    seconds.push(one);
    overheads.push(Math.max(0, 2 * one - two));
  }
  return { seconds: median(seconds), overhead: median(overheads), elements: once.elements, bytes: once.bytes };
}

async function timed({ elements, bytes, call }, deferred = false) {
  return { seconds: await time(call, { deferred }), elements, bytes };
}

process.stdout.write(JSON.stringify(await measure(JSON.parse(process.argv[2]))));
