// Stochastic gradient Langevin dynamics (Welling & Teh, "Bayesian Learning via Stochastic Gradient Langevin Dynamics", ICML 2011): gradient descent with
// just as much noise as makes its path wander over the posterior instead of ending in its mode. The weights' Brownian motion, in training.
//
//   theta' = theta - rate / 2 * grad U(theta) + sqrt(rate T) xi,   U = -ln P(theta) - (N / n) sum over the minibatch of ln P(y | x, theta)
//
// Invariant: for rates that fall to 0 the law of theta is e^(-U / T), up to a constant. At a fixed rate it is off by a term of the order of the rate: for
// U = k theta^2 / 2 the variance is T / (k (1 - rate k / 4)) instead of T / k, which tests use.

import { checkFunction, checkNumber } from "../errors.js";
import { checkOptions } from "../options.js";
import { checkShape, disposeTree, isTensor, jax, leaves, mapTree, rebuild, refTree, type Tree } from "./autodiff.js";
import type { Layer } from "./layers.js";
import { softmaxCrossEntropy } from "./losses.js";
import type { Draws } from "./noise.js";
import type { Optimizer } from "./optimizers.js";
import { checkPositive, type Schedule } from "./schedules.js";
import { checkDataset, classification, type Dataset, type Minibatch, type Training } from "./train.js";

/** How hot the law is that {@link sgld} samples. */
export interface SgldOptions {
  /** Of the law e^(-U / T) that is sampled: a value or a function of the step, above 0. Default 1, the posterior; below, a cold one. */
  readonly temperature?: Schedule;
}

/**
 * The noise of one step of Langevin dynamics.
 * @property kicks one standard normal a parameter, times sqrt(T)
 */
export type Kicks = { kicks: Tree };

/**
 * Stochastic gradient Langevin dynamics, as an optimizer for {@link train} whose loss is the energy U ({@link posterior}).
 *
 * theta' = theta - rate / 2 grad U + sqrt(rate T) xi (Welling & Teh 2011, eq. 4). The rate is the squared step: parameters move by its root.
 * Their rates are `polynomial(a, b, gamma)` with gamma in (1/2, 1].
 *
 * @throws BrownianError usage for T <= 0
 *
 * @example
 * const U = posterior(network, dataset, { priorSigma: 1 });
 * await train({ ...U, optimizer: sgld(), rate: 1e-6, key: new Key(1n), params, steps: 5000, onStep: (step, _loss, params) => keep(refTree(params)) });
 */
export function sgld(options: SgldOptions = {}): Optimizer<NoState, Kicks> {
  const { temperature = 1 } = checkOptions("sgld", options, { temperature: true });
  const scale = kickScale(temperature);
  return {
    init: () => ({}),
    noise: (params) => kicks(params, scale),
    update(params, gradient, state, rate, noise) {
      const width = jax().numpy.sqrt(rate.ref);
      const next = mapTree(
        (theta, g, xi) => {
          checkShape("noise.kicks", xi, theta.shape);
          return theta.sub(g.mul(rate.ref).mul(0.5)).add(xi.mul(width.ref));
        },
        params as Tree,
        gradient as Tree,
        noise.kicks,
      );
      disposeTree([rate, width]);
      return [next as typeof params, state];
    },
  };
}

/** What {@link sgld} keeps from step to step: nothing. */
export type NoState = Record<string, never>;

/**
 * What {@link preconditionedSgld} keeps from step to step.
 * @property square V, the running mean of squared gradients
 */
export type PreconditionedState = { square: Tree };

/**
 * Preconditioned SGLD (Li, Chen, Carlson & Carin, "Preconditioned Stochastic Gradient Langevin Dynamics for Deep Neural Networks", AAAI 2016): steps and noise
 * as long in each direction as RMSprop's.
 *
 * V = alpha V + (1 - alpha) g^2, G = 1 / (lambda + sqrt V), theta' = theta - rate / 2 G grad U + sqrt(rate T G) xi, g = grad U / examples.
 *
 * Like the paper's own experiments it leaves out Gamma = sum d G / d theta, which is of the order of 1 - alpha: what it samples is close to the posterior, but not it,
 * even for rates that fall to 0.
 *
 * @param options examples: how many the energy sums over, so that g is a mean. alpha: default 0.99, in [0, 1). lambda: default 1e-5, above 0
 * @throws BrownianError usage for T <= 0, or the others out of range
 *
 * @example
 * await train({ ...U, optimizer: preconditionedSgld({ examples: 60_000 }), rate: 1e-8, key: new Key(1n), params, steps: 5000 });
 */
