// What follows from the records of an evaluation: accuracies, votes, pass@k, confidence, and their differences, with intervals over questions. Pure:
// the same records and task give the same outcomes.

import { Noise } from "../noise/index.js";
import { brierOf, calibrationErrorOf, passAtK, tally } from "../statistics/answers.js";
import { choices, type Estimate, estimate } from "../statistics/intervals.js";
import { holm, signTest } from "../statistics/pairs.js";
import { average } from "../statistics/rates.js";
import type { Question } from "../tasks/question.js";
import type { Task } from "../tasks/task.js";
import { type Doubt, doubts } from "./doubt.js";
import { type Judged, judged, logMean, questionsOf } from "./judged.js";
import type { Dial, MethodName } from "./methods.js";
import { type Power, powerOf } from "./plan.js";
import { type Answers, at, type EvaluationRecords, type EvaluationSettings, levelsOf } from "./records.js";

const RESAMPLES = 2000;

/** Figures that are put beside softmax's. */
export const COMPARED = ["accuracy", "vote", "best", "any"] as const satisfies readonly Figure[];

/** Of one answer, of the most frequent one, of the likeliest one, and whether any is right (pass@n). */
export type Figure = "accuracy" | "vote" | "best" | "any";

/** A method at a level. */
export interface Point {
  /** Which method. */
  readonly method: MethodName;
  /** The temperature of softmax that it stands beside; 0 for greedy. */
  readonly level: number;
  /** How far it was turned. */
  readonly dial: Dial;
  /** Shares of the test questions, over questions: the mean of one answer; the most frequent of all; the likeliest under its own weights; any. */
  readonly figures: Readonly<Record<Figure, Estimate>>;
  /** pass@k for k = 1, 2, ... */
  readonly passAt: readonly Estimate[];
  /** Of the share of answers that agree with the most frequent one (greedy: of its probability). */
  readonly brier: Estimate;
  /** Expected calibration error of the same. */
  readonly ece: Estimate;
  /** Mean ln p of the right answer, nats; null where it was not read. */
  readonly likelihood: number | null;
  /** Standard deviation of accuracy from sample to sample: what intervals over questions do not contain. */
  readonly spread: number;
  /** By kind of question. */
  readonly kinds: Readonly<Record<string, number>>;
  /** What it took. */
  readonly cost: {
    /** To all test questions. */
    readonly answers: number;
    /** Written, of all answers. */
    readonly tokens: number;
    /** That the answers took, prompts included. */
    readonly seconds: number;
  };
}

/** A figure of a method minus softmax's at the same level, question by question. */
export interface Difference extends Estimate {
  /** Which method. */
  readonly method: MethodName;
  /** The temperature of softmax that it stands beside. */
  readonly level: number;
  /** Of what. */
  readonly figure: Figure;
  /** Questions on which it is better. */
  readonly better: number;
  /** Questions on which it is worse. */
  readonly worse: number;
  /** Of the exact sign test. */
  readonly p: number;
  /** Among all differences (Holm). */
  readonly corrected: number;
}

/** A question with what was answered, for reading. */
export interface Example {
  /** The end of what was asked. */
  readonly prompt: string;
  /** Right ones. */
  readonly answers: readonly string[];
  /** The clean model's. */
  readonly greedy: string;
  /** By method and level: different answers, and how often each was given. */
  readonly given: Readonly<Record<string, readonly (readonly [string, number])[]>>;
}

/** All that an evaluation says, as results.json has it. */
export interface Evaluation {
  /** What the file is, for whoever finds it. */
  readonly format: "brownian-evaluation";
  /** Of the file's layout. */
  readonly version: 1;
  /** What decided the numbers. */
  readonly settings: EvaluationSettings;
  /** Which model answered. */
  readonly model: EvaluationRecords["model"];
  /** Which questions. */
  readonly task: EvaluationRecords["task"];
  /** What could be seen. */
  readonly power: Power;
  /** By method and level. */
  readonly dials: EvaluationRecords["dials"];
  /** What they were tuned to, by level. */
  readonly targets: EvaluationRecords["targets"];
  /** Every method at every level. */
  readonly points: readonly Point[];
  /** To softmax. */
  readonly differences: readonly Difference[];
  /** How well scores tell right greedy answers from wrong ones; empty where uncertainty was not asked for. */
  readonly doubts: readonly Doubt[];
  /** For reading. */
  readonly examples: readonly Example[];
}

