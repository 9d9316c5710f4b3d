// Texts of which every token counts, as comparisons need them: followed as they were written, chosen by the caller, and as long as asked for.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { loadModel, type Model } from "../../src/llama/index.js";
import { Noise } from "../../src/noise/index.js";
import { argmax, gaussianMax, logSoftmax } from "../../src/sampling/index.js";
import { scratchFolder } from "../support/synthetic-gguf.js";

const folder = scratchFolder();
const MODEL = "models/fairytales-3M-Q8_0.gguf";
const PROMPT = "Once upon a time";

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
