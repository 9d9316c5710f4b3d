// How often a weight moves: what `brownian inspect` says before anything is moved.

import { COARSE_VARIANCE, gridOf } from "../laws/moves.js";
import { LAW_COLUMNS, LAW_ROWS } from "../laws/numbers.js";
import { SPARSE_VARIANCE } from "../laws/rare-groups.js";
import { LAW_TAILS } from "../laws/tables.js";

/** P(k != 0) of a `matched` move at s = sigma / step, away from the rails. */
export function moveProbability(s: number): number {
  const v = s * s;
  if (v < SPARSE_VARIANCE) return v * (1 - 0.75 * v); // 1 - e^(-v) I0(v), up to v^3
  if (v <= COARSE_VARIANCE) {
    // k = 2^bits k1 + A - B is zero where k1 is and A = B.
    const { bits, variance } = gridOf(v);
    const row = Math.min(Math.floor(variance * 4), LAW_ROWS - 2);
    const a = LAW_TAILS[row * LAW_COLUMNS] as number;
    const b = LAW_TAILS[(row + 1) * LAW_COLUMNS] as number;
    return 1 - (1 - (a + (b - a) * (variance * 4 - row)) / 32768) / 2 ** bits;
  }
  // P(k = 0) = E[(1 - s'|z|)+], where the density of z is flat to second order: 1 / (s' sqrt(2 pi)) (1 - 1 / (12 s'^2)).
  const scale = Math.sqrt(v - 1 / 6);
  return 1 - (1 - 1 / (12 * scale * scale)) / (scale * Math.sqrt(2 * Math.PI));
}
