// Free Brownian motion (N. Wiener, J. Math. Phys. 2, 131, 1923): nothing pulls the weights back.
//   k(0) = 0,  k(t) = k(t - 1) + a kick of variance s^2 / tau,  E[k] = 0,  Var[k] = s^2 t / tau, until rails are near
// Invariant: kicks of different ticks are independent. Where s^2 / tau is small, the cost follows the weights that are kicked.

import type { Dynamics } from "./dynamics.js";

export const wiener: Dynamics = {
  name: "wiener",
  summary: "free Brownian motion: the variance grows by sigma^2 / tau at every token",
  moves: true,
  start: (bath) => bath.restore(),
  step: (bath, tick, tau) => bath.diffuse(tick, Math.sqrt(1 / tau)),
};
