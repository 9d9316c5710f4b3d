// Quenched disorder: the noise is drawn once and then frozen, as in a glass.
//   k(t) = k(0),  E[k] = 0,  Var[k] = s^2,  autocorrelation 1
// Invariant: a tick changes no byte.

import type { Dynamics } from "./dynamics.js";

export const quenched: Dynamics = {
  name: "quenched",
  label: "quenched weights",
  summary: "one draw per sample, frozen while it is written",
  theory: {
    stationary: true,
    correlation: () => 1,
    variance: () => 1,
    words: { correlation: "1", variance: "1" },
  },
  cost: { words: "nothing", share: () => 0, pace: 1 },
  moves: false,
  start: (bath) => bath.draw(0),
  step: async (bath) => bath.drawn,
};
