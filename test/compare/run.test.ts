// A small comparison on the embedded model: the same numbers for the same seed, also when it was interrupted; and what is refused.
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { comparisonSettings, optionsOf } from "../../src/compare/index.js";
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

  it.each([
    [{ levels: [0.9] }, /breaking this model/],
    [{ levels: [] }, /at least one/],
    [{ beyond: [5] }, /from 0 to 2/],
    [{ prompts: [" "] }, /prompt is empty/],
    [{ methods: ["dice"] }, /methods must be one of greedy/],
    [{ samples: 3 }, /samples must be/],
    [{ maxTokens: 255 }, /context holds 256/],
    [{ tau: 0 }, /tau must be/],
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
