// Bayes by Backprop (Blundell, Cornebise, Kavukcuoglu & Wierstra, "Weight Uncertainty in Neural Networks", ICML 2015): every weight is a normal
// law, whose mean and width are learned by gradients through the draw:
//
//   w = mu + sigma eps,   sigma = ln(1 + e^rho),   F(D, mu, rho) = KL(q(w | mu, rho) || P(w)) - E_q[ln P(D | w)]
//
// Three estimators of the same expectation, with gradients of falling variance: one draw of the weights for the minibatch ("weights"); that draw
// with signs of each example's own ("flipout"; Wen, Vicol, Ba, Tran & Grosse 2018); a draw of each example's outputs ("local"; Kingma, Salimans & Welling 2015).

import { BrownianError, checkChoice, checkInteger, checkNumber, checkObject } from "../errors.js";
import { checkOptions, type Names } from "../options.js";
import {
  checkShape,
  checkTensor,
  disposeTree,
  isTensor,
  jax,
  rebuild,
  refTree,
  type Tensor,
  type Tree,
  tensor,
  values,
} from "./autodiff.js";
import { affine, checkNetwork, checkSizes, type Layer } from "./layers.js";
import { softmaxCrossEntropy } from "./losses.js";
import type { Draws } from "./noise.js";
import { checkPositive } from "./schedules.js";
import { checkDataset, type Dataset, type Minibatch, minibatch, type Training } from "./train.js";

/**
 * A normal law for each element.
 * @property mu means
 * @property rho standard deviations as ln(1 + e^rho), which is above 0 whatever rho is
 */
export type Gaussian = { mu: Tensor; rho: Tensor };

/**
 * The parameters of {@link bayesLinear}.
 * @property weight [out, in]
 * @property bias [out]
 */
export type BayesLinearParams = { weight: Gaussian; bias: Gaussian };

/**
 * What a {@link bayesLinear} layer draws; which of these, its estimator says.
 * @property weight standard normals [out, in]
 * @property bias standard normals [out]
 * @property inputSign signs [batch, in]
 * @property outputSign signs [batch, out]
 * @property output standard normals [batch, out]
 */
export type BayesLinearNoise = { weight?: Tensor; bias?: Tensor; inputSign?: Tensor; outputSign?: Tensor; output?: Tensor };

/**
 * P(w) = pi N(w; 0, sigma1^2) + (1 - pi) N(w; 0, sigma2^2) for each weight (Blundell et al. 2015, eq. 7). With pi = 1 it is one normal law, and the
 * KL divergence has a closed form; else it is estimated from the drawn weights.
 */
export interface ScaleMixture {
  /** Share of the first, in (0, 1]. Default 0.5. */
  readonly pi?: number;
  /** Default 1. */
  readonly sigma1?: number;
  /** Default e^-6: a spike of weights that might as well not be there. */
  readonly sigma2?: number;
}

/** How a layer draws its outputs: {@link bayesLinear} has the formulas. */
export type Estimator = "weights" | "flipout" | "local";
const ESTIMATORS: readonly Estimator[] = ["weights", "flipout", "local"];

/** The law that a {@link bayesLinear} layer begins with, and how it is drawn from. */
export interface BayesLinearOptions {
  /** P(w), what weights are expected to be before any data; the defaults are its own. */
  readonly prior?: ScaleMixture;
  /** How outputs are drawn: see this file's head. Default "local" with a normal prior, "weights" with a mixture. */
  readonly estimator?: Estimator;
  /** Every rho at the start; default -5 (sigma = 0.0067). */
  readonly rho?: number;
}

const LINEAR: Names<BayesLinearOptions> = { prior: true, estimator: true, rho: true };

/**
 * A linear layer with a normal law over every weight and bias (Blundell et al. 2015).
 *
 *   weights: y = x W^T + b, W = mu + sigma * eps                                 one eps a minibatch
 *   flipout: y = x mu^T + ((x * s) (sigma * eps)^T) * r + b, s and r signs       one eps a minibatch, s and r an example (Wen et al. 2018, eq. 4)
 *   local:   y = x mu^T + sqrt(x^2 (sigma^2)^T + sigma_b^2) * zeta               one zeta an output (Kingma et al. 2015, eq. 6)
 *
 * All three give every example's y the same law. Without noise: the means alone.
 *
 * @param inputs the length of x; @param outputs the length of y; both at least 1
 * @throws BrownianError usage for sizes below 1, a prior that is none, an unknown estimator, tensors of other shapes
 *
 * @example
 * const network = sequential(bayesLinear(784, 100), relu(), bayesLinear(100, 10));
 * await train({ ...bayesByBackprop(network, dataset), key: new Key(1n), params: network.init(new Key(1n)), steps: 1000 });
 */
