// Optimizers as pairs of pure functions, `init` and `update`, traced into the step of training. What an optimizer adds of noise (Langevin
// dynamics: sgld.ts) is drawn outside and handed in. They take the trees they are given.

import { checkNumber } from "../errors.js";
import { checkOptions } from "../options.js";
import { disposeTree, jax, mapTree, refTree, type Tensor, type Tree, tensor } from "./autodiff.js";
import type { Draws, NoNoise } from "./noise.js";

/** How parameters follow the gradient. S: what is kept from step to step; N: the noise of one update. */
export interface Optimizer<S extends Tree = Tree, N = NoNoise> {
  /** The state before the first step; the parameters stay the caller's. */
  init(params: Tree): S;
  /** What noise one update takes. */
  noise(params: Tree): Draws<N>;
  /** The next parameters and state. @param rate the step's learning rate, a scalar */
  update<P extends Tree>(params: P, gradient: P, state: S, rate: Tensor, noise: N): [P, S];
}

const zeros = (params: Tree): Tree => mapTree((p) => jax().numpy.zerosLike(p), refTree(params));

/**
 * What {@link sgd} keeps from step to step.
 * @property velocity v, the decaying sum of gradients; empty without momentum
 */
export type SgdState = { velocity: Tree };

/**
 * Gradient descent with heavy-ball momentum: v = momentum v + g; theta = theta - rate v.
 * @throws BrownianError usage for momentum outside of [0, 1)
 *
 * @example
 * const optimizer = sgd({ momentum: 0.9 });
 */
export function sgd(options: { readonly momentum?: number } = {}): Optimizer<SgdState> {
  const { momentum = 0 } = checkOptions("sgd", options, { momentum: true });
  checkNumber("momentum", momentum, 0, 1);
  return {
    init: (params) => ({ velocity: momentum === 0 ? {} : zeros(params) }),
    noise: () => ({}),
    update(params, gradient, state, rate) {
      if (momentum === 0) return [descend(params, gradient, rate), state];
      const velocity = mapTree((v, g) => v.mul(momentum).add(g), state.velocity, gradient);
      return [descend(params, refTree(velocity), rate), { velocity }];
    },
  };
}

function descend<P extends Tree>(params: P, direction: Tree, rate: Tensor): P {
  const next = mapTree((p, d) => p.sub(d.mul(rate.ref)), params as Tree, direction);
  rate.dispose();
  return next as P;
}

/**
 * What {@link adam} keeps from step to step.
 * @property mean m, the running mean of gradients
 * @property square v, the running mean of their squares
 * @property decay b1^t and b2^t, which correct for the start at 0
 */
export type AdamState = { mean: Tree; square: Tree; decay: Tensor };

/**
 * Adam (Kingma & Ba 2015): m = b1 m + (1 - b1) g; v = b2 v + (1 - b2) g^2;
 * theta = theta - rate (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + epsilon).
 * @throws BrownianError usage for beta1 or beta2 outside of [0, 1], epsilon below 0
 *
 * @example
 * const optimizer = adam();
 */
export function adam(
  options: { readonly beta1?: number; readonly beta2?: number; readonly epsilon?: number } = {},
): Optimizer<AdamState> {
  const {
    beta1 = 0.9,
    beta2 = 0.999,
    epsilon = 1e-8,
  } = checkOptions("adam", options, {
    beta1: true,
    beta2: true,
    epsilon: true,
  });
  checkNumber("beta1", beta1, 0, 1);
  checkNumber("beta2", beta2, 0, 1);
  checkNumber("epsilon", epsilon, 0);
  return {
    // decay: b1^t and b2^t, which the autodiff library's approximate powers would blur.
    init: (params) => ({ mean: zeros(params), square: zeros(params), decay: tensor([1, 1]) }),
    noise: () => ({}),
    update(params, gradient, state, rate) {
      const { numpy: np } = jax();
      const decay = state.decay.mul(tensor([beta1, beta2]));
      const mean = mapTree((m, g) => m.mul(beta1).add(g.mul(1 - beta1)), state.mean, refTree(gradient) as Tree);
      const square = mapTree((v, g) => v.mul(beta2).add(np.square(g).mul(1 - beta2)), state.square, gradient as Tree);
      const [correct1, correct2] = tensor([1, 1]).sub(decay.ref) as Iterable<Tensor> as unknown as [Tensor, Tensor];
      const direction = mapTree(
        (m, v) => m.div(correct1.ref).div(np.sqrt(v.div(correct2.ref)).add(epsilon)),
        refTree(mean),
        refTree(square),
      );
      disposeTree([correct1, correct2]);
      return [descend(params, direction, rate), { mean, square, decay }];
    },
  };
}
