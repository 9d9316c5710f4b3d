// Audits a model: the clean reading first, then the whole model at every sigma, then every group alone, with noise that all of them bear together.

import { createHash } from "node:crypto";
import { setMaxListeners } from "node:events";
import type { Kept } from "../../engine/index.js";
import { BrownianError, checkInteger, checkNumber, checkRising, checkText, shown } from "../../errors.js";
import { identity } from "../../files/identity.js";
import { chooseTensors, readModel } from "../../files/index.js";
import { checkModel, type GenerateOptions, type Model } from "../../llama/model.js";
import { Noise, type Seed, seed64 } from "../../noise/index.js";
import { checkOptions, type Names } from "../../options.js";
import { interpolate, monotone } from "../../statistics/curves.js";
import { choices, estimate } from "../../statistics/intervals.js";
import { average } from "../../statistics/rates.js";
import { spearman } from "../../statistics/scores.js";
import { isRight } from "../../tasks/answers.js";
import type { Question } from "../../tasks/question.js";
import { checkTask, halfOf, type Task } from "../../tasks/task.js";
import { type Group, groupsOf, placeOf } from "./groups.js";
import type { Audit, AuditPoint, AuditSettings, Fragility, Hidden, Reading } from "./records.js";

/** How a model is audited; what is left out has a default. */
export interface AuditOptions {
  /** Tokens of the text to read; default 512, and no more than have 256 MB of logits. */
  readonly maxTokens?: number;
  /** Sigmas for the whole model, rising; default .01 to .32 by doubling. */
  readonly sigmas?: readonly number[];
  /** Draws of the weights at each; default 2. */
  readonly draws?: number;
  /** Noise on groups that are moved alone, in units of RMS; default: what costs 0.02 nats a token on average, by where the whole model breaks. */
  readonly sigma?: number;
  /** Draws of each group; default 1. With two, their rank correlation is told. */
  readonly seeds?: number;
  /** Every tensor by itself, instead of kind by kind in each layer. */
  readonly each?: boolean;
  /** Globs of tensor names; default all. */
  readonly only?: readonly string[];
  /** Nats a token from which on the model counts as broken; default 0.25. */
  readonly breakingNats?: number;
  /** Questions that are answered at every sigma, of the test half. */
  readonly task?: Task;
  /** How many of them at most; default 48. */
  readonly questions?: number;
  /** Tokens of an answer at most; default 16. */
  readonly answerTokens?: number;
  /** Default 0. */
  readonly seed?: Seed;
  /** Stops between two tokens; what was finished has been handed to `onFinished`. */
  readonly signal?: AbortSignal;
  /** What an interrupted audit with these settings had finished, by name. */
  readonly finished?: ReadonlyMap<string, unknown>;
  /** Called with every step that is finished, to be kept. */
  readonly onFinished?: (name: string, outcome: unknown) => Promise<void>;
  /** Called with readings of the text done and in all, roughly. */
  readonly onProgress?: (done: number, total: number) => void;
}

const NAMES: Names<AuditOptions> = {
  maxTokens: true,
  sigmas: true,
  draws: true,
  sigma: true,
  seeds: true,
  each: true,
  only: true,
  breakingNats: true,
  task: true,
  questions: true,
  answerTokens: true,
  seed: true,
  signal: true,
  finished: true,
  onFinished: true,
  onProgress: true,
};

const SIGMAS = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32];
const WINDOW = 128;
const MOST_KEPT = 2 ** 26;
/** What a group that is moved alone is to cost on average, nats a token: far above the floor, and far below what is no longer of second order. */
const ALONE = 0.02;
/** So small a noise changes hardly more than how the engine's own sums are rounded. */
const TINY = 1e-5;
const RESAMPLES = 2000;
const SOFTMAX = 0.5;

/** What decides the numbers of an audit; checked. @throws BrownianError usage */
export function auditSettings(model: Model, text: string, options: AuditOptions): AuditSettings {
  checkModel(model);
  checkText("text", text);
  const { most, ...numbers } = auditNumbers(options);
  const asked = Math.min(most, Math.floor(MOST_KEPT / model.vocabulary));
  const length = Math.min(WINDOW, model.windowLength, asked);
  const all = model.windows(text, { length, maxTokens: asked });
  return { length, windows: all.filter((window) => window.length === all[0]?.length).length, ...numbers };
}

