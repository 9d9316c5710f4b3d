// The laws on every lattice format: at every code, rails included, the mean of the moves is 0, and the variance is what the rounding says,
// cut at the rails. Codes are read back through the format's own unpacking; scales are set so that the step is 1.
import { describe, expect, it } from "vitest";
import { stepsOf } from "../../src/lattice/decode.js";
import { encodedFormat, FORMATS, type Format } from "../../src/lattice/formats.js";
import { perturb } from "../../src/lattice/perturb.js";
import { pack, unpack } from "../../src/laws/codes.js";
import { levelOfCode, levelsOf } from "../../src/laws/levels.js";
import type { Rounding } from "../../src/laws/numbers.js";
import { Levels } from "../../src/laws/numbers.js";
import { fastest } from "../support/backends.js";
import { histogramOf, type MoveLaw, matchedLaw, moments, nearestLaw, stochasticLaw } from "../support/statistics.js";

const WEIGHTS = 1 << 13; // a code, a scale and a format
const SCALES = [0.01, 0.1, 0.5, 1, 3, 10];

/** Blocks whose groups all have step 1 and origin 0. */
function unitBlocks(format: Format, blocks: number): Uint8Array {
  const { step, stepOffset, scalesOffset } = format.lattice!;
  const block = new Uint8Array(format.bytes);
  const one = () => block.set([0x00, 0x3c], stepOffset); // float16 1
  const fill = (offset: number, bytes: readonly number[]) => block.set(bytes, offset);
  if (step === "e8m0") fill(stepOffset, [128]);
  else if (step === "ue4m3") fill(stepOffset, [0x40, 0x40, 0x40, 0x40]);
  else if (step !== "external") one();
  if (step === "k2") fill(scalesOffset, new Array(16).fill(1));
  if (step === "k3") fill(scalesOffset, [...new Array(8).fill(0x11), ...new Array(4).fill(0xaa)]); // 33 - 32
  if (step === "k4") fill(scalesOffset, [1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 1, 1]);
  if (step === "k6") fill(scalesOffset, new Array(16).fill(1));
  if (step === "iq4") {
    fill(scalesOffset, new Array(4).fill(0x11));
    fill(stepOffset + 2, [0xaa, 0xaa]);
  }
  const out = new Uint8Array(blocks * format.bytes);
  for (let b = 0; b < blocks; b++) out.set(block, b * format.bytes);
  return out;
}

/** What 8,192 weights of this code become, in units of the step: value -> count. */
function moved(format: Format, code: number, s: number, rounding: Rounding): Map<number, number> {
  const encoded = encodedFormat(format);
  const blocks = WEIGHTS / format.weights;
  const data = unitBlocks(format, blocks);
  pack(new Int8Array(WEIGHTS).fill(code), data, 0, blocks, encoded);
  const step = format.name === "I8" ? { step: 1 } : {};
  perturb(
    data,
    { type: format.name, sigma: s, seed: BigInt(code + 200), name: `${format.name} ${s}`, rounding, ...step },
    fastest,
  );
  const codes = new Int8Array(WEIGHTS);
  unpack(codes, data, 0, blocks, encoded);
  const counts = new Map<number, number>();
  histogramOf(codes).forEach((count, q) => {
    const value = valueIn(format, (q << 24) >> 24);
    if (count > 0) counts.set(value, (counts.get(value) ?? 0) + count);
  });
  return counts;
}

function valueIn(format: Format, code: number): number {
  const levels = Levels[format.lattice!.levels];
  return levels === Levels.uniform ? code : (levelsOf(levels)[levelOfCode(levels, code)] as number);
}

const LAWS: Record<Rounding, (s: number) => MoveLaw> = { nearest: nearestLaw, stochastic: stochasticLaw, matched: matchedLaw };

/** Every code, or, of the formats with many, those at the rails, beside them and in the middle. */
function someCodes(lo: number, hi: number): number[] {
  if (hi - lo < 32) return Array.from({ length: hi - lo + 1 }, (_, i) => lo + i);
  return [lo, lo + 1, lo + 5, Math.floor((lo + hi) / 2), hi - 5, hi - 1, hi];
}

