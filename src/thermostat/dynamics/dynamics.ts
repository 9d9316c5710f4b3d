// What a dynamics is: the rule by which the noise goes from one tick to the next, what theory says of it, and what it costs. Each is one file
// beside this one and one line in index.ts; comparisons and reports take all that they say of it from here.

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
  /** Cells of 4096 weights collide with this probability, each for itself, and are then drawn anew: pristine + the noise of this tick. */
  collide(tick: number, probability: number): Promise<Drawn>;
  /** live := live + `factor` times the noise of this tick, of the weights that are visited at it: each once in `stride` ticks. */
  diffuse(tick: number, factor: number, stride: number): Promise<Drawn>;
  /**
   * One step of an evolution by its one number, with the noise of this tick (matched rounding), of the weights that are visited at it: each
   * once in `stride` ticks.
   */
  evolve(tick: number, law: Evolution, strength: number, stride: number): Promise<Drawn>;
  /** live := pristine. */
  restore(): Promise<void>;
  /** What the last draw or tick did. */
  readonly drawn: Drawn;
}

/**
 * What a dynamics does to k = live - pristine of weights that are far from the ends of their format's range. tau is the correlation time in ticks,
 * stride the ticks from one visit of a weight to the next (by default the dynamics' own, {@link Dynamics.stride}).
 */
export interface Theory {
  /** Whether every tick has the law of a draw: variance s^2. If not, no one flip rate belongs to a sigma. */
  readonly stationary: boolean;
  /** Corr(k(from), k(from + t)) for t >= 0, between 0 and 1; 0 where weights are at rest at `from`, t > 0 or not. */
  correlation(t: number, tau: number, from: number, stride?: number): number;
  /** Var[k(t)] in units of s^2, the variance of a draw. */
  variance(t: number, tau: number): number;
  /** Both as a report says them. */
  readonly words: {
    /** The correlation as a formula in t and tau. */
    readonly correlation: string;
    /** The variance as a formula in s, t and tau. */
    readonly variance: string;
  };
}

/** What a tick costs. */
export interface Cost {
  /** As a report says it. */
  readonly words: string;
  /** The share of the weights that a tick looks at, between 0 and 1, with the dynamics' own stride. */
  share(tau: number): number;
  /** The time that each of these takes, in units of drawing it anew; roughly, for the time left of long work. */
  readonly pace: number;
}

/** A dynamics: all that thermostats, comparisons and reports know of it. */
export interface Dynamics {
  /** As settings and the command line call it. */
  readonly name: string;
  /** What reports call the weights that it moves. */
  readonly label: string;
  /** One line for help texts. */
  readonly summary: string;
  /** What theory says of the weights that it moves. */
  readonly theory: Theory;
  /** What a tick costs. */
  readonly cost: Cost;
  /** Whether the weights change between ticks (if not, an engine that does not see writes can be used all the same). */
  readonly moves: boolean;
  /**
   * Where weights are not visited at every tick: the ticks from one visit to the next, unless told otherwise. Its part of tau is what theory
   * pays for the cost.
   */
  readonly stride?: (tau: number) => number;
  /** Takes the bath to tick 0. @internal thermostats call it */
  start(bath: Bath): Promise<unknown>;
  /** Takes the bath from tick - 1 to tick; tau is the correlation time and stride the time between visits, in ticks. @internal thermostats call it */
  step(bath: Bath, tick: number, tau: number, stride: number): Promise<Drawn>;
}
