// How sure an answer is: scores of greedy answers, and how well each tells those that are right from those that are wrong. The cheap ones first: what
// costs samples has to beat them. Combinations are fitted on the tuning half, and judged on the test half as all others are.

import { Noise } from "../noise/index.js";
import { entropy } from "../sampling/softmax.js";
import { ensembleEntropy } from "../sampling/uncertainty.js";
import { answerEntropy, tally } from "../statistics/answers.js";
import { choices, type Estimate, estimate } from "../statistics/intervals.js";
import { average } from "../statistics/rates.js";
import { auroc, fitLogistic, logisticOf } from "../statistics/scores.js";
import { isRight } from "../tasks/answers.js";
import type { Half, Task } from "../tasks/task.js";
import { judged, logMean, questionsOf } from "./judged.js";
import type { MethodName } from "./methods.js";
import { type Answers, at, type EvaluationRecords, type MemberReading } from "./records.js";

const RESAMPLES = 2000;
/** ln p of an answer of no tokens, or of one that is impossible. */
const LEAST = -50;

/** A score, and what it is worth. */
export interface Doubt {
  /** What is looked at. */
  readonly score: string;
  /** Whose samples or members; null for what needs none. */
  readonly method: MethodName | null;
  /** The level of these; 0 for what needs none. */
  readonly level: number;
  /** Answers, or readings by members, besides the greedy one. */
  readonly samples: number;
  /** P(a right answer has the higher score), on the test half. */
  readonly auroc: Estimate;
  /** Minus that of the mean log-probability, on the same questions. */
  readonly gain: Estimate;
  /** On the tuning half: what a choice among scores may go by; null where all of that is right, or all wrong. */
  readonly tuning: number | null;
}

/** A score before it is judged: of every question of each half, higher where the answer is the surer. */
interface Score extends Pick<Doubt, "score" | "method" | "level" | "samples"> {
  readonly of: Readonly<Record<Half, readonly number[]>>;
}

const HALVES = ["tuning", "test"] as const;
const byHalf = (make: (half: Half) => readonly number[]): Score["of"] => ({ tuning: make("tuning"), test: make("test") });

/** All scores with their worth; none where all greedy answers of the test half are right, or all wrong. */
export function doubts(records: EvaluationRecords, task: Task): Doubt[] {
  const { settings } = records;
  const right = Object.fromEntries(HALVES.map((half) => [half, rightOf(records, task, half)])) as Record<Half, boolean[]>;
  if (new Set(right.test).size < 2) return [];
  const cheap = cheapScores(records);
  const sampled = settings.methods.flatMap((method) =>
    method === "greedy" ? [] : settings.levels.flatMap((level) => sampleScores(records, task, method, level)),
  );
  const read = settings.levels.flatMap((level) => memberScores(records, level));
  const together = (score: string, parts: readonly Score[]): Score[] => {
    if (parts.length < 2 || new Set(right.tuning).size < 2) return [];
    const rows = (half: Half) => (right[half] as boolean[]).map((_, q) => parts.map((part) => part.of[half][q] as number));
    const fit = fitLogistic(rows("tuning"), right.tuning);
    const samples = [...new Map(parts.map((part) => [`${part.method} ${part.level}`, part.samples])).values()].reduce(
      (sum, n) => sum + n,
      0,
    );
    return [{ score, method: null, level: 0, samples, of: byHalf((half) => rows(half).map((row) => logisticOf(fit, row))) }];
  };
  const middle = settings.levels[Math.floor(settings.levels.length / 2)] as number;
  const ofLevel = (list: readonly Score[], method?: MethodName) =>
    list.filter((one) => one.level === middle && (method === undefined || one.method === method));
  const scores = [
    ...cheap,
    ...sampled,
    ...read,
    ...together("cheap ones together", cheap),
    ...together("cheap ones + softmax", [...cheap, ...ofLevel(sampled, "softmax")]),
    ...(read.length === 0 ? [] : together("cheap ones + members", [...cheap, ...ofLevel(sampled, "quenched"), ...ofLevel(read)])),
    ...(read.length === 0
      ? []
      : together("cheap ones + both", [
          ...cheap,
          ...ofLevel(sampled, "softmax"),
          ...ofLevel(sampled, "quenched"),
          ...ofLevel(read),
        ])),
  ];
  return worthOf(scores, right, new Noise(BigInt(settings.seed)));
}

