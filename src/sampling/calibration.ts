// What sigma means: weight noise is put beside softmax sampling by how often each picks another token than the clean model's likeliest, given
// the same text so far (the flip rate). Pure functions over a profile that src/llama/calibrate.ts measures.

import { BrownianError } from "../errors.js";

/** What was measured at one sigma. Rates are per token of this text; intervals are 95 %, over draws of the weights (Student's t). */
export interface NoisePoint {
  readonly sigma: number;
  readonly flipRate: number;
  readonly low: number;
  readonly high: number;
  /** The curve through all sigmas (`smooth`), which the map goes by, and the standard error of its logarithm. */
  readonly smoothed: number;
  readonly error: number;
  /** Mean KL(clean || moved), nats a token. */
  readonly kl: number;
  /** Negative log-likelihood of the text under the moved model, nats a token. */
  readonly nll: number;
}

/** Softmax sampling at one temperature: the mean of 1 - p_T(likeliest token), which needs no sampling. */
export interface SoftmaxPoint {
  readonly temperature: number;
  readonly flipRate: number;
}

/** The map between sigma and temperature of one model on one text. */
export interface Profile {
  readonly format: "brownian-calibration";
  readonly version: 2;
  readonly model: { readonly file: string; readonly bytes: number; readonly sha256: string };
  readonly text: { readonly sha256: string; readonly tokens: number };
  readonly settings: {
    readonly scale: string;
    readonly rounding: string;
    readonly dynamics: string;
    readonly seed: string;
    readonly draws: number;
  };
  /** Of the clean model, nats a token. */
  readonly nll: number;
  /** Rising in sigma. */
  readonly noise: readonly NoisePoint[];
  /** Rising in temperature. */
  readonly softmax: readonly SoftmaxPoint[];
  /** From where on the noise costs more than `nats` a token on the text: beyond, the model is not made different but worse. */
  readonly breaking: { readonly nats: number; readonly sigma: number; readonly temperature: number };
}

/** The flip rate of softmax at a temperature, between measured points. @throws BrownianError usage outside of them */
export function softmaxFlipRate(profile: Profile, temperature: number): number {
  const points = profile.softmax;
  const [first, last] = [points[0] as SoftmaxPoint, points[points.length - 1] as SoftmaxPoint];
  if (!(temperature >= 0 && temperature <= last.temperature))
    throw new BrownianError(
      "usage",
      `The weights' temperature must be a number from 0 to ${last.temperature}, but is ${temperature}.`,
    );
  if (temperature <= first.temperature) return (first.flipRate * temperature) / first.temperature;
  return interpolate(
    points.map((p) => p.temperature),
    points.map((p) => p.flipRate),
    temperature,
  );
}

/**
 * The sigma whose flip rate is that of softmax at `temperature`: the inverse of the smoothed flip rates, made monotone (pool adjacent violators)
 * where they are not, and interpolated as powers of sigma. 0 at 0.
 * @throws BrownianError usage beyond the breaking point, unless `force`d; or beyond what was measured
 *
 * @example
 * const sigma = weightSigma(profile, 0.3); // "as surprising as softmax at T = 0.3"
 */
export function weightSigma(profile: Profile, temperature: number, force = false): number {
  const target = softmaxFlipRate(profile, temperature);
  const { breaking } = profile;
  if (!force && temperature > breaking.temperature) {
    throw new BrownianError(
      "usage",
      `Moving weights cannot be as surprising as softmax at T = ${temperature} without breaking this model: from T = ${round(breaking.temperature)} ` +
        `(sigma ${round(breaking.sigma)}) on they cost it more than ${breaking.nats} nats a token. Take a lower one, or force it (generate: --force; compare goes --beyond).`,
    );
  }
  const last = ratesOf(profile).at(-1) as number;
  if (target > last) {
    throw new BrownianError(
      "usage",
      `Moving weights were measured up to flip rates of ${round(last)}, but softmax at T = ${temperature} has ${round(target)}: take a lower one.`,
    );
  }
  return interpolatePowers(ratesOf(profile), sigmasOf(profile), target);
}

/** The flip rate that is expected at a sigma, between measured points. */
export function noiseFlipRate(profile: Profile, sigma: number): number {
  return interpolatePowers(sigmasOf(profile), ratesOf(profile), sigma);
}

/** 95 % of where {@link weightSigma} would be if more draws had been taken: its own error, on the text of the profile. */
export function weightSigmaInterval(profile: Profile, temperature: number, force = false): [number, number] {
  const sigma = weightSigma(profile, temperature, force);
  const target = softmaxFlipRate(profile, temperature);
  const error = interpolate(
    sigmasOf(profile),
    profile.noise.map((p) => p.error),
    sigma,
  );
  const at = (rate: number) => interpolatePowers(ratesOf(profile), sigmasOf(profile), rate);
  return [at(target * Math.exp(-1.96 * error)), at(target * Math.exp(1.96 * error))];
}

const sigmasOf = (profile: Profile): number[] => profile.noise.map((p) => p.sigma);
const ratesOf = (profile: Profile): number[] => monotone(profile.noise.map((p) => p.smoothed));

/** Between the points a power of x, below the first in proportion to x, beyond the last the last. */
function interpolatePowers(x: readonly number[], y: readonly number[], at: number): number {
  const [x0, y0] = [x[0] as number, y[0] as number];
  if (at <= x0 || !(x0 > 0 && y0 > 0)) return interpolate([0, ...x], [0, ...y], at);
  return Math.exp(interpolate(x.map(Math.log), y.map(Math.log), Math.log(at)));
}

/** The closest rising sequence in the sense of least squares: pool adjacent violators (Ayer et al. 1955). */
export function monotone(values: readonly number[]): number[] {
  const pools: { sum: number; count: number }[] = [];
  for (const value of values) {
    let pool = { sum: value, count: 1 };
    for (let last = pools.at(-1); last !== undefined && last.sum / last.count > pool.sum / pool.count; last = pools.at(-1)) {
      pools.pop();
      pool = { sum: last.sum + pool.sum, count: last.count + pool.count };
    }
    pools.push(pool);
  }
  return pools.flatMap(({ sum, count }) => new Array<number>(count).fill(sum / count));
}

/** Linear between the points (x rising), the ends beyond them. Where x does not rise, the first y. */
export function interpolate(x: readonly number[], y: readonly number[], at: number): number {
  let i = x.findIndex((value) => value >= at);
  if (i === 0) return y[0] as number;
  if (i < 0) i = x.length - 1;
  const [x0, x1, y0, y1] = [x[i - 1], x[i], y[i - 1], y[i]] as [number, number, number, number];
  return x1 > x0 ? y0 + ((y1 - y0) * (Math.min(at, x1) - x0)) / (x1 - x0) : y0;
}

const round = (x: number) => Number(x.toPrecision(3));
