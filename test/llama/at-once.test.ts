// Texts that begin at any moment of others are what they are alone: what one forgets is not what another is computed with.
import { setTimeout as wait } from "node:timers/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import { llamaC } from "../../src/engine/llama-c/index.js";
import { loadModel, type Model } from "../../src/llama/index.js";
import { scratchFolder } from "../support/synthetic-gguf.js";

const why = llamaC.whyNot();
if (why !== undefined) console.warn(`SKIPPED texts at once: ${why}`);

const scratch = scratchFolder();
let model: Model;
beforeAll(async () => {
  if (why === undefined) model = await loadModel("models/fairytales-3M-Q8_0.gguf", { threads: 1, parallel: 3, scratch });
});
afterAll(() => model?.dispose());

it.skipIf(why !== undefined)("texts that begin while others are read or written are what they are alone", async () => {
  const beginnings = ["king", "queen", "wolf", "fox", "bear", "hen", "cat", "dog"].map(
    (word) => `Once upon a time there was a ${word} who`,
  );
  const options = { temperature: 0.8, seed: 1n, maxTokens: 8, logprobs: 0 } as const;
  const alone = new Map<string, readonly number[]>();
  for (const one of beginnings) alone.set(one, (await model.complete(one, options)).ids);
  // Rounds with other distances between their beginnings, from less than a token takes to more than a prompt. Before what texts forget waited for
  // the batch under way, one text in thirty was another's.
  for (let round = 0; round < 24; round++) {
    const texts = beginnings.map(async (one, i) => {
      await wait((i * round) / 4);
      expect([one, (await model.complete(one, options)).ids]).toEqual([one, alone.get(one)]);
    });
    await Promise.all(texts);
  }
});

it.skipIf(why !== undefined)("continuations that are read at once are worth what each is alone", async () => {
  const asked = ["king", "queen", "wolf", "fox", "old miller"].map((word) => ({
    prompt: `Once upon a time there was a ${word} who`,
    ids: model.tokenize(" was very happy."),
  }));
  const together = await model.followAll(asked); // two at a time: the third place keeps what all begin with
  const others = [...asked, { prompt: "The end", ids: model.tokenize(".") }]; // nothing in common
  for (const [i, seen] of (await model.followAll(others)).entries()) {
    const { prompt, ids } = others[i] as (typeof asked)[0];
    const alone = await model.follow(prompt, ids);
    for (const [j, { logProbability, likeliest }] of alone.entries()) {
      // Rows of batches of other shapes are rounded otherwise (docs/guides/engine.md): 0.01 nats is far above that, and far below what tells texts apart.
      for (const one of [seen[j], together[i]?.[j] ?? seen[j]]) {
        expect(Math.abs((one?.logProbability ?? Number.NaN) - logProbability), prompt).toBeLessThan(0.01);
        expect(one?.likeliest, prompt).toBe(likeliest);
      }
    }
  }
  expect(await model.followAll(asked)).toEqual(together);
  await expect(model.followAll([{ prompt: "a", ids: [] }])).rejects.toThrow(/no token/);
  await expect(model.followAll([{ prompt: "a", ids: new Array<number>(400).fill(5) }])).rejects.toThrow(/context holds/);
});
