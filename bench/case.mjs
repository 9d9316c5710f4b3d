// One measurement in a process of its own: node bench/case.mjs CASE VARIANT. Prints million elements a second as JSON.
import Benchmark from "benchmark";
import { jsKernels } from "../dist/kernels/js/index.js";
import { loadNative } from "../dist/kernels/native.js";
import { loadWasm } from "../dist/kernels/wasm.js";
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
const bytes = new Uint8Array(N);
const blocks = new Uint8Array((N / 32) * 18);
for (let b = 0; b < N / 32; b++) blocks[b * 18 + 1] = 0x3c; // scale 1
const stream = kernels && new Noise(1n, kernels).stream("bench");
let tick = 0;

const CASES = {
  uniform: kernels ? () => stream.uniform(floats, { tick: tick++ }) : () => plain.uniform(floats),
  normal: kernels ? () => stream.normal(floats, { tick: tick++ }) : () => plain.normal(floats),
  "int8 s=1": kernels
    ? () => perturb(bytes, { type: "I8", step: 1, sigma: 1, seed: 1n, tick: tick++ }, kernels)
    : () => plain.int8(bytes, 1),
  "Q4_0 s=0.3": kernels
    ? () => perturb(blocks, { type: "Q4_0", sigma: 0.3, seed: 1n, tick: tick++ }, kernels)
    : () => plain.q4(blocks, 0.3),
};

const benchmark = new Benchmark(name, CASES[name], { maxTime: 0.5, minSamples: 10 });
benchmark.run();
if (benchmark.error) throw benchmark.error;
const sorted = benchmark.stats.sample.slice().sort((a, b) => a - b);
process.stdout.write(JSON.stringify({ rate: N / sorted[sorted.length >> 1] / 1e6 }));
