// The evolutions of `evolve`: the mirror image of a move, and the update along moves. The same bytes everywhere, and what they promise.

import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { jsKernels } from "../../src/kernels/js.js";
import { encodedFormat, FORMATS, type Format } from "../../src/lattice/formats.js";
import { ascent } from "../../src/laws/ascent.js";
import { unpack } from "../../src/laws/codes.js";
import { levelOfCode, levelsOf } from "../../src/laws/levels.js";
import { mirror } from "../../src/laws/mirror.js";
import type { Move } from "../../src/laws/move.js";
import { Field, Levels, Rounding } from "../../src/laws/numbers.js";
import { fastest, variants } from "../support/backends.js";
import { sameBits } from "../support/bits.js";

const lattices = FORMATS.filter((format) => format.lattice !== undefined).map((format) => ({ name: format.name, format }));
const isEven = (format: Format) => encodedFormat(format)[Field.levels] === Levels.uniform;
const even = lattices.filter(({ format }) => isEven(format));
const others = variants.filter((variant) => variant.kernels !== jsKernels);

/** Numerical Recipes' LCG: for arguments, not the code under test. */
function randomBlocks(format: Format, blocks: number, seed: number): Uint8Array {
  let state = seed >>> 0;
  const data = new Uint8Array(blocks * format.bytes);
  for (let i = 0; i < data.length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    data[i] = state >>> 24;
  }
  if (format.lattice?.step !== "f16") return data;
  for (let at = format.lattice.stepOffset; at < data.length; at += format.bytes) data.set([0, 0x24], at); // 2^-6
  return data;
}

function moveOf(format: Format, weights: number, sigma: number, tick: number): Move {
  const external = format.lattice?.step === "external";
  return {
    format: encodedFormat(format),
    sigma: Math.fround(sigma),
    inSteps: true,
    steps: external ? new Float32Array(3).fill(0.125) : null,
    rowLength: external ? Math.ceil((weights + 256 * format.weights) / 3) : 1,
    rounding: Rounding.matched,
    key: { k0: 0x12345678, k1: 0x9abcdef0 },
    index: 256 * format.weights,
    tick,
  };
}

/** Values of codes, in steps. */
function valuesOf(data: Uint8Array, format: Format): Float64Array {
  const encoded = encodedFormat(format);
  const blocks = data.length / format.bytes;
  const codes = new Int8Array(blocks * format.weights);
  unpack(codes, data, 0, blocks, encoded);
  const levels = encoded[Field.levels] as number;
  if (levels === Levels.uniform) return Float64Array.from(codes);
  return Float64Array.from(codes, (code) => levelsOf(levels)[levelOfCode(levels, code)] as number);
}

/** SHA-256, its first twelve digits. As other frozen outputs (CONTRIBUTING.md). */
const FROZEN = {
  I8: "93520fabf85c",
  IQ4_NL: "2f4dee325224",
  IQ4_XS: "6341d7818ff0",
  MXFP4: "e0938773f7aa",
  NVFP4: "4997c9c810e0",
  Q2_K: "ea4571b71a9f",
  Q3_K: "2bbbe8371711",
  Q4_0: "41f1d73efd5b",
  Q4_1: "7dd2209c35d4",
  Q4_K: "9476cbac39e7",
  Q5_0: "63d08fab0b3b",
  Q5_1: "0d2d2d35f2ab",
  Q5_K: "4ead92d39c94",
  Q6_K: "77175689d4d9",
  Q8_0: "f9b659660f8c",
  TQ2_0: "44705cc45f92",
};

const blocksOf = (format: Format, weights: number) => Math.ceil(weights / format.weights);

