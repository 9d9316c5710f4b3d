// Evaluations over servers: dials by the flips of what members write, figures by their answers, on fakes of which all numbers are known; and on the
// real llama-server.
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { describe, expect, it } from "vitest";
import { writeAdapters } from "../../src/adapters/index.js";
import { type EvaluateOptions, evaluate, type ServedMembersOptions, servedMembers } from "../../src/evaluate/index.js";
import { evaluationPage } from "../../src/evaluate/page/index.js";
import { makeTask, parseTask } from "../../src/tasks/index.js";
import { type Asked, FakeServer } from "../support/fake-servers.js";
import { llamaServerProgram, startLlamaServer } from "../support/llama-server.js";
import { folderOfMembers } from "../support/members.js";
import { scratchFolder } from "../support/synthetic-gguf.js";

const folder = scratchFolder();
const line = (i: number) => JSON.stringify({ prompt: `Q${i}:`, answer: "yes" });
const task = parseTask(Array.from({ length: 80 }, (_, i) => line(i)).join("\n"), "made up");
const small: EvaluateOptions = {
  methods: ["members", "min-p"],
  levels: [0.5],
  samples: 3,
  sigmas: [0.1, 0.2, 0.4],
  questions: 20,
  maxTokens: 3,
};

/** Where a clean answer has "yes"; a member parts from it in its first word on a share sigma of the questions. */
const cleanAnswer = (q: number) => (q % 2 === 0 ? " yes it is" : " no it is");
const parts = (q: number, member: number, sigma: number) => ((7 * q + 3 * member) % 20) / 20 < Math.abs(sigma);

/** A llama-server whose members are of sigma 0.2 at scale 1; every word of an answer has p = 0.7. */
async function started(paths: readonly string[]): Promise<FakeServer> {
  const fake = await FakeServer.start("llama-server", { adapters: paths });
  fake.probability = () => 0.7;
  fake.answer = (called, { body }) => {
    const q = Number(/\d+/.exec(JSON.stringify(body.prompt ?? body.messages))?.[0]);
    const [, member, scale] = /m(\d+)\.gguf x (.*)$/.exec(called) ?? [];
    if (member !== undefined) return parts(q, Number(member), 0.2 * Number(scale)) ? " other it is" : cleanAnswer(q);
    return Number(body.temperature) > 0 && Number(body.seed) % 4 === 0 ? " yes" : cleanAnswer(q);
  };
  return fake;
}

const withServers = async <T>(options: ServedMembersOptions, work: (served: Awaited<ReturnType<typeof servedMembers>>) => T) => {
  const served = await servedMembers({ concurrency: 16, ...options });
  try {
    return await work(served);
  } finally {
    await served.close();
  }
};
const numbers = (value: unknown) => JSON.stringify(value, (key, one) => (key === "seconds" ? 0 : one));

