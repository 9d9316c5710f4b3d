// Langevin's thermostat: friction and kicks, an Ornstein-Uhlenbeck process (Uhlenbeck & Ornstein, Phys. Rev. 36, 823, 1930) on the lattice.
//   E[k(t + m) | k(t)] = a^m k(t),  a = e^(-1/tau),  Var[k] = s^2,  autocorrelation e^(-t/tau) for t = 0, m, 2 m, ...
// A weight is visited once in m = `stride` ticks and then takes the step of all of them; at every tick another m-th of each tensor.
// Invariant: where codes are far from rails the variance is exactly s^2 at every tick (src/laws/relaxation.ts has the law). Between multiples of m
// the correlation, over all weights, is a straight line.

import { relaxation } from "../../laws/relaxation.js";
import type { Dynamics } from "./dynamics.js";
import { halfOfTau } from "./stride.js";

/** The line is then at most 0.025 above e^(-t/tau), as the chord of e^-x over [0, 1/2] is. */
const strideOf = halfOfTau;

export const langevin: Dynamics = {
  name: "langevin",
  label: "langevin weights",
  summary: "weights are pulled back and kicked, each once in tau/2 tokens: an Ornstein-Uhlenbeck process",
  theory: {
    stationary: true,
    // Of all weights, t/m - j have been visited j + 1 times since, the others j times.
    correlation: (t, tau, _from, stride = strideOf(tau)) => {
      const visits = Math.floor(t / stride);
      return Math.exp((-visits * stride) / tau) * (1 + (t / stride - visits) * Math.expm1(-stride / tau));
    },
    variance: () => 1,
    words: { correlation: "e^(−t/τ), straight between visits,", variance: "1" },
  },
  cost: { words: "a pull and a kick of 2/τ of the weights", share: (tau) => 1 / strideOf(tau), pace: 2.6 },
  moves: true,
  stride: strideOf,
  start: (bath) => bath.draw(0),
  step: (bath, tick, tau, stride) => bath.evolve(tick, relaxation, Math.exp(-stride / tau), stride),
};
