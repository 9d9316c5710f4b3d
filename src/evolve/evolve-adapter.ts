// A search in adapters: over the scales of a fixed dictionary of low-rank directions, by rewards alone (sep-cma.ts). For engines that no write of
// codes reaches; what comes out is one adapter that any server loads.

import { performance } from "node:perf_hooks";
import { ADAPTER_FORMATS, type AdapterFormatName, type AdapterManifest, readManifest } from "../adapters/index.js";
import { Members } from "../adapters/members.js";
import { Mixture, writeMixture } from "../adapters/mixture.js";
import { BrownianError, checkChoice, checkFunction, checkInteger, checkNumber, checkText } from "../errors.js";
import { identity } from "../files/identity.js";
import { checkOutput, type ModelFile, readModel } from "../files/index.js";
import { windows } from "../llama/read.js";
import { Session } from "../llama/session.js";
import { type Seed, seed64 } from "../noise/index.js";
import { checkOptions, type Names } from "../options.js";
import { noiseOf } from "../thermostat/noise.js";
import { parallelFor } from "./crew/reading.js";
import { OwnReader, type Reader, type Scales, ServedReader } from "./directions.js";
import { Leash, type Measured, measure } from "./measure.js";
import type { EvolveOptions } from "./options.js";
import { isLikelihood, JUDGES, type Judge, Judged, LIKELIHOODS, Likelihood, marksOf, REWARDS, type Reward } from "./rewards.js";
import { SepCma } from "./sep-cma.js";
import { batchOf, checkQuestions, checkSplit, type Question, type Split, splitTask } from "./task.js";

/** How {@link evolveAdapter} searches. */
export interface EvolveAdapterOptions
  extends Pick<
    EvolveOptions,
    | "task"
    | "validation"
    | "reward"
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

/** What a generation came to. */
export interface AdapterGeneration {
  /** From 0. */
  readonly generation: number;
  /** Of the candidates in turn; null for what was no number. */
  readonly rewards: readonly (number | null)[];
  /** Root of the sum of the squared scales of the mean: its noise on a weight, in RMS. */
  readonly noise: number;
}

/** What a search came to. */
export interface EvolvedAdapter {
  readonly before: Measured;
  /** Of the mixture that was made. */
  readonly after: Measured;
  /** Of each direction, in RMS of each tensor. */
  readonly scales: readonly number[];
  /** How many times a generation's questions were asked. */
  readonly evaluations: number;
  readonly seconds: number;
  readonly history: readonly AdapterGeneration[];
}

/** Tokens of context, of a window of the text, of it in all. */
const CONTEXT = 256;
const WINDOW = 128;
const TEXT_TOKENS = 256;

/** What was asked for, checked. */
interface Asked {
  readonly split: Split;
  readonly reward: NonNullable<EvolveOptions["reward"]>;
  readonly kl: number;
  readonly batch: number;
  readonly generations: number;
  readonly sigma: number;
  readonly seed: bigint;
  readonly maxTokens: number;
  readonly minutes: number;
}

function checkAsked(options: EvolveAdapterOptions): Asked {
  const { task, reward = "likelihood", endpoints, onGeneration } = checkOptions("evolveAdapter", options, NAMES);
  const seed = seed64(options.seed ?? 0);
  const kl = checkNumber("kl", options.kl ?? 0, 0);
  if (kl > 0 && options.text === undefined) throw new BrownianError("usage", "kl needs a text to be measured on: give text.");
  if (typeof reward !== "function") checkChoice("reward", reward, REWARDS);
  if (onGeneration !== undefined) checkFunction("onGeneration", onGeneration);
  checkChoice("format", options.format ?? "gguf", Object.keys(ADAPTER_FORMATS) as AdapterFormatName[]);
  if ((endpoints === undefined) !== (options.adapters === undefined))
    throw new BrownianError("usage", "endpoints and adapters go together: servers have the directions of a folder.");
  if (endpoints !== undefined && (isLikelihood(reward) || options.text !== undefined))
    throw new BrownianError(
      "usage",
      "Servers write texts, and tell neither the likelihood of an answer nor KL: give another reward (right, a function), and no text.",
    );
  const split = Array.isArray(task)
    ? splitTask(checkQuestions(task), options.validation ?? 0.25, seed)
    : checkSplit(task as Split);
  return {
    split,
    reward,
    kl,
    seed,
    batch: checkInteger("batch", options.batch ?? 8, 1),
    generations: checkInteger("generations", options.generations ?? 20, 1, 1e6),
    sigma: checkNumber("sigma", options.sigma ?? 0.05, Number.MIN_VALUE),
    maxTokens: checkInteger("maxTokens", options.maxTokens ?? 32, 1),
    minutes: checkNumber("maxMinutes", options.maxMinutes ?? Number.MAX_VALUE, 0),
  };
}

