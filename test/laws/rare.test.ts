// Rare moves (src/laws/rare-groups.ts, rare-rows.ts): the numbers of hits are Poisson, weights are hit independently of each other, and
// what shortens the way to a number of hits never changes it.

import { describe, expect, it } from "vitest";
import { perturb } from "../../src/lattice/perturb.js";
import { HITS_MOST } from "../../src/laws/numbers.js";
import { hitsOf, SPARSE_VARIANCE } from "../../src/laws/rare-groups.js";
import { classOf, octaveOf, shareOf, tileOf } from "../../src/laws/rare-rows.js";
import { HITS } from "../../src/laws/tables.js";
import { fastest, variants } from "../support/backends.js";

/** P(N = n) of a Poisson number. */
const poisson = (mean: number, n: number) => {
  let p = Math.exp(-mean);
  for (let i = 1; i <= n; i++) p *= mean / i;
  return p;
};

/** E k^power of a difference k of two Poisson numbers of mean v/2 each. */
function skellamMoment(v: number, power: number): number {
  let sum = 0;
  for (let a = 0; a < 12; a++) for (let b = 0; b < 12; b++) sum += poisson(v / 2, a) * poisson(v / 2, b) * (a - b) ** power;
  return sum;
}

/** Blocks of Q8_0 of scale 1 and codes 0. */
function blocks(n: number): Uint8Array {
  const data = new Uint8Array(n * 34);
  for (let b = 0; b < n; b++) data[b * 34 + 1] = 0x3c;
  return data;
}

describe("the number of hits of a hit group", () => {
  // The 52 bits of t as byte and words, for t = P(N < n) and its neighbours.
  const draw = (t: number) => {
    const bits = BigInt(Math.round(t * 2 ** 52));
    return [Number(bits >> 44n), Number((bits >> 12n) & 0xffffffffn), Number((bits & 0xfffn) << 20n)] as const;
  };

  it.each([0.5, 0.25, 0.1, 0.01, 1e-4, 1e-7])("turns where the tail P(N > n) of mean %d begins", (mean) => {
    let tail = 1;
    for (let n = 0; n < 4; n++) {
      tail -= poisson(mean, n); // of more than n hits
      if (tail < 1e-8) break;
      // The polynomial errs by less than 2^-45, and is multiplied by 1 + mu + ... <= 1.65; rounding adds some 1e-16.
      const room = 1.65 * 2 ** -45 + 1e-15;
      expect(hitsOf(mean, ...draw(tail - room)), `${n} below`).toBeGreaterThan(n);
      expect(hitsOf(mean, ...draw(tail + room)), `${n} above`).toBeLessThanOrEqual(n);
    }
  });

  it("ends at ten", () => {
    expect(hitsOf(0.5, 0, 0, 0)).toBe(10);
    expect(hitsOf(0.5, 255, 2 ** 32 - 1, 2 ** 32 - 1)).toBe(0);
  });
});

describe("classes of rows", () => {
  it("hold each variance in a quarter of an octave, of which it accepts the share that it is of the upper end", () => {
    for (let i = 0; i < 2000; i++) {
      const v = Math.fround(SPARSE_VARIANCE * 2 ** (-i / 55)) * 0.99999;
      const float = Math.fround(v);
      const c = classOf(float);
      const upper = (5 + (c & 3)) * 2 ** -(octaveOf(c) + 3);
      expect(float).toBeLessThan(upper);
      if (float >= 2 ** -41) expect(float / upper).toBeGreaterThanOrEqual(0.8);
      expect(shareOf(float, c)).toBe(Math.floor((float / upper) * 2 ** 32));
      // The hits of a tile are as many as the rate u of its weights asks for.
      expect(upper * tileOf(c)).toBe(8 * (5 + (c & 3)));
    }
  });

  it("have Poisson tables of means 40, 48, 56 and 64", () => {
    for (let row = 0; row < 4; row++) {
      const table = HITS.subarray(row * HITS_MOST, (row + 1) * HITS_MOST);
      let mean = 0; // the sum of P(N > n)
      for (const below of table) mean += 1 - below / 2 ** 32;
      expect(mean).toBeCloseTo(40 + 8 * row, 6);
    }
  });
});

describe.each(variants)("on $name", ({ kernels }) => {
  it("weights of a block are hit independently: pairs move together as often as chance has it", () => {
    // s^2 just below the border, where a block has half a hit on average.
    const s2 = SPARSE_VARIANCE * 0.999;
    const n = 1 << 13;
    let moves = 0;
    let squares = 0;
    let pairs = 0;
    let draws = 0;
    for (let tick = 0; tick < 4; tick++) {
      const data = blocks(n);
      perturb(data, { type: "Q8_0", sigma: Math.sqrt(s2), scale: "step", seed: 3n, name: "rare", tick }, kernels);
      for (let b = 0; b < n; b++, draws++) {
        let here = 0;
        for (let i = 2; i < 34; i++) {
          const k = ((data[b * 34 + i] as number) << 24) >> 24;
          here += k * k;
        }
        moves += here;
        squares += here * here;
      }
    }
    pairs = squares / draws - (moves / draws) ** 2; // variance of the sum of k^2 over a block
    // k is a difference of Poisson numbers of mean v/2: E k^2 = v, Var k^2 = v + 2 v^2; a block has 32 of them if they are independent.
    expect(Math.abs(moves / draws - 32 * s2)).toBeLessThan(5 * Math.sqrt((32 * (s2 + 2 * s2 * s2)) / draws));
    // A sample variance has the variance (kappa4 + 2 kappa2^2) / draws; cumulants of the 32 squares add up.
    const [m1, m2, m3, m4] = [2, 4, 6, 8].map((power) => skellamMoment(s2, power)) as [number, number, number, number];
    const kappa2 = m2 - m1 * m1;
    const kappa4 = m4 - 4 * m3 * m1 - 3 * m2 * m2 + 12 * m2 * m1 * m1 - 6 * m1 ** 4;
    expect(Math.abs(pairs - 32 * kappa2)).toBeLessThan(5 * Math.sqrt((32 * kappa4 + 2 * (32 * kappa2) ** 2) / draws));
  });
});

it("places within a block and signs are uniform", () => {
  const places = new Float64Array(32);
  let sum = 0;
  let moved = 0;
  const n = 1 << 15;
  for (let tick = 0; tick < 8; tick++) {
    const data = blocks(n);
    perturb(data, { type: "Q8_0", sigma: 0.1, scale: "step", seed: 4n, name: "places", tick }, fastest);
    for (let b = 0; b < n; b++) {
      for (let i = 0; i < 32; i++) {
        const k = ((data[b * 34 + 2 + i] as number) << 24) >> 24;
        if (k === 0) continue;
        places[i]!++;
        moved++;
        sum += Math.sign(k);
      }
    }
  }
  const each = moved / 32;
  let chi2 = 0;
  for (const count of places) chi2 += (count - each) ** 2 / each;
  expect(chi2).toBeLessThan(31 + 5 * Math.sqrt(62));
  expect(Math.abs(sum)).toBeLessThan(5 * Math.sqrt(moved));
});
