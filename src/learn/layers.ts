// Layers as pairs of pure functions: `init` makes parameters from a key, `apply` computes with parameters and noise that it is handed. Nothing
// here keeps state. Like every function of the autodiff library, apply takes the tensors it is given: pass `refTree(params)` to keep them.

import { BrownianError, checkInteger, checkNumber, checkObject } from "../errors.js";
import { checkShape, disposeTree, jax, type Tensor, type Tree } from "./autodiff.js";
import type { Draws, Key, NoNoise } from "./noise.js";

/** A layer, or a whole network of them. P: its parameters; N: the noise of one application. */
export interface Layer<P, N> {
  /** Fresh parameters. */
  init(key: Key): P;
  /** What noise `apply` takes for a minibatch of this many examples. */
  noise(batch: number): Draws<N>;
  /** The outputs [batch, out] for inputs [batch, in]. Without noise: the network at rest (means of weights, nothing dropped). */
  apply(params: P, x: Tensor, noise?: N): Tensor;
  /** Of layers with a law over their weights: KL(law || prior) in nats, summed over weights (bayes-by-backprop.ts). */
  kl?(params: P, noise?: N): Tensor;
}

/** A layer of whatever parameters and noise. */
// biome-ignore lint/suspicious/noExplicitAny: its own types say which
export type AnyLayer = Layer<any, any>;

/** The parameters of a layer of this type. */
export type ParamsOf<L> = L extends Layer<infer P, infer _> ? P : never;
/** The noise of one application of a layer of this type. */
export type NoiseOf<L> = L extends Layer<infer _, infer N> ? N : never;

/**
 * The parameters of {@link linear}.
 * @property weight [out, in], so that a row is what ggml quantizes as a row
 * @property bias [out]
 */
export type LinearParams = { weight: Tensor; bias: Tensor };

/**
 * y = x W^T + b. W uniform in ±sqrt(6 / in) (He et al. 2015, for relu), b = 0.
 * @param inputs the length of x; @param outputs the length of y; both at least 1
 * @throws BrownianError usage for sizes below 1, inputs or parameters of other shapes
 *
 * @example
 * const layer = linear(784, 100);
 * layer.apply(layer.init(new Key(42n)), tensor(new Float32Array(784), [1, 784])).shape; // [1, 100]
 */
export function linear(inputs: number, outputs: number): Layer<LinearParams, NoNoise> {
  checkSizes(inputs, outputs);
  return {
    init(key) {
      const bound = Math.sqrt(6 / inputs);
      const uniform = key.child("weight").uniform([outputs, inputs]);
      return { weight: uniform.mul(2 * bound).sub(bound), bias: jax().numpy.zeros([outputs]) };
    },
    noise: () => ({}),
    apply: (params, x) => affine(params.weight, params.bias, x),
  };
}

/** x W^T + b, with the shapes checked. */
export function affine(weight: Tensor, bias: Tensor, x: Tensor): Tensor {
  const [outputs, inputs] = weight.shape as [number, number];
  checkShape("x, the input of a layer,", x, [null, inputs]);
  checkShape("bias", bias, [outputs]);
  return jax().numpy.matmul(x, weight.transpose()).add(bias);
}

export function checkSizes(inputs: number, outputs: number): void {
  checkInteger("inputs", inputs, 1);
  checkInteger("outputs", outputs, 1);
}

/** A layer without parameters or noise. */
function activation(f: (x: Tensor) => Tensor): Layer<NoNoise, NoNoise> {
  return { init: () => ({}), noise: () => ({}), apply: (_params, x) => f(x) };
}

/**
 * max(x, 0).
 *
 * @example
 * sequential(linear(784, 100), relu(), linear(100, 10));
 */
export const relu = (): Layer<NoNoise, NoNoise> => activation((x) => jax().nn.relu(x));

/**
 * The hyperbolic tangent.
 *
 * @example
 * sequential(linear(784, 100), tanh(), linear(100, 10));
 */
export const tanh = (): Layer<NoNoise, NoNoise> => activation((x) => jax().numpy.tanh(x));

/**
 * What {@link dropout} draws.
 * @property keep uniforms in [0, 1) [batch, features]; those below p drop
 */
export type DropoutNoise = { keep: Tensor };

/**
 * Dropout (Srivastava et al. 2014): y = x m / (1 - p), m = 0 with probability p, else 1. With noise at inference as well it is MC dropout
 * (Gal & Ghahramani 2016).
 * @param p in [0, 1). @param features the length of x
 * @throws BrownianError usage for p outside of [0, 1)
 *
 * @example
 * sequential(linear(784, 100), relu(), dropout(0.5, 100), linear(100, 10));
 */
export function dropout(p: number, features: number): Layer<NoNoise, DropoutNoise> {
  checkNumber("p", p, 0, 1);
  if (p === 1) throw new BrownianError("usage", "p must be below 1: dropping everything leaves nothing to learn from.");
  checkInteger("features", features, 1);
  return {
    init: () => ({}),
    noise: (batch) => ({ keep: { law: "uniform", shape: [batch, features], perExample: true } }),
    apply(_params, x, noise) {
      checkShape("x, the input of dropout,", x, [null, features]);
      if (noise === undefined) return x;
      return x.mul(noise.keep.greaterEqual(p).astype(jax().numpy.float32)).div(1 - p);
    },
  };
}

/**
 * Layers one after the other. Parameters and noise are arrays with an entry a layer.
 * @throws BrownianError usage for no layers, or parameters or noise of another number
 *
 * @example
 * const network = sequential(linear(784, 100), relu(), linear(100, 10));
 * const params = network.init(new Key(42n)); // params[0].weight, params[2].bias
 */
export function sequential<const L extends readonly AnyLayer[]>(
  ...layers: L
): Layer<{ -readonly [I in keyof L]: ParamsOf<L[I]> }, { -readonly [I in keyof L]: NoiseOf<L[I]> }> {
  if (layers.length === 0) throw new BrownianError("usage", "sequential needs at least one layer.");
  for (const layer of layers) checkNetwork("A layer", layer);
  const network: AnyLayer = {
    init: (key) => layers.map((layer, i) => layer.init(key.child(i))),
    noise: (batch) => layers.map((layer) => layer.noise(batch)) as never,
    apply(params: Tree[], x, noise?: Tree[]) {
      checkEntries("params", params, layers.length);
      if (noise !== undefined) checkEntries("noise", noise, layers.length);
      return layers.reduce((y: Tensor, layer, i) => layer.apply(params[i], y, noise?.[i]), x);
    },
  };
  if (!layers.some((layer) => layer.kl)) return network;
  const kl = (params: Tree[], noise?: Tree[]): Tensor => {
    let sum = jax().numpy.array(0);
    layers.forEach((layer, i) => {
      if (layer.kl) sum = sum.add(layer.kl(params[i], noise?.[i]));
      else disposeTree([params[i] as Tree, noise?.[i] ?? {}]);
    });
    return sum;
  };
  return { ...network, kl } as AnyLayer;
}

/** Throws a `usage` error unless this has the three functions of a layer. */
export function checkNetwork(what: string, layer: AnyLayer): void {
  const { init, noise, apply } = checkObject(what, layer) as Partial<AnyLayer>;
  if ([init, noise, apply].every((one) => typeof one === "function")) return;
  throw new BrownianError(
    "usage",
    `${what} must have the functions init, noise and apply, as linear() and sequential() make them.`,
  );
}

function checkEntries(what: string, given: Tree[], layers: number): void {
  if (given.length !== layers)
    throw new BrownianError("usage", `${what} has ${given.length} entries, but the network has ${layers} layers.`);
}
