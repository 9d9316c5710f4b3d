// brownian/llama: language models that write with moving weights.

export { type CalibrateOptions, calibrate } from "./calibrate.js";
export { type CompareOptions, compare } from "./compare.js";
export type { Comparison, ComparisonSettings } from "./comparison.js";
export { describeEngine, type Seen } from "./engine.js";
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
export type { Probe, TensorClass } from "./probe.js";
