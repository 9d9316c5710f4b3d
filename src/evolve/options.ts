// What a search is told, checked once where it enters.

import { BrownianError, checkChoice, checkFunction, checkInteger, checkNumber, checkText, shown } from "../errors.js";
import type { FileIdentity } from "../files/identity.js";
import type { LoadOptions } from "../llama/index.js";
import { type Seed, seed64 } from "../noise/index.js";
import { checkOptions, type Names } from "../options.js";
import type { Scale } from "../thermostat/scales/index.js";
import { annealing } from "./annealing.js";
import { bestOf } from "./best-of.js";
import type { WorkerNews } from "./crew/crew.js";
import { evolutionStrategy } from "./evolution-strategy.js";
import { headOf, type LogGeneration, type LogHead } from "./log.js";
import { type Judge, REWARDS, type RewardName } from "./rewards.js";
import { SHAPINGS, type Shaping } from "./shaping.js";
import type { Strategy } from "./strategy.js";
import { checkQuestions, checkSplit, digest, digestOfText, type Question, type Split, splitTask } from "./task.js";

/** The searches that there are. */
export const SEARCHES = ["evolve", "anneal", "best"] as const;
/** One of {@link SEARCHES}: evolution strategies, Metropolis on the codes, or the best of as many draws. */
export type SearchName = (typeof SEARCHES)[number];

/** Of these, sigma is one number a tensor, and rests on no file. */
const SCALES = ["rms", "step", "absolute"] as const satisfies readonly Scale[];

/** How {@link evolve} searches. */
export interface EvolveOptions extends Pick<LoadOptions, "threads" | "scratch" | "chatTemplate" | "signal"> {
  /** Tokens of context of each question; default 256, or what the model was trained on. */
  readonly contextSize?: number | undefined;
  /** Questions, parted by chance; or two parts. */
  readonly task: readonly Question[] | Split;
  /** Share of the questions that judge and are not learned from, 0 to 0.99; default 0.25. */
  readonly validation?: number | undefined;
  /**
   * What an answer is worth: "likelihood" (default), mean ln p a token of the answer (and the end of the turn, in chats), nats;
   * "first", ln p of its first token; "right", 1 or 0 by what the model writes and how the question is matched; or a function of the user's own,
   * higher is better.
   */
  readonly reward?: RewardName | Judge | undefined;
  /** What a reward of the user's own is called in the log; a search that goes on must have the same. */
  readonly rewardName?: string | undefined;
  /** Tokens that the model writes for a reward that reads its text; default 32. */
  readonly maxTokens?: number | undefined;
  /** Default "evolve". */
  readonly search?: SearchName | undefined;
  /** Members a generation, at least 2; even where antithetic; default 16. Of "anneal" there is one. */
  readonly population?: number | undefined;
  /** Whether every draw comes together with its mirror image; default true. */
  readonly antithetic?: boolean | undefined;
  /** Standard deviation of members, in units of `scale`, above 0; default 0.02. */
  readonly sigma?: number | undefined;
  /** What sigma is relative to: "rms" (default), "step", or "absolute". */
  readonly scale?: Scale | undefined;
  /** Of the update rate/n sum z k; default 1. */
  readonly rate?: number | undefined;
  /** How rewards are brought on one scale; default "scores". */
  readonly shaping?: Shaping | undefined;
  /** Default 20. */
  readonly generations?: number | undefined;
  /** Questions a generation, the same for all members; default 8. Of "best", the same for all generations. */
  readonly batch?: number | undefined;
  /** Equal seeds give equal searches; default 0. */
  readonly seed?: Seed | undefined;
  /** Share of its distance from the base that each code goes back in a generation, 0 to 1; default 0. */
  readonly decay?: number | undefined;
  /**
   * What rounding leaves of an update is kept beside the codes (two bytes a weight, in memory) and added to the next, instead of rounding up or down by
   * chance; default false.
   */
  readonly accumulate?: boolean | undefined;
  /** Norms, biases and other float tensors evolve too, kept as float32 beside the file (four bytes a weight, in memory); default false. */
  readonly floats?: boolean | undefined;
  /** Temperatures of "anneal" at its beginning and end, in units of the reward; default 0.02 and 0.002. */
  readonly temperatures?: readonly [number, number] | undefined;
  /** Globs of names of tensors that move; default all that have codes, and with `floats` the others. */
  readonly only?: readonly string[] | undefined;
  /** A text that has nothing to do with the task, for KL and NLL; default none. */
  readonly text?: string | undefined;
  /** Tokens of it that are read; default 256. */
  readonly textTokens?: number | undefined;
  /** Nats of reward that a nat a token of KL(base || member) on the text costs; default 0. */
  readonly kl?: number | undefined;
  /** Generations from one look at the questions that judge to the next; default 5. */
  readonly validateEvery?: number | undefined;
  /** Looks without a better reward after which the search ends, and goes back to the best; default: none. */
  readonly patience?: number | undefined;
  /** The search ends after so many minutes; default: none. */
  readonly maxMinutes?: number | undefined;
  /** A control: rewards change places among the members by chance. What is learned then was not learned from rewards. */
  readonly shuffled?: boolean | undefined;
  /** File of the log; where there is one of the same search, the search goes on. Default: none is kept. */
  readonly log?: string | undefined;
  /** Where the model goes at the end; default: nowhere. */
  readonly output?: string | undefined;
  /**
   * Who reads members: so many child processes, or the workers of a Redis ("redis://host:6379": `brownian worker`). The model is the same, byte for byte,
   * whoever reads, and however many; they need the engine, release, instruction set and thread count of the search. Default: this process alone.
   */
  readonly workers?: number | string | undefined;
  /** The name of the queue on that Redis; default "evolve". */
  readonly queue?: string | undefined;
  /** Seconds without a sign of life after which a worker's member goes to another; default 30. */
  readonly stall?: number | undefined;
  /** Called as workers come, go, or are refused. */
  readonly onWorker?: ((news: WorkerNews) => void) | undefined;
  /** Called after every generation. */
  readonly onGeneration?: ((generation: LogGeneration) => void) | undefined;
}

