// What is to be done: the settings that decide every number of a comparison, checked before minutes of work; the windows of the text that are
// read; and how long all of it takes, roughly.

import { BrownianError, checkChoice, checkInteger, checkList, checkNumber, checkText, shown } from "../errors.js";
import { checkModel, type Model } from "../llama/model.js";
import { type Seed, seed64 } from "../noise/index.js";
import { checkOptions, type Names } from "../options.js";
import { checkProfile, type Profile, weightSigma } from "../statistics/calibration.js";
import { dynamicsNamed } from "../thermostat/dynamics/index.js";
import { DEFAULT_TAU } from "../thermostat/noise.js";
import { METHODS, type MethodName, methodNames, remembering, tickCost } from "./methods.js";
import { type ComparisonSettings, levelsOf } from "./records.js";

/** What is compared, on which texts, and how long; what is left out has a default. */
export interface CompareOptions {
  /** The model's calibration: which sigma to begin with, and where moving weights break the model. */
  readonly profile: Profile;
  /** Default all. Softmax is always among them. */
  readonly methods?: readonly MethodName[];
  /** Temperatures of softmax at whose flip rates methods are compared, up to the breaking point; default four up to there. */
  readonly levels?: readonly number[];
  /** Further temperatures for the frontier, beyond the breaking point; default 0.7 and 1 where the calibration reaches so far. */
  readonly beyond?: readonly number[];
  /** Beginnings of texts; default two of fairy tales. */
  readonly prompts?: readonly string[];
  /** Texts a prompt, method and level at most, at least 4; default 12. */
  readonly samples?: number;
  /** Tokens of every text, at least 8; default 64. */
  readonly maxTokens?: number;
  /** Tokens of the text to tune dials on at most, and twice as many to check them; default 512. */
  readonly tuneTokens?: number;
  /**
   * No more windows are read at a level where the flip rate of moving weights, minus that of softmax on the same windows, is known within this share
   * of softmax's (95 %), 0 or more; default 0.15.
   */
  readonly precision?: number;
  /**
   * No more texts are written where NLL minus softmax's, averaged over the levels up to the breaking point, is known within as many nats a token
   * (95 %) for every method, 0 or more; default 0.05. All have equally many texts: figures of diversity depend on their number.
   */
  readonly precisionNats?: number;
  /** Correlation time in tokens, of the dynamics that have one; default 32. */
  readonly tau?: number;
  /** A first look in minutes: other defaults, namely two levels, 4 texts, 32 tokens, 128 tokens to tune on, a precision of 0.3, and nothing beyond. */
  readonly quick?: boolean;
  /** Default 0. */
  readonly seed?: Seed;
  /** Stops between two steps; what was finished has been handed to `onFinished`. */
  readonly signal?: AbortSignal;
  /** Folder of live copies. */
  readonly scratch?: string;
  /** What an interrupted comparison with these settings had finished, by name. */
  readonly finished?: ReadonlyMap<string, unknown>;
  /** Called with every step that is finished, to be kept. */
  readonly onFinished?: (name: string, outcome: unknown) => Promise<void>;
  /** Called with milliseconds' worth of work done and in all, roughly. */
  readonly onProgress?: (done: number, total: number) => void;
}

const NAMES: Names<CompareOptions> = {
  profile: true,
  methods: true,
  levels: true,
  beyond: true,
  prompts: true,
  samples: true,
  maxTokens: true,
  tuneTokens: true,
  precision: true,
  precisionNats: true,
  tau: true,
  quick: true,
  seed: true,
  signal: true,
  scratch: true,
  finished: true,
  onFinished: true,
  onProgress: true,
};

const PROMPTS = ["Once upon a time", "The King said to his daughter"];
const BEYOND = [0.7, 1];
/** A first look: two levels, few texts, short ones. */
const QUICK = { shares: [0.45, 0.85], samples: 4, maxTokens: 32, tuneTokens: 128, precision: 0.3 } as const;
const FULL = { shares: [0.3, 0.5, 0.7, 0.9], samples: 12, maxTokens: 64, tuneTokens: 512, precision: 0.15 } as const;
const PRECISION_NATS = 0.05;
const GOLDEN = (Math.sqrt(5) - 1) / 2;
/** What memory is measured over, in correlation times: at these shares of tau. */
const REMEMBERED = [0, 1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 3 / 4, 1, 1.5, 2];

