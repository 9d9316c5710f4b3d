// Training and prediction: the loop around one jitted step. Minibatches and noise are made outside, from streams, and handed in, so that
// a run is a function of its seed.

import { BrownianError, checkFunction, checkInteger, checkList, checkNumber, checkObject, shown } from "../errors.js";
import { checkArray } from "../memory.js";
import { checkOptions, type Names } from "../options.js";
import {
  compile,
  disposeTree,
  elements,
  init,
  refTree,
  type Tensor,
  type Tree,
  tensor,
  valueAndGradient,
  values,
} from "./autodiff.js";
import { type AnyLayer, checkNetwork, type Layer } from "./layers.js";
import { checkLabel, oneHot, softmaxCrossEntropy } from "./losses.js";
import { type Draws, draw, Key } from "./noise.js";
import { adam, type Optimizer } from "./optimizers.js";
import { type Schedule, scheduled } from "./schedules.js";

/** Examples with labels, in memory. */
export interface Dataset {
  /** Flat: [examples, features]. */
  readonly inputs: Float32Array;
  /** One an example, 0 to classes - 1. */
  readonly labels: ArrayLike<number>;
  /** Length of one example's input. */
  readonly features: number;
  /** How many labels there are. */
  readonly classes: number;
}

/**
 * A minibatch of a {@link Dataset}.
 * @property x inputs [batch, features]
 * @property y labels [batch, classes], one-hot
 */
export type Minibatch = { x: Tensor; y: Tensor };

/** What a run of training needs. P: parameters; B: a minibatch; N: the loss's noise; S, M: the optimizer's state and noise. */
export interface Training<P extends Tree, B extends Tree, N, S extends Tree, M> {
  /** Where to begin; consumed. */
  readonly params: P;
  /** A scalar to be lowered. Pure: traced once, then run as compiled. Consumes its arguments. */
  loss(params: P, batch: B, noise: N): Tensor;
  /** How many examples there are. */
  readonly examples: number;
  /** The minibatch of these examples. Of one structure and shape at every step. */
  batch(indices: Uint32Array, step: number): B;
  /** What noise the loss takes for a minibatch of this many examples; default none. */
  noise?(batch: number): Draws<N>;
  /** Default 64, at most `examples`. The order is drawn anew every epoch; what is left at an epoch's end, less than a minibatch, is skipped. */
  readonly batchSize?: number;
  /** How many minibatches are learned from; at least 0. */
  readonly steps: number;
  /** Default {@link adam}. */
  readonly optimizer?: Optimizer<S, M>;
  /** Learning rate; default 1e-3. */
  readonly rate?: Schedule;
  /** Whence order and noise come. */
  readonly key: Key;
  /** After every step, with its number from 1 on, its loss, and the parameters, which stay the loop's: `refTree` to keep them. */
  onStep?(step: number, loss: number, params: P): void;
  /** Stops training between two steps; the call then rejects with `aborted`. */
  readonly signal?: AbortSignal;
}

/** A trained network, and the loss of every step. */
export interface Trained<P extends Tree> {
  /** The parameters after the last step; the caller's. */
  readonly params: P;
  /** The loss of every step, before its update. */
  readonly losses: Float64Array;
}

const NAMES: Names<Training<Tree, Tree, unknown, Tree, unknown>> = {
  params: true,
  loss: true,
  examples: true,
  batch: true,
  noise: true,
  batchSize: true,
  steps: true,
  optimizer: true,
  rate: true,
  key: true,
  onStep: true,
  signal: true,
};

/** The loop lets others run this often. */
const BREATH_MS = 50;

/**
 * Minimizes a loss over minibatches: theta = update(theta, gradient of the loss, rate), once a step.
 * @throws BrownianError usage for sizes that do not fit; diverged where the loss is no longer a finite number; aborted;
 *   autodiff-missing
 *
 * @example
 * const network = sequential(linear(784, 100), relu(), linear(100, 10));
 * const { params } = await train({ ...classification(network, dataset), key: new Key(1n), params: network.init(new Key(1n)), steps: 1000 });
 */
