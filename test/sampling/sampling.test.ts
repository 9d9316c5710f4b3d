// Softmax and its relatives against closed formulas and limits; Gumbel-max against softmax.
import { describe, expect, it } from "vitest";
import { Noise } from "../../src/noise/index.js";
import {
  argmax,
  crossEntropy,
  entropy,
  gaussianMax,
  gumbel,
  gumbelMax,
  type Heat,
  kl,
  logSoftmax,
  softmax,
} from "../../src/sampling/index.js";
import { fastest } from "../support/backends.js";

const close = (a: ArrayLike<number>, b: ArrayLike<number>, digits = 12) => {
  expect(a.length).toBe(b.length);
  for (let i = 0; i < a.length; i++) {
    if (Number.isFinite(b[i] as number)) expect(a[i]).toBeCloseTo(b[i] as number, digits);
    else expect(a[i]).toBe(b[i]);
  }
};

describe("softmax", () => {
  it("is Boltzmann's law, in every way to say how hot", () => {
    const z = [1, 0, -2.5];
    const T = 0.7;
    const total = z.reduce((sum, x) => sum + Math.exp(x / T), 0);
    const expected = z.map((x) => Math.exp(x / T) / total);
    const heats: Heat[] = [{ temperature: T }, { temperature: T / 3, k: 3 }, { beta: 1 / T }, { base: Math.exp(1 / T) }];
    for (const heat of heats) close(softmax(z, heat), expected);
    close(softmax(z), softmax(z, { temperature: 1 }));
    close(softmax(z, { k: 2 }), softmax(z, { temperature: 2 }));
  });

  it("has argmax and uniform as limits; equal logits share", () => {
    close(softmax([3, 1, 3, -Infinity], { temperature: 0 }), [0.5, 0, 0.5, 0]);
    close(softmax([3, 1, 3, -Infinity], { temperature: Infinity }), [1 / 3, 1 / 3, 1 / 3, 0]);
    close(softmax([3, 1], { beta: Infinity }), [1, 0]);
    close(softmax([3, 1], { base: 1 }), [0.5, 0.5]);
    close(softmax([3, 1], { temperature: 1e-300 }), [1, 0]);
    close(softmax([3, 1], { temperature: 1e300 }), [0.5, 0.5]);
  });

  it("stays finite for logits of any size, and does not see a constant", () => {
    close(softmax([1e308, 1e308, -1e308]), [0.5, 0.5, 0]);
    close(logSoftmax([1000, 0]), [0, -1000]);
    close(logSoftmax([0, -800, -Infinity]), [0, -800, -Infinity]);
    close(softmax([1, 2, 3]), softmax([1e6 + 1, 1e6 + 2, 1e6 + 3]));
  });

  it.each([
    [[], {}, /nothing to choose from/],
    [[-Infinity], {}, /nothing to choose from/],
    [[1, Number.NaN], {}, /Logit 1 is NaN/],
    [[Infinity, 1], {}, /Logit 0 is Infinity/],
    [[1], { temperature: -1 }, /temperature must be.*-1/],
    [[1], { temperature: Number.NaN }, /temperature must be/],
    [[1], { k: 0 }, /k must be/],
    [[1], { beta: -0.1 }, /beta must be/],
    [[1], { base: 0.5 }, /base must be/],
    [[1], { beta: 1, temperature: 1 } as unknown as Heat, /one of temperature/],
  ] as [number[], Heat, RegExp][])("refuses %j, %j", (logits, heat, message) => {
    expect(() => softmax(logits, heat)).toThrow(message);
  });
});

