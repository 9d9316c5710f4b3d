// Losses: scalars, means over the minibatch, to be differentiated. They take the tensors they are given.
// What is reported about a trained network (NLL, ECE, entropy) is computed in float64 instead: metrics.ts.

import { BrownianError, checkInteger, checkList, checkNumber, shown } from "../errors.js";
import { checkShape, checkTensor, jax, type Tensor, tensor } from "./autodiff.js";

/**
 * H(q, p) = -sum_c q_c ln softmax(z)_c, the mean over the minibatch, in nats.
 * @param logits [batch, classes]. @param targets [batch, classes], laws: one-hot rows ({@link oneHot}) or soft ones
 * @throws BrownianError usage for shapes that differ
 *
 * @example
 * softmaxCrossEntropy(tensor([0, 0], [1, 2]), tensor([1, 0], [1, 2])).js(); // 0.6931
 */
export function softmaxCrossEntropy(logits: Tensor, targets: Tensor): Tensor {
  checkShape("targets", targets, checkTensor("logits", logits).shape);
  return jax().nn.logSoftmax(logits).mul(targets).sum(-1).mean().neg();
}

/**
 * The mean of (y - target)^2 over all elements.
 * @throws BrownianError usage for shapes that differ
 *
 * @example
 * squaredError(tensor([0, 3]), tensor([1, 0])).js(); // 5: the mean of 1 and 9
 */
export function squaredError(y: Tensor, target: Tensor): Tensor {
  checkShape("target", target, checkTensor("y", y).shape);
  return jax().numpy.square(y.sub(target)).mean();
}

/**
 * Huber (1964): d^2 / 2 where |d| <= delta, else delta (|d| - delta / 2); d = y - target, the mean over all elements.
 *
 * @example
 * huber(tensor([0, 3]), tensor([1, 0])).js(); // 1.5: the mean of 1/2 and 3 - 1/2
 */
export function huber(y: Tensor, target: Tensor, delta = 1): Tensor {
  checkShape("target", target, checkTensor("y", y).shape);
  checkNumber("delta", delta, Number.MIN_VALUE);
  const { numpy: np } = jax();
  const distance = np.abs(y.sub(target));
  const near = np.minimum(distance.ref, delta);
  // near^2 / 2 + delta (|d| - near): the same on both sides, without a branch.
  return np.square(near.ref).mul(0.5).add(distance.sub(near).mul(delta)).mean();
}

/**
 * One row a label, 1 at the label and 0 elsewhere: [labels.length, classes].
 * @throws BrownianError usage for a label that is no whole number from 0 to classes - 1
 *
 * @example
 * oneHot([1, 0], 2).js(); // [[0, 1], [1, 0]]
 */
export function oneHot(labels: ArrayLike<number>, classes: number): Tensor {
  checkInteger("classes", classes, 1, MOST_CLASSES);
  const rows = new Float32Array(checkList("labels", labels).length * classes);
  for (let i = 0; i < labels.length; i++) rows[i * classes + checkLabel(labels, i, classes)] = 1;
  return tensor(rows, [labels.length, classes]);
}

const MOST_CLASSES = 2 ** 24;

/** Label i. @throws BrownianError usage where it is none of the classes */
export function checkLabel(labels: ArrayLike<number>, i: number, classes: number): number {
  const label = labels[i] as number;
  if (Number.isInteger(label) && label >= 0 && label < classes) return label;
  throw new BrownianError(
    "usage",
    `Label ${i} is ${shown(label)}, but there are ${classes} classes, 0 to ${classes - 1}: map the labels to them, or give more outputs.`,
  );
}
