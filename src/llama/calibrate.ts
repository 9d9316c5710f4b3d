// Measures what sigma means for a model: flip rates of moving weights and of softmax on a text that it reads, teacher-forced. It looks for the
// sigmas that matter, and reads on at each until the map is as sure as was asked for. src/statistics/calibration.ts has the profile and what is done
// with it; nothing is written to disk here.

import { createHash } from "node:crypto";
import type { Kept } from "../engine/index.js";
import { BrownianError, checkInteger, checkList, checkNumber, checkText } from "../errors.js";
import { identity } from "../files/identity.js";
import { type Seed, seed64 } from "../noise/index.js";
import { checkOptions, type Names } from "../options.js";
import { breakingPoint, type NoisePoint, type Profile, weightSigma, weightSigmaInterval } from "../statistics/calibration.js";
import { average, meanInterval, type Smoothed, smooth } from "../statistics/rates.js";
import type { CarrierName, CarrierOptions } from "../thermostat/noise.js";
import { checkModel, type Model } from "./model.js";

/** How {@link calibrate} measures: how much of the text, at which sigmas, how surely. */
export interface CalibrateOptions extends Pick<CarrierOptions, "carrier" | "rank"> {
  /** Tokens of the text to read; default 1024. */
  readonly maxTokens?: number;
  /** The most draws of the weights for each sigma, 2 to 1000; default 14. */
  readonly draws?: number;
  /** No more draws are read where the map from T to sigma is known within this share of sigma (95 %), 0 or more; default 0.1. */
  readonly precision?: number;
  /**
   * The sigmas to measure at, two or more above 0, in units of each tensor's RMS; default six, from as many flips as softmax has at T = 0.1 to where
   * the noise costs `breakingNats`.
   */
  readonly sigmas?: readonly number[];
  /** Of the draws; default 0. */
  readonly seed?: Seed;
  /** Nats a token that moving weights may cost on the text; default 0.25 (perplexity times 1.28). */
  readonly breakingNats?: number;
  /** Stops what is read. */
  readonly signal?: AbortSignal;
  /** Called with tokens read and, as far as can be told, in all. */
  readonly onProgress?: (done: number, total: number) => void;
}

/** Where a search for sigmas begins; each step doubles or halves it. */
const FIRST_SIGMA = 0.08;
const [LEAST_SIGMA, MOST_SIGMA] = [0.0025, 2.56];
const HALVINGS = 2;
const LEVELS = 6;
/** The lowest temperature that the map is for. */
const COLDEST = 0.1;
export const TEMPERATURES = Array.from({ length: 40 }, (_, i) => (i + 1) / 20);
/** Draws of every sigma at first, and the fewest that give an interval. */
const FIRST_DRAWS = 2;
const FEWEST_DRAWS = 2;
/** Tokens of a window at most (each has draws of its own, which tell more than longer windows do), and logits of one that are kept: 128 MB. */
const WINDOW = 256;
const MOST_KEPT = 2 ** 25;
/** 2^64 over the golden ratio: seeds that far apart are those of different draws. */
const SEED_STEP = 0x9e3779b97f4a7c15n;

const NAMES: Names<CalibrateOptions> = {
  maxTokens: true,
  draws: true,
  precision: true,
  sigmas: true,
  seed: true,
  breakingNats: true,
  carrier: true,
  rank: true,
  signal: true,
  onProgress: true,
};

/**
 * Measures the profile of a model on a text: how often moved weights, and softmax sampling, pick another token than the clean model's likeliest.
 * Flip rates are shares of the tokens read, 0 to 1; KL and NLL nats a token. Every window of the text is read with draws of its own. The same seed
 * gives the same numbers.
 * @throws BrownianError usage, and as `Model.score`; the signal's reason when aborted
 *
 * @example
 * const profile = await calibrate(model, text, { seed: 1n });
 * weightSigma(profile, 0.3); // the sigma that is as surprising as softmax at T = 0.3
 */
