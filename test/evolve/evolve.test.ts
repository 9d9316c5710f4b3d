// Searches on the embedded model: that rewards are learned from, that a log makes the model again, and what is refused, by name.
import { createHash } from "node:crypto";
import { appendFileSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import {
  cutLog,
  type EvolveOptions,
  evolve,
  type LogGeneration,
  type Question,
  readLog,
  replay,
} from "../../src/evolve/index.js";
import { readModel, type Tensor } from "../../src/files/index.js";
import { liveCopies } from "../support/live-copies.js";
import { scratchFolder } from "../support/synthetic-gguf.js";

const model = (type: string) => `models/fairytales-3M-${type}.gguf`;
const folder = scratchFolder();
const file = (name: string) => join(folder, name);
const hash = (path: string) => createHash("sha256").update(readFileSync(path)).digest("hex");
const scratch = scratchFolder();
afterAll(() => expect([readdirSync(scratch), liveCopies(scratch)]).toEqual([[], []]));

const WHO = ["king", "queen", "wolf", "bear", "fox", "miller", "tailor", "soldier", "giant", "witch", "hunter", "bird"];
const task: Question[] = WHO.map((who) => ({ prompt: `The ${who} was very`, answers: ["happy"] }));
const common = {
  task,
  validation: 0.5,
  sigma: 0.05,
  rate: 2,
  population: 8,
  batch: 6,
  threads: 1,
  scratch,
  only: ["blk.0.*", "blk.1.*"],
};
const search = (options: Partial<EvolveOptions> = {}, type = "Q8_0") => evolve(model(type), { ...common, ...options });

describe("evolve", () => {
  it("learns from rewards, p < 0.01 against rewards that were shuffled among the members", async () => {
    const gains: number[] = [];
    for (let seed = 1; seed <= 4; seed++) {
      const { before, after } = await search({ generations: 3, seed, only: ["blk.*"], shuffled: true });
      gains.push(after.reward - before.reward);
    }
    const { before, after, history, changed, weights } = await search({ generations: 3, seed: 1, only: ["blk.*"] });
    const mean = gains.reduce((sum, gain) => sum + gain, 0) / gains.length;
    const square = gains.reduce((sum, gain) => sum + (gain - mean) ** 2, 0) / (gains.length - 1);
    // A fifth run like these would be as far above their mean with p = 0.01, by Student's t of 3 degrees of freedom: 4.541.
    expect(after.reward - before.reward).toBeGreaterThan(mean + 4.541 * Math.sqrt(square * (1 + 1 / gains.length)));
    expect(history).toHaveLength(3);
    expect(changed).toBeGreaterThan(0.3 * weights);
  });

  it("makes the model of a log again, bit for bit, and of a part of it; and goes on where it was killed", async () => {
    const settings = {
      generations: 4,
      population: 4,
      seed: 3n,
      validateEvery: 2,
      decay: 0.01,
      text: "The king went into the wood.",
      kl: 0.1,
    };
    const whole = await search({ ...settings, log: file("whole.jsonl"), output: file("whole.gguf") });
    expect(whole.after.kl).toBeGreaterThan(0);
    expect(await replay(model("Q8_0"), file("whole.jsonl"), file("again.gguf"), { scratch })).toBe(4);
    expect(hash(file("again.gguf"))).toBe(hash(file("whole.gguf")));
    expect(hash(file("again.gguf"))).not.toBe(hash(model("Q8_0")));

    // As a kill leaves it: two generations and the half of a third.
    const lines = readFileSync(file("whole.jsonl"), "utf8").split("\n");
    writeFileSync(file("killed.jsonl"), `${lines.slice(0, 3).join("\n")}\n${lines[3]?.slice(0, 40)}`);
    expect((await readLog(file("killed.jsonl"))).generations).toHaveLength(2);
    const done: LogGeneration[] = [];
    const rest = { log: file("killed.jsonl"), output: file("rest.gguf"), onGeneration: (one: LogGeneration) => done.push(one) };
    const gone = await search({ ...settings, ...rest });
    expect([gone.generations, done.map(({ generation }) => generation)]).toEqual([4, [2, 3]]);
    expect(hash(file("rest.gguf"))).toBe(hash(file("whole.gguf")));
    const timeless = (path: string) => readFileSync(path, "utf8").replace(/"seconds":[\d.]+/g, "");
    expect(timeless(file("killed.jsonl"))).toBe(timeless(file("whole.jsonl")));

    expect(await replay(model("Q8_0"), file("whole.jsonl"), file("half.gguf"), { scratch, generations: 2 })).toBe(2);
    expect(hash(file("half.gguf"))).not.toBe(hash(file("whole.gguf")));

    // What it refuses to go on with, and to make a model of.
    await expect(search({ ...settings, rate: 1, log: file("whole.jsonl") })).rejects.toThrow(/begun with other rate/);
    const chatTemplate = "{{ messages[0].content }}";
    await expect(search({ ...settings, chatTemplate, log: file("whole.jsonl") })).rejects.toThrow(/with other chatTemplate:/);
    await expect(search({ ...settings, kl: 1, text: "A king.", log: file("whole.jsonl") })).rejects.toThrow(
      /with other kl, text:/,
    );
    await expect(search({ ...settings, log: file("whole.jsonl") }, "Q6_K")).rejects.toThrow(
      /of another base: fairytales-3M-Q8_0/,
    );
    await expect(replay(model("Q6_K"), file("whole.jsonl"), file("never.gguf"))).rejects.toThrow(/another base/);
    appendFileSync(file("half.jsonl"), `${lines.slice(0, 2).join("\n")}\nno JSON\n${lines[3]}\n`);
    await expect(replay(model("Q8_0"), file("half.jsonl"), file("never.gguf"))).rejects.toThrow(/damaged in line 3/);
  });

  it("keeps what rounding leaves, where that is asked for: other codes, which its log makes again", async () => {
    const one = { generations: 2, reward: "first" as const, population: 4, batch: 3, log: file("kept.jsonl") };
    const { before, changed } = await search({ ...one, accumulate: true, output: file("kept.gguf") }, "Q4_0");
    expect(changed).toBeGreaterThan(0);
    expect(before.reward).toBe(before.first);
    expect(await replay(model("Q4_0"), file("kept.jsonl"), file("again.gguf"), { scratch })).toBe(2);
    expect(hash(file("again.gguf"))).toBe(hash(file("kept.gguf")));
    await expect(search(one, "Q4_0")).rejects.toThrow(/begun with other accumulate/);
    // The same log by chance: other codes.
    writeFileSync(file("chance.jsonl"), readFileSync(file("kept.jsonl"), "utf8").replace(',"accumulate":true', ""));
    await replay(model("Q4_0"), file("chance.jsonl"), file("again.gguf"), { scratch });
    expect(hash(file("again.gguf"))).not.toBe(hash(file("kept.gguf")));
  });

  it("lets norms evolve in float, alone or beside codes, by its log too; not where that was not asked for", async () => {
    const norms = { only: ["*norm*"], floats: true, generations: 6, rate: 1, seed: 1, decay: 0.01 };
    const { before, after, changed, weights } = await search({ ...norms, log: file("norms.jsonl"), output: file("norms.gguf") });
    expect(after.reward - before.reward).toBeGreaterThan(0.2);
    expect(changed / weights).toBeGreaterThan(0.9);
    expect(await replay(model("Q8_0"), file("norms.jsonl"), file("again.gguf"), { scratch })).toBe(6);
    expect(hash(file("again.gguf"))).toBe(hash(file("norms.gguf")));
    writeFileSync(file("norms.jsonl"), cutLog(await readLog(file("norms.jsonl")), 4));
    await search({ ...norms, log: file("norms.jsonl"), output: file("again.gguf") });
    expect(hash(file("again.gguf"))).toBe(hash(file("norms.gguf")));
    // The codes are the base's; with no rate, floats are too.
    const [made, base] = [await readModel(file("norms.gguf")), await readModel(model("Q8_0"))];
    const bytes = (path: string, { offset, bytes: n }: Tensor) => readFileSync(path).subarray(offset, offset + n);
    for (const [i, tensor] of made.tensors.entries())
      expect(bytes(file("norms.gguf"), tensor).equals(bytes(model("Q8_0"), base.tensors[i] as Tensor)), tensor.name).toBe(
        tensor.type !== "F32",
      );
    await search({ ...norms, only: ["blk.*"], generations: 1, rate: 0, decay: 0, output: file("both.gguf") });
    expect(hash(file("both.gguf"))).toBe(hash(model("Q8_0")));
    await expect(search({ only: ["*norm*"] })).rejects.toThrow(/floats do not evolve .* add floats \(--floats\)/);
    await expect(search({ floats: true, scale: "step" })).rejects.toThrow(/floats have no step/);
  });

  it.each(["F16", "F32"])("lets matrices of %s evolve, whose centre is float32", async (type) => {
    const one = { generations: 2, floats: true, population: 4, batch: 3, only: ["blk.0.attn_q*"] };
    const { changed, weights } = await search({ ...one, log: file(`${type}.jsonl`), output: file(`${type}.gguf`) }, type);
    expect(changed / weights).toBeGreaterThan(0.5);
    await replay(model(type), file(`${type}.jsonl`), file("again.gguf"), { scratch });
    expect(hash(file("again.gguf"))).toBe(hash(file(`${type}.gguf`)));
  });

  it.each(["Q4_0", "Q4_K_M"])("moves codes of %s alone, and undoes members exactly", async (type) => {
    // No rate: what members were is all that could be left.
    const { changed, evaluations } = await search({ generations: 1, population: 4, rate: 0, output: file(`${type}.gguf`) }, type);
    expect([changed, evaluations]).toEqual([0, 4]);
    expect(hash(file(`${type}.gguf`))).toBe(hash(model(type)));
    const moved = await search({ generations: 1, population: 4, output: file(`${type}.gguf`) }, type);
    expect(moved.changed).toBeGreaterThan(0.01 * moved.weights);
  });

  it("is told why the model does not move: rewards that are no numbers, or one", async () => {
    const one = { generations: 1, population: 4, batch: 2, maxTokens: 2 };
    const never = await search({ ...one, reward: (answered) => answered.map(() => Number.NaN), decay: 0.5 });
    expect([never.changed, never.history[0]?.stood]).toEqual([0, "the reward of member 0 is NaN"]);
    const equal = await search({ ...one, reward: "right" });
    expect([equal.changed, equal.history[0]?.stood]).toEqual([0, "all members have the same reward, 0"]);
  });

  it("picks the best of as many draws, and anneals: the same codes again by their logs", async () => {
    for (const name of ["best", "anneal"] as const) {
      const log = file(`${name}.jsonl`);
      const settings = { search: name, generations: 4, population: 4, temperatures: [0.5, 0.1], log };
      const made = await search({ ...settings, output: file("made.gguf") });
      expect(made.changed, name).toBeGreaterThan(0);
      await replay(model("Q8_0"), log, file("again.gguf"), { scratch });
      expect(hash(file("again.gguf")), name).toBe(hash(file("made.gguf")));
      // Cut after two generations, and gone on with: what the first ones were told is not forgotten.
      writeFileSync(log, cutLog(await readLog(log), 2));
      await search({ ...settings, output: file("again.gguf") });
      expect(hash(file("again.gguf")), name).toBe(hash(file("made.gguf")));
      const { evaluations } = await search(settings);
      expect(evaluations, name).toBe(0);
    }
  });

  it("ends when it becomes no better, with the best that there was", async () => {
    // Rewards for the validation questions fall by themselves: the first look is the best.
    let calls = 0;
    const reward = (answered: readonly unknown[]) => answered.map((_, i) => i - calls++);
    const ended = await search({ generations: 9, population: 2, maxTokens: 1, reward, validateEvery: 1, patience: 2 });
    expect([ended.stopped, ended.generations, ended.taken]).toEqual(["patience", 3, 1]);
  });

  it("says what is wrong with what it is told", async () => {
    const [first] = task as [Question];
    const wrong: [Partial<EvolveOptions>, RegExp][] = [
      [{ task: { train: task, validation: [first] } }, /overlap/],
      [{ task: [first], validation: 0.9 }, /no question to learn from/],
      [{ population: 3 }, /must be even/],
      [{ sigma: 0 }, /sigma/],
      [{ kl: 1 }, /needs a text/],
      [{ task: [{ prompt: "a", answers: [] }, first], validation: 0 }, /has no answer/],
      [{ output: join(folder, "nowhere", "x.gguf") }, /does not exist/],
      [{ output: model("Q8_0") }, /is the input itself/],
      [{ only: ["*norm*"] }, /floats do not evolve/],
      [{ reward: (() => [1]) as never, maxTokens: 1 }, /must give 6 numbers/],
    ];
    for (const [options, message] of wrong) await expect(search(options)).rejects.toThrow(message);
  });
});
