// Noise that the engine adds by itself: the members that `brownian adapter` writes, exchanged without a reload, and a mixture of them over time.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { mergeMember, writeAdapters } from "../../src/adapters/index.js";
import { Members } from "../../src/adapters/members.js";
import { llamaC } from "../../src/engine/llama-c/index.js";
import { readModel } from "../../src/files/index.js";
import { Carried } from "../../src/llama/carried.js";
import { loadModel, type Model } from "../../src/llama/index.js";
import { type CheckedNoise, noiseOf } from "../../src/thermostat/noise.js";
import { scratchFolder } from "../support/synthetic-gguf.js";

const Q8 = "models/fairytales-3M-Q8_0.gguf";
const scratch = scratchFolder();
const why = llamaC.whyNot();
if (why !== undefined) console.warn(`SKIPPED noise as adapters in our engine: ${why}`);
const ADAPTER = { carrier: "adapter", sigma: 0.1, seed: 7n } as const;
const PROMPT = "Once upon a time";

describe.skipIf(why !== undefined)("the carrier adapter", () => {
  let model: Model;
  beforeAll(async () => {
    model = await loadModel(Q8, { threads: 1, scratch, engine: "llama-c" });
  });
  afterAll(() => model?.dispose());
  const text = async (options: object) => (await model.complete(PROMPT, { maxTokens: 24, ...options })).text;

  it("writes what its seed, member and rank say, whatever was written before, and the clean text without noise", async () => {
    const clean = await text({});
    const first = await text(ADAPTER);
    expect(first).not.toBe(clean);
    expect(await text({ ...ADAPTER, member: 1 })).not.toBe(first);
    expect(await text({ ...ADAPTER, rank: 4 })).not.toBe(first);
    expect(await text({ ...ADAPTER, seed: 8n })).not.toBe(first);
    expect(await text({ ...ADAPTER, sigma: 0 })).toBe(clean);
    expect(await text({ sigma: 0.1, seed: 7n })).not.toBe(first); // moves in the live copy
    expect(await text({})).toBe(clean);
    expect(await text(ADAPTER)).toBe(first);
  });

  it("leaves nothing in scratch, and tells how many weights it moves", async () => {
    const { weights, changed, reloaded } = await model.complete(PROMPT, { ...ADAPTER, maxTokens: 2 });
    expect({ weights, changed, reloaded }).toEqual({ weights: 2_359_296, changed: 0, reloaded: false });
    expect(readdirSync(scratch).filter((name) => name.includes("member"))).toEqual([]);
  });

  it("is W + E: the member merged into the file has its log-probabilities, as far as F16 rounds", async () => {
    const path = join(scratch, "merged.gguf");
    await mergeMember(Q8, path, { sigma: 0.1, seed: 7n, rank: 2, member: 3 });
    const merged = await loadModel(path, { threads: 1, scratch, engine: "llama-c" });
    const read = async (of: Model, options: object) => {
      const seen: number[] = [];
      await of.score("Once upon a time there was a king who had a daughter.", options, ({ logProbability }) =>
        seen.push(logProbability),
      );
      return seen;
    };
    const [theirs, ours] = [await read(merged, {}), await read(model, { ...ADAPTER, rank: 2, member: 3 })];
    const clean = await read(model, {});
    await merged.dispose();
    const rms = (x: number[], y: number[]) => Math.sqrt(x.reduce((sum, v, i) => sum + (v - (y[i] as number)) ** 2, 0) / x.length);
    // Q8_0's products round activations to 8 bits, F16's do not: a few hundredths of a nat; the noise is many times that.
    expect(rms(theirs, ours)).toBeLessThan(rms(clean, ours) / 5);
  });

  it("reads the prompt with clean weights where that is asked for, and needs no reload for it", async () => {
    const mixed = await model.complete(PROMPT, { ...ADAPTER, promptWeights: "clean", maxTokens: 24 });
    expect(mixed.reloaded).toBe(false);
    expect(mixed.text).toBe(await text({ ...ADAPTER, promptWeights: "clean" }));
  });

  it("makes ensembles of members with the numbers that files have", async () => {
    const options = { text: " there was a king", members: 2, ...ADAPTER };
    const both = await model.uncertainty(PROMPT, options);
    const one = await Promise.all([0, 1].map((member) => model.uncertainty(PROMPT, { ...options, members: 1, member })));
    const [token] = both.tokens;
    expect(token?.probability).toBeCloseTo(one.reduce((sum, { tokens }) => sum + (tokens[0]?.probability ?? 0), 0) / 2, 6);
    expect(token?.information).toBeGreaterThan(0);
  });

  it("moves a mixture of members over tokens, reproducibly", async () => {
    const langevin = { ...ADAPTER, sigma: 0.3, dynamics: "langevin", tau: 4, stride: 2 };
    const first = await text(langevin);
    expect(await text(langevin)).toBe(first);
    expect(await text({ ...langevin, subspace: 2 })).not.toBe(first);
  });

  it("refuses by name what it has not", async () => {
    const refused = (options: object) => expect(text(options), JSON.stringify(Object.keys(options))).rejects;
    await refused({ carrier: "adapter", sigma: 0.1, dynamics: "andersen" }).toThrow(
      /dynamics quenched and langevin: for andersen/,
    );
    await refused({ carrier: "adapter", sigma: 0.1, rank: 129 }).toThrow(/rank 129 is larger than blk\.0\.attn_k\.weight/);
    await refused({ carrier: "adapter", sigma: 0.1, rounding: "nearest" }).toThrow(/rounds nothing/);
    await refused({ sigma: 0.1, rank: 2 }).toThrow(/rank is of the carrier adapter/);
    await refused({ carrier: "both", sigma: 0.1 }).toThrow(/carrier must be one of live, adapter/);
    await refused({ carrier: "adapter", sigma: 1e30 }).toThrow(/takes? a smaller one/);
    expect(await text(ADAPTER)).toBe(await text(ADAPTER));
  });

  it("does not load what is another model's", async () => {
    const folder = join(scratch, "others");
    await writeAdapters("models/fairytales-3M-Q8_0.gguf", folder, { sigma: 0.1, members: 1, only: ["blk.0.attn_q.weight"] });
    const engine = await llamaC.load(Q8, Q8, { threads: 1 });
    await expect(engine.loadAdapter?.(join(scratch, "merged.gguf"))).rejects.toMatchObject({ code: "engine-failed" });
    await expect(engine.loadAdapter?.(join(scratch, "nothing.gguf"))).rejects.toThrow(/does not load an adapter for/);
    const adapter = await engine.loadAdapter?.(join(folder, "m00.gguf"));
    adapter?.free();
    await expect(engine.adapt?.([adapter as never], [1])).rejects.toMatchObject({ code: "closed" });
    await engine.dispose();
    expect(existsSync(folder)).toBe(true);
  });
});

