// A search, generation after generation: members are made, read and judged; the strategy says how the centre goes on; the log has it before the codes do.

import { performance } from "node:perf_hooks";
import { engineNamed } from "../engine/index.js";
import { BrownianError, checkInteger, checkText } from "../errors.js";
import { type FileIdentity, identity } from "../files/identity.js";
import { checkOutput, type ModelFile, readModel } from "../files/index.js";
import { windows } from "../llama/read.js";
import { CLEAN, Session } from "../llama/session.js";
import { checkOptions } from "../options.js";
import { type Ascent, EvolvingCodes, TICKS } from "./codes.js";
import type { Crew, MemberReading, MemberWork } from "./crew/crew.js";
import { type CheckedCrew, checkCrew, type Loading, openCrew } from "./crew/open.js";
import { parallelFor, readMember } from "./crew/reading.js";
import { EVOLUTION, type LogGeneration, readLog } from "./log.js";
import { checkBase, LogFile } from "./log-file.js";
import { Leash, type Measured, measure } from "./measure.js";
import { checkSearch, type EvolveOptions, type Search } from "./options.js";
import { isLikelihood, JUDGES, Judged, LIKELIHOODS, Likelihood, type Reward } from "./rewards.js";
import { noiseFor } from "./search-noise.js";
import { whyStood } from "./shaping.js";
import { batchOf, type Question, shuffled } from "./task.js";

/** Tokens of a question with its answer. */
const CONTEXT = 256;
const MOST_TICK = 2 ** 32;
/** Tokens of a window of the text that is not the task's. */
const WINDOW = 128;

/** What a search came to. */
export interface Evolved {
  /** Generations that there are now, those of earlier runs of the same log among them. */
  readonly generations: number;
  /** Why it ended: all generations were done, the time was over, or it became no better. */
  readonly stopped: "generations" | "minutes" | "patience";
  /** Of the base. */
  readonly before: Measured;
  /** Of the model that was made. */
  readonly after: Measured;
  /** Generations that this model has had: fewer than `generations` where the best was gone back to. */
  readonly taken: number;
  /** Codes that differ from the base's, of so many weights that could move. */
  readonly changed: number;
  readonly weights: number;
  /** How many times the questions of a generation were read (or answered) in this run, and its seconds. */
  readonly evaluations: number;
  readonly seconds: number;
  readonly history: readonly LogGeneration[];
}

/**
 * Lets the codes of a quantized model evolve by reward alone: members around the centre (the model moved by matched noise, and its mirror images) are
 * judged by a task, and the centre goes along their moves by what they got. docs/theory/evolve.md has the formulas. No float copy of the model is
 * made; the model file is never written.
 *
 * @throws BrownianError usage (options, tasks, a log of another model or search), not-live where the engine does not see a tensor move, reward-failed;
 * as loadModel; the signal's reason when aborted. A log that was kept has all generations but the one that was under way.
 * @example
 * const task = [{ prompt: "The king of France was", answers: ["old"] }, { prompt: "The queen was", answers: ["old"] }];
 * const { before, after } = await evolve("model.gguf", { task, validation: 0.5, generations: 10, output: "old.gguf" });
 */
export async function evolve(path: string, options: EvolveOptions): Promise<Evolved> {
  checkText("path", path);
  const search = checkSearch(options);
  const crew = checkCrew(options);
  if (options.output !== undefined) await checkOutput(options.output, path); // before an hour of work, not after
  const { signal, scratch, chatTemplate } = options;
  const threads = crew?.threads ?? options.threads;
  const kind = engineNamed();
  const loading = {
    signal,
    threads,
    scratch,
    chatTemplate,
    contextSize: options.contextSize ?? contextOf(await readModel(path)),
    parallel: kind.ownsContext ? parallelFor(search.batch) : 1,
    repack: kind.choosesRepacking ? "off" : "auto",
  } as const;
  const session = await Session.open(path, loading, { oneCache: true });
  try {
    const base = await identity(path);
    const places = { livePath: session.bath.livePath, scratch };
    const { moves } = search.head(base);
    const codes = await EvolvingCodes.open(session.bath.model, noiseFor(moves), places, moves);
    try {
      await refuseUnseen(session, codes, signal);
      return await new Run(session, codes, search, options).all(base, { path, ...loading }, crew);
    } finally {
      await codes.close();
    }
  } finally {
    await session.dispose();
  }
}

/** A context of its own for each of many texts is to be small. */
function contextOf({ metadata, architecture }: ModelFile): number {
  const trained = metadata[`${architecture}.context_length`];
  return typeof trained === "number" ? Math.min(CONTEXT, trained) : CONTEXT;
}

/** @throws BrownianError not-live */
async function refuseUnseen(session: Session, codes: EvolvingCodes, signal: AbortSignal | undefined): Promise<void> {
  const { dead } = await session.alone(() => session.probe(signal, false));
  const unseen = dead.filter(({ tensors }) => tensors.some(({ name }) => codes.tensors.some((tensor) => tensor.name === name)));
  await session.alone(() => session.prepare(CLEAN, { signal }));
  if (unseen.length === 0) return;
  throw new BrownianError(
    "not-live",
    `The engine does not see writes to ${unseen.map(({ name }) => name).join(", ")} of ${session.path}: leave those alone with only, or take a model of other types.`,
  );
}

