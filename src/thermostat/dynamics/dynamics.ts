// What a dynamics is: the rule by which the noise goes from one tick to the next. Each is one file beside this one and one line in index.ts.

import type { Evolution } from "../../laws/evolution.js";

/** What one draw or tick did, over all chosen tensors. */
export interface Drawn {
  /** Weights that could move. */
  readonly weights: number;
  /** Codes (or floats) that it changed. After a draw: that differ from the pristine model's. */
  readonly changed: number;
}

/** The live weights as a dynamics sees them. */
export interface Bath {
  /** live := pristine + the noise of this tick, independent of every other tick's. */
  draw(tick: number): Promise<Drawn>;
  /** Cells of 256 weights collide with this probability, each for itself, and are then drawn anew: pristine + the noise of this tick. */
  collide(tick: number, probability: number): Promise<Drawn>;
  /** live := live + `factor` times the noise of this tick. */
  diffuse(tick: number, factor: number): Promise<Drawn>;
  /** One step of an evolution by its one number, with the noise of this tick (matched rounding). */
  evolve(tick: number, law: Evolution, strength: number): Promise<Drawn>;
  /** live := pristine. */
  restore(): Promise<void>;
  /** What the last draw or tick did. */
  readonly drawn: Drawn;
}

export interface Dynamics {
  readonly name: string;
  /** One line for help texts. */
  readonly summary: string;
  /** Whether the weights change between ticks (if not, an engine that does not see writes can be used all the same). */
  readonly moves: boolean;
  /** Takes the bath to tick 0. */
  start(bath: Bath): Promise<unknown>;
  /** Takes the bath from tick - 1 to tick; tau is the correlation time in ticks. */
  step(bath: Bath, tick: number, tau: number): Promise<Drawn>;
}
