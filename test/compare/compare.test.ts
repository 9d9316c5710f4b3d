// Ways of making texts different beside each other: what the comparison needs of a model, its arithmetic on records made by hand, a small run on the
// embedded model, and what is refused.
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { evaluate, type Records, type Written } from "../../src/compare/comparison.js";
import { comparisonPage, comparisonTable } from "../../src/compare/page.js";
import { checkOutputFolder, writeFolderWhole } from "../../src/files/index.js";
import { type CompareOptions, compare, loadModel, type Model } from "../../src/llama/index.js";
import { Noise } from "../../src/noise/index.js";
import { renderPage } from "../../src/report/page.js";
import { argmax, gaussianMax, logSoftmax, type Profile } from "../../src/sampling/index.js";
import { scratchFolder } from "../support/synthetic-gguf.js";

const folder = scratchFolder();
const MODEL = "models/fairytales-3M-Q8_0.gguf";
const PROMPT = "Once upon a time";
const text = readFileSync("models/fairytales-heldout.txt", "utf8");

let model: Model;
beforeAll(async () => {
  model = await loadModel(MODEL, { threads: 1, scratch: folder });
});
afterAll(() => model.dispose());

describe("texts of which every token counts", () => {
  it("are followed as they were written: the same likelihoods as reading says, and greedy tokens are the likeliest", async () => {
    const greedy = await model.complete(PROMPT, { maxTokens: 40 });
    expect(greedy.ids).toHaveLength(40);
    // Evaluated in one go, sums come in another order than token by token: a tie may turn.
    expect((await model.follow(PROMPT, greedy.ids)).filter((one) => one.likeliest).length).toBeGreaterThanOrEqual(39);
    const { ids } = await model.complete(PROMPT, { maxTokens: 40, temperature: 1, seed: 1n });
    const seen = await model.follow(PROMPT, ids);
    const prompt = model.tokens(PROMPT);
    const expected: number[] = [];
    const likeliest: boolean[] = [];
    await model.score([[...prompt, ...ids]], {}, ({ token, logits, position }) => {
      if (position < prompt.length - 1) return;
      expected.push(logSoftmax(logits)[token] as number);
      likeliest.push(argmax(logits) === token);
    });
    expect(seen).toHaveLength(40);
    expect(seen.map((one) => one.likeliest)).toEqual(likeliest);
    expect(likeliest).toContain(false);
    for (const [i, { logProbability }] of seen.entries()) expect(logProbability).toBeCloseTo(expected[i] as number, 4);
  });

  it("may be chosen by the caller: argmax gives the greedy text, noise on the logits the same text for the same seed", async () => {
    const greedy = await model.complete(PROMPT, { maxTokens: 40 });
    expect((await model.complete(PROMPT, { maxTokens: 40, pick: argmax })).text).toBe(greedy.text);
    const noisy = (seed: bigint) => {
      const stream = new Noise(seed).stream("dice");
      return model.complete(PROMPT, { maxTokens: 40, pick: (logits, tick) => gaussianMax(logits, stream, { tick }, 1) });
    };
    const [a, b, c] = [await noisy(1n), await noisy(1n), await noisy(2n)];
    expect(a.ids).toEqual(b.ids);
    expect(a.ids).not.toEqual(c.ids);
    expect(a.ids).not.toEqual(greedy.ids);
    await expect(model.complete(PROMPT, { pick: () => -1 })).rejects.toMatchObject({ code: "usage" });
    await expect(model.complete(PROMPT, { pick: argmax, temperature: 1 })).rejects.toMatchObject({ code: "usage" });
  });
});

it("texts end where the model ends them, unless they are endless", async () => {
  // The same model, told that the tenth token of its greedy text ends texts.
  const { ids } = await model.complete(PROMPT, { maxTokens: 30 });
  const bytes = readFileSync(MODEL);
  const key = "tokenizer.ggml.eos_token_id";
  bytes.writeUInt32LE(ids[9] as number, bytes.indexOf(key) + key.length + 4); // after the type of the value
  const path = join(folder, "ending.gguf");
  writeFileSync(path, bytes);
  const ending = await loadModel(path, { threads: 1, scratch: folder });
  try {
    const first = ids.indexOf(ids[9] as number);
    for (const how of [{}, { pick: argmax }]) {
      expect(await ending.complete(PROMPT, { maxTokens: 30, ...how })).toMatchObject({ ids: ids.slice(0, first), stop: "eos" });
      expect(await ending.complete(PROMPT, { maxTokens: 30, endless: true, ...how })).toMatchObject({ ids, stop: "length" });
    }
  } finally {
    await ending.dispose();
  }
});

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
    expect(html).toContain("Moving weights beside softmax");
    expect(html).toMatch(/texts of quenched weights are likelier under the clean model than softmax's \(by 0\.50 nats a token\)/);
    expect(html).not.toMatch(/NaN|undefined|Infinity/);
    expect(comparisonTable(result)).toMatch(/quenched weights +−0\.500 \(−0\.500 to −0\.500\)/);
  });
});

describe("a comparison on the embedded model", () => {
  const small: CompareOptions = {
    profile,
    methods: ["greedy", "logits", "quenched"],
    levels: [0.45],
    beyond: [],
    prompts: [PROMPT],
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
  }, 60_000);

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
});

describe("folders appear whole or not at all", () => {
  it("replace a former one of the same kind, and nothing else", async () => {
    const output = join(folder, "report");
    const write = (word: string) => writeFolderWhole(output, ["a"], async (at) => writeFileSync(join(at, "a"), word));
    await write("one");
    await write("two");
    expect(readFileSync(join(output, "a"), "utf8")).toBe("two");
    const failing = writeFolderWhole(output, ["a"], async () => Promise.reject(new Error("no")));
    await expect(failing).rejects.toThrow("no");
    expect(readFileSync(join(output, "a"), "utf8")).toBe("two");
    writeFileSync(join(output, "mine"), "");
    await expect(write("three")).rejects.toMatchObject({ code: "output-exists" });
    expect(readdirSync(folder).filter((name) => name.includes("partial"))).toEqual([]);
    writeFileSync(join(folder, "file"), "");
    await expect(checkOutputFolder(join(folder, "file"), [])).rejects.toMatchObject({ code: "file-access" });
    await expect(checkOutputFolder(join(folder, "nowhere", "x"), [])).rejects.toMatchObject({ code: "file-not-found" });
    mkdirSync(join(folder, "empty"));
    await checkOutputFolder(join(folder, "empty"), []);
  });
});
