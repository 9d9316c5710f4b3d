// brownian/llama: language models that write with moving weights, and the comparison of these with other sources of variety. A door
// of its own, since it takes from two rooms of which the lower may not know the higher.

export {
  type AtEqualDiversity,
  type CompareOptions,
  type Comparison,
  type ComparisonSettings,
  compare,
  type Difference,
  type Flips,
  type MethodName,
  type MetricName,
  type Point,
  type Pooled,
  type Remembered,
  type SampleText,
} from "./compare/index.js";
export * from "./llama/index.js";
export { type DownloadOptions, resolveModel } from "./models/index.js";
