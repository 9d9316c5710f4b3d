// A small evaluation on the embedded model: the same numbers for the same seed, also when it was interrupted and goes on; dials that do what they
// are tuned for; and what is refused.
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { llamaC } from "../../src/engine/llama-c/index.js";
import { type EvaluateOptions, evaluate, evaluationSettings, powerOf, QUICK, respondent } from "../../src/evaluate/index.js";
import { loadModel, type Model } from "../../src/llama/index.js";
import { makeTask, parseTask } from "../../src/tasks/index.js";
import { scratchFolder } from "../support/synthetic-gguf.js";

const why = llamaC.whyNot();
if (why !== undefined) console.warn(`SKIPPED evaluations: ${why}`);

const folder = scratchFolder();
const text = readFileSync("models/fairytales-heldout.txt", "utf8");
/** With the last words before each gap alone: every draw of the weights reads all of them. */
function cloze(questions: number, seed: number) {
  const lines = makeTask("cloze", { questions, text, seed }).trim().split("\n");
  const short = lines.map((line) => {
    const { prompt, ...rest } = JSON.parse(line) as { prompt: string };
    return JSON.stringify({ prompt: prompt.split(" ").slice(-6).join(" "), ...rest });
  });
  return parseTask(short.join("\n"), "cloze");
}
const task = cloze(40, 1);

let model: Model;
beforeAll(async () => {
  const options = { threads: 1, scratch: folder, repack: "off", parallel: 8, contextSize: 96 } as const;
  if (why === undefined) model = await loadModel("models/fairytales-3M-Q8_0.gguf", options);
});
afterAll(() => model?.dispose());

/** Without what a clock says. */
const numbers = (value: unknown) => JSON.stringify(value, (key, one) => (key === "seconds" ? 0 : one));

