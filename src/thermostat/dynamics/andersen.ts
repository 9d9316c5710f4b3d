// Andersen's thermostat (H. C. Andersen, J. Chem. Phys. 72, 2384, 1980): now and then a particle meets the bath, and forgets what it did.
// Here the particles are cells of 4096 neighbouring weights. At every tick each collides with probability p, for itself, and is then drawn anew:
//   p = 1 - e^(-1/tau),  E[k] = 0,  Var[k] = s^2,  autocorrelation of every weight (1 - p)^t = e^(-t/tau)
// Invariant: the law of the state at any one tick is that of a draw. The cost follows the cells that collide.

import type { Dynamics } from "./dynamics.js";

/** p: with which probability a cell collides at a tick. */
const collisions = (tau: number): number => -Math.expm1(-1 / tau);

export const andersen: Dynamics = {
  name: "andersen",
  label: "andersen weights",
  summary: "at every token 1 in tau cells of 4096 weights is drawn anew",
  theory: {
    stationary: true,
    correlation: (t, tau) => Math.exp(-t / tau),
    variance: () => 1,
    words: { correlation: "e^(−t/τ)", variance: "1" },
  },
  cost: { words: "a draw of 1 − e^(−1/τ) of the cells", share: collisions, pace: 1 },
  moves: true,
  start: (bath) => bath.draw(0),
  step: (bath, tick, tau) => bath.collide(tick, collisions(tau)),
};
