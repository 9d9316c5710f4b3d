// What follows from the records of a comparison, on records made by hand, and what page and table say of it.
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { evaluate, METHODS, methodNames, type Records } from "../../src/compare/index.js";
import type { Written } from "../../src/compare/metrics.js";
import { comparisonPage, comparisonTable } from "../../src/compare/page/index.js";
import { renderPage } from "../../src/report/page.js";
import type { Profile } from "../../src/statistics/calibration.js";
import { DYNAMICS } from "../../src/thermostat/index.js";

const profile = JSON.parse(readFileSync("models/fairytales-3M-Q8_0.calibration.json", "utf8")) as Profile;

/** Four texts of one prompt: each with this likelihood, `shared` of its eight tokens the same in all. */
const four = (nll: number, shared: number): Written[] =>
  Array.from({ length: 4 }, (_, i) => ({
    text: `text ${i}`,
    ids: Array.from({ length: 8 }, (_, t) => (t < shared ? t : 100 * (i + 1) + t)),
    nll,
    sameTop: 0.5,
    rare: 0,
    seconds: 1,
  }));

describe("the arithmetic of a comparison", () => {
  const records: Records = {
    model: { file: "m.gguf", bytes: 1, sha256: "0" },
    text: { sha256: "0" },
    settings: {
      methods: ["greedy", "softmax", "quenched"],
      levels: [0.2, 0.4],
      beyond: [],
      prompts: ["Once"],
      samples: 4,
      maxTokens: 8,
      tau: 32,
      seed: "0",
      tuneWindows: 1,
      checkWindows: 4,
      precision: 0.15,
      precisionNats: 0.05,
    },
    profile,
    dials: { "softmax 0.2": 0.2, "softmax 0.4": 0.4, "quenched 0.2": 0.1, "quenched 0.4": 0.2 },
    factors: { quenched: 1 },
    softmaxCurve: [{ temperature: 0.2, flipRate: 0.1 }],
    readings: {
      "softmax 0.2": { flips: [0.1, 0.2, 0.1, 0.2], kl: 0 },
      "quenched 0.2": { flips: [0.1, 0.2, 0.1, 0.2], kl: 0.1 },
      "softmax 0.4": { flips: [0.3, 0.3, 0.3, 0.3], kl: 0 },
      "quenched 0.4": { flips: [0.4, 0.4, 0.4, 0.4], kl: 0.2 },
    },
    texts: {
      "greedy 0": four(1, 8),
      "softmax 0.2": four(2, 6),
      "softmax 0.4": four(3, 4),
      "quenched 0.2": four(1.5, 7),
      "quenched 0.4": four(2.5, 5),
    },
    memory: { white: [{ tick: 0, correlation: 1, variance: 1, theory: { correlation: 1, variance: 1 } }] },
  };
  const result = evaluate(records);

  it("has the figures of each set, and differences at equal levels", () => {
    const point = (method: string, level: number) => result.points.find((p) => p.method === method && p.level === level);
    expect(point("greedy", 0)?.metrics.selfBleu.value).toBeCloseTo(1, 12);
    expect(point("softmax", 0.2)?.metrics.nll).toEqual({ value: 2, low: 2, high: 2 });
    expect(point("softmax", 0.2)?.metrics.distinct1.value).toBe((6 + 4 * 2) / 32);
    expect(point("softmax", 0.2)?.tokensPerSecond).toBe(7);
    const nll = result.differences.filter((d) => d.metric === "nll");
    expect(nll.map((d) => [d.method, d.level, d.value])).toEqual([
      ["quenched", 0.2, -0.5],
      ["quenched", 0.4, -0.5],
    ]);
    expect(result.pooled.find((p) => p.at === "equal flips" && p.metric === "nll")).toMatchObject({ value: -0.5, levels: 2 });
  });

  it("compares at equal diversity along the frontier", () => {
    // Quenched with five or seven shared tokens has no point at softmax's six: between its two, NLL lies between 1.5 and 2.5, by self-BLEU.
    const sb = (method: string, level: number) =>
      result.points.find((p) => p.method === method && p.level === level)?.metrics.selfBleu.value as number;
    const share = (sb("quenched", 0.2) - sb("softmax", 0.2)) / (sb("quenched", 0.2) - sb("quenched", 0.4));
    const [only, ...others] = result.atEqualDiversity;
    expect(others).toEqual([]); // softmax's four shared tokens lie beyond what quenched reached
    expect(only).toMatchObject({ method: "quenched", level: 0.2 });
    expect(only?.value).toBeCloseTo(1.5 + share - 2, 10);
  });

  it("has flip rates, and whether they are equal on the same windows", () => {
    const flips = (level: number) => result.flips.find((f) => f.method === "quenched" && f.level === level);
    expect(flips(0.2)?.difference).toEqual({ value: 0, low: 0, high: 0 });
    expect(flips(0.2)?.rate.value).toBeCloseTo(0.15, 12);
    expect(flips(0.2)?.rate.low).toBeLessThan(0.15);
    expect(flips(0.4)?.difference.low).toBeCloseTo(0.1, 12);
  });

  it("is said in a page and in a table", async () => {
    const html = await renderPage(comparisonPage(result));
    // Above each plot a sentence of what it shows: by the records, NLL falls at both levels, and at T = 0.4 flips differ by ten points of a hundred.
    expect(html).toMatch(/<strong>\d of 5 intervals leave 0 out<\/strong>, by chance about 0\.3 would: NLL of quenched weights/);
    expect(html).toContain(
      "<strong>The flip rates differ from softmax's by 10.0 points at most</strong>; 1 of 2 intervals leave 0 out",
    );
    expect(html).toMatch(
      /<strong>At their dials, moving weights flip within \d+\.\d points of what the calibration says<\/strong>/,
    );
    expect(html).toContain("Moving weights beside softmax");
    expect(html).toMatch(/texts of quenched weights are likelier under the clean model than softmax's \(by 0\.50 nats a token\)/);
    expect(html).not.toMatch(/NaN|undefined|Infinity/);
    expect(comparisonTable(result)).toMatch(/quenched weights +−0\.500 \(−0\.500 to −0\.500\)/);
  });
});

describe("the methods", () => {
  it("are greedy, softmax, logit noise, and every dynamics whose variance stays", () => {
    const stationary = Object.values(DYNAMICS).filter(({ theory }) => theory.stationary);
    expect(methodNames).toEqual(["greedy", "softmax", "logits", ...stationary.map(({ name }) => name)]);
    for (const { name, label } of Object.values(DYNAMICS))
      expect(METHODS[name as keyof typeof METHODS]).toMatchObject({ dynamics: name, label });
  });
});
