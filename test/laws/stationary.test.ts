// What rails make of the stationary variance of `relax`: the chain of stationary.ts against many steps of the law itself, on codes at one
// distance from the rail.

import { describe, expect, it } from "vitest";
import { decode } from "../../src/lattice/decode.js";
import { encodedFormat, type Format, formatNamed } from "../../src/lattice/formats.js";
import { makeMove } from "../../src/lattice/perturb.js";
import { classesOf, classOfCode, takeCensus } from "../../src/laws/census.js";
import { relaxation } from "../../src/laws/relaxation.js";
import { Weights } from "../../src/laws/workspace.js";
import { streamKey } from "../../src/noise/index.js";
import { fastest } from "../support/backends.js";

const WEIGHTS = 32768;

/** Blocks of codes that all have the class d, and the step 1. */
function blocks(format: Format, d: number): Uint8Array | undefined {
  const encoded = encodedFormat(format);
  const head = { Q8_0: [0x00, 0x3c], Q4_0: [0x00, 0x3c], Q5_0: [0x00, 0x3c], IQ4_NL: [0x00, 0x3c], MXFP4: [128] }[format.name] as number[];
  for (let byte = 0; byte < 256; byte++) {
    const block = new Uint8Array(format.bytes).fill(byte);
    if (format.name === "Q5_0") block.fill(byte & 1 ? 0xff : 0, 2, 6);
    block.set(head);
    const census = takeCensus(block, encoded, undefined, 0, new Weights());
    if (census[1 + d] === format.weights) {
      const data = new Uint8Array((WEIGHTS / format.weights) * format.bytes);
      for (let at = 0; at < data.length; at += block.length) data.set(block, at);
      return data;
    }
  }
  return undefined;
}

describe.each([0.6065, 0.94])("a = %f", (keep) => {
  describe.each(["Q4_0", "Q5_0", "Q8_0", "IQ4_NL", "MXFP4"])("%s", (name) => {
    const format = formatNamed(name) as Format;
    const encoded = encodedFormat(format);
    const gap = name === "IQ4_NL" ? 16 : name === "MXFP4" ? 12 / 7 : 1;
    const squares = relaxation.stationary(Math.fround(keep), encoded, false);
    const distances = [1, 2, 4, 7, 12, 30].filter((d) => d < classesOf(encoded));
    it.each([0.08, 0.3, 0.65, 0.75, 1.5, 5, 20].map((s) => s * gap))("s = %f", (s) => {
      for (const d of distances) {
        const pristine = blocks(format, d) as Uint8Array;
        const live = pristine.slice();
        const start = decode(name, pristine);
        let sum = 0;
        let fourth = 0;
        let n = 0;
        const gapTicks = Math.ceil(2 / (1 - keep));
        for (let tick = 1; tick <= 16 * gapTicks; tick++) {
          const move = makeMove(format, { sigma: Math.fround(s), inSteps: false, steps: null, rowLength: 1, rounding: "matched", key: streamKey(5n, "x"), tick, index: 0 });
          fastest.evolve(live, pristine, move, relaxation, Math.fround(keep));
          if (tick % gapTicks !== 0 || tick < 4 * gapTicks) continue;
          const now = decode(name, live);
          for (let i = 0; i < now.length; i++) {
            const square = ((now[i] as number) - (start[i] as number)) ** 2;
            sum += square;
            fourth += square * square;
            n++;
          }
        }
        const counts = new Float32Array(classesOf(encoded));
        counts[d] = 1;
        const expected = squares.sum(s * s, counts, 0);
        const mean = sum / n;
        const error = Math.sqrt((fourth / n - mean * mean) / n);
        console.log(keep, name, "s", s.toFixed(2), "d", d, "is", (mean / s / s).toFixed(4), "±", (error / s / s).toFixed(4), "chain", (expected / s / s).toFixed(4), "ratio", (mean / expected).toFixed(3), ((mean - expected) / error).toFixed(1));
      }
    });
  });
});
