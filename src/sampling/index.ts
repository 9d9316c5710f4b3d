// brownian/sampling: how tokens are chosen (softmax, Gumbel-max, ensembles), and, by re-export, what statistics says of the texts and rates that
// come of it. Pure functions for pages too: nothing here may load anything of Node.

// Statistics has no subpath of its own. What it offers to users is published here, and only here: they need it together with sampling, and had it
// under this name before the two rooms were told apart. The rooms do not use each other.
export {
  type NoisePoint,
  noiseFlipRate,
  type Profile,
  type SoftmaxPoint,
  softmaxFlipRate,
  weightSigma,
  weightSigmaInterval,
} from "../statistics/calibration.js";
export type { Estimate } from "../statistics/intervals.js";
export { compressionRatio, distinct, repetition, selfBleu, type Tokens } from "../statistics/metrics.js";
export { gaussianMax, gumbel, gumbelMax } from "./gumbel.js";
export { argmax, crossEntropy, entropy, type Heat, inverseTemperature, kl, type Logits, logSoftmax, softmax } from "./softmax.js";
export { Ensemble, type EnsembleEntropy } from "./uncertainty.js";
