// What is said about predicted probabilities: accuracy, calibration, likelihood, uncertainty. Plain float64, no tensors: the autodiff library's
// logarithms are good to 1e-5 only. Predictions are laid out flat, [examples, classes].

import { BrownianError, checkInteger, checkList, checkNumber, shown } from "../errors.js";
import { argmax, entropy, softmax } from "../sampling/index.js";
import { checkLabel } from "./losses.js";
import { checkPositive } from "./schedules.js";

export { auroc } from "../statistics/scores.js";

/** Probabilities (or logits) of n examples, flat: example i's are elements i * classes to (i + 1) * classes - 1. */
export type Predictions = ArrayLike<number>;

/**
 * Softmax of every row: probabilities from logits, at a temperature.
 * @throws BrownianError usage for an empty set, a length that is no multiple of classes, logits that are no numbers, T <= 0
 *
 * @example
 * probabilities([2, 0, 0, 2], 2); // [0.88, 0.12, 0.12, 0.88]
 */
export function probabilities(logits: Predictions, classes: number, temperature = 1): Float64Array {
  checkPositive("temperature", temperature);
  checkList("logits", logits);
  const out = new Float64Array(logits.length);
  for (let i = 0; i < count(logits, classes); i++) out.set(softmax(row(logits, i, classes), { temperature }), i * classes);
  return out;
}

/**
 * The mean of several members' probabilities, as an ensemble predicts: sum w_m p_m / sum w_m.
 * @param weights one a member, at least 0: of samples at falling rates their rates (Welling & Teh 2011, eq. 11). Default: equal
 * @throws BrownianError usage for no members, members of unequal lengths, weights that do not fit or are all 0
 *
 * @example
 * ensemble([Float64Array.of(1, 0), Float64Array.of(0.5, 0.5)]); // [0.75, 0.25]
 */
export function ensemble(members: readonly Predictions[], weights?: readonly number[]): Float64Array {
  const [first] = Array.from(checkList("members", members));
  if (first === undefined) throw new BrownianError("usage", "An ensemble needs at least one member.");
  const shares = Array.from(checkList("weights", weights ?? new Array<number>(members.length).fill(1)));
  if (shares.length !== members.length)
    throw new BrownianError("usage", `There are ${members.length} members, but ${shares.length} weights.`);
  const total = shares.reduce((sum, w, m) => sum + checkNumber(`weight ${m}`, w, 0), 0);
  checkPositive("the sum of the weights", total);
  const out = new Float64Array(checkList("A member", first).length);
  Array.from(members).forEach((member, m) => {
    if (checkList("A member", member).length !== out.length)
      throw new BrownianError("usage", `The ensemble's members have ${out.length} and ${member.length} probabilities.`);
    const share = (shares[m] as number) / total;
    for (let i = 0; i < out.length; i++) out[i] = (out[i] as number) + share * (member[i] as number);
  });
  return out;
}

/**
 * The share of examples whose likeliest class is the label.
 * @throws BrownianError usage for an empty set, lengths that do not fit, labels out of range
 *
 * @example
 * accuracy([0.9, 0.1, 0.3, 0.7], [0, 0], 2); // 0.5
 */
export function accuracy(p: Predictions, labels: ArrayLike<number>, classes: number): number {
  const n = checkedCount(p, labels, classes);
  let right = 0;
  for (let i = 0; i < n; i++) if (argmax(row(p, i, classes)) === checkLabel(labels, i, classes)) right++;
  return right / n;
}

/**
 * The mean of -ln p(label), in nats; Infinity where a label was held impossible.
 * @throws BrownianError as {@link accuracy}
 *
 * @example
 * nll([0.5, 0.5], [0], 2); // 0.693
 */
export function nll(p: Predictions, labels: ArrayLike<number>, classes: number): number {
  const n = checkedCount(p, labels, classes);
  let sum = 0;
  for (let i = 0; i < n; i++) sum -= Math.log(p[i * classes + checkLabel(labels, i, classes)] as number);
  return sum / n;
}

/**
 * Brier (1950): the mean of sum_c (p_c - [c is the label])^2, from 0 to 2.
 * @throws BrownianError as {@link accuracy}
 *
 * @example
 * brier([0.75, 0.25], [0], 2); // 0.125
 */
export function brier(p: Predictions, labels: ArrayLike<number>, classes: number): number {
  const n = checkedCount(p, labels, classes);
  let sum = 0;
  for (let i = 0; i < n; i++) {
    const label = checkLabel(labels, i, classes);
    for (let c = 0; c < classes; c++) sum += ((p[i * classes + c] as number) - (c === label ? 1 : 0)) ** 2;
  }
  return sum / n;
}

