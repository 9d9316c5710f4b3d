// How sure an ensemble is: exact identities and closed cases of the entropies, and what a real model's members say.
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { writeTransformer } from "../../scripts/check/small-models.mjs";
import { type Expected, loadModel, type Model } from "../../src/llama/index.js";
import { Ensemble, entropy, kl, softmax } from "../../src/sampling/index.js";
import { scratchFolder } from "../support/synthetic-gguf.js";

function ensembleOf(members: readonly (readonly number[])[]) {
  const ensemble = new Ensemble(members[0]?.length ?? 0);
  for (const p of members) ensemble.add(p);
  return ensemble;
}

describe("an ensemble", () => {
  it("that agrees has no information, whatever it is unsure of", () => {
    const p = [0.5, 0.25, 0.25, 0];
    const { total, expected, information } = ensembleOf([p, p, p, p]).entropy();
    expect(information).toBe(0);
    expect(total).toBe(expected);
    expect(total).toBeCloseTo(1.5 * Math.log(2), 12);
  });

  it("of one member has exactly none", () => {
    for (let seed = 1; seed < 50; seed++) {
      const p = softmax([0, 1, 2, 3, 4].map((i) => Math.sin(seed * (i + 1)) * 5));
      const { total, expected, information } = ensembleOf([Array.from(p)]).entropy();
      expect(information).toBe(0);
      expect(total).toBe(expected);
      expect(total).toBe(entropy(p));
    }
  });

  it("of members that are sure, each of another outcome, is all information: ln n", () => {
    for (const n of [2, 3, 10]) {
      const members = Array.from({ length: n }, (_, m) => Array.from({ length: n }, (_, i) => (i === m ? 1 : 0)));
      const { total, expected, information } = ensembleOf(members).entropy();
      expect(expected).toBe(0);
      expect(total).toBeCloseTo(Math.log(n), 12);
      expect(information).toBe(total);
    }
  });

  it("in between: H(mean) - mean H = mean KL(p || mean), never below 0, never above ln of its members", () => {
    for (let seed = 1; seed < 200; seed++) {
      const scale = 10 ** ((seed % 7) - 4); // nearly equal members, too
      const members = [1, 2, 3].map((m) =>
        Array.from(softmax(Array.from({ length: 6 }, (_, i) => Math.cos(i * seed) * 3 + Math.sin(seed * m + i) * scale))),
      );
      const ensemble = ensembleOf(members);
      const { total, expected, information } = ensemble.entropy();
      const mean = ensemble.mean();
      expect(mean.reduce((a, b) => a + b)).toBeCloseTo(1, 12);
      const divergence = members.reduce((sum, p) => sum + kl(p, mean), 0) / 3;
      expect(Math.abs(information - divergence)).toBeLessThan(1e-12);
      expect(information).toBeGreaterThanOrEqual(0);
      expect(information).toBeLessThanOrEqual(Math.log(3) + 1e-12);
      expect(total - expected).toBeCloseTo(information, 14);
    }
  });

  it("refuses what is no ensemble", () => {
    expect(() => new Ensemble(2).entropy()).toThrow(/without members/);
    expect(() => new Ensemble(2).add([1])).toThrow(/2 and 1 outcomes/);
    expect(() => new Ensemble(2).add([3, -1])).toThrow(/which is none/);
  });
});