const lattices = FORMATS.filter((format) => format.lattice !== undefined);

describe("unit blocks", () => {
  it.each(lattices.filter((f) => f.name !== "I8"))("of $name have step 1", (format) => {
    const gap = format.lattice!.levels === "iq4nl" ? 16 : format.lattice!.levels === "e2m1" ? 24 / 14 : 1;
    for (const step of stepsOf(format, unitBlocks(format, 2))) expect(step).toBeCloseTo(gap, 6);
  });
});

describe.each(lattices.filter((f) => f.lattice!.levels === "uniform"))("$name", (format) => {
  const { lo, hi } = format.lattice!;
  it.each(Object.keys(LAWS) as Rounding[])("%s", (rounding) => {
    for (const s of SCALES) {
      const law = LAWS[rounding](s);
      for (const code of someCodes(lo, hi)) {
        const { m2, m4 } = moments(law, Math.min(code - lo, hi - code));
        let sum = 0;
        let squares = 0;
        for (const [q, count] of moved(format, code, s, rounding)) {
          sum += (q - code) * count;
          squares += (q - code) ** 2 * count;
        }
        // Five standard errors of 8,192 draws; +1 for laws that are practically never anything but 0.
        expect(Math.abs(sum), `mean, code ${code}, s = ${s}`).toBeLessThan(5 * Math.sqrt(m2 * WEIGHTS) + 1);
        expect(Math.abs(squares - m2 * WEIGHTS), `variance, code ${code}, s = ${s}`).toBeLessThan(
          5 * Math.sqrt((m4 - m2 * m2) * WEIGHTS) + 1,
        );
      }
    }
  });
});

describe.each(lattices.filter((f) => f.lattice!.levels !== "uniform"))("$name, whose values lie unevenly", (format) => {
  const levels = Levels[format.lattice!.levels];
  const values = levelsOf(levels);
  const codes = Array.from({ length: 16 }, (_, code) => code);

  it.each(Object.keys(LAWS) as Rounding[])("%s", (rounding) => {
    for (const s of [0.1, 0.5, 0.9, 2, 5, 12, 40]) {
      for (const code of codes) {
        const level = levelOfCode(levels, code);
        const x = values[level] as number;
        let sum = 0;
        let squares = 0;
        let fourth = 0;
        for (const [value, count] of moved(format, code, s, rounding)) {
          sum += (value - x) * count;
          squares += (value - x) ** 2 * count;
          fourth += (value - x) ** 4 * count;
        }
        if (level === 0 || level === values.length - 1) {
          expect(squares, `code ${code} is on its rail`).toBe(0);
          continue;
        }
        // `nearest` on an uneven grid is not unbiased: half-way points lie at different distances. The others are, at every code.
        if (rounding !== "nearest")
          expect(Math.abs(sum), `mean, code ${code}, s = ${s}`).toBeLessThan(5 * Math.sqrt(squares) + 1);
        const up = (values[level + 1] as number) - x;
        const down = x - (values[level - 1] as number);
        if (rounding === "matched" && s * s <= up * down) {
          const v = s * s;
          const m4 = (v * (up ** 3 + down ** 3)) / (up + down);
          expect(Math.abs(squares - v * WEIGHTS), `variance, code ${code}, s = ${s}`).toBeLessThan(
            5 * Math.sqrt((m4 - v * v) * WEIGHTS) + 1,
          );
        }
        if (rounding === "nearest" && s < Math.min(up, down) / 12) expect(fourth).toBe(0); // half a gap is six sigma away
      }
    }
  });

  it("keeps the second zero where it does not move", () => {
    if (format.lattice!.levels !== "e2m1") return;
    const encoded = encodedFormat(format);
    const blocks = WEIGHTS / format.weights;
    const data = unitBlocks(format, blocks);
    pack(new Int8Array(WEIGHTS).fill(8), data, 0, blocks, encoded);
    perturb(data, { type: format.name, sigma: 0.01, seed: 1n }, fastest);
    const back = new Int8Array(WEIGHTS);
    unpack(back, data, 0, blocks, encoded);
    expect([...back].filter((code) => ![8, 1, 9].includes(code))).toEqual([]); // -0, 1, -1, never +0
  });
});
