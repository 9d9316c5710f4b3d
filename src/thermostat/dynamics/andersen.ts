// Andersen's thermostat (H. C. Andersen, J. Chem. Phys. 72, 2384, 1980): now and then a particle meets the bath, and forgets what it did.
// Here the particles are cells of 256 neighbouring weights. At every tick each collides with probability p, for itself, and is then drawn anew:
//   p = 1 - e^(-1/tau),  E[k] = 0,  Var[k] = s^2,  autocorrelation of every weight (1 - p)^t = e^(-t/tau)
// Invariant: the law of the state at any one tick is that of a draw. The cost follows the cells that collide.

import type { Dynamics } from "./dynamics.js";

export const andersen: Dynamics = {
  name: "andersen",
  summary: "at every token 1 in tau cells of 256 weights is drawn anew",
  moves: true,
  start: (bath) => bath.draw(0),
  step: (bath, tick, tau) => bath.collide(tick, -Math.expm1(-1 / tau)),
};
