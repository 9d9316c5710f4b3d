// What a dynamics costs, for those who choose it.

import { DYNAMICS } from "../thermostat/dynamics/index.js";

/** A line on what moving weights cost beside weights at rest. */
export function costOf(dynamics: string): string {
  const moves = Object.values(DYNAMICS).some(({ name, moves: does }) => name === dynamics && does);
  return moves
    ? `${dynamics} moves weights at every token: each text has the model to itself, and a token takes longer by the move`
    : "weights are drawn once a text; those with the same draw (or none) are written at once, others take turns";
}
