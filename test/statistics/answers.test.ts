// Figures of answers, pairs and scores, on cases that are known by hand or counted out.
import { describe, expect, it } from "vitest";
import { answerEntropy, brierOf, calibrationErrorOf, passAtK, tally } from "../../src/statistics/answers.js";
import { holm, signTest, smallestDifference } from "../../src/statistics/pairs.js";
import { auroc, fitLogistic, logisticOf, ranks, spearman } from "../../src/statistics/scores.js";

describe("several answers", () => {
  it("pass@k is the share of the subsets of k that have a right one", () => {
    for (const [n, c] of [
      [6, 0],
      [6, 2],
      [5, 5],
      [7, 3],
    ] as const)
      for (let k = 1; k <= n; k++) {
        let all = 0;
        let passed = 0;
        for (let set = 0; set < 2 ** n; set++) {
          const bits = [...set.toString(2)].filter((bit) => bit === "1").length;
          if (bits !== k) continue;
          all++;
          if ((set & (2 ** c - 1)) !== 0) passed++;
        }
        expect(passAtK(n, c, k)).toBeCloseTo(passed / all, 12);
      }
    expect(() => passAtK(3, 1, 4)).toThrow(/1 to 3/);
  });

  it("are counted, and disagree as their shares do", () => {
    expect(tally(["b", "a", "a", "c", "c"])).toEqual([
      ["a", 2],
      ["c", 2],
      ["b", 1],
    ]);
    expect(answerEntropy(["a", "a"])).toBe(0);
    expect(answerEntropy(["a", "b", "c", "d"])).toBeCloseTo(Math.log(4), 12);
  });

  it("have a confidence that is honest or not", () => {
    expect(brierOf([1, 0.5], [true, false])).toBeCloseTo(0.125, 12);
    expect(calibrationErrorOf([0.8, 0.8, 0.8, 0.8, 0.8], [true, true, true, true, false])).toBeCloseTo(0, 12);
    expect(calibrationErrorOf([1, 1, 0.3], [true, false, false])).toBeCloseTo(1.3 / 3, 12);
  });
});

describe("pairs", () => {
  it("that are as uneven as 13 to 6 come by chance in one case of six", () => {
    // 2 (C(19,0) + ... + C(19,6)) / 2^19
    expect(signTest(13, 6)).toBeCloseTo((2 * (1 + 19 + 171 + 969 + 3876 + 11628 + 27132)) / 2 ** 19, 12);
    expect(signTest(6, 13)).toBe(signTest(13, 6));
    expect(signTest(0, 0)).toBe(1);
    expect(signTest(2, 2)).toBe(1);
    // The normal limit goes on where the sum ends: at 1000 the two agree within a hundredth of their size.
    expect(signTest(540, 461) / signTest(540, 460)).toBeGreaterThan(0.95);
    expect(signTest(540, 461) / signTest(540, 460)).toBeLessThan(1.2);
  });

  it("are seen when they differ enough", () => {
    expect(smallestDifference(100, 0.2)).toBeCloseTo(0.1253, 4);
    expect(smallestDifference(400, 0.2)).toBeCloseTo(0.1253 / 2, 4);
  });

  it("that are many are corrected for", () => {
    for (const [i, p] of holm([0.01, 0.04, 0.03]).entries()) expect(p).toBeCloseTo([0.03, 0.06, 0.06][i] as number, 12);
    expect(holm([0.9, 0.8])).toEqual([1, 1]);
  });
});

describe("scores", () => {
  it("rank, with ties in the middle", () => {
    expect(ranks([5, 1, 5, 3])).toEqual([3.5, 1, 3.5, 2]);
    expect(spearman([1, 2, 3, 4], [1, 4, 9, 16])).toBeCloseTo(1, 12);
    expect(spearman([1, 2, 3], [10, 40, 20])).toBeCloseTo(0.5, 12);
    expect(spearman([1, 2, 3], [7, 7, 7])).toBe(0);
    expect(() => spearman([1], [1, 2])).toThrow(/equal length/);
  });

  it("are put together so that right ones are above wrong ones", () => {
    // Right where 2 x - y > 0: the regression finds the direction from examples of which neither score alone tells all.
    const rows = Array.from({ length: 60 }, (_, i) => [Math.sin(i * 1.7), Math.sin(i * i * 0.9)]);
    const right = rows.map(([x, y]) => 2 * (x as number) - (y as number) > 0);
    const fit = fitLogistic(rows, right);
    const of = (want: boolean, score: (row: number[]) => number) => rows.filter((_, i) => right[i] === want).map(score);
    const both = auroc(
      of(true, (row) => logisticOf(fit, row)),
      of(false, (row) => logisticOf(fit, row)),
    );
    const first = auroc(
      of(true, ([x]) => x as number),
      of(false, ([x]) => x as number),
    );
    expect(both).toBeGreaterThan(0.99);
    expect(first).toBeLessThan(0.97);
    expect(fit.weights[0]).toBeGreaterThan(0);
    expect(fit.weights[1]).toBeLessThan(0);
  });

  it("say at the optimum what the data say: the gradient is zero but for the ridge", () => {
    const rows = [[0], [1], [2], [3], [4], [5]];
    const right = [false, false, true, false, true, true];
    const fit = fitLogistic(rows, right);
    const p = rows.map((row) => logisticOf(fit, row));
    expect(p.reduce((sum, x) => sum + x, 0)).toBeCloseTo(3, 8); // the intercept has no ridge
    const z = rows.map(([x]) => ((x as number) - (fit.means[0] as number)) / (fit.spreads[0] as number));
    const gradient = z.reduce((sum, x, i) => sum + x * ((right[i] ? 1 : 0) - (p[i] as number)), 0);
    expect(gradient).toBeCloseTo(fit.weights[0] as number, 8);
  });
});