export function bayesLinear(
  inputs: number,
  outputs: number,
  options: BayesLinearOptions = {},
): Layer<BayesLinearParams, BayesLinearNoise> {
  const { prior = {}, estimator, rho = -5 } = checkOptions("bayesLinear", options, LINEAR);
  checkSizes(inputs, outputs);
  checkNumber("rho", rho, -Number.MAX_VALUE);
  const law = checkPrior(prior);
  const kind = checkChoice("estimator", estimator ?? (law.pi === 1 ? "local" : "weights"), ESTIMATORS);
  const weights = (): Draws<Required<Pick<BayesLinearNoise, "weight" | "bias">>> => ({
    weight: { law: "normal", shape: [outputs, inputs] },
    bias: { law: "normal", shape: [outputs] },
  });
  return {
    init(key) {
      const { numpy: np } = jax();
      const bound = Math.sqrt(6 / inputs);
      const uniform = key.child("weight").uniform([outputs, inputs]);
      return {
        weight: { mu: uniform.mul(2 * bound).sub(bound), rho: np.full([outputs, inputs], rho) },
        bias: { mu: np.zeros([outputs]), rho: np.full([outputs], rho) },
      };
    },
    noise(batch) {
      const sign = (length: number) => ({ law: "sign", shape: [batch, length], perExample: true }) as const;
      if (kind === "weights") return weights();
      if (kind === "flipout") return { ...weights(), inputSign: sign(inputs), outputSign: sign(outputs) };
      const output = { law: "normal", shape: [batch, outputs], perExample: true } as const;
      return law.pi === 1 ? { output } : { ...weights(), output };
    },
    apply(params, x, noise) {
      checkParams(params, inputs, outputs);
      if (noise === undefined) {
        disposeTree([params.weight.rho, params.bias.rho]);
        return affine(params.weight.mu, params.bias.mu, x);
      }
      if (kind === "weights") return affine(sample(params.weight, noise.weight), sample(params.bias, noise.bias), x);
      return kind === "flipout" ? flipout(params, x, noise) : local(params, x, noise);
    },
    kl(params, noise) {
      checkParams(params, inputs, outputs);
      if (law.pi === 1) {
        if (noise !== undefined) disposeTree(noise as Tree);
        return gaussianKl(params.weight, law.sigma1).add(gaussianKl(params.bias, law.sigma1));
      }
      if (noise === undefined)
        throw new BrownianError("usage", "The KL divergence to a scale mixture is estimated from a draw: hand in noise.");
      disposeTree([noise.inputSign, noise.outputSign, noise.output].filter((t) => t !== undefined));
      return sampledKl(params.weight, needed("weight", noise.weight), law).add(
        sampledKl(params.bias, needed("bias", noise.bias), law),
      );
    },
  };
}

function checkPrior(prior: ScaleMixture): Required<ScaleMixture> {
  const names = { pi: true, sigma1: true, sigma2: true } as const;
  const { pi = 0.5, sigma1 = 1, sigma2 = Math.exp(-6) } = checkOptions("prior", prior, names);
  checkPositive("prior.sigma1", sigma1);
  checkPositive("prior.sigma2", sigma2);
  checkNumber("prior.pi", checkPositive("prior.pi", pi), 0, 1);
  return { pi, sigma1, sigma2 };
}

function checkParams({ weight, bias }: BayesLinearParams, inputs: number, outputs: number): void {
  for (const part of ["mu", "rho"] as const) {
    checkShape(`weight.${part}`, weight[part], [outputs, inputs]);
    checkShape(`bias.${part}`, bias[part], [outputs]);
  }
}

function needed(what: string, noise: Tensor | undefined): Tensor {
  if (noise !== undefined) return noise;
  throw new BrownianError("usage", `noise.${what} is missing: draw what the layer's noise(batch) asks for.`);
}

/** Keeps rho off 0, where max and |.| have a kink that their sum has not; changes no other float32. */
const OFF_ZERO = 1e-30;

/**
 * sigma = ln(1 + e^rho) = max(rho, 0) + ln(1 + e), e = e^-|rho|, with ln(1 + e) = 2 artanh(z), z = e / (2 + e) at most 1/3, by its series. The library's
 * own loses its digits where e^rho is small beside 1, and takes a logarithm more.
 */
export function sigmaOf(rho: Tensor): Tensor {
  const { numpy: np } = jax();
  const off = rho.add(OFF_ZERO);
  const e = np.exp(np.abs(off.ref).neg());
  const z = e.ref.div(e.add(2));
  const square = np.square(z.ref);
  let series = square.ref.mul(1 / 13).add(1 / 11); // z^14 / 15 is 1e-8
  for (const odd of [9, 7, 5, 3, 1]) series = series.mul(square.ref).add(1 / odd);
  square.dispose();
  return np.maximum(off, 0).add(z.mul(series).mul(2));
}

