// Sampling at the output, and what is said about laws: pure functions, for browsers too.

export type { Estimate } from "../statistics/intervals.js";
export { compressionRatio, distinct, repetition, selfBleu, type Tokens } from "../statistics/metrics.js";
export {
  type NoisePoint,
  noiseFlipRate,
  type Profile,
  type SoftmaxPoint,
  softmaxFlipRate,
  weightSigma,
  weightSigmaInterval,
} from "./calibration.js";
export { gaussianMax, gumbel, gumbelMax } from "./gumbel.js";
export { argmax, crossEntropy, entropy, type Heat, inverseTemperature, kl, type Logits, logSoftmax, softmax } from "./softmax.js";
export { Ensemble, type EnsembleEntropy } from "./uncertainty.js";
