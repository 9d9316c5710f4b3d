// The table of dynamics: one line each. Whoever lists dynamics, in help, in reports or in tests, lists these.

import { BrownianError, shown } from "../../errors.js";
import { andersen } from "./andersen.js";
import type { Dynamics } from "./dynamics.js";
import { langevin } from "./langevin.js";
import { quenched } from "./quenched.js";
import { white } from "./white.js";
import { wiener } from "./wiener.js";

/**
 * How noise evolves over ticks, by name.
 *
 * @example
 * const half = DYNAMICS.andersen.theory.correlation(22, 32, 0); // e^(-22/32) = 0.503: half is forgotten after tau ln 2 ticks
 */
export const DYNAMICS = {
  /** Drawn once, at tick 0, and at rest from then on: correlation 1. */
  quenched,
  /** Drawn anew at every tick: correlation 0 between any two. */
  white,
  /** Cells of 4096 weights collide with a heat bath at random times, with probability 1 - e^(-1/tau) a tick: correlation e^(-t/tau). */
  andersen,
  /** Weights are pulled back and kicked, as friction and heat do, each once in `stride` ticks: correlation e^(-t/tau), straight between visits. */
  langevin,
  /** Free Brownian motion from the pristine weights on, a kick at every tick: variance s^2 t / tau, until the ends of the range are near. */
  wiener,
} as const satisfies Record<string, Dynamics>;

/** A name of the table {@link DYNAMICS}. */
export type DynamicsName = keyof typeof DYNAMICS;

export const dynamicsNames = Object.keys(DYNAMICS) as DynamicsName[];

/** The dynamics called `name`. @throws BrownianError usage with the list of those that there are */
export function dynamicsNamed(name: string): Dynamics {
  if (typeof name === "string" && Object.hasOwn(DYNAMICS, name)) return DYNAMICS[name as DynamicsName];
  throw new BrownianError("usage", `dynamics must be one of ${dynamicsNames.join(", ")}, but is ${shown(name)}.`);
}

/** Whether tau matters to this dynamics at all. */
export function dependsOnTau({ theory }: Dynamics): boolean {
  return theory.correlation(1, 1, 1) !== theory.correlation(1, 2, 1) || theory.variance(1, 1) !== theory.variance(1, 2);
}

/** Whether tau sets this dynamics' memory: how long it correlates. */
export function hasCorrelationTime({ theory }: Dynamics): boolean {
  return theory.stationary && theory.correlation(1, 1, 0) !== theory.correlation(1, 2, 0);
}

export type { Bath, Cost, Drawn, Dynamics, Theory } from "./dynamics.js";
