// llama.cpp by its C API: the texts and logits of node-llama-cpp's public interface, every type live, an end at any time; and libraries that are
// not what the table of releases says are not called.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Expectation } from "../../src/engine/expectation.js";
import type { Engine, Sampling, Sequence } from "../../src/engine/interface.js";
import { llamaC } from "../../src/engine/llama-c/index.js";
import { checkedLibrary, installedLibrary, type Library, parameters } from "../../src/engine/llama-c/library.js";
import { type Layout, RELEASES } from "../../src/engine/llama-c/releases.js";
import { nodeLlamaCpp } from "../../src/engine/node-llama-cpp.js";
import { loadModel } from "../../src/llama/index.js";
import { argmax, logSoftmax } from "../../src/sampling/index.js";
import { DYNAMICS } from "../../src/thermostat/index.js";
import { scratchFolder } from "../support/synthetic-gguf.js";

const Q8_0 = "models/fairytales-3M-Q8_0.gguf";
const Q4_0 = "models/fairytales-3M-Q4_0.gguf";
const PROMPT = "Once upon a time";
const scratch = scratchFolder();

const why = llamaC.whyNot();
if (why !== undefined) console.warn(`SKIPPED the engine by its C API: ${why}`);

const SAMPLING: readonly Sampling[] = [
  { temperature: 0, topK: 0, topP: 1, minP: 0, seed: 1, yieldEogToken: false },
  { temperature: 0.8, topK: 0, topP: 1, minP: 0, seed: 7, yieldEogToken: false },
  { temperature: 1.2, topK: 40, topP: 0.9, minP: 0.02, seed: 123456789, yieldEogToken: true },
];

describe.skipIf(why !== undefined)("beside node-llama-cpp's public interface", () => {
  let ours: Engine;
  let theirs: Engine;
  beforeAll(async () => {
    ours = await llamaC.load(Q8_0, "m", { threads: 1 });
    theirs = await nodeLlamaCpp.load(Q8_0, "m", { threads: 1 });
  });
  afterAll(async () => {
    await ours.dispose();
    await theirs.dispose();
  });

  it("knows the same of the model", () => {
    expect([ours.contextSize, ours.beginning]).toEqual([theirs.contextSize, theirs.beginning]);
    for (const text of [PROMPT, "", " The  King's \n\nüßé🙂", "a"]) expect(ours.tokenize(text)).toEqual(theirs.tokenize(text));
    const tokens = ours.tokenize("The king said: 'Où est le château?' 🙂");
    for (let i = 0; i < tokens.length; i++)
      expect(ours.text(tokens.slice(i), tokens.slice(0, i))).toBe(theirs.text(tokens.slice(i), tokens.slice(0, i)));
  });

  it.each(SAMPLING)("writes the same tokens with %o", async (sampling) => {
    const written = async (engine: Engine) => {
      const [sequence] = engine.sequences as readonly [Sequence];
      await sequence.reset();
      const tokens: number[] = [];
      for await (const token of sequence.continue(engine.tokenize(PROMPT), sampling)) {
        tokens.push(token);
        if (tokens.length === 60) break;
      }
      return tokens;
    };
    expect(await written(ours)).toEqual(await written(theirs));
  });

  it("has the same logits, bit for bit, and reads them right in place", async () => {
    const tokens = ours.tokenize(`${PROMPT} there was a king who had three daughters, and the youngest was so beautiful`);
    const [a, b] = [await ours.logits(tokens), await theirs.logits(tokens)];
    expect(a.size).toBe(b.size);
    for (const [token, logit] of a) expect(Object.is(logit, b.get(token))).toBe(true);
    // In float64 from the logits themselves; the kernel's e^x is good to 2^-22 or so, and the sum is of 2,048 such.
    const expected: { logProbability: number; entropy: number; likeliest: number }[] = [];
    const seen: Pick<Expectation, "logProbability" | "entropy" | "likeliest">[] = [];
    await ours.score(tokens, {}, (i, said) => {
      const { logits } = said;
      const p = logSoftmax(logits);
      const entropy = p.reduce((sum, l) => sum - Math.exp(l) * l, 0);
      expected.push({ logProbability: p[tokens[i + 1] as number] as number, entropy, likeliest: argmax(logits) });
      seen.push(said);
    });
    expect(seen.length).toBe(tokens.length - 1);
    for (const [i, { logProbability, entropy, likeliest }] of seen.entries()) {
      expect(Math.abs(logProbability - (expected[i]?.logProbability ?? 0))).toBeLessThan(1e-5);
      expect(Math.abs(entropy - (expected[i]?.entropy ?? 0))).toBeLessThan(1e-5);
      expect(likeliest).toBe(expected[i]?.likeliest);
    }
    // The kernels of other backends say the same of the logits that node-llama-cpp hands over.
    const others: number[] = [];
    await theirs.score(tokens, {}, (_, { logProbability }) => others.push(logProbability));
    expect(others).toEqual(seen.map(({ logProbability }) => logProbability));
  });
});