describe("the mixture of members", () => {
  /** An engine that remembers the scales that it was given. */
  let seen: number[][] = [];
  let carried: Carried;
  beforeAll(async () => {
    const engine = {
      loadAdapter: async () => ({ free: () => undefined }),
      adapt: async (_: unknown, scales: readonly number[]) => void seen.push([...scales]),
    };
    carried = new Carried(await readModel(Q8), () => engine as never, scratch);
  });
  async function scalesOf(noise: CheckedNoise, ticks: number): Promise<number[][]> {
    seen = [];
    await carried.start(noise);
    for (let t = 0; t < ticks; t++) await carried.tick();
    return seen;
  }

  it("is an Ornstein-Uhlenbeck process: mean 0, variance sigma^2 in all, autocorrelation e^(-t/tau)", async () => {
    const [tau, stride, subspace, sigma] = [8, 4, 16, 0.2];
    const noise = noiseOf({
      carrier: "adapter",
      dynamics: "langevin",
      tau,
      stride,
      subspace,
      sigma,
      only: ["blk.0.attn_k.weight"],
    });
    const STEPS = 1500;
    const seen = await scalesOf(noise, STEPS * stride);
    expect(seen).toHaveLength(STEPS + 1);
    const a = Math.exp(-stride / tau);
    // Independent numbers in STEPS steps of autocorrelation a, for each coefficient: about STEPS (1 - a^2) / (1 + a^2) for squares.
    const independent = (subspace * STEPS * (1 - a * a)) / (1 + a * a);
    const error = Math.sqrt(2 / independent);
    const moment = (lag: number) => {
      let sum = 0;
      for (let t = 0; t + lag < seen.length; t++)
        for (let k = 0; k < subspace; k++) sum += (seen[t]?.[k] as number) * (seen[t + lag]?.[k] as number);
      return sum / (seen.length - lag) / sigma ** 2; // over all coefficients: 1 at lag 0
    };
    expect(Math.abs(moment(0) - 1)).toBeLessThan(5 * error);
    for (const lag of [1, 2, 4]) expect(Math.abs(moment(lag) - a ** lag)).toBeLessThan(5 * error);
  });

  it("has the variance that was asked for at tick 0, over draws", async () => {
    const squares: number[] = [];
    for (let seed = 0; seed < 100; seed++) {
      const noise = noiseOf({
        carrier: "adapter",
        dynamics: "langevin",
        sigma: 1,
        subspace: 4,
        seed,
        only: ["blk.0.attn_k.weight"],
      });
      const [first] = await scalesOf(noise, 0);
      squares.push((first as number[]).reduce((sum, c) => sum + c * c, 0));
    }
    // chi^2 of 4 degrees over 4: variance 1/2.
    const mean = squares.reduce((sum, x) => sum + x, 0) / squares.length;
    expect(Math.abs(mean - 1)).toBeLessThan(5 * Math.sqrt(0.5 / squares.length));
  });

  it("keeps what it has loaded, as much as there is room for, and never frees what is in use", async () => {
    let [loads, frees] = [0, 0];
    const engine = {
      loadAdapter: async () => {
        loads++;
        return { free: () => void frees++ };
      },
      adapt: async () => undefined,
    };
    const member = (number: number, more: object = {}) =>
      noiseOf({ carrier: "adapter", sigma: 0.1, member: number, only: ["blk.0.attn_k.weight"], ...more });
    // Room for two of 384 numbers.
    const few = new Carried(await readModel(Q8), () => engine as never, scratch, 2 * 384);
    for (const number of [0, 1, 0, 1]) await few.start(member(number));
    expect([loads, frees]).toEqual([2, 0]);
    await few.start(member(2)); // in the place of 0, the longest unused
    await few.start(member(1));
    expect([loads, frees]).toEqual([3, 1]);
    await few.start(member(0, { dynamics: "langevin", subspace: 4 })); // all four are in use
    expect([loads, frees]).toEqual([5, 1]);
    await few.start(member(3));
    expect([loads, frees]).toEqual([5, 3]);
    few.forget(); // the engine was loaded anew
    await few.start(member(3));
    expect([loads, frees]).toEqual([6, 3]);
  });

  it("begins with members that the file's are", async () => {
    const noise = noiseOf({ carrier: "adapter", sigma: 0.1, only: ["blk.0.attn_k.weight"] });
    expect(await scalesOf(noise, 3)).toEqual([[0.1]]);
    expect((await Members.open(await readModel(Q8), noise)).weights).toBe(256 * 128);
  });
});

