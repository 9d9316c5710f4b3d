// What one row of logits says, in one pass: which token is likeliest, how likely the one that came was, and how surely. Float32 arithmetic without
// fused operations, and sums in float64 over sixteen lanes (element i goes to lane i mod 16), added pairwise 8, 4, 2, 1 apart, so that every backend
// has the same bits. Logarithms are left to whoever reads the numbers (src/sampling/expectation.ts): no two systems' need be the same.

import { LOGIT_LANES, LogitColumn } from "./numbers.js";

/** What is asked of a row. */
export interface LogitQuestion {
  /** The token that came; below 0 where none did. */
  readonly target: number;
  /** Inverse temperatures. */
  readonly betas: Float32Array;
  /** Logits of another model for the same place. */
  readonly reference: Float32Array | null;
}

const f = Math.fround;
const floats = new Float32Array(2);
const words = new Int32Array(floats.buffer);
const LOG2_E = f(Math.LOG2E);
/** 1.5 2^23: added to a number below 2^22, it leaves the nearest whole one in the lowest bits. */
const ROUNDER = 12582912;
const LN2_HIGH = 0.693359375;
const LN2_LOW = f(-2.1219444e-4);
/** e^r = 1 + r + r^2 p(r) for |r| <= ln 2 / 2: Cephes' expf (Moshier 1989). */
const EXP = [1.98756915e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1].map(f);
const LOWEST = -87;

/** e^x for x <= 0, to 2 units in the last place; 0 below -87. */
function exp(x: number): number {
  if (!(x >= LOWEST)) return 0;
  const shifted = f(f(x * LOG2_E) + ROUNDER);
  const n = f(shifted - ROUNDER);
  const r = f(f(x - f(n * LN2_HIGH)) - f(n * LN2_LOW));
  let p = EXP[0] as number;
  for (let i = 1; i < EXP.length; i++) p = f(f(p * r) + (EXP[i] as number));
  floats[0] = shifted;
  floats[1] = f(f(f(p * f(r * r)) + r) + 1);
  words[1] = (words[1] as number) + ((words[0] as number) << 23);
  return floats[1] as number;
}

const lanes = new Float64Array(LOGIT_LANES);

function total(): number {
  for (let apart = LOGIT_LANES >> 1; apart > 0; apart >>= 1)
    for (let i = 0; i < apart; i++) lanes[i] = (lanes[i] as number) + (lanes[i + apart] as number);
  return lanes[0] as number;
}

/** One sum over a row, of e^(beta (l - most)): as it is, times l - most, or for the logits of a reference times l - most of these. */
export interface LogitSums {
  weight(logits: Float32Array, most: number, beta: number): number;
  moment(logits: Float32Array, most: number): number;
  cross(logits: Float32Array, most: number, reference: Float32Array, mostThere: number): number;
}

/** The sum of e^(beta (z - most)) times what `weigh` makes of an element; of what is impossible nothing is expected. */
function sum(z: Float32Array, most: number, beta: number, weigh: (i: number, below: number) => number): number {
  lanes.fill(0);
  for (let i = 0; i < z.length; i++) {
    const below = f((z[i] as number) - most);
    const e = exp(f(beta * below));
    const lane = i % LOGIT_LANES;
    if (e > 0) lanes[lane] = (lanes[lane] as number) + e * weigh(i, below);
  }
  return total();
}

const plainSums: LogitSums = {
  weight: (logits, most, beta) => sum(logits, most, beta, () => 1),
  moment: (logits, most) => sum(logits, most, 1, (_, below) => below),
  cross: (logits, most, reference, mostThere) => sum(reference, mostThere, 1, (i) => f((logits[i] as number) - most)),
};

/** The largest logit; NaN where one is NaN. */
function largestLogit(logits: Float32Array): number {
  let most = -Infinity;
  for (const logit of logits) {
    if (Number.isNaN(logit)) return logit;
    if (logit > most) most = logit;
  }
  return most;
}

/**
 * The first token with the largest logit m; -1 where m is not finite or a logit is NaN. Into `out`, with w = sum_i e^(l_i - m): of the target
 * l - m (0 where there is none), w, sum_i e^(l_i - m) (l_i - m), m; with the logits z of a reference, whose largest is n, sum_i e^(z_i - n) (l_i - m),
 * else 0; and sum_i e^(beta (l_i - m)) of every beta.
 * @param sums who adds up; default: plain JavaScript
 */
export function readLogits(
  logits: Float32Array,
  { target, betas, reference }: LogitQuestion,
  out: Float64Array,
  sums: LogitSums = plainSums,
): number {
  const most = largestLogit(logits);
  out.fill(Number.NaN);
  out[LogitColumn.largest] = most;
  if (!Number.isFinite(most)) return -1;
  out[LogitColumn.below] = target < 0 ? 0 : f((logits[target] as number) - most);
  out[LogitColumn.weight] = sums.weight(logits, most, 1);
  out[LogitColumn.moment] = sums.moment(logits, most);
  out[LogitColumn.cross] = reference === null ? 0 : sums.cross(logits, most, reference, largestLogit(reference));
  for (const [i, beta] of betas.entries()) out[LogitColumn.head + i] = sums.weight(logits, most, beta);
  return logits.indexOf(most);
}
