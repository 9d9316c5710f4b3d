// Calls of every kernel, to compare backends with: at random, for as long as one likes (fuzz.mjs), or the whole grid of formats, roundings and
// sizes of noise (hashes.mjs). Each is { what, weights, run }; run(kernels) makes the call and returns { out, numbers }.

import { encodedFormat, FORMATS } from "../../dist/lattice/formats.js";
import { Rounding, SUM_LEAF } from "../../dist/laws/numbers.js";
import { relaxation } from "../../dist/laws/relaxation.js";

/** xorshift32 (Marsaglia 2003): not the code under test. */
function generator(seed) {
  let state = seed || 1;
  const word = () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
  for (let i = 0; i < 4; i++) word();
  const unit = () => word() / 2 ** 32;
  return { word, unit, below: (n) => Math.floor(unit() * n), pick: (list) => list[Math.floor(unit() * list.length)] };
}

function noiseCase(name, n, r) {
  const key = { k0: r.word(), k1: r.word() };
  const at = {
    blockLo: r.unit() < 0.3 ? -r.below(2000) >>> 0 : r.word(),
    blockHi: r.word(),
    skip: r.below(4),
    tick: r.word(),
    purpose: r.word(),
  };
  return {
    what: `${name} of ${n} at ${JSON.stringify(at)}`,
    weights: n,
    run: (k) => {
      const out = name === "bits" ? new Uint32Array(n) : new Float32Array(n);
      k[name](out, key, at);
      return { out, numbers: [] };
    },
  };
}

/** Where the steps of a block are float16: their last bytes, after stepOffset. */
const HALVES = { f16: [1], f16Origin: [1, 3], k2: [1, 3], k3: [1], k4: [1, 3], k6: [1], iq4: [1] };

/**
 * Takes out of random blocks what random data nearly always has somewhere: infinite floats and steps, and NaNs, which make every sum a NaN,
 * and the code -128, for which kernels leave their fastest path.
 */
function tame(bytes, { bytes: size, kind, lattice }) {
  for (let i = 0; i < bytes.length; i++) if (bytes[i] === 0x80) bytes[i] = 0x7f;
  const last = kind === "lattice" ? (HALVES[lattice.step] ?? []).map((at) => lattice.stepOffset + at) : [size - 1];
  for (const at of last) for (let i = at; i < bytes.length; i += size) bytes[i] &= 0xbf; // without its highest bit no exponent is full
}

/** Moves, and under `matched` a step of `relax` after them. `given` may fix tame, blocks, sigma, inSteps, rounding, rowLength and index; the rest is random. */
function moveCase(format, r, given = {}) {
  const blocks = given.blocks ?? r.below(r.unit() < 0.1 ? (2.2 * SUM_LEAF) / format.weights : 6000 / format.weights + 2);
  const data = new Uint8Array(blocks * format.bytes + 7).subarray(r.below(8));
  for (let i = 0; i < data.length; i++) data[i] = r.word() >>> 24;
  const bytes = data.subarray(0, blocks * format.bytes);
  if (given.tame ?? r.unit() < 0.5) tame(bytes, format);
  const external = format.lattice?.step === "external";
  const rowLength = external ? (given.rowLength ?? (r.unit() < 0.5 ? Number.MAX_SAFE_INTEGER : 1 + r.below(5000))) : 1;
  const index = given.index ?? format.weights * r.below(rowLength > 1e6 || !external ? 2 ** r.below(45) : 1000);
  const rows = external ? Math.floor((index + blocks) / rowLength) + 1 : 0;
  const move = {
    format: encodedFormat(format),
    sigma: Math.fround(given.sigma ?? r.unit() * 10 ** (r.below(16) - 10)),
    inSteps: given.inSteps ?? r.unit() < 0.7,
    steps: external ? new Float32Array(rows).map(() => (r.unit() < 0.1 ? 0 : 10 ** (r.below(8) - 4))) : null,
    rowLength,
    rounding: given.rounding ?? r.below(3),
    key: { k0: r.word(), k1: r.word() },
    index,
    tick: r.word(),
  };
  const keep = Math.fround(Math.exp(-1 / 2 ** (move.tick % 10)));
  return {
    what: `${format.name}, ${blocks} blocks, rounding ${move.rounding}, sigma ${move.sigma}${move.inSteps ? " steps" : ""}, index ${index}, rows of ${rowLength}`,
    weights: blocks * format.weights,
    run: (k) => {
      const out = bytes.slice();
      const numbers = [k.perturb(out, move), k.sumSquares(bytes, move.format, move.steps, rowLength, index, 0)];
      if (format.lattice !== undefined && !external) numbers.push(...k.census(bytes, move.format, undefined, index));
      if (move.rounding !== Rounding.matched) return { out, numbers };
      const relaxed = out.slice();
      numbers.push(k.evolve(relaxed, bytes, { ...move, tick: (move.tick + 1) >>> 0 }, relaxation, keep));
      return { out: Buffer.concat([out, relaxed]), numbers };
    },
  };
}

/** One call with arguments drawn at random from this seed. */
export function randomCase(seed) {
  const r = generator(seed);
  return r.unit() < 0.25 ? noiseCase(r.pick(["bits", "uniform", "normal"]), r.below(5000), r) : moveCase(r.pick(FORMATS), r);
}

/** Noise in steps, from moves that hardly ever happen over all rows of the law to beyond its table. */
const SIGMAS = [1e-4, 0.01, 0.1, 0.13, 0.4, 0.9, 1.7, 2.5, 40];

/**
 * All noise kernels at lengths around their vectors' sizes, and for every format and rounding all sizes of noise, about 5,000 weights each;
 * formats with a step a row in long and in short rows, the others now from the tensor's start and now from beyond weight 2^32. Of every format
 * also some 270,000 weights at once.
 */
export function* gridCases() {
  const r = generator(1);
  for (const name of ["bits", "uniform", "normal"]) {
    for (const n of [0, 1, 3, 4, 15, 16, 17, 63, 64, 65, 255, 1000, 4099]) yield noiseCase(name, n, r);
  }
  for (const format of FORMATS) {
    const leaves = Math.ceil((4.1 * SUM_LEAF) / format.weights);
    yield moveCase(format, r, {
      tame: true,
      blocks: leaves,
      sigma: 0.02,
      inSteps: true,
      rounding: 2,
      rowLength: 100_000,
      index: 0,
    });
    const blocks = Math.ceil(5000 / format.weights);
    for (const rounding of [0, 1, 2]) {
      for (const [i, sigma] of SIGMAS.entries()) {
        const far = format.lattice?.step !== "external" && i % 2 === 1;
        const index = format.weights * (far ? 2 ** 33 + r.below(1000) : 0);
        for (const rowLength of format.lattice?.step === "external" ? [Number.MAX_SAFE_INTEGER, 300, 7] : [1]) {
          yield moveCase(format, r, { blocks, sigma, inSteps: true, rounding, rowLength, index });
        }
      }
    }
  }
}