describe("the embedded model", () => {
  const scratch = scratchFolder();
  const PROMPT = "Once upon a time";
  const few = { members: 3, maxTokens: 12, seed: 5n };
  let model: Model;
  beforeAll(async () => {
    model = await loadModel("models/fairytales-3M-Q8_0.gguf", { threads: 1, scratch });
  });
  afterAll(() => model.dispose());

  it("says of its own greedy text what members with these seeds predict, teacher-forced", async () => {
    const { text, tokens, members } = await model.uncertainty(PROMPT, { ...few, sigma: 0.1 });
    expect(members).toBe(3);
    expect(text).toBe((await model.complete(PROMPT, { maxTokens: 12 })).text);
    expect(tokens.map((token) => token.text).join("")).toBe(text);
    // Again, through `score` and by hand.
    const predictions: Float64Array[][] = [];
    for (let m = 0n; m < 3n; m++) {
      const own: Float64Array[] = [];
      const seed = BigInt.asUintN(64, 5n + m * 0x9e3779b97f4a7c15n);
      await model.score(PROMPT + text, { sigma: 0.1, seed }, ({ logits }: Expected) => own.push(softmax(logits)));
      predictions.push(own.slice(-12));
    }
    for (const [i, token] of tokens.entries()) {
      const laws = predictions.map((own) => own[i] as Float64Array);
      const mean = (laws[0] as Float64Array).map((_, j) => laws.reduce((sum, p) => sum + (p[j] as number), 0) / 3);
      // The kernel's e^x is good to 2^-22, so each p is, and H to some 2^-22 (H + 1).
      expect(token.total).toBeCloseTo(entropy(mean), 5);
      expect(token.expected).toBeCloseTo(laws.reduce((sum, p) => sum + entropy(p), 0) / 3, 5);
      expect(token.information).toBeCloseTo(token.total - token.expected, 10);
      expect(token.information).toBeGreaterThan(0);
      expect(token.probability).toBeCloseTo(mean[token.token] as number, 6);
    }
    expect(await model.uncertainty(PROMPT, { ...few, sigma: 0.1 })).toEqual({ text, tokens, members });
  });

  it("disagrees with itself the more the weights move, and not at all without noise or company", async () => {
    const mean = async (sigma: number, members = 3) => {
      const { tokens } = await model.uncertainty(PROMPT, { ...few, sigma, members });
      return tokens.reduce((sum, token) => sum + token.information, 0) / tokens.length;
    };
    expect(await mean(0)).toBe(0);
    expect(await mean(0.1, 1)).toBe(0);
    const little = await mean(0.02);
    const much = await mean(0.2);
    expect(little).toBeGreaterThan(0);
    expect(much).toBeGreaterThan(5 * little);
    expect(much).toBeLessThan(Math.log(3));
  });

  it("reads a given text after a prompt, or alone, and no more of it than it is told", async () => {
    const given = " there lived a king who had a daughter.";
    const read = await model.uncertainty(PROMPT, { ...few, maxTokens: 1000, text: given });
    expect(read.text).toBe(given);
    const start = await model.uncertainty(PROMPT, { ...few, maxTokens: 3, text: given });
    expect(start.tokens).toEqual(read.tokens.slice(0, 3));
    const alone = await model.uncertainty("", { ...few, maxTokens: 1000, text: PROMPT + given });
    expect(alone.tokens.slice(-read.tokens.length)).toEqual(read.tokens);
  });

  it("reads with members that the engine has to load", async () => {
    const dead = await loadModel("models/fairytales-3M-Q4_0.gguf", { threads: 1, scratch });
    const { text, tokens } = await dead.uncertainty(PROMPT, { ...few, sigma: 0.1, skipUnsupported: true });
    expect(text).toBe((await dead.complete(PROMPT, { maxTokens: 12 })).text);
    expect(tokens.every(({ information }) => information > 0)).toBe(true);
    await dead.dispose();
  });

  it("refuses what it cannot read, and stops when told to", async () => {
    for (const wrong of [{ members: 0 }, { members: 1.5 }, { sigma: Number.NaN }, { maxTokens: 0 }, { text: "" }])
      await expect(model.uncertainty(PROMPT, wrong)).rejects.toMatchObject({ code: "usage" });
    const long = await model.uncertainty(PROMPT, { text: " king".repeat(300), maxTokens: 300 }).catch((error) => error);
    expect(long).toMatchObject({ code: "usage", message: expect.stringMatching(/the context holds 256/) });
    const control = new AbortController();
    const stopped = model.uncertainty(PROMPT, { ...few, signal: control.signal, onProgress: () => control.abort() });
    await expect(stopped).rejects.toThrow(/abort/);
    expect((await model.complete(PROMPT, { maxTokens: 3 })).tokens).toBe(3); // and goes on as before
  });
});

const folder = scratchFolder();

it("of a model that begins texts with no token of its own has the whole text", async () => {
  const path = join(folder, "no-beginning.gguf");
  await writeTransformer(path, { change: (metadata) => [...metadata, ["tokenizer.ggml.add_bos_token", "bool", false]] });
  const model = await loadModel(path, { threads: 1 });
  try {
    // With no prompt; with one whose token is another one within the whole text, so that nothing comes before the first.
    for (const [prompt, text] of [
      ["", "once upon a time"],
      ["t", "he time"],
      ["on", "ce upon a time"],
    ] as const) {
      const read = await model.uncertainty(prompt, { text, members: 1, sigma: 0 });
      const joined = read.tokens.map((token) => token.text).join("");
      expect(read.text).toBe(joined);
      expect((prompt + text).endsWith(joined.trimStart())).toBe(true);
      expect(joined.endsWith(text)).toBe(true);
      expect(read.tokens.every((token) => token.probability > 0 && token.total > 0)).toBe(true);
    }
  } finally {
    await model.dispose();
  }
});
