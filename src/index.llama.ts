// brownian/llama: language models that write with moving weights, their draws as adapters for other engines, and the comparison of these with
// other sources of variety. A door of its own, since it takes from rooms of which the lower may not know the higher.

export {
  type AdapterFormatName,
  type AdapterManifest,
  type AdapterPlan,
  type AgreedToken,
  type AnsweredToken,
  askEnsemble,
  type EnsembleAnswers,
  type EnsembleOptions,
  type ManifestMember,
  type MemberAnswer,
  type Merged,
  type MergeOptions,
  mergeMember,
  type ProtocolName,
  readManifest,
  type ServedMessage,
  type Vote,
  type WriteAdaptersOptions,
  writeAdapters,
} from "./adapters/index.js";
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
