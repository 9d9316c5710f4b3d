// What is said about texts, on texts whose answers are known by hand, and intervals that hold the truth as often as they say.
import { deflateSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { Noise } from "../../src/noise/index.js";
import { compressionRatio, distinct, repetition, selfBleu } from "../../src/sampling/index.js";
import { choices, estimate, interval, replicates } from "../../src/statistics/intervals.js";
import { counted, distinctOf, selfBleuOf } from "../../src/statistics/metrics.js";

describe("distinct-n and repetition", () => {
  it("count n-grams", () => {
    const texts = [
      [1, 2, 1],
      [1, 2, 3],
    ];
    expect(distinct(texts, 1)).toBe(3 / 6);
    expect(distinct(texts, 2)).toBe(3 / 4);
    expect(distinct(texts, 3)).toBe(1);
    expect(distinct([[5, 5, 5, 5]], 1)).toBe(1 / 4);
    expect(repetition([1, 2, 1, 2, 1], 2)).toBe(1 / 2);
    expect(repetition([1, 2, 3, 4, 5])).toBe(0);
    // 4-grams of a loop of period two: two different ones of seven.
    expect(repetition([1, 2, 1, 2, 1, 2, 1, 2, 1, 2])).toBeCloseTo(5 / 7, 12);
    expect(distinct([[12], [1, 2]], 1)).toBe(1); // 12 is not 1 and 2
  });

  it("refuse what has no n-gram", () => {
    expect(() => distinct([[1], [2]], 2)).toThrow(/No text has 2 tokens/);
    expect(() => distinct([], 1)).toThrow(/No text/);
    expect(() => repetition([1, 2, 3])).toThrow(/4 tokens/);
  });
});

describe("self-BLEU", () => {
  it("is 1 for equal texts, and what smoothing leaves for texts with nothing in common", () => {
    const text = [1, 2, 3, 4, 5, 6];
    expect(selfBleu([text, text, text])).toBeCloseTo(1, 12);
    // Precisions 0.1 / 6, 0.1 / 5, 0.1 / 4, 0.1 / 3.
    expect(selfBleu([text, [11, 12, 13, 14, 15, 16]])).toBeCloseTo(0.1 / (6 * 5 * 4 * 3) ** 0.25, 12);
  });

  it("clips by the text that has most of an n-gram, other than itself", () => {
    // Against (a a b b): a twice of twice, c never: 1-grams 2/4; (a a) 1 of 3. The other way: a 2, b 0 of 4: 2/4; (a a) 1 of 3.
    const texts = [
      [1, 1, 3, 3],
      [1, 1, 2, 2],
    ];
    expect(selfBleu(texts, 2)).toBeCloseTo(Math.sqrt((2 / 4) * (1 / 3)), 12);
    // With a third text of a alone, its own four a's do not count for itself: 2 of 4.
    const more = [...texts, [1, 1, 1, 1]];
    const third = Math.sqrt((2 / 4) * (1 / 3));
    expect(selfBleu(more, 2)).toBeCloseTo((2 * Math.sqrt((2 / 4) * (1 / 3)) + third) / 3, 12);
  });

  it("punishes what is shorter than its closest reference", () => {
    // Two of two and one of one match; reference 4: e^(1 - 4/2). The other way: 2/4 and 1/3, no penalty.
    const expected = (Math.exp(-1) + Math.sqrt((2 / 4) * (1 / 3))) / 2;
    expect(
      selfBleu(
        [
          [1, 2],
          [1, 2, 3, 4],
        ],
        2,
      ),
    ).toBeCloseTo(expected, 12);
  });

  it("of some of the texts is that of those alone", () => {
    const texts = Array.from({ length: 8 }, (_, i) => Array.from({ length: 20 }, (_, t) => (t * t * (i + 3)) % 11));
    const all = counted(texts);
    const some = [1, 4, 6, 7];
    expect(selfBleuOf(all, some)).toBeCloseTo(selfBleu(some.map((i) => texts[i] as number[])), 12);
    expect(distinctOf(all, 3, some)).toBe(
      distinct(
        some.map((i) => texts[i] as number[]),
        3,
      ),
    );
  });

  it("refuses a text alone, and texts too short", () => {
    expect(() => selfBleu([[1, 2, 3, 4]])).toThrow(/there are 1/);
    expect(() =>
      selfBleu([
        [1, 2, 3, 4],
        [1, 2],
      ]),
    ).toThrow(/Text 1 has fewer than 4/);
  });
});

describe("compression", () => {
  it("is the bytes before by the bytes after", () => {
    const deflate = (bytes: Uint8Array) => deflateSync(bytes, { level: 9 });
    expect(compressionRatio(["abc", "de"], (bytes) => bytes.subarray(0, 3))).toBe(2); // six bytes with the line's end
    expect(compressionRatio(new Array(50).fill("the king said"), deflate)).toBeGreaterThan(10);
    expect(() => compressionRatio([""], deflate)).toThrow(/no text/);
  });
});

describe("intervals", () => {
  const stream = new Noise(5n).stream("texts");
  const SIZE = 12;
  const RUNS = 300;
  // Coverage of 95 % intervals: percentile intervals of 12 are known to be a little short (about 91 % for means); 300 runs have an error of 1.6 %.
  const expectCoverage = (held: number) => {
    expect(held / RUNS).toBeGreaterThan(0.86);
    expect(held / RUNS).toBeLessThan(0.995);
  };

  it.each(["bootstrap", "halves"] as const)("by %s hold the mean of uniforms as often as they say", (way) => {
    let held = 0;
    for (let run = 0; run < RUNS; run++) {
      const x = stream.uniform(new Float32Array(SIZE), { tick: run });
      const mean = (of: Iterable<number>) => [...of].reduce((a, b) => a + b, 0) / [...of].length;
      const value = mean(x);
      const chosen = choices(new Noise(BigInt(run)).stream("again"), SIZE, way, 200);
      const figures = chosen.map((some) => mean(Array.from(some, (i) => x[i] as number)));
      const { low, high } = estimate(value, replicates(figures, value, SIZE, way));
      if (low <= 0.5 && 0.5 <= high) held++;
    }
    expectCoverage(held);
  });

  it("by halves hold the expected distinct-1 of random texts, which resamples with copies would not", () => {
    // 12 texts of 10 tokens out of 100: 100 (1 - 0.99^120) / 120 different ones expected.
    const expected = (100 * (1 - 0.99 ** 120)) / 120;
    const held = { halves: 0, bootstrap: 0 };
    for (let run = 0; run < RUNS; run++) {
      const tokens = stream.uniform(new Float32Array(SIZE * 10), { tick: 1000 + run });
      const texts = Array.from({ length: SIZE }, (_, i) =>
        Array.from(tokens.subarray(i * 10, i * 10 + 10), (u) => Math.floor(u * 100)),
      );
      const all = counted(texts, 1);
      const value = distinct(texts, 1);
      for (const way of ["halves", "bootstrap"] as const) {
        const figures = choices(new Noise(BigInt(run)).stream("again"), SIZE, way, 200).map((some) => distinctOf(all, 1, some));
        const [low, high] = interval(replicates(figures, value, SIZE, way));
        if (low <= expected && expected <= high) held[way]++;
      }
    }
    expectCoverage(held.halves);
    expect(held.bootstrap / RUNS).toBeLessThan(0.1);
  });

  it("choose half without repetition, or as many with, the same for the same stream", () => {
    const halves = choices(stream, 7, "halves", 50);
    for (const chosen of halves) expect(new Set(chosen).size).toBe(3);
    expect(new Set(halves.flatMap((chosen) => [...chosen])).size).toBe(7);
    expect(choices(stream, 7, "halves", 50)).toEqual(halves);
    for (const chosen of choices(stream, 7, "bootstrap", 50)) {
      expect(chosen).toHaveLength(7);
      expect(Math.max(...chosen)).toBeLessThan(7);
    }
    expect(interval(Array.from({ length: 200 }, (_, i) => i))).toEqual([5, 194]);
  });
});
