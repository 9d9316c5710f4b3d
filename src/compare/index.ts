// The comparison: moving weights beside softmax and others, at equal flip rates and along each one's frontier of quality and diversity.
//
//   methods.ts metrics.ts   what is compared (one method for every dynamics), and by which figures
//   plan.ts                 settings, checked before any work; the windows that are read
//   run.ts                  the work in its order: dials.ts reading.ts, and steps.ts, which are kept
//   records.ts results.ts   what was measured, and what follows from it
//   autocorrelation.ts      how moved weights remember, beside theory
//   page/                   the report: figures, tables, words. It loads packages, so whoever prints asks it directly

export { type AutocorrelationOptions, autocorrelation, type Remembered } from "./autocorrelation.js";
export { METHODS, type Method, type MethodName, methodNames } from "./methods.js";
export { METRICS, type MetricName } from "./metrics.js";
export { type CompareOptions, comparisonNumbers, comparisonSettings, optionsOf } from "./plan.js";
export type {
  AtEqualDiversity,
  Comparison,
  ComparisonSettings,
  Difference,
  Flips,
  Point,
  Pooled,
  Records,
  SampleText,
} from "./records.js";
export { evaluate } from "./results.js";
export { compare } from "./run.js";
