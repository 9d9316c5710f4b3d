// Weights and elements beyond number 2^32, more than 2^32 of them in one call, and tensors beyond byte 2^32 of a file: no 32-bit counter may
// wrap around anywhere. What takes minutes or gigabytes runs in `npm run trial:large` only (vitest's mode "large"; docs/results/robustness.md).
import { closeSync, openSync, readSync, statSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { openLiveTensors, readModel, type Tensor } from "../../src/files/index.js";
import type { Kernels } from "../../src/kernels/contract.js";
import { jsKernels } from "../../src/kernels/js.js";
import { encodedFormat, FORMATS } from "../../src/lattice/formats.js";
import { checkedMove, perturb } from "../../src/lattice/perturb.js";
import { perturbAsync } from "../../src/lattice/perturb-async.js";
import type { Move } from "../../src/laws/move.js";
import { Purpose, Rounding, SUM_LEAF } from "../../src/laws/numbers.js";
import { Noise } from "../../src/noise/index.js";
import { js, native, variants, wasm } from "../support/backends.js";
import { scratchFolder, writeGguf } from "../support/synthetic-gguf.js";

const LARGE = import.meta.env.MODE === "large";

/** Philox4x32-10 in big integers, from the paper's formulas: another computation than any backend's. */
function philox(block: bigint, tick: bigint, purpose: bigint, key: { k0: number; k1: number }): number[] {
  const M = 0xffffffffn;
  let [x0, x1, x2, x3] = [block & M, block >> 32n, tick, purpose];
  let [k0, k1] = [BigInt(key.k0), BigInt(key.k1)];
  for (let round = 0; round < 10; round++) {
    const p = x0 * 0xd2511f53n;
    const q = x2 * 0xcd9e8d57n;
    [x0, x1, x2, x3] = [(q >> 32n) ^ x1 ^ k0, q & M, (p >> 32n) ^ x3 ^ k1, p & M];
    [k0, k1] = [(k0 + 0x9e3779b9n) & M, (k1 + 0xbb67ae85n) & M];
  }
  return [x0, x1, x2, x3].map(Number);
}

/** Where 32 bits end: of the weight's number, of its block of four (noise), of its block of eight (moves), of its hit group of 16 or 32 (rare moves), and of the tiles of their hits. */
const BORDERS = [32, 34, 35, 36, 37, 38, 46].map((bits) => 2 ** bits);
const RUN = 1024;

/** What JavaScript makes of a move, once for all that are compared with it. */
const byJs = new Map<string, { readonly data: Buffer; readonly changed: number }>();

describe.each(variants)("$name beyond 2^32", ({ kernels }) => {
  it.each([...BORDERS, Number.MAX_SAFE_INTEGER - 99])("bits across element %d", (border) => {
    const stream = new Noise(42n, kernels).stream("w");
    const index = border - 101;
    const out = stream.bits(new Uint32Array(200), { index, tick: 7 });
    out.forEach((word, i) => {
      const at = BigInt(index) + BigInt(i);
      expect(word).toBe(philox(at / 4n, 7n, BigInt(Purpose.Bits), stream.key)[Number(at % 4n)]);
    });
  });

  it.each(BORDERS)("F32 weights of 0 moved by sigma 1 become the normals of their numbers, across weight %d", (border) => {
    const index = border - 50;
    const weights = new Float32Array(100);
    perturb(new Uint8Array(weights.buffer), { type: "F32", sigma: 1, seed: 42n, name: "w", index }, kernels);
    const normals = new Noise(42n, jsKernels).stream("w").normal(new Float32Array(100), { index });
    expect(weights).toEqual(normals);
  });

  it.each(FORMATS.map((format) => ({ name: format.name, format })))("$name equals js, whole and split", ({ format }) => {
    const external = format.lattice?.step === "external";
    for (const border of BORDERS) {
      for (const rounding of Object.values(Rounding)) {
        // Matched moves are drawn in another way at each of these; the other roundings in one way.
        for (const sigma of rounding === Rounding.matched ? [0.05, 0.4, 2.5] : [0.4]) {
          const move: Move = {
            format: encodedFormat(format),
            sigma: Math.fround(sigma),
            inSteps: true,
            steps: external ? Float32Array.of(1) : null,
            rowLength: external ? Number.MAX_SAFE_INTEGER : 1,
            rounding,
            key: { k0: 1, k1: 2 },
            index: border - RUN,
            tick: 3,
          };
          const run = (k: Kernels, cut: number) => {
            const data = new Uint8Array((2 * RUN * format.bytes) / format.weights).map((_, i) => (i * 37 + (i >> 8) * 11) & 255);
            const at = (cut * format.bytes) / format.weights;
            let changed = k.perturb(data.subarray(0, at), move);
            changed += k.perturb(data.subarray(at), { ...move, index: move.index + cut });
            return { data: Buffer.from(data), changed };
          };
          const name = `${format.name} ${border} ${rounding} ${sigma}`;
          const expected = byJs.get(name) ?? run(jsKernels, 0);
          byJs.set(name, expected);
          for (const cut of kernels === jsKernels ? [RUN] : [0, RUN]) {
            const { data, changed } = run(kernels, cut);
            expect(changed, name).toBe(expected.changed);
            expect(data.equals(expected.data), name).toBe(true);
          }
        }
      }
    }
  });
});

it("an index at which numbers lose count is refused", () => {
  const data = new Uint8Array(34 * 2);
  const options = { type: "Q8_0", sigma: 0.1, seed: 1 };
  expect(() => perturb(data, { ...options, index: 2 ** 53 - 32 })).toThrow(/index \+ the weights of data/);
  expect(perturb(data, { ...options, index: 2 ** 53 - 128 }).weights).toBe(64);
});

/** The best of native and WebAssembly, and JavaScript where there is time. */
const chosen = [native.at(-1), wasm.at(-1), LARGE ? js : undefined].filter((v) => v !== undefined);

/** 3 GiB of zeros, untouched so far, and so without memory behind them; undefined where the machine has no room for them. */
function threeGigabytes(bytes = 3 * 2 ** 30): Uint8Array | undefined {
  try {
    return new Uint8Array(bytes);
  } catch (error) {
    console.warn(`SKIPPED 3 GiB in one call: ${(error as Error).message}`);
    return undefined;
  }
}

/** 3 GiB of Q4_0: 5.7 billion weights. Where the scale is 0 nothing moves, and nothing is written. */
const BLOCKS = Math.floor((3 * 2 ** 30) / 18);
/** Blocks with a scale, where moves are expected: the first, at byte 2^31, at weight 2^32, and the last. */
const WINDOWS = [0, Math.floor(2 ** 31 / 18) - 64, 2 ** 27 - 64, BLOCKS - 128];
const WINDOW = 128;
/** Codes 1 and -1; steps of 2^-4 and 1.25 * 2^-7 in turn, which the noise below is 0.05 (rare moves) and 0.32 (dense) of. */
const ARMED = Uint8Array.from({ length: WINDOW * 18 }, (_, i) => [0, i % 36 < 18 ? 0x2c : 0x21][i % 18] ?? 0x79);
const Q4_0 = { type: "Q4_0", sigma: 0.05 / 16, seed: 42n, name: "w" } as const;

describe.skipIf(!LARGE).each(chosen)("5.7 billion Q4_0 weights in one call on $name", ({ kernels }) => {
  it("move as each part does alone", async () => {
    const data = threeGigabytes(BLOCKS * 18);
    if (data === undefined) return;
    const part = (block: number) => data.subarray(block * 18, (block + WINDOW) * 18);
    const alone = WINDOWS.map((block) => {
      const bytes = ARMED.slice();
      return { bytes, changed: perturb(bytes, { ...Q4_0, index: block * 32 }, jsKernels).changed };
    });
    const changed = alone.reduce((sum, w) => sum + w.changed, 0);
    expect(changed).toBeGreaterThan(500);
    const calls = [() => perturb(data, Q4_0, kernels), () => perturbAsync(data, Q4_0, kernels)];
    for (const call of kernels.perturbAsync === undefined ? calls.slice(0, 1) : calls) {
      for (const block of WINDOWS) part(block).set(ARMED);
      expect(await call()).toEqual({ weights: BLOCKS * 32, changed });
      WINDOWS.forEach((block, w) => {
        expect(Buffer.compare(part(block), (alone[w] as { bytes: Uint8Array }).bytes)).toBe(0);
      });
    }
  });
});

/** A tensor of 5.7 billion weights (a hole in the file), and behind it, beyond byte 2^32, one of `WINDOW` blocks. */
describe("a file of more than 2^32 bytes", () => {
  const folder = scratchFolder();
  const vast = { name: "vast", type: "Q4_0", shape: [32, BLOCKS] };
  const filler = { name: "filler", type: "F32", shape: [2 ** 28 + 2 ** 25] };
  const behind = { name: "w", type: "Q4_0", shape: [32, WINDOW], data: ARMED };

  it.each(chosen)("its last tensor moves as it does in memory, on $name", async ({ name, kernels }) => {
    const [pristine, live] = ["pristine", "live"].map((what) => join(folder, `${what}-${name}.gguf`)) as [string, string];
    for (const path of [pristine, live]) writeGguf(path, [vast, filler, behind]);
    expect(statSync(pristine).size).toBeGreaterThan(2 ** 32);
    const tensor = (await readModel(pristine)).tensors.find((t) => t.name === "w") as Tensor;
    expect(tensor.offset).toBeGreaterThan(2 ** 32);
    const expected = ARMED.slice();
    const { move } = checkedMove(expected, Q4_0);
    const changed = jsKernels.perturb(expected, move);
    const liveTensors = await openLiveTensors(live, pristine, kernels);
    try {
      expect(await liveTensors.perturb(tensor, move)).toBe(changed);
      expect(await liveTensors.sumSquares(tensor)).toBe(jsKernels.sumSquares(ARMED, move.format, null, 1, 0, 0)); // of the pristine file
      expect(readAt(live, tensor)).toEqual(Buffer.from(expected));
      await liveTensors.restore(tensor);
      expect(readAt(live, tensor)).toEqual(Buffer.from(ARMED));
    } finally {
      await liveTensors.close();
    }
  });
});

function readAt(path: string, tensor: Tensor): Buffer {
  const bytes = Buffer.alloc(tensor.bytes);
  const file = openSync(path, "r");
  try {
    readSync(file, bytes, 0, tensor.bytes, tensor.offset);
  } finally {
    closeSync(file);
  }
  return bytes;
}

/** Runs of weights of a tensor of 3 GiB: its first, around byte 2^31, and its last. */
const around = (weights: number, bytes: number) => [0, 2 ** 31 / bytes - RUN, weights - 2 * RUN];

describe.runIf(LARGE).each(chosen)("3 GiB on $name", ({ kernels }) => {
  it.each([
    { type: "I8", bytes: 1, sigma: 1, step: 1 },
    { type: "I8", bytes: 1, sigma: 0.01, step: 1 },
    { type: "I8", bytes: 1, sigma: 0.7, step: Float32Array.of(1, 8, 0) },
    { type: "F32", bytes: 4, sigma: 1 },
    { type: "BF16", bytes: 2, sigma: 2 ** -130 },
  ])("$type, sigma $sigma", ({ bytes, ...options }) => {
    const data = threeGigabytes();
    if (data === undefined) return;
    const weights = data.length / bytes;
    const rowLength = options.step instanceof Float32Array ? { rowLength: weights / 3 } : {};
    const all = { ...options, ...rowLength, seed: 42n, name: "w" };
    const { changed } = perturb(data, all, kernels);
    expect(changed).toBeGreaterThan(1e4);
    for (const index of around(weights, bytes)) {
      const alone = new Uint8Array(2 * RUN * bytes);
      perturb(alone, { ...all, index }, jsKernels);
      expect(Buffer.compare(data.subarray(index * bytes, (index + 2 * RUN) * bytes), alone), `weight ${index}`).toBe(0);
    }
  });

  it("sums of squares", () => {
    const data = threeGigabytes(BLOCKS * 18);
    if (data === undefined) return;
    const format = encodedFormat(FORMATS.find((f) => f.name === "Q4_0") as (typeof FORMATS)[number]);
    const leafBytes = (SUM_LEAF / 32) * 18;
    let expected = 0;
    const leaves = [0, Math.floor(2 ** 31 / leafBytes), 2 ** 32 / SUM_LEAF, Math.floor(data.length / leafBytes)];
    for (const leaf of leaves) data.subarray(leaf * leafBytes).set(ARMED.map((byte, i) => (i % 18 < 2 ? byte : i & 255)));
    for (const leaf of leaves) {
      const bytes = data.subarray(leaf * leafBytes, (leaf + 1) * leafBytes);
      expected = jsKernels.sumSquares(bytes, format, null, 1, leaf * SUM_LEAF, expected);
    }
    expect(expected).toBeGreaterThan(1);
    expect(kernels.sumSquares(data, format, null, 1, 0, 0)).toBe(expected);
  });

  it.each(["bits", "uniform", "normal"] as const)("%s", (draw) => {
    const data = threeGigabytes();
    if (data === undefined) return;
    const make = (buffer: ArrayBufferLike) => (draw === "bits" ? new Uint32Array(buffer) : new Float32Array(buffer)) as never;
    const stream = (k: Kernels) => new Noise(42n, k).stream("w");
    stream(kernels)[draw](make(data.buffer), { index: 3 });
    for (const index of around(data.length / 4, 4)) {
      const alone = new Uint8Array(8 * RUN);
      stream(jsKernels)[draw](make(alone.buffer), { index: index + 3 });
      expect(Buffer.compare(data.subarray(index * 4, (index + 2 * RUN) * 4), alone), `element ${index}`).toBe(0);
    }
  });
});