export async function calibrate(model: Model, text: string, options: CalibrateOptions = {}): Promise<Profile> {
  checkModel(model);
  checkText("text", text);
  const { most, precision, nats, asked } = calibrationNumbers(options);
  const longest = Math.min(WINDOW, model.windowLength, Math.max(1, Math.floor(MOST_KEPT / model.vocabulary)));
  const length = Math.min(asked, longest);
  // Whole windows, each read as far as the others, as far as the text goes.
  const windows = model.windows(text, { length, maxTokens: Math.floor(asked / length) * length });
  const whole = windows.filter((window) => window.length === windows[0]?.length);

  const reader = new Reader(model, whole, options);
  const sigmas = options.sigmas === undefined ? await reader.search(nats) : [...options.sigmas].sort((a, b) => a - b);
  const readings = await reader.readAll(sigmas);
  const map = () => mapped(reader.clean, sigmas, readings, nats);
  for (;;) {
    const widths = widthsOf(map(), sigmas);
    const next = [...sigmas.keys()].filter((i) => (widths[i] as number) > precision && (readings[i] as Reading[]).length < most);
    if (next.length === 0) break;
    reader.expect(remaining(widths, readings, precision, most));
    for (const level of next) readings[level]?.push(await reader.readText(sigmas, level, (readings[level] as Reading[]).length));
  }

  const { carrier, rank } = reader;
  // The dose of live moves is the tensor's; adapters add what they are asked to.
  const by = carrier === "adapter" ? { carrier, rank } : {};
  const common = { scale: "rms", rounding: "matched", dose: "tensor", dynamics: "quenched" } as const;
  const settings = { ...common, seed: String(reader.seed), ...by };
  const { noise, ...rest } = map();
  return {
    format: "brownian-calibration",
    version: 3,
    model: await identity(model.path),
    text: { sha256: createHash("sha256").update(text).digest("hex"), tokens: reader.clean.tokens },
    settings: { ...settings, draws: Math.max(...noise.map((point) => point.draws)) },
    noise,
    ...rest,
  };
}

/** The numbers that are asked for, checked: to be called before the model is loaded, too. @throws BrownianError usage */
export function calibrationNumbers(options: CalibrateOptions) {
  checkOptions("calibrate", options, NAMES);
  if (options.sigmas !== undefined) checkList("sigmas", options.sigmas);
  const most = checkInteger("draws", options.draws ?? 14, FEWEST_DRAWS, 1000);
  const precision = checkNumber("precision", options.precision ?? 0.1, 0);
  const nats = checkNumber("breakingNats", options.breakingNats ?? 0.25, 0);
  for (const sigma of options.sigmas ?? []) checkNumber("sigmas", sigma, Number.MIN_VALUE);
  if (options.sigmas !== undefined && options.sigmas.length < 2)
    throw new BrownianError("usage", "sigmas must be at least two: a map needs two ends.");
  const asked = checkInteger("maxTokens", options.maxTokens ?? 1024, 1);
  return { most, precision, nats, asked };
}

/** One reading of the text, or of a window, with moved weights: per token. */
export interface Reading {
  readonly flips: number;
  /** Only while the clean model's logits are there to compare with. */
  readonly kl?: number;
  readonly nll: number;
}

/** What the clean model says of the text. */
interface Clean {
  readonly nll: number;
  /** At each of {@link TEMPERATURES}. */
  readonly softmaxFlips: readonly number[];
  readonly tokens: number;
}

/** The text, window by window, with the clean weights and with moved ones. */
class Reader {
  readonly seed: bigint;
  readonly carrier: CarrierName;
  readonly rank: number;
  private readonly by: CarrierOptions;
  /** The clean model's likeliest tokens, window by window. */
  private readonly likeliest: number[][] = [];
  private readonly flips = TEMPERATURES.map(() => 0);
  private nll = 0;
  /** What the first window is compared with. */
  private first: Kept | undefined;
  /** What the last window was compared with: its memory is used again, for it may be 128 MB, and garbage is collected late. */
  private last: Kept | undefined;
  private done = 0;
  /** Tokens that are to be read yet, as far as can be told. */
  private left: number;
  /** Tokens of a window after which something is expected. */
  private readonly each: number;
  /** Draws of every sigma that are compared with the clean model. */
  private readonly draws: number;

  constructor(
    private readonly model: Model,
    private readonly windows: readonly (readonly number[])[],
    private readonly options: CalibrateOptions,
  ) {
    this.seed = seed64(options.seed ?? 0);
    const { carrier = "live", rank } = options;
    this.carrier = carrier;
    this.rank = rank ?? 1;
    this.by = { carrier, rank };
    this.draws = Math.min(FIRST_DRAWS, options.draws ?? FIRST_DRAWS);
    this.each = (windows[0]?.length ?? 1) - 1;
    const { sigmas } = options;
    const searched = sigmas === undefined ? 8 : 0;
    this.left = this.each * (searched + windows.length * (1 + (sigmas?.length ?? LEVELS) * this.draws));
    this.report(0);
  }

