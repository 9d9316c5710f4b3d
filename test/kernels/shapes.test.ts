// Formats of which no line of the addon knows the shape: planes, groups and blocks unlike those of any type there is have the bytes of plain
// JavaScript all the same. What lattice/formats.ts may grow by, tried before it does.
import { describe, expect, it } from "vitest";
import { jsKernels } from "../../src/kernels/js.js";
import type { Format, Lattice, Plane } from "../../src/lattice/formats.js";
import type { EncodedFormat, Move } from "../../src/laws/move.js";
import { FORMAT_FIELDS, Kind, Levels, Rounding, StepKind } from "../../src/laws/numbers.js";
import { relaxation } from "../../src/laws/relaxation.js";
import { native } from "../support/backends.js";

const plane = (offset: number, bits: number, shift: number, group: number, stride: number, run: number): Plane => ({
  offset,
  bits,
  shift,
  group,
  stride,
  run,
});

/** A format with a half float for its step, at byte 0. */
function odd(name: string, weights: number, bytes: number, lattice: Partial<Lattice> & Pick<Lattice, "planes">): Format {
  const common = {
    bias: 4,
    levels: "uniform",
    lo: -4,
    hi: 3,
    group: weights,
    step: "f16",
    stepOffset: 0,
    scalesOffset: 0,
  } as const;
  return { name, ggml: -1, kind: "lattice", weights, bytes, lattice: { ...common, ...lattice } };
}

const nibble = { bias: 8, lo: -8, hi: 7 };
const table = { bias: 0, lo: 0, hi: 15, levels: "iq4nl" } as const;
const ODD: readonly Format[] = [
  odd("3 bits in runs of 8 and 4", 32, 14, { planes: [plane(2, 2, 0, 32, 8, 8), plane(10, 1, 2, 32, 4, 4)] }),
  odd("the upper bit first", 32, 14, { planes: [plane(10, 1, 2, 32, 4, 4), plane(2, 2, 0, 32, 8, 8)] }),
  odd("3 bits, each run half a byte unused", 32, 34, { planes: [plane(2, 3, 0, 32, 32, 16)] }),
  odd("the lower halves of bytes", 32, 34, { ...nibble, planes: [plane(2, 4, 0, 16, 16, 16)] }),
  odd("neighbours in one byte", 32, 18, { ...nibble, planes: [plane(2, 4, 0, 2, 1, 1)] }),
  odd("6 bits a byte", 32, 34, { bias: 32, lo: -32, hi: 31, planes: [plane(2, 6, 0, 16, 16, 16)] }),
  odd("bytes with gaps", 32, 42, { bias: 0, lo: -127, hi: 127, planes: [plane(2, 8, 0, 16, 20, 16)] }),
  odd("8 bits in two planes", 32, 34, {
    bias: 128,
    lo: -127,
    hi: 127,
    planes: [plane(2, 4, 0, 32, 16, 16), plane(18, 4, 4, 32, 16, 16)],
  }),
  odd("groups of 64", 64, 34, { ...nibble, planes: [plane(2, 4, 0, 64, 32, 32)] }),
  odd("groups of 128", 128, 34, { bias: 2, lo: -2, hi: 1, planes: [plane(2, 2, 0, 128, 32, 32)] }),
  odd("blocks of 16", 16, 10, { ...nibble, planes: [plane(2, 4, 0, 16, 8, 8)] }),
  odd("a table by groups of 64", 64, 34, { ...table, planes: [plane(2, 4, 0, 64, 32, 32)] }),
  odd("a table in two planes", 32, 18, { ...table, planes: [plane(2, 2, 0, 32, 8, 8), plane(10, 2, 2, 32, 8, 8)] }),
  odd("a table of signs, neighbours in one byte", 32, 18, {
    ...table,
    levels: "e2m1",
    hi: 14,
    planes: [plane(2, 4, 0, 2, 1, 1)],
  }),
];

/** What lattice/formats.ts makes of its own formats. */
function encodedFormat({ weights, bytes, lattice }: Format): EncodedFormat {
  const { bias, levels, lo, hi, group, step, stepOffset, scalesOffset, planes } = lattice as Lattice;
  const fields = [Kind.lattice, weights, bytes, bias, Levels[levels], lo, hi, group, StepKind[step], stepOffset, scalesOffset];
  const row = new Int32Array(FORMAT_FIELDS);
  row.set([...fields, planes.length, ...planes.flatMap((p) => [p.offset, p.bits, p.shift, p.group, p.stride, p.run])]);
  return row;
}

/** A generator of arguments, not the code under test. */
function words(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state;
  };
}

function randomBlocks(format: Format, blocks: number, word: () => number): Uint8Array {
  const data = new Uint8Array(blocks * format.bytes).map(() => word() >>> 24);
  // Steps from 2^-7 to 1/8, and now and then none.
  for (let at = 0; at < data.length; at += format.bytes) data[at + 1] = word() % 16 === 0 ? 0 : 0x20 + ((word() >>> 8) % 16);
  return data;
}

const same = (a: Uint8Array, b: Uint8Array) => Buffer.compare(a, b) === 0;

describe.each(native)("$name equals js", ({ kernels }) => {
  it.each(ODD)("where a format has $name", (format) => {
    const word = words(7);
    const encoded = encodedFormat(format);
    for (const blocks of [1, 3, 64, 5000 / format.weights + 200]) {
      const pristine = randomBlocks(format, Math.floor(blocks), word);
      for (const rounding of Object.values(Rounding)) {
        for (const sigma of [1e-5, 1e-3, 0.02, 0.3, 5]) {
          const move: Move = {
            format: encoded,
            sigma: Math.fround(sigma),
            inSteps: word() % 4 === 0,
            steps: null,
            rowLength: 1,
            rounding,
            key: { k0: word(), k1: word() },
            index: format.weights * (word() % 1000),
            tick: word(),
          };
          const expected = pristine.slice();
          const actual = pristine.slice();
          const what = `${pristine.length} bytes, rounding ${rounding}, sigma ${sigma}`;
          expect(kernels.perturb(actual, move), what).toBe(jsKernels.perturb(expected, move));
          expect(same(actual, expected), what).toBe(true);
          expect(kernels.difference(actual, pristine, encoded), what).toBe(jsKernels.difference(expected, pristine, encoded));
          const sum = (k: typeof kernels) => k.sumSquares(actual, encoded, null, 1, 0, 0);
          expect(sum(kernels), what).toBe(sum(jsKernels));
          if (rounding !== Rounding.matched) continue;
          const next = { ...move, tick: word() };
          const keep = Math.fround(0.9);
          const changed = jsKernels.evolve(expected, pristine, next, relaxation, keep);
          expect(kernels.evolve(actual, pristine, next, relaxation, keep), what).toBe(changed);
          expect(same(actual, expected), what).toBe(true);
        }
      }
    }
  });

  it("says what is no format, and changes nothing", () => {
    const [format] = ODD;
    const encoded = encodedFormat(format as Format);
    const data = randomBlocks(format as Format, 4, words(1));
    const before = data.slice();
    for (let field = 0; field < encoded.length; field++) {
      for (const value of [-1, 3, 4096, 2 ** 31 - 1, -(2 ** 31)]) {
        const wrong = encoded.slice();
        wrong[field] = value;
        const other = before.slice();
        // Some fields may be others, or mean nothing here: then there is another format, or the same.
        try {
          kernels.difference(data, other, wrong);
        } catch (error) {
          expect((error as Error).message, `field ${field} = ${value}`).toMatch(/format|blocks/);
        }
        expect(same(data, before)).toBe(true);
      }
    }
  });
});
