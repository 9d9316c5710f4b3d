// Tunes the dial of every method, so that at each level all flip as often as softmax does there, on the windows of the text that are for tuning.

import { setImmediate } from "node:timers/promises";
import { noiseFlipRate, weightSigma } from "../statistics/calibration.js";
import { average } from "../statistics/rates.js";
import { METHODS, type MethodName } from "./methods.js";
import type { Windows } from "./plan.js";
import { Clean, logitFlips, readMoving } from "./reading.js";
import { at, type Records } from "./records.js";
import type { Steps } from "./steps.js";

/** The sigma of the logits is looked for up to this many temperatures, in a range that is halved so often. Equal variance would be at 1.28. */
const LARGEST_LOGIT_SIGMA = 8;
const LOGIT_HALVINGS = 12;
/** The factor of a dynamics is looked for between these, in a range whose ratio is halved so often. */
const FACTORS = [1 / 4, 4] as const;
const FACTOR_HALVINGS = 40;

/** The dials of all methods at all levels. Beyond the breaking point those of weights are what the calibration says, times their factor. */
export async function tuned(steps: Steps, windows: Windows): Promise<Pick<Records, "dials" | "factors">> {
  const { methods, levels, beyond } = steps.settings;
  const every = [...levels, ...beyond];
  const dials: Record<string, number> = {};
  const factors: Record<string, number> = {};
  const clean = await Clean.read(steps, "tune", windows, every);
  for (const level of every) dials[at("softmax", level)] = level;
  if (methods.includes("logits")) for (const level of every) dials[at("logits", level)] = await logitSigma(steps, level, clean);
  for (const method of methods) {
    if (METHODS[method].dynamics === undefined) continue;
    const factor = await weightFactor(steps, method, clean);
    factors[method] = factor;
    for (const level of every) dials[at(method, level)] = rounded(factor * weightSigma(steps.options.profile, level, true));
  }
  return { dials, factors };
}

/** The sigma of the logits that flips as often as softmax at this temperature, by halving: with the same noise flips rise with sigma, on average. */
async function logitSigma({ noise, options }: Steps, level: number, clean: Clean): Promise<number> {
  const stream = noise.stream("tune logits");
  const target = average(clean.softmaxFlips(level));
  let [low, high] = [0, LARGEST_LOGIT_SIGMA * level];
  for (let i = 0; i < LOGIT_HALVINGS; i++) {
    await setImmediate(); // for Ctrl-C
    options.signal?.throwIfAborted();
    const middle = (low + high) / 2;
    if (average(await logitFlips(clean, stream, middle)) < target) low = middle;
    else high = middle;
  }
  return rounded((low + high) / 2);
}

/**
 * One factor for each dynamics on what the calibration says of quenched weights, so that the flips of all levels together are softmax's:
 * sum_l m_l F(g sigma_l) / F(sigma_l) = sum_l s_l, with m_l and s_l the measured flips of both and F the calibration's curve.
 */
async function weightFactor(steps: Steps, method: MethodName, clean: Clean): Promise<number> {
  const { profile } = steps.options;
  const measured: { sigma: number; flips: number }[] = [];
  let target = 0;
  for (const level of steps.settings.levels) {
    const sigma = rounded(weightSigma(profile, level));
    const { flips } = await readMoving(steps, method, level, sigma, clean);
    measured.push({ sigma, flips: average(flips) });
    target += average(clean.softmaxFlips(level).slice(0, flips.length)); // of the same windows
  }
  const expected = (factor: number) =>
    measured.reduce(
      (sum, { sigma, flips }) => sum + (flips * noiseFlipRate(profile, factor * sigma)) / noiseFlipRate(profile, sigma),
      0,
    );
  let [low, high]: [number, number] = [...FACTORS];
  for (let i = 0; i < FACTOR_HALVINGS; i++) {
    const middle = Math.sqrt(low * high);
    if (expected(middle) < target) low = middle;
    else high = middle;
  }
  return rounded(Math.sqrt(low * high));
}

/** Dials are said with four digits, and are what is said. */
export function rounded(x: number): number {
  return Number(x.toPrecision(4));
}
