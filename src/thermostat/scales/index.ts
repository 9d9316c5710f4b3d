// The table of scales.

import { BrownianError, shown } from "../../errors.js";
import type { Names } from "../../options.js";
import { absolute } from "./absolute.js";
import { type FragilityOptions, fragility } from "./fragility.js";
import { type ImatrixOptions, imatrix } from "./imatrix.js";
import { rms } from "./rms.js";
import type { ScaleFile, ScaleRule } from "./scale.js";
import { step } from "./step.js";

/**
 * What sigma may be relative to, by name.
 *
 * @example
 * const names = Object.keys(SCALES); // rms, absolute, step, imatrix, fragility
 * console.log(`sigma 0.05${SCALES.rms.unit}`); // sigma 0.05 RMS
 */
export const SCALES = {
  /** The tensor's root mean square: sigma 0.05 is a noise of 5 % of the size of its weights. */
  rms,
  /** Weight units. */
  absolute,
  /** The step of each block (of floats: the distance to the next larger value). */
  step,
  /** The root mean square, shared among the tensor's input columns by how much activation comes through them; needs a file. */
  imatrix,
  /** The root mean square, with more noise on tensors that bear it, by an audit of the model; needs a file. */
  fragility,
} as const satisfies Record<string, ScaleRule>;

/** A name of the table {@link SCALES}. */
export type Scale = keyof typeof SCALES;

/** The options of all scales that rest on a file. */
export type ScaleOptions = ImatrixOptions & FragilityOptions;

/** The files that scales rest on, by scale. */
function scaleFiles(): [Scale, ScaleFile & { option: keyof ScaleOptions }][] {
  return Object.entries<ScaleRule>(SCALES).flatMap(([scale, { file }]) =>
    file === undefined ? [] : [[scale as Scale, file as ScaleFile & { option: keyof ScaleOptions }]],
  );
}

/** The names of {@link ScaleOptions}. */
export const SCALE_OPTIONS: Names<ScaleOptions> = { imatrix: true, audit: true };

/** Of these options, those of scales. */
export function scaleOptions(options: ScaleOptions): ScaleOptions {
  return Object.fromEntries(scaleFiles().map(([, { option }]) => [option, options[option]]));
}

/** The file that `scale` rests on, if it does. @throws BrownianError usage where it is missing, or another scale's is given */
export function scaleFile(scale: Scale, options: ScaleOptions): string | undefined {
  let own: string | undefined;
  for (const [name, file] of scaleFiles()) {
    const given = options[file.option];
    if (name !== scale) {
      if (given !== undefined) throw new BrownianError("usage", file.unused(typeof given === "string" ? given : shown(given)));
    } else if (typeof given !== "string" || given === "") throw new BrownianError("usage", file.missing);
    else own = given;
  }
  return own;
}

export type { ScaleFile, ScaleRule, SigmaOf, TensorSigma } from "./scale.js";