describe("an evaluation over llama-servers", () => {
  const { adapters, paths } = folderOfMembers(join(folder, "five"), { members: 5, sigma: [0.2] });

  it("turns members until they part from the greedy answer as often as softmax would, and lets them answer", async () => {
    const fake = await started(paths);
    const { points, dials, targets, settings, model } = await withServers({ endpoints: [fake.url], adapters }, (served) =>
      evaluate(served, task, small),
    );
    expect(settings.served).toEqual({
      ...{ seed: "7", rank: 1, members: 5, antithetic: false, levels: null, servers: ["llama-server"] },
    });
    expect(model).toEqual({ file: "m.gguf", bytes: 1, sha256: "0" });
    // Two tokens of p = 0.7 and 0.3: at T another one is taken with (3/7)^(1/T) / (1 + (3/7)^(1/T)), at every token alike.
    const odds = (3 / 7) ** 2;
    expect(targets[0.5]).toBeCloseTo(odds / (1 + odds), 12);
    // A member that parts on a share f does so in the first of three words: f / (f + 3 (1 - f)) = 0.155 at f = 0.355, the sigma that does so. Of 40
    // questions in 20 places some are more: two places are 0.1.
    expect(Math.abs((dials["members 0.5"]?.sigma as number) - 0.355)).toBeLessThan(0.1);
    expect(dials["min-p 0.5"]?.temperature).toBeCloseTo(0.5, 3); // nothing is cut
    const asked = fake.written.map(({ body }) => body);
    const rolled = asked.filter(({ temperature }) => Number(temperature) > 0);
    expect(new Set(rolled.map(({ top_k, top_p, repeat_penalty }) => `${top_k} ${top_p} ${repeat_penalty}`))).toEqual(
      new Set(["0 1 1"]),
    );
    expect(new Set(rolled.map(({ min_p }) => min_p))).toEqual(new Set([0, 0.1]));
    expect(rolled.every(({ seed }) => Number.isInteger(seed) && Number(seed) >= 0 && Number(seed) < 2 ** 31)).toBe(true);
    // Dials are turned by the last members, answers come of the first.
    const lora = asked.map((body) => (body.lora as { id: number; scale: number }[])[0] as { id: number; scale: number });
    const sigma = dials["members 0.5"]?.sigma as number;
    const ids = (of: (scale: number) => boolean) =>
      [...new Set(lora.filter(({ scale }) => of(scale)).map(({ id }) => id))].sort();
    expect(ids((scale) => scale !== 0 && Math.abs(0.2 * scale - sigma) > 1e-9)).toEqual([3, 4]);
    expect(ids((scale) => Math.abs(0.2 * scale - sigma) < 1e-9)).toEqual([0, 1, 2]);

    const test = settings.questions.test.map((number) => Number(/\d+/.exec(task.questions[number]?.prompt as string)?.[0]));
    const right = (q: number, member: number) => Number(q % 2 === 0 && !parts(q, member, sigma));
    const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;
    const point = points.find(({ method }) => method === "members");
    expect(point?.figures.accuracy.value).toBeCloseTo(mean(test.map((q) => mean([0, 1, 2].map((m) => right(q, m))))), 12);
    expect(point?.figures.any.value).toBeCloseTo(mean(test.map((q) => Math.max(...[0, 1, 2].map((m) => right(q, m))))), 12);
    expect(points.find(({ method }) => method === "greedy")?.figures.accuracy.value).toBe(mean(test.map((q) => (q + 1) % 2)));
    expect(point?.cost).toMatchObject({ answers: 60, tokens: 180 });
    expect(point?.likelihood).toBeNull();
  });

  it("goes on where it was interrupted, and without a server that is gone, to the same numbers", async () => {
    const few = { ...small, samples: 2, questions: 8, tuneQuestions: 10 };
    const [fake, dying] = [await started(paths), await started(paths)];
    const whole = await withServers({ endpoints: [fake.url], adapters }, (served) =>
      evaluate(served, task, { ...few, uncertainty: true }),
    );
    expect(whole.doubts.map(({ score }) => score)).toContain("agreement with the answer");
    const page = JSON.stringify(evaluationPage(whole));
    expect(page).toContain("Servers answered (llama-server), with 5 members of rank 1");
    const control = new AbortController();
    const finished = new Map<string, unknown>();
    const stop = {
      signal: control.signal,
      onFinished: async (name: string, outcome: unknown) => {
        finished.set(name, JSON.parse(JSON.stringify(outcome)));
        if (name === "answers tuning members 0.5 0") control.abort();
      },
    };
    const interrupted = withServers({ endpoints: [fake.url], adapters }, (served) =>
      evaluate(served, task, { ...few, ...stop, uncertainty: true }),
    );
    await expect(interrupted).rejects.toThrow(/abort/);
    dying.fault = (count) => (count < 3 ? undefined : "hangup");
    const gone: string[] = [];
    const both = { endpoints: [dying.url, fake.url], adapters, onGone: (url: string) => gone.push(url) };
    const rest = await withServers(both, (served) => evaluate(served, task, { ...few, finished, uncertainty: true }));
    expect(numbers(rest)).toBe(numbers(whole));
    expect(gone).toEqual([dying.url]);
  });

  it("is given dials by accuracy, too, and keeps answers to choices", async () => {
    const fake = await started(paths);
    const chosen = Array.from({ length: 40 }, (_, i) =>
      JSON.stringify({ messages: [{ role: "user", content: `Q${i}?` }], answer: "yes", choices: ["yes", "no"] }),
    );
    const asked: EvaluateOptions = { ...small, methods: ["members"], equal: "accuracy", questions: 4, tuneQuestions: 6 };
    const { dials } = await withServers({ endpoints: [fake.url], adapters }, (served) =>
      evaluate(served, parseTask(chosen.join("\n"), "choices"), asked),
    );
    expect(dials["members 0.5"]?.sigma).toBeGreaterThanOrEqual(0.05);
    expect(fake.written.every(({ path, body }) => path.includes("chat") && /"yes" \| "no"/.test(String(body.grammar)))).toBe(
      true,
    );
  });

  it.each([
    [{ methods: ["quenched"] }, /The method quenched needs our own engine/],
    [{ samples: 6 }, /has 5 draws of the weights, not 6: write more \(brownian adapter --members 6\)/],
    [{ levels: [0.5, 2] }, /flips are known up to T = 1, not 2/],
  ] as const)("refuses %j", async (wrong, message) => {
    const fake = await FakeServer.start("llama-server", { adapters: paths });
    const refused = withServers({ endpoints: [fake.url], adapters }, (served) =>
      evaluate(served, task, { ...small, ...wrong } as EvaluateOptions),
    );
    await expect(refused).rejects.toMatchObject({ code: "usage", message: expect.stringMatching(message) });
    expect(fake.written).toHaveLength(0);
  });
});

