// What rails make of the stationary variance of `relax`: the chain of stationary.ts against many steps of the law itself, on codes that are
// all at one distance from the rail.

import { describe, expect, it } from "vitest";
import { decode } from "../../src/lattice/decode.js";
import { encodedFormat, type Format, formatNamed } from "../../src/lattice/formats.js";
import { makeMove } from "../../src/lattice/perturb.js";
import { classesOf, takeCensus } from "../../src/laws/census.js";
import { whole } from "../../src/laws/mean-squares.js";
import { relaxation } from "../../src/laws/relaxation.js";
import { Weights } from "../../src/laws/workspace.js";
import { streamKey } from "../../src/noise/index.js";
import { fastest } from "../support/backends.js";

const WEIGHTS = 16384;
/** What a table's step is in its values, on average, and the bytes of a block whose step is 1. */
const FORMATS: Record<string, { gap: number; head: number[] }> = {
  Q4_0: { gap: 1, head: [0x00, 0x3c] },
  Q8_0: { gap: 1, head: [0x00, 0x3c] },
  IQ4_NL: { gap: 16, head: [0x00, 0x3c] },
  MXFP4: { gap: 12 / 7, head: [128] },
};

/** Blocks of codes that all have the class d, and the step 1. */
function blocks(format: Format, head: readonly number[], d: number): Uint8Array {
  for (let byte = 0; byte < 256; byte++) {
    const block = new Uint8Array(format.bytes).fill(byte);
    block.set(head);
    if (takeCensus(block, encodedFormat(format), undefined, 0, new Weights())[1 + d] !== format.weights) continue;
    const data = new Uint8Array((WEIGHTS / format.weights) * format.bytes);
    for (let at = 0; at < data.length; at += block.length) data.set(block, at);
    return data;
  }
  throw new Error(`no code of ${format.name} has the class ${d}`);
}

/** Mean square of the displacements, and its standard error, over ticks that are nearly independent. */
function measured(format: Format, pristine: Uint8Array, s: number, keep: number): { mean: number; error: number } {
  const live = pristine.slice();
  const start = decode(format, pristine);
  const apart = Math.ceil(2 / (1 - keep));
  let sum = 0;
  let fourth = 0;
  let n = 0;
  for (let tick = 1; tick <= 12 * apart; tick++) {
    const move = makeMove(format, {
      sigma: Math.fround(s),
      inSteps: false,
      steps: null,
      rowLength: 1,
      rounding: "matched",
      key: streamKey(5n, "codes"),
      tick,
      index: 0,
    });
    fastest.evolve(live, pristine, move, relaxation, keep);
    if (tick % apart !== 0 || tick < 4 * apart) continue;
    const now = decode(format, live);
    for (let i = 0; i < now.length; i++) {
      const square = ((now[i] as number) - (start[i] as number)) ** 2;
      sum += square;
      fourth += square * square;
      n++;
    }
  }
  const mean = sum / n;
  return { mean, error: Math.sqrt((fourth / n - mean * mean) / n) };
}

function expected(format: Format, d: number, s: number, keep: number): number {
  const counts = new Float32Array(classesOf(encodedFormat(format)));
  counts[d] = 1;
  return whole(relaxation.stationary(keep, encodedFormat(format), false).sum(s * s, counts, 0));
}

// Where the pull is light (s < 0.71), where it is heavy or in between; and where a coarser grid stands for the grid.
describe.each([0.6065, 0.94].map(Math.fround))("a = %f", (keep) => {
  it.each([
    ["Q4_0", 1, 0.08],
    ["Q4_0", 1, 0.3],
    ["Q4_0", 1, 0.65],
    ["Q4_0", 1, 0.75],
    ["Q4_0", 2, 1.5],
    ["Q4_0", 7, 5],
    ["Q8_0", 4, 1.5],
    ["Q8_0", 12, 20],
    ["Q8_0", 30, 20],
    ["IQ4_NL", 1, 0.3],
    ["IQ4_NL", 4, 1.5],
    ["IQ4_NL", 12, 1.5],
    ["MXFP4", 2, 0.65],
    ["MXFP4", 7, 1.5],
  ] as const)("%s, class %i, %f steps", (name, d, steps) => {
    const format = formatNamed(name) as Format;
    const { gap, head } = FORMATS[name] as (typeof FORMATS)[string];
    const s = steps * gap;
    const { mean, error } = measured(format, blocks(format, head, d), s, keep);
    const of = expected(format, d, s, keep);
    // Five standard errors; mean squares are straight between variances a quarter apart, and coarser grids are within 4 %.
    expect(Math.abs(mean - of)).toBeLessThan(5 * error + (steps > 4 && name === "Q8_0" ? 0.04 : 0.015) * of);
  });

  it("is 0 on a rail, and s^2 far from both", () => {
    for (const [name, far] of [
      ["Q8_0", 127],
      ["Q6_K", 31],
    ] as const) {
      const format = formatNamed(name) as Format;
      expect(expected(format, 0, 1.5, keep)).toBe(0);
      expect(expected(format, far, 1.5, keep)).toBeCloseTo(2.25, 3);
    }
  });
});