/** A search as it was asked for, defaults filled in. */
export interface Search {
  readonly split: Split;
  readonly seed: bigint;
  readonly sigma: number;
  readonly scale: Scale;
  readonly only: readonly string[] | undefined;
  readonly generations: number;
  readonly batch: number;
  readonly decay: number;
  readonly kl: number;
  readonly textTokens: number;
  readonly validateEvery: number;
  readonly patience: number;
  readonly maxMinutes: number;
  readonly maxTokens: number;
  readonly shuffled: boolean;
  /** Whether all generations ask the same questions. */
  readonly sameBatch: boolean;
  readonly reward: RewardName | Judge;
  readonly strategy: Strategy;
  head(base: FileIdentity): LogHead;
}

const NAMES: Names<EvolveOptions> = {
  threads: true,
  scratch: true,
  chatTemplate: true,
  signal: true,
  contextSize: true,
  task: true,
  validation: true,
  reward: true,
  rewardName: true,
  maxTokens: true,
  search: true,
  population: true,
  antithetic: true,
  sigma: true,
  scale: true,
  rate: true,
  shaping: true,
  generations: true,
  batch: true,
  seed: true,
  decay: true,
  accumulate: true,
  floats: true,
  temperatures: true,
  only: true,
  text: true,
  textTokens: true,
  kl: true,
  validateEvery: true,
  patience: true,
  maxMinutes: true,
  shuffled: true,
  log: true,
  output: true,
  workers: true,
  queue: true,
  stall: true,
  onWorker: true,
  onGeneration: true,
};