describe.skipIf(why !== undefined)("a type that llama.cpp rearranges (Q4_0)", () => {
  it.each(Object.keys(DYNAMICS).filter((name) => DYNAMICS[name as keyof typeof DYNAMICS].moves))(
    "moves under %s, and its clean text stays",
    async (dynamics) => {
      const model = await loadModel(Q4_0, { threads: 1, scratch, engine: "llama-c" });
      const clean = await model.complete(PROMPT, { maxTokens: 12 });
      const one = { sigma: 0.3, dynamics, tau: 4, seed: 3n, maxTokens: 12, skipUnsupported: true };
      const moved = await model.complete(PROMPT, one);
      expect(moved.text).not.toBe(clean.text);
      expect(moved.changed).toBeGreaterThan(0);
      expect((await model.complete(PROMPT, one)).text).toBe(moved.text);
      expect((await model.complete(PROMPT, { maxTokens: 12 })).text).toBe(clean.text);
      await model.dispose();
    },
  );

  it("is refused where it must be rearranged, and never loaded again where it must not", async () => {
    const on = await loadModel(Q4_0, { threads: 1, scratch, engine: "llama-c", repack: "on" });
    const white = { sigma: 0.3, dynamics: "white", maxTokens: 4, skipUnsupported: true };
    const { dead } = await on.probe();
    if (dead.length > 0) await expect(on.complete(PROMPT, white)).rejects.toMatchObject({ code: "not-live" });
    await on.dispose();
    const off = await loadModel(Q4_0, { threads: 1, scratch, engine: "llama-c", repack: "off" });
    expect((await off.probe()).dead).toEqual([]);
    const quenched = await off.complete(PROMPT, { ...white, dynamics: "quenched" });
    expect(quenched.reloaded).toBe(false);
    expect((await off.complete(PROMPT, white)).reloaded).toBe(false);
    await off.dispose();
  });
});

describe.skipIf(why !== undefined)("an end", () => {
  it("of loading is the signal's reason, and leaves nothing", async () => {
    const reason = new Error("enough");
    await expect(llamaC.load(Q8_0, "m", { threads: 1, signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  });

  it("of a text leaves the next one as it was", async () => {
    const model = await loadModel(Q8_0, { threads: 1, scratch, engine: "llama-c" });
    const clean = (await model.complete(PROMPT, { maxTokens: 20 })).text;
    for (let after = 1; after < 8; after++) {
      const controller = new AbortController();
      let tokens = 0;
      for await (const _ of model.generate(PROMPT, { maxTokens: 20, signal: controller.signal }))
        if (++tokens === after) controller.abort();
    }
    expect((await model.complete(PROMPT, { maxTokens: 20 })).text).toBe(clean);
    await model.dispose();
  });
});

describe("releases", () => {
  it("are at least two, with the functions that the addon declares", () => {
    expect(Object.keys(RELEASES).length).toBeGreaterThanOrEqual(2);
    expect(new Set(Object.values(RELEASES).map(({ declarations }) => declarations)).size).toBe(1);
  });

  it("give parameters their defaults, and refuse fields that they have not", () => {
    const { model } = RELEASES["v0.5.0"] as { model: Layout };
    const bytes = parameters(model, { n_gpu_layers: 0, use_extra_bufts: false });
    expect(new DataView(bytes.buffer).getInt32(16, true)).toBe(0);
    expect(bytes[74]).toBe(0);
    expect(() => parameters(model, { warp: 1 })).toThrow(/no field warp/);
  });

  describe.skipIf(why !== undefined)("as they are installed", () => {
    const library = (): Library => installedLibrary();

    it("that are not known are not used, and say so", () => {
      expect(() => checkedLibrary(library().paths, "v9.9.9")).toThrow(/release v9\.9\.9 .* is not known here \(known: v0/);
    });

    it("that say they are another are not used", () => {
      const { paths, name, release } = library();
      expect(() => checkedLibrary(paths, name, { [name]: { ...release, version: "9.9.9" } })).toThrow(
        /says that it is .*, not 9\.9\.9/,
      );
    });

    it("of another layout are not used", () => {
      const { paths, name, release } = library();
      const fields = { ...release.context.fields, n_ctx: release.context.fields.n_batch as never };
      const wrong = {
        ...release,
        context: { ...release.context, fields: { ...fields, n_seq_max: [0, 4, "01000000"] as const } },
      };
      expect(() => checkedLibrary(paths, name, { [name]: wrong })).toThrow(
        /laid out in another way than is known: n_seq_max is 00020000/,
      );
    });
  });
});
