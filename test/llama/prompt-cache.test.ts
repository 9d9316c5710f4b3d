// What is computed of a prompt, kept in a file: the text goes on from it as it would have, and a file of something else, or a damaged one, is no harm.
import { existsSync, readdirSync, readFileSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { llamaC } from "../../src/engine/llama-c/index.js";
import { loadModel, type Model } from "../../src/llama/index.js";
import { scratchFolder } from "../support/synthetic-gguf.js";

const folder = scratchFolder();
const MODEL = "models/fairytales-3M-Q8_0.gguf";
const PROMPT = "Once upon a time there was a king who had three daughters, and the youngest was so beautiful that the sun";
const why = llamaC.whyNot();
if (why !== undefined) console.warn(`SKIPPED prompts that are kept: ${why}`);

describe.skipIf(why !== undefined)("a prompt that is kept in a file", () => {
  let model: Model;
  const file = join(folder, "prompt.cache");
  beforeAll(async () => {
    // Not rearranged: this format's rows are computed alike in batches of every shape, so that texts are the same ones.
    model = await loadModel(MODEL, { threads: 1, scratch: folder, repack: "off", engine: "llama-c" });
  });
  afterAll(() => model.dispose());
  const write = (how: object = {}, prompt = PROMPT) => model.complete(prompt, { maxTokens: 12, ...how });
  const head = () => JSON.parse(readFileSync(file, "latin1").split("\n", 1)[0] as string) as { tokens: number[] };

  it("gives the same text, and is not written again", async () => {
    const plain = await write();
    expect((await write({ promptCache: file })).text).toBe(plain.text);
    expect(head().tokens).toEqual(model.tokens(PROMPT));
    const long = new Date(2001, 1);
    utimesSync(file, long, long);
    expect((await write({ promptCache: file })).text).toBe(plain.text);
    expect(statSync(file).mtime).toEqual(long);
    // A longer prompt goes on from what there is, and is kept in its place.
    const longer = `${PROMPT} himself wondered`;
    const text = (await write({}, longer)).text;
    expect((await write({ promptCache: file }, longer)).text).toBe(text);
    expect(head().tokens).toEqual(model.tokens(longer));
    expect(readdirSync(folder).filter((name) => name.includes("partial"))).toEqual([]);
  });

  it("is of the weights that read it", async () => {
    const noise = { sigma: 0.1, seed: 3n };
    const moved = await write(noise);
    expect((await write({ ...noise, promptCache: file })).text).toBe(moved.text);
    expect((await write({ ...noise, promptCache: file })).text).toBe(moved.text);
    expect((await write({ promptCache: file })).text).toBe((await write()).text);
    const moving = { ...noise, dynamics: "white", promptCache: file };
    await expect(write(moving)).rejects.toMatchObject({ code: "usage" });
  });

  it("is made anew where it is damaged", async () => {
    const { text } = await write({ promptCache: file });
    const whole = readFileSync(file);
    for (const damaged of [whole.subarray(0, whole.length - 5), Buffer.from("{}\n"), Buffer.from("no line"), Buffer.alloc(0)]) {
      writeFileSync(file, damaged);
      expect((await write({ promptCache: file })).text).toBe(text);
      expect(readFileSync(file).length).toBe(whole.length);
    }
    const flipped = Buffer.from(whole);
    flipped[flipped.length - 100] = (flipped[flipped.length - 100] as number) ^ 255;
    writeFileSync(file, flipped);
    expect((await write({ promptCache: file })).text).toBe(text);
  });

  it("is never the model", async () => {
    const before = statSync(MODEL);
    await expect(write({ promptCache: MODEL })).rejects.toMatchObject({ code: "output-exists" });
    expect(statSync(MODEL).mtimeMs).toBe(before.mtimeMs);
    await expect(write({ promptCache: join(folder, "none", "x") })).rejects.toMatchObject({ code: "file-not-found" });
    expect(existsSync(join(folder, "none"))).toBe(false);
  });
});