/** Figures, differences and intervals of the records: 95 %, from 2000 resamples of the questions by the settings' seed. */
export function outcomes(records: EvaluationRecords, task: Task): Evaluation {
  const { settings, answers, dials } = records;
  const noise = new Noise(BigInt(settings.seed));
  const questions = questionsOf(task, settings, "test");
  const again = choices(noise.stream("outcomes"), questions.length, "bootstrap", RESAMPLES);
  const own = new Map<string, Readonly<Record<Figure, readonly number[]>>>();
  const points = settings.methods.flatMap((method) =>
    levelsOf(method, settings).map((level): Point => {
      const name = at(method, level);
      const samples = answers.test[name] as readonly Answers[];
      const results = judged(questions, samples);
      const figures = figuresOf(results, samples);
      own.set(name, figures);
      const over = (values: readonly number[]) => estimated(values, again);
      const confidence = confidences(method, results, samples);
      const right = figures.vote.map((x) => x === 1);
      const resampled = (of: (c: readonly number[], r: readonly boolean[]) => number): Estimate =>
        estimate(
          of(confidence, right),
          again.map((chosen) =>
            of(
              Array.from(chosen, (q) => confidence[q] as number),
              Array.from(chosen, (q) => right[q] as boolean),
            ),
          ),
        );
      const counts = results.map((one) => one.right.filter(Boolean).length);
      return {
        method,
        level,
        dial: dials[name] as Dial,
        figures: { accuracy: over(figures.accuracy), vote: over(figures.vote), best: over(figures.best), any: over(figures.any) },
        passAt: samples.map((_, i) => over(counts.map((c) => passAtK(samples.length, c, i + 1)))),
        brier: resampled(brierOf),
        ece: resampled(calibrationErrorOf),
        likelihood: likelihoodOf(records, method, level),
        spread: deviation(samples.map((_, i) => average(results.map((one) => (one.right[i] ? 1 : 0))))),
        kinds: byKind(questions, figures.accuracy),
        cost: {
          answers: samples.length * questions.length,
          tokens: samples.reduce((sum, sample) => sum + sample.answers.reduce((all, answer) => all + answer.tokens, 0), 0),
          seconds: samples.reduce((sum, { seconds }) => sum + seconds, 0),
        },
      };
    }),
  );
  return {
    format: "brownian-evaluation",
    version: 1,
    settings,
    model: records.model,
    task: records.task,
    power: powerOf(settings),
    dials,
    targets: records.targets,
    points,
    differences: differencesOf(settings, own, again),
    doubts: settings.uncertainty ? doubts(records, task) : [],
    examples: examplesOf(records, questions),
  };
}

/** A mean over questions with its interval. */
function estimated(values: readonly number[], again: readonly Uint32Array[]): Estimate {
  const resampled = again.map((chosen) => {
    let sum = 0;
    for (const q of chosen) sum += values[q] as number;
    return sum / chosen.length;
  });
  return estimate(average(values), resampled);
}

/** Of every question: how right one answer is on average, the most frequent, the likeliest, any. */
function figuresOf(results: readonly Judged[], samples: readonly Answers[]): Record<Figure, number[]> {
  return {
    accuracy: results.map(({ right }) => average(right.map(Number))),
    vote: results.map(({ right, meanings }) => Number(right[meanings.indexOf(tally(meanings)[0]?.[0] as string)])),
    best: results.map(({ right }, q) => {
      const scores = samples.map(({ answers }) => {
        const { logProbability = 0, tokens = 0 } = answers[q] ?? {};
        return logProbability / Math.max(1, tokens);
      });
      return Number(right[scores.indexOf(Math.max(...scores))]);
    }),
    any: results.map(({ right }) => Number(right.some(Boolean))),
  };
}

