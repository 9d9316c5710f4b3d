// Codes that stand for the entries of a table, and how they move: neighbouring values lie unevenly, so up and down have probabilities of
// their own. Walked in the order of values (level 0 is the smallest), not of codes.
//
//   p_up = v / (up (up + down)),  p_down = v / (down (up + down)):  mean 0, variance v, while p_up + p_down = v / (up down) <= 1
//
// with v = s^2 in units of the step squared, up and down the distances to the neighbouring values. Beyond that, and for the other
// roundings, w + s z is cut symmetrically at the ends of the table and rounded to one of the two values around it.

import type { Move } from "./move.js";
import { centredUniform, type Draws, MAX_S } from "./moves.js";
import { Levels, Rounding } from "./numbers.js";

const f = Math.fround;
const SIXTH = f(1 / 6);
const TWO_32 = 2 ** 32;

const IQ4NL = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];
const E2M1 = [-12, -8, -6, -4, -3, -2, -1, 0, 1, 2, 3, 4, 6, 8, 12];

/** The values of a table, in ascending order, in units of the step. */
export function levelsOf(levels: number): readonly number[] {
  return levels === Levels.e2m1 ? E2M1 : IQ4NL;
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

/** Mean distance of neighbouring values: what `inSteps` is in units of. */
const MEAN_GAP = { [Levels.iq4nl]: 16, [Levels.e2m1]: f(12 / 7) } as Record<number, number>;

/** s of codes whose values are `step` > 0 times those of a table. */
export function scaleOfTable(levels: number, step: number, move: Move): number {
  return Math.min(move.inSteps ? f(move.sigma * (MEAN_GAP[levels] as number)) : f(move.sigma / step), MAX_S);
}

/** One step up, one down, or none. */
export function neighbour(v: number, up: number, down: number, draws: Draws, i: number): number {
  const w = draws.move(i);
  const rises = f(f(v / (up * (up + down))) * 65536);
  const falls = f(f(v / (down * (up + down))) * 65536);
  if (below(w, rises, draws, i)) return 1;
  return below(65535 - w, falls, draws, i) ? -1 : 0;
}

/** Whether 16 bits, with 32 more where they do not decide, are below a threshold. */
function below(w: number, threshold: number, draws: Draws, i: number): boolean {
  const high = Math.floor(threshold);
  return w < high || (w === high && draws.refine(i) < Math.floor(f(f(threshold - high) * TWO_32)));
}

/** The level that x + s z is rounded to, |s z| at most the distance to the nearer end of the table. */
function rounded(values: readonly number[], x: number, s: number, z: number, u: number): number {
  const last = values.length - 1;
  const room = Math.min(x - (values[0] as number), (values[last] as number) - x);
  const y = f(x + Math.max(-room, Math.min(room, f(s * z))));
  let level = 0;
  while (level < last && y >= (values[level + 1] as number)) level++;
  if (level === last) return last;
  const at = values[level] as number;
  return u < f(f(y - at) / ((values[level + 1] as number) - at)) ? level + 1 : level;
}

/** Moves codes[from ... to) of a tile whose values are `step` times those of a table; returns how many changed. */
export function moveLevels(
  codes: Int8Array,
  from: number,
  to: number,
  step: number,
  levels: number,
  move: Move,
  draws: Draws,
): number {
  if (!(step > 0) || move.sigma === 0) return 0;
  const values = levelsOf(levels);
  const last = values.length - 1;
  const s = scaleOfTable(levels, step, move);
  const v = f(s * s);
  let changed = 0;
  for (let i = from; i < to; i++) {
    const level = levelOfCode(levels, codes[i] as number);
    if (level === 0 || level === last) continue;
    const x = values[level] as number;
    const up = (values[level + 1] as number) - x;
    const down = x - (values[level - 1] as number);
    let moved: number;
    if (move.rounding === Rounding.matched && v <= up * down) {
      moved = level + neighbour(v, up, down, draws, i);
    } else {
      // Of the noise's variance, `matched` leaves out what rounding adds: a sixth of the squared gap, as if gaps were even.
      const scale = move.rounding === Rounding.matched ? f(Math.sqrt(f(v - f(up * down * SIXTH)))) : s;
      const u = move.rounding === Rounding.nearest ? 0.5 : centredUniform(draws.roundingWord(i));
      moved = rounded(values, x, scale, draws.normal(i), u);
    }
    if (moved !== level) {
      codes[i] = codeOfLevel(levels, moved);
      changed++;
    }
  }
  return changed;
}
