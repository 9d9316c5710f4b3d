// Temperature scaling: the optimum in closed form, zero derivative, recovery of a known T within its derived standard error.
import { describe, expect, it } from "vitest";
import { fitTemperature } from "../../src/learn/temperature-scaling.js";
import { Noise } from "../../src/noise/index.js";
import { argmax, gumbelMax, softmax } from "../../src/sampling/index.js";

const CLASSES = 5;

/** Logits with spread 3, labels drawn from softmax(logits / temperature). */
function synthetic(n: number, temperature: number, seed: bigint) {
  const noise = new Noise(seed);
  const logits = Float64Array.from(noise.stream("logits").normal(new Float32Array(n * CLASSES)), (z) => 3 * z);
  const dice = noise.stream("labels");
  const labels = Array.from({ length: n }, (_, i) =>
    gumbelMax(logits.subarray(i * CLASSES, (i + 1) * CLASSES), dice, { tick: i }, { temperature }),
  );
  return { logits, labels };
}

/** L' and L'' in beta by brownian/sampling: means over rows of E[z] - z_y and Var[z]. */
function derivatives(logits: Float64Array, labels: readonly number[], temperature: number) {
  let [first, second] = [0, 0];
  labels.forEach((label, i) => {
    const z = logits.subarray(i * CLASSES, (i + 1) * CLASSES);
    const p = softmax(z, { temperature });
    const mean = p.reduce((sum, q, j) => sum + q * z[j]!, 0);
    first += mean - z[label]!;
    second += p.reduce((sum, q, j) => sum + q * (z[j]! - mean) ** 2, 0);
  });
  return { first: first / labels.length, second: second / labels.length };
}

describe("fitTemperature", () => {
  it("is exact where it can be solved by hand", () => {
    // Two classes, logit difference 4, two of three right: 4 / T = ln (2/3 / 1/3).
    const fit = fitTemperature([4, 0, 4, 0, 4, 0], [0, 0, 1], 2);
    expect(fit.temperature).toBeCloseTo(4 / Math.log(2), 12);
    expect(fit.nll).toBeCloseTo(-(2 / 3) * Math.log(2 / 3) - (1 / 3) * Math.log(1 / 3), 12);
    expect(fit.nllBefore).toBeCloseTo(Math.log(1 + Math.exp(-4)) + 4 / 3, 12);
    // g_i = -4/3, -4/3, 8/3: sqrt(96/9) / (3 L'') T^2 with L'' = 16 (2/3)(1/3).
    expect(fit.standardError).toBeCloseTo((Math.sqrt(96 / 9) / (3 * (32 / 9))) * fit.temperature ** 2, 10);
    // The same with logits of any size and offset.
    for (const scale of [1e-6, 1e6]) {
      const scaled = fitTemperature([4 * scale, 0, 9 * scale, 5 * scale, 4 * scale, 0], [0, 0, 1], 2);
      expect(scaled.temperature / scale).toBeCloseTo(4 / Math.log(2), 8);
    }
  });

  it("recovers a known temperature within its standard error, at a minimum of the likelihood", () => {
    for (const truth of [0.4, 1, 2.5]) {
      const n = 4000;
      const { logits, labels } = synthetic(n, truth, 11n);
      const fit = fitTemperature(logits, labels, CLASSES);
      // Fisher: Var(beta) = 1 / (n L''), so the standard error of T is T^2 / sqrt(n L''). Four of them.
      const standardError = truth ** 2 / Math.sqrt(n * derivatives(logits, labels, truth).second);
      expect(Math.abs(fit.temperature - truth), `T = ${truth}`).toBeLessThan(4 * standardError);
      // The sandwich form estimates the same from scatter: terms of L' have kurtosis of a few, so 4000 give it to 5 %.
      expect(fit.standardError / standardError).toBeGreaterThan(0.85);
      expect(fit.standardError / standardError).toBeLessThan(1.15);
      expect(Math.abs(derivatives(logits, labels, fit.temperature).first)).toBeLessThan(1e-11);
      const nll = (temperature: number) =>
        -labels.reduce(
          (sum, y, i) => sum + Math.log(softmax(logits.subarray(i * CLASSES, (i + 1) * CLASSES), { temperature })[y]!),
          0,
        ) / n;
      expect(fit.nll).toBeCloseTo(nll(fit.temperature), 12);
      expect(fit.nllBefore).toBeCloseTo(nll(1), 12);
      for (const near of [0.999, 1.001]) expect(nll(fit.temperature * near)).toBeGreaterThan(fit.nll);
    }
  });

  it("changes no answer", () => {
    const { logits, labels } = synthetic(500, 2, 3n);
    const { temperature } = fitTemperature(logits, labels, CLASSES);
    for (let i = 0; i < labels.length; i++) {
      const z = logits.subarray(i * CLASSES, (i + 1) * CLASSES);
      expect(argmax(softmax(z, { temperature }))).toBe(argmax(z));
    }
  });

  it("refuses what has no best temperature, or is no calibration set", () => {
    const cases: [number[], number[], RegExp][] = [
      [[], [], /calibration set is empty: hold out/],
      [[1, 2, 3], [0, 1], /3 logits, but 2 labels and 2 classes make 4: they are laid out flat/],
      [[1, 2], [2], /Label 0 is 2, but there are 2 classes/],
      [[1, 2], [-1], /Label 0 is -1/],
      [[1, 2], [0.5], /Label 0 is 0.5/],
      [[1, Number.NaN], [0], /logit of class 1 in row 0 is NaN/],
      [[1, -Infinity], [0], /is -Infinity/],
      [[2, 1, 1, 2], [0, 1], /Every one of the 2 labels has the largest logit.*Hold out more/],
      [[2, 1, 1, 2], [1, 0], /say nothing about the labels.*same order/],
      [[1, 1, 2, 2], [0, 1], /All logits of a row are equal/],
    ];
    for (const [logits, labels, message] of cases) {
      expect(() => fitTemperature(logits, labels, 2)).toThrow(message);
      expect(() => fitTemperature(logits, labels, 2)).toThrow(expect.objectContaining({ code: "usage" }));
    }
  });
});
