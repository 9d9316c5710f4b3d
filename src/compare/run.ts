// Measures ways of making texts different beside each other: dials are tuned to equal flip rates on one part of a text and checked on another,
// then every method writes. Every step is a pure function of settings and seed, and can be kept: a comparison that was interrupted goes on.

import { createHash } from "node:crypto";
import { setImmediate } from "node:timers/promises";
import { BrownianError, checkChoice, checkInteger, checkNumber } from "../errors.js";
import { identity } from "../llama/calibrate.js";
import type { GenerateOptions, Model, ScoreOptions } from "../llama/model.js";
import { Noise, type Seed, seed64 } from "../noise/index.js";
import { noiseFlipRate, type Profile, weightSigma } from "../sampling/calibration.js";
import { argmax, gaussianMax, kl, softmax } from "../sampling/index.js";
import { dynamicsNamed } from "../thermostat/dynamics/index.js";
import { DEFAULT_TAU } from "../thermostat/noise.js";
import { autocorrelation, type Remembered } from "./autocorrelation.js";
import {
  at,
  type Comparison,
  type ComparisonSettings,
  evaluate,
  METHODS,
  type Method,
  type MethodName,
  RARE,
  type Reading,
  type Written,
} from "./comparison.js";

export interface CompareOptions {
  /** The model's calibration: which sigma to begin with, and where moving weights break the model. */
  readonly profile: Profile;
  /** Default all. Softmax is always among them. */
  readonly methods?: readonly string[];
  /** Temperatures of softmax at whose flip rates methods are compared, up to the breaking point; default four up to there. */
  readonly levels?: readonly number[];
  /** Further temperatures for the frontier, beyond the breaking point; default 0.7 and 1 where the calibration reaches so far. */
  readonly beyond?: readonly number[];
  /** Beginnings of texts; default two of fairy tales. */
  readonly prompts?: readonly string[];
  /** Texts a prompt, method and level, at least 4; default 12. */
  readonly samples?: number;
  /** Tokens of every text, at least 8; default 64. */
  readonly maxTokens?: number;
  /** Tokens of the text to tune dials on, and twice as many to check them; default 512. */
  readonly tuneTokens?: number;
  /** Correlation time of andersen and langevin in tokens; default 32. */
  readonly tau?: number;
  /** Default 0. */
  readonly seed?: Seed;
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

const PROMPTS = ["Once upon a time", "The King said to his daughter"];
const BEYOND = [0.7, 1];
/** Logits of the clean model that are kept in memory: 256 MB of them at most. */
const MOST_KEPT = 64e6;
/** Draws of the noise on logits for each token that is read: there are no weights to be moved, so they cost little. */
const LOGIT_DRAWS = 4;
/** The sigma of the logits is looked for up to this many temperatures (equal variance of both noises would be 1.28), in a range that is halved so often. */
const LARGEST_LOGIT_SIGMA = 8;
const HALVINGS = 12;
const TEMPERATURES = Array.from({ length: 24 }, (_, i) => (i + 1) / 20);
/** Dynamics whose memory is put beside theory. */
const REMEMBERING = ["white", "andersen", "langevin", "wiener"];

/**
 * Compares ways of making texts different: at equal flip rates, and along each one's frontier of quality and diversity. The same model, text, settings
 * and seed give the same numbers, tokens per second aside.
 * @throws BrownianError usage for settings out of range, temperatures beyond the breaking point, empty prompts, a text too short; not-live where a
 * dynamics moves what the engine does not see; the signal's reason when aborted
 *
 * @example
 * const profile = JSON.parse(await readFile("model.calibration.json", "utf8"));
 * const { points } = await compare(model, text, { profile, methods: ["softmax", "quenched"] });
 */
export async function compare(model: Model, text: string, options: CompareOptions): Promise<Comparison> {
  const settings = comparisonSettings(model, text, options);
  const windows = chooseWindows(model, text, settings);
  await refuseUnseen(model, settings);
  const run = new Run(model, windows, settings, options);
  return run.measured(text);
}

/** What decides the numbers of a comparison; checked. @throws BrownianError usage */
export function comparisonSettings(model: Model, text: string, options: CompareOptions): ComparisonSettings {
  const { profile, prompts = PROMPTS } = options;
  const names = Object.keys(METHODS) as MethodName[];
  const asked = (options.methods ?? names).map((name) => checkChoice("methods", name, names));
  const methods = names.filter((name) => name === "softmax" || asked.includes(name));
  const levels = distinctRising(options.levels ?? defaultLevels(profile));
  if (levels.length === 0) throw new BrownianError("usage", "levels must be at least one temperature.");
  for (const level of levels) checkNumber("levels", level, Number.MIN_VALUE);
  for (const level of levels) weightSigma(profile, level); // refuses those beyond the breaking point
  const further = (options.beyond ?? BEYOND.filter((level) => reaches(profile, level))).filter(
    (level) => !levels.includes(level),
  );
  for (const level of further) checkNumber("beyond", level, Number.MIN_VALUE);
  for (const level of further) weightSigma(profile, level, true); // refuses those that were not measured
  if (prompts.length === 0 || prompts.some((prompt) => prompt.trim() === ""))
    throw new BrownianError("usage", "A prompt is empty: every text has to begin with something.");
  const maxTokens = checkInteger("maxTokens", options.maxTokens ?? 64, 8, model.windowLength);
  for (const prompt of prompts) {
    const { length } = model.tokens(prompt);
    if (length + maxTokens > model.contextSize)
      throw new BrownianError(
        "usage",
        `The prompt ${JSON.stringify(prompt)} has ${length} tokens, and ${maxTokens} are to follow, but the context holds ${model.contextSize}: texts would not be equally long.`,
      );
  }
  const tau = options.tau ?? DEFAULT_TAU;
  if (!(tau > 0 && tau <= Number.MAX_VALUE))
    throw new BrownianError("usage", `tau must be a number of tokens above 0, but is ${tau}.`);
  const tuneTokens = checkInteger("tuneTokens", options.tuneTokens ?? 512, maxTokens);
  const tuneWindows = Math.floor(tuneTokens / maxTokens);
  if (text.trim() === "") throw new BrownianError("usage", "The text to read is empty.");
  return {
    methods,
    levels,
    beyond: distinctRising(further),
    prompts,
    samples: checkInteger("samples", options.samples ?? 12, 4, 10_000),
    maxTokens,
    tau,
    seed: String(seed64(options.seed ?? 0)),
    tuneWindows,
    checkWindows: 2 * tuneWindows,
  };
}

/** Four temperatures up to nine tenths of the breaking point, rounded down. */
function defaultLevels({ breaking }: Profile): number[] {
  const grid = breaking.temperature >= 0.2 ? 20 : 1000;
  return [0.3, 0.5, 0.7, 0.9].map((share) => Math.floor(share * breaking.temperature * grid) / grid);
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

interface Windows {
  readonly tune: readonly (readonly number[])[];
  readonly check: readonly (readonly number[])[];
}

/** Windows of equal length from all over the text: every third to tune dials on, the others to check them. */
function chooseWindows(model: Model, text: string, { maxTokens, tuneWindows, checkWindows }: ComparisonSettings): Windows {
  const all = model.windows(text, { length: maxTokens });
  const whole = all.filter((window) => window.length === (all[0]?.length ?? 0));
  const wanted = tuneWindows + checkWindows;
  if (whole.length < wanted)
    throw new BrownianError(
      "usage",
      `The text to read has ${whole.length} windows of ${maxTokens} tokens, but ${wanted} are needed: give a longer text, or fewer tokens to tune on.`,
    );
  const chosen = Array.from({ length: wanted }, (_, i) => whole[Math.floor((i * whole.length) / wanted)] as number[]);
  return { tune: chosen.filter((_, i) => i % 3 === 0), check: chosen.filter((_, i) => i % 3 !== 0) };
}

/** Dynamics that move what the engine does not see are refused at once, not after minutes. */
async function refuseUnseen(model: Model, { methods, prompts, tau }: ComparisonSettings): Promise<void> {
  for (const name of methods) {
    const { dynamics }: Method = METHODS[name];
    if (dynamics !== undefined && dynamicsNamed(dynamics).moves)
      await model.complete(prompts[0] as string, { sigma: 1e-3, dynamics, tau, maxTokens: 1 });
  }
}

/** The clean model on some windows. */
interface Clean {
  readonly windows: readonly (readonly number[])[];
  /** After each token to be expected, window after window. */
  readonly logits: readonly Float32Array[];
  readonly likeliest: readonly number[];
}

class Run {
  private readonly noise: Noise;
  private readonly dials: Record<string, number> = {};
  private readonly factors: Record<string, number> = {};
  private done = 0;
  private total = 1;

  constructor(
    private readonly model: Model,
    private readonly windows: Windows,
    private readonly settings: ComparisonSettings,
    private readonly options: CompareOptions,
  ) {
    this.noise = new Noise(BigInt(settings.seed));
  }

  async measured(text: string): Promise<Comparison> {
    const { settings, options } = this;
    const moving = settings.methods.filter((name) => dynamicsOf(name) !== undefined);
    const noisy = settings.methods.filter((name) => name !== "greedy");
    const every = [...settings.levels, ...settings.beyond];
    this.total = this.work();

    const tune = await this.readClean(this.windows.tune);
    for (const level of every) this.dials[at("softmax", level)] = level;
    if (noisy.includes("logits")) for (const level of every) await this.tuneLogits(level, tune);
    for (const method of moving) await this.tuneWeights(method, tune);

    const check = await this.readClean(this.windows.check);
    const readings: Record<string, Reading> = {};
    for (const level of settings.levels)
      for (const method of noisy) readings[at(method, level)] = await this.checked(method, level, check);

    const memory: Record<string, readonly Remembered[]> = {};
    for (const dynamics of REMEMBERING) memory[dynamics] = await this.remembered(dynamics);

    const texts: Record<string, Written[]> = {};
    for (const method of settings.methods)
      for (const level of method === "greedy" ? [0] : every) texts[at(method, level)] = await this.writtenAll(method, level);

    const { noise, nll, breaking } = options.profile;
    return evaluate({
      model: await identity(this.model.path),
      text: { sha256: createHash("sha256").update(text).digest("hex") },
      settings,
      profile: { noise, nll, breaking },
      dials: this.dials,
      factors: this.factors,
      softmaxCurve: TEMPERATURES.map((temperature) => ({ temperature, flipRate: average(softmaxFlips(check, temperature)) })),
      readings,
      texts,
      memory,
    });
  }

  /** All steps' work. */
  private work(): number {
    const { methods, levels, beyond, samples, prompts, maxTokens, tuneWindows, checkWindows } = this.settings;
    let sum = 64 * REMEMBERING.reduce((all, name) => all + tickCost(name), 0);
    for (const name of methods) {
      const { cost, dynamics }: Method = METHODS[name];
      const readings = (dynamics === undefined ? 0 : tuneWindows) + (dynamics === undefined ? 0 : checkWindows);
      const texts = name === "greedy" ? prompts.length : (levels.length + beyond.length) * prompts.length * samples;
      sum += maxTokens * cost * (levels.length * readings + texts);
    }
    return sum;
  }

  /** One step: taken from what is finished, or done and kept. */
  private async step<T>(name: string, work: number, make: () => Promise<T>): Promise<T> {
    const { signal, finished, onFinished, onProgress } = this.options;
    signal?.throwIfAborted();
    let outcome = finished?.get(name) as T | undefined;
    if (outcome === undefined) {
      outcome = await make();
      signal?.throwIfAborted(); // half a text is none
      await onFinished?.(name, outcome);
    }
    this.done += work;
    onProgress?.(Math.min(this.done, this.total), this.total);
    return outcome;
  }

  /** 64 bits for what has this name. */
  private seed(name: string): bigint {
    const words = this.noise.stream(name).bits(new Uint32Array(2));
    return (BigInt(words[1] as number) << 32n) | BigInt(words[0] as number);
  }

  private async readClean(windows: readonly (readonly number[])[]): Promise<Clean> {
    const logits: Float32Array[] = [];
    const { signal } = this.options;
    await this.model.score(windows, { ...(signal && { signal }) }, (expected) => {
      const most = Math.floor(MOST_KEPT / expected.logits.length);
      if (logits.length >= most)
        throw new BrownianError(
          "usage",
          `With a vocabulary of ${expected.logits.length} tokens at most ${most} can be read at a time: tune on fewer.`,
        );
      logits.push(expected.logits.slice());
    });
    return { windows, logits, likeliest: logits.map((z) => argmax(z)) };
  }

  /** The sigma of the logits that flips as often as softmax at this temperature, by halving: with the same noise flips rise with sigma, on average. */
  private async tuneLogits(level: number, clean: Clean): Promise<void> {
    const target = average(softmaxFlips(clean, level));
    let [low, high] = [0, LARGEST_LOGIT_SIGMA * level];
    for (let i = 0; i < HALVINGS; i++) {
      await setImmediate();
      this.options.signal?.throwIfAborted();
      const middle = (low + high) / 2;
      if (average(this.logitFlips("tune", middle, clean).flips) < target) low = middle;
      else high = middle;
    }
    this.dials[at("logits", level)] = rounded((low + high) / 2);
  }

  /**
   * One factor for each dynamics on what the calibration says of quenched weights, so that the flips of all levels together are softmax's:
   * sum_l m_l F(g sigma_l) / F(sigma_l) = sum_l s_l, with m_l and s_l the measured flips of both and F the calibration's curve.
   */
  private async tuneWeights(method: MethodName, clean: Clean): Promise<void> {
    const { profile } = this.options;
    const { levels, beyond } = this.settings;
    const measured: { sigma: number; flips: number }[] = [];
    let target = 0;
    for (const level of levels) {
      const sigma = rounded(weightSigma(profile, level));
      const { flips } = await this.readMoving("tune", method, level, sigma, clean);
      measured.push({ sigma, flips: average(flips) });
      target += average(softmaxFlips(clean, level));
    }
    const expected = (factor: number) =>
      measured.reduce(
        (sum, { sigma, flips }) => sum + (flips * noiseFlipRate(profile, factor * sigma)) / noiseFlipRate(profile, sigma),
        0,
      );
    let [low, high] = [1 / 4, 4];
    for (let i = 0; i < 40; i++) {
      const middle = Math.sqrt(low * high);
      if (expected(middle) < target) low = middle;
      else high = middle;
    }
    const factor = rounded(Math.sqrt(low * high));
    this.factors[method] = factor;
    for (const level of [...levels, ...beyond])
      this.dials[at(method, level)] = rounded(factor * weightSigma(profile, level, true));
  }

  private async checked(method: MethodName, level: number, clean: Clean): Promise<Reading> {
    const dial = this.dials[at(method, level)] as number;
    if (method === "softmax") return { flips: softmaxFlips(clean, level), kl: 0 };
    if (method === "logits") return this.logitFlips("check", dial, clean);
    return this.readMoving("check", method, level, dial, clean);
  }

  /** Moving weights on windows, each with a draw of its own, in motion as while a text is written. */
  private async readMoving(what: string, method: MethodName, level: number, sigma: number, clean: Clean): Promise<Reading> {
    const { tau, maxTokens } = this.settings;
    const dynamics = dynamicsOf(method) as string;
    const { signal } = this.options;
    const name = `${what} ${at(method, level)}`;
    return this.step(name, maxTokens * METHODS[method].cost * clean.windows.length, async () => {
      const flips: number[] = [];
      let divergence = 0;
      let position = 0;
      for (const [i, window] of clean.windows.entries()) {
        const options: ScoreOptions = {
          sigma,
          dynamics,
          tau,
          seed: this.seed(`${name} ${i}`),
          ticks: true,
          ...(signal && { signal }),
        };
        let count = 0;
        const visited = await this.model.score([window], options, ({ logits }) => {
          if (argmax(logits) !== clean.likeliest[position]) count++;
          divergence += kl(softmax(clean.logits[position] as Float32Array), softmax(logits));
          position++;
        });
        flips.push(count / visited);
      }
      return { flips, kl: divergence / position };
    });
  }

  private logitFlips(what: string, sigma: number, { windows, logits, likeliest }: Clean): Reading {
    const stream = this.noise.stream(`${what} logits`);
    const flips = windows.map(() => 0);
    const each = logits.length / windows.length;
    let divergence = 0;
    for (const [position, z] of logits.entries()) {
      const window = Math.floor(position / each);
      for (let draw = 0; draw < LOGIT_DRAWS; draw++) {
        const tick = position * LOGIT_DRAWS + draw;
        if (gaussianMax(z, stream, { tick }, sigma) !== likeliest[position])
          flips[window] = (flips[window] as number) + 1 / (each * LOGIT_DRAWS);
        if (what === "check" && draw === 0) {
          const noise = stream.normal(new Float32Array(z.length), { tick });
          divergence += kl(softmax(z), softmax(Float64Array.from(noise, (e, i) => (z[i] as number) + sigma * e)));
        }
      }
    }
    return { flips, kl: divergence / logits.length };
  }

  private async remembered(dynamics: string): Promise<readonly Remembered[]> {
    const { tau, levels, seed } = this.settings;
    const { signal, scratch, profile } = this.options;
    const sigma = rounded(weightSigma(profile, levels[Math.floor(levels.length / 2)] as number));
    const ticks = [
      ...new Set([0, 1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 3 / 4, 1, 1.5, 2].map((share) => Math.round(share * tau))),
    ];
    return this.step(`memory ${dynamics}`, 64 * tickCost(dynamics), () =>
      autocorrelation(this.model.path, {
        sigma,
        dynamics,
        tau,
        ticks: ticks.sort((a, b) => a - b),
        seed: BigInt(seed),
        ...(signal && { signal }),
        ...(scratch !== undefined && { scratch }),
      }),
    );
  }

  private async writtenAll(method: MethodName, level: number): Promise<Written[]> {
    const { prompts, samples, maxTokens } = this.settings;
    const written: Written[] = [];
    for (const prompt of prompts) {
      for (let i = 0; i < samples; i++) {
        const before = written.at(-1);
        // Greedy texts of a prompt are all the same one.
        if (method === "greedy" && i > 0) written.push(before as Written);
        else {
          const name = `text ${at(method, level)} ${prompts.indexOf(prompt)} ${i}`;
          written.push(await this.step(name, maxTokens * METHODS[method].cost, () => this.write(method, level, prompt, name)));
        }
      }
    }
    return written;
  }

  private async write(method: MethodName, level: number, prompt: string, name: string): Promise<Written> {
    const { maxTokens } = this.settings;
    const { signal } = this.options;
    const how = this.writing(method, this.dials[at(method, level)] ?? 0, name);
    const { text, ids, seconds } = await this.model.complete(prompt, {
      ...how,
      maxTokens,
      endless: true,
      ...(signal && { signal }),
    });
    signal?.throwIfAborted();
    const seen = await this.model.follow(prompt, ids);
    return {
      text,
      ids,
      nll: -average(seen.map((one) => one.logProbability)),
      sameTop: average(seen.map((one) => (one.likeliest ? 1 : 0))),
      rare: average(seen.map((one) => (one.logProbability < Math.log(RARE) ? 1 : 0))),
      seconds,
    };
  }

  private writing(method: MethodName, dial: number, name: string): GenerateOptions {
    const dynamics = dynamicsOf(method);
    if (dynamics !== undefined) return { sigma: dial, dynamics, tau: this.settings.tau, seed: this.seed(name) };
    if (method === "softmax") return { temperature: dial, seed: this.seed(name) };
    if (method === "greedy") return {};
    const stream = this.noise.stream(name);
    return { pick: (logits, tick) => gaussianMax(logits, stream, { tick }, dial) };
  }
}

function dynamicsOf(method: MethodName): string | undefined {
  return (METHODS[method] as Method).dynamics;
}

/** What a tick takes, roughly: a wiener tick is a white one. */
function tickCost(dynamics: string): number {
  return METHODS[(dynamics === "wiener" ? "white" : dynamics) as MethodName].cost;
}

/** Of each window, the mean of 1 - p_T(likeliest): how often a draw at T would be another token. */
function softmaxFlips({ windows, logits, likeliest }: Clean, temperature: number): number[] {
  const each = logits.length / windows.length;
  const flips = windows.map(() => 0);
  for (const [position, z] of logits.entries()) {
    const max = z[likeliest[position] as number] as number;
    let sum = 0;
    for (const logit of z) sum += Math.exp((logit - max) / temperature);
    const window = Math.floor(position / each);
    flips[window] = (flips[window] as number) + (1 - 1 / sum) / each;
  }
  return flips;
}

/** Dials are said with four digits, and are what is said. */
function rounded(x: number): number {
  return Number(x.toPrecision(4));
}

function average(values: readonly number[]): number {
  return values.reduce((sum, x) => sum + x, 0) / values.length;
}