describe.each(lattices)("ascend on $name", ({ format }) => {
  const pristine = randomBlocks(format, blocksOf(format, 4500), 1);
  const weights = (pristine.length / format.bytes) * format.weights;

  it("gives the same bytes on every backend, also in parts", () => {
    for (const [sigma, seed] of [
      [0.05, 2],
      [1.3, 3],
    ] as const) {
      const move = moveOf(format, weights, sigma, 2 ** 32 - 2);
      const began = pristine.slice();
      fastest.perturb(began, { ...move, tick: 99 });
      const law = ascent({ even: [0.75, 0, -1.5, 0.01], tables: [0.4, 2, -0.3], decay: 0.05 * seed });
      const expected = began.slice();
      const changed = jsKernels.evolve(expected, pristine, move, law, 0);
      expect(changed).toBeGreaterThan(0);
      const half = Math.floor(pristine.length / format.bytes / 2) * format.bytes;
      const later = { ...move, index: move.index + (half / format.bytes) * format.weights };
      for (const { name, kernels } of others) {
        const actual = began.slice();
        const counts = [
          kernels.evolve(actual.subarray(0, half), pristine.subarray(0, half), move, law, 0),
          kernels.evolve(actual.subarray(half), pristine.subarray(half), later, law, 0),
        ] as const;
        expect(counts[0] + counts[1], name).toBe(changed);
        expect(Buffer.compare(actual, expected), name).toBe(0);
      }
    }
  });

  it("goes all of the way of one move, and nowhere by none", () => {
    const move = moveOf(format, weights, 1.3, 7);
    const live = pristine.slice();
    expect(fastest.evolve(live, pristine, move, ascent({ even: [0], tables: [0], decay: 0 }), 0)).toBe(0);
    fastest.evolve(live, pristine, move, ascent({ even: [0, 1], tables: [0, 1], decay: 0 }), 0);
    const moved = pristine.slice();
    fastest.perturb(moved, { ...move, tick: 8 });
    expect(sameBits(valuesOf(live, format), valuesOf(moved, format))).toBe(true);
  });

  it("comes home by decay alone", () => {
    const move = moveOf(format, weights, 1.3, 7);
    const live = pristine.slice();
    fastest.perturb(live, move);
    fastest.evolve(live, pristine, move, ascent({ even: [], tables: [], decay: 1 }), 0);
    expect(sameBits(valuesOf(live, format), valuesOf(pristine, format))).toBe(true);
  });
});

describe("ascend", () => {
  it("rounds without bias", () => {
    const format = FORMATS.find(({ name }) => name === "Q8_0") as Format;
    const pristine = randomBlocks(format, blocksOf(format, 64_000), 5).map((byte, i) =>
      i % format.bytes < 2 ? (i % 2) * 0x24 : byte % 100,
    );
    const weights = (pristine.length / format.bytes) * format.weights;
    const move = moveOf(format, weights, 1, 3);
    const moved = pristine.slice();
    fastest.perturb(moved, move);
    const live = pristine.slice();
    fastest.evolve(live, pristine, move, ascent({ even: [0.1], tables: [], decay: 0 }), 0);
    const [from, to, by] = [pristine, live, moved].map((data) => valuesOf(data, format)) as [
      Float64Array,
      Float64Array,
      Float64Array,
    ];
    let [went, was, variance] = [0, 0, 0];
    for (let i = 0; i < weights; i++) {
      const aim = 0.1 * ((by[i] as number) - (from[i] as number));
      const part = aim - Math.floor(aim);
      // Along the move: a bias that is symmetric would be lost in a plain sum.
      const side = Math.sign(aim);
      went += side * ((to[i] as number) - (from[i] as number));
      was += side * aim;
      variance += part * (1 - part);
    }
    // 4.5 standard errors of the sum.
    expect(Math.abs(went - was)).toBeLessThan(4.5 * Math.sqrt(variance));
    expect(was).toBeGreaterThan(20 * Math.sqrt(variance)); // so that none at all would be seen
  });

  it("is frozen: a log that was kept makes the same model for ever", () => {
    const hashes = lattices.map(({ name, format }) => {
      const pristine = randomBlocks(format, blocksOf(format, 512), 1);
      const live = pristine.slice();
      const move = moveOf(format, (pristine.length / format.bytes) * format.weights, 0.7, 5);
      fastest.perturb(live, { ...move, tick: 4 });
      fastest.evolve(live, pristine, move, ascent({ even: [0.5, 0, -0.3], tables: [0.5, -0.2, -0.3], decay: 0.02 }), 0);
      return [name, createHash("sha256").update(live).digest("hex").slice(0, 12)];
    });
    expect(Object.fromEntries(hashes)).toEqual(FROZEN);
  });

  it("refuses weights that a sum could not hold", () => {
    expect(() => ascent({ even: [2 ** 21], tables: [], decay: 0 })).toThrow(RangeError);
    expect(() => ascent({ even: [Number.NaN], tables: [], decay: 0 })).toThrow(RangeError);
  });
});

describe.each(even)("mirror on $name", ({ format }) => {
  it("is the move with the other sign, and its own undoing, on every backend", () => {
    const pristine = randomBlocks(format, blocksOf(format, 5000), 9);
    const weights = (pristine.length / format.bytes) * format.weights;
    const move = moveOf(format, weights, 2.5, 11);
    const moved = pristine.slice();
    fastest.perturb(moved, move);
    const from = valuesOf(pristine, format);
    const there = valuesOf(moved, format);
    for (const { name, kernels } of variants) {
      const live = moved.slice();
      expect(kernels.evolve(live, pristine, move, mirror, 0), name).toBe(there.filter((value, i) => value !== from[i]).length);
      const mirrored = from.map((value, i) => 2 * value - (there[i] as number));
      expect(sameBits(valuesOf(live, format), mirrored), name).toBe(true);
      kernels.evolve(live, pristine, move, mirror, 0);
      expect(Buffer.compare(live, moved), name).toBe(0);
    }
  });
});