/** @throws BrownianError usage */
export function checkSearch(options: EvolveOptions): Search {
  checkOptions("evolve", options, NAMES);
  for (const name of ["rewardName", "text", "chatTemplate", "log", "output"] as const)
    if (options[name] !== undefined) checkText(name, options[name]);
  if (options.onGeneration !== undefined) checkFunction("onGeneration", options.onGeneration);
  if (options.onWorker !== undefined) checkFunction("onWorker", options.onWorker);
  if (options.temperatures !== undefined && !Array.isArray(options.temperatures))
    throw new BrownianError("usage", `temperatures must be two numbers, but is ${shown(options.temperatures)}.`);
  if (options.floats && options.scale === "step")
    throw new BrownianError("usage", "floats have no step that sigma could be relative to: take another scale.");
  const seed = seed64(options.seed ?? 0);
  const name = checkChoice("search", options.search ?? "evolve", SEARCHES);
  const population = checkInteger("population", options.population ?? 16, 2, 65536);
  const antithetic = options.antithetic ?? true;
  if (name === "evolve" && antithetic && population % 2 !== 0)
    throw new BrownianError("usage", `population must be even, but is ${population}: members are pairs of mirror images.`);
  const generations = checkInteger("generations", options.generations ?? 20, 1, 1e6);
  const rate = checkNumber("rate", options.rate ?? 1, 0, 1e6);
  const shaping = checkChoice("shaping", options.shaping ?? "scores", Object.keys(SHAPINGS) as Shaping[]);
  const [hot, cold] = options.temperatures ?? [0.02, 0.002];
  checkNumber("The first of temperatures", hot, 0);
  checkNumber("The last of temperatures", cold, hot > 0 ? Number.MIN_VALUE : 0);
  const strategy = {
    evolve: () => evolutionStrategy(population, antithetic, rate, shaping),
    anneal: () => annealing(seed, generations, hot, cold),
    best: () => bestOf(population),
  }[name]();
  const reward = options.reward ?? "likelihood";
  if (typeof reward !== "function") checkChoice("reward", reward, REWARDS);
  const { task, text, chatTemplate } = options;
  const split = Array.isArray(task)
    ? splitTask(checkQuestions(task), options.validation ?? 0.25, seed)
    : checkSplit(task as Split);
  const kl = checkNumber("kl", options.kl ?? 0, 0);
  if (kl > 0 && text === undefined) throw new BrownianError("usage", "kl needs a text to be measured on: give text.");
  const checked = {
    sigma: checkNumber("sigma", options.sigma ?? 0.02, Number.MIN_VALUE),
    scale: checkChoice("scale", options.scale ?? "rms", SCALES),
    generations,
    batch: checkInteger("batch", options.batch ?? 8, 1),
    decay: Math.fround(checkNumber("decay", options.decay ?? 0, 0, 1)),
    kl,
    textTokens: checkInteger("textTokens", options.textTokens ?? 256, 1),
    validateEvery: checkInteger("validateEvery", options.validateEvery ?? 5, 1),
    patience: checkInteger("patience", options.patience ?? 1e6, 1),
    maxMinutes: checkNumber("maxMinutes", options.maxMinutes ?? Number.MAX_VALUE, 0),
    maxTokens: checkInteger("maxTokens", options.maxTokens ?? 32, 1),
    shuffled: options.shuffled ?? false,
  };
  const { sigma, scale } = checked;
  const moves = {
    sigma,
    scale,
    seed: String(seed),
    only: options.only ?? null,
    ...(options.accumulate ? { accumulate: true as const } : {}),
    ...(options.floats ? { floats: true as const } : {}),
  };
  // What a search may be told otherwise when it goes on is not in here: how long it lasts.
  const settings = {
    search: name,
    reward: typeof reward === "function" ? (options.rewardName ?? "function") : reward,
    population: name === "anneal" ? 1 : population,
    antithetic: name === "evolve" && antithetic,
    rate: name === "evolve" ? rate : null,
    shaping: name === "evolve" ? shaping : null,
    draws: name === "best" ? population * generations : null,
    temperatures: name === "anneal" ? [hot, cold, generations] : null,
    batch: checked.batch,
    decay: checked.decay,
    kl,
    text: kl > 0 ? `${digestOfText(text as string)} ${checked.textTokens}` : undefined,
    chatTemplate: chatTemplate === undefined ? undefined : digestOfText(chatTemplate),
    shuffled: checked.shuffled,
    maxTokens: checked.maxTokens,
    train: split.train.length,
    validation: split.validation.length,
    task: digest(split),
  };
  const head = (base: FileIdentity) => headOf(base, moves, settings);
  return { ...checked, split, seed, only: options.only, sameBatch: name === "best", reward, strategy, head };
}
