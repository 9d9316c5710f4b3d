// The dice at the output, against computations by hand on the logits: every option acts as it says, on moved weights as on others.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { llamaC } from "../../src/engine/llama-c/index.js";
import { type GenerateOptions, loadModel, type Model, type SamplingOptions } from "../../src/llama/index.js";
import { scratchFolder } from "../support/synthetic-gguf.js";

const FILE = "models/fairytales-3M-Q8_0.gguf";
const PROMPT = "Once upon a time there was a king, and the king said to the king's daughter";
const scratch = scratchFolder();

const why = llamaC.whyNot();
if (why !== undefined) console.warn(`SKIPPED samplers of the engine llama-c: ${why}`);

let model: Model;
beforeAll(async () => {
  if (why === undefined) model = await loadModel(FILE, { threads: 1, scratch, engine: "llama-c" });
});
afterAll(() => model?.dispose());

const write = (options: GenerateOptions = {}, prompt = PROMPT) => model.complete(prompt, { maxTokens: 24, ...options });
const ids = async (options: GenerateOptions = {}, prompt = PROMPT) => (await write(options, prompt)).ids;

type Rule = (logits: Float32Array, past: readonly number[]) => Float32Array;

/** The likeliest tokens after a rule has changed the logits, token by token. */
async function byHand(rule: Rule, options: GenerateOptions = {}): Promise<readonly number[]> {
  const past = [...model.tokens(PROMPT)];
  const pick = (logits: Float32Array) => {
    const changed = rule(Float32Array.from(logits), past);
    const token = changed.indexOf(changed.reduce((a, b) => Math.max(a, b)));
    past.push(token);
    return token;
  };
  return ids({ ...options, pick });
}

const penalized =
  (last: number, repeat: number, frequency: number, presence: number): Rule =>
  (logits, past) => {
    const counts = new Map<number, number>();
    for (const token of last < 0 ? past : past.slice(-last)) counts.set(token, (counts.get(token) ?? 0) + 1);
    for (const [token, count] of counts) {
      const l = logits[token] as number;
      logits[token] = (l <= 0 ? l * repeat : l / repeat) - count * frequency - presence;
    }
    return logits;
  };

/** DRY without breakers, by its definition: for each token, the longest end of the past that came before it once already. */
const dry =
  (multiplier: number, base: number, allowed: number, last: number): Rule =>
  (logits, past) => {
    const seen = last < 0 ? past : past.slice(-last);
    const longest = new Map<number, number>();
    for (let at = 1; at < seen.length; at++) {
      let n = 0;
      while (n < at && seen[at - 1 - n] === seen[seen.length - 1 - n]) n++;
      const token = seen[at] as number;
      longest.set(token, Math.max(n, longest.get(token) ?? 0));
    }
    for (const [token, n] of longest)
      if (n >= allowed) logits[token] = (logits[token] as number) - multiplier * base ** (n - allowed);
    return logits;
  };

/** The logits after the prompt. */
async function logitsHere(): Promise<Float32Array> {
  let found = new Float32Array(0);
  const pick = (logits: Float32Array) => {
    found = Float32Array.from(logits);
    return 0;
  };
  await write({ maxTokens: 1, pick });
  return found;
}

interface Likely {
  readonly token: number;
  readonly logit: number;
  readonly p: number;
}

/** All tokens after the prompt, the likeliest first. */
async function ranked(): Promise<Likely[]> {
  const logits = await logitsHere();
  const most = logits.reduce((a, b) => Math.max(a, b));
  const sum = logits.reduce((total, l) => total + Math.exp(l - most), 0);
  return Array.from(logits, (logit, token) => ({ token, logit, p: Math.exp(logit - most) / sum })).sort((a, b) => b.p - a.p);
}

/**
 * The first tokens of as many seeds as are needed that a token of the support which is drawn with probability p is missed with one chance in
 * 10^4: ln 10^-4 / ln (1 - p). Seeds are fixed: what is found once is found always.
 */
async function support(options: SamplingOptions, least: number): Promise<Set<number>> {
  const seeds = Math.ceil(Math.log(1e-4) / Math.log(1 - least));
  const found = new Set<number>();
  for (let seed = 1n; seed <= seeds; seed++) for (const token of await ids({ ...options, maxTokens: 1, seed })) found.add(token);
  return found;
}

