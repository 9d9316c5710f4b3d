// The table that runs draw from (src/laws/alias.ts), by counting: variances are exact, probabilities those of the law to its resolution,
// and what weights share (a row, five bits) ties their moves together as little as docs/theory/moves.md says.

import { describe, expect, it } from "vitest";
import { alias } from "../../src/laws/alias.js";
import { ALIAS_FIRST, ALIAS_ROW, ALIAS_SHIFT, ALIAS_STILL } from "../../src/laws/numbers.js";
import { matchedLaw } from "../support/statistics.js";

const TABLE = alias();

const bits = new Uint32Array(1);
const float = new Float32Array(bits.buffer);
const varianceOf = (row: number): number => {
  bits[0] = (ALIAS_FIRST + row) << ALIAS_SHIFT;
  return float[0] as number;
};
const rows = Array.from({ length: ALIAS_STILL }, (_, row) => row);

/** P(|k| >= j) at v: the mixture of the laws at the two multiples of 1/4 around it. */
function mixture(v: number): (j: number) => number {
  const lower = Math.min(Math.floor(4 * v), 15) / 4;
  const [a, b] = [lower, lower + 0.25].map((quarter) => matchedLaw(Math.sqrt(quarter)).tails);
  return (j) => (1 - 4 * (v - lower)) * (a?.[j - 1] ?? 0) + 4 * (v - lower) * (b?.[j - 1] ?? 0);
}

/** The size drawn for a bucket and a share, -128 ... 127, in a variant of a row. */
function sizeOf(row: number, variant: number, bucket: number, share: number): number {
  const at = row * ALIAS_ROW + bucket;
  return TABLE[at + (share < (TABLE[at + 32 + 16 * variant] as number) ? 0 : 16)] as number;
}

/** Calls `use` for every equally likely outcome of a variant of a row. */
function eachOutcome(row: number, variant: number, use: (size: number, shared: number) => void): void {
  for (let bucket = 0; bucket < 16; bucket++) {
    for (let share = -128; share < 128; share++) use(sizeOf(row, variant, bucket, share), share & 31);
  }
}

describe("the table of the matched law", () => {
  it("has variances of four bits of mantissa, exactly, and the law's probabilities to 2^-14", () => {
    for (const row of rows) {
      const v = varianceOf(row);
      const law = mixture(v);
      const counts = new Array<number>(16).fill(0);
      for (let variant = 0; variant < 8; variant++) {
        eachOutcome(row, variant, (k) => {
          counts[k] = (counts[k] as number) + 1;
        });
      }
      expect(counts.reduce((sum, n, k) => sum + n * k * k, 0) / 32768).toBe(v);
      for (let k = 1; k < 16; k++) {
        // Rounded to 2^-15, and by what rounding at larger k left of the variance.
        const p = law(k) - law(k + 1);
        expect(Math.abs((counts[k] as number) / 32768 - p), `P(|k| = ${k}) at v = ${v}`).toBeLessThan(2 ** -14);
      }
    }
  });

  it("moves nothing in its last row", () => {
    for (let i = 0; i < 32; i++) expect(TABLE[ALIAS_STILL * ALIAS_ROW + i]).toBe(0);
  });

  it("ties the squares of moves that share a row, or five bits, together by no more than 0.0005 and 0.0022", () => {
    let byRow = 0;
    let byBits = 0;
    for (const row of rows.slice(0, -1)) {
      let sum = 0;
      let squares = 0;
      let fourth = 0;
      const ofRow: number[] = [];
      const ofShared = new Array<number>(32).fill(0);
      for (const r of [row, row + 1]) {
        for (let variant = 0; variant < 8; variant++) {
          let mean = 0;
          eachOutcome(r, variant, (k, shared) => {
            mean += (k * k) / 4096;
            fourth += k ** 4 / 4096 / 16;
            ofShared[shared] = (ofShared[shared] as number) + (k * k) / 128 / 16;
          });
          ofRow.push(mean);
          sum += mean / 16;
          squares += (mean * mean) / 16;
        }
      }
      const spread = fourth - sum * sum;
      byRow = Math.max(byRow, (squares - sum * sum) / spread);
      byBits = Math.max(byBits, ofShared.reduce((total, mean) => total + (mean - sum) ** 2, 0) / 32 / spread);
    }
    expect(byRow).toBeLessThan(0.0005);
    expect(byBits).toBeLessThan(0.0022);
  });
});
