// A moved copy of a model file, once: what `brownian perturb` does.

import { LiveCopy, openMover, readModel, type Skipped, writeWhole } from "../gguf/index.js";
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