/** What decides the numbers of a comparison; checked. @throws BrownianError usage */
export function comparisonSettings(model: Model, text: string, options: CompareOptions): ComparisonSettings {
  checkModel(model);
  return comparisonNumbers(text, options, model);
}

/** The same; without the model, what only it can tell is not checked: to be called before it is loaded. @throws BrownianError usage */
export function comparisonNumbers(text: string, options: CompareOptions, model?: Model): ComparisonSettings {
  const { profile, prompts = PROMPTS } = checkOptions("compare", options, NAMES);
  checkText("text", text);
  checkProfile(profile);
  for (const name of ["methods", "levels", "beyond", "prompts"] as const)
    if (options[name] !== undefined) checkList(name, options[name]);
  for (const prompt of prompts) checkText("prompts", prompt);
  const asked = (options.methods ?? methodNames).map((name) => checkChoice("methods", name, methodNames));
  const methods = methodNames.filter((name) => name === "softmax" || asked.includes(name));
  const quick = options.quick ?? false;
  const usual = quick ? QUICK : FULL;
  const levels = distinctRising(options.levels ?? defaultLevels(profile, usual.shares));
  if (levels.length === 0) throw new BrownianError("usage", "levels must be at least one temperature.");
  for (const level of levels) checkNumber("levels", level, Number.MIN_VALUE);
  for (const level of levels) weightSigma(profile, level); // refuses those beyond the breaking point
  const further = (options.beyond ?? (quick ? [] : BEYOND.filter((level) => reaches(profile, level)))).filter(
    (level) => !levels.includes(level),
  );
  for (const level of further) checkNumber("beyond", level, Number.MIN_VALUE);
  for (const level of further) weightSigma(profile, level, true); // refuses those that were not measured
  if (prompts.length === 0 || prompts.some((prompt) => prompt.trim() === ""))
    throw new BrownianError("usage", "A prompt is empty: every text has to begin with something.");
  const maxTokens = checkInteger("maxTokens", options.maxTokens ?? usual.maxTokens, 8, model?.windowLength);
  if (model !== undefined) checkPrompts(model, prompts, maxTokens);
  const tau = options.tau ?? DEFAULT_TAU;
  if (!(typeof tau === "number" && tau > 0 && tau <= Number.MAX_VALUE))
    throw new BrownianError("usage", `tau must be a number of tokens above 0, but is ${shown(tau)}.`);
  const tuneTokens = checkInteger("tuneTokens", options.tuneTokens ?? usual.tuneTokens, maxTokens);
  const tuneWindows = Math.floor(tuneTokens / maxTokens);
  if (text.trim() === "") throw new BrownianError("usage", "The text to read is empty.");
  return {
    methods,
    levels,
    beyond: distinctRising(further),
    prompts,
    samples: checkInteger("samples", options.samples ?? usual.samples, 4, 10_000),
    maxTokens,
    tau,
    seed: String(seed64(options.seed ?? 0)),
    tuneWindows,
    checkWindows: 2 * tuneWindows,
    precision: checkNumber("precision", options.precision ?? usual.precision, 0),
    precisionNats: checkNumber("precisionNats", options.precisionNats ?? PRECISION_NATS, 0),
  };
}

/** @throws BrownianError usage where a prompt and what is to follow are more than the context holds */
function checkPrompts(model: Model, prompts: readonly string[], maxTokens: number): void {
  for (const prompt of prompts) {
    const { length } = model.tokens(prompt);
    if (length + maxTokens > model.contextSize)
      throw new BrownianError(
        "usage",
        `The prompt ${JSON.stringify(prompt)} has ${length} tokens, and ${maxTokens} are to follow, but the context holds ${model.contextSize}: texts would not be equally long.`,
      );
  }
}

