// brownian/llama: language models that write with moving weights.

export { type CompareOptions, type Comparison, type ComparisonSettings, compare } from "../compare/index.js";
export { describeEngine, type Seen } from "../engine/node-llama-cpp.js";
export type { Probe, TensorClass } from "../engine/probe.js";
export { type CalibrateOptions, calibrate } from "./calibrate.js";
export {
  type Expected,
  type GenerateOptions,
  type Generation,
  type LoadOptions,
  loadModel,
  Model,
  type ScoreOptions,
  type UncertainToken,
  type Uncertainty,
  type UncertaintyOptions,
} from "./model.js";