describe.skipIf(why !== undefined)("an evaluation on the embedded model", () => {
  const small: EvaluateOptions = {
    methods: ["min-p", "quenched", "mixture"],
    levels: [0.4],
    samples: 2,
    questions: 12,
    tuneQuestions: 8,
    maxTokens: 3,
    sigmas: [0.05, 0.2],
    tau: 2,
    uncertainty: true,
    seed: 3n,
  };

  it("gives the same numbers for the same seed, also when it was interrupted and goes on", async () => {
    const progress: number[] = [];
    const whole = await evaluate(model, task, { ...small, onProgress: (done, total) => progress.push(done / total) });
    expect(progress.at(-1)).toBe(1);
    expect(progress).toEqual([...progress].sort((a, b) => a - b));
    const control = new AbortController();
    const finished = new Map<string, unknown>();
    const last = "answers test quenched 0.4 0";
    const interrupted = evaluate(model, task, {
      ...small,
      signal: control.signal,
      onFinished: async (name, outcome) => {
        finished.set(name, JSON.parse(JSON.stringify(outcome)));
        if (name === last) control.abort();
      },
    });
    await expect(interrupted).rejects.toThrow(/abort/);
    const again: string[] = [];
    const rest = await evaluate(model, task, { ...small, finished, onFinished: async (name) => void again.push(name) });
    expect(again).not.toContain(last);
    expect(again).toContain("answers test quenched 0.4 1");
    expect(numbers(rest)).toBe(numbers(whole));

    const of = (method: string) => whole.points.find((point) => point.method === method);
    expect(whole.points).toHaveLength(5);
    for (const { figures, passAt, method } of whole.points) {
      // pass@1 is the accuracy of one; pass@n is whether any is right; and more is never less.
      expect(passAt[0]?.value).toBeCloseTo(figures.accuracy.value, 12);
      expect(passAt.at(-1)?.value).toBeCloseTo(figures.any.value, 12);
      expect(passAt.map(({ value }) => value)).toEqual([...passAt].map(({ value }) => value).sort((a, b) => a - b));
      expect(passAt).toHaveLength(method === "greedy" ? 1 : 2);
    }
    expect(of("softmax")?.dial).toEqual({ temperature: 0.4 });
    // Cut off at a tenth of the likeliest, softmax has to be hotter to flip as often.
    expect(of("min-p")?.dial.temperature).toBeGreaterThan(0.4);
    expect(of("mixture")?.dial.sigma).toBeLessThan(of("quenched")?.dial.sigma as number);
    expect(of("mixture")?.dial.temperature).toBeLessThan(0.4);
    expect(whole.differences).toHaveLength(3 * 4);
    const scores = new Set(whole.doubts.map(({ score }) => score));
    for (const score of ["mean log-probability", "agreement with the answer", "mutual information, mean", "cheap ones + both"])
      expect(scores).toContain(score);
    expect(whole.doubts[0]?.gain.value).toBe(0);
    // Likelihoods of the right words, to the clean model and to the members' mean: words as the tokenizer writes them have -5 or so, others -20.
    for (const method of ["greedy", "quenched"]) {
      expect(of(method)?.likelihood).toBeGreaterThan(-9);
      expect(of(method)?.likelihood).toBeLessThan(0);
    }
  });

  it("has a quick form, here with adapters: all that eval does, in seconds", async () => {
    const { points, dials, settings, differences } = await evaluate(model, cloze(96, 0), {
      ...QUICK,
      methods: ["quenched", "adapter-1"],
      maxTokens: 4,
    });
    expect([settings.questions.test.length, settings.questions.tuning.length]).toEqual([24, 16]);
    expect(points.map(({ method, level }) => `${method} ${level}`)).toEqual([
      ...["greedy 0", "softmax 0.3", "softmax 0.5", "quenched 0.3", "quenched 0.5", "adapter-1 0.3", "adapter-1 0.5"],
    ]);
    expect(differences).toHaveLength(2 * 2 * 4);
    for (const { figures, cost, method } of points) {
      expect(figures.any.value).toBeGreaterThanOrEqual(figures.accuracy.value);
      expect(cost.answers).toBe(method === "greedy" ? 24 : 4 * 24);
      expect(cost.tokens).toBeGreaterThan(0);
    }
    for (const name of ["quenched", "adapter-1"]) {
      const [low, high] = [0.3, 0.5].map((level) => dials[`${name} ${level}`]?.sigma as number);
      expect(low).toBeLessThan(high as number);
    }
    // Adapters leave all but matrices alone: to flip as often, they need more.
    expect(dials["adapter-1 0.5"]?.sigma).toBeGreaterThan(dials["quenched 0.5"]?.sigma as number);
  });

  it("is given dials by accuracy, too", async () => {
    const asked: EvaluateOptions = {
      ...small,
      methods: ["quenched", "andersen", "min-p", "mixture"],
      equal: "accuracy",
      uncertainty: false,
      questions: 3,
      tuneQuestions: 4,
    };
    const { dials, targets, points } = await evaluate(model, task, asked);
    expect(Object.keys(targets)).toEqual(["0.4"]);
    expect(targets[0.4]).toBeGreaterThanOrEqual(0);
    expect(targets[0.4]).toBeLessThanOrEqual(1);
    const sigma = dials["quenched 0.4"]?.sigma as number;
    expect(sigma).toBeGreaterThanOrEqual(0.025);
    expect(sigma).toBeLessThanOrEqual(0.2);
    expect(dials["mixture 0.4"]?.sigma).toBeCloseTo(sigma / Math.SQRT2, 4);
    expect(points.map(({ method }) => method)).toEqual(["greedy", "softmax", "min-p", "quenched", "andersen", "mixture"]);
    expect(dials["andersen 0.4"]).toEqual(dials["quenched 0.4"]);
  });

  it("says before it runs how small a difference it can see", () => {
    const settings = evaluationSettings(respondent(model), task, { ...small, questions: 10 });
    expect(powerOf(settings)).toEqual({
      questions: 10,
      differences: [
        { discordant: 0.1, smallest: expect.closeTo(0.28, 3) },
        { discordant: 0.3, smallest: expect.closeTo(0.485, 3) },
      ],
    });
  });

  it.each([
    [{ methods: ["dice"] }, /methods must be one of greedy/],
    [{ methods: ["members"] }, /The method members is for servers/],
    [{ levels: [] }, /at least one temperature/],
    [{ levels: [5], tuneQuestions: 2, questions: 2 }, /give lower levels, or larger sigmas/],
    [{ samples: 1 }, /samples must be/],
    [{ maxTokens: 200 }, /the context holds 96/],
    [{ sigmas: [0.1] }, /at least two/],
    [{ equal: "cost" }, /equal must be one of/],
    [{ draws: 1 }, /draws must be/],
  ] as const)("refuses %j", async (wrong, message) => {
    const refused = evaluate(model, task, { ...small, ...wrong } as EvaluateOptions);
    await expect(refused).rejects.toMatchObject({ code: "usage", message: expect.stringMatching(message) });
  });

  it("refuses a task with one half only", () =>
    expect(evaluate(model, parseTask('{"prompt": "x", "answer": "y"}', "one"), small)).rejects.toMatchObject({
      code: "usage",
      message: expect.stringMatching(/questions in its tuning half/),
    }));
});
