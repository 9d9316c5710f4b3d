// Two methods on the same questions: how small a difference can be seen, whether one was, and what is left of it among many. Pure functions.

/** Two-sided 5 %, and 80 % of the cases in which there is such a difference. */
const SIZE = 1.959964;
const POWER = 0.841621;

/**
 * The smallest difference of two shares on the same questions that a two-sided test at 5 % sees in 80 % of cases: (1.96 + 0.84) sqrt(d / n), where d
 * is the share of questions on which the two differ (McNemar; Connor 1987, in its leading term).
 * @param discordant d, above 0, at most 1
 *
 * @example
 * smallestDifference(100, 0.2); // 0.125: 12.5 percentage points
 */
export function smallestDifference(questions: number, discordant: number): number {
  return Math.min(1, (SIZE + POWER) * Math.sqrt(discordant / questions));
}

/**
 * The exact two-sided sign test of `better` against `worse` questions, those without a difference left out (McNemar's, exactly): P of so uneven a
 * split, or one more uneven, of fair coins.
 *
 * @example
 * signTest(13, 6); // 0.167
 */
export function signTest(better: number, worse: number): number {
  const n = better + worse;
  let term = 0.5 ** n;
  if (n > 1000) return chance(Math.abs(better - worse), n);
  let sum = 0;
  for (let i = 0; i <= Math.min(better, worse); i++) {
    sum += term;
    term *= (n - i) / (i + 1);
  }
  return Math.min(1, 2 * sum);
}

/** The normal limit of the sign test, with a correction for whole numbers; erfc by Abramowitz & Stegun 7.1.26. */
function chance(difference: number, n: number): number {
  const x = Math.max(0, difference - 1) / Math.sqrt(2 * n);
  const t = 1 / (1 + 0.3275911 * x);
  const poly = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
  return Math.min(1, poly * Math.exp(-x * x));
}

/**
 * Holm's correction (1979): what each of several p is among all of them, so that one below 0.05 is wrong in 5 % of cases whatever their number.
 *
 * @example
 * holm([0.01, 0.04, 0.03]); // [0.03, 0.06, 0.06]
 */
export function holm(ps: readonly number[]): number[] {
  const order = [...ps.keys()].sort((a, b) => (ps[a] as number) - (ps[b] as number));
  const out = new Array<number>(ps.length);
  let most = 0;
  for (const [rank, i] of order.entries()) {
    most = Math.max(most, Math.min(1, (ps.length - rank) * (ps[i] as number)));
    out[i] = most;
  }
  return out;
}
