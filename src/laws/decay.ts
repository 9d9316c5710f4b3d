// What `relax` needs of its factor a, made here once and handed to every backend: 1 - a^2, its square root, and the table of
// beta (docs/theory/langevin.md). Only + - * / and square roots, in float64, rounded to float32 at the end: the same numbers
// everywhere.

import { bitsOf, floatOf } from "./float-bits.js";
import { levelsOf } from "./levels.js";
import { DECAY_COLUMNS, DECAY_FIRST, DECAY_HEAD, Levels } from "./numbers.js";

/** The farthest displacement that the table of whole numbers serves, in steps: no rail is farther. */
const FARTHEST = 127;

/** a, 1 - a^2, sqrt(1 - a^2), and then betas: one row for whole numbers, one a level (of the pristine code) for tables. */
export type Decay = Float32Array;

/** A displacement: its square, and the variance that rounding the pull adds there. */
interface Place {
  readonly square: number;
  readonly added: number;
}

/** The table made last for each kind of levels: it takes longer to make than a small tensor to move, and all such tensors of a tick have the same. */
const last = new Map<number, Decay>();

/** The decay by `keep` (a float32, 0 <= keep < 1) of codes whose values are those of `levels`. */
export function decayOf(keep: number, levels: number): Decay {
  const before = last.get(levels);
  if (before?.[0] === keep) return before;
  const rows =
    levels === Levels.uniform ? [wholePlaces(keep)] : levelsOf(levels).map((_, pristine) => tablePlaces(keep, levels, pristine));
  const decay = new Float32Array(DECAY_HEAD + rows.length * DECAY_COLUMNS);
  decay.set([keep, 1 - keep * keep, Math.sqrt(1 - keep * keep)]);
  for (const [row, places] of rows.entries()) {
    for (let i = 0; i < DECAY_COLUMNS; i++)
      decay[DECAY_HEAD + row * DECAY_COLUMNS + i] = beta(places, 1 - keep * keep, squareAt(i));
  }
  last.set(levels, decay);
  return decay;
}

/**
 * The smallest beta >= 0 that keeps (1 - a^2) s^2 - beta s^2 + beta x^2 - c(x) >= 0 at every displacement x. It falls as s^2
 * grows, so that the entry for a smaller s^2 serves as well; and it is at most 1 - a, so that displacements below s do no harm.
 */
function beta(places: readonly Place[], loss: number, square: number): number {
  let most = 0;
  for (const place of places) {
    if (place.square > square) most = Math.max(most, (place.added - loss * square) / (place.square - square));
  }
  return most;
}

/** The beta of a row for noise of `square` = s^2, a float32. */
export function betaAt(decay: Decay, row: number, square: number): number {
  const i = Math.max(0, Math.min(DECAY_COLUMNS - 1, (bitsOf(square) >>> 20) - DECAY_FIRST));
  return decay[DECAY_HEAD + row * DECAY_COLUMNS + i] as number;
}

/** The s^2 that an entry serves. */
const squareAt = (i: number): number => (i === 0 ? 0 : floatOf((i + DECAY_FIRST) << 20));

function wholePlaces(keep: number): Place[] {
  return Array.from({ length: FARTHEST }, (_, i) => {
    const part = (keep * (i + 1)) % 1;
    return { square: (i + 1) ** 2, added: part * (1 - part) };
  });
}

function tablePlaces(keep: number, levels: number, pristine: number): Place[] {
  const values = levelsOf(levels);
  const origin = values[pristine] as number;
  return values.map((value) => {
    const y = origin + keep * (value - origin);
    const upper = values.find((v) => v > y) ?? y;
    const lower = values.filter((v) => v <= y).at(-1) ?? y;
    return { square: (value - origin) ** 2, added: (y - lower) * (upper - y) };
  });
}
