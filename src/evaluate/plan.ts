// What is to be done: settings that decide every number, checked before hours of work; which questions; how much work it is; and, before any of it,
// how small a difference it can see.

import { BrownianError, checkChoice, checkInteger, checkNumber, checkRising, checkText, shown } from "../errors.js";
import { type Seed, seed64 } from "../noise/index.js";
import { checkOptions, type Names } from "../options.js";
import { smallestDifference } from "../statistics/pairs.js";
import { checkTask, type Half, halfOf, type Task } from "../tasks/task.js";
import { DEFAULT_TAU } from "../thermostat/noise.js";
import { carriedBy, carriersOf, type MethodName, methodNames, methodOf } from "./methods.js";
import { type EvaluationSettings, levelsOf } from "./records.js";
import type { Respondent } from "./respondent.js";

/** What is evaluated, and how; what is left out has a default. */
export interface EvaluateOptions {
  /** Names in METHODS; default softmax and quenched, on servers softmax and members. Greedy and softmax are always among them. */
  readonly methods?: readonly string[];
  /** Temperatures of softmax that the others are put beside; default 0.3, 0.6, 1. */
  readonly levels?: readonly number[];
  /** What is made equal at each level, on the tuning half: how often a token is another than the clean model's ("flips", default), or "accuracy". */
  readonly equal?: "flips" | "accuracy";
  /** Answers of each method, level and question; 2 or more, default 8. */
  readonly samples?: number;
  /** Test questions at most; default all of that half. */
  readonly questions?: number;
  /** Tuning questions at most; default 48. */
  readonly tuneQuestions?: number;
  /** Tokens of an answer at most; default 16. */
  readonly maxTokens?: number;
  /** Strings that end an answer; default an end of line. */
  readonly stop?: readonly string[];
  /** Of the dynamics that have a correlation time, in tokens; default 32. */
  readonly tau?: number;
  /** Sigmas to measure at, rising; default .01 to .32 by doubling, or those that servers have where they take no scale with a request. */
  readonly sigmas?: readonly number[];
  /** Draws of the weights at each; 2 or more, default 2. */
  readonly draws?: number;
  /** How sure answers are, too: the tuning half is answered as well, and members read answers. About twice the time. Default false. */
  readonly uncertainty?: boolean;
  /** Default 0. */
  readonly seed?: Seed;
  /** Stops between two tokens; what was finished has been handed to `onFinished`. */
  readonly signal?: AbortSignal;
  /** What an interrupted evaluation with these settings had finished, by name. */
  readonly finished?: ReadonlyMap<string, unknown>;
  /** Called with every step that is finished, to be kept. */
  readonly onFinished?: (name: string, outcome: unknown) => Promise<void>;
  /** Called with questions answered or read, and as many as there are in all. */
  readonly onProgress?: (done: number, total: number) => void;
}

const NAMES: Names<EvaluateOptions> = {
  methods: true,
  levels: true,
  equal: true,
  samples: true,
  questions: true,
  tuneQuestions: true,
  maxTokens: true,
  stop: true,
  tau: true,
  sigmas: true,
  draws: true,
  uncertainty: true,
  seed: true,
  signal: true,
  finished: true,
  onFinished: true,
  onProgress: true,
};

/** A first look: `brownian eval --quick`. */
export const QUICK: EvaluateOptions = {
  levels: [0.3, 0.5],
  samples: 4,
  questions: 24,
  tuneQuestions: 16,
  maxTokens: 8,
  sigmas: [0.03, 0.1, 0.3],
};

const LEVELS = [0.3, 0.6, 1];
const SIGMAS = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32];
/** Shares of discordant questions that the smallest difference is told for. */
const DISCORDANT = [0.1, 0.3] as const;

/** What decides the numbers of an evaluation; checked. @throws BrownianError usage */
export function evaluationSettings(by: Respondent, task: Task, options: EvaluateOptions): EvaluationSettings {
  const numbers = evaluationNumbers(task, options, by);
  const lacking = numbers.methods.map((name) => [name, by.lacks(name)]).find(([, why]) => why !== undefined);
  if (lacking !== undefined) throw new BrownianError("usage", `The method ${lacking.join(" ")}.`);
  const settings: EvaluationSettings = { ...numbers, ...(by.served === undefined ? {} : { served: by.served }) };
  by.check(settings, task);
  return settings;
}

