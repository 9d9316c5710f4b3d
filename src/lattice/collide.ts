// Collisions: cells of a tensor that are drawn anew from the pristine weights, all others staying as they are. The
// specification of LiveFile.collide; what backends that cannot map files go through.

import type { Kernels } from "../kernels/contract.js";
import type { Move } from "../laws/move.js";
import { COLLISION_CELL, Field, Purpose } from "../laws/numbers.js";
import type { Stretch } from "../laws/visits.js";
import { position } from "../noise/index.js";

/** Of 2^32, the share of words that means a collision with this probability. */
export function collisionThreshold(probability: number): number {
  return Math.round(probability * 2 ** 32);
}

/**
 * The stretches of weights that collide, of so many from weight `move.index` on, a multiple of COLLISION_CELL: every cell whose word is below
 * `threshold`, neighbours as one.
 */
export function* colliding(weights: number, move: Move, threshold: number, kernels: Kernels): Generator<Stretch> {
  const words = new Uint32Array(Math.ceil(weights / COLLISION_CELL));
  kernels.bits(words, move.key, position({ index: move.index / COLLISION_CELL, tick: move.tick }, Purpose.Collision));
  const weightOf = (cell: number) => move.index + Math.min(weights, cell * COLLISION_CELL);
  for (let cell = 0; cell < words.length; cell++) {
    const first = cell;
    while (cell < words.length && (words[cell] as number) < threshold) cell++;
    if (cell > first) yield { from: weightOf(first), to: weightOf(cell) };
  }
}

/**
 * `live` and `pristine` are the same whole blocks of a tensor from weight `move.index` on, a multiple of COLLISION_CELL. What collides becomes
 * pristine, moved. Returns how many codes of it then differ from the pristine ones.
 */
export function collide(live: Uint8Array, pristine: Uint8Array, move: Move, threshold: number, kernels: Kernels): number {
  const blockWeights = move.format[Field.weights] as number;
  const blockBytes = move.format[Field.bytes] as number;
  const byteOf = (weight: number) => ((weight - move.index) / blockWeights) * blockBytes;
  let changed = 0;
  for (const { from, to } of colliding((live.length / blockBytes) * blockWeights, move, threshold, kernels)) {
    const part = live.subarray(byteOf(from), byteOf(to));
    part.set(pristine.subarray(byteOf(from), byteOf(to)));
    changed += kernels.perturb(part, { ...move, index: from });
  }
  return changed;
}