/** The same without what the model decides: to be called before it is loaded. @throws BrownianError usage */
export function auditNumbers(options: AuditOptions): Omit<AuditSettings, "length" | "windows"> & { readonly most: number } {
  const { sigmas = SIGMAS, task } = checkOptions("audit", options, NAMES);
  if (!Array.isArray(sigmas)) throw new BrownianError("usage", `sigmas must be a list, but is ${shown(sigmas)}.`);
  if (task !== undefined) checkTask(task);
  checkRising("sigmas", sigmas);
  if (sigmas.length < 2) throw new BrownianError("usage", "sigmas must be at least two: a curve needs two ends.");
  const tested = task?.questions.flatMap((question, i) => (halfOf(question) === "test" ? [i] : [])) ?? [];
  return {
    most: checkInteger("maxTokens", options.maxTokens ?? 512, 2),
    sigmas,
    draws: checkInteger("draws", options.draws ?? 2, 1, 100),
    sigma: options.sigma === undefined ? null : checkNumber("sigma", options.sigma, 1e-6),
    seeds: checkInteger("seeds", options.seeds ?? 1, 1, 100),
    each: options.each ?? false,
    only: options.only ?? null,
    nats: checkNumber("breakingNats", options.breakingNats ?? 0.25, 0),
    questions: tested.slice(0, checkInteger("questions", options.questions ?? 48, 1)),
    maxTokens: checkInteger("answerTokens", options.answerTokens ?? 16, 1),
    seed: String(seed64(options.seed ?? 0)),
  };
}

/**
 * How a model answers to noise: KL(clean || moved), NLL, flips and, with a task, accuracy against sigma, with the sigma at which it breaks; and the
 * fragility of each group of tensors, moved alone: KL by sigma squared, nats a token, sigma in units of RMS. The same seed gives the same numbers.
 * @throws BrownianError usage for settings out of range and a text that is too short; no-such-tensor; the signal's reason when aborted
 *
 * @example
 * const { breaking, groups } = await audit(model, text, { maxTokens: 256 });
 * const [frailest] = [...groups].sort((a, b) => b.fragility / b.weights - a.fragility / a.weights);
 */
export async function audit(model: Model, text: string, options: AuditOptions = {}): Promise<Audit> {
  const settings = auditSettings(model, text, options);
  const auditor = new Auditor(model, text, settings, options);
  return auditor.run();
}

class Auditor {
  private readonly noise: Noise;
  private readonly windows: readonly number[][];
  private readonly questions: readonly Question[];
  private readonly watch: { readonly signal?: AbortSignal } = {};
  private clean: { nll: number; tokens: number; likeliest: number[]; kept: (Kept | undefined)[] } | undefined;
  private done = 0;
  private total = 0;

  constructor(
    private readonly model: Model,
    private readonly text: string,
    private readonly settings: AuditSettings,
    private readonly options: AuditOptions,
  ) {
    const { length, windows, seed, questions } = settings;
    this.noise = new Noise(BigInt(seed));
    this.windows = model.windows(text, { length }).slice(0, windows);
    this.questions = questions.map((number) => options.task?.questions[number] as Question);
    if (options.signal !== undefined) {
      const signal = AbortSignal.any([options.signal]);
      setMaxListeners(0, signal); // one for each question that is answered at once
      this.watch = { signal };
    }
  }

