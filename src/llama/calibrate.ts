// Measures what sigma means for a model: flip rates of moving weights and of softmax on a text, teacher-forced. src/sampling/calibration.ts has
// the profile and what is done with it.

import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { basename } from "node:path";
import { BrownianError, checkInteger, checkNumber } from "../errors.js";
import { type Seed, seed64 } from "../noise/index.js";
import { interpolate, monotone, type NoisePoint, type Profile } from "../sampling/calibration.js";
import { argmax, kl, softmax } from "../sampling/index.js";
import { average, meanInterval, type Smoothed, smooth } from "../statistics/rates.js";
import type { Model, ScoreOptions } from "./model.js";

export interface CalibrateOptions {
  /** Tokens of the text to read; default 2048, and fewer for large vocabularies. */
  readonly maxTokens?: number;
  /** Draws of the weights for each sigma, at least 2; default 6. */
  readonly draws?: number;
  readonly sigmas?: readonly number[];
  /** Of the draws; default 0. */
  readonly seed?: Seed;
  /** Nats a token that moving weights may cost on the text; default 0.25 (perplexity times 1.28). */
  readonly breakingNats?: number;
  readonly signal?: AbortSignal;
  /** Called with readings of the text done and in all. */
  readonly onProgress?: (done: number, total: number) => void;
}

const SIGMAS = [0.01, 0.02, 0.04, 0.07, 0.1, 0.14, 0.2, 0.28, 0.4];
const TEMPERATURES = Array.from({ length: 40 }, (_, i) => (i + 1) / 20);
/** Probabilities of the clean model that are kept in memory: 256 MB of them at most. */
const MOST_KEPT = 64e6;

/** One reading of the text: per token. */
interface Reading {
  readonly flips: number;
  readonly kl: number;
  readonly nll: number;
}

/**
 * Measures the profile of a model on a text: how often moved weights, and softmax sampling, pick another token than the clean model's likeliest.
 * The same seed gives the same numbers.
 * @throws BrownianError usage, and as `Model.score`; the signal's reason when aborted
 *
 * @example
 * const profile = await calibrate(model, text, { seed: 1n });
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
  const most = Math.max(1, Math.floor(asked / model.windowLength)) * Math.min(asked, model.windowLength);
  const clean = await readClean(model, text, most, signal);

  const measured: Reading[][] = [];
  for (const [which, sigma] of sigmas.entries()) {
    const readings: Reading[] = [];
    for (let draw = 0; draw < draws; draw++) {
      signal?.throwIfAborted();
      const own = BigInt.asUintN(64, seed + BigInt(1 + which * draws + draw) * 0x9e3779b97f4a7c15n);
      readings.push(await readMoved(model, text, clean, { sigma, seed: own, ...(signal && { signal }) }));
      onProgress?.(1 + which * draws + draw + 1, 1 + sigmas.length * draws);
    }
    measured.push(readings);
  }
  const curve = smooth(
    sigmas,
    measured.map((readings) => readings.map((reading) => reading.flips)),
  );
  const noise = measured.map((readings, i): NoisePoint => {
    const { mean: flipRate, low, high } = meanInterval(readings.map((reading) => reading.flips));
    const { rate: smoothed, error } = curve[i] as Smoothed;
    const mean = (of: (reading: Reading) => number) => average(readings.map(of));
    return { sigma: sigmas[i] as number, flipRate, low, high, smoothed, error, kl: mean((r) => r.kl), nll: mean((r) => r.nll) };
  });

  const softmaxPoints = TEMPERATURES.map((temperature, i) => ({ temperature, flipRate: clean.softmaxFlips[i] as number }));
  const costs = monotone(noise.map((point) => point.nll - clean.nll));
  const breakingSigma =
    nats >= (costs.at(-1) as number) ? (sigmas.at(-1) as number) : interpolate([0, ...costs], [0, ...sigmas], nats);
  const breakingRate = interpolate([0, ...sigmas], [0, ...monotone(noise.map((p) => p.smoothed))], breakingSigma);
  const breakingTemperature = interpolate([0, ...clean.softmaxFlips], [0, ...TEMPERATURES], breakingRate);
  return {
    format: "brownian-calibration",
    version: 2,
    model: await identity(model.path),
    text: { sha256: createHash("sha256").update(text).digest("hex"), tokens: clean.likeliest.length },
    settings: { scale: "rms", rounding: "matched", dynamics: "quenched", seed: String(seed), draws },
    nll: clean.nll,
    noise,
    softmax: softmaxPoints,
    breaking: { nats, sigma: breakingSigma, temperature: breakingTemperature },
  };
}

/** What a profile says of the model that it is of; the whole file is read. */
export async function identity(path: string): Promise<Profile["model"]> {
  const hash = createHash("sha256");
  for await (const piece of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(piece as Buffer);
  return { file: basename(path), bytes: (await stat(path)).size, sha256: hash.digest("hex") };
}

interface Clean {
  /** Tokens of the text that were asked for: the same windows again. */
  readonly maxTokens: number;
  readonly likeliest: number[];
  readonly probabilities: Float32Array[];
  readonly softmaxFlips: number[];
  readonly nll: number;
}

async function readClean(model: Model, text: string, most: number, signal: AbortSignal | undefined): Promise<Clean> {
  const likeliest: number[] = [];
  const probabilities: Float32Array[] = [];
  const flips = TEMPERATURES.map(() => 0);
  let nll = 0;
  let full = false;
  await model.score(text, { maxTokens: most, ...(signal && { signal }) }, ({ token, logits }) => {
    if (full || (probabilities.length + 1) * logits.length > MOST_KEPT) {
      full = true;
      return;
    }
    const best = argmax(logits);
    const p = softmax(logits);
    likeliest.push(best);
    probabilities.push(Float32Array.from(p));
    nll -= Math.log(p[token] as number);
    for (const [i, temperature] of TEMPERATURES.entries())
      flips[i] = (flips[i] as number) + 1 - atHeat(logits, best, temperature);
  });
  const count = likeliest.length;
  return { maxTokens: most, likeliest, probabilities, softmaxFlips: flips.map((sum) => sum / count), nll: nll / count };
}

/** p_T of the likeliest token. */
function atHeat(logits: Float32Array, best: number, temperature: number): number {
  const max = logits[best] as number;
  let sum = 0;
  for (const z of logits) sum += Math.exp((z - max) / temperature);
  return 1 / sum;
}

async function readMoved(model: Model, text: string, clean: Clean, options: ScoreOptions): Promise<Reading> {
  let flips = 0;
  let divergence = 0;
  let nll = 0;
  const count = clean.likeliest.length;
  await model.score(text, { ...options, maxTokens: clean.maxTokens }, ({ position, token, logits }) => {
    const best = clean.likeliest[position];
    if (best === undefined) return;
    if (argmax(logits) !== best) flips++;
    const p = softmax(logits);
    nll -= Math.log(Math.max(p[token] as number, Number.MIN_VALUE));
    divergence += kl(clean.probabilities[position] as Float32Array, p);
  });
  return { flips: flips / count, kl: divergence / count, nll: nll / count };
}
