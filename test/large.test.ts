// Weights and elements beyond number 2^32, and more than 2^32 of them in one call: no 32-bit counter may wrap around anywhere.
// `npm run test:large` does more, for minutes (docs/robustness.md).
import { describe, expect, it } from "vitest";
import { type Kernels, type Move, Purpose, Rounding } from "../src/kernels/contract.js";
import { jsKernels } from "../src/kernels/js/index.js";
import { encodedFormat, FORMATS } from "../src/lattice/formats.js";
import { perturb } from "../src/lattice/perturb.js";
import { perturbAsync } from "../src/lattice/perturb-async.js";
import { Noise } from "../src/noise/index.js";
import { native, variants, wasm } from "./backends.js";

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

/** Where 32 bits end: of the weight's number, of its block of four (noise), of its block of eight (moves), and of the tiles of sparse hits. */
const BORDERS = [32, 34, 35, 38, 46].map((bits) => 2 ** bits);
const RUN = 1024;

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
        for (const sigma of [0.05, 0.4, 2.5]) {
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
            return { data: Buffer.from(data).toString("hex"), changed };
          };
          const expected = run(jsKernels, 0);
          expect(run(kernels, 0)).toEqual(expected);
          expect(run(kernels, RUN)).toEqual(expected);
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

/** 3 GiB of Q4_0: 5.7 billion weights. Untouched pages of zeros cost no memory, and where the scale is 0 nothing moves. */
const BLOCKS = Math.floor((3 * 2 ** 30) / 18);
/** Blocks with a scale, where moves are expected: the first, at byte 2^31, at weight 2^32, and the last. */
const WINDOWS = [0, Math.floor(2 ** 31 / 18) - 64, 2 ** 27 - 64, BLOCKS - 128];
const WINDOW = 128;

function threeGigabytes(): Uint8Array | undefined {
  try {
    return new Uint8Array(BLOCKS * 18);
  } catch (error) {
    console.warn(`SKIPPED 3 GiB in one call: ${(error as Error).message}`);
    return undefined;
  }
}

/** Codes in the middle; steps of 2^-4 and 1.25 * 2^-7 in turn, which the noise below is 0.05 (sparse) and 0.32 (dense) of. */
const ARMED = Uint8Array.from({ length: WINDOW * 18 }, (_, i) => [0, i % 36 < 18 ? 0x2c : 0x21][i % 18] ?? 0x88);

// The best of native and WebAssembly; plain JavaScript takes half a minute (npm run test:large).
describe.each([native.at(-1), wasm.at(-1)].filter((v) => v !== undefined))("5.7 billion weights in one call on $name", (v) => {
  it("move as each part does alone", { timeout: 60_000 }, async () => {
    const data = threeGigabytes();
    if (data === undefined) return;
    const options = { type: "Q4_0", sigma: 0.05 / 16, seed: 42n, name: "w" } as const;
    const part = (block: number) => data.subarray(block * 18, (block + WINDOW) * 18);
    const alone = WINDOWS.map((block) => {
      const bytes = ARMED.slice();
      return { bytes, changed: perturb(bytes, { ...options, index: block * 32 }, jsKernels).changed };
    });
    const changed = alone.reduce((sum, w) => sum + w.changed, 0);
    expect(changed).toBeGreaterThan(500);
    const calls = [() => perturb(data, options, v.kernels), () => perturbAsync(data, options, v.kernels)];
    for (const call of v.kernels.perturbAsync === undefined ? calls.slice(0, 1) : calls) {
      for (const block of WINDOWS) part(block).set(ARMED);
      expect(await call()).toEqual({ weights: BLOCKS * 32, changed });
      WINDOWS.forEach((block, w) => {
        expect(Buffer.compare(part(block), (alone[w] as { bytes: Uint8Array }).bytes)).toBe(0);
      });
    }
  });
});