  async run(): Promise<Audit> {
    const { settings, model, options } = this;
    const { sigmas, draws, only, each, seeds, nats } = settings;
    const file = await readModel(model.path);
    const { chosen } = chooseTensors(file, { skipUnsupported: true, ...(only === null ? {} : { only }) });
    const groups = groupsOf(chosen, each);
    const answering = this.questions.length === 0 ? 0 : 1 + 2 * sigmas.length * draws;
    const layers = new Set(groups.map(({ layer }) => layer).filter((layer) => layer !== null)).size;
    this.total = 1 + sigmas.length * draws + seeds * (groups.length + 1) + layers + answering;
    const clean = await this.readClean();
    const globs = only === null ? {} : { only };
    const readings: Reading[][] = [];
    for (const sigma of sigmas) {
      const own: Reading[] = [];
      for (let draw = 0; draw < draws; draw++) own.push(await this.reading(`all ${sigma} ${draw}`, { sigma, ...globs }));
      readings.push(own);
    }
    const means = readings.map(mean);
    const costs = monotone(means.map(({ nll }) => nll - clean.nll));
    const breaking = {
      nats,
      sigma: Number(interpolate([0, ...costs], [0, ...sigmas], nats).toPrecision(4)),
      reached: (costs.at(-1) as number) >= nats,
    };
    if (!(breaking.sigma > 0))
      throw new BrownianError("usage", `The model breaks below sigma ${sigmas[0]}: give smaller sigmas.`);
    const together: Reading[] = [];
    for (let draw = 0; draw < seeds; draw++)
      together.push(await this.reading(`together ${draw}`, { sigma: breaking.sigma, ...globs }));
    const whole = mean(together).kl;
    const sigma =
      settings.sigma ?? Number((breaking.sigma * Math.max(1, Math.sqrt((ALONE * groups.length) / whole))).toPrecision(4));
    const floors = await this.floors(groups);
    const alone = await this.fragilities(groups, sigma, floors);
    const answered = await this.answered();
    const points = sigmas.map(
      (value, i): AuditPoint => ({ sigma: value, ...(means[i] as Reading), accuracy: answered?.at(i) ?? null }),
    );
    return {
      format: "brownian-audit",
      version: 1,
      settings,
      model: await identity(model.path),
      text: { sha256: createHash("sha256").update(this.text).digest("hex"), tokens: clean.tokens },
      task: options.task === undefined ? null : { name: options.task.name, sha256: options.task.sha256 },
      nll: clean.nll,
      points,
      breaking,
      sigma,
      groups: alone,
      floor: floors.first,
      additivity: (alone.reduce((sum, { fragility }) => sum + fragility, 0) * breaking.sigma ** 2) / (whole - floors.first),
      rankCorrelation:
        seeds < 2 || groups.length < 2
          ? null
          : spearman(
              alone.map(({ draws: [a = 0] }) => a),
              alone.map(({ draws: [, b = 0] }) => b),
            ),
      hidden: answered?.hidden ?? null,
    };
  }

  /**
   * What the engine's rounding costs as soon as anything moves at all: it multiplies with activations of few bits, and the smallest change makes them
   * other ones. Read with the smallest noise on each layer; what is in no layer has the floor of the first.
   */
  private async floors(groups: readonly Group[]): Promise<{ readonly first: number; of(group: Group): number }> {
    const layers = [...new Set(groups.map(({ layer }) => layer))].filter((layer) => layer !== null).sort((a, b) => a - b);
    const file = await readModel(this.model.path);
    const names = (layer: number) => file.tensors.map(({ name }) => name).filter((name) => placeOf(name).layer === layer);
    const floors = new Map<number | null, number>();
    for (const layer of layers) floors.set(layer, (await this.reading(`floor ${layer}`, { sigma: TINY, only: names(layer) })).kl);
    const first = floors.get(layers[0] ?? null) ?? 0;
    return { first, of: ({ layer }) => floors.get(layer) ?? first };
  }

  /** Every group alone, less its floor. A seed is the same for all groups. */
  private async fragilities(groups: readonly Group[], sigma: number, floors: { of(group: Group): number }): Promise<Fragility[]> {
    const found: Fragility[] = [];
    for (const group of groups) {
      const draws: number[] = [];
      const floor = floors.of(group);
      for (let draw = 0; draw < this.settings.seeds; draw++) {
        const { kl } = await this.reading(
          `group ${group.name} ${sigma} ${draw}`,
          { sigma, only: group.tensors },
          `group ${draw}`,
        );
        draws.push(Math.max(0, kl - floor) / sigma ** 2);
      }
      found.push({ ...group, fragility: average(draws), draws, floor });
    }
    return found;
  }

  private seed(name: string): bigint {
    const words = this.noise.stream(name).bits(new Uint32Array(2));
    return (BigInt(words[1] as number) << 32n) | BigInt(words[0] as number);
  }

  /** One step: taken from what is finished, or done and kept. */
  private async step<T>(name: string, make: () => Promise<T>): Promise<T> {
    const { finished, onFinished } = this.options;
    const { signal } = this.watch;
    signal?.throwIfAborted();
    let outcome = finished?.get(name) as T | undefined;
    if (outcome === undefined) {
      outcome = await make();
      signal?.throwIfAborted();
      await onFinished?.(name, outcome);
    }
    this.done++;
    this.options.onProgress?.(Math.min(this.done, this.total), this.total);
    return outcome;
  }