  get clean(): Clean {
    const tokens = this.windows.length * this.each;
    return { nll: this.nll / tokens, softmaxFlips: this.flips.map((sum) => sum / tokens), tokens };
  }

  /** Says how many readings of the whole text are to come. */
  expect(readings: number): void {
    this.left = readings * this.windows.length * this.each;
    this.report(0);
  }

  /**
   * Levels from where moved weights flip as often as softmax at {@link COLDEST} to where they cost `nats` a token, both by doubling, then halving the
   * range, on the first window.
   */
  async search(nats: number): Promise<number[]> {
    const first = await this.readClean(0);
    this.first = first;
    const target = this.flipsAt(COLDEST) / this.each;
    const seen = new Map<number, Reading>();
    const at = async (sigma: number): Promise<Reading> => {
      const known = seen.get(sigma);
      if (known !== undefined) return known;
      const reading = await this.readMoved(0, sigma, this.own(seen.size, 0, 0, SEARCHING), first);
      seen.set(sigma, reading);
      return reading;
    };
    const cold = this.nll / this.each;
    const low = await border(async (sigma) => (await at(sigma)).flips < target);
    const high = await border(async (sigma) => (await at(sigma)).nll - cold < nats);
    const ends = [Math.min(low.below, high.below), high.above] as const;
    return Array.from({ length: LEVELS }, (_, i) => Number((ends[0] * (ends[1] / ends[0]) ** (i / (LEVELS - 1))).toPrecision(3)));
  }

  /** The first readings at each sigma, and the clean one, which all of a window are compared with. */
  async readAll(sigmas: readonly number[]): Promise<Reading[][]> {
    const parts: Reading[][][] = sigmas.map(() => Array.from({ length: this.draws }, () => []));
    for (const number of this.windows.keys()) {
      const kept = this.first ?? (await this.readClean(number));
      this.first = undefined;
      for (const [level, sigma] of sigmas.entries())
        for (let draw = 0; draw < this.draws; draw++)
          parts[level]?.[draw]?.push(await this.readMoved(number, sigma, this.own(level, draw, number), kept));
    }
    return parts.map((own) => own.map(together));
  }

  /** One more reading of the text at a level. */
  async readText(sigmas: readonly number[], level: number, draw: number): Promise<Reading> {
    const parts: Reading[] = [];
    for (const number of this.windows.keys())
      parts.push(await this.readMoved(number, sigmas[level] as number, this.own(level, draw, number)));
    return together(parts);
  }

  /** The seed of one reading. */
  private own(level: number, draw: number, window: number, purpose = 1): bigint {
    const number = ((BigInt(purpose) * 1024n + BigInt(level)) * 1024n + BigInt(draw)) * 2n ** 32n + BigInt(window);
    return BigInt.asUintN(64, this.seed + number * SEED_STEP);
  }

  private flipsAt(temperature: number): number {
    return this.flips[TEMPERATURES.findIndex((t) => Math.abs(t - temperature) < 1e-9)] as number;
  }

  private async readClean(number: number): Promise<Kept> {
    const likeliest: number[] = [];
    let kept: Kept | undefined;
    const { signal } = this.options;
    const keep = (of: Kept) => {
      kept = of;
    };
    const asked = { temperatures: TEMPERATURES, keep, into: this.last, signal };
    await this.model.score([this.windows[number] as number[]], asked, (expected) => {
      likeliest.push(expected.likeliest);
      this.nll -= expected.logProbability;
      for (const [i, stays] of expected.stays.entries()) this.flips[i] = (this.flips[i] as number) + 1 - stays;
    });
    this.likeliest[number] = likeliest;
    this.report(this.each);
    this.last = kept;
    return kept as unknown as Kept;
  }

  private async readMoved(number: number, sigma: number, seed: bigint, reference?: Kept): Promise<Reading> {
    const likeliest = this.likeliest[number] as number[];
    let [flips, kl, nll] = [0, 0, 0];
    const { signal } = this.options;
    const moved = { ...this.by, sigma, seed, reference: [reference], signal };
    await this.model.score([this.windows[number] as number[]], moved, (expected) => {
      if (expected.likeliest !== likeliest[expected.position]) flips++;
      nll -= expected.logProbability;
      kl += expected.divergence;
    });
    this.report(this.each);
    const { each } = this;
    return { flips: flips / each, nll: nll / each, ...(reference !== undefined && { kl: kl / each }) };
  }

