// Which moves a search makes, as noise: of a search, of a worker, of a log that is replayed.

import { type CheckedNoise, noiseOf } from "../thermostat/noise.js";
import type { Moves } from "./log.js";

/** The noise whose draws are the moves. @throws BrownianError usage */
export const noiseFor = ({ sigma, scale, seed, only }: Moves): CheckedNoise =>
  noiseOf({ sigma, scale, seed: BigInt(seed), only: only ?? undefined, skipUnsupported: true });
