// The table of dynamics: every one has all that thermostats, comparisons and reports ask of it, and what it says of itself goes together.
// test/compare/autocorrelation.test.ts puts the same beside live files.
import { describe, expect, it } from "vitest";
import { DYNAMICS, type Dynamics, dynamicsNamed, hasCorrelationTime } from "../../../src/thermostat/dynamics/index.js";

const TAUS = [0.5, 8, 32, 1e6];
const TICKS = [0, 1, 2, 7, 100];

describe.each(Object.entries(DYNAMICS) as [string, Dynamics][])("%s", (key, dynamics) => {
  const { name, label, summary, theory, cost, moves } = dynamics;

  it("has a name, a label, a summary, and words for what it remembers and costs", () => {
    expect(name).toBe(key);
    expect(dynamicsNamed(key)).toBe(dynamics);
    for (const text of [label, summary, theory.words.correlation, theory.words.variance, cost.words]) expect(text).toMatch(/\S/);
    expect(label).toContain(name);
  });

  it.each(TAUS)("has a theory that holds together, at tau %d", (tau) => {
    for (const from of [1, 5]) {
      // A weight is as it is; and correlations are shares that do not grow with the distance of ticks.
      expect(theory.correlation(0, tau, from)).toBe(1);
      const all = TICKS.map((t) => theory.correlation(t, tau, from));
      expect(all).toEqual([...all].sort((a, b) => b - a));
      expect(all.at(-1)).toBeGreaterThanOrEqual(0);
    }
    const variances = TICKS.map((t) => theory.variance(t, tau));
    expect(variances.every((v) => v === 1)).toBe(theory.stationary);
    expect(variances.every((v) => v >= 0)).toBe(true);
  });

  it.each(TAUS)("costs a share of the weights, and nothing only where nothing moves, at tau %d", (tau) => {
    const share = cost.share(tau);
    expect(share).toBeGreaterThanOrEqual(0);
    expect(share).toBeLessThanOrEqual(1);
    expect(share > 0).toBe(moves);
    expect(cost.pace).toBeGreaterThan(0);
    // What does not move is remembered whole.
    expect(theory.correlation(1, tau, 1) === 1).toBe(!moves);
  });
});

it("tau is a memory's where correlation follows it", () => {
  const { quenched, white, andersen, langevin, wiener } = DYNAMICS;
  expect([quenched, white, andersen, langevin, wiener].map(hasCorrelationTime)).toEqual([false, false, true, true, false]);
});