describe.skipIf(why !== undefined)("flips of members, of every rank", () => {
  it("are those of full-rank moves of the same tensors", async () => {
    const model = await loadModel(Q8, { threads: 1, scratch, engine: "llama-c", repack: "off" });
    const windows = model.windows(readFileSync("models/fairytales-heldout.txt", "utf8").slice(0, 4000), {
      length: 128,
      maxTokens: 256,
    });
    const likeliest: number[] = [];
    await model.score(windows, {}, (expected) => likeliest.push(expected.likeliest));
    const flips = async (options: object) => {
      let count = 0;
      await model.score(windows, { sigma: 0.1, ...options }, ({ likeliest: token, position }) => {
        if (token !== likeliest[position]) count++;
      });
      return count / likeliest.length;
    };
    const DRAWS = 6;
    const mean = async (of: (draw: number) => object) => {
      const rates: number[] = [];
      for (let draw = 0; draw < DRAWS; draw++) rates.push(await flips(of(draw)));
      const average = rates.reduce((sum, x) => sum + x, 0) / DRAWS;
      return { average, error: Math.sqrt(rates.reduce((sum, x) => sum + (x - average) ** 2, 0) / (DRAWS - 1) / DRAWS) };
    };
    const parts = ["attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"];
    const full = await mean((draw) => ({ seed: draw, only: parts.map((part) => `blk.*.${part}.weight`) }));
    expect(full.average).toBeGreaterThan(0.05);
    for (const rank of [1, 8, 64]) {
      const low = await mean((member) => ({ carrier: "adapter", rank, member }));
      // Six draws each: five standard errors of the difference, estimated by 10 degrees of freedom (Student's t: once in 1800).
      expect(Math.abs(low.average - full.average), `rank ${rank}`).toBeLessThan(5 * Math.hypot(low.error, full.error));
      expect(low.average / full.average).toBeLessThan(1.25);
      expect(low.average / full.average).toBeGreaterThan(0.8);
    }
    await model.dispose();
  });
});
