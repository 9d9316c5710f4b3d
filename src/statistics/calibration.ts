// What sigma means: weight noise is put beside softmax sampling by how often each picks another token than the clean model's likeliest, given
// the same text so far (the flip rate). Pure functions over a profile that src/llama/calibrate.ts measures.

import { BrownianError, checkNumber, checkObject, shown } from "../errors.js";
import { interpolate, interpolatePowers, monotone } from "./curves.js";

/** What was measured at one sigma. Rates are per token of this text; intervals are 95 %, over draws of the weights (Student's t). */
export interface NoisePoint {
  /** Standard deviation of the noise, in units of `settings.scale`. */
  readonly sigma: number;
  /** Share of tokens at which another one than the clean model's likeliest was picked, 0 to 1. */
  readonly flipRate: number;
  /** Lower end of the 95 % interval of `flipRate`. */
  readonly low: number;
  /** Upper end of the 95 % interval of `flipRate`. */
  readonly high: number;
  /** The curve of flip rates through all sigmas (`smooth`), which the map goes by. */
  readonly smoothed: number;
  /** Standard error of the logarithm of `smoothed`. */
  readonly error: number;
  /** Mean KL(clean || moved), nats a token. */
  readonly kl: number;
  /** Negative log-likelihood of the text under the moved model, nats a token. */
  readonly nll: number;
  /** Draws of the weights that read the text; all as many as the settings say where this is left out. */
  readonly draws?: number;
}

/** Softmax sampling at one temperature: the mean of 1 - p_T(likeliest token), which needs no sampling. */
export interface SoftmaxPoint {
  /** Temperature of softmax, above 0. */
  readonly temperature: number;
  /** Mean of 1 - p_T(likeliest), 0 to 1. */
  readonly flipRate: number;
}

/** The map between sigma and temperature of one model on one text. */
export interface Profile {
  /** What the file is, for whoever finds it. */
  readonly format: "brownian-calibration";
  /** Of the file's layout. */
  readonly version: 3;
  /** Which model was measured. */
  readonly model: {
    /** Name of its file. */
    readonly file: string;
    /** Size of its file. */
    readonly bytes: number;
    /** Hexadecimal. */
    readonly sha256: string;
  };
  /** The text that it was measured on. */
  readonly text: {
    /** Hexadecimal. */
    readonly sha256: string;
    /** How many were read. */
    readonly tokens: number;
  };
  /** How the weights were moved. */
  readonly settings: {
    /** What sigma is relative to: a name in `SCALES`. */
    readonly scale: string;
    /** How moves were put on the grid of codes. */
    readonly rounding: string;
    /** Of what sigma is the standard deviation: "tensor", of all weights of a tensor together. */
    readonly dose: string;
    /** A name in `DYNAMICS`. */
    readonly dynamics: string;
    /** "adapter" where the noise was of low rank; moves in the live copy where this is left out. */
    readonly carrier?: string;
    /** Of that noise. */
    readonly rank?: number;
    /** Decimal. */
    readonly seed: string;
    /** The most draws of the weights that a sigma was measured with. */
    readonly draws: number;
  };
  /** Of the clean model, nats a token. */
  readonly nll: number;
  /** Rising in sigma. */
  readonly noise: readonly NoisePoint[];
  /** Rising in temperature. */
  readonly softmax: readonly SoftmaxPoint[];
  /** From where on the noise costs more than `nats` a token on the text: beyond, the model is not made different but worse. */
  readonly breaking: {
    /** What may be lost, per token of the text. */
    readonly nats: number;
    /** The sigma that loses so much. */
    readonly sigma: number;
    /** The temperature of softmax with the same flip rate. */
    readonly temperature: number;
  };
}

