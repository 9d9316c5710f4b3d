// Which weights an evolution visits at a tick, where it steps every weight only once in `stride` ticks, by that many ticks at a time: one stretch
// of each tensor after the other, so that a tick goes through neighbouring bytes. Follows from the stream's key and the tick alone.
//
// Cells of CELL weights, c in all: stretch j of 0 ... stride - 1 begins with cell floor(c j / stride), and is visited at the ticks with
// (tick + k0) mod stride = j. Tensors are visited each in a phase of its own, so that of small ones, too, some are visited at every tick.

import type { Move } from "./move.js";
import { CELL } from "./numbers.js";

/** Weights [from, to) of a tensor. */
export interface Stretch {
  readonly from: number;
  readonly to: number;
}

/** What is visited at the move's tick of a tensor of so many weights. */
export function visited(weights: number, { key, tick }: Pick<Move, "key" | "tick">, stride: number): Stretch {
  const turn = (tick + key.k0) % stride;
  const cells = Math.ceil(weights / CELL);
  const begin = (of: number) => Math.min(weights, Math.floor((cells * of) / stride) * CELL);
  return { from: begin(turn), to: begin(turn + 1) };
}