export async function train<P extends Tree, B extends Tree, N, S extends Tree, M>(
  training: Training<P, B, N, S, M>,
): Promise<Trained<P>> {
  await init();
  const { examples, steps, key, rate = 1e-3, signal } = checkOptions("train", training, NAMES as Names<typeof training>);
  if (!(key instanceof Key)) throw new BrownianError("usage", `key must be a Key, but is ${shown(key)}.`);
  for (const name of ["loss", "batch"] as const) checkFunction(name, training[name]);
  if (examples === 0) throw new BrownianError("usage", "There is nothing to learn from: the set is empty.");
  checkInteger("examples", examples, 1);
  const batchSize = checkInteger("batchSize", training.batchSize ?? Math.min(64, examples), 1, examples);
  checkInteger("steps", steps, 0);
  const optimizer = (training.optimizer ?? adam()) as Optimizer<S, M>;
  const gradientOf = valueAndGradient((params: P, batch: B, noise: N) => training.loss(params, batch, noise));
  const step = compile((params: P, state: S, batch: B, noise: N, rate: Tensor, kick: M): [Tensor, P, S] => {
    const [loss, gradient] = gradientOf(refTree(params), batch, noise);
    return [loss, ...optimizer.update(params, gradient, state, rate, kick)];
  });

  let params = training.params;
  let state = optimizer.init(params);
  const draws = training.noise?.(batchSize) ?? ({} as Draws<N>);
  const kicks = optimizer.noise(params);
  const losses = new Float64Array(steps);
  const perEpoch = Math.floor(examples / batchSize);
  let order = new Uint32Array();
  let breath = performance.now();
  try {
    for (let t = 0; t < steps; t++) {
      const epoch = Math.floor(t / perEpoch);
      const at = t - epoch * perEpoch;
      if (at === 0) order = key.child("order").permutation(examples, epoch) as typeof order;
      const batch = training.batch(order.subarray(at * batchSize, (at + 1) * batchSize), t);
      const noise = draw<N>(draws, key.child("noise"), t);
      const kick = draw<M>(kicks, key.child("kick"), t);
      const now = tensor(scheduled("rate", rate, t));
      let loss: Tensor;
      [loss, params, state] = step(params as never, state as never, batch as never, noise as never, now, kick as never) as [
        Tensor,
        P,
        S,
      ];
      const value = values(loss)[0] as number;
      losses[t] = value;
      if (!Number.isFinite(value))
        throw new BrownianError(
          "diverged",
          `The loss is ${value} at step ${t + 1} of ${steps}: lower the rate (${scheduled("rate", rate, t)} there).`,
        );
      training.onStep?.(t + 1, value, params);
      if (performance.now() - breath > BREATH_MS) {
        await new Promise((resolve) => setTimeout(resolve));
        breath = performance.now();
      }
      if (signal?.aborted)
        throw new BrownianError("aborted", `Stopped after step ${t + 1} of ${steps}.`, { cause: signal.reason });
    }
  } catch (error) {
    disposeTree(params);
    throw error;
  } finally {
    disposeTree(state);
    step.dispose();
  }
  return { params, losses };
}

/**
 * What {@link train} needs to fit a network to labels by cross-entropy: loss, minibatches, noise.
 * @throws BrownianError usage for an empty set, inputs and labels that do not fit together, labels out of range
 *
 * @example
 * const network = sequential(linear(784, 100), relu(), linear(100, 10));
 * const { loss, batch } = classification(network, dataset);
 */
export function classification<P extends Tree, N>(
  network: Layer<P, N>,
  dataset: Dataset,
): Pick<Training<P, Minibatch, N, never, never>, "loss" | "batch" | "noise" | "examples"> {
  checkNetwork("network", network);
  return {
    examples: checkDataset(dataset),
    batch: (indices) => minibatch(dataset, indices),
    noise: (batch) => network.noise(batch),
    loss: (params, { x, y }, noise) => softmaxCrossEntropy(network.apply(params, x, noise), y),
  };
}

/** That a set has what sets have; its numbers are not looked at. @throws BrownianError usage */
function checkParts(dataset: Dataset): Dataset {
  const { inputs, labels } = checkObject("dataset", dataset);
  checkArray("inputs", inputs, "Float32Array");
  checkList("labels", labels);
  return dataset;
}

