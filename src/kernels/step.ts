// What happens to many tensors at a tick, as files take it: told as a value, so that it can be planned, and made ready ahead.

import type { Evolution } from "../laws/evolution.js";

/** What is done to every tensor of a list at a tick, each by its own move as of that tick. */
export type Step = Collide | Evolve;

/** Cells of CELL weights whose word of Purpose.Collision is below `threshold` of 2^32 become pristine, moved. Counted: codes of theirs that differ. */
export interface Collide {
  readonly verb: "collide";
  readonly threshold: number;
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
  return b.verb === "evolve" && a.law === b.law && a.strength === b.strength && a.stride === b.stride;
}

/** Which share of the weights a step works on, on average. */
export function shareOf(step: Step): number {
  return step.verb === "collide" ? step.threshold / 2 ** 32 : 1 / step.stride;
}

/** Of how many neighbouring ticks none reads what another writes. */
export function independentTicks(step: Step): number {
  return step.verb === "collide" ? Number.POSITIVE_INFINITY : step.stride;
}
