// Texts of the embedded models: equal seeds, equal texts; sigma 0 is the clean text; and what is refused, by name.
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { engineNamed } from "../../src/engine/index.js";
import { BrownianError } from "../../src/errors.js";
import { type GenerateOptions, loadModel, type Model } from "../../src/llama/index.js";
import { linear, perturbFile } from "../../src/thermostat/index.js";
import { liveCopies } from "../support/live-copies.js";

const file = (type: string) => `models/fairytales-3M-${type}.gguf`;
const PROMPT = "Once upon a time";

let scratch: string;
let model: Model;
beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), "brownian-test-"));
  model = await loadModel(file("Q8_0"), { threads: 1, scratch });
});
afterAll(async () => {
  await model.dispose();
  expect([await readdir(scratch), liveCopies(scratch)]).toEqual([[], []]); // no live copy of any test is left
  await rm(scratch, { recursive: true });
});

const load = (type: string) => loadModel(file(type), { threads: 1, scratch });
const write = async (options: GenerateOptions = {}, prompt = PROMPT) =>
  (await model.complete(prompt, { maxTokens: 30, ...options })).text;

describe("texts", () => {
  it("are the known greedy text without noise, also after noisy ones", async () => {
    const clean = await write({ maxTokens: 100 });
    expect(clean).toMatch(/^ there was a great many of them\.\n 'I am a king,' said the king,/);
    for (const dynamics of ["quenched", "white"]) {
      expect(clean).not.toContain(await write({ maxTokens: 20, sigma: 0.2, dynamics }));
      expect(await write({ maxTokens: 100, dynamics })).toBe(clean);
    }
  });

  it.each(["quenched", "white"])("of %s weights are the same for the same seed, and others for others", async (dynamics) => {
    const seeds = [1n, 2n, 3n];
    const one = { sigma: 0.1, dynamics, maxTokens: 16 };
    const texts: string[] = [];
    for (const seed of seeds) texts.push(await write({ ...one, seed }));
    for (const seed of seeds.reverse()) expect(await write({ ...one, seed })).toBe(texts[Number(seed) - 1]);
    expect(new Set(texts).size).toBeGreaterThan(1);
  });

  it("of white weights begin with the quenched draw and then go their own way", async () => {
    const one = { sigma: 0.2, seed: 3n, maxTokens: 1 };
    expect(await write({ ...one, dynamics: "white" })).toBe(await write(one));
    const many = { ...one, maxTokens: 30 };
    expect(await write({ ...many, dynamics: "white" })).not.toBe(await write(many));
  });

  it.each(["andersen", "langevin", "wiener"])(
    "of %s weights are the same for the same seed and tau, and others for others",
    async (dynamics) => {
      const one = { sigma: 0.2, dynamics, tau: 4, seed: 5n, maxTokens: 16 };
      const text = await write(one);
      expect(await write(one)).toBe(text);
      expect(await write({ ...one, tau: 1 })).not.toBe(text);
      expect(await write({ ...one, dynamics: "quenched" })).not.toBe(text);
      const { changed, weights } = await model.complete(PROMPT, { ...one, maxTokens: 5 });
      expect(changed / weights).toBeGreaterThan(0.5);
    },
  );

  it("read with the weights of their tick where the context is evaluated anew", async () => {
    const noise = { sigma: 0.1, seed: 4n };
    const text = await write({ ...noise, dynamics: "white", recompute: true, maxTokens: 4 });
    const kept = await write({ ...noise, dynamics: "white", maxTokens: 12 });
    expect(await write({ ...noise, dynamics: "white", recompute: true, maxTokens: 12 })).not.toBe(kept);
    // The last token alone: the model moved as at tick 3, which reads the text up to there.
    const upTo = await write({ ...noise, dynamics: "white", recompute: true, maxTokens: 3 });
    const moved = join(scratch, "moved.gguf");
    await perturbFile(file("Q8_0"), moved, { ...noise, tick: 3 });
    const other = await loadModel(moved, { threads: 1, scratch });
    expect(text).toBe(upTo + (await other.complete(PROMPT + upTo, { maxTokens: 1 })).text);
    await other.dispose();
    await rm(moved);
    // Weights that do not move leave nothing to compute anew.
    expect(await write({ ...noise, recompute: true })).toBe(await write(noise));
  });

  it("may be read by clean weights up to the last token of the prompt", async () => {
    const prompt = "The King said to his daughter: 'I am the King of the Snakes, and";
    const noise = { sigma: 0.3, seed: 1n, maxTokens: 20 };
    const clean = await write({ ...noise, promptWeights: "clean" }, prompt);
    expect(await write({ ...noise, promptWeights: "clean" }, prompt)).toBe(clean);
    expect(await write({ ...noise, promptWeights: "moving" }, prompt)).toBe(await write(noise, prompt));
    expect(clean).not.toBe(await write(noise, prompt));
    expect(await write({ ...noise, sigma: 0, promptWeights: "clean" }, prompt)).toBe(await write({ maxTokens: 20 }, prompt));
  });

  it("cool down by a schedule", async () => {
    const sigma = linear(0.3, 0, 5);
    const text = await write({ sigma, dynamics: "white", seed: 2n });
    expect(await write({ sigma, dynamics: "white", seed: 2n })).toBe(text);
    expect(text).not.toBe(await write({ sigma: 0.3, dynamics: "white", seed: 2n }));
  });

  it("combine with softmax sampling, whose dice follow the seed too", async () => {
    const hot = { temperature: 1, seed: 5n };
    expect(await write(hot)).toBe(await write(hot));
    expect(await write(hot)).not.toBe(await write({ ...hot, seed: 6n }));
    expect(await write({ ...hot, topK: 1 })).toBe(await write());
    // Nothing is cut off unless asked for; at this heat a cut would show.
    const all = await write({ temperature: 3, seed: 5n });
    expect(await write({ temperature: 3, seed: 5n, topK: 2048, topP: 1, minP: 0 })).toBe(all);
    expect(await write({ temperature: 3, seed: 5n, topK: 40 })).not.toBe(all);
    expect(await write({ temperature: 3, seed: 5n, topP: 0.5 })).not.toBe(all);
    expect(await write({ ...hot, topP: 0 })).toBe(await write());
    expect(await write({ ...hot, minP: 1 })).toBe(await write());
    expect(await write({ ...hot, sigma: 0.1 })).not.toBe(await write(hot));
  });

  it("move only the tensors that are asked for", async () => {
    const { weights, changed } = await model.complete(PROMPT, { maxTokens: 1, sigma: 0.1, only: ["blk.1.*_norm.weight"] });
    expect({ weights, changed }).toEqual({ weights: 512, changed: 512 });
    expect(await model.complete(PROMPT, { maxTokens: 1 })).toMatchObject({ weights: 0, changed: 0 });
  });

  it("read on from the prompt, in pieces", async () => {
    for (const prompt of [PROMPT, `${PROMPT} there was a`, "The King said to his daughter:", "A\n", "Königin", "a ", "€"]) {
      const pieces: string[] = [];
      const generation = await (async () => {
        const texts = model.generate(prompt, { maxTokens: 20, temperature: 3, seed: 2n });
        for (;;) {
          const next = await texts.next();
          if (next.done) return next.value;
          pieces.push(next.value);
        }
      })();
      expect(pieces.join("")).toBe(generation.text);
      expect(pieces.length).toBeGreaterThan(1);
    }
    expect(await write({ maxTokens: 1 }, "There was once a poor")).toMatch(/^ \w+/); // a space between words
  });

  it("may begin with nothing where the tokenizer has a beginning", async () => {
    expect(await write({}, "")).not.toBe("");
  });
});

