// The laws of moves (docs/theory/moves.md): mean 0 at every code, variance s^2 for `matched`, the inflated variance of `stochastic`,
// the dead zone of `nearest`. Fixed seeds; every bound is five standard errors of the draws made.
import { describe, expect, it } from "vitest";
import { perturb } from "../../src/lattice/perturb.js";
import type { Rounding } from "../../src/laws/numbers.js";
import { fastest } from "../support/backends.js";
import { histogramOf, type MoveLaw, matchedLaw, moments, nearestLaw, stochasticLaw } from "../support/statistics.js";

const SCALES = [0.001, 0.01, 0.1, 0.5, 1, 3, 10];

const LAWS: Record<Rounding, (s: number) => MoveLaw> = { nearest: nearestLaw, stochastic: stochasticLaw, matched: matchedLaw };

/** Mean and mean square of n moves, in standard errors from what the law says. */
function deviations(counts: ReadonlyMap<number, number>, law: MoveLaw, room: number) {
  let n = 0;
  let sum = 0;
  let squares = 0;
  for (const [k, count] of counts) {
    n += count;
    sum += k * count;
    squares += k * k * count;
  }
  const { m2, m4 } = moments(law, room);
  return {
    n,
    variance: squares / n,
    mean: m2 === 0 ? sum : sum / n / Math.sqrt(m2 / n),
    excess: m2 === 0 ? squares : (squares / n - m2) / Math.sqrt((m4 - m2 * m2) / n),
  };
}

/** Moves of 1,048,576 Q4_0 weights of scale 1 that all have this code: a variance that is off by 1 % is told. */
function q4Moves(code: number, s: number, rounding: Rounding): Map<number, number> {
  const blocks = 1 << 15;
  const data = new Uint8Array(blocks * 18).fill((code + 8) * 17);
  for (let b = 0; b < blocks; b++) {
    data[b * 18] = 0x00;
    data[b * 18 + 1] = 0x3c;
  }
  perturb(data, { type: "Q4_0", sigma: s, seed: BigInt(code + 100), name: `${rounding} ${s}`, rounding }, fastest);
  const bytes = histogramOf(data);
  bytes[0x00]! -= blocks; // the scale
  bytes[0x3c]! -= blocks;
  const counts = new Map<number, number>();
  bytes.forEach((count, byte) => {
    for (const nibble of [byte & 15, byte >> 4]) counts.set(nibble - 8 - code, (counts.get(nibble - 8 - code) ?? 0) + count);
  });
  return counts;
}

/** Moves of 4,194,304 I8 weights of step 1 in the middle of their range. */
function i8Moves(s: number, rounding: Rounding): Map<number, number> {
  const data = new Uint8Array(1 << 22);
  perturb(data, { type: "I8", step: 1, sigma: s, seed: 9n, name: `${rounding} ${s}`, rounding }, fastest);
  const counts = new Map<number, number>();
  histogramOf(data).forEach((count, k) => {
    if (count > 0) counts.set((k << 24) >> 24, count);
  });
  return counts;
}

describe.each(Object.keys(LAWS) as Rounding[])("%s on every code of Q4_0, both rails included", (rounding) => {
  it.each(SCALES)("s = %d", (s) => {
    const law = LAWS[rounding](s);
    for (let code = -8; code <= 7; code++) {
      const room = Math.min(code + 8, 7 - code);
      const found = deviations(q4Moves(code, s, rounding), law, room);
      expect(found.n).toBe(1 << 20);
      expect(Math.abs(found.mean), `mean at code ${code}, in standard errors`).toBeLessThan(5);
      expect(Math.abs(found.excess), `variance at code ${code}, in standard errors`).toBeLessThan(5);
      if (room === 0) expect(found.variance, `code ${code} is on its rail`).toBe(0);
    }
  });
});

describe("away from the rails", () => {
  // Also between and beyond the rows of the table, where `matched` is a mixture of two laws: its variance is s^2 all the same.
  it.each([...SCALES, 0.3, 0.55, 0.66, 0.85, 1.2, 1.41, 1.9, 1.999, 2, 2.001, 2.5, 5])(
    "matched has variance s^2 at s = %d",
    (s) => {
      const counts = i8Moves(s, "matched");
      const n = 1 << 22;
      let sum = 0;
      let squares = 0;
      let fourth = 0;
      for (const [k, count] of counts) {
        sum += k * count;
        squares += k * k * count;
        fourth += k ** 4 * count;
      }
      // The standard error of the variance from the law's own fourth moment: s^2 for three points, else the sample's.
      const m4 = s * s <= 0.25 ? s * s : fourth / n;
      expect(Math.abs(sum / n)).toBeLessThan(5 * Math.sqrt((s * s) / n));
      expect(Math.abs(squares / n - s * s)).toBeLessThan(5 * Math.sqrt((m4 - s ** 4) / n));
    },
  );

  it.each(SCALES)("stochastic has variance s^2 + E[f(1 - f)] at s = %d", (s) => {
    // E[f(1 - f)] = 1/6 - (1/pi^2) sum over n of exp(-2 pi^2 n^2 s^2) / n^2
    let series = 0;
    for (let n = 1; n < 5000; n++) series += Math.exp(-2 * Math.PI ** 2 * n * n * s * s) / (n * n);
    const variance = s * s + 1 / 6 - series / Math.PI ** 2;
    const found = deviations(i8Moves(s, "stochastic"), stochasticLaw(s), 127);
    const { m4 } = moments(stochasticLaw(s));
    // 1e-5: what is left of the series after 5000 terms at s = 0.001.
    expect(Math.abs(found.variance - variance)).toBeLessThan(5 * Math.sqrt(m4 / found.n) + 1e-5);
    if (s <= 0.01) expect(variance / (s * s)).toBeGreaterThan(70); // the inflation that `matched` does away with
  });

  it("nearest moves nothing at s = 0.05: the dead zone", () => {
    expect(i8Moves(0.05, "nearest").get(0)).toBe(1 << 22);
    expect(i8Moves(0.05, "matched").get(0)).toBeLessThan(1 << 22);
  });
});

