// What happens to many tensors at a tick, as files take it: told as a value, so that it can be planned, and made ready ahead.

import type { Evolution } from "../laws/evolution.js";
import type { Move } from "../laws/move.js";

/** The move of a whole tensor, from its first weight on. */
export type TensorMove = Omit<Move, "index">;

/** What is done to every tensor of a list at a tick, each by its own move as of that tick. */
export type Step = Collide | Diffuse | Draw | Evolve;

/** Cells of COLLISION_CELL weights whose word of Purpose.Collision is below `threshold` of 2^32 become pristine, moved. Counted: codes of theirs that differ. */
export interface Collide {
  readonly verb: "collide";
  readonly threshold: number;
}

/**
 * live := live, moved with `factor` times the sigma of the move, of what `visited` (laws/visits.ts) says: every weight once in
 * `stride` ticks. Counted: codes that change.
 */
export interface Diffuse {
  readonly verb: "diffuse";
  readonly factor: number;
  readonly stride: number;
}

/** live := pristine, moved. Counted: codes that differ. */
export interface Draw {
  readonly verb: "draw";
}

/** `Kernels.evolve` of what `visited` (laws/visits.ts) says: every weight takes a step once in `stride` ticks. Counted: codes that change. */
export interface Evolve {
  readonly verb: "evolve";
  readonly law: Evolution;
  readonly strength: number;
  readonly stride: number;
}

/** Whether both are the same, so that one plan serves. */
export function sameStep(a: Step, b: Step): boolean {
  if (a.verb === "collide") return b.verb === "collide" && a.threshold === b.threshold;
  if (a.verb === "draw") return b.verb === "draw";
  if (a.verb === "diffuse") return b.verb === "diffuse" && a.factor === b.factor && a.stride === b.stride;
  return b.verb === "evolve" && a.law === b.law && a.strength === b.strength && a.stride === b.stride;
}

/** Of how many ticks each weight takes part in one. */
export const strideOf = (step: Step): number => (step.verb === "evolve" || step.verb === "diffuse" ? step.stride : 1);

/** Which share of the weights a step works on, on average. */
export function shareOf(step: Step): number {
  if (step.verb === "collide") return step.threshold / 2 ** 32;
  return 1 / strideOf(step);
}

/** Of how many neighbouring ticks none reads what another writes, and all can be held ready. */
export function independentTicks(step: Step): number {
  if (step.verb === "collide") return Number.POSITIVE_INFINITY;
  return strideOf(step);
}

/** A move as this step takes it. */
export function moveIn(step: Step, move: TensorMove): TensorMove {
  return step.verb === "diffuse" ? { ...move, sigma: Math.fround(move.sigma * step.factor) } : move;
}
