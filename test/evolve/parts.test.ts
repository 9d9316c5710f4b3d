// The parts of searches that need no model: tasks, shaping, strategies, rewards from outside.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { annealing } from "../../src/evolve/annealing.js";
import { bestOf } from "../../src/evolve/best-of.js";
import { evolutionStrategy } from "../../src/evolve/evolution-strategy.js";
import { CommandJudge, cutLog, moduleJudge, readLog } from "../../src/evolve/index.js";
import { JUDGES } from "../../src/evolve/rewards.js";
import { ranks, scores } from "../../src/evolve/shaping.js";
import { batchOf, splitTask } from "../../src/evolve/task.js";
import { scratchFolder } from "../support/synthetic-gguf.js";

const folder = scratchFolder();
const file = (name: string, text: string) => {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
};
const questions = Array.from({ length: 20 }, (_, i) => ({ prompt: `question ${i}`, answers: [`${i}`] }));
const answered = (...texts: string[]) => texts.map((text, i) => ({ question: questions[i] as (typeof questions)[0], text }));

describe("tasks", () => {
  it("are parted by the seed, without anything lost or in both parts", () => {
    const { train, validation } = splitTask(questions, 0.25, 1n);
    expect([train.length, validation.length]).toEqual([15, 5]);
    expect(new Set([...train, ...validation])).toEqual(new Set(questions));
    expect(splitTask(questions, 0.25, 1n)).toEqual({ train, validation });
    expect(splitTask(questions, 0.25, 2n)).not.toEqual({ train, validation });
    expect(() => splitTask([...questions, ...questions], 0.5, 1n)).toThrow(/overlap/);
  });

  it("ask a generation without repetition, and another one something else", () => {
    const batches = [0, 1].map((generation) => batchOf(questions, 8, 1n, generation));
    for (const batch of batches) expect(new Set(batch).size).toBe(8);
    expect(batches[0]).not.toEqual(batches[1]);
  });
});

describe("strategies", () => {
  it("shape rewards to mean 0 and variance 1; equal ones share their rank", () => {
    for (const shape of [scores, ranks]) {
      const shaped = shape([3, 1, 100, 1]);
      expect(shaped.reduce((a, b) => a + b, 0)).toBeCloseTo(0, 12);
      expect(shaped.reduce((a, b) => a + b * b, 0)).toBeCloseTo(4, 12);
      expect(shaped[1]).toBe(shaped[3]);
      expect(shape([0.1, 0.1, 0.1])).toEqual([0, 0, 0]);
    }
    expect(ranks([3, 1, 100, 1])).toEqual(ranks([3, 1, 4, 1]));
  });

  it("ask for pairs of mirror images, and go along the better ones", () => {
    const strategy = evolutionStrategy(4, true, 2, "scores");
    expect(strategy.members.map(({ draw, sign }) => [draw, sign])).toEqual([
      [0, 1],
      [0, -1],
      [1, 1],
      [1, -1],
    ]);
    expect(strategy.tell([1, -1, 1, -1], 0)).toEqual([0.5, -0.5, 0.5, -0.5]);
  });

  it("keep the best of all generations", () => {
    const strategy = bestOf(2);
    expect(strategy.tell([1, 2], 0)).toEqual([0, 0]);
    strategy.tell([0, 5], 1);
    strategy.tell([4, 3], 2);
    expect(strategy.last?.()).toEqual({ generation: 1, weights: [0, 1] });
  });

  it("take worse proposals as often as Metropolis says, and none when cold", () => {
    const n = 4000;
    const taken = (strategy: ReturnType<typeof annealing>) =>
      Array.from({ length: n }, (_, i) => strategy.tell([0, -1], i)[1] as number).reduce((a, b) => a + b);
    const p = Math.exp(-0.5);
    // 4.5 standard errors of a binomial number.
    expect(Math.abs(taken(annealing(1n, n, 2, 2)) - n * p)).toBeLessThan(4.5 * Math.sqrt(n * p * (1 - p)));
    expect(taken(annealing(1n, n, 0, 0))).toBe(0);
    expect(annealing(1n, n, 0, 0).tell([0, 1], 0)).toEqual([0, 1]);
  });
});

describe("rewards", () => {
  it("are 1 where the question says that the answer is right", () => {
    expect(JUDGES.right(answered(" 0\n", "x2"))).toEqual([1, 0]);
    const matched = { prompt: "", answers: ["/^a.b$/"] };
    expect(JUDGES.right(["a0b", "x2"].map((text) => ({ question: matched, text })))).toEqual([1, 0]);
  });

  it("come from a module of the user's", async () => {
    const judge = await moduleJudge(file("r.mjs", "export default ({ answer, text }) => text.length + Number(answer);"));
    expect(await judge(answered("a", "bcd"))).toEqual([1, 4]);
    await expect(moduleJudge(file("n.mjs", "export const x = 1;"))).rejects.toThrow(/no function/);
    await expect(moduleJudge(join(folder, "not there.mjs"))).rejects.toThrow(/cannot be loaded/);
    const broken = await moduleJudge(file("b.mjs", 'export default () => { throw new Error("no tea"); };'));
    await expect((async () => broken(answered("a")))()).rejects.toThrow(/no tea/);
  });

  it("come from a program that answers line by line, member after member", async () => {
    const program = file(
      "judge.mjs",
      `import { createInterface } from "node:readline";
       for await (const line of createInterface({ input: process.stdin })) console.log(JSON.stringify({ reward: JSON.parse(line).text.length }));`,
    );
    const command = new CommandJudge(`${JSON.stringify(process.execPath)} ${JSON.stringify(program)}`, 60);
    expect(await command.judge(answered("a", "bcd"))).toEqual([1, 3]);
    expect(await command.judge(answered("ab"))).toEqual([2]);
    command.close();
  });

  it.each([
    ["hangs", "setInterval(() => {}, 1000)", 0.3, /within 0.3 s/],
    ["dies", 'process.stderr.write("out of tea"); process.exit(3)', 60, /ended before it answered.*out of tea/],
    ["speaks no JSON", 'console.log("good")', 60, /no JSON/],
    ["gives no reward", 'console.log("{}")', 60, /must write/],
  ])("name a program that %s", async (_, body, seconds, message) => {
    const program = file("bad.mjs", body);
    const command = new CommandJudge(`${JSON.stringify(process.execPath)} ${JSON.stringify(program)}`, seconds);
    await expect(command.judge(answered("a"))).rejects.toThrow(message);
  });
});

describe("logs", () => {
  it("are cut at a generation, and are logs still; other files are none", async () => {
    const base = { file: "m.gguf", bytes: 1, sha256: "0" };
    const moves = { sigma: 1, scale: "rms", seed: "1", only: null } as const;
    const head = { format: "brownian-evolution", version: 1, base, moves, settings: {} } as const;
    const generations = [0, 1, 2].map((generation) => ({
      generation,
      tick: 2 * generation,
      weights: [1, 0],
      decay: 0,
      rewards: [1],
      changed: 1,
    }));
    const cut = await readLog(file("cut.jsonl", cutLog({ head, generations }, 2)));
    expect(cut).toEqual({ head, generations: generations.slice(0, 2) });
    await expect(readLog(file("other.jsonl", "{}\n"))).rejects.toThrow(/is no log/);
  });
});
