// A search in adapters: over the scales of a fixed dictionary of low-rank directions, by rewards alone (sep-cma.ts). For engines that no write of
// codes reaches; what comes out is one adapter that any server loads.

import { performance } from "node:perf_hooks";
import { ADAPTER_FORMATS, type AdapterFormatName, type AdapterManifest, readManifest } from "../adapters/index.js";
import { Members } from "../adapters/members.js";
import { Mixture, writeMixture } from "../adapters/mixture.js";
import { BrownianError, checkChoice, checkInteger, checkNumber, checkText } from "../errors.js";
import { identity } from "../files/identity.js";
import { checkOutput, type ModelFile, readModel } from "../files/index.js";
import { windows } from "../llama/read.js";
import { Session } from "../llama/session.js";
import { checkOptions } from "../options.js";
import { noiseOf } from "../thermostat/noise.js";
import { ADAPTER_SEARCH, type AdapterGeneration, type Directions, readAdapterLog } from "./adapter-log.js";
import { type Asked, checkAsked, type EvolveAdapterOptions } from "./adapter-options.js";
import { parallelFor } from "./crew/reading.js";
import { OwnReader, type Reader, type Scales, ServedReader } from "./directions.js";
import { checkBase, LogFile } from "./log-file.js";
import { Leash, type Measured, measure } from "./measure.js";
import { isLikelihood, JUDGES, type Judge, Judged, LIKELIHOODS, Likelihood, marksOf, type Reward } from "./rewards.js";
import { SepCma } from "./sep-cma.js";
import { whyStood } from "./shaping.js";
import { batchOf, type Question } from "./task.js";

/** What a search came to. */
export interface EvolvedAdapter {
  readonly before: Measured;
  /** Of the mixture that was made. */
  readonly after: Measured;
  /** Of each direction, in RMS of each tensor. */
  readonly scales: readonly number[];
  /** How many times a generation's questions were asked in this run, and its seconds. */
  readonly evaluations: number;
  readonly seconds: number;
  /** Generations of earlier runs of the same log among them. */
  readonly history: readonly AdapterGeneration[];
}

/** Tokens of context, and of a window of the text. */
const CONTEXT = 256;
const WINDOW = 128;

/**
 * Searches for an adapter by reward alone: a mixture of K low-rank directions, whose scales a separable CMA-ES sets. Weights are never written, so it
 * works where codes cannot: on llama-servers (a scale for each direction with each request), and with rearranged weights on our own engine.
 *
 * @param path the model; with endpoints, the file that they serve
 * @throws BrownianError usage (options, tasks, directions of another model, a log of another model or search), endpoint-failed, reward-failed; as
 * loadModel; the signal's reason. A log that was kept has all generations but the one that was under way.
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
  const directions = directionsOf(asked, options, manifest);
  const members = await membersOf(model, directions);
  const search = new Search(asked, options, members, directions.count);
  const log = await search.goOn(path, directions);
  try {
    const done =
      endpoints === undefined || manifest === undefined
        ? await search.onOwnEngine(path, model)
        : await search.onServers(await servedBy(manifest, endpoints, asked, options));
    if (output !== undefined) await writeMixture(output, format, new Mixture(members, done.scales));
    return done;
  } finally {
    await log?.close();
  }
}

/** How {@link replayAdapter} makes an adapter again. */
export interface ReplayAdapterOptions {
  /** What it is written in: a file ("gguf", default) or a folder ("peft"). */
  readonly format?: AdapterFormatName | undefined;
  /** As it was after so many generations; default all. */
  readonly generations?: number | undefined;
}

/**
 * Makes the adapter of a log again, bit for bit, from the model that it is of; no engine is needed. Resolves to the generations taken.
 *
 * @throws BrownianError usage where the log is no log, or another model's; file-not-found, file-access
 * @example
 * await replayAdapter("model.gguf", "run.jsonl", "again.gguf", { generations: 10 });
 */
