// Codes that stand for the entries of a table, and how they move: neighbouring values lie unevenly, so up and down have
// probabilities of their own. Walked in the order of values (level 0 is the smallest), not of codes.
//
//   p_up = v / (up (up + down)),  p_down = v / (down (up + down)):  mean 0, variance v, while p_up + p_down = v / (up down) <= 1
//
// with v = s^2 in units of the step squared, up and down the distances to the neighbouring values. Beyond that, and for the other
// roundings, w + s z is cut symmetrically at the ends of the table and rounded to one of the two values around it.

import type { Kicks } from "./kicks.js";
import type { Move } from "./move.js";
import { centredUniform, MAX_S } from "./moves.js";
import { Field, Levels, Rounding } from "./numbers.js";

const f = Math.fround;
const SIXTH = f(1 / 6);

// biome-ignore format: one line a table
const VALUES: Readonly<Record<number, readonly number[]>> = {
  [Levels.iq4nl]: [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113],
  [Levels.e2m1]: [-12, -8, -6, -4, -3, -2, -1, 0, 1, 2, 3, 4, 6, 8, 12],
};

/** The values of a table, in ascending order, in units of the step. */
export function levelsOf(levels: number): readonly number[] {
  return VALUES[levels] as readonly number[];
}

/** The level of a code: IQ4_NL's are in order; E2M1 has a sign bit, and a second zero. */
export function levelOfCode(levels: number, code: number): number {
  if (levels !== Levels.e2m1) return code;
  return code < 8 ? 7 + code : 15 - code;
}

/** The code of a level; the positive one of E2M1's zeros. */
export function codeOfLevel(levels: number, level: number): number {
  if (levels !== Levels.e2m1) return level;
  return level >= 7 ? level - 7 : 15 - level;
}

/** Mean distance of neighbouring values, in units of the step: what sigma is in units of where it is in steps. */
export function meanGap(levels: number): number {
  const values = levelsOf(levels);
  return ((values[values.length - 1] as number) - (values[0] as number)) / (values.length - 1);
}

/** s of a code whose values are `step` > 0 times those of a table. */
export function scaleOfTable(levels: number, step: number, sigma: number, inSteps: boolean): number {
  return Math.min(inSteps ? f(sigma * f(meanGap(levels))) : f(sigma / step), MAX_S);
}

/** The last level whose value is at most y. */
export function levelBelow(values: readonly number[], y: number): number {
  let level = 0;
  while (level < values.length - 1 && y >= (values[level + 1] as number)) level++;
  return level;
}

/** How far a weight of value `origin` may stand from it: the distance to the nearer end of the table. */
export function reachOf(values: readonly number[], origin: number): number {
  return Math.min(origin - (values[0] as number), (values[values.length - 1] as number) - origin);
}

/** The level that x + s z is rounded to, kept to `reach` around `origin`; u decides between the two around it. */
function rounded(values: readonly number[], x: number, noise: number, u: number, origin: number, reach: number): number {
  const y = Math.max(origin - reach, Math.min(origin + reach, f(x + noise)));
  const level = levelBelow(values, y);
  if (level === values.length - 1) return level;
  const at = values[level] as number;
  return u < f(f(y - at) / ((values[level + 1] as number) - at)) ? level + 1 : level;
}

/**
 * The level that a `matched` kick of variance v takes weight i to from `level`, which is not at an end; no farther than it may
 * from `origin`.
 */
export function kickLevel(values: readonly number[], level: number, origin: number, v: number, kicks: Kicks, i: number): number {
  const at = values[level] as number;
  const up = (values[level + 1] as number) - at;
  const down = at - (values[level - 1] as number);
  if (v <= up * down) {
    const to = level + kicks.neighbour(f(v / (up * (up + down))), f(v / (down * (up + down))), i);
    if (to === level) return level;
    const away = Math.abs((values[to] as number) - origin);
    return away > reachOf(values, origin) && away > Math.abs(at - origin) ? level : to;
  }
  // Of the noise's variance, what rounding adds is left out: a sixth of the squared gap, as if gaps were even.
  const scale = f(Math.sqrt(f(v - f(up * down * SIXTH))));
  const { draws } = kicks;
  return rounded(values, at, f(scale * draws.normal(i)), centredUniform(draws.roundingWord(i)), origin, reachOf(values, origin));
}

/** Moves codes[from ... to) of a tile whose values are `step` times those of a table; returns how many changed. */
export function moveLevels(codes: Int8Array, from: number, to: number, step: number, move: Move, kicks: Kicks): number {
  if (!(step > 0)) return 0;
  const levels = move.format[Field.levels] as number;
  const values = levelsOf(levels);
  const last = values.length - 1;
  const { draws } = kicks;
  const matched = move.rounding === Rounding.matched;
  let sigma = -1;
  let s = 0;
  let v = 0;
  let changed = 0;
  for (let i = from; i < to; i++) {
    const level = levelOfCode(levels, codes[i] as number);
    if (level === 0 || level === last) continue;
    if (kicks.sigma(i) !== sigma) {
      sigma = kicks.sigma(i);
      s = scaleOfTable(levels, step, sigma, move.inSteps);
      v = f(s * s);
    }
    if (s === 0) continue;
    const x = values[level] as number;
    let moved: number;
    if (matched) {
      moved = kickLevel(values, level, x, v, kicks, i);
    } else {
      const u = move.rounding === Rounding.nearest ? 0.5 : centredUniform(draws.roundingWord(i));
      moved = rounded(values, x, f(s * draws.normal(i)), u, x, reachOf(values, x));
    }
    if (moved !== level) {
      codes[i] = codeOfLevel(levels, moved);
      changed++;
    }
  }
  return changed;
}