class Run implements Crew {
  private readonly reward: Reward;
  private readonly history: LogGeneration[] = [];
  private readonly begun = performance.now();
  private leash: Leash | undefined;
  private crew: Crew = this;
  private evaluations = 0;

  constructor(
    private readonly session: Session,
    private readonly codes: EvolvingCodes,
    private readonly search: Search,
    private readonly options: EvolveOptions,
  ) {
    const { reward, maxTokens, split } = search;
    if (isLikelihood(reward)) {
      const likelihood = new Likelihood(session, LIKELIHOODS[reward]);
      likelihood.check([...split.train, ...split.validation]);
      this.reward = likelihood;
    } else this.reward = new Judged(session, typeof reward === "function" ? reward : JUDGES[reward], maxTokens);
  }

  async all(base: FileIdentity, loading: Loading, crew: CheckedCrew | undefined): Promise<Evolved> {
    const { codes, search, options, session } = this;
    const opened = options.log === undefined ? undefined : await LogFile.open(EVOLUTION, options.log, search.head(base));
    try {
      const length = Math.min(WINDOW, session.contextSize - 1);
      const { text } = options;
      const other = text === undefined ? [] : windows(session, text, { length, maxTokens: search.textTokens });
      const first = (search.split.train[0] as Question).prompt;
      if (crew !== undefined)
        this.crew = await openCrew(session, { search, base, windows: other, first }, loading, crew, options);
      if (other.length > 0) this.leash = await Leash.of(session, other);
      const before = await this.measured();
      for (const generation of opened?.before ?? []) await this.goneThrough(generation);
      const stopped = await this.generations(opened?.file);
      await this.last(opened?.file);
      const taken = stopped === "patience" ? await this.backToBest() : this.history.length;
      await this.beCentre();
      const after = taken === 0 ? before : await this.measured();
      if (options.output !== undefined) await codes.save(options.output);
      return {
        generations: this.history.length,
        stopped,
        before,
        after,
        taken,
        changed: await codes.difference(),
        weights: codes.weights,
        evaluations: this.evaluations,
        seconds: (performance.now() - this.begun) / 1000,
        history: this.history,
      };
    } finally {
      if (this.crew !== this) await this.crew.close();
      await opened?.file.close();
    }
  }

  /** A generation of an earlier run: the codes go on by it, and the strategy is told of it again. */
  private async goneThrough(generation: LogGeneration): Promise<void> {
    await this.codes.ascend(generation);
    this.crew.went(ascentOf(generation));
    this.history.push(generation);
    const rewards = generation.rewards.map((r) => r ?? Number.NaN);
    if (rewards.length > 0) this.told(rewards, generation.generation);
  }

  /** What a strategy adds at the end has been added. */
  private get isOver(): boolean {
    return this.history.at(-1)?.rewards.length === 0;
  }

  private async generations(log: LogFile<LogGeneration> | undefined): Promise<Evolved["stopped"]> {
    const { search } = this;
    if (this.isOver) return "generations";
    for (let number = this.history.length; number < search.generations; number++) {
      if (this.isPatienceOver()) return "patience";
      if (performance.now() - this.begun > 60_000 * search.maxMinutes) return "minutes";
      const generation = await this.generation(number);
      await this.keep(generation, log);
    }
    return this.isPatienceOver() ? "patience" : "generations";
  }

  private async keep(generation: LogGeneration, log: LogFile<LogGeneration> | undefined): Promise<void> {
    await log?.add(generation);
    this.crew.went(ascentOf(generation));
    this.history.push(generation);
    this.options.onGeneration?.(generation);
  }

  private async generation(number: number): Promise<LogGeneration> {
    const { search, codes, options } = this;
    const { strategy, split, seed } = search;
    const start = performance.now();
    const tick = tickOf(search, number);
    const questions = batchOf(split.train, search.batch, seed, search.sameBatch ? 0 : number);
    const work = strategy.members.map((member): MemberWork => ({ generation: number, tick, member, questions }));
    const rewards: number[] = [];
    for (const reading of await this.crew.read(work, options.signal)) rewards.push(await this.rewardOf(questions, reading));
    const { weights, stood } = this.told(rewards, number);
    const ascent: Ascent = { tick, weights, decay: stood === undefined ? search.decay : 0 };
    const changed = await codes.ascend(ascent);
    const looks = (number + 1) % search.validateEvery === 0 && number + 1 < search.generations;
    if (looks) await this.beCentre();
    return {
      generation: number,
      ...ascent,
      rewards: rewards.map((r) => (Number.isFinite(r) ? r : null)),
      changed,
      stood,
      measured: looks ? await this.measured() : undefined,
      seconds: Number(((performance.now() - start) / 1000).toFixed(3)),
    };
  }