/** The probability of the least likely of some tokens, at a temperature. */
function leastOf(tokens: readonly Likely[], temperature: number): number {
  const weights = tokens.map(({ logit }) => Math.exp((logit - (tokens[0] as Likely).logit) / temperature));
  return Math.min(...weights) / weights.reduce((a, b) => a + b, 0);
}

const HOT = 5;
const numbers = (tokens: readonly Likely[]) => new Set(tokens.map(({ token }) => token));

describe.skipIf(why !== undefined)("penalties", () => {
  it.each([
    [{ repeatPenalty: 1.3 }, penalized(64, 1.3, 0, 0)],
    [{ repeatPenalty: 0.8 }, penalized(64, 0.8, 0, 0)],
    [{ frequencyPenalty: 0.7 }, penalized(64, 1, 0.7, 0)],
    [{ presencePenalty: 1.5 }, penalized(64, 1, 0, 1.5)],
    [{ repeatPenalty: 1.2, frequencyPenalty: 0.3, presencePenalty: 0.2, repeatLastN: 6 }, penalized(6, 1.2, 0.3, 0.2)],
    [{ frequencyPenalty: 0.4, repeatLastN: -1 }, penalized(-1, 1, 0.4, 0)],
    [{ dryMultiplier: 4, drySequenceBreakers: [], dryAllowedLength: 1 }, dry(4, 1.75, 1, 64)],
    [{ dryMultiplier: 2, dryBase: 3, drySequenceBreakers: [], dryPenaltyLastN: -1 }, dry(2, 3, 2, -1)],
  ] as [SamplingOptions, Rule][])("%o act on prompt and text before the likeliest token is taken", async (options, rule) => {
    const maxTokens = 32;
    const plain = await ids({ maxTokens });
    const penal = await ids({ maxTokens, ...options });
    expect(penal).not.toEqual(plain);
    expect(penal).toEqual(await byHand(rule, { maxTokens }));
    // On weights that move, with the context kept or read anew.
    const noise: GenerateOptions = { sigma: 0.1, dynamics: "white", seed: 3n, maxTokens: 5 };
    for (const recompute of [false, true])
      expect(await ids({ ...noise, ...options, recompute })).toEqual(await byHand(rule, { ...noise, recompute }));
  });

  it("of DRY end at breakers", async () => {
    const one = { maxTokens: 32, dryMultiplier: 4, dryAllowedLength: 1 };
    expect(await ids({ ...one, drySequenceBreakers: [" ", "e", "a", "i", "o", "t"] })).not.toEqual(
      await ids({ ...one, drySequenceBreakers: [] }),
    );
  });

  it("see the prompt that clean weights read", async () => {
    const noise: GenerateOptions = { sigma: 0.1, seed: 2n, promptWeights: "clean" };
    const rule = penalized(-1, 1.3, 0, 0);
    expect(await ids({ ...noise, repeatPenalty: 1.3, repeatLastN: -1 })).toEqual(await byHand(rule, noise));
  });
});

describe.skipIf(why !== undefined)("biases", () => {
  it("forbid tokens, prefer them, and are taken by token, by text, and as OpenAI's objects", async () => {
    const [first, second] = (await ranked()) as [Likely, Likely];
    const one = { maxTokens: 1 };
    expect(await ids(one)).toEqual([first.token]);
    expect(await ids({ ...one, logitBias: [[first.token, -100]] })).toEqual([second.token]);
    expect(await ids({ ...one, logitBias: { [first.token]: -Infinity } })).toEqual([second.token]);
    const gap = first.logit - second.logit;
    expect(await ids({ ...one, logitBias: [[second.token, gap * 1.01]] })).toEqual([second.token]);
    expect(await ids({ ...one, logitBias: [[second.token, gap * 0.99]] })).toEqual([first.token]);
    const hot: GenerateOptions = { temperature: 1, seed: 5n, maxTokens: 100 };
    const plain = await write(hot);
    expect(plain.text).toMatch(/\band\b/);
    expect((await write({ ...hot, logitBias: [[" and", -Infinity]] }, PROMPT)).text).not.toMatch(/ and\b/);
    expect((await write({ ...hot, sigma: 0.1, logitBias: [[" and", 50]], maxTokens: 3 })).text).toBe(" and and and");
  });
});