/** The same without what only those who answer can tell: to be called before a model is loaded. @throws BrownianError usage */
export function evaluationNumbers(
  task: Task,
  options: EvaluateOptions,
  by?: Pick<Respondent, "usual" | "served">,
): Omit<EvaluationSettings, "served"> {
  checkTask(task);
  checkOptions("evaluate", options, NAMES);
  for (const name of ["methods", "levels", "sigmas", "stop"] as const)
    if (options[name] !== undefined && !Array.isArray(options[name]))
      throw new BrownianError("usage", `${name} must be a list, but is ${shown(options[name])}.`);
  for (const stop of options.stop ?? []) checkText("stop", stop);
  const asked = (options.methods ?? by?.usual ?? []).map((name) => checkChoice("methods", name, methodNames));
  const methods = methodNames.filter((name) => name === "greedy" || name === "softmax" || asked.includes(name));
  const levels = [...new Set(options.levels ?? LEVELS)].sort((a, b) => a - b);
  if (levels.length === 0) throw new BrownianError("usage", "levels must be at least one temperature.");
  for (const level of levels) checkNumber("levels", level, 0.01, 10);
  const sigmas = options.sigmas ?? by?.served?.levels ?? SIGMAS;
  checkRising("sigmas", sigmas);
  if (sigmas.length < 2) throw new BrownianError("usage", "sigmas must be at least two: a map needs two ends.");
  const maxTokens = checkInteger("maxTokens", options.maxTokens ?? 16, 1);
  return {
    methods,
    levels,
    equal: checkChoice("equal", options.equal ?? "flips", ["flips", "accuracy"]),
    samples: checkInteger("samples", options.samples ?? 8, 2, 1000),
    maxTokens,
    stop: options.stop ?? ["\n"],
    tau: checkNumber("tau", options.tau ?? DEFAULT_TAU, Number.MIN_VALUE),
    sigmas,
    draws: checkInteger("draws", options.draws ?? 2, 2, 100),
    questions: {
      tuning: chosen(task, "tuning", checkInteger("tuneQuestions", options.tuneQuestions ?? 48, 1)),
      test: chosen(
        task,
        "test",
        options.questions === undefined ? Number.MAX_SAFE_INTEGER : checkInteger("questions", options.questions, 2),
      ),
    },
    uncertainty: options.uncertainty ?? false,
    seed: String(seed64(options.seed ?? 0)),
  };
}

/** The numbers of the first questions of a half. @throws BrownianError usage where there are none */
function chosen(task: Task, half: Half, most: number): number[] {
  const all = task.questions.flatMap((question, i) => (halfOf(question) === half ? [i] : []));
  if (all.length < 2)
    throw new BrownianError(
      "usage",
      `${task.name} has ${all.length} questions in its ${half} half (of ${task.questions.length}; a hash of each decides): give more questions.`,
    );
  return all.slice(0, most);
}

/** How small a difference between two methods can be seen on so many questions (5 %, four times of five), if they differ on so many of them. */
export interface Power {
  /** Of the test half. */
  readonly questions: number;
  /** For several shares of questions on which two methods differ. */
  readonly differences: readonly {
    /** Share of the questions on which two methods differ. */
    readonly discordant: number;
    /** The smallest difference that is seen then, as a share of the questions. */
    readonly smallest: number;
  }[];
}

/** {@link Power} of an evaluation, known before it is run. */
export function powerOf({ questions }: EvaluationSettings): Power {
  const { length } = questions.test;
  const differences = DISCORDANT.map((discordant) => ({ discordant, smallest: smallestDifference(length, discordant) }));
  return { questions: length, differences };
}

/** Questions to be answered or read, over all steps. */
export function workOf(settings: EvaluationSettings): number {
  const { questions, methods, samples, equal, sigmas, draws, levels, uncertainty } = settings;
  const [tuning, test] = [questions.tuning.length, questions.test.length];
  const answered = (method: MethodName) => (method === "greedy" ? 1 : samples * levelsOf(method, settings).length);
  const others = methods.filter((method) => method !== "greedy" && method !== "softmax");
  const carriers = carriersOf(others).length;
  const live = others.some((method) => methodOf(method).dials === "sigma" && carriedBy(method) === "live");
  const both = methods.reduce((sum, method) => sum + answered(method), 0);
  let work = 2 * tuning + 2 * test + test * (both - 1);
  if (equal === "flips") work += tuning * sigmas.length * draws * carriers;
  if (equal === "accuracy") {
    work += uncertainty ? 0 : tuning * samples * levels.length;
    work += tuning * sigmas.length * draws * carriers;
    if (methods.includes("min-p")) work += tuning * draws * MIN_P_TRIALS.length;
    if (methods.includes("mixture")) work += tuning * draws * levels.length * MIXTURE_TRIALS.length;
  }
  if (uncertainty) work += tuning * (both - 1) + (live ? (tuning + test) * samples * levels.length : 0);
  return work;
}

/** Temperatures at which the accuracy of min-p is measured, and shares of the level's at which that of a mixture is. */
export const MIN_P_TRIALS = [0.5, 1, 2, 4] as const;
export const MIXTURE_TRIALS = [0.25, 0.5, 0.75, 1] as const;
