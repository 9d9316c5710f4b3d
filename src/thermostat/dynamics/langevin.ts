// Langevin's thermostat: friction and kicks, an Ornstein-Uhlenbeck process (Uhlenbeck & Ornstein, Phys. Rev. 36, 823, 1930) on the lattice.
//   E[k(t) | k(t - 1)] = a k(t - 1),  a = e^(-1/tau),  Var[k] = s^2,  autocorrelation a^t = e^(-t/tau)
// Invariant: where codes are far from rails the stationary variance is exactly s^2 (src/laws/relaxation.ts has the law). All weights at every tick.

import { relaxation } from "../../laws/relaxation.js";
import type { Dynamics } from "./dynamics.js";

export const langevin: Dynamics = {
  name: "langevin",
  label: "langevin weights",
  summary: "every weight is pulled back and kicked at every token: an Ornstein-Uhlenbeck process",
  theory: {
    stationary: true,
    correlation: (t, tau) => Math.exp(-t / tau),
    variance: () => 1,
    words: { correlation: "e^(−t/τ)", variance: "1" },
  },
  cost: { words: "a pull and a kick of all weights", share: () => 1, pace: 2.6 },
  moves: true,
  start: (bath) => bath.draw(0),
  step: (bath, tick, tau) => bath.evolve(tick, relaxation, Math.exp(-1 / tau)),
};
