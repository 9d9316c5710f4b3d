// What scores are worth: whether they are higher where they should be (AUROC), whether they rank alike (Spearman), and the best of several of them
// together (logistic regression). Pure functions.

import { BrownianError, checkList, shown } from "../errors.js";
import { inverted } from "./rates.js";

/**
 * Area under the ROC curve of a score that should be higher on `positive` (outsiders, say, by their entropy) than on `negative`:
 * P(score+ > score-) + P(score+ = score-) / 2 (Mann & Whitney 1947). 1/2: tells nothing.
 * @throws BrownianError usage where one of the two is empty
 *
 * @example
 * auroc([0.9, 0.4], [0.1, 0.5]); // 0.75: three of four pairs are in order
 */
export function auroc(positive: ArrayLike<number>, negative: ArrayLike<number>): number {
  checkList("positive", positive);
  checkList("negative", negative);
  for (const scores of [positive, negative])
    for (const score of Array.from(scores))
      if (typeof score !== "number") throw new BrownianError("usage", `A score must be a number, but is ${shown(score)}.`);
  if (positive.length === 0 || negative.length === 0)
    throw new BrownianError("usage", "auroc compares two sets of scores, and one of them is empty.");
  const below = Float64Array.from(negative).sort();
  let sum = 0;
  for (let i = 0; i < positive.length; i++) {
    const score = positive[i] as number;
    sum += (lowerBound(below, score, false) + lowerBound(below, score, true)) / 2;
  }
  return sum / positive.length / negative.length;
}

/** How many elements of a sorted array are below `value`; `inclusive`: at most `value`. */
function lowerBound(sorted: Float64Array, value: number, inclusive: boolean): number {
  let [lo, hi] = [0, sorted.length];
  while (lo < hi) {
    const mid = (lo + hi) >> 1;
    const at = sorted[mid] as number;
    if (at < value || (inclusive && at === value)) lo = mid + 1;
    else hi = mid;
  }
  return lo;
}

/** Ranks from 1 on, equal values sharing the mean of theirs. */
export function ranks(values: readonly number[]): number[] {
  const order = [...values.keys()].sort((a, b) => (values[a] as number) - (values[b] as number));
  const out = new Array<number>(values.length);
  for (let first = 0; first < order.length; ) {
    let last = first;
    while (last + 1 < order.length && values[order[last + 1] as number] === values[order[first] as number]) last++;
    for (let i = first; i <= last; i++) out[order[i] as number] = (first + last) / 2 + 1;
    first = last + 1;
  }
  return out;
}

/**
 * Spearman's rank correlation of two lists of equal length: the correlation of their {@link ranks}, -1 to 1; 0 where one of them is all alike.
 * @throws BrownianError usage for lists of different lengths, or shorter than two
 *
 * @example
 * spearman([1, 2, 3], [10, 40, 20]); // 0.5
 */
export function spearman(a: readonly number[], b: readonly number[]): number {
  if (a.length !== b.length || a.length < 2)
    throw new BrownianError(
      "usage",
      `Ranks are compared of lists of equal length, two or more, not of ${a.length} and ${b.length}.`,
    );
  const [x, y] = [ranks(a), ranks(b)];
  const mean = (a.length + 1) / 2;
  const sum = (of: (i: number) => number) => x.reduce((total, _, i) => total + of(i), 0);
  const [dx, dy] = [(i: number) => (x[i] as number) - mean, (i: number) => (y[i] as number) - mean];
  const size = Math.sqrt(sum((i) => dx(i) ** 2) * sum((i) => dy(i) ** 2));
  return size === 0 ? 0 : sum((i) => dx(i) * dy(i)) / size;
}

/** A logistic regression: P(right) = 1 / (1 + e^-(intercept + sum weights (x - means) / spreads)). */
export interface Logistic {
  readonly intercept: number;
  /** Of each score, in units of its own spread. */
  readonly weights: readonly number[];
  readonly means: readonly number[];
  readonly spreads: readonly number[];
}

/** Weight of the squares of the weights: keeps what separates its examples perfectly from growing for ever (ridge). */
const RIDGE = 1;
const STEPS = 50;

/**
 * Fits {@link Logistic} by Newton's method with a ridge penalty of 1/2 on the weights of standardised scores (Hoerl & Kennard 1970; le Cessie & van
 * Houwelingen 1992).
 * @param rows of scores, one an example
 * @param right of each example
 */
export function fitLogistic(rows: readonly (readonly number[])[], right: readonly boolean[]): Logistic {
  const width = rows[0]?.length ?? 0;
  const column = (j: number) => rows.map((row) => row[j] as number);
  const means = Array.from({ length: width }, (_, j) => column(j).reduce((sum, x) => sum + x, 0) / rows.length);
  const spreads = means.map((mean, j) => Math.sqrt(column(j).reduce((sum, x) => sum + (x - mean) ** 2, 0) / rows.length) || 1);
  const design = rows.map((row) => [1, ...row.map((x, j) => (x - (means[j] as number)) / (spreads[j] as number))]);
  let beta = new Array<number>(width + 1).fill(0);
  const ridge = (a: number) => (a === 0 ? 0 : RIDGE);
  for (let step = 0; step < STEPS; step++) {
    const p = design.map((row) => sigmoid(row.reduce((sum, x, a) => sum + x * (beta[a] as number), 0)));
    const gradient = beta.map(
      (b, a) =>
        design.reduce((sum, row, i) => sum + (row[a] as number) * ((right[i] ? 1 : 0) - (p[i] as number)), 0) - ridge(a) * b,
    );
    const curvature = beta.map((_, a) =>
      beta.map(
        (__, b) =>
          design.reduce((sum, row, i) => {
            const q = p[i] as number;
            return sum + (row[a] as number) * (row[b] as number) * Math.max(q * (1 - q), 1e-9);
          }, 0) + (a === b ? ridge(a) + 1e-9 : 0),
      ),
    );
    const move = inverted(curvature).map((row) => row.reduce((sum, x, b) => sum + x * (gradient[b] as number), 0));
    beta = beta.map((b, a) => b + (move[a] as number));
    if (Math.max(...move.map(Math.abs)) < 1e-10) break;
  }
  const [intercept = 0, ...weights] = beta;
  return { intercept, weights, means, spreads };
}

/** What the regression says of an example: the probability that it is right. */
export function logisticOf({ intercept, weights, means, spreads }: Logistic, row: readonly number[]): number {
  const sum = (total: number, w: number, j: number) =>
    total + (w * ((row[j] as number) - (means[j] as number))) / (spreads[j] as number);
  return sigmoid(weights.reduce(sum, intercept));
}

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));
