// Free Brownian motion (N. Wiener, J. Math. Phys. 2, 131, 1923): nothing pulls the weights back.
//   k(0) = 0,  k(t) = k(t - 1) + a kick of variance s^2 / tau,  E[k] = 0,  Var[k] = s^2 t / tau, until rails are near
// Invariant: kicks of different ticks are independent. Where s^2 / tau is small, the cost follows the weights that are kicked.

import type { Dynamics } from "./dynamics.js";

export const wiener: Dynamics = {
  name: "wiener",
  label: "wiener weights",
  summary: "free Brownian motion: the variance grows by sigma^2 / tau at every token",
  theory: {
    stationary: false,
    // Cov(k(a), k(b)) = s^2 min(a, b) / tau.
    correlation: (t, _tau, from) => (from === 0 ? 0 : Math.sqrt(from / (from + t))),
    variance: (t, tau) => t / tau,
    words: { correlation: "√(from/(from + t))", variance: "t/τ" },
  },
  cost: { words: "a kick of all weights; where σ²/τ is small, of those that move", share: () => 1, pace: 1 },
  moves: true,
  start: (bath) => bath.restore(),
  step: (bath, tick, tau) => bath.diffuse(tick, Math.sqrt(1 / tau)),
};