describe.skipIf(why !== undefined)("a grammar", () => {
  const ANSWER = /^ (yes|no)$/;
  const grammar = 'root ::= " yes" | " no"';

  it.each([
    {},
    { temperature: 1.5 },
    { sigma: 0.2 },
    { sigma: 0.2, dynamics: "white", recompute: true, temperature: 1 },
  ] as GenerateOptions[])("is kept to with %o, and ends the text", async (options) => {
    const texts = new Set<string>();
    for (let seed = 1n; seed <= 7n; seed++) {
      const { text, stop } = await write({ ...options, seed, grammar });
      expect(text).toMatch(ANSWER);
      expect(stop).toBe("eos");
      texts.add(text);
    }
    if (options.temperature === 1.5) expect(texts.size).toBe(2);
  });

  it("leaves the likeliest of what it allows, and is not told of the prompt", async () => {
    const order = await ranked();
    const letters = (text: string) => order.findIndex(({ token }) => token === firstOf(text));
    const firstOf = (text: string) => model.tokens(text)[1] as number; // after the beginning of texts
    const words = ["the", "and", "that", "with", "for"];
    const [best] = words.sort((a, b) => letters(a) - letters(b)) as [string];
    const rules = `root ::= " " (${words.map((word) => JSON.stringify(word)).join(" | ")})`;
    expect((await write({ grammar: rules })).text).toBe(` ${best}`);
  });

  it("holds across tokens and beside everything else", async () => {
    const rules = 'root ::= item+\nitem ::= "- " [a-z]+ "\\n"';
    const all: SamplingOptions = {
      temperature: 1,
      typicalP: 0.9,
      minP: 0.01,
      repeatPenalty: 1.1,
      topNSigma: 3,
      xtcProbability: 0.5,
    };
    for (let seed = 1n; seed <= 3n; seed++)
      expect((await write({ ...all, seed, grammar: rules, maxTokens: 30 })).text).toMatch(/^(- [a-z]+\n)*(-?|- [a-z]*)$/);
    expect((await write({ temperature: 1, mirostat: 1, grammar: rules, maxTokens: 40 })).text).toMatch(/^- [a-z]/);
  });

  it("that cannot be read, or followed, is refused", async () => {
    for (const wrong of [
      "",
      "root = yes",
      'root ::= "a',
      "root ::= other",
      'start ::= "a"',
      "root ::= root",
      'root ::= "a"{2,0}',
    ])
      await expect(write({ grammar: wrong }), wrong).rejects.toMatchObject({ code: "usage" });
    const nothing: GenerateOptions = {
      grammar,
      logitBias: Array.from({ length: 2048 }, (_, token) => [token, -Infinity] as const),
    };
    await expect(write(nothing)).rejects.toMatchObject({ code: "usage", message: expect.stringMatching(/no further token/) });
    expect((await write({ grammar })).text).toMatch(ANSWER);
  });
});