/** What to ask for, to be given these settings again. */
export function optionsOf(settings: ComparisonSettings): Omit<CompareOptions, "profile"> {
  const { tuneWindows, checkWindows: _, seed, ...rest } = settings;
  return { ...rest, tuneTokens: tuneWindows * settings.maxTokens, seed: BigInt(seed) };
}

/** Temperatures at shares of the breaking point, rounded down. */
function defaultLevels({ breaking }: Profile, shares: readonly number[]): number[] {
  const grid = breaking.temperature >= 0.2 ? 20 : 1000;
  return shares.map((share) => Math.floor(share * breaking.temperature * grid) / grid);
}

function reaches(profile: Profile, level: number): boolean {
  try {
    return weightSigma(profile, level, true) > 0;
  } catch {
    return false;
  }
}

function distinctRising(values: readonly number[]): number[] {
  return [...new Set(values)].sort((a, b) => a - b);
}

/** Dynamics that move what the engine does not see are refused at once, not after minutes. @throws BrownianError not-live */
export async function refuseUnseen(model: Model, { methods, prompts, tau }: ComparisonSettings): Promise<void> {
  for (const { dynamics } of methods.map((name) => METHODS[name])) {
    if (dynamics !== undefined && dynamicsNamed(dynamics).moves)
      await model.complete(prompts[0] as string, { sigma: 1e-3, dynamics, tau, maxTokens: 1 });
  }
}

/** Parts of the text that are each read for themselves, as tokens. */
export type Windows = readonly (readonly number[])[];

/** Windows of equal length from all over the text: every third to tune dials on, the others to check them. Also the first few are from all over it. */
export function chooseWindows(
  model: Model,
  text: string,
  { maxTokens, tuneWindows, checkWindows }: ComparisonSettings,
): { readonly tune: Windows; readonly check: Windows } {
  const all = model.windows(text, { length: maxTokens });
  const whole = all.filter((window) => window.length === (all[0]?.length ?? 0));
  const wanted = tuneWindows + checkWindows;
  if (whole.length < wanted)
    throw new BrownianError(
      "usage",
      `The text to read has ${whole.length} windows of ${maxTokens} tokens, but ${wanted} are needed: give a longer text, or fewer tokens to tune on.`,
    );
  const chosen = Array.from({ length: wanted }, (_, i) => whole[Math.floor((i * whole.length) / wanted)] as number[]);
  return { tune: spreadOut(chosen.filter((_, i) => i % 3 === 0)), check: spreadOut(chosen.filter((_, i) => i % 3 !== 0)) };
}

/** In the order of the multiples of the golden ratio, whose beginnings lie evenly (Weyl). */
function spreadOut<T>(list: readonly T[]): T[] {
  const places = list.map((_, i) => (i * GOLDEN) % 1);
  return places.map((place) => list[places.filter((other) => other < place).length] as T);
}

/** The ticks at which memory is looked at, rising from 0. */
export function rememberedTicks(tau: number): number[] {
  return distinctRising(REMEMBERED.map((share) => Math.round(share * tau)));
}

/** Milliseconds' worth of a window that the clean model reads, roughly. */
export const cleanWork = ({ maxTokens }: ComparisonSettings): number => maxTokens * METHODS.greedy.cost(1);

/** Milliseconds' worth of all steps, roughly. */
export function workOf(settings: ComparisonSettings): number {
  const { methods, levels, samples, prompts, maxTokens, tau, tuneWindows, checkWindows } = settings;
  let sum = (tuneWindows + checkWindows) * cleanWork(settings);
  for (const dynamics of remembering) sum += rememberingWork(settings, tickCost(dynamics, tau));
  for (const name of methods) {
    const { cost, dynamics } = METHODS[name];
    const windows = dynamics === undefined ? 0 : levels.length * (tuneWindows + checkWindows);
    const texts = levelsOf(name, settings).length * prompts.length * (name === "greedy" ? 1 : samples);
    sum += maxTokens * cost(tau) * (windows + texts);
  }
  return sum;
}

/** Of the ticks that memory is measured over. */
export function rememberingWork({ tau }: ComparisonSettings, tick: number): number {
  return (rememberedTicks(tau).at(-1) as number) * tick;
}
