// The small language model that ships with the package.

import { join } from "node:path";
import { packageRoot } from "../kernels/addon.js";

const FILE = join("models", "fairytales-3M-Q8_0.gguf");

/**
 * The path of the language model that ships with brownian: fairy tales, 2.9 million weights, Q8_0, 3 MB (models/README.md).
 *
 * @example
 * const model = await loadModel(defaultModel);
 * const { text } = await model.complete("Once upon a time", { sigma: 0.05, seed: 7n });
 */
export const defaultModel: string = pathOfModel();

function pathOfModel(): string {
  try {
    return join(packageRoot(), FILE);
  } catch {
    return FILE; // in a bundle, which has lost the package: from the folder that it runs in
  }
}
