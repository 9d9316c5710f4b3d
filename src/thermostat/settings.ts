// The dials of a perturbation that both a live thermostat and a one-off `perturbFile` have, and how they are checked.

import { BrownianError, checkChoice, checkNumber } from "../errors.js";
import { Rounding } from "../kernels/contract.js";
import { type Seed, seed64 } from "../noise/index.js";
import { SCALES, type Scale } from "./scale.js";

export interface NoiseSettings {
  /** Standard deviation of the noise on a weight, in units of `scale`; at least 0. */
  readonly sigma: number;
  /** What sigma is relative to: "rms" (default), the tensor's root mean square; "absolute", weight units; "step", the step of each block. */
  readonly scale?: Scale;
  /** How a move is put on the grid of codes; default "matched". */
  readonly rounding?: Rounding;
  /** Default 0. */
  readonly seed?: Seed;
  /** Globs of tensor names; default all. */
  readonly only?: readonly string[] | undefined;
  /** Leave tensors of unsupported types alone instead of refusing; they are reported. */
  readonly skipUnsupported?: boolean;
}

export type CheckedSettings = Required<Omit<NoiseSettings, "only" | "seed">> & {
  readonly only: readonly string[] | undefined;
  readonly seed: bigint;
};

/** Fills in defaults; throws `usage` for values out of range. */
export function checkSettings(settings: NoiseSettings): CheckedSettings {
  const { only } = settings;
  if (only !== undefined && (!Array.isArray(only) || only.length === 0)) {
    throw new BrownianError("usage", "only must be a list of at least one glob; leave it out to move every tensor.");
  }
  return {
    sigma: checkNumber("sigma", settings.sigma, 0),
    scale: checkChoice("scale", settings.scale ?? "rms", Object.keys(SCALES) as Scale[]),
    rounding: checkChoice("rounding", settings.rounding ?? "matched", Object.keys(Rounding) as Rounding[]),
    seed: seed64(settings.seed ?? 0),
    only,
    skipUnsupported: settings.skipUnsupported ?? false,
  };
}

/** How long work is watched and stopped. */
export interface Watch {
  readonly signal?: AbortSignal | undefined;
  /** Called with bytes done and bytes in all, now and then. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}
