// What a search in adapters is told, checked once where it enters. An option that could do nothing, since others read than it is for, is an error: its
// search would be another than the one that was asked for.

import { ADAPTER_FORMATS, type AdapterFormatName } from "../adapters/index.js";
import { BrownianError, checkChoice, checkFunction, checkInteger, checkNumber, checkText } from "../errors.js";
import type { FileIdentity } from "../files/identity.js";
import { type Seed, seed64 } from "../noise/index.js";
import { checkOptions, type Names } from "../options.js";
import type { AdapterGeneration, AdapterLogHead, Directions } from "./adapter-log.js";
import { adapterHead } from "./adapter-log.js";
import type { EvolveOptions } from "./options.js";
import { isLikelihood, type Judge, REWARDS, type RewardName } from "./rewards.js";
import { checkQuestions, checkSplit, digest, digestOfText, type Split, splitTask } from "./task.js";

/** How `evolveAdapter` searches. */
export interface EvolveAdapterOptions
  extends Pick<
    EvolveOptions,
    | "task"
    | "validation"
    | "reward"
    | "rewardName"
    | "maxTokens"
    | "generations"
    | "batch"
    | "only"
    | "text"
    | "textTokens"
    | "kl"
    | "maxMinutes"
    | "contextSize"
    | "threads"
    | "scratch"
    | "chatTemplate"
    | "signal"
    | "log"
  > {
  /** Equal seeds give equal directions and, with equal rewards, equal searches; default 0. */
  readonly seed?: Seed | undefined;
  /** Directions: members 0 to K - 1 of the seed; default 16, or those of `adapters`. */
  readonly directions?: number | undefined;
  /** Of each direction on a matrix; default 1. The adapter that comes out has `directions` times that. */
  readonly rank?: number | undefined;
  /** Candidates a generation, at least 4; default 4 + 3 ln K. */
  readonly population?: number | undefined;
  /** Noise on a weight of the first candidates, in RMS of each tensor, above 0; default 0.05. */
  readonly sigma?: number | undefined;
  /** Addresses of llama-servers that were started with the directions of `adapters`; default: our own engine reads. */
  readonly endpoints?: readonly string[] | undefined;
  /** The folder of directions that `brownian adapter` wrote from this model (GGUF): for endpoints. */
  readonly adapters?: string | undefined;
  /** The same folder as the servers see it; default: `adapters`. */
  readonly membersPath?: string | undefined;
  readonly apiKey?: string | undefined;
  /** Requests to one server at a time; default 4. */
  readonly concurrency?: number | undefined;
  /** Seconds that one request may take; default 120. */
  readonly deadline?: number | undefined;
  /** Where the adapter goes: a file ("gguf") or a folder ("peft"); default: nowhere. */
  readonly output?: string | undefined;
  /** What it is written in; default "gguf". */
  readonly format?: AdapterFormatName | undefined;
  /** Called after every generation. */
  readonly onGeneration?: ((generation: AdapterGeneration) => void) | undefined;
}

const NAMES: Names<EvolveAdapterOptions> = {
  task: true,
  validation: true,
  reward: true,
  rewardName: true,
  maxTokens: true,
  generations: true,
  batch: true,
  only: true,
  text: true,
  textTokens: true,
  kl: true,
  maxMinutes: true,
  contextSize: true,
  threads: true,
  scratch: true,
  chatTemplate: true,
  signal: true,
  log: true,
  seed: true,
  directions: true,
  rank: true,
  population: true,
  sigma: true,
  endpoints: true,
  adapters: true,
  membersPath: true,
  apiKey: true,
  concurrency: true,
  deadline: true,
  output: true,
  format: true,
  onGeneration: true,
};

/** Tokens of the text that are read. */
const TEXT_TOKENS = 256;

/** Which options are for our own engine alone, and which for servers alone. */
const OWN = ["threads", "scratch", "contextSize", "chatTemplate", "text", "textTokens"] as const;
const SERVED = ["membersPath", "apiKey", "concurrency", "deadline"] as const;

