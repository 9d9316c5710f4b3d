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
export {
  type Answered,
  type Ascent,
  CommandJudge,
  cutLog,
  type EvolutionLog,
  type Evolved,
  type EvolveOptions,
  evolve,
  type Judge,
  type LogGeneration,
  type LogHead,
  type Measured,
  type Moves,
  moduleJudge,
  parseTask,
  type Question,
  type ReplayOptions,
  type RewardName,
  readLog,
  replay,
  type SearchName,
  type Shaping,
  type Split,
} from "./evolve/index.js";
export * from "./llama/index.js";