describe("a generation", () => {
  it("tells what happened", async () => {
    const done = await model.complete(PROMPT, { maxTokens: 7, sigma: 0.05 });
    expect(done).toMatchObject({ tokens: 7, stop: "length", reloaded: false, weights: 2_885_888 });
    expect(done.changed / done.weights).toBeGreaterThan(0.5);
    expect(done.tokensPerSecond).toBeCloseTo(6 / done.seconds, 6);
  });

  it("ends when the context is full, at the size that was asked for", async () => {
    const small = await loadModel(file("Q8_0"), { threads: 1, scratch, contextSize: 16 });
    const { tokens, stop, text } = await small.complete(PROMPT);
    expect([tokens, stop]).toEqual([11, "context"]); // 16 less the beginning and four words
    expect((await write()).startsWith(text)).toBe(true);
    await expect(small.complete("the king ".repeat(20))).rejects.toMatchObject({
      code: "usage",
      message: expect.stringMatching(/prompt has 42 tokens.* holds 16/),
    });
    await small.dispose();
    const full = await model.complete(PROMPT, { maxTokens: 1000 });
    expect([full.tokens, full.stop]).toEqual([251, "context"]);
  });

  it("stops when it is aborted, between two tokens or while weights are drawn", async () => {
    const controller = new AbortController();
    const texts = model.generate(PROMPT, { signal: controller.signal });
    await texts.next();
    controller.abort();
    expect((await texts.next()).value).toMatchObject({ stop: "aborted", tokens: 1 });
    for (const sigma of [0, 0.1])
      expect(await model.complete(PROMPT, { sigma, signal: AbortSignal.abort() })).toMatchObject({
        stop: "aborted",
        tokens: 0,
        text: "",
      });
    expect(await write()).toMatch(/^ there was/);
  });

  it("may be broken off; what is asked for meanwhile waits for its end, or until it is ended itself", async () => {
    const texts = model.generate(PROMPT, { sigma: 0.1, dynamics: "white" });
    await texts.next();
    const order: string[] = [];
    const next = write().then((text) => order.push(text));
    const probe = model.probe().then(() => order.push("probed"));
    const control = new AbortController();
    const ended = model.complete(PROMPT, { signal: control.signal });
    control.abort();
    expect(await ended).toMatchObject({ stop: "aborted", tokens: 0 });
    expect(order).toEqual([]);
    await texts.return(undefined as never);
    await Promise.all([next, probe]);
    expect(order[0]).toMatch(/^ there was/);
    expect(order[1]).toBe("probed");
  });
});

