// A model that computes NaN is an error at the first of them, however it is asked, and never a text.
import { copyFile, open } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { writeTransformer } from "../../scripts/check/small-models.mjs";
import { ENGINES, type EngineName } from "../../src/engine/engines.js";
import { readModel } from "../../src/files/index.js";
import { calibrate, loadModel, type Model } from "../../src/llama/index.js";
import { scratchFolder } from "../support/synthetic-gguf.js";

const scratch = scratchFolder();
const path = "models/fairytales-3M-Q8_0.gguf";
const damaged = join(scratch, "nan.gguf");
beforeAll(async () => {
  await writeTransformer(damaged, { type: "F32" });
  const tensor = (await readModel(damaged)).tensors.find(({ name }) => name === "output_norm.weight");
  const file = await open(damaged, "r+");
  await file.write(Buffer.from(Float32Array.of(Number.NaN).buffer), 0, 4, tensor?.offset as number);
  await file.close();
});

const PROMPT = "Once upon a time";
/** Scales of blocks that float16 does not hold. */
const MUCH = { sigma: 1e6 } as const;
/** What reads logits, with every engine; and what writes, which llama.cpp's public interface does not let us look into. */
const READS: Record<string, (model: Model) => Promise<unknown>> = {
  score: (model) => model.score(PROMPT, MUCH, () => undefined),
  uncertainty: (model) => model.uncertainty(PROMPT, { text: " the time", ...MUCH, members: 2 }),
  calibrate: (model) => calibrate(model, PROMPT.repeat(20), { maxTokens: 40, draws: 2, sigmas: [0.1, 1e6] }),
};
const WRITES: typeof READS = {
  greedy: (model) => model.complete(PROMPT, { ...MUCH, maxTokens: 3 }),
  sampled: (model) => model.complete(PROMPT, { ...MUCH, maxTokens: 3, temperature: 1, topK: 5 }),
  moving: (model) => model.complete(PROMPT, { ...MUCH, maxTokens: 3, dynamics: "white" }),
  picked: (model) => model.complete(PROMPT, { ...MUCH, maxTokens: 3, pick: () => 5 }),
};

const engines = Object.entries(ENGINES).filter(([name, kind]) => {
  const why = kind.whyNot();
  if (why !== undefined) console.warn(`SKIPPED models that compute no numbers, in ${name}: ${why}`);
  return why === undefined;
});
const asked = (engine: string) => Object.entries(engine === "llama-c" ? { ...READS, ...WRITES } : READS);

describe.each(engines)("%s", (engine) => {
  let model: Model;
  beforeAll(async () => {
    model = await loadModel(path, { threads: 1, scratch, engine: engine as EngineName, contextSize: 128 });
  });
  afterAll(() => model.dispose());

  it.each(asked(engine))("%s says which sigma was too much, and the next text is the clean one", async (_, ask) => {
    const clean = async () => (await model.complete(PROMPT, { maxTokens: 3, endless: true })).ids;
    const before = await clean();
    await expect(ask(model)).rejects.toMatchObject({
      code: "usage",
      message: expect.stringMatching(/At sigma 1000000 .* computes no numbers any more/),
    });
    expect(await clean()).toEqual(before);
  });

  it("refuses a damaged model when it is loaded", async () => {
    const loaded = loadModel(damaged, { threads: 1, scratch, engine: engine as EngineName, contextSize: 128 });
    await expect(loaded).rejects.toMatchObject({ message: expect.stringMatching(/nan.gguf computes no numbers/) });
  });

  it.runIf(engine === "llama-c")("says so of weights that went bad later, whether they are to move or not", async () => {
    // With the header of the model that ships, which is loaded without a first look.
    const bad = join(scratch, "scale.gguf");
    await copyFile(path, bad);
    const tensor = (await readModel(bad)).tensors.find(({ name }) => name === "blk.2.ffn_down.weight");
    const file = await open(bad, "r+");
    await file.write(Uint8Array.of(0x00, 0x7e), 0, 2, (tensor?.offset as number) + 34 * 10);
    await file.close();
    await using loaded = await loadModel(bad, { threads: 1, scratch, engine: engine as EngineName, contextSize: 128 });
    const only = ["blk.0.*"];
    for (const options of [{}, { sigma: 0.05, only, dynamics: "white" }, { sigma: 0.05, only, dynamics: "quenched" }] as const)
      await expect(loaded.complete(PROMPT, { maxTokens: 3, ...options })).rejects.toMatchObject({
        message: expect.stringMatching(/computes no numbers/),
      });
  });
});
