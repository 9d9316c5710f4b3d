// The report of an evaluation says what its numbers say: on a made-up one, of which every verdict is known.
import { expect, it } from "vitest";
import { outcomes } from "../../src/evaluate/outcomes.js";
import { evaluationPage, evaluationTable } from "../../src/evaluate/page/index.js";
import type { Answers, EvaluationRecords } from "../../src/evaluate/records.js";
import { renderPage } from "../../src/report/page.js";
import { parseTask } from "../../src/tasks/index.js";

const QUESTIONS = 40;
const lines = Array.from({ length: QUESTIONS }, (_, i) =>
  JSON.stringify({ prompt: `Q${i}:`, answer: "yes", kind: i % 2 ? "odd" : "even" }),
);
const task = parseTask(lines.join("\n"), "made up");
const all = [...Array(QUESTIONS).keys()];

/** One sample, right where it says so; sure where right. */
const sample = (right: (q: number) => boolean): Answers => ({
  answers: all.map((q) => ({
    text: right(q) ? "Yes." : "no",
    tokens: 2,
    logProbability: right(q) ? -1 : -3,
    least: -2,
    ids: [1, 2],
  })),
  seconds: 2,
});
const quarter = sample((q) => q % 4 === 0);
const clean = all.map((q) => ({
  logProbabilities: q % 4 === 0 ? [-0.5, -0.5] : [-1.5, -1.5],
  entropies: [1, 1],
  right: -2,
  rightAt: [-3],
}));
/** Softmax: always the same quarter. Quenched: another quarter each time, so that of four one is always right. */
const answers = {
  greedy: [quarter],
  "softmax 0.5": [quarter, quarter, quarter, quarter],
  "quenched 0.5": [0, 1, 2, 3].map((i) => sample((q) => q % 4 === i)),
};
const member = all.map(() => ({
  right: -1,
  greedy: -1,
  expected: [
    [0.5, 0.5],
    [1, 0],
  ],
}));

const records: EvaluationRecords = {
  settings: {
    methods: ["greedy", "softmax", "quenched"],
    levels: [0.5],
    equal: "flips",
    samples: 4,
    maxTokens: 4,
    stop: ["\n"],
    tau: 32,
    sigmas: [0.1, 0.2],
    draws: 2,
    questions: { tuning: all, test: all },
    uncertainty: true,
    seed: "0",
  },
  model: { file: "model.gguf", bytes: 1, sha256: "0".repeat(64) },
  task: { name: task.name, sha256: task.sha256, questions: QUESTIONS },
  dials: { greedy: {}, "softmax 0.5": { temperature: 0.5 }, "quenched 0.5": { sigma: 0.1 } },
  targets: { 0.5: 0.2 },
  answers: { tuning: answers, test: answers },
  clean: { tuning: clean, test: clean },
  members: { tuning: { 0.5: [member, member] }, test: { 0.5: [member, member] } },
};

it("finds what was put into the answers, and no more", () => {
  const { points, differences, doubts } = outcomes(records, task);
  const [greedy, softmax, quenched] = points;
  expect(greedy?.figures.accuracy.value).toBe(0.25);
  expect(softmax?.passAt.map(({ value }) => value)).toEqual([0.25, 0.25, 0.25, 0.25]);
  // One of four is right: pass@k = k/4.
  expect(quenched?.passAt.map(({ value }) => value)).toEqual([0.25, 0.5, 0.75, 1]);
  expect(quenched?.figures.accuracy.value).toBe(0.25);
  // Three of four say no: the vote is never right, and a quarter less sure than it looks. The likeliest is the right one.
  expect(quenched?.figures.vote.value).toBe(0);
  expect(quenched?.figures.best.value).toBe(1);
  expect(quenched?.brier.value).toBeCloseTo(0.75 ** 2, 12);
  expect(quenched?.ece.value).toBeCloseTo(0.75, 12);
  expect(quenched?.kinds).toEqual({ even: 0.25, odd: 0.25 });
  expect([greedy, softmax, quenched].map((point) => point?.likelihood)).toEqual([-2, -3, -1]);
  const any = differences.find(({ figure }) => figure === "any");
  expect(any).toMatchObject({ value: 0.75, better: 30, worse: 0 });
  expect(any?.corrected).toBeLessThan(1e-6);
  expect(differences.find(({ figure }) => figure === "accuracy")?.value).toBe(0);
  // Right answers are those with the higher log-probability: nothing can be better.
  expect(doubts[0]?.auroc).toEqual({ value: 1, low: 1, high: 1 });
  expect(doubts.every(({ gain }) => gain.high <= 0)).toBe(true);
  expect(doubts.find(({ score }) => score === "mutual information, mean")?.auroc.value).toBe(0.5);
});

it("says it in sentences, tables and figures", async () => {
  const evaluation = outcomes(records, task);
  const html = await renderPage(evaluationPage(evaluation));
  expect(html).toMatch(/of 4 differences to softmax these are left .* any right: \+75\.0 points/);
  expect(html).toContain("Nothing tells right from wrong better than the mean log-probability");
  expect(html).toContain("The smallest difference".toLowerCase());
  expect(html.match(/<figure>/g)).toHaveLength(4);
  expect(html).not.toMatch(/<script|src=|href=|NaN|undefined/);
  expect(evaluationTable(evaluation)).toMatch(/quenched weights +σ = 0\.1 +25\.0 %/);
});
