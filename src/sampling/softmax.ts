// Softmax and its relatives, in float64: from logits to probabilities at a temperature, and what is said about them. Pure functions.
//
//   p_i = e^(z_i / T) / sum_j e^(z_j / T)
//
// With energies E_i = -z_i this is Boltzmann's law p_i ~ e^(-E_i / kT). All usual ways to write the same parameter: the temperature T, the inverse
// temperature beta = 1 / (k T), a base b = e^beta with p_i ~ b^(z_i).

import { BrownianError, checkList, shown } from "../errors.js";
import { checkOptions, type Names } from "../options.js";

/** Logits of any kind: numbers, of which -Infinity means impossible. */
export type Logits = ArrayLike<number>;

/**
 * One of the ways to say how hot; none means T = 1.
 *
 * - `temperature`: T, at least 0; default 1. With `k`, Boltzmann's constant in the units of the logits, above 0; default 1.
 * - `beta`: the inverse temperature 1 / (k T), at least 0.
 * - `base`: b = e^beta, at least 1.
 */
export type Heat =
  | { readonly temperature?: number; readonly k?: number; readonly beta?: never; readonly base?: never }
  | { readonly beta: number; readonly temperature?: never; readonly k?: never; readonly base?: never }
  | { readonly base: number; readonly temperature?: never; readonly k?: never; readonly beta?: never };

const HEAT: Names<Heat> = { temperature: true, k: true, beta: true, base: true };

/**
 * The inverse temperature beta of a heat: 1 / (k T), itself, or ln b. T = 0 gives Infinity (the argmax), T = Infinity gives 0 (uniform).
 * @throws BrownianError usage for a temperature or beta below 0, k not above 0, a base below 1, or two ways at once
 *
 * @example
 * inverseTemperature({ temperature: 0.5 }); // 2
 */
export function inverseTemperature(heat: Heat = {}): number {
  const { temperature, k, beta, base } = checkOptions<Heat>("A heat", heat, HEAT);
  if ([temperature ?? k, beta, base].filter((given) => given !== undefined).length > 1)
    throw new BrownianError("usage", "Give one of temperature (with k), beta and base: they are ways to say the same.");
  if (beta !== undefined) return atLeast("beta", beta, 0);
  if (base !== undefined) return Math.log(atLeast("base", base, 1));
  const unit = k ?? 1;
  if (!(typeof unit === "number" && unit > 0 && unit < Infinity))
    throw new BrownianError("usage", `k must be a finite number above 0, but is ${shown(unit)}.`);
  return 1 / (unit * atLeast("temperature", temperature ?? 1, 0));
}

/**
 * log p_i = beta (z_i - max z) - ln sum_j e^(beta (z_j - max z)): finite for the largest logit whatever the others are. At T = 0 the largest
 * logits share; at T = Infinity all possible ones do.
 * @throws BrownianError usage where there is no logit above -Infinity, or one is NaN or +Infinity
 *
 * @example
 * logSoftmax([2, 1, -Infinity], { temperature: 0.5 }); // Float64Array [-0.1269, -2.1269, -Infinity]
 */
export function logSoftmax(logits: Logits, heat: Heat = {}): Float64Array {
  const beta = inverseTemperature(heat);
  const max = largest(logits);
  const out = new Float64Array(logits.length);
  let sum = 0;
  for (let i = 0; i < out.length; i++) {
    const z = logits[i] as number;
    // Neither 0 * Infinity nor Infinity * 0: an impossible logit stays so, the largest stays at 0.
    const scaled = z === -Infinity ? -Infinity : z === max ? 0 : beta * (z - max);
    out[i] = scaled;
    sum += Math.exp(scaled);
  }
  const total = Math.log(sum);
  for (let i = 0; i < out.length; i++) out[i] = (out[i] as number) - total;
  return out;
}