/** The examples whose confidence (the largest probability) lies in (low, high]; the first bin has 0 as well. */
export interface ReliabilityBin {
  /** Confidence above which the bin begins. */
  readonly low: number;
  /** Confidence up to which it reaches. */
  readonly high: number;
  /** How many examples lie in it. */
  readonly count: number;
  /** Share that was right; NaN in an empty bin. */
  readonly accuracy: number;
  /** Mean of the largest probability; NaN in an empty bin. */
  readonly confidence: number;
}

/**
 * The reliability diagram (Guo et al. 2017): confidence against accuracy in bins of equal width.
 * @param bins default 15, as in the paper
 * @throws BrownianError as {@link accuracy}; usage for bins below 1
 *
 * @example
 * reliability([0.8, 0.2, 0.8, 0.2], [0, 1], 2).find(({ count }) => count > 0); // accuracy 0.5, confidence 0.8
 */
export function reliability(p: Predictions, labels: ArrayLike<number>, classes: number, bins = 15): ReliabilityBin[] {
  const n = checkedCount(p, labels, classes);
  checkInteger("bins", bins, 1);
  const sums = Array.from({ length: bins }, () => ({ count: 0, right: 0, confidence: 0 }));
  for (let i = 0; i < n; i++) {
    const predicted = argmax(row(p, i, classes));
    const confidence = p[i * classes + predicted] as number;
    const bin = sums[Math.min(Math.max(Math.ceil(confidence * bins) - 1, 0), bins - 1)] as (typeof sums)[number];
    bin.count++;
    bin.confidence += confidence;
    if (predicted === checkLabel(labels, i, classes)) bin.right++;
  }
  return sums.map(({ count, right, confidence }, b) => ({
    low: b / bins,
    high: (b + 1) / bins,
    count,
    accuracy: right / count,
    confidence: confidence / count,
  }));
}

/**
 * Expected calibration error (Naeini et al. 2015): sum over bins of (count / n) |accuracy - confidence|, from 0 to 1.
 * @throws BrownianError as {@link reliability}
 *
 * @example
 * ece([0.8, 0.2, 0.8, 0.2], [0, 1], 2); // 0.3: half were right, with confidence 0.8
 */
export function ece(p: Predictions, labels: ArrayLike<number>, classes: number, bins = 15): number {
  const filled = reliability(p, labels, classes, bins).filter((bin) => bin.count > 0);
  return filled.reduce((sum, bin) => sum + (bin.count / labels.length) * Math.abs(bin.accuracy - bin.confidence), 0);
}

/**
 * The entropy of every example's prediction, in nats: 0 where it is sure, ln classes where it knows nothing.
 *
 * @example
 * predictiveEntropies([0.5, 0.5, 1, 0], 2); // Float64Array [0.693, 0]
 */
export function predictiveEntropies(p: Predictions, classes: number): Float64Array {
  return Float64Array.from({ length: count(p, classes) }, (_, i) => entropy(row(p, i, classes)));
}

/**
 * The mean of {@link predictiveEntropies}.
 * @throws BrownianError usage for an empty set
 *
 * @example
 * predictiveEntropy([0.5, 0.5, 1, 0], 2); // 0.347
 */
export function predictiveEntropy(p: Predictions, classes: number): number {
  const all = predictiveEntropies(p, classes);
  return all.reduce((sum, h) => sum + h, 0) / all.length;
}

/** How many examples there are. */
function count(p: Predictions, classes: number): number {
  checkInteger("classes", classes, 1);
  checkList("predictions", p);
  if (p.length === 0) throw new BrownianError("usage", "There are no predictions: the set is empty. Give at least one example.");
  if (p.length % classes !== 0)
    throw new BrownianError(
      "usage",
      `${p.length} predictions are no multiple of ${classes} classes: they are laid out flat, [examples, classes].`,
    );
  return p.length / classes;
}

function checkedCount(p: Predictions, labels: ArrayLike<number>, classes: number): number {
  const n = count(p, classes);
  checkList("labels", labels);
  if (labels.length !== n)
    throw new BrownianError(
      "usage",
      `There are predictions for ${n} examples, but ${labels.length} labels: they must be of the same set.`,
    );
  return n;
}

function row(p: Predictions, i: number, classes: number): Float64Array {
  return Float64Array.from({ length: classes }, (_, c) => {
    const value: unknown = p[i * classes + c];
    if (typeof value !== "number")
      throw new BrownianError("usage", `Predictions must be numbers, but there is ${shown(value)} among them.`);
    return value;
  });
}
