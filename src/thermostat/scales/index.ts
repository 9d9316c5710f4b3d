// How a tensor's sigma follows from the dial. A scale is one entry of the table.

import { BrownianError } from "../../errors.js";
import type { Importance, Tensor } from "../../files/index.js";
import type { Columns } from "../../laws/move.js";
import { columnFactors } from "./equipartition.js";

/** What a scale may ask about a tensor. */
export interface TensorFacts {
  readonly tensor: Tensor;
  /** Root mean square of the tensor's weights; computed once, on first use. */
  rms(): Promise<number>;
  /** What the importance matrix says of it, if anything. */
  importance(): Promise<Importance | undefined>;
}

/** Sigma of one tensor: in weight units, or in steps of each block's own grid. */
export interface TensorSigma {
  readonly sigma: number;
  readonly inSteps: boolean;
  /** Where it goes by column: what sigma is multiplied with. */
  readonly columns?: Columns | undefined;
}

/** Turns the dial into the standard deviation of the noise on one tensor. */
type ScaleRule = (sigma: number, facts: TensorFacts) => Promise<TensorSigma>;

export const SCALES = {
  /** The dial is relative: sigma times the tensor's RMS. */
  rms: async (sigma, facts) => ({ sigma: sigma * (await facts.rms()), inSteps: false }),
  /** The dial is in weight units. */
  absolute: async (sigma) => ({ sigma, inSteps: false }),
  /** The dial is in units of the step of each block (of float tensors: of the distance from each weight to the next larger one). */
  step: async (sigma) => ({ sigma, inSteps: true }),
  /** As `rms` over the whole tensor; the columns of those in the importance matrix share it by equipartition (equipartition.ts). */
  imatrix: async (sigma, facts) => {
    const importance = await facts.importance();
    return { sigma: sigma * (await facts.rms()), inSteps: false, columns: importance && columnFactors(importance) };
  },
} as const satisfies Record<string, ScaleRule>;

export type Scale = keyof typeof SCALES;

/** Sigma of a tensor as the kernels take it (float32); refuses what float32 cannot hold. */
export async function tensorSigma(scale: Scale, sigma: number, facts: TensorFacts): Promise<TensorSigma> {
  const given = await (SCALES[scale] as ScaleRule)(sigma, facts);
  const rounded = Math.fround(given.sigma);
  if (Number.isFinite(rounded)) return { ...given, sigma: rounded };
  throw new BrownianError(
    "usage",
    `sigma ${sigma} (${scale}) is beyond float32 on tensor ${facts.tensor.name}: take a smaller one.`,
  );
}