describe("an evaluation over vLLM", () => {
  const { adapters } = folderOfMembers(join(folder, "peft"), { members: 3, sigma: [0.1, 0.4], format: "peft" });

  async function start(): Promise<FakeServer> {
    const fake = await FakeServer.start("vllm");
    fake.probability = () => 0.7;
    fake.answer = (called, asked: Asked) => {
      const q = Number(/\d+/.exec(String(asked.body.prompt))?.[0]);
      const [, member, sigma] = /m(\d+)-s(.*)$/.exec(called) ?? [];
      return member !== undefined && parts(q, Number(member), Number(sigma)) ? " other it is" : cleanAnswer(q);
    };
    return fake;
  }

  it("takes the nearest sigma that there is a file of, and unloads members", async () => {
    const fake = await start();
    const few = { questions: 4, tuneQuestions: 20 };
    const asked = { ...small, ...few, methods: ["members"], sigmas: undefined } as EvaluateOptions;
    const { dials, settings } = await withServers({ endpoints: [fake.url], adapters }, (served) => evaluate(served, task, asked));
    expect(settings.sigmas).toEqual([0.1, 0.4]);
    expect(dials["members 0.5"]).toEqual({ sigma: 0.4 });
    expect(fake.loaded.size).toBe(0);
  });

  it.each([
    [{ methods: ["min-p"], sigmas: undefined }, /The method min-p is not what vLLM does/],
    [{ methods: ["members"] }, /has no files of sigma 0.2 \(it has 0.1, 0.4\)/],
  ])("refuses %j", async (wrong, message) => {
    const fake = await start();
    const refused = withServers({ endpoints: [fake.url], adapters }, (served) =>
      evaluate(served, task, { ...small, ...wrong } as EvaluateOptions),
    );
    await expect(refused).rejects.toThrow(message);
    expect(fake.loaded.size).toBe(0);
  });
});

it.skipIf(llamaServerProgram === undefined)("an evaluation over the real llama-server", async () => {
  const methods = ["members", "min-p"];
  const MODEL = "models/fairytales-3M-Q8_0.gguf";
  const adapters = join(folder, "real");
  const { members } = await writeAdapters(MODEL, adapters, { sigma: 0.1, members: 4, seed: 9n, skipUnsupported: true });
  const loras = members.map(({ path }) => join(adapters, path)).join(",");
  const server = await startLlamaServer(["-m", resolve(MODEL), "-c", "512", "--lora-init-without-apply", "--lora", loras]);
  try {
    const text = readFileSync("models/fairytales-heldout.txt", "utf8");
    const cloze = parseTask(makeTask("cloze", { questions: 40, text, seed: 1 }), "cloze");
    const asked = { levels: [0.5], samples: 2, sigmas: [0.05, 0.1, 0.2], questions: 8, tuneQuestions: 8, maxTokens: 3, methods };
    const { points, dials, targets } = await withServers({ endpoints: [server.url], adapters }, (served) =>
      evaluate(served, cloze, asked),
    );
    expect(points.map(({ method }) => method)).toEqual(["greedy", "softmax", "min-p", "members"]);
    expect(targets[0.5]).toBeGreaterThan(0.05);
    expect(targets[0.5]).toBeLessThan(0.6);
    expect(dials["members 0.5"]?.sigma).toBeGreaterThan(0.01);
    // Cut off at a tenth of the likeliest, softmax has to be hotter to part as often.
    expect(dials["min-p 0.5"]?.temperature).toBeGreaterThan(0.5);
    expect(points.every(({ cost }) => cost.tokens > 0)).toBe(true);
  } finally {
    server.stop();
  }
});