describe.skipIf(why !== undefined)("cuts", () => {
  it("leave typical tokens", async () => {
    const order = await ranked();
    const entropy = order.reduce((sum, { p }) => sum - (p > 0 ? p * Math.log(p) : 0), 0);
    const typical = [...order].sort((a, b) => Math.abs(-Math.log(a.p) - entropy) - Math.abs(-Math.log(b.p) - entropy));
    let sum = 0;
    const kept = typical.filter(({ p }) => {
      const before = sum;
      sum += p;
      return before <= 0.2;
    });
    kept.sort((a, b) => b.p - a.p);
    expect(kept.length).toBeGreaterThan(1);
    expect(await support({ temperature: HOT, typicalP: 0.2 }, leastOf(kept, HOT))).toEqual(numbers(kept));
    expect(await ids({ typicalP: 0.2, maxTokens: 1 })).toEqual([kept[0]?.token]); // which is not the likeliest of all
    expect(kept[0]?.token).not.toBe(order[0]?.token);
  });

  it("leave what lies within n standard deviations of the largest logit", async () => {
    const order = await ranked();
    const mean = order.reduce((sum, { logit }) => sum + logit, 0) / order.length;
    const deviation = Math.sqrt(order.reduce((sum, { logit }) => sum + (logit - mean) ** 2, 0) / order.length);
    const kept = order.filter(({ logit }) => logit >= (order[0] as Likely).logit - 0.5 * deviation);
    expect(kept.length).toBeGreaterThan(1);
    expect(kept.length).toBeLessThan(40);
    expect(await support({ temperature: HOT, topNSigma: 0.5 }, leastOf(kept, HOT))).toEqual(numbers(kept));
  });

  it("drop the top choices but the last, now and then or always", async () => {
    const order = await ranked();
    const threshold = ((order[2] as Likely).p + (order[3] as Likely).p) / 2;
    const [first, , third] = order as [Likely, Likely, Likely];
    const greedy = { maxTokens: 1, xtcThreshold: threshold };
    expect(await ids({ ...greedy, xtcProbability: 1 })).toEqual([third.token]);
    const halves = await support({ xtcThreshold: threshold, xtcProbability: 0.5 }, 0.5);
    expect(halves).toEqual(new Set([first.token, third.token]));
    const kept = order.slice(2, 6);
    expect(await support({ temperature: HOT, topK: 6, xtcProbability: 1, xtcThreshold: threshold }, leastOf(kept, HOT))).toEqual(
      numbers(kept),
    );
  });

  it("follow the surprise (mirostat), which is steered from token to token, also where the context is read anew", async () => {
    const order = await ranked();
    // Version 2 begins with the limit 2 tau.
    const tau = 1.7;
    const kept = order.filter(({ p }) => -Math.log2(p) <= 2 * tau);
    expect(kept.length).toBeGreaterThan(1);
    expect(await support({ temperature: 1, mirostat: 2, mirostatTau: tau }, leastOf(kept, 1))).toEqual(numbers(kept));
    // Version 1 fits Zipf's exponent s to the hundred likeliest, and takes k = ((s - 1) 2^(2 tau) / (1 - N^(1 - s)))^(1 / s).
    let [products, squares] = [0, 0];
    for (let i = 0; i < 99; i++) {
      const t = Math.log((i + 2) / (i + 1));
      products += t * Math.log((order[i] as Likely).p / (order[i + 1] as Likely).p);
      squares += t * t;
    }
    const s = products / squares;
    const k = Math.floor((((s - 1) * 2 ** (2 * tau)) / (1 - order.length ** (1 - s))) ** (1 / s));
    expect(k).toBeGreaterThan(1);
    const top = order.slice(0, k);
    expect(await support({ temperature: 1, mirostat: 1, mirostatTau: tau }, leastOf(top, 1))).toEqual(numbers(top));

    for (const mirostat of [1, 2] as const) {
      const one: GenerateOptions = { temperature: 1, mirostat, seed: 4n, maxTokens: 24 };
      const text = await ids(one);
      expect(await ids(one)).toEqual(text);
      expect(await ids({ ...one, seed: 5n })).not.toEqual(text);
      expect(await ids({ ...one, mirostatEta: 0.9 })).not.toEqual(text); // it has learnt meanwhile
      // Weights that move by nothing: what is read anew is the same, and what it has learnt survives.
      const still: GenerateOptions = { ...one, sigma: 1e-12, dynamics: "white", only: ["output_norm.weight"], maxTokens: 10 };
      expect(await ids({ ...still, recompute: true })).toEqual(await ids(still));
    }
  });

  it("let the temperature go with the entropy", async () => {
    const order = await ranked();
    const entropy = order.reduce((sum, { p }) => sum - (p > 0 ? p * Math.log(p) : 0), 0);
    const share = entropy / Math.log(order.length);
    const temperature = 0.3 + 1.4 * share ** 1.5; // 1 - 0.7 to 1 + 0.7
    for (let seed = 1n; seed <= 20n; seed++) {
      const dynamic = { temperature: 1, dynatempRange: 0.7, dynatempExponent: 1.5, seed, maxTokens: 1 };
      expect(await ids(dynamic)).toEqual(await ids({ temperature, seed, maxTokens: 1 }));
    }
  });

  it("come to greedy texts where the temperature goes down to what nothing can be divided by", async () => {
    const greedy = await ids({ maxTokens: 10 });
    // share ** exponent passes every size of number below float32's on its way to 0.
    for (const dynatempExponent of [20, 60, 100, 200, 1000])
      for (const dynatempRange of [0.5, 0.7])
        for (const seed of [1n, 2n])
          expect(await ids({ temperature: 0.5, dynatempRange, dynatempExponent, seed, maxTokens: 10 })).toEqual(greedy);
    expect(await ids({ temperature: 1e-40, dynatempRange: 1e-40, maxTokens: 10 })).toEqual(greedy);
  });
});

