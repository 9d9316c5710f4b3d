// Adaptive parameter noise (Plappert et al., "Parameter Space Noise for Exploration", ICLR 2018): Gaussian noise of one strength on all
// parameters, drawn once an episode, its sigma steered so that the moved policy stays at a chosen distance from the still one *in actions*.
// Distances are computed in float64 outside of autodiff.

import { BrownianError, checkInteger, checkList, checkNumber, shown } from "../errors.js";
import { checkOptions } from "../options.js";
import { logSoftmax } from "../sampling/index.js";
import { checkTensor, checkTree, mapTree, rebuild, type Tensor, type Tree, tensor } from "./autodiff.js";
import type { Draws } from "./noise.js";

/**
 * The next sigma: alpha sigma where the moved policy is at most `target` away, else sigma / alpha (Plappert et al. 2018, eq. 3).
 * @param distance what was measured with noise of this sigma: {@link policyDistance} or {@link actionDistance}, at least 0
 * @param options target: the distance wanted, above 0 ({@link epsilonDistance}); alpha: above 1, default 1.01
 * @throws BrownianError usage for sigma or target not above 0, a distance below 0, alpha not above 1
 *
 * @example
 * sigma = adaptSigma(sigma, policyDistance(stillQ, movedQ, 2), { target: epsilonDistance(0.1, 2) });
 */
export function adaptSigma(
  sigma: number,
  distance: number,
  options: { readonly target: number; readonly alpha?: number },
): number {
  const { target, alpha = 1.01 } = checkOptions("adaptSigma", options, { target: true, alpha: true });
  above("sigma", sigma, 0);
  above("target", target, 0);
  above("alpha", alpha, 1);
  checkNumber("distance", distance, 0);
  return distance <= target ? sigma * alpha : sigma / alpha;
}

/**
 * KL(still || moved) of the policies softmax(Q), the mean over states, in nats: the distance for agents that choose among few actions
 * (Plappert et al. 2018, appendix C.1).
 * @param still Q of the unmoved network, flat, [states, actions]. @param moved of the moved one, for the same states
 * @throws BrownianError usage for an empty set, lengths that do not fit, values that are not finite
 *
 * @example
 * policyDistance([0, 0], [Math.log(3), 0], 2); // 0.1438: KL of (1/2, 1/2) from (3/4, 1/4)
 */
export function policyDistance(still: ArrayLike<number>, moved: ArrayLike<number>, actions: number): number {
  checkInteger("actions", actions, 1);
  const states = checkPair(still, moved) / actions;
  if (!Number.isInteger(states))
    throw new BrownianError(
      "usage",
      `${still.length} values are no multiple of ${actions} actions: they are laid out flat, [states, actions].`,
    );
  let sum = 0;
  for (let s = 0; s < states; s++) {
    const row = (q: ArrayLike<number>) => logSoftmax(Array.from({ length: actions }, (_, a) => q[s * actions + a] as number));
    const [p, q] = [row(still), row(moved)];
    for (let a = 0; a < actions; a++) sum += Math.exp(p[a] as number) * ((p[a] as number) - (q[a] as number));
  }
  return Math.max(0, sum / states); // rounding may leave a little less
}

/**
 * sqrt(mean (still - moved)^2): the distance for agents whose actions are numbers; Gaussian noise of this standard deviation on them is as
 * far away (Plappert et al. 2018, appendix C.2).
 * @throws BrownianError usage for an empty set, lengths that differ, values that are not finite
 *
 * @example
 * actionDistance([0, 0], [3, -3]); // 3
 */
export function actionDistance(still: ArrayLike<number>, moved: ArrayLike<number>): number {
  const n = checkPair(still, moved);
  let sum = 0;
  for (let i = 0; i < n; i++) sum += ((still[i] as number) - (moved[i] as number)) ** 2;
  return Math.sqrt(sum / n);
}

/**
 * KL of a greedy policy from an epsilon-greedy one, -ln(1 - epsilon + epsilon / actions): the target at which parameter noise changes as
 * many actions as epsilon-greedy exploration (Plappert et al. 2018, appendix C.1).
 * @param epsilon in [0, 1). @throws BrownianError usage elsewhere
 *
 * @example
 * epsilonDistance(0.1, 2); // 0.0513
 */
export function epsilonDistance(epsilon: number, actions: number): number {
  checkNumber("epsilon", epsilon, 0, 1);
  checkInteger("actions", actions, 1);
  return -Math.log(1 - epsilon + epsilon / actions);
}

/**
 * What noise {@link moveParameters} takes: a standard normal a parameter.
 * @param params stay the caller's
 *
 * @example
 * const draws = parameterNoise(params);
 * const z = draw<typeof params>(draws, key, episode);
 */
export function parameterNoise<P extends Tree>(params: P): Draws<P> {
  return rebuild(params, (node) => (isTensor(node) ? { law: "normal", shape: node.shape } : undefined)) as Draws<P>;
}

/**
 * theta + sigma z. Pure: may be compiled, and mapped over agents. Takes params and noise.
 * @param sigma at least 0, or a scalar tensor.
 * @param noise z: standard normals in the shape of params, from {@link parameterNoise}; one draw an episode
 * @throws BrownianError usage for sigma below 0
 *
 * @example
 * const z = draw<typeof params>(parameterNoise(params), key.child("exploration"), episode);
 * const moved = moveParameters(refTree(params), 0.05, z);
 */
export function moveParameters<P extends Tree>(params: P, sigma: number | Tensor, noise: P): P {
  checkTree("params", params);
  checkTree("noise", noise);
  const scale =
    typeof sigma === "number" ? tensor(checkNumber("sigma", sigma, 0)) : checkTensor("sigma (where it is no number)", sigma);
  const moved = mapTree((p, z) => p.add(z.mul(scale.ref)), params as Tree, noise as Tree);
  scale.dispose();
  return moved as P;
}

function checkPair(still: ArrayLike<number>, moved: ArrayLike<number>): number {
  checkList("still", still);
  checkList("moved", moved);
  if (still.length === 0) throw new BrownianError("usage", "There is nothing to measure a distance on: give at least one state.");
  if (still.length !== moved.length)
    throw new BrownianError(
      "usage",
      `still has ${still.length} values and moved ${moved.length}: they must be of the same states.`,
    );
  for (let i = 0; i < still.length; i++) {
    if (Number.isFinite(still[i]) && Number.isFinite(moved[i])) continue;
    throw new BrownianError("usage", `Value ${i} is ${shown(still[i])} still and ${shown(moved[i])} moved: both must be finite.`);
  }
  return still.length;
}

function above(what: string, value: number, least: number): void {
  if (!(typeof value === "number" && value > least && value < Infinity))
    throw new BrownianError("usage", `${what} must be a finite number above ${least}, but is ${shown(value)}.`);
}

function isTensor(tree: unknown): tree is Tensor {
  return Array.isArray((tree as Tensor | null | undefined)?.shape);
}
