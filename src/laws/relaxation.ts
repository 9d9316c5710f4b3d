// The evolution of the dynamics `langevin`: every weight is pulled towards its pristine value by the factor a = e^(-1/tau), then kicked, so that
// its stationary standard deviation is sigma (langevin.ts has the formulas; columns.ts the same where every weight has a sigma of its own).

import { relaxColumns } from "./columns.js";
import { type Decay, decayOf } from "./decay.js";
import type { Evolution } from "./evolution.js";
import { relax } from "./langevin.js";
import { Field } from "./numbers.js";

/** The largest float32 below 1: how much of a move is kept at most. */
const BELOW_ONE = 1 - 2 ** -24;

/** Goes by `keep` = a, 0 <= a < 1 (a float32: what is nearer to 1 becomes the largest below). Moves are `matched`. */
export const relaxation: Evolution = {
  name: "relax",
  parameters: (keep, format): Decay => decayOf(Math.min(Math.fround(keep), BELOW_ONE), format[Field.levels] as number),
  step: (live, pristine, move, decay, noise) =>
    move.columns ? relaxColumns(live, pristine, move, decay, noise) : relax(live, pristine, move, decay),
};