  private report(tokens: number): void {
    this.done += tokens;
    this.left = Math.max(0, this.left - tokens);
    this.options.onProgress?.(this.done, this.done + this.left);
  }
}

/** What seeds are for, besides levels. */
const SEARCHING = 0;

/** The range around the sigma up to which `holds`: by doubling or halving from {@link FIRST_SIGMA} on, then halving the range. */
async function border(holds: (sigma: number) => Promise<boolean>): Promise<{ below: number; above: number }> {
  let [below, above] = [FIRST_SIGMA, FIRST_SIGMA];
  if (await holds(FIRST_SIGMA)) {
    do above = Math.min(2 * above, MOST_SIGMA);
    while (above < MOST_SIGMA && (await holds(above)));
    below = above / 2;
  } else {
    do below = Math.max(below / 2, LEAST_SIGMA);
    while (below > LEAST_SIGMA && !(await holds(below)));
    above = 2 * below;
  }
  for (let i = 0; i < HALVINGS; i++) {
    const middle = Math.sqrt(below * above);
    if (await holds(middle)) below = middle;
    else above = middle;
  }
  return { below, above };
}

/** The windows of one reading as one: they are equally long. */
function together(parts: readonly Reading[]): Reading {
  const mean = (of: "flips" | "kl" | "nll") => average(parts.map((part) => part[of] ?? Number.NaN));
  return { flips: mean("flips"), nll: mean("nll"), ...(parts[0]?.kl !== undefined && { kl: mean("kl") }) };
}

/** The map, as it is known by now. */
function mapped(
  { nll, softmaxFlips }: Clean,
  sigmas: readonly number[],
  readings: readonly (readonly Reading[])[],
  nats: number,
) {
  const noise = noisePoints(sigmas, readings);
  const softmax = TEMPERATURES.map((temperature, i) => ({ temperature, flipRate: softmaxFlips[i] as number }));
  return { nll, noise, softmax, breaking: breakingPoint({ nll, noise, softmax }, nats) };
}

/**
 * Of each level, half the 95 % interval of sigma(T) as a share of it: the widest of the temperatures up to the breaking point whose sigmas lie
 * between the neighbours of the level.
 */
function widthsOf(map: Pick<Profile, "nll" | "noise" | "softmax" | "breaking">, sigmas: readonly number[]): number[] {
  const widths = sigmas.map(() => 0);
  const profile = map as Profile;
  for (const temperature of TEMPERATURES.filter((t) => t >= COLDEST - 1e-9 && t <= map.breaking.temperature)) {
    const sigma = weightSigma(profile, temperature);
    const [low, high] = weightSigmaInterval(profile, temperature);
    const above = sigmas.findIndex((level) => level >= sigma);
    for (const i of above < 0 ? [sigmas.length - 1] : [above - 1, above])
      if (i >= 0) widths[i] = Math.max(widths[i] as number, (high - low) / (2 * sigma));
  }
  return widths;
}

/** Readings of the text that are still to come, if intervals shrink as the root of their number. */
function remaining(
  widths: readonly number[],
  readings: readonly (readonly Reading[])[],
  precision: number,
  most: number,
): number {
  return widths.reduce((sum, width, level) => {
    const { length } = readings[level] as Reading[];
    const wanted = Math.min(most, Math.ceil(length * (width / Math.max(precision, Number.MIN_VALUE)) ** 2));
    return sum + Math.max(0, wanted - length);
  }, 0);
}

/** The readings at each sigma as a point with its interval, and the curve through all of them. */
export function noisePoints(
  sigmas: readonly number[],
  readings: readonly (readonly Reading[])[],
): (NoisePoint & { draws: number })[] {
  const flips = readings.map((own) => own.map((reading) => reading.flips));
  const curve = smooth(sigmas, flips);
  return sigmas.map((sigma, i) => {
    const own = readings[i] as readonly Reading[];
    const { mean: flipRate, low, high } = meanInterval(flips[i] as number[]);
    const { rate: smoothed, error } = curve[i] as Smoothed;
    const kl = average(own.flatMap((reading) => reading.kl ?? []));
    const nll = average(own.map((reading) => reading.nll));
    return { sigma, flipRate, low, high, smoothed, error, kl, nll, draws: own.length };
  });
}