function worthOf(scores: readonly Score[], right: Readonly<Record<Half, boolean[]>>, noise: Noise): Doubt[] {
  const worth = (values: readonly number[], which: readonly boolean[]): number => {
    const [yes, no] = [values.filter((_, q) => which[q]), values.filter((_, q) => !which[q])];
    return yes.length === 0 || no.length === 0 ? Number.NaN : auroc(yes, no);
  };
  const again = choices(noise.stream("doubts"), right.test.length, "bootstrap", RESAMPLES)
    .map((chosen) => Array.from(chosen))
    .filter((chosen) => new Set(chosen.map((q) => right.test[q])).size === 2);
  const resampled = scores.map(({ of }) =>
    again.map((chosen) =>
      worth(
        chosen.map((q) => of.test[q] as number),
        chosen.map((q) => right.test[q] as boolean),
      ),
    ),
  );
  const own = scores.map(({ of }) => worth(of.test, right.test));
  return scores.map(({ of, ...score }, i) => ({
    ...score,
    auroc: estimate(own[i] as number, resampled[i] as number[]),
    gain: estimate(
      (own[i] as number) - (own[0] as number),
      (resampled[i] as number[]).map((value, r) => value - (resampled[0]?.[r] as number)),
    ),
    tuning: new Set(right.tuning).size < 2 ? null : worth(of.tuning, right.tuning),
  }));
}

function rightOf(records: EvaluationRecords, task: Task, half: Half): boolean[] {
  const [greedy] = records.answers[half].greedy as readonly Answers[];
  return questionsOf(task, records.settings, half).map((question, q) => isRight(question, greedy?.answers[q]?.text ?? ""));
}

/** What the greedy answer's own tokens say. The first is what the others are measured against. */
function cheapScores({ clean }: EvaluationRecords): Score[] {
  const cheap = (score: string, of: (reading: EvaluationRecords["clean"][Half][number]) => number): Score => ({
    score,
    method: null,
    level: 0,
    samples: 0,
    of: byHalf((half) =>
      clean[half].map((reading) => (reading.logProbabilities.length === 0 ? LEAST : Math.max(LEAST, of(reading)))),
    ),
  });
  return [
    cheap("mean log-probability", ({ logProbabilities }) => average(logProbabilities)),
    cheap("least log-probability", ({ logProbabilities }) => Math.min(...logProbabilities)),
    cheap("entropy of the first token", ({ entropies }) => -(entropies[0] as number)),
    cheap("largest entropy of a token", ({ entropies }) => -Math.max(...entropies)),
  ];
}

/** What a method's answers say of the greedy one. */
function sampleScores(records: EvaluationRecords, task: Task, method: MethodName, level: number): Score[] {
  const meanings = Object.fromEntries(
    HALVES.map((half) => {
      const questions = questionsOf(task, records.settings, half);
      const greedy = judged(questions, records.answers[half].greedy as readonly Answers[]);
      const own = judged(questions, records.answers[half][at(method, level)] as readonly Answers[]);
      return [half, own.map((one, q) => ({ greedy: greedy[q]?.meanings[0] as string, all: one.meanings }))];
    }),
  ) as Record<Half, { greedy: string; all: readonly string[] }[]>;
  const { samples } = records.settings;
  const score = (name: string, of: (one: { greedy: string; all: readonly string[] }) => number): Score => ({
    score: name,
    method,
    level,
    samples,
    of: byHalf((half) => meanings[half].map(of)),
  });
  return [
    score("agreement with the answer", ({ greedy, all }) => all.filter((one) => one === greedy).length / all.length),
    score("entropy of answers", ({ all }) => -answerEntropy(all)),
    score("share of the most frequent answer", ({ all }) => (tally(all)[0]?.[1] as number) / all.length),
  ];
}

/** What members say that read the greedy answer. */
function memberScores({ members, settings }: EvaluationRecords, level: number): Score[] {
  if (members.test[level] === undefined) return [];
  const { samples } = settings;
  const score = (name: string, of: (own: readonly MemberReading[]) => number): Score => ({
    score: name,
    method: "quenched",
    level,
    samples,
    of: byHalf((half) => {
      const own = members[half][level] as readonly (readonly MemberReading[])[];
      return (own[0] as readonly MemberReading[]).map((_, q) => of(own.map((member) => member[q] as MemberReading)));
    }),
  });
  return [
    score("mutual information, mean", (own) => -average(informationOf(own))),
    score("mutual information, largest", (own) => -Math.max(...informationOf(own))),
    score("probability, mean of members", (own) => Math.max(LEAST, logMean(own.map(({ greedy }) => greedy)) ?? LEAST)),
  ];
}

/** Of every token of the answer: H(mean p) - mean H(p) over members; 0 for an answer without tokens. */
function informationOf(own: readonly MemberReading[]): number[] {
  const tokens = own[0]?.expected.length ?? 0;
  if (tokens === 0) return [0];
  return Array.from({ length: tokens }, (_, t) => {
    const laws = own.map(({ expected }) => expected[t] as readonly number[]);
    const mean = (laws[0] as readonly number[]).map((_, i) => average(laws.map((law) => law[i] as number)));
    return ensembleEntropy(mean, average(laws.map((law) => entropy(law)))).information;
  });
}
