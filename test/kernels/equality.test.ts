// Same arguments, same bytes: every backend and instruction set against plain JavaScript, over sizes, offsets, types, laws and splits.
import { describe, expect, it } from "vitest";
import type { Kernels } from "../../src/kernels/contract.js";
import { jsKernels } from "../../src/kernels/js.js";
import { encodedFormat, FORMATS, type Format } from "../../src/lattice/formats.js";
import type { Move } from "../../src/laws/move.js";
import { Rounding, SUM_LEAF } from "../../src/laws/numbers.js";
import { variants } from "../support/backends.js";

/** A small generator of its own for arguments (Numerical Recipes' LCG): not the code under test. */
function arguments_(seed: number) {
  let state = seed >>> 0;
  const word = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state;
  };
  const unit = () => word() / 2 ** 32;
  return { word, unit, below: (n: number) => Math.floor(unit() * n) };
}

const bytesOf = (a: Uint8Array | Uint32Array | Float32Array) => Buffer.from(a.buffer, a.byteOffset, a.byteLength);

/** Blocks with random codes and scales; now and then a scale of zero, infinity, NaN, a subnormal or a negative one. */
function randomBlocks(format: Format, blocks: number, random: ReturnType<typeof arguments_>): Uint8Array {
  const data = new Uint8Array(blocks * format.bytes);
  for (let i = 0; i < data.length; i++) data[i] = random.word() >>> 24;
  if (format.lattice?.step !== "f16") return data;
  const odd = [0, 0x7c00, 0xfc00, 0x7e00, 1, 0x8001, 0x03ff];
  for (let block = 0; block < blocks; block++) {
    const scale =
      random.unit() < 0.1 ? (odd[random.below(odd.length)] as number) : 0x2000 + random.below(0x1000) + (random.word() & 0x8000);
    data[block * format.bytes + format.lattice.stepOffset] = scale & 255;
    data[block * format.bytes + format.lattice.stepOffset + 1] = scale >> 8;
  }
  return data;
}

function randomMove(format: Format, weights: number, rounding: Move["rounding"], random: ReturnType<typeof arguments_>): Move {
  const sigma = Math.fround(random.unit() * 10 ** (random.below(14) - 8));
  const key = { k0: random.word(), k1: random.word() };
  const inSteps = random.unit() < 0.2;
  const common = { format: encodedFormat(format), sigma, inSteps, rounding, key, tick: random.word() };
  if (format.lattice?.step !== "external") {
    return { ...common, steps: null, rowLength: 1, index: format.weights * random.below(random.unit() < 0.5 ? 1000 : 2 ** 40) };
  }
  if (random.unit() < 0.5) {
    return { ...common, steps: Float32Array.of(0.01), rowLength: Number.MAX_SAFE_INTEGER, index: random.below(2 ** 40) };
  }
  const index = random.below(1000);
  const rows = 2 + random.below(20);
  const steps = new Float32Array(rows).map(() => (random.unit() < 0.1 ? 0 : random.unit() * 0.1));
  return { ...common, steps, rowLength: Math.ceil((index + weights) / rows) || 1, index };
}

/** A move of some data, and what plain JavaScript makes of it. */
interface Case {
  readonly data: Uint8Array;
  readonly move: Move;
  readonly what: string;
  readonly changed: number;
  readonly moved: Uint8Array;
  readonly sum: number;
}

const sumOf = (kernels: Kernels, data: Uint8Array, move: Move) =>
  kernels.sumSquares(data, move.format, move.steps, move.rowLength, move.index, 1.5);

function caseOf(data: Uint8Array, move: Move, what: string): Case {
  const moved = data.slice();
  const changed = jsKernels.perturb(moved, move);
  return { data, move, what, changed, moved, sum: sumOf(jsKernels, data, move) };
}

/** What JavaScript computes is computed once for all backends that are compared with it. */
const remembered = new Map<string, unknown>();
function once<T>(name: string, make: () => T): T {
  if (!remembered.has(name)) remembered.set(name, make());
  return remembered.get(name) as T;
}

function smallCases(format: Format, name: string, rounding: Move["rounding"]): Case[] {
  const random = arguments_(2 + rounding);
  const cases: Case[] = [];
  // Of blocks there are as many for several n: what differs then is the move.
  for (let n = 0; n <= 300; n += n >= 70 ? 23 : format.weights === 1 ? 1 : 3) {
    const blocks = format.weights === 1 ? n : Math.ceil(n / format.weights);
    const move = randomMove(format, blocks * format.weights, rounding, random);
    cases.push(caseOf(randomBlocks(format, blocks, random), move, `${name}, ${blocks} blocks, sigma ${move.sigma}`));
  }
  return cases;
}

function largeCases(format: Format, name: string, rounding: Move["rounding"]): Case[] {
  const random = arguments_(20 + rounding);
  return Array.from({ length: 2 }, () => {
    const weights = 70_000 + 32 * random.below(100);
    const blocks = Math.floor(weights / format.weights);
    const data = randomBlocks(format, blocks, random);
    const move = randomMove(format, blocks * format.weights, rounding, random);
    return caseOf(data, move, `${name}, sigma ${move.sigma}`);
  });
}

/** @param shift bytes from an aligned address to the data's */
function expectSameMoves(kernels: Kernels, { data, move, what, changed, moved, sum }: Case, shift: number): void {
  const actual = new Uint8Array(data.length + shift).subarray(shift);
  actual.set(data);
  expect(kernels.perturb(actual, move), `${what}: changed`).toBe(changed);
  expect(bytesOf(actual).equals(bytesOf(moved)), `${what}: bytes`).toBe(true);
  expect(sumOf(kernels, data, move), `${what}: sum of squares`).toEqual(sum);
}