/**
 * Searches for an adapter by reward alone: a mixture of K low-rank directions, whose scales a separable CMA-ES sets. Weights are never written, so it
 * works where codes cannot: on llama-servers (a scale for each direction with each request), and with rearranged weights on our own engine.
 *
 * @param path the model; with endpoints, the file that they serve
 * @throws BrownianError usage (options, tasks, directions of another model), endpoint-failed, reward-failed; as loadModel; the signal's reason
 * @example
 * const task = [{ prompt: "The king of France was", answers: ["old"] }, { prompt: "The queen was", answers: ["old"] }];
 * const { after } = await evolveAdapter("model.gguf", { task, validation: 0.5, directions: 8, output: "old.gguf" });
 */
export async function evolveAdapter(path: string, options: EvolveAdapterOptions): Promise<EvolvedAdapter> {
  checkText("path", path);
  const asked = checkAsked(options);
  const { output, endpoints, adapters, format = "gguf" } = options;
  if (output !== undefined) await checkOutput(output, path);
  const model = await readModel(path);
  const manifest = adapters === undefined ? undefined : await manifestOf(adapters, path);
  const { members, count } = await directionsOf(model, asked, options, manifest);
  const search = () => new Search(asked, options, members, count);
  const done =
    endpoints === undefined || manifest === undefined
      ? await search().onOwnEngine(path, model)
      : await search().onServers(await servedBy(manifest, endpoints, asked, options));
  if (output !== undefined) await writeMixture(output, format, new Mixture(members, done.scales));
  return done;
}

function servedBy(manifest: AdapterManifest, endpoints: readonly string[], asked: Asked, options: EvolveAdapterOptions) {
  const asking = {
    endpoints,
    folder: options.membersPath ?? (options.adapters as string),
    apiKey: options.apiKey,
    concurrency: checkInteger("concurrency", options.concurrency ?? 4, 1, 1024),
    deadline: checkNumber("deadline", options.deadline ?? 120, 0.01, 86_400),
    maxTokens: asked.maxTokens,
  };
  return ServedReader.open(manifest, asking, options.signal);
}

/** @throws BrownianError usage where the folder's directions are of another model, or not what a request can scale */
async function manifestOf(folder: string, path: string): Promise<AdapterManifest> {
  const manifest = await readManifest(folder);
  const { sha256, file } = await identity(path);
  if (manifest.model.sha256 !== sha256)
    throw new BrownianError(
      "usage",
      `The directions of ${folder} are of ${manifest.model.file}, another model than ${file}: write some of this one.`,
    );
  if (manifest.scale !== "rms")
    throw new BrownianError("usage", `The directions of ${folder} go by the scale ${manifest.scale}, not by rms: write others.`);
  const numbers = manifest.members.filter((one) => one.format === "gguf").map(({ member }) => member);
  if (numbers.length > 0 && numbers.every((member, k) => member === k)) return manifest;
  throw new BrownianError("usage", `${folder} has no GGUF adapters 0, 1, ...: write them with brownian adapter.`);
}

async function directionsOf(
  model: ModelFile,
  { seed }: Asked,
  options: EvolveAdapterOptions,
  manifest: AdapterManifest | undefined,
) {
  const common = { sigma: 1, carrier: "adapter", skipUnsupported: true } as const;
  if (manifest === undefined) {
    const count = checkInteger("directions", options.directions ?? 16, 1, 1024);
    const rank = checkInteger("rank", options.rank ?? 1, 1, 1024);
    return { members: await Members.open(model, noiseOf({ ...common, seed, rank, only: options.only })), count };
  }
  const told = Object.entries({ directions: options.directions, rank: options.rank, only: options.only });
  const twice = told.find(([, value]) => value !== undefined);
  if (twice !== undefined) throw new BrownianError("usage", `${twice[0]} is what the folder of directions has: leave it out.`);
  const only = manifest.tensors.map(({ name }) => name);
  const members = await Members.open(model, noiseOf({ ...common, seed: BigInt(manifest.seed), rank: manifest.rank, only }));
  return { members, count: manifest.members.filter(({ format }) => format === "gguf").length };
}

class Search {
  private readonly cma: SepCma;
  private readonly history: AdapterGeneration[] = [];
  private readonly begun = performance.now();
  private evaluations = 0;