/** How many examples a set has. @throws BrownianError usage where it is empty, its parts do not fit together, or a label is out of range */
export function checkDataset(dataset: Dataset): number {
  const { inputs, labels, features, classes } = checkParts(dataset);
  checkInteger("features", features, 1);
  checkInteger("classes", classes, 1);
  if (labels.length === 0) throw new BrownianError("usage", "The set is empty: give at least one example.");
  if (inputs.length !== labels.length * features) {
    const wanted = `${labels.length} labels and ${features} features make ${labels.length * features}`;
    throw new BrownianError("usage", `inputs has ${inputs.length} numbers, but ${wanted}.`);
  }
  for (let i = 0; i < labels.length; i++) checkLabel(labels, i, classes);
  return labels.length;
}

/**
 * The examples of these indices as tensors.
 *
 * @example
 * const { x, y } = minibatch(dataset, [0, 1, 2]); // of 784 features and 10 classes: [3, 784] and [3, 10]
 */
export function minibatch(dataset: Dataset, indices: ArrayLike<number>): Minibatch {
  const examples = checkParts(dataset).labels.length;
  for (const i of Array.from(checkList("indices", indices))) checkInteger("An index", i, 0, examples - 1);
  const { features, classes } = dataset;
  const labels = Array.from(indices, (i) => dataset.labels[i] as number);
  return { x: rows(dataset.inputs, features, indices), y: oneHot(labels, classes) };
}

/** Rows of a flat matrix of `width` columns: [indices.length, width]. */
export function rows(matrix: Float32Array, width: number, indices: ArrayLike<number>): Tensor {
  const out = new Float32Array(indices.length * width);
  for (let r = 0; r < indices.length; r++) {
    const i = indices[r] as number;
    out.set(matrix.subarray(i * width, (i + 1) * width), r * width);
  }
  return tensor(out, [indices.length, width]);
}

/** A network's forward pass as compiled: at rest, and with noise. */
interface Forward {
  still(params: Tree, x: Tensor): Tensor;
  noisy(params: Tree, x: Tensor, noise: unknown): Tensor;
}
const forwards = new WeakMap<object, Forward>();

function forward(network: AnyLayer): Forward {
  let known = forwards.get(network);
  if (known === undefined) {
    known = {
      still: compile((params: Tree, x: Tensor) => network.apply(params, x)),
      noisy: compile((params: Tree, x: Tensor, noise: unknown) => network.apply(params, x, noise)),
    };
    forwards.set(network, known);
  }
  return known;
}

/**
 * The outputs of a network for many inputs: flat, [examples, outputs].
 * @param params stay the caller's. @param inputs flat, [examples, features]
 * @param options key: draws the network's noise (one member of an ensemble a tick); without it the network is at rest.
 *   batchSize: examples at a time, default 500: what does not depend on the result
 * @throws BrownianError usage for an empty set, or inputs that are no multiple of features
 *
 * @example
 * const logits = predict(network, params, test.inputs, test.features);
 * accuracy(probabilities(logits, 10), test.labels, 10);
 */
export function predict<P extends Tree, N>(
  network: Layer<P, N>,
  params: P,
  inputs: Float32Array,
  features: number,
  options: { readonly key?: Key; readonly tick?: number; readonly batchSize?: number } = {},
): Float32Array {
  const names = { key: true, tick: true, batchSize: true } as const;
  const { key, tick = 0, batchSize = 500 } = checkOptions("predict", options, names);
  checkNetwork("network", network);
  checkArray("inputs", inputs, "Float32Array");
  checkInteger("features", features, 1);
  checkInteger("batchSize", batchSize, 1);
  checkNumber("tick", tick, 0);
  if (inputs.length === 0) throw new BrownianError("usage", "There is nothing to predict: the set is empty.");
  const examples = inputs.length / features;
  if (!Number.isInteger(examples))
    throw new BrownianError("usage", `inputs has ${inputs.length} numbers, which is no multiple of ${features} features.`);
  const { still, noisy } = forward(network);
  let out = new Float32Array();
  for (let first = 0; first < examples; first += batchSize) {
    const n = Math.min(batchSize, examples - first);
    const x = tensor(inputs.subarray(first * features, (first + n) * features), [n, features]);
    const y =
      key === undefined ? still(refTree(params), x) : noisy(refTree(params), x, draw<N>(network.noise(n), key, tick, first));
    const width = elements(y.shape) / n;
    if (first === 0) out = new Float32Array(examples * width);
    out.set(values(y), first * width);
  }
  return out;
}