  /** The clean reading, which all others are compared with: never taken from what is kept, since its logits are not. */
  private async readClean() {
    if (this.clean !== undefined) return this.clean;
    const likeliest: number[] = [];
    const kept: (Kept | undefined)[] = [];
    let nll = 0;
    const keep = (of: Kept, window: number) => {
      kept[window] = of;
    };
    const tokens = await this.model.score(this.windows, { keep, ...this.watch }, (expected) => {
      likeliest.push(expected.likeliest);
      nll -= expected.logProbability;
    });
    this.clean = { nll: nll / tokens, tokens, likeliest, kept };
    this.done++;
    return this.clean;
  }

  /** The text with moved weights. @param seedName whose noise it has; default that of its own name */
  private reading(
    name: string,
    how: { readonly sigma: number; readonly only?: readonly string[] },
    seedName = name,
  ): Promise<Reading> {
    return this.step(name, async () => {
      const clean = await this.readClean();
      let [kl, nll, flips] = [0, 0, 0];
      const asked = { ...how, skipUnsupported: true, seed: this.seed(seedName), reference: clean.kept, ...this.watch };
      const tokens = await this.model.score(this.windows, asked, (expected) => {
        kl += expected.divergence;
        nll -= expected.logProbability;
        if (expected.likeliest !== clean.likeliest[expected.position]) flips++;
      });
      return { kl: kl / tokens, nll: nll / tokens, flips: flips / tokens };
    });
  }

  /** Which questions are answered right. */
  private right(name: string, how: GenerateOptions): Promise<number[]> {
    return this.step(name, () =>
      Promise.all(
        this.questions.map(async (question) => {
          const options = { ...how, maxTokens: this.settings.maxTokens, stop: "\n", countChanges: false, ...this.watch };
          return Number(isRight(question, (await this.model.complete(question.prompt, options)).text));
        }),
      ),
    );
  }

  /** Accuracy at every sigma, and whether noise makes the model better; undefined without questions. */
  private async answered() {
    const { questions } = this;
    if (questions.length === 0) return undefined;
    const { sigmas, draws, only, seed } = this.settings;
    const clean = await this.right("right clean", {});
    const moved: number[][][] = [];
    for (const sigma of sigmas) {
      const own: number[][] = [];
      for (let draw = 0; draw < draws; draw++) {
        const noise = {
          sigma,
          seed: this.seed(`all ${sigma} ${draw}`),
          skipUnsupported: true,
          ...(only === null ? {} : { only }),
        };
        own.push(await this.right(`right ${sigma} ${draw}`, noise));
      }
      moved.push(own);
    }
    const diced: number[][] = [];
    for (let i = 0; i < sigmas.length * draws; i++)
      diced.push(await this.right(`right softmax ${i}`, { temperature: SOFTMAX, seed: this.seed(`softmax ${i}`) }));
    const again = choices(new Noise(BigInt(seed)).stream("audit"), questions.length, "bootstrap", RESAMPLES);
    const over = (values: readonly number[], chosen?: Uint32Array) =>
      average(chosen === undefined ? values : Array.from(chosen, (q) => values[q] as number));
    const ratio = (runs: readonly number[][], chosen?: Uint32Array) =>
      Math.max(...runs.map((run) => over(run, chosen))) / over(clean, chosen);
    const within = (of: (chosen?: Uint32Array) => number) => estimate(of(), again.map(of).filter(Number.isFinite));
    const all = moved.flat();
    const accuracies = all.map((run) => over(run));
    const best = accuracies.indexOf(Math.max(...accuracies));
    const hidden: Hidden | null =
      over(clean) === 0
        ? null
        : {
            clean: over(clean),
            best: accuracies[best] as number,
            sigma: sigmas[Math.floor(best / draws)] as number,
            ratio: within((chosen) => ratio(all, chosen)),
            softmax: within((chosen) => ratio(diced, chosen)),
          };
    const at = (i: number) => within((chosen) => average((moved[i] as number[][]).map((run) => over(run, chosen))));
    return { at, hidden };
  }
}

function mean(readings: readonly Reading[]): Reading {
  const of = (name: keyof Reading) => average(readings.map((reading) => reading[name]));
  return { kl: of("kl"), nll: of("nll"), flips: of("flips") };
}
