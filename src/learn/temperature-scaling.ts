// Temperature scaling (Guo, Pleiss, Sun & Weinberger, "On Calibration of Modern Neural Networks", ICML 2017): one number T, fitted on data
// that the network has not seen, makes its probabilities honest and changes no answer. In float64, without autodiff: one dimension, convex,
// with both derivatives in closed form.
//
//   L(beta) = 1/n sum_i [ln sum_j e^(beta z_ij) - beta z_iy],   beta = 1/T
//   L'      = 1/n sum_i [E_i - z_iy],   L'' = 1/n sum_i Var_i,  mean and variance of z_i under softmax(beta z_i)

import { BrownianError, checkInteger, checkList } from "../errors.js";
import { checkLabel } from "./losses.js";
import type { Predictions } from "./metrics.js";

/** What {@link fitTemperature} found. */
export interface TemperatureFit {
  /** Divide logits by this. Above 1: the network was too sure of itself. */
  readonly temperature: number;
  /**
   * Of the temperature, from the held-out data's size and scatter: sqrt(sum_i g_i^2) / (n L'') T^2, g_i the terms of L' (Huber 1967; White
   * 1982).
   */
  readonly standardError: number;
  /** Mean negative log-likelihood in nats at T = 1. */
  readonly nllBefore: number;
  /** Mean negative log-likelihood in nats at the temperature. */
  readonly nll: number;
}

/** Derivatives end below this, relative to the spread of the logits. */
const TOLERANCE = 1e-13;
const STEPS_AT_MOST = 200;

/**
 * The temperature with the least negative log-likelihood on held-out data: T = argmin_T -1/n sum_i ln softmax(z_i / T)_y (Guo et al. 2017,
 * section 4.2). L is convex in 1/T, so there is one; Newton's method inside a bracket finds it to the last digits.
 *
 * @param logits finite, flat, [examples, classes]; not of the data that the network was trained on: there it is sure of itself and right
 * @param labels one an example, 0 to classes - 1
 * @throws BrownianError usage for an empty set, shapes that do not fit, labels out of range, logits that are not finite, and where no
 *   finite T above 0 is best: every label has the largest logit (T would fall to 0), or logits say nothing about labels (T would rise
 *   without end)
 *
 * @example
 * const { temperature } = fitTemperature([4, 0, 4, 0, 4, 0], [0, 0, 1], 2); // 5.77: two right of three, 4 / ln 2
 * softmax([4, 0], { temperature }); // Float64Array [0.667, 0.333]
 */
export function fitTemperature(logits: Predictions, labels: ArrayLike<number>, classes: number): TemperatureFit {
  checkRows(logits, labels, classes);
  const rows = centred(logits, labels, classes);
  if (rows.largest === 0 && !rows.missed)
    throw new BrownianError("usage", "All logits of a row are equal, in every row: no temperature changes such predictions.");
  if (!rows.missed)
    throw new BrownianError(
      "usage",
      `Every one of the ${labels.length} labels has the largest logit: the colder the better, without end. Hold out more data, and none that the network was trained on.`,
    );
  const scale = rows.largest;
  if (derivatives(rows, 0).first >= -TOLERANCE * scale)
    throw new BrownianError(
      "usage",
      `The logits say nothing about the labels (mean logit of the label: not above the mean of all): the hotter the better, without end. Are rows and labels in the same order?`,
    );
  // L' < 0 at `low` and > 0 at `high`.
  let [low, high] = [0, 1 / scale];
  while (derivatives(rows, high).first < 0) [low, high] = [high, 2 * high];
  let beta = low < 1 && 1 < high ? 1 : (low + high) / 2;
  for (let step = 0; step < STEPS_AT_MOST; step++) {
    const { first, second } = derivatives(rows, beta);
    if (Math.abs(first) <= TOLERANCE * scale) break;
    if (first < 0) low = beta;
    else high = beta;
    const newton = beta - first / second;
    const next = newton > low && newton < high ? newton : (low + high) / 2;
    if (next === beta) break;
    beta = next;
  }
  const { second, squares } = derivatives(rows, beta);
  const n = labels.length;
  return {
    temperature: 1 / beta,
    standardError: Math.sqrt(squares) / (n * second) / beta ** 2,
    nllBefore: meanNll(rows, 1),
    nll: meanNll(rows, beta),
  };
}

/** Rows relative to their largest logit, so that no exponent is above 0. */
interface Rows {
  readonly logits: Float64Array;
  readonly labels: ArrayLike<number>;
  readonly classes: number;
  /** The largest distance from a row's largest logit. */
  readonly largest: number;
  /** Whether some label has not its row's largest logit. */
  readonly missed: boolean;
}

function centred(logits: Predictions, labels: ArrayLike<number>, classes: number): Rows {
  const out = Float64Array.from(logits);
  let largest = 0;
  let missed = false;
  for (let i = 0; i < labels.length; i++) {
    const row = out.subarray(i * classes, (i + 1) * classes);
    row.forEach((z, j) => {
      if (!Number.isFinite(z))
        throw new BrownianError("usage", `The logit of class ${j} in row ${i} is ${z}: temperatures are fitted to finite ones.`);
    });
    const max = Math.max(...row);
    row.forEach((z, j) => {
      row[j] = z - max;
      largest = Math.max(largest, max - z);
    });
    if (row[labels[i] as number] !== 0) missed = true;
  }
  return { logits: out, labels, classes, largest, missed };
}

/** L', L'' and the sum of squares of the terms of L'. */
function derivatives({ logits, labels, classes }: Rows, beta: number): { first: number; second: number; squares: number } {
  let [first, second, squares] = [0, 0, 0];
  for (let i = 0; i < labels.length; i++) {
    let [sum, mean, square] = [0, 0, 0];
    for (let j = i * classes; j < (i + 1) * classes; j++) {
      const z = logits[j] as number;
      const e = Math.exp(beta * z);
      sum += e;
      mean += e * z;
      square += e * z * z;
    }
    mean /= sum;
    const term = mean - (logits[i * classes + (labels[i] as number)] as number);
    first += term;
    second += Math.max(0, square / sum - mean * mean);
    squares += term * term;
  }
  return { first: first / labels.length, second: second / labels.length, squares };
}

function meanNll({ logits, labels, classes }: Rows, beta: number): number {
  let total = 0;
  for (let i = 0; i < labels.length; i++) {
    let sum = 0;
    for (let j = i * classes; j < (i + 1) * classes; j++) sum += Math.exp(beta * (logits[j] as number));
    total += Math.log(sum) - beta * (logits[i * classes + (labels[i] as number)] as number);
  }
  return total / labels.length;
}

function checkRows(logits: Predictions, labels: ArrayLike<number>, classes: number): void {
  checkInteger("classes", classes, 2);
  checkList("labels", labels);
  checkList("logits", logits);
  if (labels.length === 0)
    throw new BrownianError(
      "usage",
      "The calibration set is empty: hold out some labelled data, a few hundred examples at least.",
    );
  if (logits.length !== labels.length * classes)
    throw new BrownianError(
      "usage",
      `There are ${logits.length} logits, but ${labels.length} labels and ${classes} classes make ${labels.length * classes}: they are laid out flat, [examples, classes].`,
    );
  for (let i = 0; i < labels.length; i++) checkLabel(labels, i, classes);
}