  constructor(
    private readonly asked: Asked,
    private readonly options: EvolveAdapterOptions,
    private readonly members: Members,
    count: number,
  ) {
    const population = checkInteger("population", options.population ?? SepCma.populationOf(count), 4, 65_536);
    // Noise of K independent scales adds up by squares.
    this.cma = new SepCma(count, asked.sigma / Math.sqrt(count), asked.seed, population);
  }

  async onOwnEngine(path: string, model: ModelFile): Promise<EvolvedAdapter> {
    const { asked, options } = this;
    const { signal, threads, scratch, chatTemplate } = options;
    const trained = model.metadata[`${model.architecture}.context_length`];
    const contextSize = options.contextSize ?? (typeof trained === "number" ? Math.min(CONTEXT, trained) : CONTEXT);
    const loading = { signal, threads, scratch, chatTemplate, contextSize, parallel: parallelFor(asked.batch) };
    const session = await Session.open(path, loading, { oneCache: true });
    try {
      const reward = rewardIn(session, asked);
      const reader = await OwnReader.open(session, this.members, this.cma.mean.length, reward, scratch);
      try {
        const leash = await this.leashOf(session);
        if (asked.kl > 0) reader.leash = leash;
        const before = await measure(this.judging, reward, leash, signal);
        await this.search(reader, reward);
        await reader.be(this.cma.mean);
        return this.done(before, await measure(this.judging, reward, leash, signal));
      } finally {
        await reader.close();
      }
    } finally {
      await session.dispose();
    }
  }

  async onServers(reader: ServedReader): Promise<EvolvedAdapter> {
    const { reward } = this.asked;
    const judge: Judge = typeof reward === "function" ? reward : JUDGES[reward as keyof typeof JUDGES];
    const { signal } = this.options;
    const worth: Reward["worth"] = (questions, said) => marksOf(judge, questions, said, signal);
    const at = (scales: Scales): Reward => {
      const said = async (questions: readonly Question[]) =>
        ((await reader.read([scales], questions, signal))[0] as { answers: readonly string[] }).answers;
      return { said, worth, of: async (questions) => worth(questions, await said(questions)) };
    };
    const zero = new Float64Array(this.cma.mean.length);
    const before = await measure(this.judging, at(zero), undefined, signal);
    await this.search(reader, at(zero));
    return this.done(before, await measure(this.judging, at(this.cma.mean), undefined, signal));
  }

  private get judging(): readonly Question[] {
    const { train, validation } = this.asked.split;
    return validation.length > 0 ? validation : train;
  }

  private async leashOf(session: Session): Promise<Leash | undefined> {
    const { text, textTokens = TEXT_TOKENS } = this.options;
    if (text === undefined) return undefined;
    const length = Math.min(WINDOW, session.contextSize - 1);
    return Leash.of(session, windows(session, text, { length, maxTokens: textTokens }));
  }

  private async search(reader: Reader, reward: Reward): Promise<void> {
    const { asked, cma, options } = this;
    for (let generation = 0; generation < asked.generations; generation++) {
      if (performance.now() - this.begun > 60_000 * asked.minutes) return;
      const questions = batchOf(asked.split.train, asked.batch, asked.seed, generation);
      const rewards: number[] = [];
      for (const { answers, kl } of await reader.read(cma.ask(), questions, options.signal)) {
        this.evaluations++;
        const each = answers === null ? [Number.NaN] : await reward.worth(questions, answers, options.signal);
        const mean = each.reduce((sum, r) => sum + r, 0) / each.length;
        rewards.push(kl === undefined ? mean : mean - asked.kl * (kl ?? Number.NaN));
      }
      // Equal rewards order nothing: the search stands, and draws others.
      if (rewards.every((r) => r === rewards[0])) cma.generation++;
      else cma.tell(rewards);
      const noise = Math.sqrt(cma.mean.reduce((sum, c) => sum + c * c, 0));
      const told = { generation, rewards: rewards.map((r) => (Number.isFinite(r) ? r : null)), noise };
      this.history.push(told);
      options.onGeneration?.(told);
    }
  }

  private done(before: Measured, after: Measured): EvolvedAdapter {
    const { evaluations, history } = this;
    const seconds = (performance.now() - this.begun) / 1000;
    return { before, after, scales: [...this.cma.mean], evaluations, seconds, history };
  }
}

function rewardIn(session: Session, { reward, maxTokens, split }: Asked): Reward {
  if (!isLikelihood(reward)) return new Judged(session, typeof reward === "function" ? reward : JUDGES[reward], maxTokens);
  const likelihood = new Likelihood(session, LIKELIHOODS[reward]);
  likelihood.check([...split.train, ...split.validation]);
  return likelihood;
}