/**
 * The flip rate of softmax at a temperature: the mean of 1 - p_T(likeliest), linear between the measured temperatures; 0 at 0.
 * @throws BrownianError usage for a temperature below 0 or beyond the last measured one
 *
 * @example
 * const profile = JSON.parse(await readFile("model.calibration.json", "utf8"));
 * softmaxFlipRate(profile, 0.3); // 0.209: about one token in five is not the likeliest
 */
export function softmaxFlipRate(profile: Profile, temperature: number): number {
  checkProfile(profile);
  const points = profile.softmax;
  const [first, last] = [points[0] as SoftmaxPoint, points[points.length - 1] as SoftmaxPoint];
  if (!(typeof temperature === "number" && temperature >= 0 && temperature <= last.temperature))
    throw new BrownianError(
      "usage",
      `The weights' temperature must be a number from 0 to ${last.temperature}, but is ${shown(temperature)}.`,
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

/**
 * The flip rate that is expected at a sigma (at least 0, in units of RMS): a power of sigma between the measured ones, in proportion to it below
 * the first, and beyond the last that of the last.
 *
 * @example
 * noiseFlipRate(profile, weightSigma(profile, 0.3)) - softmaxFlipRate(profile, 0.3); // 0, within rounding
 */
export function noiseFlipRate(profile: Profile, sigma: number): number {
  checkProfile(profile);
  return interpolatePowers(sigmasOf(profile), ratesOf(profile), checkNumber("sigma", sigma, 0));
}

/**
 * 95 % of where {@link weightSigma} would be if more draws had been taken: where the curve reaches the flip rate times e^(-+1.96 error), with the
 * standard error of its logarithm. About the text of the profile; another text is another question.
 * @throws BrownianError usage as {@link weightSigma}
 *
 * @example
 * const [low, high] = weightSigmaInterval(profile, 0.3); // 0.112 to 0.117
 */
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

/**
 * Where the noise begins to cost more than `nats` a token on the text (at least 0), as sigma in units of RMS and as the temperature that is as
 * surprising; the last sigma where none does.
 */
export function breakingPoint(
  { nll, noise, softmax }: Pick<Profile, "nll" | "noise" | "softmax">,
  nats: number,
): Profile["breaking"] {
  const sigmas = noise.map((p) => p.sigma);
  const costs = monotone(noise.map((p) => p.nll - nll));
  const sigma = nats >= (costs.at(-1) as number) ? (sigmas.at(-1) as number) : interpolate([0, ...costs], [0, ...sigmas], nats);
  const rate = interpolate([0, ...sigmas], [0, ...monotone(noise.map((p) => p.smoothed))], sigma);
  const rates = softmax.map((p) => p.flipRate);
  const temperature = interpolate([0, ...rates], [0, ...softmax.map((p) => p.temperature)], rate);
  return { nats, sigma, temperature };
}

const sigmasOf = (profile: Profile): number[] => profile.noise.map((p) => p.sigma);
const ratesOf = (profile: Profile): number[] => monotone(profile.noise.map((p) => p.smoothed));

const round = (x: number) => Number(x.toPrecision(3));

/** What is computed with, of the points of a calibration. */
const NUMBERS = { noise: ["sigma", "smoothed", "error"], softmax: ["temperature", "flipRate"] } as const;

/** Throws a `usage` error unless `profile` has points with the numbers that the map is made of. */
export function checkProfile(profile: Profile): void {
  checkObject("profile, a calibration,", profile);
  const good = (["noise", "softmax"] as const).every((name) => {
    const points: readonly unknown[] = Array.isArray(profile[name]) ? profile[name] : [];
    const has = (point: unknown) =>
      NUMBERS[name].every((number) => Number.isFinite((point as Record<string, unknown> | null | undefined)?.[number]));
    return points.length > 0 && points.every(has);
  });
  if (good && Number.isFinite(profile.breaking?.sigma) && Number.isFinite(profile.breaking.temperature)) return;
  throw new BrownianError("usage", "profile is no calibration: give what calibrate() returned, or the JSON of its file.");
}
