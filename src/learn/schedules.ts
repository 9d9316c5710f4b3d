// Numbers that may depend on the step of training: learning rates, sigmas, temperatures.

import { BrownianError, checkNumber, shown } from "../errors.js";

/** A number that may depend on the step, 0, 1, 2, …: a learning rate, a sigma, a temperature. */
export type Schedule = number | ((step: number) => number);

/** The schedule's value at a step. @throws BrownianError usage outside of [least, most] */
export function scheduled(what: string, schedule: Schedule, step: number, least = 0, most = Number.MAX_VALUE): number {
  return typeof schedule !== "function"
    ? checkNumber(what, schedule, least, most)
    : checkNumber(`${what} at step ${step}`, schedule(step), least, most);
}

/**
 * From `start` to `end` along half a cosine over `steps` steps, `end` from then on (Loshchilov & Hutter 2017, without restarts).
 *
 * @example
 * cosine(1e-3, 0, 1000)(500); // 5e-4
 */
export function cosine(start: number, end: number, steps: number): (step: number) => number {
  checkNumber("start", start, -Number.MAX_VALUE);
  checkNumber("end", end, -Number.MAX_VALUE);
  checkPositive("steps", steps);
  return (step) => end + ((start - end) * (1 + Math.cos((Math.PI * Math.min(step, steps)) / steps))) / 2;
}

/**
 * rate(t) = a (b + t)^-gamma: the step sizes of Langevin dynamics, which add up to infinity while their squares do not for gamma in (1/2, 1]
 * (Welling & Teh 2011, section 4).
 * @throws BrownianError usage for a or b not above 0, gamma below 0
 *
 * @example
 * polynomial(0.01, 1, 0.55)(0); // 0.01
 */
export function polynomial(a: number, b: number, gamma: number): (step: number) => number {
  checkPositive("a", a);
  checkPositive("b", b);
  checkNumber("gamma", gamma, 0);
  return (step) => a * (b + step) ** -gamma;
}

/** Throws a usage error unless the value is a finite number above 0. */
export function checkPositive(what: string, value: number): number {
  if (typeof value === "number" && value > 0 && value < Number.POSITIVE_INFINITY) return value;
  throw new BrownianError("usage", `${what} must be a finite number above 0, but is ${shown(value)}.`);
}
