// A moved copy of a model file, once: what `brownian perturb` does.

import { dirname } from "node:path";
import { copyModel, openMover, readModel, type Skipped, writeWhole } from "../gguf/index.js";
import { selection } from "../kernels/select.js";
import { choose, drawTensors, RmsCache, type TensorDrawn } from "./draw.js";
import { checkSettings, type NoiseSettings, type Watch } from "./settings.js";

export interface PerturbFileOptions extends NoiseSettings, Watch {
  /** Default 0. */
  readonly tick?: number;
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
  const settings = checkSettings(options);
  const model = await readModel(input);
  const { chosen, skipped } = choose(model, settings);
  const moving = chosen.reduce((sum, tensor) => sum + tensor.bytes, 0);
  const total = model.size + moving;
  const report = (done: number) => options.onProgress?.(done, total);
  const signal = options.signal && { signal: options.signal };
  return writeWhole(output, input, async (partial) => {
    const wayOut = "free some, or write elsewhere.";
    await copyModel(model.path, partial, model.size, dirname(partial), wayOut, { ...signal, onProgress: report });
    const mover = await openMover(partial, model.path, selection().kernels);
    try {
      const tensors: TensorDrawn[] = [];
      const watch = { ...signal, onProgress: (done: number) => report(model.size + done) };
      for await (const drawn of drawTensors(mover, chosen, settings, options.tick ?? 0, new RmsCache(mover), watch))
        tensors.push(drawn);
      return {
        tensors,
        skipped,
        weights: tensors.reduce((sum, t) => sum + t.tensor.weights, 0),
        changed: tensors.reduce((sum, t) => sum + t.changed, 0),
      };
    } finally {
      await mover.close();
    }
  });
}
