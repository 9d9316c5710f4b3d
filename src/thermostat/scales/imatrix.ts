// As `rms` over the whole tensor; the columns of those in the model's importance matrix share it by equipartition
// (equipartition.ts).

import { BrownianError } from "../../errors.js";
import { readImatrix } from "../../files/index.js";
import { columnFactors } from "./equipartition.js";
import type { ScaleRule } from "./scale.js";

/** The file that the scale "imatrix" rests on. */
export interface ImatrixOptions {
  /**
   * With scale "imatrix": an importance matrix of this model, as llama.cpp's llama-imatrix writes it (GGUF). Tensors
   * that it lacks go by RMS.
   */
  readonly imatrix?: string | undefined;
}

export const imatrix: ScaleRule = {
  unit: " RMS by column",
  file: {
    option: "imatrix" satisfies keyof ImatrixOptions,
    summary: "the model's importance matrix (GGUF, by llama-imatrix)",
    missing:
      'The scale imatrix needs an importance matrix of the model, made by llama-imatrix: name the file (imatrix: "file.gguf", --imatrix FILE).',
    unused: (file) => `The importance matrix ${file} is for the scale imatrix: choose that, or leave it out.`,
    otherwise: "by RMS",
  },
  check(rounding) {
    if (rounding === "matched") return;
    throw new BrownianError(
      "usage",
      `The scale imatrix is about exact variances: it needs the rounding matched, not ${rounding}.`,
    );
  },
  async open(model, file) {
    const importance = await readImatrix(file, model);
    return async (sigma, { tensor, rms }) => {
      const own = importance.get(tensor.name);
      return { sigma: sigma * (await rms()), inSteps: false, columns: own && columnFactors(own) };
    };
  },
};