  private async rewardOf(questions: readonly Question[], { answers, kl }: MemberReading): Promise<number> {
    this.evaluations++;
    if (answers === null) return Number.NaN;
    const rewards = await this.reward.worth(questions, answers, this.options.signal);
    const mean = rewards.reduce((sum, r) => sum + r, 0) / rewards.length;
    return kl === undefined ? mean : mean - this.search.kl * (kl ?? Number.NaN);
  }

  /** A crew of one: the members one after the other, here. */
  async read(work: readonly MemberWork[], signal?: AbortSignal): Promise<readonly MemberReading[]> {
    const { session, codes, reward } = this;
    const leash = this.search.kl > 0 ? this.leash : undefined;
    const readings: MemberReading[] = [];
    for (const one of work) readings.push(await readMember({ session, codes, reward, leash }, one, signal));
    return readings;
  }

  /** Its codes have gone on by themselves. */
  went(): void {}

  async close(): Promise<void> {}

  /** How much of the move of each draw and its mirror image is added; why nothing is. */
  private told(rewards: readonly number[], number: number): { weights: number[]; stood?: string } {
    const { strategy, seed } = this.search;
    const weights = new Array<number>(TICKS * strategy.draws).fill(0);
    const stood = whyStood(rewards, "member");
    if (stood !== undefined) return { weights, stood };
    const order = this.search.shuffled ? shuffled(rewards.length, seed, "evolve shuffled", number) : undefined;
    const given = order === undefined ? rewards : order.map((i) => rewards[i] as number);
    for (const [i, weight] of strategy.tell(given, number).entries()) {
      const { draw, sign } = strategy.members[i] as (typeof strategy.members)[number];
      const at = TICKS * draw + (sign < 0 ? 1 : 0);
      weights[at] = (weights[at] as number) + weight;
    }
    return { weights };
  }

  /** What a strategy adds when all is done. */
  private async last(log: LogFile<LogGeneration> | undefined): Promise<void> {
    const { search, codes } = this;
    const last = this.isOver ? undefined : search.strategy.last?.();
    if (last === undefined) return;
    const weights = last.weights.flatMap((weight) => [weight, 0]);
    const ascent: Ascent = { tick: tickOf(search, last.generation), weights, decay: 0 };
    const changed = await codes.ascend(ascent);
    await this.keep({ generation: this.history.length, ...ascent, rewards: [], changed }, log);
  }

  private isPatienceOver(): boolean {
    const looks = this.history.flatMap(({ measured }) => measured?.reward ?? []);
    const best = looks.indexOf(Math.max(...looks));
    return looks.length > 0 && looks.length - 1 - best >= this.search.patience;
  }

  /** The centre as it was when it judged best: made again from the base. */
  private async backToBest(): Promise<number> {
    const looks = this.history.flatMap(({ measured, generation }) => (measured ? [{ reward: measured.reward, generation }] : []));
    const best = looks.reduce((a, b) => (b.reward > a.reward ? b : a));
    await this.codes.restart();
    for (const generation of this.history.slice(0, best.generation + 1)) await this.codes.ascend(generation);
    return best.generation + 1;
  }

  private beCentre(): Promise<void> {
    return this.session.alone(() => this.codes.be(0, { draw: 0, sign: 0 }));
  }

  private measured(): Promise<Measured> {
    const { validation, train } = this.search.split;
    return measure(validation.length > 0 ? validation : train, this.reward, this.leash, this.options.signal);
  }
}

const ascentOf = ({ tick, weights, decay }: Ascent): Ascent => ({ tick, weights, decay });

/** @throws BrownianError usage where there are more draws than ticks */
function tickOf({ strategy }: Search, generation: number): number {
  const tick = generation * TICKS * strategy.draws;
  if (tick + TICKS * strategy.draws <= MOST_TICK) return tick;
  throw new BrownianError(
    "usage",
    "There are more draws in this search than a seed has: take fewer generations, or fewer members.",
  );
}

/** How {@link replay} makes a model again. */
export interface ReplayOptions {
  /** How many generations to take; default all. */
  readonly generations?: number | undefined;
  /** Folder of the copy that is moved. */
  readonly scratch?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Makes the model of a log again, bit for bit, from the base that it began with; no engine is needed. Resolves to the generations taken.
 *
 * @throws BrownianError usage where the log is no log, or another base's; as perturbFile
 * @example
 * await replay("model.gguf", "run.jsonl", "again.gguf", { generations: 10 });
 */
export async function replay(path: string, log: string, output: string, options: ReplayOptions = {}): Promise<number> {
  const { generations, signal, scratch } = checkOptions("replay", options, { generations: true, scratch: true, signal: true });
  if (generations !== undefined) checkInteger("generations", generations, 0);
  checkText("output", output);
  const read = await readLog(log);
  checkBase(read, await identity(path), log);
  const codes = await EvolvingCodes.open(await readModel(path), noiseFor(read.head.moves), { scratch }, read.head.moves);
  try {
    const taken = read.generations.slice(0, generations);
    for (const generation of taken) {
      signal?.throwIfAborted();
      await codes.ascend(generation);
    }
    await codes.save(output);
    return taken.length;
  } finally {
    await codes.close();
  }
}
