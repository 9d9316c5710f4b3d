// npm run fuzz -- --seconds 60 [--seed N]: random arguments to every kernel on every backend that runs here, compared with plain JavaScript
// byte by byte. Prints the seed of the first difference, with which it happens again, and fails.
import { parseArgs } from "node:util";
import { SUM_LEAF } from "../dist/kernels/contract.js";
import { jsKernels } from "../dist/kernels/js/index.js";
import { loadNative, nativeTargets } from "../dist/kernels/native.js";
import { loadWasm } from "../dist/kernels/wasm.js";
import { encodedFormat, FORMATS } from "../dist/lattice/formats.js";

const { values } = parseArgs({ options: { seconds: { type: "string", default: "10" }, seed: { type: "string" } } });
const seconds = Number(values.seconds);
let seed = values.seed === undefined ? Date.now() >>> 0 : Number(values.seed);

const others = [];
try {
  for (const t of nativeTargets()) if (t.runs) others.push(loadNative(t.name, 1));
} catch (error) {
  console.error(`left out: native (${error.message})`);
}
for (const isa of ["scalar", "simd128"]) others.push(loadWasm(isa));

/** xorshift32 (Marsaglia 2003): not the code under test. */
function generator(state) {
  const word = () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
  const unit = () => word() / 2 ** 32;
  return { word, unit, below: (n) => Math.floor(unit() * n), pick: (list) => list[Math.floor(unit() * list.length)] };
}

const same = (a, b) =>
  Buffer.compare(Buffer.from(a.buffer, a.byteOffset, a.byteLength), Buffer.from(b.buffer, b.byteOffset, b.byteLength)) === 0;

function noiseCase(r) {
  const n = r.below(5000);
  const key = { k0: r.word(), k1: r.word() };
  const at = {
    blockLo: r.unit() < 0.3 ? -r.below(2000) >>> 0 : r.word(),
    blockHi: r.word(),
    skip: r.below(4),
    tick: r.word(),
    purpose: r.word(),
  };
  const name = r.pick(["bits", "uniform", "normal"]);
  const make = () => (name === "bits" ? new Uint32Array(n) : new Float32Array(n));
  return {
    what: `${name} of ${n} at ${JSON.stringify(at)}`,
    weights: n,
    run: (k) => {
      const out = make();
      k[name](out, key, at);
      return { out, number: 0 };
    },
  };
}

function moveCase(r) {
  const format = r.pick(FORMATS);
  const blocks = r.below(r.unit() < 0.1 ? (2.2 * SUM_LEAF) / format.weights : 6000 / format.weights + 2);
  const data = new Uint8Array(blocks * format.bytes + 7).subarray(r.below(8));
  for (let i = 0; i < data.length; i++) data[i] = r.word() >>> 24;
  const bytes = data.subarray(0, blocks * format.bytes);
  const external = format.lattice?.step === "external";
  const rowLength = external ? (r.unit() < 0.5 ? Number.MAX_SAFE_INTEGER : 1 + r.below(5000)) : 1;
  const index = format.weights * r.below(rowLength > 1e6 || !external ? 2 ** r.below(45) : 1000);
  const rows = external ? Math.floor((index + blocks) / rowLength) + 1 : 0;
  const move = {
    format: encodedFormat(format),
    sigma: Math.fround(r.unit() * 10 ** (r.below(16) - 10)),
    inSteps: r.unit() < 0.7,
    steps: external ? new Float32Array(rows).map(() => (r.unit() < 0.1 ? 0 : 10 ** (r.below(8) - 4))) : null,
    rowLength,
    rounding: r.below(3),
    key: { k0: r.word(), k1: r.word() },
    index,
    tick: r.word(),
  };
  return {
    what: `${format.name}, ${blocks} blocks, rounding ${move.rounding}, sigma ${move.sigma}${move.inSteps ? " steps" : ""}, index ${index}, rows of ${rowLength}`,
    weights: blocks * format.weights,
    run: (k) => {
      const out = bytes.slice();
      const number = k.perturb(out, move) + k.sumSquares(bytes, move.format, move.steps, rowLength, index, 0);
      return { out, number };
    },
  };
}

const end = performance.now() + seconds * 1000;
let cases = 0;
let weights = 0;
for (; performance.now() < end; seed = (seed + 1) >>> 0, cases++) {
  const r = generator(seed || 1);
  for (let i = 0; i < 4; i++) r.word();
  const test = r.unit() < 0.25 ? noiseCase(r) : moveCase(r);
  const expected = test.run(jsKernels);
  weights += test.weights;
  for (const kernels of others) {
    const actual = test.run(kernels);
    if (same(actual.out, expected.out) && Object.is(actual.number, expected.number)) continue;
    console.error(
      `${kernels.backend} ${kernels.isa} differs from js: ${test.what}\nagain: npm run fuzz -- --seconds 1 --seed ${seed}`,
    );
    process.exit(1);
  }
}
console.log(`${cases} cases, ${weights} elements, ${others.length} variants against js: no difference`);