describe.each(variants.filter((v) => v.kernels !== jsKernels))("$name equals js", ({ kernels }) => {
  it("bits, uniforms and normals of 0...300 elements from anywhere", () => {
    const random = arguments_(1);
    for (let n = 0; n <= 300; n++) {
      const key = { k0: random.word(), k1: random.word() };
      // Half of the runs cross the border where the low word of the block number wraps around.
      const blockLo = n % 2 === 0 ? (2 ** 32 - random.below(40)) >>> 0 : random.word();
      const at = { blockLo, blockHi: random.word(), skip: n % 4, tick: random.word(), purpose: random.below(5) };
      const bits: [Uint32Array, Uint32Array] = [new Uint32Array(n), new Uint32Array(n)];
      jsKernels.bits(bits[0], key, at);
      kernels.bits(bits[1], key, at);
      expect(bytesOf(bits[1]).equals(bytesOf(bits[0])), `bits ${n}`).toBe(true);
      for (const draw of ["uniform", "normal"] as const) {
        const out: [Float32Array, Float32Array] = [new Float32Array(n), new Float32Array(n)];
        jsKernels[draw](out[0], key, at);
        kernels[draw](out[1], key, at);
        expect(bytesOf(out[1]).equals(bytesOf(out[0])), `${draw} ${n}`).toBe(true);
      }
    }
  });

  it("a million normals", () => {
    const at = { blockLo: 77, blockHi: 0, skip: 3, tick: 9, purpose: 1 };
    const drawn = (by: Kernels) => {
      const out = new Float32Array(1_000_003);
      by.normal(out, { k0: 1, k1: 2 }, at);
      return bytesOf(out);
    };
    expect(drawn(kernels).equals(once("a million", () => drawn(jsKernels)))).toBe(true);
  });

  describe.each(FORMATS.map((format) => ({ name: format.name, format })))("$name", ({ format }) => {
    it.each(Object.entries(Rounding))("%s, 0...300 blocks", (name, rounding) => {
      const cases = once(`${format.name} ${name} small`, () => smallCases(format, name, rounding));
      for (const one of cases) expectSameMoves(kernels, one, 0);
    });

    it.each(Object.entries(Rounding))("%s, large, at an unaligned address", (name, rounding) => {
      const cases = once(`${format.name} ${name} large`, () => largeCases(format, name, rounding));
      for (const one of cases) expectSameMoves(kernels, one, 3);
    });
  });
});

describe.each(variants)("$name does not care how work is split", ({ kernels }) => {
  it.each(FORMATS.map((format) => ({ name: format.name, format })))("$name", ({ format }) => {
    const random = arguments_(40);
    const blocks = Math.ceil(6000 / format.weights);
    const data = randomBlocks(format, blocks, random);
    for (const rounding of Object.values(Rounding)) {
      const move = { ...randomMove(format, blocks * format.weights, rounding, random), sigma: Math.fround(0.01) };
      const whole = data.slice();
      const changed = kernels.perturb(whole, move);
      const chunks = data.slice();
      let sum = 0;
      for (let block = 0; block < blocks; ) {
        const count = Math.min(blocks - block, 1 + random.below(Math.ceil(1500 / format.weights)));
        const chunk = chunks.subarray(block * format.bytes, (block + count) * format.bytes);
        sum += kernels.perturb(chunk, { ...move, index: move.index + block * format.weights });
        block += count;
      }
      expect(sum).toBe(changed);
      expect(bytesOf(chunks).equals(bytesOf(whole))).toBe(true);
    }
  });

  it.each(FORMATS)("sums of squares of $name that are numbers", (format) => {
    const random = arguments_(51);
    const external = format.lattice?.step === "external";
    const encoded = encodedFormat(format);
    for (const weights of [format.weights, 4096 + format.weights, 2.3 * SUM_LEAF]) {
      // Exponents that are full make NaNs, and random data has one nearly always: without their highest bits none is.
      const data = once(`${format.name} ${weights} data`, () =>
        randomBlocks(format, Math.floor(weights / format.weights), random).map((byte) => byte & 0xbf),
      );
      const steps = external ? Float32Array.of(0.5, 0.25) : null;
      const length = external ? 200_000 : 1;
      const expected = once(`${format.name} ${weights}`, () => jsKernels.sumSquares(data, encoded, steps, length, 0, 0.125));
      expect(Number.isFinite(expected)).toBe(true);
      expect(kernels.sumSquares(data, encoded, steps, length, 0, 0.125)).toBe(expected);
    }
  });

  it("sums of squares, split at whole leaves", () => {
    const random = arguments_(50);
    for (const format of FORMATS) {
      const blocks = Math.ceil((1.5 * SUM_LEAF) / format.weights);
      const data = once(`${format.name} in leaves`, () => randomBlocks(format, blocks, random));
      const encoded = encodedFormat(format);
      const steps = format.lattice?.step === "external" ? Float32Array.of(0.5) : null;
      const length = Number.MAX_SAFE_INTEGER;
      const cut = (SUM_LEAF / format.weights) * format.bytes;
      const first = kernels.sumSquares(data.subarray(0, cut), encoded, steps, length, 0, 0);
      const split = kernels.sumSquares(data.subarray(cut), encoded, steps, length, SUM_LEAF, first);
      expect(split, format.name).toEqual(kernels.sumSquares(data, encoded, steps, length, 0, 0));
    }
  });
});