export async function replayAdapter(
  path: string,
  log: string,
  output: string,
  options: ReplayAdapterOptions = {},
): Promise<number> {
  const { format = "gguf", generations } = checkOptions("replayAdapter", options, { format: true, generations: true });
  checkChoice("format", format, Object.keys(ADAPTER_FORMATS) as AdapterFormatName[]);
  if (generations !== undefined) checkInteger("generations", generations, 0);
  checkText("output", output);
  const read = await readAdapterLog(log);
  checkBase(read, await identity(path), log);
  await checkOutput(output, path);
  const { directions } = read.head;
  const taken = read.generations.slice(0, generations);
  const scales = taken.at(-1)?.scales ?? new Array<number>(directions.count).fill(0);
  await writeMixture(output, format, new Mixture(await membersOf(await readModel(path), directions), scales));
  return taken.length;
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

/** @throws BrownianError usage */
function directionsOf({ seed }: Asked, options: EvolveAdapterOptions, manifest: AdapterManifest | undefined): Directions {
  const { directions = 16, rank = 1, only } = options;
  if (manifest === undefined) {
    checkInteger("directions", directions, 1, 1024);
    return { seed: String(seed), count: directions, rank: checkInteger("rank", rank, 1, 1024), only: only ?? null };
  }
  const told = Object.entries({ directions: options.directions, rank: options.rank, only });
  const twice = told.find(([, value]) => value !== undefined);
  if (twice !== undefined) throw new BrownianError("usage", `${twice[0]} is what the folder of directions has: leave it out.`);
  const count = manifest.members.filter(({ format }) => format === "gguf").length;
  return { seed: manifest.seed, count, rank: manifest.rank, only: manifest.tensors.map(({ name }) => name) };
}

const membersOf = (model: ModelFile, { seed, rank, only }: Directions): Promise<Members> =>
  Members.open(
    model,
    noiseOf({ sigma: 1, carrier: "adapter", skipUnsupported: true, seed: BigInt(seed), rank, only: only ?? undefined }),
  );

class Search {
  private readonly cma: SepCma;
  private readonly history: AdapterGeneration[] = [];
  private readonly begun = performance.now();
  private log: LogFile<AdapterGeneration> | undefined;
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

  /** With its log, where it is to have one: what that has of an earlier run is gone through again. @throws BrownianError usage */
  async goOn(path: string, directions: Directions): Promise<LogFile<AdapterGeneration> | undefined> {
    const { log } = this.options;
    if (log === undefined) return undefined;
    const head = this.asked.head(await identity(path), directions, this.cma.population);
    const { file, before } = await LogFile.open(ADAPTER_SEARCH, log, head);
    this.log = file;
    for (const known of before) {
      this.cma.ask();
      const again = this.told(known.generation, known.rewards);
      if (again.scales.some((scale, k) => scale !== known.scales[k])) {
        await file.close();
        throw new BrownianError(
          "usage",
          `${log} goes on otherwise from generation ${known.generation} than this version does: make its adapter (--replay), and begin another log.`,
        );
      }
      this.history.push(known);
    }
    return file;
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
      const reader = OwnReader.open(session, this.members, reward, scratch);
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
    const { text } = this.options;
    if (text === undefined) return undefined;
    const length = Math.min(WINDOW, session.contextSize - 1);
    return Leash.of(session, windows(session, text, { length, maxTokens: this.asked.textTokens }));
  }

  private async search(reader: Reader, reward: Reward): Promise<void> {
    const { asked, cma, options, history } = this;
    for (let generation = history.length; generation < asked.generations; generation++) {
      if (performance.now() - this.begun > 60_000 * asked.minutes) return;
      const questions = batchOf(asked.split.train, asked.batch, asked.seed, generation);
      const rewards: number[] = [];
      for (const { answers, kl } of await reader.read(cma.ask(), questions, options.signal)) {
        this.evaluations++;
        const each = answers === null ? [Number.NaN] : await reward.worth(questions, answers, options.signal);
        const mean = each.reduce((sum, r) => sum + r, 0) / each.length;
        rewards.push(kl === undefined ? mean : mean - asked.kl * (kl ?? Number.NaN));
      }
      const told = this.told(generation, rewards);
      await this.log?.add(told);
      history.push(told);
      options.onGeneration?.(told);
    }
  }

  /** The search goes on by these rewards, of those that were asked for last. Where nothing follows from them it stands, and draws others. */
  private told(generation: number, rewards: readonly (number | null)[]): AdapterGeneration {
    const { cma } = this;
    const numbers = rewards.map((r) => r ?? Number.NaN);
    const stood = whyStood(numbers, "candidate");
    if (stood === undefined) cma.tell(numbers);
    else cma.generation++;
    const noise = Math.sqrt(cma.mean.reduce((sum, c) => sum + c * c, 0));
    const finite = numbers.map((r) => (Number.isFinite(r) ? r : null));
    return { generation, rewards: finite, ...(stood === undefined ? {} : { stood }), scales: [...cma.mean], noise };
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
