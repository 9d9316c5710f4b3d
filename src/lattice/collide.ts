// Collisions: cells of a tensor that are drawn anew from the pristine weights, all others staying as they are. The
// specification of LiveFile.collide; what backends that cannot map files go through.

import type { Kernels } from "../kernels/contract.js";
import type { Move } from "../laws/move.js";
import { COLLISION_CELL, Field, Purpose } from "../laws/numbers.js";
import { position } from "../noise/index.js";

/** Of 2^32, the share of words that means a collision with this probability. */
export function collisionThreshold(probability: number): number {
  return Math.round(probability * 2 ** 32);
}

/**
 * `live` and `pristine` are the same whole blocks of a tensor from weight `move.index` on, a multiple of COLLISION_CELL. Every cell whose
 * word is below `threshold` becomes pristine, moved. Returns how many codes of those cells then differ from the pristine ones.
 */
export function collide(live: Uint8Array, pristine: Uint8Array, move: Move, threshold: number, kernels: Kernels): number {
  const blockWeights = move.format[Field.weights] as number;
  const blockBytes = move.format[Field.bytes] as number;
  const weights = (live.length / blockBytes) * blockWeights;
  const cells = Math.ceil(weights / COLLISION_CELL);
  const words = new Uint32Array(cells);
  kernels.bits(words, move.key, position({ index: move.index / COLLISION_CELL, tick: move.tick }, Purpose.Collision));
  const byteOf = (cell: number) => (Math.min(weights, cell * COLLISION_CELL) / blockWeights) * blockBytes;
  let changed = 0;
  for (let cell = 0; cell < cells; cell++) {
    const first = cell;
    while (cell < cells && (words[cell] as number) < threshold) cell++;
    if (cell === first) continue;
    const part = live.subarray(byteOf(first), byteOf(cell));
    part.set(pristine.subarray(byteOf(first), byteOf(cell)));
    changed += kernels.perturb(part, { ...move, index: move.index + first * COLLISION_CELL });
  }
  return changed;
}
