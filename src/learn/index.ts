// brownian/learn: the methods by which the field puts noise or temperature into a network, each with its paper's names, on this project's
// streams. Rests on the optional peer @jax-js/jax, loaded by `init`.

export {
  compile,
  type Disposer,
  disposeTree,
  init,
  jax,
  refTree,
  type Tensor,
  type Tree,
  tensor,
  valueAndGradient,
  values,
} from "./autodiff.js";
export {
  type BayesByBackpropOptions,
  type BayesLinearNoise,
  type BayesLinearOptions,
  type BayesLinearParams,
  bayesByBackprop,
  bayesLinear,
  type Estimator,
  type Gaussian,
  klWeight,
  prunedBySignalToNoise,
  type ScaleMixture,
  signalToNoise,
  type WeighedMinibatch,
} from "./bayes-by-backprop.js";
export { type DistillationBatch, type DistillationOptions, distillation, distillationLoss } from "./distillation.js";
export {
  type DropoutNoise,
  dropout,
  type Layer,
  type LinearParams,
  linear,
  type NoiseOf,
  type ParamsOf,
  relu,
  sequential,
  tanh,
} from "./layers.js";
export { huber, oneHot, softmaxCrossEntropy, squaredError } from "./losses.js";
export {
  accuracy,
  auroc,
  brier,
  ece,
  ensemble,
  nll,
  type Predictions,
  predictiveEntropies,
  predictiveEntropy,
  probabilities,
  type ReliabilityBin,
  reliability,
} from "./metrics.js";
export {
  type DenseWeights,
  denseWeights,
  type Int8Weights,
  MovingNetwork,
  movedEnsemble,
  type NetworkMove,
} from "./moving-network.js";
export { type Draw, type Draws, draw, Key, type Law, type NoNoise } from "./noise.js";
export {
  type FactorisedNoise,
  factorisedNoise,
  type IndependentNoise,
  type NoisyOptions,
  type NoisyParams,
  noisyLinear,
} from "./noisy-net.js";
export { type AdamState, adam, type Optimizer, type SgdState, sgd } from "./optimizers.js";
export {
  actionDistance,
  adaptSigma,
  epsilonDistance,
  moveParameters,
  parameterNoise,
  policyDistance,
} from "./parameter-noise.js";
export { cosine, polynomial, type Schedule } from "./schedules.js";
export {
  type Kicks,
  type NoState,
  type PreconditionedState,
  posterior,
  preconditionedSgld,
  type SgldOptions,
  sgld,
} from "./sgld.js";
export { fitTemperature, type TemperatureFit } from "./temperature-scaling.js";
export {
  classification,
  type Dataset,
  type Minibatch,
  minibatch,
  predict,
  type Trained,
  type Training,
  train,
} from "./train.js";
export { type WeightNoise, type WeightNoiseOptions, weightNoise } from "./weight-noise.js";
