// White noise: every weight is drawn anew from the pristine model at every tick.
//   k(t) independent of k(t') for t != t',  E[k] = 0,  Var[k] = s^2
// Invariant: the state after tick t is a function of seed and t alone.

import type { Dynamics } from "./dynamics.js";

export const white: Dynamics = {
  name: "white",
  summary: "every weight is drawn anew at every token",
  moves: true,
  start: (bath) => bath.draw(0),
  step: (bath, tick) => bath.draw(tick),
};
