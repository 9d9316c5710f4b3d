// White noise: every weight is drawn anew from the pristine model at every tick.
//   k(t) independent of k(t') for t != t',  E[k] = 0,  Var[k] = s^2
// Invariant: the state after tick t is a function of seed and t alone.

import type { Dynamics } from "./dynamics.js";

export const white: Dynamics = {
  name: "white",
  label: "white weights",
  summary: "every weight is drawn anew at every token",
  theory: {
    stationary: true,
    correlation: (t) => (t === 0 ? 1 : 0),
    variance: () => 1,
    words: { correlation: "nothing", variance: "1" },
  },
  cost: { words: "a draw of all weights", share: () => 1, pace: 1 },
  moves: true,
  start: (bath) => bath.draw(0),
  step: (bath, tick) => bath.draw(tick),
};
