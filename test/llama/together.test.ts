// Many texts at once: each is the one that it is alone, whatever the weights do, in groups as large as the model was loaded for.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { llamaC } from "../../src/engine/llama-c/index.js";
import { loadModel, type Model, type TextAsked, type TogetherOptions } from "../../src/llama/index.js";
import { scratchFolder } from "../support/synthetic-gguf.js";

const why = llamaC.whyNot();
if (why !== undefined) console.warn(`SKIPPED texts that are written together: ${why}`);

const folder = scratchFolder();
const prompts = ["Once upon a time", "Once upon a time", "Once upon a hill there was", "The king", "Once upon a time"];

describe.skipIf(why !== undefined)("texts that are written together", () => {
  let model: Model;
  beforeAll(async () => {
    // Q8_0 that is not rearranged: rows of a batch are rounded as they are alone.
    const options = { threads: 1, scratch: folder, repack: "off", parallel: 3, contextSize: 64 } as const;
    if (why === undefined) model = await loadModel("models/fairytales-3M-Q8_0.gguf", options);
  });
  afterAll(() => model?.dispose());

  it.each<[string, TogetherOptions, Partial<TextAsked>]>([
    ["clean weights", {}, { temperature: 0.8 }],
    ["weights at rest", { sigma: 0.1 }, { temperature: 0.3, minP: 0.1 }],
    ["weights that move", { sigma: 0.1, dynamics: "andersen", tau: 3 }, {}],
    ["adapters", { sigma: 0.1, carrier: "adapter", rank: 2 }, {}],
    ["adapters that move", { sigma: 0.1, carrier: "adapter", rank: 2, dynamics: "langevin", tau: 3 }, {}],
  ])("are with %s what each is alone", async (_, weights, dice) => {
    const texts = prompts.map((prompt, seed) => ({ prompt, seed, ...dice }));
    const shared = { ...weights, maxTokens: 9 };
    const told: number[] = [];
    const noiseSeed = 5n;
    const all = await model.completeAll(texts, { ...shared, noiseSeed, logprobs: 1, onText: (i) => told.push(i) });
    expect([...told].sort()).toEqual([0, 1, 2, 3, 4]);
    for (const [i, { prompt, ...rest }] of texts.entries()) {
      const { ids, text, stop, logprobs } = await model.complete(prompt, { ...shared, noiseSeed, ...rest, logprobs: 1 });
      expect(all[i]).toEqual({ ids, text, tokens: ids.length, stop, logprobs });
    }
    // The dice are each text's own, the weights are not.
    if (dice.temperature === 0.8) expect(all[0]?.text).not.toBe(all[1]?.text);
    if (Object.keys(dice).length === 0) expect(all[0]?.text).toBe(all[4]?.text);
  });

  it("end for themselves: at a stop string, at their length", async () => {
    const [alone] = await model.completeAll([{ prompt: "Once upon a time" }], { maxTokens: 12 });
    const word = (alone?.text ?? "").trim().split(" ")[2] as string;
    const [short, long] = await model.completeAll([{ prompt: "Once upon a time", stop: word }, { prompt: "Once upon a time" }], {
      maxTokens: 12,
    });
    expect(short).toMatchObject({ stop: "stop", stopString: word });
    expect(alone?.text.startsWith(short?.text ?? "-")).toBe(true);
    expect(long).toEqual(alone);
    expect(await model.completeAll([])).toEqual([]);
  });

  it("are refused by name, and end by a signal", async () => {
    const refused = (texts: unknown, options: unknown) => model.completeAll(texts as TextAsked[], options as TogetherOptions);
    await expect(refused([{ prompt: "a", sigma: 1 }], {})).rejects.toThrow(/A text has no option "sigma"/);
    await expect(refused([{ prompt: "a" }], { temperature: 1 })).rejects.toThrow(/completeAll has no option "temperature"/);
    await expect(refused([{ prompt: 1 }], {})).rejects.toThrow(/A prompt is/);
    const control = new AbortController();
    const ended = model.completeAll(
      prompts.map((prompt) => ({ prompt })),
      { maxTokens: 50, signal: control.signal, onText: () => control.abort() },
    );
    await expect(ended).rejects.toThrow(/aborted/);
    expect((await model.completeAll([{ prompt: "The king" }], { maxTokens: 3 }))[0]?.tokens).toBe(3);
  });
});