describe("a model whose matrices are not live", () => {
  it("is loaded again for quenched weights, and once more for the clean ones", async () => {
    const dead = await load("Q4_0");
    const options = { maxTokens: 30, sigma: 0.2, skipUnsupported: true };
    const clean = await dead.complete(PROMPT, { maxTokens: 30 });
    const first = await dead.complete(PROMPT, { ...options, seed: 1n });
    const same = await dead.complete(PROMPT, { ...options, seed: 1n });
    const second = await dead.complete(PROMPT, { ...options, seed: 2n });
    const again = await dead.complete(PROMPT, { maxTokens: 30 });
    expect([clean, first, same, second, again].map((g) => g.reloaded)).toEqual([false, true, false, true, true]);
    expect(same.text).toBe(first.text);
    expect(again.text).toBe(clean.text);
    expect(new Set([clean.text, first.text, second.text]).size).toBe(3);
    await dead.dispose();
  });

  it("refuses dynamics that move while it writes, except on what is live", async () => {
    const dead = await loadModel(file("Q4_0"), { threads: 1, scratch, engine: "node-llama-cpp" });
    const white = { maxTokens: 30, sigma: 0.2, dynamics: "white" };
    await expect(dead.complete(PROMPT, { ...white, skipUnsupported: true })).rejects.toMatchObject({
      code: "not-live",
      message: expect.stringMatching(/Q4_0 blk\.\*\.ffn_up\.weight.*quenched.*--only.*repack/s),
    });
    await expect(dead.complete(PROMPT, { ...white, only: ["blk.0.attn_q.weight"] })).rejects.toThrow(
      /1 of the moved tensors .* \(Q4_0 blk\.\*\.attn_q\.weight\)/,
    );
    const { reloaded, changed } = await dead.complete(PROMPT, { ...white, only: ["*_norm.weight"] });
    expect([reloaded, changed > 0]).toEqual([false, true]);
    await dead.dispose();
  });

  it("recovers when loading it again failed once", async () => {
    const dead = await load("Q4_0");
    const options = { maxTokens: 5, sigma: 0.2, only: ["blk.0.attn_q.weight"] };
    const clean = await dead.complete(PROMPT, { maxTokens: 5 });
    await dead.complete(PROMPT, options);
    const failed = new BrownianError("engine-failed", "no");
    vi.spyOn(engineNamed(), "load").mockRejectedValueOnce(failed);
    await expect(dead.complete(PROMPT, { ...options, seed: 9n })).rejects.toBe(failed);
    vi.restoreAllMocks();
    expect((await dead.complete(PROMPT, { maxTokens: 5 })).text).toBe(clean.text);
    await dead.dispose();
  });
});

