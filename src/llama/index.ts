// brownian/llama: language models that write with moving weights.

export { describeEngine } from "./engine.js";
export { type GenerateOptions, type Generation, type LoadOptions, loadModel, Model } from "./model.js";
export type { Probe, TensorClass } from "./probe.js";
