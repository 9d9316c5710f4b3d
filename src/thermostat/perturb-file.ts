// A moved copy of a model file, once: what `brownian perturb` does.

import { openWriter, readModel, type Skipped, type Watch, watchOver, writeWhole } from "../files/index.js";
import { selection } from "../kernels/select.js";
import { choose, drawTensors, Measures, type TensorDrawn } from "./draw.js";
import { type NoiseSettings, noiseOf } from "./noise.js";

export interface PerturbFileOptions extends NoiseSettings, Watch {
  /** Default 0. */
  readonly tick?: number | undefined;
}

export interface FilePerturbed {
  readonly tensors: readonly TensorDrawn[];
  readonly skipped: readonly Skipped[];
  readonly weights: number;
  readonly changed: number;
}

/**
 * Writes a moved copy of the model `input` to `output`, whole or not at all. The input is opened for reading only.
 *
 * @throws BrownianError for anything wrong with the files, the settings or the disk
 * @example
 * const { weights, changed } = await perturbFile("model.gguf", "moved.gguf", { sigma: 0.05, seed: 7n });
 */
export async function perturbFile(input: string, output: string, options: PerturbFileOptions): Promise<FilePerturbed> {
  const noise = noiseOf(options);
  const model = await readModel(input);
  const { chosen, skipped } = choose(model, noise);
  await noise.open(model); // before the work of a copy
  const watch = watchOver(model.size, options);
  return writeWhole(output, input, async (partial) => {
    const writer = await openWriter(partial, model, selection().kernels);
    try {
      await writer.copyRest(chosen, watch);
      const measures = new Measures(writer, model);
      const tensors: TensorDrawn[] = [];
      for await (const drawn of drawTensors(writer, chosen, noise, options.tick ?? 0, measures, watch)) tensors.push(drawn);
      return {
        tensors,
        skipped,
        weights: tensors.reduce((sum, t) => sum + t.tensor.weights, 0),
        changed: tensors.reduce((sum, t) => sum + t.changed, 0),
      };
    } finally {
      await writer.close();
    }
  });
}
