// The laws of moves as probabilities: P(|k| >= j) of a code on an even grid that no rail is near. What the other files draw, this one
// only describes (docs/theory/dose.md); no backend moves a weight by it.

import { countsOf } from "./alias.js";
import { bitsOf, floatOf } from "./float-bits.js";
import { density, upperTail } from "./gauss.js";
import { COARSE_VARIANCE, gridOf, matchedScale } from "./moves.js";
import { ALIAS_SHIFT, Rounding } from "./numbers.js";
import { SPARSE_VARIANCE } from "./rare-groups.js";

/** As far as any code is from its nearer rail, in steps. */
const FARTHEST = 127;

/** P(|k| >= j) for j = 0 ... FARTHEST. */
export type Tails = Float64Array;

/** How moves are drawn: by the rounding, or, where sigma goes by column, each by itself. */
export type Law = (typeof Rounding)[Rounding] | "column";

/** The tails of moves of variance v = s^2 > 0. */
export function tailsOf(law: Law, v: number): Tails {
  if (law === Rounding.nearest) return nearestTails(Math.sqrt(v));
  if (law === Rounding.stochastic) return stochasticTails(Math.sqrt(v));
  if (law === "column") return columnTails(v);
  if (v > COARSE_VARIANCE) return stochasticTails(matchedScale(v));
  return v < SPARSE_VARIANCE ? rareTails(v) : runTails(v);
}

/** P(|k| = j), j = 0 ... FARTHEST - 1, and in the last place what is left. */
export function sizesOf(tails: Tails): Float64Array {
  return tails.map((tail, j) => tail - (tails[j + 1] ?? 0));
}

const fromTail = (tail: (j: number) => number): Tails => Float64Array.from({ length: FARTHEST + 1 }, (_, j) => (j === 0 ? 1 : tail(j)));

function fromSizes(sizes: (j: number) => number): Tails {
  let left = 1;
  return fromTail((j) => {
    left = Math.max(0, left - sizes(j - 1));
    return left;
  });
}

/** Differences of two Poisson numbers, to second order in v: of variance v, exactly. */
function rareTails(v: number): Tails {
  const two = (v * v) / 4;
  return fromTail((j) => (j === 1 ? v - 3 * two : j === 2 ? two : 0));
}

/** k = 2^bits k1 + (A - B), k1 by the table of alias.ts: between its points, a straight line (moves.ts). */
function runTails(v: number): Tails {
  const { bits, variance } = gridOf(v);
  const row = bitsOf(variance) >>> ALIAS_SHIFT;
  const low = floatOf(row << ALIAS_SHIFT);
  const high = floatOf((row + 1) << ALIAS_SHIFT);
  const a = countsOf(low);
  const b = variance > low ? countsOf(high) : a;
  const weight = (variance - low) / (high - low);
  /** P(k1 = m), of either sign. */
  const point = (m: number) => (((a[m] ?? 0) + ((b[m] ?? 0) - (a[m] ?? 0)) * weight) / 2 ** 15) * (m === 0 ? 1 : 0.5);
  const length = 2 ** bits;
  return fromSizes((j) => {
    const m = Math.floor(j / length);
    const part = j - m * length;
    return ((point(m) * (length - part) + point(m + 1) * part) / (length * length)) * (j === 0 ? 1 : 2);
  });
}

/** floor(s |z| + u): E(s|z| - a)+ = 2 (s phi(a/s) - a Q(a/s)). */
function stochasticTails(s: number): Tails {
  const excess = (a: number) => 2 * (s * density(a / s) - a * upperTail(a / s));
  return fromTail((j) => Math.max(0, excess(j - 1) - excess(j)));
}

/** floor(s |z| + 1/2). */
function nearestTails(s: number): Tails {
  return fromTail((j) => 2 * upperTail((j - 0.5) / s));
}

/** Single steps, or round(s' z + u1 - u2) with s'^2 = v - 1/4 (columns.ts). */
function columnTails(v: number): Tails {
  if (v < 0.25) return fromTail((j) => (j === 1 ? v : 0));
  // Where noise is far above the grid, only its variance tells: rounding adds 1/12.
  if (v > 16) return nearestTails(Math.sqrt(v - 1 / 12));
  const s = Math.max(Math.sqrt(v - 0.25), 2 ** -10);
  /** E[(s z - a)+^2] / 2. */
  const twice = (a: number) => ((s * s + a * a) * upperTail(a / s) - a * s * density(a / s)) / 2;
  const beyond = (a: number) => twice(a - 1) - 2 * twice(a) + twice(a + 1);
  return fromTail((j) => Math.max(0, 2 * beyond(j - 0.5)));
}