describe("floats", () => {
  const half = (h: number) => {
    const exponent = (h >> 10) & 31;
    const size = exponent === 0 ? (h & 1023) * 2 ** -24 : (1 + (h & 1023) / 1024) * 2 ** (exponent - 15);
    return h & 0x8000 ? -size : size;
  };
  const bfloat = (h: number) => new Float32Array(Uint32Array.of(h << 16).buffer)[0] as number;

  // Values in the middle of a binade and just above and below a power of two, where the grid changes its step.
  it.each([
    { type: "F16", bits: 0x2a00, decode: half },
    { type: "F16", bits: 0xa801, decode: half },
    { type: "F16", bits: 0x2bff, decode: half },
    { type: "F16", bits: 0x0005, decode: half },
    { type: "BF16", bits: 0x3d40, decode: bfloat },
    { type: "BF16", bits: 0xbd7f, decode: bfloat },
  ])("$type $bits: mean 0 and variance sigma^2 from a hundredth of a step to a thousand steps", ({ type, bits, decode }) => {
    const n = 1 << 20;
    const w = decode(bits);
    const step = Math.abs(decode(bits + 1) - w);
    for (const s of [0.01, 0.1, 0.5, 1, 3, 30, 300]) {
      const data = new Uint16Array(n).fill(bits);
      const sigma = Math.fround(s * step);
      perturb(new Uint8Array(data.buffer), { type, sigma, seed: 3n, name: `${bits} ${s}` }, fastest);
      let sum = 0;
      let squares = 0;
      let fourth = 0;
      for (const [h, count] of histogramOf(data).entries()) {
        if (count === 0) continue;
        const d = (decode(h) - w) / sigma;
        sum += d * count;
        squares += d * d * count;
        fourth += d ** 4 * count;
      }
      const m4 = s <= 0.5 ? 1 / (s * s) : fourth / n;
      expect(Math.abs(sum / n), `mean at s = ${s}`).toBeLessThan(5 * Math.sqrt(1 / n));
      // Where a step up crosses into a coarser binade the grid itself adds at most a sixth of its squared step: allow for it at the border.
      const border = (bits & 0x3ff) === 0x3ff || (bits & 0x7f) === 0x7f ? 1 / (s * s) : 0;
      const coarse = s > 1 ? 1 / (s * s) : border;
      expect(Math.abs(squares / n - 1), `variance at s = ${s}`).toBeLessThan(5 * Math.sqrt((m4 - 1) / n) + coarse / 2);
    }
  });

  it("F32 adds sigma z", () => {
    const n = 1 << 21;
    const data = new Float32Array(n).fill(0.5);
    perturb(new Uint8Array(data.buffer), { type: "F32", sigma: 0.01, seed: 3n }, fastest);
    let sum = 0;
    let squares = 0;
    for (const w of data) {
      sum += w - 0.5;
      squares += (w - 0.5) ** 2;
    }
    expect(Math.abs(sum / n)).toBeLessThan((5 * 0.01) / Math.sqrt(n));
    expect(Math.abs(squares / n / 1e-4 - 1)).toBeLessThan(5 * Math.sqrt(2 / n));
  });

  it("never become infinite or NaN, and leave infinities and NaNs alone", () => {
    for (const { type, bits, decode } of [
      { type: "F16", bits: [0x7bff, 0xfbff, 0x7c00, 0xfc00, 0x7e00], decode: half },
      { type: "BF16", bits: [0x7f7f, 0xff7f, 0x7f80, 0xff80, 0x7fc0], decode: bfloat },
    ]) {
      for (const rounding of ["nearest", "stochastic", "matched"] as const) {
        const data = new Uint16Array(5000).map((_, i) => bits[i % 5] as number);
        perturb(new Uint8Array(data.buffer), { type, sigma: 3e38, seed: 1n, rounding }, fastest);
        const finite = (h: number) => Number.isFinite(type === "F16" && (h & 0x7c00) === 0x7c00 ? Number.NaN : decode(h));
        const right = (h: number, i: number) => (i % 5 > 1 ? h === bits[i % 5] : finite(h));
        expect([...data].filter((h, i) => !right(h, i))).toEqual([]);
      }
    }
    const max = 3.4028234663852886e38;
    const floats = new Float32Array(6000).map((_, i) => [max, -max, 1, Number.NaN, Infinity, -Infinity][i % 6] as number);
    perturb(new Uint8Array(floats.buffer), { type: "F32", sigma: 3e38, seed: 1n }, fastest);
    expect([...floats].filter((w, i) => i % 6 < 3 && !Number.isFinite(w))).toEqual([]);
    expect([...floats.subarray(3, 6)]).toEqual([Number.NaN, Infinity, -Infinity]);
  });
});