/** What was asked for, checked. */
export interface Asked {
  readonly split: Split;
  readonly reward: RewardName | Judge;
  readonly kl: number;
  readonly textTokens: number;
  readonly batch: number;
  readonly generations: number;
  readonly sigma: number;
  readonly seed: bigint;
  readonly maxTokens: number;
  readonly minutes: number;
  /** What its log begins with. */
  head(base: FileIdentity, directions: Directions, population: number): AdapterLogHead;
}

/** @throws BrownianError usage */
export function checkAsked(options: EvolveAdapterOptions): Asked {
  const { task, reward = "likelihood", text, chatTemplate, onGeneration } = checkOptions("evolveAdapter", options, NAMES);
  const seed = seed64(options.seed ?? 0);
  for (const name of ["rewardName", "text", "chatTemplate", "log", "output"] as const)
    if (options[name] !== undefined) checkText(name, options[name]);
  if (typeof reward !== "function") checkChoice("reward", reward, REWARDS);
  if (onGeneration !== undefined) checkFunction("onGeneration", onGeneration);
  checkChoice("format", options.format ?? "gguf", Object.keys(ADAPTER_FORMATS) as AdapterFormatName[]);
  const kl = checkNumber("kl", options.kl ?? 0, 0);
  checkActing(options, reward, kl);
  const split = Array.isArray(task)
    ? splitTask(checkQuestions(task), options.validation ?? 0.25, seed)
    : checkSplit(task as Split);
  const checked = {
    batch: checkInteger("batch", options.batch ?? 8, 1),
    generations: checkInteger("generations", options.generations ?? 20, 1, 1e6),
    sigma: checkNumber("sigma", options.sigma ?? 0.05, Number.MIN_VALUE),
    maxTokens: checkInteger("maxTokens", options.maxTokens ?? 32, 1),
    minutes: checkNumber("maxMinutes", options.maxMinutes ?? Number.MAX_VALUE, 0),
    textTokens: checkInteger("textTokens", options.textTokens ?? TEXT_TOKENS, 1),
  };
  const { batch, sigma, maxTokens, textTokens } = checked;
  // What a search may be told otherwise when it goes on is not in here: how long it lasts, and who reads.
  const settings = {
    search: "adapter",
    seed: String(seed),
    reward: typeof reward === "function" ? (options.rewardName ?? "function") : reward,
    sigma,
    batch,
    kl,
    text: kl > 0 ? `${digestOfText(text as string)} ${textTokens}` : null,
    chatTemplate: chatTemplate === undefined ? undefined : digestOfText(chatTemplate),
    maxTokens,
    train: split.train.length,
    validation: split.validation.length,
    task: digest(split),
  };
  const head = (base: FileIdentity, directions: Directions, population: number) =>
    adapterHead(base, directions, { ...settings, population });
  return { ...checked, split, reward, kl, seed, head };
}

/** @throws BrownianError usage where an option has nothing to act on */
function checkActing(options: EvolveAdapterOptions, reward: RewardName | Judge, kl: number): void {
  const { endpoints, adapters, text } = options;
  if ((endpoints === undefined) !== (adapters === undefined))
    throw new BrownianError("usage", "endpoints and adapters go together: servers have the directions of a folder.");
  if (endpoints !== undefined && (isLikelihood(reward) || text !== undefined || kl > 0))
    throw new BrownianError(
      "usage",
      "Servers write texts, and tell neither the likelihood of an answer nor KL: give another reward (right, a function), and neither text nor kl.",
    );
  if (kl > 0 && text === undefined) throw new BrownianError("usage", "kl needs a text to be measured on: give text.");
  const idle = endpoints === undefined ? SERVED : OWN;
  const why = endpoints === undefined ? "without endpoints, where our own engine reads" : "with endpoints, where servers read";
  refuseIdle(idle, options, why);
  if (text === undefined) refuseIdle(["textTokens"], options, "without text");
  if (options.output === undefined) refuseIdle(["format"], options, "without output");
  if (typeof reward !== "function") refuseIdle(["rewardName"], options, "with a reward that has a name");
}

function refuseIdle(names: readonly (keyof EvolveAdapterOptions)[], options: EvolveAdapterOptions, why: string): void {
  const given = names.filter((name) => options[name] !== undefined);
  if (given.length > 0) throw new BrownianError("usage", `${given.join(", ")}: no effect ${why}; leave it out.`);
}
