// What commands that read a text with a model have in common: the text, the model, and options that were given or not.

import { fileURLToPath } from "node:url";
import { engineNamed } from "../engine/index.js";
import { readTextFile } from "../files/text.js";
import { type LoadOptions, loadModel, type Model } from "../llama/index.js";

/** Fairy tales that the embedded model has not seen. */
const HELD_OUT = fileURLToPath(new URL("../../models/fairytales-heldout.txt", import.meta.url));

/** The text in a file; unless one is named, one that the embedded model has not seen. @throws BrownianError file-not-found, file-access */
export async function readText(path = HELD_OUT, signal?: AbortSignal): Promise<string> {
  return readTextFile(path, signal);
}

/** Options without those that were not given: what the library has defaults for is left out, not undefined. */
export function given<T extends object>(options: T): { [Name in keyof T]?: Exclude<T[Name], undefined> } {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as never;
}

/**
 * Loads a model for as long as `work` takes. What it measures is told from the clean model's: where the engine lets us choose, weights are
 * not rearranged, or the two ways of rounding would count as noise.
 */
export async function withModel<T>(
  path: string,
  {
    threads,
    scratch,
    parallel,
    keepPrompts,
    contextSize,
  }: Pick<LoadOptions, "threads" | "scratch" | "parallel" | "keepPrompts" | "contextSize">,
  signal: AbortSignal,
  work: (model: Model) => Promise<T>,
): Promise<T> {
  const kind = engineNamed();
  const repack = kind.choosesRepacking ? "off" : "auto";
  const own = kind.ownsContext ? { parallel, keepPrompts } : {}; // another engine writes one text after the other
  const model = await loadModel(path, { signal, repack, ...given({ threads, scratch, contextSize, ...own }) });
  try {
    return await work(model);
  } finally {
    await model.dispose();
  }
}
