// Free Brownian motion (N. Wiener, J. Math. Phys. 2, 131, 1923): nothing pulls the weights back.
//   k(0) = 0,  k(t) = k(t - m) + a kick of variance m s^2 / tau,  E[k] = 0,  Var[k] = s^2 t / tau, until rails are near
// A weight is visited once in m = `stride` ticks and then takes the kicks of all of them; at every tick another m-th of each tensor.
// Invariant: kicks are independent; variance and correlation are those of free Brownian motion at every tick, over all weights (and of each weight
// at its visits), at any stride.

import type { Dynamics } from "./dynamics.js";
import { halfOfTau } from "./stride.js";

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
  cost: { words: "a kick of 2/τ of the weights", share: (tau) => 1 / halfOfTau(tau), pace: 1 },
  moves: true,
  stride: halfOfTau,
  start: (bath) => bath.restore(),
  step: (bath, tick, tau, stride) => bath.diffuse(tick, Math.sqrt(stride / tau), stride),
};
