// The map between sigma and softmax temperature: the arithmetic on a profile made by hand.
import { describe, expect, it } from "vitest";
import { breakingPoint, noiseFlipRate, type Profile, softmaxFlipRate, weightSigma } from "../../src/statistics/calibration.js";
import { interpolate, monotone } from "../../src/statistics/curves.js";

const point = (sigma: number, flipRate: number) => ({
  sigma,
  flipRate,
  low: flipRate,
  high: flipRate,
  smoothed: flipRate,
  error: 0.02,
  kl: 0,
  nll: 3,
});
const profile: Profile = {
  format: "brownian-calibration",
  version: 3,
  model: { file: "m.gguf", bytes: 1, sha256: "" },
  text: { sha256: "", tokens: 100 },
  settings: { scale: "rms", rounding: "matched", dose: "tensor", dynamics: "quenched", seed: "0", draws: 1 },
  nll: 3,
  noise: [point(0.05, 0.1), point(0.1, 0.2), point(0.2, 0.4)],
  softmax: [
    { temperature: 0.1, flipRate: 0.1 },
    { temperature: 0.2, flipRate: 0.3 },
    { temperature: 0.4, flipRate: 0.5 },
  ],
  breaking: { nats: 0.25, sigma: 0.15, temperature: 0.2 },
};

describe("a profile", () => {
  it("goes from temperature to sigma by equal flip rates", () => {
    expect(softmaxFlipRate(profile, 0.15)).toBeCloseTo(0.2, 12);
    expect(weightSigma(profile, 0.15)).toBeCloseTo(0.1, 12);
    expect(weightSigma(profile, 0.05)).toBeCloseTo(0.025, 12);
    expect(weightSigma(profile, 0)).toBe(0);
    expect(noiseFlipRate(profile, 0.15)).toBeCloseTo(0.3, 12);
    for (const temperature of [0.02, 0.1, 0.17, 0.2])
      expect(noiseFlipRate(profile, weightSigma(profile, temperature))).toBeCloseTo(softmaxFlipRate(profile, temperature), 12);
  });

  it("ends where the model breaks, unless forced, and where nothing was measured", () => {
    expect(() => weightSigma(profile, 0.25)).toThrow(/T = 0.25 without breaking this model: from T = 0.2 \(sigma 0.15\)/);
    expect(weightSigma(profile, 0.25, true)).toBeGreaterThan(0.1);
    expect(() => weightSigma(profile, 0.4, true)).toThrow(/flip rates of 0.4, but softmax at T = 0.4 has 0.5/);
    expect(() => weightSigma(profile, 0.5)).toThrow(/from 0 to 0.4, but is 0.5/);
    expect(() => weightSigma(profile, Number.NaN)).toThrow(/NaN/);
    expect(() => weightSigma(profile, -1)).toThrow(/-1/);
  });

  it("breaks where it costs more than it may: there as sigma and as temperature, at the end where it never does", () => {
    const costly = { ...profile, noise: profile.noise.map((p, i) => ({ ...p, nll: 3 + 0.1 * (i + 1) })) };
    // Half way from 0.1 to 0.2 in sigma, so a flip rate of 0.3, which is softmax's at 0.2.
    const { nats, sigma, temperature } = breakingPoint(costly, 0.25);
    expect(nats).toBe(0.25);
    expect(sigma).toBeCloseTo(0.15, 12);
    expect(temperature).toBeCloseTo(0.2, 12);
    expect(breakingPoint(costly, 1).sigma).toBe(0.2);
  });
});

describe("curves", () => {
  it("are straight between points, and end with them", () => {
    expect([-1, 0, 0.5, 3, 9].map((x) => interpolate([0, 1, 3], [0, 2, 4], x))).toEqual([0, 0, 1, 4, 4]);
    expect(interpolate([1, 1], [2, 5], 1)).toBe(2);
  });

  it("pool what falls", () => {
    expect(monotone([1, 3, 2, 4])).toEqual([1, 2.5, 2.5, 4]);
    expect(monotone([3, 2, 1])).toEqual([2, 2, 2]);
    expect(monotone([])).toEqual([]);
  });
});