/** w = mu + sigma eps (Blundell et al. 2015, section 3.2). */
function sample({ mu, rho }: Gaussian, eps: Tensor | undefined): Tensor {
  const noise = needed(mu.shape.length === 2 ? "weight" : "bias", eps);
  checkShape("noise", noise, mu.shape);
  return mu.add(sigmaOf(rho).mul(noise));
}

function flipout({ weight, bias }: BayesLinearParams, x: Tensor, noise: BayesLinearNoise): Tensor {
  const { numpy: np } = jax();
  const [s, r] = [needed("inputSign", noise.inputSign), needed("outputSign", noise.outputSign)];
  checkShape("noise.inputSign", s, x.shape);
  checkShape("noise.outputSign", r, [x.shape[0] as number, bias.mu.shape[0] as number]);
  // The bias is the weight of an input that is 1, and whose sign stays.
  const moved = affine(
    sigmaOf(weight.rho).mul(needed("weight", noise.weight)),
    sigmaOf(bias.rho).mul(needed("bias", noise.bias)),
    x.ref.mul(s),
  );
  return np.add(affine(weight.mu, bias.mu, x), moved.mul(r));
}

function local({ weight, bias }: BayesLinearParams, x: Tensor, noise: BayesLinearNoise): Tensor {
  const { numpy: np } = jax();
  const zeta = needed("output", noise.output);
  checkShape("noise.output", zeta, [x.shape[0] as number, bias.mu.shape[0] as number]);
  disposeTree([noise.weight, noise.bias].filter((t) => t !== undefined)); // for the KL divergence alone
  const variance = affine(np.square(sigmaOf(weight.rho)), np.square(sigmaOf(bias.rho)), np.square(x.ref));
  return affine(weight.mu, bias.mu, x).add(np.sqrt(variance).mul(zeta));
}

/** KL(N(mu, sigma^2) || N(0, s^2)) = sum ln(s / sigma) + (sigma^2 + mu^2) / (2 s^2) - 1/2, in nats. Consumes the law. */
export function gaussianKl({ mu, rho }: Gaussian, s: number): Tensor {
  const { numpy: np } = jax();
  const sigma = sigmaOf(rho);
  const squares = np
    .square(sigma.ref)
    .add(np.square(mu))
    .mul(1 / (2 * s * s));
  return squares
    .sub(np.log(sigma))
    .add(Math.log(s) - 0.5)
    .sum();
}

/** ln q(w) - ln P(w) at w = mu + sigma eps, summed over weights: an unbiased estimate of the KL divergence (Blundell et al. 2015, eq. 2). Consumes its arguments. */
export function sampledKl({ mu, rho }: Gaussian, eps: Tensor, { pi, sigma1, sigma2 }: Required<ScaleMixture>): Tensor {
  const { numpy: np } = jax();
  checkShape("noise", eps, mu.shape);
  const sigma = sigmaOf(rho);
  const square = np.square(mu.add(sigma.ref.mul(eps.ref)));
  // ln sqrt(2 pi) is in q and in P.
  const posterior = np.square(eps).mul(-0.5).sub(np.log(sigma));
  const component = (share: number, s: number) => square.ref.mul(-1 / (2 * s * s)).add(Math.log(share) - Math.log(s));
  const prior = pi === 1 ? component(1, sigma1) : np.logaddexp(component(pi, sigma1), component(1 - pi, sigma2));
  square.dispose();
  return posterior.sub(prior).sum();
}

const KL_WEIGHTS = ["uniform", "geometric"] as const;

/**
 * The share of minibatch `i` of `batches` (0, 1, …) in the KL divergence; shares add up to 1 over an epoch.
 * uniform: 1 / M (Graves 2011). geometric: 2^(M - i) / (2^M - 1) with i from 1 on (Blundell et al. 2015, section 3.4): the prior speaks first, the data after.
 *
 * @example
 * klWeight("uniform", 0, 100); // 0.01
 */
export function klWeight(kind: (typeof KL_WEIGHTS)[number], i: number, batches: number): number {
  checkChoice("klWeights", kind, KL_WEIGHTS);
  checkInteger("batches", batches, 1);
  checkInteger("i", i, 0, batches - 1);
  return kind === "uniform" ? 1 / batches : 2 ** -(i + 1) / (1 - 2 ** -batches);
}

/** A minibatch, and how much the KL divergence counts in its loss. */
export type WeighedMinibatch = Minibatch & {
  /** T pi_i / batch, a scalar. */
  kl: Tensor;
};

