// The report of a search: a sentence above each plot says what it shows, and does not say more.
import { describe, expect, it } from "vitest";
import { evolutionPage } from "../../src/evolve/index.js";
import type { Evolved } from "../../src/evolve/run.js";

const search = (before: number, after: number, half: number): Evolved => ({
  generations: 4,
  stopped: "generations",
  before: { reward: before, low: before - half, high: before + half, kl: 0, nll: 2.9 },
  after: { reward: after, low: after - half, high: after + half, kl: 0.03, nll: 3.1 },
  taken: 4,
  changed: 10,
  weights: 100,
  evaluations: 64,
  seconds: 1,
  history: [],
});

describe("the page of a search", () => {
  it.each([
    [-5, -3, 0.4, "the intervals do not meet"],
    [-5, -4.9, 0.4, "the intervals meet, so that it may be chance"],
    [-3, -5, 0.4, "it fell, and the intervals do not meet"],
  ])("from %f to %f (± %f): %s", async (before, after, half, verdict) => {
    const html = await evolutionPage("m", [["evolve", search(before, after, half)]]);
    expect(html).toContain(`from ${before.toFixed(3)} to ${after.toFixed(3)}</strong> in 4 generations: ${verdict}.`);
    expect(html).toContain(
      "went 0.030 nats a token from where it was</strong> (KL), and its NLL of that text from 2.900 to 3.100.",
    );
    expect(html).not.toMatch(/undefined|NaN|For comparison/);
  });

  it("puts the controls beside it", async () => {
    const html = await evolutionPage("m", [
      ["evolve", search(-5, -3, 0.4)],
      ["best of as many", search(-5, -4.5, 0.4)],
    ]);
    expect(html).toContain("For comparison: best of as many -4.500.");
  });
});
