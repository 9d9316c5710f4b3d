// The dials of a perturbation that both a live thermostat and a one-off `perturbFile` have, and how they are checked.

import { BrownianError, checkChoice, checkNumber } from "../errors.js";
import { Rounding } from "../laws/numbers.js";
import { type Seed, seed64 } from "../noise/index.js";
import { SCALES, type Scale } from "./scales/index.js";

export interface NoiseSettings {
  /** Standard deviation of the noise on a weight, in units of `scale`; at least 0. */
  readonly sigma: number;
  /**
   * What sigma is relative to: "rms" (default), the tensor's root mean square; "absolute", weight units; "step", the step of each block;
   * "imatrix", the RMS again, shared among a tensor's input columns by how much activation comes through them.
   */
  readonly scale?: Scale;
  /** With scale "imatrix": an importance matrix of this model, as llama.cpp's llama-imatrix writes it (GGUF). Tensors that it lacks go by RMS. */
  readonly imatrix?: string | undefined;
  /** How a move is put on the grid of codes; default "matched". */
  readonly rounding?: Rounding;
  /** Default 0. */
  readonly seed?: Seed;
  /** Globs of tensor names; default all. */
  readonly only?: readonly string[] | undefined;
  /** Leave tensors of unsupported types alone instead of refusing; they are reported. */
  readonly skipUnsupported?: boolean;
}

export type CheckedSettings = Required<Omit<NoiseSettings, "only" | "seed" | "imatrix">> & {
  readonly only: readonly string[] | undefined;
  readonly imatrix: string | undefined;
  readonly seed: bigint;
};

/** Fills in defaults; throws `usage` for values out of range. */
export function checkSettings(settings: NoiseSettings): CheckedSettings {
  const { only } = settings;
  if (only !== undefined && (!Array.isArray(only) || only.length === 0)) {
    throw new BrownianError("usage", "only must be a list of at least one glob; leave it out to move every tensor.");
  }
  const scale = checkChoice("scale", settings.scale ?? "rms", Object.keys(SCALES) as Scale[]);
  const rounding = checkChoice("rounding", settings.rounding ?? "matched", Object.keys(Rounding) as Rounding[]);
  const { imatrix } = settings;
  if (scale === "imatrix" && (typeof imatrix !== "string" || imatrix === "")) {
    throw new BrownianError(
      "usage",
      'The scale imatrix needs an importance matrix of the model, made by llama-imatrix: name the file (imatrix: "file.gguf", --imatrix FILE).',
    );
  }
  if (scale !== "imatrix" && imatrix !== undefined)
    throw new BrownianError("usage", `The importance matrix ${imatrix} is for the scale imatrix: choose that, or leave it out.`);
  if (scale === "imatrix" && rounding !== "matched")
    throw new BrownianError(
      "usage",
      `The scale imatrix is about exact variances: it needs the rounding matched, not ${rounding}.`,
    );
  return {
    sigma: checkNumber("sigma", settings.sigma, 0),
    scale,
    imatrix,
    rounding,
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