describe("entropy and divergence", () => {
  it("have their closed forms", () => {
    expect(entropy([0, 1, 0])).toBe(0);
    expect(entropy(new Float64Array(8).fill(1 / 8))).toBeCloseTo(Math.log(8), 14);
    expect(entropy([0.25, 0.75])).toBeCloseTo(-0.25 * Math.log(0.25) - 0.75 * Math.log(0.75), 14);
    const [p, q] = [softmax([1, 2, 3]), softmax([3, 1, 0])];
    expect(kl(p, p)).toBe(0);
    expect(kl(p, q)).toBeCloseTo(crossEntropy(p, q) - entropy(p), 12);
    expect(kl(p, q)).toBeGreaterThan(0);
    expect(kl([1, 0], [0, 1])).toBe(Infinity);
    expect(kl([0, 1], [0, 1])).toBe(0);
    expect(crossEntropy([1, 0], [0, 1])).toBe(Infinity);
  });

  it("of a hotter law is larger", () => {
    const at = (temperature: number) => entropy(softmax([2, 1, 0, -1], { temperature }));
    const rising = [0, 0.1, 0.5, 1, 2, 10, Infinity].map(at);
    expect(rising).toEqual([...rising].sort((a, b) => a - b));
  });

  it("refuse what is no law", () => {
    expect(() => entropy([2, 1])).toThrow(/Probability 0 is 2/);
    expect(() => kl([1], [0.5, 0.5])).toThrow(/1 and 2 outcomes/);
  });
});

describe("sampling by noise", () => {
  const stream = new Noise(17n, fastest).stream("dice");
  const DRAWS = 200_000;
  const logits = [2, 1.5, 0, -1, -Infinity];

  /** Chi-square of counts against a law: mean n - 1, variance 2 (n - 1). */
  function chiSquare(counts: readonly number[], law: ArrayLike<number>): number {
    const total = counts.reduce((sum, n) => sum + n, 0);
    return counts.reduce((sum, n, i) => {
      const expected = total * (law[i] as number);
      return expected === 0 ? sum + (n === 0 ? 0 : Infinity) : sum + (n - expected) ** 2 / expected;
    }, 0);
  }
  const count = (draw: (tick: number) => number) => {
    const counts = logits.map(() => 0);
    for (let tick = 0; tick < DRAWS; tick++) {
      const drawn = draw(tick);
      counts[drawn] = (counts[drawn] as number) + 1;
    }
    return counts;
  };

  it("Gumbel numbers have their law's moments", () => {
    const g = gumbel(new Float64Array(1 << 18), stream, { tick: 1 });
    const mean = g.reduce((sum, x) => sum + x, 0) / g.length;
    const variance = g.reduce((sum, x) => sum + (x - mean) ** 2, 0) / g.length;
    const v = Math.PI ** 2 / 6;
    expect(Math.abs(mean - 0.5772156649)).toBeLessThan(5 * Math.sqrt(v / g.length));
    // Kurtosis 5.4.
    expect(Math.abs(variance / v - 1)).toBeLessThan(5 * Math.sqrt(4.4 / g.length));
  });

  it.each([0.3, 1, 4])("the argmax under Gumbel noise is a draw from softmax at T = %d", (temperature) => {
    const counts = count((tick) => gumbelMax(logits, stream, { tick }, { temperature }));
    // Three degrees of freedom: mean 3, standard deviation 2.4; above 30 once in a million.
    expect(chiSquare(counts, softmax(logits, { temperature }))).toBeLessThan(30);
  });

  it("without heat it is the argmax; at endless heat every possible one is as likely", () => {
    expect(gumbelMax(logits, stream, {}, { temperature: 0 })).toBe(0);
    const counts = count((tick) => gumbelMax(logits, stream, { tick }, { temperature: Infinity }));
    expect(chiSquare(counts, [0.25, 0.25, 0.25, 0.25, 0])).toBeLessThan(30);
  });

  it("Gaussian noise on two logits decides by the normal law of their distance", () => {
    // P = Phi(d / (sigma sqrt 2)): with d = sigma sqrt 2, Phi(1).
    const sigma = 1 / Math.SQRT2;
    let first = 0;
    for (let tick = 0; tick < DRAWS; tick++) first += gaussianMax([1, 0], stream, { tick }, sigma) === 0 ? 1 : 0;
    const p = 0.8413447461;
    expect(Math.abs(first - DRAWS * p)).toBeLessThan(5 * Math.sqrt(DRAWS * p * (1 - p)));
    expect(gaussianMax(logits, stream, {}, 0)).toBe(argmax(logits));
    expect(() => gaussianMax(logits, stream, {}, -1)).toThrow(/sigma must be/);
  });
});