export function preconditionedSgld(
  options: SgldOptions & { readonly examples: number; readonly alpha?: number; readonly lambda?: number },
): Optimizer<PreconditionedState, Kicks> {
  const names = { temperature: true, examples: true, alpha: true, lambda: true } as const;
  const { examples, temperature = 1, alpha = 0.99, lambda = 1e-5 } = checkOptions("preconditionedSgld", options, names);
  checkPositive("examples", examples);
  checkNumber("alpha", alpha, 0, 1 - Number.EPSILON);
  checkPositive("lambda", lambda);
  const scale = kickScale(temperature);
  return {
    init: (params) => ({ square: mapTree((theta) => jax().numpy.zerosLike(theta), refTree(params)) }),
    noise: (params) => kicks(params, scale),
    update(params, gradient, state, rate, noise) {
      const { numpy: np } = jax();
      const square = mapTree(
        (v, g) => v.mul(alpha).add(np.square(g.mul(1 / examples)).mul(1 - alpha)),
        state.square,
        refTree(gradient) as Tree,
      );
      const next = mapTree(
        (theta, g, v, xi) => {
          checkShape("noise.kicks", xi, theta.shape);
          const step = rate.ref.div(np.sqrt(v).add(lambda));
          return theta.sub(g.mul(step.ref).mul(0.5)).add(xi.mul(np.sqrt(step)));
        },
        params as Tree,
        gradient as Tree,
        refTree(square),
        noise.kicks,
      );
      rate.dispose();
      return [next as typeof params, { square }];
    },
  };
}

/** sqrt(T), the noise's part that does not depend on the rate. */
function kickScale(temperature: Schedule): Schedule {
  if (typeof temperature === "number") return Math.sqrt(checkPositive("temperature", temperature));
  checkFunction("temperature (where it is no number)", temperature);
  return (step) => Math.sqrt(checkPositive(`temperature at step ${step}`, temperature(step)));
}

function kicks(params: Tree, scale: Schedule): Draws<Kicks> {
  const draws = rebuild(params, (node) => (isTensor(node) ? { law: "normal", shape: node.shape, scale } : undefined));
  return { kicks: draws as never };
}

/**
 * The energy U of a network's posterior under labels, for {@link train}: N times the mean cross-entropy over the minibatch, plus |theta|^2 / (2 s^2), which is
 * -ln P(theta) for a normal prior of standard deviation s on every parameter, constants left out. In nats, of the whole set.
 * @throws BrownianError usage for priorSigma not above 0, an empty set, labels out of range
 *
 * @example
 * const U = posterior(network, dataset, { priorSigma: 0.1 });
 */
export function posterior<P extends Tree, N>(
  network: Layer<P, N>,
  dataset: Dataset,
  options: { readonly priorSigma?: number } = {},
): Pick<Training<P, Minibatch, N, never, never>, "loss" | "batch" | "noise" | "examples"> {
  const { priorSigma = 1 } = checkOptions("posterior", options, { priorSigma: true });
  checkPositive("priorSigma", priorSigma);
  const examples = checkDataset(dataset);
  return {
    ...classification(network, dataset),
    loss(params, { x, y }, noise) {
      const { numpy: np } = jax();
      const squares = leaves(refTree(params)).map((theta) => np.square(theta).sum());
      const prior = squares.reduce((sum, one) => sum.add(one)).mul(1 / (2 * priorSigma * priorSigma));
      return softmaxCrossEntropy(network.apply(params, x, noise), y)
        .mul(examples)
        .add(prior);
    },
  };
}
