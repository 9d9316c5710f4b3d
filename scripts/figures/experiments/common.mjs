// What the experiments have in common: questions of countries in halves, answers judged in batches, differences with exact sign tests.
import { readFileSync } from "node:fs";
import { halfOf, isRight, loadModel, makeTask, meaningOf, parseTask } from "../../../dist/esm/llama.js";

export const MAX_TOKENS = 20;

/** @param {string} path @param {number} parallel texts at once */
export const open = (path, parallel = 32) => loadModel(path, { threads: 1, repack: "off", parallel, contextSize: 256 });

/** Questions of one kind ("capital") in the halves of the task, at most so many of each. */
export function questionsOf(kind, most) {
  const text = readFileSync("node_modules/world-countries/countries.json", "utf8");
  const { questions } = parseTask(makeTask("countries", { text, chat: true }), "countries");
  const of = (half) => questions.filter((one) => one.kind === kind && halfOf(one) === half).slice(0, most);
  return { tuning: of("tuning"), test: of("test") };
}

/** One answer to each question, under the same weights. */
export async function answer(model, questions, weights = {}, dice = {}, seed = 0) {
  const asked = questions.map(({ prompt }, i) => ({ prompt, ...dice, seed: seed * 1000 + i }));
  const texts = await model.completeAll(asked, { maxTokens: MAX_TOKENS, ...weights });
  return texts.map(({ text }, i) => ({ right: isRight(questions[i], text), meaning: meaningOf(questions[i], text) }));
}

/** Of samples (one list of answers each): share right, any right, and whether the vote is right, question by question. */
export function summary(samples) {
  const questions = samples[0].map((_, q) => samples.map((sample) => sample[q]));
  const any = questions.map((own) => own.some(({ right }) => right));
  const vote = questions.map((own) => {
    const votes = new Map();
    for (const { meaning } of own) if (meaning !== "") votes.set(meaning, (votes.get(meaning) ?? 0) + 1);
    const [most] = [...votes].sort((a, b) => b[1] - a[1])[0] ?? [];
    return own.some(({ meaning, right }) => right && meaning === most);
  });
  const one = share(samples.flat().map(({ right }) => right));
  return { one, any, vote };
}

export const share = (list) => list.filter(Boolean).length / list.length;

/** Questions that a has and b misses, and the other way round, with the two-sided sign test. */
export function differ(a, b) {
  const better = a.filter((right, i) => right && !b[i]).length;
  const worse = a.filter((right, i) => !right && b[i]).length;
  const n = better + worse;
  let tail = 0;
  for (let k = Math.max(better, worse), choose = 1; k <= n; k++) {
    choose = 1;
    for (let i = 0; i < k; i++) choose *= (n - i) / (i + 1);
    tail += choose * 0.5 ** n;
  }
  return `+${better} -${worse}, p = ${Math.min(1, 2 * tail).toFixed(3)}`;
}

export const percent = (x) => `${(100 * x).toFixed(1)} %`;

export const row = (...cells) => process.stdout.write(`| ${cells.join(" | ")} |\n`);
