// A small comparison on the embedded model: the same numbers for the same seed, also when it was interrupted; and what is refused.
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { comparisonSettings, optionsOf } from "../../src/compare/index.js";
import { isSure } from "../../src/compare/reading.js";
import { type CompareOptions, compare, loadModel, type Model } from "../../src/index.llama.js";
import type { Profile } from "../../src/statistics/calibration.js";
import { scratchFolder } from "../support/synthetic-gguf.js";

const folder = scratchFolder();
const text = readFileSync("models/fairytales-heldout.txt", "utf8");
const profile = JSON.parse(readFileSync("models/fairytales-3M-Q8_0.calibration.json", "utf8")) as Profile;

let model: Model;
beforeAll(async () => {
  model = await loadModel("models/fairytales-3M-Q8_0.gguf", { threads: 1, scratch: folder });
});
afterAll(() => model.dispose());

describe("a comparison on the embedded model", () => {
  const small: CompareOptions = {
    profile,
    methods: ["greedy", "logits", "quenched"],
    levels: [0.45],
    beyond: [],
    prompts: ["Once upon a time"],
    samples: 4,
    maxTokens: 12,
    tuneTokens: 24,
    tau: 1,
    seed: 3n,
    scratch: folder,
  };
  /** Without what a clock says. */
  const numbers = (value: unknown) => JSON.stringify(value, (key, one) => (key === "tokensPerSecond" ? 0 : one));

  it("gives the same numbers for the same seed, also when it was interrupted and goes on", async () => {
    const whole = await compare(model, text, small);
    const control = new AbortController();
    const finished = new Map<string, unknown>();
    const interrupted = compare(model, text, {
      ...small,
      signal: control.signal,
      onFinished: async (name, outcome) => {
        finished.set(name, JSON.parse(JSON.stringify(outcome)));
        if (name === "text logits 0.45 0 1") control.abort();
      },
    });
    await expect(interrupted).rejects.toThrow(/abort/);
    const before = finished.size;
    expect(before).toBeGreaterThan(6);
    const again: string[] = [];
    const rest = await compare(model, text, { ...small, finished, onFinished: async (name) => void again.push(name) });
    expect(again).not.toContain("text logits 0.45 0 1");
    expect(again.filter((name) => name.startsWith("text "))).toHaveLength(6);
    expect(numbers(rest)).toBe(numbers(whole));
    const texts = whole.texts.filter((one) => one.method === "quenched").map((one) => one.text);
    expect(new Set(texts).size).toBeGreaterThan(1);
    const other = await compare(model, text, { ...small, seed: 4n, methods: ["softmax"] });
    expect(numbers(other.texts)).not.toBe(numbers(whole.texts.filter((one) => one.method === "softmax")));
  });

  it("reads and writes no more than the precision asks for, and tells from the first how much is left", async () => {
    const measured = async (precision: number) => {
      const told: [number, number][] = [];
      const windows: Record<string, number> = {};
      const { settings, texts } = await compare(model, text, {
        ...small,
        methods: ["quenched"],
        tuneTokens: 72,
        samples: 8,
        precision,
        precisionNats: precision,
        onProgress: (done, total) => void told.push([done, total]),
        onFinished: async (name, outcome) => {
          expect(told.length).toBeGreaterThan(0);
          const { flips } = outcome as { flips?: number[] };
          if (flips !== undefined) windows[name] = flips.length;
        },
      });
      expect(told[0]?.[0]).toBe(0);
      expect(told.at(-1)?.[0]).toBeCloseTo(told.at(-1)?.[1] as number, 6);
      for (const [i, [done]] of told.entries()) expect(done).toBeGreaterThanOrEqual((told[i - 1]?.[0] ?? 0) - 1e-9);
      return { windows, samples: settings.samples, texts: texts.length };
    };
    // Of one prompt, at one level, by softmax and quenched.
    expect(await measured(100)).toEqual({ windows: { "tune quenched 0.45": 4, "check quenched 0.45": 4 }, samples: 4, texts: 8 });
    expect(await measured(0)).toEqual({ windows: { "tune quenched 0.45": 6, "check quenched 0.45": 12 }, samples: 8, texts: 16 });
  });

  it("is sure of a flip rate when its interval is narrow, not when windows happen to be alike", () => {
    const half = new Array<number>(8).fill(0.5);
    // A coin's: 2.3646 x sqrt(0.25 / 64 / 8) = 0.0523 of 0.5.
    expect([isSure(half, half, 64, 0.11), isSure(half, half, 64, 0.1)]).toEqual([true, false]);
    const wide = half.map((rate, i) => rate + (i % 2 === 0 ? 0.1 : -0.1));
    // 2.3646 x sqrt(0.08 / 7 / 8) = 0.0894 of 0.5.
    expect([isSure(wide, half, 64, 0.18), isSure(wide, half, 64, 0.17)]).toEqual([true, false]);
    expect(isSure(half.slice(5), half, 64, 10)).toBe(false); // three windows are none
  });

  it.each([
    [{ levels: [0.9] }, /breaking this model/],
    [{ levels: [] }, /at least one/],
    [{ beyond: [5] }, /from 0 to 2/],
    [{ prompts: [" "] }, /prompt is empty/],
    [{ methods: ["dice"] }, /methods must be one of greedy/],
    [{ samples: 3 }, /samples must be/],
    [{ maxTokens: 255 }, /context holds 256/],
    [{ tau: 0 }, /tau must be/],
    [{ precision: -1 }, /precision must be/],
    [{ precisionNats: Number.NaN }, /precisionNats must be/],
    [{ tuneTokens: 40_000 }, /windows of 12 tokens, but/],
  ] as const)("refuses %j", async (wrong, message) => {
    const refused = compare(model, text, { ...small, ...wrong } as CompareOptions);
    await expect(refused).rejects.toMatchObject({ code: "usage", message: expect.stringMatching(message) });
  });

  it("refuses an empty text", () =>
    expect(compare(model, " ", small)).rejects.toMatchObject({ code: "usage", message: expect.stringMatching(/empty/) }));

  it("is given the same settings again by what they ask for", () => {
    const settings = comparisonSettings(model, text, small);
    expect(comparisonSettings(model, text, { ...optionsOf(settings), profile })).toEqual(settings);
  });
});