/** How sure the most frequent answer is: its share; of a single one its probability. */
function confidences(method: MethodName, results: readonly Judged[], samples: readonly Answers[]): number[] {
  if (method === "greedy") return results.map((_, q) => Math.exp(samples[0]?.answers[q]?.logProbability ?? 0));
  return results.map(({ meanings }) => (tally(meanings)[0]?.[1] as number) / meanings.length);
}

function deviation(values: readonly number[]): number {
  const mean = average(values);
  return values.length < 2 ? 0 : Math.sqrt(values.reduce((sum, x) => sum + (x - mean) ** 2, 0) / (values.length - 1));
}

function byKind(questions: readonly Question[], accuracy: readonly number[]): Record<string, number> {
  const kinds = [...new Set(questions.map(({ kind = "" }) => kind))].sort();
  return Object.fromEntries(kinds.map((kind) => [kind, average(accuracy.filter((_, q) => (questions[q]?.kind ?? "") === kind))]));
}

/** Mean ln p of the right answers that are texts: of the clean model at T, or of the members' mean. */
function likelihoodOf({ settings, clean, members }: EvaluationRecords, method: MethodName, level: number): number | null {
  const mean = (values: readonly (number | null)[]) => {
    const known = values.filter((value) => value !== null);
    return known.length === 0 ? null : average(known);
  };
  if (method === "greedy") return mean(clean.test.map(({ right }) => right));
  if (method === "softmax") return mean(clean.test.map(({ rightAt }) => rightAt[settings.levels.indexOf(level)] ?? null));
  const own = members.test[level];
  if (method !== "quenched" || own === undefined) return null;
  return mean(clean.test.map((_, q) => logMean(own.map((member) => member[q]?.right ?? null))));
}

function differencesOf(
  settings: EvaluationSettings,
  own: ReadonlyMap<string, Readonly<Record<Figure, readonly number[]>>>,
  again: readonly Uint32Array[],
): Difference[] {
  const all = settings.methods
    .filter((method) => method !== "greedy" && method !== "softmax")
    .flatMap((method) =>
      settings.levels.flatMap((level) =>
        COMPARED.map((figure) => {
          const theirs = own.get(at("softmax", level))?.[figure] as readonly number[];
          const ours = own.get(at(method, level))?.[figure] as readonly number[];
          const values = ours.map((x, q) => x - (theirs[q] as number));
          const better = values.filter((x) => x > 0).length;
          const worse = values.filter((x) => x < 0).length;
          return { method, level, figure, better, worse, p: signTest(better, worse), ...estimated(values, again) };
        }),
      ),
    );
  const corrected = holm(all.map(({ p }) => p));
  return all.map((one, i) => ({ ...one, corrected: corrected[i] as number }));
}

/** The first questions on which methods differ, and others where they do not. */
function examplesOf({ settings, answers }: EvaluationRecords, questions: readonly Question[]): Example[] {
  const named = settings.methods.flatMap((method) =>
    method === "greedy" ? [] : settings.levels.map((level) => at(method, level)),
  );
  const results = new Map(named.map((name) => [name, judged(questions, answers.test[name] as readonly Answers[])]));
  const varied = (q: number) => new Set(named.map((name) => String(results.get(name)?.[q]?.right.some(Boolean)))).size > 1;
  const order = [...questions.keys()].sort((a, b) => Number(varied(b)) - Number(varied(a)));
  return order.slice(0, 12).map((q) => {
    const { prompt, answers: right } = questions[q] as Question;
    return {
      prompt: typeof prompt === "string" ? prompt.split("\n").slice(-2).join("\n") : (prompt.at(-1)?.content ?? ""),
      answers: right,
      greedy: answers.test.greedy?.[0]?.answers[q]?.text ?? "",
      given: Object.fromEntries(named.map((name) => [name, tally(results.get(name)?.[q]?.meanings ?? []).slice(0, 4)])),
    };
  });
}
