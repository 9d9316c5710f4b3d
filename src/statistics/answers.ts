// What is said of several answers to each of several questions: how often one is right, how often at least one of k is, what they agree on, and how
// honest their confidence is. Pure functions.

import { BrownianError } from "../errors.js";

/**
 * pass@k (Chen et al. 2021, eq. 1): the probability that of k answers drawn without replacement from n, of which c are right, at least one is:
 * 1 - C(n - c, k) / C(n, k). Unbiased for every k up to n.
 * @throws BrownianError usage for k above n
 *
 * @example
 * passAtK(4, 1, 2); // 0.5
 */
export function passAtK(n: number, c: number, k: number): number {
  if (!(k >= 1 && k <= n)) throw new BrownianError("usage", `Of ${n} answers, k must be 1 to ${n}, but is ${k}.`);
  let missed = 1;
  for (let i = 0; i < k; i++) missed *= Math.max(0, n - c - i) / (n - i);
  return 1 - missed;
}

/**
 * How often each of some answers was given, the most frequent first, those as frequent in the order of their first.
 *
 * @example
 * tally(["a", "b", "b"]); // [["b", 2], ["a", 1]]
 */
export function tally(answers: readonly string[]): [answer: string, count: number][] {
  const counts = new Map<string, number>();
  for (const answer of answers) counts.set(answer, (counts.get(answer) ?? 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1]);
}

/** Shannon's entropy of the answers' shares, in nats: 0 where all agree (semantic entropy: Kuhn et al. 2023, with equal answers as one meaning). */
export function answerEntropy(answers: readonly string[]): number {
  return tally(answers).reduce((sum, [, count]) => {
    const share = count / answers.length;
    return sum - share * Math.log(share);
  }, 0);
}

/** Brier (1950) of one answer: the mean of (confidence - [right])^2, 0 to 1. */
export function brierOf(confidences: readonly number[], right: readonly boolean[]): number {
  return confidences.reduce((sum, c, i) => sum + (c - (right[i] ? 1 : 0)) ** 2, 0) / confidences.length;
}

/** ECE of one answer (Naeini et al. 2015): sum over equally wide bins of (count / n) |share right - mean confidence|, 0 to 1. */
export function calibrationErrorOf(confidences: readonly number[], right: readonly boolean[], bins = 10): number {
  const gaps = new Float64Array(bins);
  for (const [i, c] of confidences.entries()) {
    const bin = Math.min(bins - 1, Math.max(0, Math.ceil(c * bins) - 1));
    gaps[bin] = (gaps[bin] as number) + (right[i] ? 1 : 0) - c;
  }
  return gaps.reduce((sum, gap) => sum + Math.abs(gap), 0) / confidences.length;
}
