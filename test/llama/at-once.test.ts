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
