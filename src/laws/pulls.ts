// The three ways in which `relax` (relaxation.ts) pulls codes on an even grid and kicks them, by the noise s of their run. The
// first two leave a kick that is the same for all weights of a run, wherever they stand, so that it is drawn as any move is:
//
//   light, s^2 < 1/2: a code stays with probability a, else it is pristine again;  Var R = a (1 - a) k^2,  v = (1 - a) s^2
//   heavy, (1 - a^2) s^2 >= 17/64: R = round(a k + u1 - u2), u1 and u2 uniform;     Var R = 1/4,            v = (1 - a^2) s^2 - 1/4
//   middle: as on other grids, a kick of its own for every weight (relaxation.ts)
//
// Either way E[R] = a k, and V = a^2 V + E[Var R] + v has the solution V = s^2.

import type { Decay } from "./decay.js";

const f = Math.fround;
/** Codes of lighter noise stand at 0 and 1 step nearly always: to lose a step, and to lose all, is the same. */
const LIGHT = 0.5;
/** What is left of heavy noise is above SPARSE_VARIANCE: moves are not rare. */
const HEAVY = 1 / 4 + 1 / 64;
const DITHER = 1 / 4;

export type Pull = "light" | "heavy" | "middle";

/** How a run with noise of s steps is pulled. */
export const pullOf = (s: number, decay: Decay): Pull => pullOfSquare(f(s * s), decay);

/** The variances s^2 at which another pull begins. */
export const pullChanges = (decay: Decay): number[] => [LIGHT, HEAVY / (decay[1] as number)];

export function pullOfSquare(square: number, decay: Decay): Pull {
  if (square < LIGHT) return "light";
  return f((decay[1] as number) * square) >= HEAVY ? "heavy" : "middle";
}

/** The variance of the kick that is the same for all of a run with variance `square`. */
export function kickVariance(pull: "light" | "heavy", square: number, decay: Decay): number {
  return pull === "light" ? (1 - (decay[0] as number)) * square : (decay[1] as number) * square - DITHER;
}

/** The standard deviation of the kick that is the same for all of a run; 0 where it is not. */
export function kickScale(s: number, decay: Decay): number {
  const square = f(s * s);
  const lost = f((decay[1] as number) * square);
  if (square < LIGHT) return f(Math.sqrt(f(f(1 - (decay[0] as number)) * square)));
  return lost >= HEAVY ? f(Math.sqrt(f(lost - DITHER))) : 0;
}