describe.skipIf(why !== undefined)("stop strings", () => {
  it("end the text before them, wherever tokens end, and are never shown half", async () => {
    const whole = (await write()).text;
    for (const length of [1, 2, 5, 9])
      for (let at = 0; at + length < whole.length - 20; at += 7) {
        const stop = whole.slice(at, at + length);
        const pieces: string[] = [];
        const texts = model.generate(PROMPT, { maxTokens: 24, stop: ["@@", stop] });
        let next = await texts.next();
        for (; !next.done; next = await texts.next()) pieces.push(next.value);
        const { text, ids: written, stop: end, stopString } = next.value;
        expect(text).toBe(whole.slice(0, whole.indexOf(stop)));
        expect(pieces.join("")).toBe(text);
        expect([end, stopString]).toEqual(["stop", stop]);
        expect(written.length).toBeGreaterThan(0);
      }
    const kept = await write({ stop: `${whole.slice(-3)}@` });
    expect(kept).toMatchObject({ text: whole, stop: "length" });
    expect(kept).not.toHaveProperty("stopString");
  });

  it("end what an ensemble reads, too", async () => {
    const whole = (await write({ maxTokens: 24 })).text;
    for (const at of [5, 9, 14, 21]) {
      const stop = whole.slice(at, at + 4);
      const { text, tokens } = await model.uncertainty(PROMPT, { maxTokens: 24, members: 1, stop });
      expect(text).toBe(whole.slice(0, whole.indexOf(stop)));
      expect(tokens.map((token) => token.text).join("")).toBe(text);
    }
  });
});

describe.skipIf(why !== undefined)("both engines", () => {
  let theirs: Model;
  beforeAll(async () => {
    theirs = await loadModel(FILE, { threads: 1, scratch, engine: "node-llama-cpp" });
  });
  afterAll(() => theirs?.dispose());

  // 0xffffffff after folding: llama.cpp would draw a seed of its own.
  it.each([0xffffffffn, 0x1_fffffffen, 0xffffffff_00000000n])("write the same text every time with the seed %d", async (seed) => {
    for (const more of [{ temperature: 1.5 }, { temperature: 1.5, xtcProbability: 0.5, xtcThreshold: 0.01 }] as SamplingOptions[])
      for (const one of [model, theirs]) {
        const text = async (options: GenerateOptions) =>
          (await one.complete(PROMPT, { ...more, maxTokens: 12, ...options })).text;
        const first = await text({ seed });
        expect(await text({ seed })).toBe(first);
        expect(await text({ seed: 7n })).not.toBe(first);
      }
    for (const mirostat of [1, 2] as const) {
      const options: GenerateOptions = { temperature: 1.5, mirostat, mirostatTau: 8, seed, maxTokens: 12 };
      expect(await ids(options)).toEqual(await ids(options));
    }
  });

  it("roll the same dice where the context is read anew, past the last seed of 32 bits", async () => {
    const noise: GenerateOptions = {
      sigma: 0.1,
      dynamics: "white",
      recompute: true,
      temperature: 1.5,
      seed: 0xfffffffdn,
      maxTokens: 8,
    };
    const text = (await model.complete(PROMPT, noise)).text;
    expect((await model.complete(PROMPT, noise)).text).toBe(text);
    expect((await theirs.complete(PROMPT, noise)).text).toBe(text);
  });

  it("are greedy at temperatures that nothing can be divided by", async () => {
    const greedy = (await write({ maxTokens: 10 })).text;
    for (const temperature of [5e-324, 1e-310, 1e-45, 1e-40, 1e-38, 1e-36, 1e-31, 1e-20])
      for (const one of [model, theirs])
        expect((await one.complete(PROMPT, { maxTokens: 10, temperature, seed: 3n })).text, `${temperature}`).toBe(greedy);
  });

  it("have the same penalties and grammars, and one says what it has not", async () => {
    for (const options of [
      { repeatPenalty: 1.3 },
      { repeatPenalty: 1.2, frequencyPenalty: 0.3, presencePenalty: 0.2, repeatLastN: 6 },
      { frequencyPenalty: 0.4, repeatLastN: -1, sigma: 0.1, dynamics: "white", recompute: true },
      { grammar: 'root ::= " " [a-z]+ " " [a-z]+ "."' },
    ] as GenerateOptions[])
      expect((await theirs.complete(PROMPT, { maxTokens: 24, ...options })).ids).toEqual(await ids(options));
    for (const options of [
      { logitBias: { 5: -1 } },
      { dryMultiplier: 1 },
      { topNSigma: 1 },
      { typicalP: 0.5 },
      { temperature: 1, dynatempRange: 0.5 },
      { temperature: 1, mirostat: 2 },
    ] as GenerateOptions[])
      await expect(theirs.complete(PROMPT, options)).rejects.toMatchObject({
        code: "usage",
        message: expect.stringMatching(/has no \w+: it needs the engine llama-c/),
      });
    await expect(theirs.complete(PROMPT, { grammar: "root = yes" })).rejects.toMatchObject({ code: "usage" });
  });
});

