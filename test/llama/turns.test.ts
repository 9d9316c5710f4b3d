// Texts that are asked for at once: each is the text that it is alone; those with the same weights at rest are written together, the others take turns.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { llamaC } from "../../src/engine/llama-c/index.js";
import { type GenerateOptions, loadModel, type Model } from "../../src/llama/index.js";
import { Turns } from "../../src/llama/turns.js";
import { scratchFolder } from "../support/synthetic-gguf.js";

const scratch = scratchFolder();
const MODEL = "models/fairytales-3M-Q8_0.gguf";

describe("turns", () => {
  const gone = (signal: AbortSignal) => expect.objectContaining({ name: (signal.reason as Error).name });

  it("come first to those who came first, and together to those who share weights", async () => {
    const turns = new Turns(2);
    const order: string[] = [];
    const enter = (name: string, weights?: string) =>
      turns.enter(weights).then((place) => {
        order.push(`${name}${place}`);
        return place;
      });
    const settled = () => new Promise((resolve) => setImmediate(resolve));
    const all = [enter("a", "x"), enter("b", "x"), enter("c", "x"), enter("d"), enter("e", "x"), enter("f", "y")];
    await settled();
    expect(order).toEqual(["a0", "b1"]);
    turns.leave(0);
    await settled();
    expect(order).toEqual(["a0", "b1", "c0"]); // d is to be alone, and e does not overtake it
    turns.leave(1);
    turns.leave(0);
    await settled();
    expect(order.at(-1)).toBe("d0");
    turns.leave(0);
    await settled();
    expect(order.at(-1)).toBe("e0"); // f has other weights
    turns.leave(0);
    await Promise.all(all);
    expect(order.at(-1)).toBe("f0");
    expect(turns.count).toBe(1);
  });

  it("are given up by those who are ended, and then are the next one's", async () => {
    const turns = new Turns(2);
    const place = await turns.enter("x");
    const control = new AbortController();
    const alone = turns.enter(undefined, control.signal);
    const next = turns.enter("x");
    control.abort();
    await expect(alone).rejects.toEqual(gone(control.signal));
    expect(await next).toBe(1 - place);
    await expect(turns.enter("x", control.signal)).rejects.toEqual(gone(control.signal));
    expect(turns.count).toBe(2);
  });
});

const why = llamaC.whyNot();
if (why !== undefined) console.warn(`SKIPPED several texts at once: ${why}`);

describe.skipIf(why !== undefined)("several texts at once", () => {
  let alone: Model;
  let together: Model;
  beforeAll(async () => {
    // Not rearranged, this format's rows are computed alike in batches of every shape, so that texts are the same ones.
    const options = { threads: 1, scratch, repack: "off", engine: "llama-c", contextSize: 64 } as const;
    alone = await loadModel(MODEL, options);
    together = await loadModel(MODEL, { ...options, parallel: 4, keepPrompts: true });
  });
  afterAll(async () => {
    await alone.dispose();
    await together.dispose();
  });

  const PROMPTS = [
    "Once upon a time",
    "The King said to his daughter",
    "Once upon a time there was a poor",
    "A fox",
    "There lived",
  ];
  const REQUESTS: [string, GenerateOptions][] = PROMPTS.flatMap((prompt, i) =>
    [
      { temperature: 0.8, seed: BigInt(i) },
      {},
      { sigma: 0.05, seed: 5n },
      { sigma: 0.05, seed: 5n, temperature: 1 },
      { sigma: 0.1, seed: 5n, dynamics: "andersen" },
    ].map((how): [string, GenerateOptions] => [prompt, { ...how, maxTokens: 12 + i }]),
  );

  it("are the texts that each is alone", async () => {
    const expected: string[] = [];
    for (const [prompt, how] of REQUESTS) expected.push((await alone.complete(prompt, how)).text);
    const texts = await Promise.all(REQUESTS.map(([prompt, how]) => together.complete(prompt, how)));
    expect(texts.map(({ text }) => text)).toEqual(expected);
  });

  it("go on when one of them is ended", async () => {
    const control = new AbortController();
    const others = PROMPTS.map((prompt) => together.complete(prompt, { maxTokens: 30 }));
    const ended = (async () => {
      let text = "";
      for await (const piece of together.generate("A fox", { maxTokens: 40, signal: control.signal })) {
        text += piece;
        if (text.length > 20) control.abort();
      }
      return text;
    })();
    const texts = await Promise.all(others);
    for (const [i, { text }] of texts.entries())
      expect(text).toBe((await alone.complete(PROMPTS[i] as string, { maxTokens: 30 })).text);
    expect((await alone.complete("A fox", { maxTokens: 40 })).text.startsWith(await ended)).toBe(true);
  });

  it("are refused where the engine cannot", async () => {
    for (const options of [{ engine: "node-llama-cpp" as const, parallel: 2 }, { parallel: 0 }, { parallel: 1000 }])
      await expect(loadModel(MODEL, { scratch, ...options })).rejects.toMatchObject({ code: "usage" });
  });
});
