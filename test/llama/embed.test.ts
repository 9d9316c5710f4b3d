// Texts as vectors: what is added up is checked against another way of reading, and moved weights against their own rules.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { llamaC } from "../../src/engine/llama-c/index.js";
import { loadModel, type Model } from "../../src/llama/index.js";

const why = llamaC.whyNot();
if (why !== undefined) console.warn(`SKIPPED embeddings: ${why}`);

const PATH = "models/fairytales-3M-Q8_0.gguf";
const LONG = "Once upon a time there was a king who had a daughter, and she was as beautiful as the day. ".repeat(8);

const dot = (a: Float32Array, b: Float32Array) => a.reduce((sum, value, i) => sum + value * (b[i] as number), 0);

describe.skipIf(why !== undefined)("embed", () => {
  let model: Model;
  beforeAll(async () => {
    model = await loadModel(PATH, { threads: 1 });
  });
  afterAll(() => model?.dispose());

  it("gives vectors of length 1, which are the text's alone", async () => {
    const texts = ["A king lived in a castle.", "3 + 4 = 7", LONG];
    const together = await model.embed(texts);
    for (const { vector } of together) expect(Math.sqrt(dot(vector, vector))).toBeCloseTo(1, 6);
    expect(together.map(({ tokens }) => tokens)).toEqual(texts.map((text) => model.tokens(text).length));
    const [alone] = await model.embed([LONG]);
    expect(alone?.vector).toEqual(together[2]?.vector);
  });

  it("is the mean over tokens, whose share of it nothing that follows changes", async () => {
    const engine = await llamaC.load(PATH, "fairytales", { threads: 1 });
    const tokens = engine.tokenize("A king lived in a castle.");
    const means = [];
    for (let n = 1; n <= tokens.length; n++) means.push((await engine.embed?.(tokens.slice(0, n))) as Float64Array);
    await engine.dispose();
    // The last layer ends with a normalization: every token's vector has the length of the weights of that, roughly, and none is the mean.
    const own = means.map((mean, i) => mean.map((value, j) => (i + 1) * value - i * (means[i - 1]?.[j] ?? 0)));
    const lengths = own.map((vector) => Math.hypot(...vector));
    expect(Math.max(...lengths) / Math.min(...lengths)).toBeLessThan(2);
    expect(Math.hypot(...(means.at(-1) as Float64Array))).toBeLessThan(Math.min(...lengths));
  });

  it("leaves texts as they were", async () => {
    const before = await model.complete("Once upon a time", { maxTokens: 12 });
    await model.embed(["The king"], { sigma: 0.2, seed: 1n });
    expect((await model.complete("Once upon a time", { maxTokens: 12 })).text).toBe(before.text);
  });

  it("is read by moved weights: by their draw, and the further the larger sigma is", async () => {
    const of = async (options: object) => (await model.embed(["A king lived in a castle."], options))[0]?.vector as Float32Array;
    const clean = await of({});
    expect(await of({ sigma: 0.1, seed: 1n })).toEqual(await of({ sigma: 0.1, seed: 1n }));
    expect(await of({ sigma: 0.1, seed: 2n })).not.toEqual(await of({ sigma: 0.1, seed: 1n }));
    const away = [];
    for (const sigma of [0.02, 0.1, 0.4]) away.push(1 - dot(clean, await of({ sigma, seed: 1n })));
    expect(away[0]).toBeGreaterThan(0);
    expect(away[1]).toBeGreaterThan(away[0] as number);
    expect(away[2]).toBeGreaterThan(away[1] as number);
    expect(await of({ carrier: "adapter", sigma: 0.1, seed: 1n })).not.toEqual(clean);
  });

  it("refuses what cannot be one, and ends by its signal", async () => {
    await expect(model.embed([LONG.repeat(3)])).rejects.toThrow(/the context holds 256/);
    await expect(model.embed(["a"], { dynamics: "white" } as never)).rejects.toThrow(/embed has no option/);
    const signal = AbortSignal.timeout(1);
    const error = await model.embed(Array(200).fill(LONG), { signal }).catch((thrown) => thrown);
    expect(error).toBe(signal.reason);
  });
});
