// The laws of moves as probabilities: P(|k| >= j) of a code on an even grid that no rail is near. What the other files draw, this one
// only describes (docs/theory/dose.md); no backend moves a weight by it.

import { countsOf } from "./alias.js";
import { bitsOf, floatOf } from "./float-bits.js";
import { density, upperTail } from "./gauss.js";
import { COARSE_VARIANCE, gridOf, matchedScale } from "./moves.js";
import { ALIAS_SHIFT, Rounding } from "./numbers.js";
import { SPARSE_VARIANCE } from "./rare-groups.js";

/** P(|k| >= j), j = 0, 1 ... */
export type Tails = Float64Array;

/** How moves are drawn: by the rounding, or, where sigma goes by column, each by itself. */
export type Law = (typeof Rounding)[Rounding] | "column";

/** The first `length` tails of moves of variance v = s^2 > 0. */
export function tailsOf(law: Law, v: number, length: number): Tails {
  if (law === "column") return columnTails(v, length);
  if (law === Rounding.nearest) return nearestTails(Math.sqrt(v), length);
  if (law === Rounding.stochastic) return stochasticTails(Math.sqrt(v), length);
  if (v > COARSE_VARIANCE) return stochasticTails(matchedScale(v), length);
  return v < SPARSE_VARIANCE ? rareTails(v, length) : runTails(v, length);
}

function tails(length: number, tail: (j: number) => number): Tails {
  const all = new Float64Array(length);
  all[0] = 1;
  for (let j = 1; j < length; j++) all[j] = tail(j);
  return all;
}

/** Differences of two Poisson numbers, to second order in v: of variance v, exactly. */
function rareTails(v: number, length: number): Tails {
  const two = (v * v) / 4;
  return tails(length, (j) => (j === 1 ? v - 3 * two : j === 2 ? two : 0));
}

/** k = 2^bits k1 + (A - B), k1 by the table of alias.ts: between its points, a straight line (moves.ts). */
function runTails(v: number, length: number): Tails {
  const { bits, variance } = gridOf(v);
  const row = bitsOf(variance) >>> ALIAS_SHIFT;
  const low = floatOf(row << ALIAS_SHIFT);
  const high = floatOf((row + 1) << ALIAS_SHIFT);
  const a = countsOf(low);
  const b = variance > low ? countsOf(high) : a;
  const weight = (variance - low) / (high - low);
  /** P(k1 = m), of one sign. */
  const point = (m: number) => {
    if (m >= a.length) return 0;
    const count = (a[m] as number) + ((b[m] as number) - (a[m] as number)) * weight;
    return count * (m === 0 ? 2 ** -15 : 2 ** -16);
  };
  const gap = 2 ** bits;
  const all = new Float64Array(length);
  let left = 1;
  for (let j = 0; j < length; j++) {
    all[j] = Math.max(0, left);
    const m = Math.floor(j / gap);
    const part = j - m * gap;
    left -= ((point(m) * (gap - part) + point(m + 1) * part) / (gap * gap)) * (j === 0 ? 1 : 2);
  }
  return all;
}

/** floor(s |z| + u): E(s|z| - a)+ = 2 (s phi(a/s) - a Q(a/s)). */
function stochasticTails(s: number, length: number): Tails {
  const excess = (a: number) => 2 * (s * density(a / s) - a * upperTail(a / s));
  let before = excess(0);
  return tails(length, (j) => {
    const here = excess(j);
    const tail = Math.max(0, before - here);
    before = here;
    return tail;
  });
}

/** floor(s |z| + 1/2). */
function nearestTails(s: number, length: number): Tails {
  return tails(length, (j) => 2 * upperTail((j - 0.5) / s));
}

/** Single steps, or round(s' z + u1 - u2) with s'^2 = v - 1/4 (columns.ts). */
function columnTails(v: number, length: number): Tails {
  if (v < 0.25) return tails(length, (j) => (j === 1 ? v : 0));
  // Where noise is far above the grid, only its variance tells: rounding adds 1/12.
  if (v > 16) return nearestTails(Math.sqrt(v - 1 / 12), length);
  const s = Math.max(Math.sqrt(v - 0.25), 2 ** -10);
  /** E[(s z - a)+^2] / 2. */
  const twice = (a: number) => ((s * s + a * a) * upperTail(a / s) - a * s * density(a / s)) / 2;
  return tails(length, (j) => Math.max(0, 2 * (twice(j - 1.5) - 2 * twice(j - 0.5) + twice(j + 0.5))));
}
