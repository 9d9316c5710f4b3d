// Statistics of repeated rates: quantiles against published tables, coverage of the intervals by simulation, and the curve through points.
import { describe, expect, it } from "vitest";
import { Noise } from "../../src/noise/index.js";
import { meanInterval, smooth, student95 } from "../../src/statistics/rates.js";
import { fastest } from "../support/backends.js";

const normals = (name: string, n: number) => new Noise(1n, fastest).stream(name).normal(new Float32Array(n));

describe("Student's t", () => {
  // Two-sided 5 %, from printed tables (e.g. NIST/SEMATECH e-Handbook, 1.3.6.7.2).
  it.each([
    [1, 12.706],
    [3, 3.182],
    [10, 2.228],
    [11, 2.201],
    [15, 2.131],
    [30, 2.042],
    [100, 1.984],
  ])("of %i degrees of freedom is %f", (dof, t) => {
    expect(student95(dof)).toBeCloseTo(t, 3);
  });

  it.each([2, 4, 6, 12])("makes intervals of %i draws that hold the mean in 95 % of all cases", (draws) => {
    const cases = 8000;
    const z = normals(`draws ${draws}`, cases * draws);
    let held = 0;
    for (let i = 0; i < cases; i++) {
      const rates = Array.from(z.subarray(i * draws, (i + 1) * draws), (x) => 0.2 + 0.01 * x);
      const { low, high } = meanInterval(rates);
      if (low <= 0.2 && 0.2 <= high) held++;
    }
    // A binomial count: four standard errors.
    expect(Math.abs(held / cases - 0.95)).toBeLessThan(4 * Math.sqrt((0.95 * 0.05) / cases));
  });

  it("stays within 0 and 1", () => {
    expect(meanInterval([0, 0.01])).toMatchObject({ mean: 0.005, low: 0 });
    expect(meanInterval([1, 0.99])).toMatchObject({ high: 1 });
    expect(meanInterval([0.3, 0.3])).toEqual({ mean: 0.3, low: 0.3, high: 0.3 });
  });
});

describe("the curve through rates", () => {
  const x = [0.01, 0.02, 0.05, 0.1, 0.2, 0.4];

  it("is a power law's where that is what they follow, and a curved one's where not", () => {
    const power = smooth(
      x,
      x.map((s) => [0.99, 1.01].map((f) => f * 1.7 * s ** 0.9)),
    );
    for (const [i, { rate }] of power.entries()) expect(rate).toBeCloseTo(1.7 * (x[i] as number) ** 0.9, 10);
    const curved = (s: number) => Math.exp(-0.5 + 0.8 * Math.log(s) - 0.1 * Math.log(s) ** 2);
    const fitted = smooth(
      x,
      x.map((s) => [0.999, 1.001].map((f) => f * curved(s))),
    );
    for (const [i, { rate }] of fitted.entries()) expect(rate).toBeCloseTo(curved(x[i] as number), 5);
  });

  it("goes through all points where nothing simpler is within their error", () => {
    const steps = [0.01, 0.011, 0.2, 0.21, 0.5, 0.9];
    const through = smooth(
      x,
      steps.map((p) => [p * 0.9999, p * 1.0001]),
    );
    for (const [i, { rate }] of through.entries()) expect(rate).toBeCloseTo(steps[i] as number, 4);
  });

  it("leaves out what never happened, and copes with one point", () => {
    const [never, once] = smooth(
      [0.01, 0.1],
      [
        [0, 0],
        [0.1, 0.12],
      ],
    );
    expect(never).toEqual({ rate: 0, error: 0 });
    expect(once?.rate).toBeCloseTo(0.11, 12);
    expect(smooth([0.1], [[0, 0]])).toEqual([{ rate: 0, error: 0 }]);
  });

  it("is nearer to the truth than the points, by the error that it names", () => {
    const truth = x.map((s) => 1.7 * s ** 0.9);
    const draws = 6;
    const cases = 1000;
    const z = normals("curve", cases * x.length * draws);
    let squares = 0;
    let named = 0;
    let raw = 0;
    let at = 0;
    for (let i = 0; i < cases; i++) {
      // Binomial of 2,000 tokens, as normal numbers.
      const rates = truth.map((p) =>
        Array.from({ length: draws }, () => p + Math.sqrt((p * (1 - p)) / 2000) * (z[at++] as number)),
      );
      const { rate, error } = smooth(x, rates)[3] as { rate: number; error: number };
      const p = truth[3] as number;
      squares += Math.log(rate / p) ** 2 / cases;
      named += error ** 2 / cases;
      raw += ((rates[3] as number[]).reduce((a, b) => a + b) / draws / p - 1) ** 2 / cases;
    }
    // Of 1,000 squares, the mean is known to sqrt(2 / 1000) = 4.5 %; the misfit test adds some cases of a higher degree. A cubic through
    // six points has 4/6 of their variance on average, and less in the middle.
    expect(squares / named).toBeGreaterThan(0.8);
    expect(squares / named).toBeLessThan(1.25);
    expect(squares).toBeLessThan(0.8 * raw);
  });
});