/**
 * p_i = e^(z_i / T) / sum_j e^(z_j / T): Boltzmann's law. Sums to 1 within rounding.
 * @throws BrownianError usage as {@link logSoftmax}
 *
 * @example
 * softmax([2, 1, 0], { temperature: 0 }); // Float64Array [1, 0, 0]
 */
export function softmax(logits: Logits, heat: Heat = {}): Float64Array {
  return logSoftmax(logits, heat).map(Math.exp);
}

/**
 * Shannon's entropy H(p) = -sum p ln p, in nats: 0 where one outcome is sure, ln n where n are equally likely.
 * @throws BrownianError usage for what is no probability
 *
 * @example
 * entropy([0.5, 0.5]); // 0.693
 */
export function entropy(probabilities: ArrayLike<number>): number {
  checkList("probabilities", probabilities);
  let sum = 0;
  for (let i = 0; i < probabilities.length; i++) {
    const p = probability(probabilities, i);
    if (p > 0) sum -= p * Math.log(p);
  }
  return sum;
}

/**
 * The cross-entropy H(p, q) = -sum p ln q = H(p) + KL(p || q), in nats; Infinity where q excludes what p allows.
 * @throws BrownianError usage for what is no probability, and for laws over different numbers of outcomes
 *
 * @example
 * crossEntropy([1, 0], [0.5, 0.5]); // 0.693
 */
export function crossEntropy(p: ArrayLike<number>, q: ArrayLike<number>): number {
  sameLength(p, q);
  let sum = 0;
  for (let i = 0; i < p.length; i++) if (probability(p, i) > 0) sum -= (p[i] as number) * Math.log(probability(q, i));
  return sum;
}

/**
 * KL(p || q) = sum p ln (p / q) (Kullback & Leibler 1951), in nats: at least 0; Infinity where q excludes what p allows.
 * @throws BrownianError usage as {@link crossEntropy}
 *
 * @example
 * kl([0.5, 0.5], [0.25, 0.75]); // 0.144
 */
export function kl(p: ArrayLike<number>, q: ArrayLike<number>): number {
  sameLength(p, q);
  let sum = 0;
  for (let i = 0; i < p.length; i++) {
    const [a, b] = [probability(p, i), probability(q, i)];
    if (a > 0) sum += a * Math.log(a / b);
  }
  return Math.max(sum, 0); // rounding may leave a little less
}

/**
 * The number of the largest logit: the first of them where several are.
 * @throws BrownianError usage as {@link logSoftmax}
 *
 * @example
 * argmax([0, 3, 3]); // 1
 */
export function argmax(logits: Logits): number {
  const max = largest(logits);
  let i = 0;
  while (logits[i] !== max) i++;
  return i;
}

function largest(logits: Logits): number {
  checkList("logits", logits);
  let max = -Infinity;
  for (let i = 0; i < logits.length; i++) {
    const z = logits[i] as number;
    if (!(typeof z === "number" && z < Infinity))
      throw new BrownianError("usage", `Logit ${i} is ${shown(z)}: a model that computes no numbers, or not logits.`);
    if (z > max) max = z;
  }
  if (max === -Infinity) throw new BrownianError("usage", "No logit is above -Infinity: there is nothing to choose from.");
  return max;
}

function atLeast(what: string, value: number, least: number): number {
  if (typeof value === "number" && value >= least) return value;
  throw new BrownianError("usage", `${what} must be a number, at least ${least}, but is ${shown(value)}.`);
}

function probability(of: ArrayLike<number>, i: number): number {
  const p = of[i] as number;
  if (typeof p === "number" && p >= 0 && p <= 1 + 1e-9) return p;
  throw new BrownianError(
    "usage",
    `Probability ${i} is ${shown(p)}, which is none: hand over the result of softmax, not logits.`,
  );
}

function sameLength(p: ArrayLike<number>, q: ArrayLike<number>): void {
  checkList("p", p);
  checkList("q", q);
  if (p.length !== q.length)
    throw new BrownianError("usage", `The two laws are over ${p.length} and ${q.length} outcomes: they must be the same ones.`);
}