describe.skipIf(why !== undefined)("refusals", () => {
  it.each([
    [{ repeatPenalty: 0 }, /repeatPenalty must be a number from 0.01 to 100/],
    [{ repeatLastN: 5 }, /repeatLastN says how repeatPenalty, .* acts: give one of these/],
    [{ repeatPenalty: 1.1, repeatLastN: -2 }, /repeatLastN/],
    [{ frequencyPenalty: Number.NaN }, /frequencyPenalty/],
    [{ presencePenalty: "1" as never }, /presencePenalty/],
    [{ dryBase: 2 }, /dryBase says how dryMultiplier acts: give that/],
    [{ dryMultiplier: 1, dryBase: 0.5 }, /dryBase/],
    [{ dryMultiplier: 1, dryAllowedLength: 0 }, /dryAllowedLength/],
    [{ dryMultiplier: 1, drySequenceBreakers: [""] }, /drySequenceBreakers/],
    [{ dryMultiplier: 1, drySequenceBreakers: ["x".repeat(41)] }, /drySequenceBreakers .* 40 bytes/],
    [{ xtcProbability: 2 }, /xtcProbability/],
    [{ xtcProbability: 1, xtcThreshold: 0.6 }, /xtcThreshold/],
    [{ typicalP: -1 }, /typicalP/],
    [{ topNSigma: -1 }, /topNSigma/],
    [{ temperature: 1, mirostat: 3 as 2 }, /mirostat/],
    [{ mirostat: 2 }, /mirostat cannot act at temperature 0/],
    [{ dynatempRange: 0.5 }, /dynatempRange cannot act at temperature 0/],
    [{ temperature: 1, mirostat: 2, topK: 40 }, /instead of topK/],
    [{ temperature: 1, mirostatEta: 0.2 }, /mirostatEta says how mirostat acts/],
    [{ logitBias: [[-1, 1]] }, /token of logitBias/],
    [{ logitBias: [[99_999, 1]] }, /no such token/],
    [{ logitBias: { king: 1 } as never }, /token of logitBias/],
    [{ logitBias: [["", 1]] }, /text of logitBias is empty/],
    [{ logitBias: [[1, Infinity]] }, /logitBias of 1 must/],
    [{ logitBias: [7] as never }, /list of \[token or text, bias\]/],
    [{ grammar: 5 as never }, /grammar/],
    [{ stop: "" }, /stop must be/],
    [{ stop: ["a", 5] as never }, /stop must be/],
    [{ pick: () => 1, grammar: 'root ::= "a"', repeatPenalty: 2 }, /Give pick, or repeatPenalty, grammar/],
  ] as [GenerateOptions, RegExp][])("of %o", async (options, message) => {
    await expect(write(options)).rejects.toMatchObject({ code: "usage", message: expect.stringMatching(message) });
  });

  it("are none of options at rest", async () => {
    const rest: GenerateOptions = { topK: 0, topP: 1, minP: 0, typicalP: 1, topNSigma: 0, repeatPenalty: 1, frequencyPenalty: 0 };
    const more: GenerateOptions = {
      presencePenalty: 0,
      dryMultiplier: 0,
      xtcProbability: 0,
      dynatempRange: 0,
      mirostat: 0,
      logitBias: [],
    };
    const plain = await ids();
    expect(await ids({ ...rest, ...more, dryBase: 2, xtcThreshold: 0.2, mirostatTau: 3, stop: [] })).toEqual(plain);
    expect(await ids({ topK: 1, topP: 0.5, minP: 0.5, topNSigma: 1 })).toEqual(plain); // the likeliest token outlives these
  });
});
