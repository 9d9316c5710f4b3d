// A moved copy of a model file, once: what `brownian perturb` does.

import { type ModelFile, openWriter, readModel, type Skipped, WATCH, type Watch, watchOver, writeModel } from "../files/index.js";
import { selection } from "../kernels/select.js";
import { checkOptions, type Names } from "../options.js";
import { choose, drawTensors, Measures, type TensorDrawn } from "./draw.js";
import { type CheckedNoise, NOISE, type NoiseSettings, noiseOf } from "./noise.js";

/** What {@link perturbFile} is told: the noise, which draw of it, and how the work is stopped and watched. */
export interface PerturbFileOptions extends NoiseSettings, Watch {
  /** Which of the independent draws of the seed, 0 (the default) to 2^32 - 1. */
  readonly tick?: number | undefined;
}

const NAMES: Names<PerturbFileOptions> = { ...NOISE, ...WATCH, tick: true };

/** What {@link perturbFile} did. */
export interface FilePerturbed {
  /** The files that were written: as many as the model has. */
  readonly files: readonly string[];
  /** Of a folder: what else was copied (config, tokenizer), by name. */
  readonly copied: readonly string[];
  /** Of a folder: what was left out, since it would be as it was: other weights, and folders. */
  readonly leftOut: readonly string[];
  /** What happened to each tensor that moved, in the order of the file. */
  readonly tensors: readonly TensorDrawn[];
  /** The tensors that were left alone, with the reason. */
  readonly skipped: readonly Skipped[];
  /** Weights that could move, in all tensors. */
  readonly weights: number;
  /** Codes (or floats) that differ from the input's, in all tensors. */
  readonly changed: number;
}

/**
 * Writes a moved copy of the model `input` to `output`, whole or not at all. The input is opened for reading only. A model in several files gives as
 * many: "moved.gguf" then stands for moved-00001-of-00003.gguf and so on. A folder (of Hugging Face) gives a folder, with what else is in it.
 *
 * @throws BrownianError for anything wrong with the files, the settings or the disk
 * @example
 * const { weights, changed } = await perturbFile("model.gguf", "moved.gguf", { sigma: 0.05, seed: 7n });
 */
export async function perturbFile(input: string, output: string, options: PerturbFileOptions): Promise<FilePerturbed> {
  const noise = noiseOf(checkOptions("perturbFile", options, NAMES));
  const model = await readModel(input);
  const chosen = choose(model, noise);
  await noise.open(model); // before the work of a copy
  const { result, ...written } = await writeModel(input, output, model, (to) => moveInto(to, model, chosen, noise, options));
  return { ...written, ...result };
}

type Moves = Omit<FilePerturbed, "files" | "copied" | "leftOut">;

/** Writes the moved files of a model to these paths, where there are none. */
async function moveInto(
  to: readonly string[],
  model: ModelFile,
  { chosen, skipped }: ReturnType<typeof choose>,
  noise: CheckedNoise,
  options: PerturbFileOptions,
): Promise<Moves> {
  const watch = watchOver(model.size, options);
  const writer = await openWriter(to, model, selection().kernels);
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
}
