// Measures what sigma means for a model: flip rates of moving weights and of softmax on a text that it reads, teacher-forced.
// src/statistics/calibration.ts has the profile and what is done with it; nothing is written to disk here.

import { createHash } from "node:crypto";
import { BrownianError, checkInteger, checkNumber } from "../errors.js";
import { identity } from "../files/identity.js";
import { type Seed, seed64 } from "../noise/index.js";
import { argmax, kl, probabilityOf, softmax } from "../sampling/softmax.js";
import { breakingPoint, type NoisePoint, type Profile } from "../statistics/calibration.js";
import { average, meanInterval, type Smoothed, smooth } from "../statistics/rates.js";
import type { Model, ScoreOptions } from "./model.js";

/** How {@link calibrate} measures: how much of the text, at which sigmas, from how many draws. */
export interface CalibrateOptions {
  /** Tokens of the text to read; default 2048, and fewer for large vocabularies. */
  readonly maxTokens?: number;
  /** Draws of the weights for each sigma, 2 to 1000; default 6. */
  readonly draws?: number;
  /** The sigmas to measure at, two or more above 0, in units of each tensor's RMS; default nine from 0.01 to 0.4. */
  readonly sigmas?: readonly number[];
  /** Of the draws; default 0. */
  readonly seed?: Seed;
  /** Nats a token that moving weights may cost on the text; default 0.25 (perplexity times 1.28). */
  readonly breakingNats?: number;
  /** Stops between two readings of the text. */
  readonly signal?: AbortSignal;
  /** Called with readings of the text done and in all. */
  readonly onProgress?: (done: number, total: number) => void;
}

const SIGMAS = [0.01, 0.02, 0.04, 0.07, 0.1, 0.14, 0.2, 0.28, 0.4];
const TEMPERATURES = Array.from({ length: 40 }, (_, i) => (i + 1) / 20);
/** Probabilities of the clean model that are kept in memory: 256 MB of them at most. */
const MOST_KEPT = 64e6;
/** 2^64 over the golden ratio: seeds that far apart are those of different draws. */
const SEED_STEP = 0x9e3779b97f4a7c15n;

/**
 * Measures the profile of a model on a text: how often moved weights, and softmax sampling, pick another token than the clean model's likeliest.
 * Flip rates are shares of the tokens read, 0 to 1; KL and NLL nats a token. The same seed gives the same numbers.
 * @throws BrownianError usage, and as `Model.score`; the signal's reason when aborted
 *
 * @example
 * const profile = await calibrate(model, text, { seed: 1n });
 * weightSigma(profile, 0.3); // the sigma that is as surprising as softmax at T = 0.3
 */
export async function calibrate(model: Model, text: string, options: CalibrateOptions = {}): Promise<Profile> {
  const { signal, onProgress } = options;
  const draws = checkInteger("draws", options.draws ?? 6, 2, 1000);
  const nats = checkNumber("breakingNats", options.breakingNats ?? 0.25, 0);
  const seed = seed64(options.seed ?? 0);
  const sigmas = [...(options.sigmas ?? SIGMAS)].sort((a, b) => a - b);
  for (const sigma of sigmas) checkNumber("sigmas", sigma, Number.MIN_VALUE);
  if (sigmas.length < 2) throw new BrownianError("usage", "sigmas must be at least two: a map needs two ends.");

  // Whole windows, each read as far as the others.
  const asked = checkInteger("maxTokens", options.maxTokens ?? 2048, 1);
  const maxTokens = Math.max(1, Math.floor(asked / model.windowLength)) * Math.min(asked, model.windowLength);
  const reading: ScoreOptions = { maxTokens, ...(signal && { signal }) };
  const clean = await readClean(model, text, reading);

  const readings: Reading[][] = sigmas.map(() => []);
  const total = 1 + sigmas.length * draws;
  for (let done = 1; done < total; done++) {
    signal?.throwIfAborted();
    const which = Math.floor((done - 1) / draws);
    const own = BigInt.asUintN(64, seed + BigInt(done) * SEED_STEP);
    readings[which]?.push(await readMoved(model, text, clean, { ...reading, sigma: sigmas[which] as number, seed: own }));
    onProgress?.(done + 1, total);
  }

  const { nll, softmaxFlips } = clean;
  const noise = noisePoints(sigmas, readings);
  const softmaxPoints = TEMPERATURES.map((temperature, i) => ({ temperature, flipRate: softmaxFlips[i] as number }));
  return {
    format: "brownian-calibration",
    version: 2,
    model: await identity(model.path),
    text: { sha256: createHash("sha256").update(text).digest("hex"), tokens: clean.likeliest.length },
    settings: { scale: "rms", rounding: "matched", dynamics: "quenched", seed: String(seed), draws },
    nll,
    noise,
    softmax: softmaxPoints,
    breaking: breakingPoint({ nll, noise, softmax: softmaxPoints }, nats),
  };
}

/** What the clean model says of the text. */
interface Clean {
  readonly likeliest: number[];
  readonly probabilities: Float32Array[];
  /** At each of {@link TEMPERATURES}. */
  readonly softmaxFlips: number[];
  readonly nll: number;
}

/** Reads until the end, or until no more probabilities can be kept. */
async function readClean(model: Model, text: string, reading: ScoreOptions): Promise<Clean> {
  const likeliest: number[] = [];
  const probabilities: Float32Array[] = [];
  const flips = TEMPERATURES.map(() => 0);
  let nll = 0;
  let full = false;
  await model.score(text, reading, ({ token, logits }) => {
    full ||= (probabilities.length + 1) * logits.length > MOST_KEPT;
    if (full) return;
    const best = argmax(logits);
    const p = softmax(logits);
    likeliest.push(best);
    probabilities.push(Float32Array.from(p));
    nll -= Math.log(p[token] as number);
    for (const [i, temperature] of TEMPERATURES.entries())
      flips[i] = (flips[i] as number) + 1 - probabilityOf(best, logits, temperature);
  });
  const count = likeliest.length;
  return { likeliest, probabilities, softmaxFlips: flips.map((sum) => sum / count), nll: nll / count };
}

/** One reading of the text with moved weights: per token. */
interface Reading {
  readonly flips: number;
  readonly kl: number;
  readonly nll: number;
}

async function readMoved(model: Model, text: string, clean: Clean, reading: ScoreOptions): Promise<Reading> {
  let flips = 0;
  let divergence = 0;
  let nll = 0;
  const count = clean.likeliest.length;
  await model.score(text, reading, ({ position, token, logits }) => {
    const best = clean.likeliest[position];
    if (best === undefined) return;
    if (argmax(logits) !== best) flips++;
    const p = softmax(logits);
    nll -= Math.log(Math.max(p[token] as number, Number.MIN_VALUE));
    divergence += kl(clean.probabilities[position] as Float32Array, p);
  });
  return { flips: flips / count, kl: divergence / count, nll: nll / count };
}

/** The readings at each sigma as a point with its interval, and the curve through all of them. */
function noisePoints(sigmas: readonly number[], readings: readonly (readonly Reading[])[]): NoisePoint[] {
  const flips = readings.map((own) => own.map((reading) => reading.flips));
  const curve = smooth(sigmas, flips);
  return sigmas.map((sigma, i) => {
    const { mean: flipRate, low, high } = meanInterval(flips[i] as number[]);
    const { rate: smoothed, error } = curve[i] as Smoothed;
    const mean = (of: "kl" | "nll") => average((readings[i] as Reading[]).map((reading) => reading[of]));
    return { sigma, flipRate, low, high, smoothed, error, kl: mean("kl"), nll: mean("nll") };
  });
}
