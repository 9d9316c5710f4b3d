// One measurement in a process of its own: node bench/case.mjs CASE VARIANT. Prints million elements a second as JSON.
import Benchmark from "benchmark";
import { jsKernels } from "../dist/kernels/js/index.js";
import { loadNative } from "../dist/kernels/native.js";
import { loadWasm } from "../dist/kernels/wasm.js";
import { FORMATS } from "../dist/lattice/formats.js";
import { perturb } from "../dist/lattice/perturb.js";
import { Noise } from "../dist/noise/index.js";
import { plain } from "./plain.mjs";

const N = 1 << 20; // elements a call

const [name, variant] = process.argv.slice(2);
const [backend, isa] = variant.split(" ");
const kernels = { native: () => loadNative(isa), wasm: () => loadWasm(isa), js: () => jsKernels, plain: () => undefined }[
  backend
]();

const floats = new Float32Array(N);

/** Codes of all sizes with ordinary scales. */
function weights(type) {
  const format = FORMATS.find((f) => f.name === type);
  return new Uint8Array((N / format.weights) * format.bytes).map((_, i) => (i * 37) & 0x3f);
}

/** A draw of `matched` at s steps on N weights of a type; the plain peer knows the layouts of two. */
function move(type, s) {
  const data = weights(type);
  if (kernels === undefined) return type === "Q4_0" || type === "Q4_K" ? () => plain.q4(data, s) : () => plain.int8(data, s);
  const options = { type, scale: "step", sigma: s, seed: 1n, ...(type === "I8" && { step: 1 }) };
  if (!type.startsWith("Q4")) return () => perturb(data, { ...options, tick: tick++ }, kernels);
  // Codes of four bits would soon all lie on their rails, where nothing moves: begin from the same ones every time.
  const pristine = data.slice();
  return () => {
    data.set(pristine);
    perturb(data, { ...options, tick: tick++ }, kernels);
  };
}

const stream = kernels && new Noise(1n, kernels).stream("bench");
let tick = 0;

const CASES = {
  uniform: () => (kernels ? () => stream.uniform(floats, { tick: tick++ }) : () => plain.uniform(floats)),
  normal: () => (kernels ? () => stream.normal(floats, { tick: tick++ }) : () => plain.normal(floats)),
  "int8 s=1": () => move("I8", 1),
  "Q4_0 s=0.3": () => move("Q4_0", 0.3),
  "Q4_K s=0.3": () => move("Q4_K", 0.3),
  "int8 s2=0.001": () => move("I8", Math.sqrt(0.001)),
  "Q8_0 s2=0.001": () => move("Q8_0", Math.sqrt(0.001)),
};

const benchmark = new Benchmark(name, CASES[name](), { maxTime: 0.5, minSamples: 10 });
benchmark.run();
if (benchmark.error) throw benchmark.error;
const sorted = benchmark.stats.sample.slice().sort((a, b) => a - b);
process.stdout.write(JSON.stringify({ rate: N / sorted[sorted.length >> 1] / 1e6 }));