/** How the KL divergence enters the loss of {@link bayesByBackprop}. */
export interface BayesByBackpropOptions {
  /** Default "uniform". */
  readonly klWeights?: (typeof KL_WEIGHTS)[number];
  /** Multiplies the KL divergence: 1 (default) is Bayes; below, the posterior is "cold" (Wenzel et al. 2020): narrower, and less bound to the prior. */
  readonly temperature?: number;
}

/**
 * What {@link train} needs to fit a network of {@link bayesLinear} layers to labels: the loss of minibatch i is
 * (T pi_i KL(q || P) - sum over the minibatch of ln P(y | x, w)) / batch (Blundell et al. 2015, eq. 8, per example).
 * @throws BrownianError usage for a network without laws over weights, T <= 0, an empty set, labels out of range
 *
 * @example
 * const network = sequential(bayesLinear(784, 100), relu(), bayesLinear(100, 10));
 * const { loss, batch, noise } = bayesByBackprop(network, dataset, { klWeights: "uniform" });
 */
export function bayesByBackprop<P extends Tree, N>(
  network: Layer<P, N>,
  dataset: Dataset,
  options: BayesByBackpropOptions = {},
): Pick<Training<P, WeighedMinibatch, N, never, never>, "loss" | "batch" | "noise" | "examples"> {
  const { klWeights = "uniform", temperature = 1 } = checkOptions("bayesByBackprop", options, {
    klWeights: true,
    temperature: true,
  });
  checkNetwork("network", network);
  const { kl } = network;
  if (kl === undefined)
    throw new BrownianError("usage", "The network has no law over its weights: build it of bayesLinear layers.");
  checkPositive("temperature", temperature);
  checkChoice("klWeights", klWeights, KL_WEIGHTS);
  const examples = checkDataset(dataset);
  return {
    examples,
    batch(indices, step) {
      const batches = Math.floor(examples / indices.length);
      const weight = klWeight(klWeights, step % batches, batches);
      return { ...minibatch(dataset, indices), kl: tensor((temperature * weight) / indices.length) };
    },
    noise: (batch) => network.noise(batch),
    loss(params, { x, y, kl: weight }, noise) {
      const divergence = kl(refTree(params), refTree(noise as Tree) as N);
      return divergence.mul(weight).add(softmaxCrossEntropy(network.apply(params, x, noise), y));
    },
  };
}

/**
 * |mu| / sigma of every weight (Blundell et al. 2015, section 5.3), in float64.
 * @param law stays the caller's
 *
 * @example
 * const ratios = signalToNoise(params);
 */
export function signalToNoise(law: Gaussian): Float64Array {
  const { mu, rho } = checkObject("The law", law);
  checkTensor("mu", mu);
  checkTensor("rho", rho);
  const [m, r] = [values(mu.ref), values(rho.ref)];
  return Float64Array.from(m, (v, i) => Math.abs(v) / Math.log1p(Math.exp(r[i] as number)));
}

/** rho of a weight that was taken out: sigma = 0. */
const GONE = -100;

/**
 * The parameters without the share of weights whose |mu| / sigma is least, over the whole network: their mu and sigma are 0 (Blundell et al. 2015,
 * section 5.3). Biases stay. What is left is for prediction: the KL divergence of a weight without width is infinite.
 * @param params stay the caller's. @param share 0 to 1
 * @throws BrownianError usage for a share outside of [0, 1], or no law over weights in the tree
 *
 * @example
 * const half = prunedBySignalToNoise(params, 0.5);
 */
export function prunedBySignalToNoise<P extends Tree>(params: P, share: number): P {
  checkNumber("share", share, 0, 1);
  const ratios = new Map<Gaussian, Float64Array>();
  rebuild(params, (node) => {
    if (isGaussian(node) && node.mu.shape.length > 1) ratios.set(node, signalToNoise(node));
    return isTensor(node) ? node : undefined;
  });
  if (ratios.size === 0)
    throw new BrownianError("usage", "There is no law over weights here: these are no parameters of bayesLinear layers.");
  const sorted = Float64Array.from([...ratios.values()].flatMap((r) => [...r])).sort();
  const least = sorted[Math.round(share * sorted.length)] ?? Number.POSITIVE_INFINITY;
  return rebuild(params, (node) => {
    if (isTensor(node)) return node.ref;
    const ratio = ratios.get(node as Gaussian);
    if (ratio === undefined) return undefined;
    const kept = (x: Tensor, gone: number) =>
      tensor(
        values(x.ref).map((v, i) => ((ratio[i] as number) >= least ? v : gone)),
        x.shape,
      );
    return { mu: kept((node as Gaussian).mu, 0), rho: kept((node as Gaussian).rho, GONE) };
  }) as P;
}

function isGaussian(tree: unknown): tree is Gaussian {
  return typeof tree === "object" && tree !== null && "mu" in tree && "rho" in tree && isTensor(tree.mu) && isTensor(tree.rho);
}