describe("refusals", () => {
  it.each([
    [{ dynamics: "brown" }, /dynamics must be one of quenched, white/],
    [{ sigma: -1 }, /sigma/],
    [{ sigma: Number.NaN }, /sigma/],
    [{ temperature: -1 }, /temperature/],
    [{ topK: 0.5 }, /topK/],
    [{ topP: 2 }, /topP/],
    [{ minP: -1 }, /minP/],
    [{ maxTokens: 0 }, /maxTokens/],
    [{ sigma: 0.1, dynamics: "andersen", tau: 0 }, /tau must be a number of ticks above 0, but is 0/],
    [{ promptWeights: "dirty" as "clean" }, /promptWeights must be one of moving, clean/],
    [{ sigma: 1e6 }, /sigma 1000000 .* no numbers any more.*smaller/],
  ] as [GenerateOptions, RegExp][])("of %o", async (options, message) => {
    await expect(model.complete(PROMPT, options)).rejects.toMatchObject({
      code: "usage",
      message: expect.stringMatching(message),
    });
  });

  it("of globs that match nothing", async () => {
    await expect(model.complete(PROMPT, { sigma: 0.1, only: ["nothing.*"] })).rejects.toMatchObject({ code: "no-such-tensor" });
  });

  it.each([
    [{ gpuLayers: -1 }, /gpuLayers must be .*, but is -1/],
    [{ gpuLayers: 1, engine: "node-llama-cpp" }, /gpuLayers needs the engine llama-c/],
    [{ threads: 0 }, /threads/],
    [{ threads: availableParallelism() + 1 }, /threads must be at most \d+, the processors that this process may use, but is/],
    [{ threads: 1e9 }, /threads must be at most/],
    [{ threadsPrompt: 1e9 }, /threadsPrompt must be at most|threadsPrompt needs the engine llama-c/],
    [{ contextSize: 1e9 }, /contextSize is 1000000000.* trained on 256/],
    [{ contextSize: 2 ** 53 }, /contextSize/],
    [{ contextSize: 1.5 }, /contextSize/],
    [{ contextSize: 512 }, /contextSize is 512.* trained on 256/],
    [{ engine: "abacus" as "node-llama-cpp" }, /engine must be one of llama-c, node-llama-cpp, but is "abacus"/],
  ])("of loading with %o", async (options, message) => {
    await expect(loadModel(file("Q8_0"), { threads: 1, scratch, ...options })).rejects.toMatchObject({
      code: "usage",
      message: expect.stringMatching(message),
    });
  });

  it.each([
    ["follow", (tokens: number[]) => model.follow(PROMPT, tokens)],
    ["score", (tokens: number[]) => model.score([[1, ...tokens]], {}, () => undefined)],
    ["text", async (tokens: number[]) => model.text(tokens)],
    ["text, before it", async (tokens: number[]) => model.text([5], tokens)],
    ["a prompt", (tokens: number[]) => model.complete(tokens, { maxTokens: 1 })],
  ] as [string, (tokens: number[]) => Promise<unknown>][])("of what is no token, by %s", async (_, take) => {
    for (const token of [1e9, 2048, -1, 1.5, Number.NaN, "5" as unknown as number])
      await expect(take([token])).rejects.toMatchObject({ code: "usage", message: expect.stringMatching(/token/i) });
  });

  it("of what is no list of tokens, and no text", async () => {
    await expect(model.follow(PROMPT, 1e9 as never)).rejects.toMatchObject({ code: "usage" });
    await expect(model.score(5 as never, {}, () => undefined)).rejects.toMatchObject({ code: "usage" });
    expect(() => model.text("x" as never)).toThrow(expect.objectContaining({ code: "usage" }));
    expect(() => model.tokenize(5 as never)).toThrow(expect.objectContaining({ code: "usage" }));
  });

  it("of a file that the engine cannot load, with its name and the engine's reason", async () => {
    const broken = join(scratch, "broken.gguf");
    const bytes = await readFile(file("Q8_0"));
    bytes.write("llamx", bytes.indexOf("llama.embedding_length"));
    await writeFile(broken, bytes);
    await expect(loadModel(broken, { threads: 1, scratch })).rejects.toMatchObject({
      code: "engine-failed",
      message: expect.stringMatching(/broken\.gguf.*llama\.embedding_length/),
    });
    await rm(broken);
  });

  it("of everything once it is disposed of, also in the middle of a text", async () => {
    const gone = await load("Q8_0");
    const texts = gone.generate(PROMPT, { sigma: 0.1, dynamics: "white" });
    await texts.next();
    const pending = texts.next();
    await Promise.all([gone.dispose(), gone.dispose()]);
    expect((await pending).done).toBe(false); // the token that was under way
    for (const late of [texts.next(), gone.complete(PROMPT), gone.probe()])
      await expect(late).rejects.toMatchObject({ code: "closed" });
    expect(liveCopies(scratch)).toHaveLength(1); // the shared model's
  });

  it("not of a load signal that is aborted later", async () => {
    const controller = new AbortController();
    const dead = await loadModel(file("Q4_0"), { threads: 1, scratch, signal: controller.signal });
    controller.abort();
    expect(await dead.complete(PROMPT, { maxTokens: 2, sigma: 0.2, only: ["blk.0.*_q.weight"] })).toMatchObject({
      reloaded: true,
      tokens: 2,
    });
    await dead.dispose();
  });
});
