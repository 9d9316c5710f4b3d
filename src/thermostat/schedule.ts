// Sigma as a function of time: annealing and whatever else the user writes.

import { BrownianError, checkInteger, checkNumber, shown } from "../errors.js";

/** Sigma at a tick, 0, 1, 2, ...; at least 0. */
export type Schedule = (tick: number) => number;

/** Sigma at this tick. @throws BrownianError usage where a schedule gives what is no sigma */
export function sigmaAt(sigma: number | Schedule, tick: number): number {
  if (typeof sigma !== "function") return checkNumber("sigma", sigma, 0);
  const value = sigma(tick);
  if (typeof value === "number" && value >= 0 && value <= Number.MAX_VALUE) return value;
  throw new BrownianError(
    "usage",
    `sigma(${tick}) must be a finite number, at least 0, but is ${shown(value)}: mend the schedule.`,
  );
}

/**
 * sigma(t) = from + (to - from) min(t / ticks, 1): linear annealing.
 *
 * @example
 * const bath = await Thermostat.open("model.gguf", { sigma: linear(0.1, 0, 200), dynamics: "andersen" });
 */
export function linear(from: number, to: number, ticks: number): Schedule {
  check(from, to, ticks, 0);
  return (tick) => from + (to - from) * Math.min(tick / ticks, 1);
}

/**
 * sigma(t) = from (to / from)^min(t / ticks, 1): exponential annealing. Both ends are above 0.
 *
 * @example
 * exponential(0.1, 0.001, 200)(100); // 0.01: halfway, by factors
 */
export function exponential(from: number, to: number, ticks: number): Schedule {
  check(from, to, ticks, Number.MIN_VALUE);
  return (tick) => from * (to / from) ** Math.min(tick / ticks, 1);
}

function check(from: number, to: number, ticks: number, least: number): void {
  checkNumber("from", from, least);
  checkNumber("to", to, least);
  checkInteger("ticks", ticks, 1);
}
