// Moving weights at inference (this project): a trained network of linear layers as 8-bit blocks, whose codes are moved in place by
// `perturb`. Each draw is another network near the trained one; together they are an ensemble for the price of one training. Computes
// without the autodiff library: weights as blocks, sums in float64.

import { BrownianError, checkChoice, checkInteger, checkList, checkNumber, checkObject, shown } from "../errors.js";
import { decode } from "../lattice/decode.js";
import { type Format, formatNamed } from "../lattice/formats.js";
import { type Moved, type PerturbOptions, perturb } from "../lattice/perturb.js";
import { quantizeI8, quantizeQ8_0 } from "../lattice/quantize.js";
import { checkArray } from "../memory.js";
import type { Seed } from "../noise/index.js";
import { checkOptions } from "../options.js";
import { checkTree, refTree, type Tree, values } from "./autodiff.js";
import type { LinearParams } from "./layers.js";
import { ensemble, probabilities } from "./metrics.js";

/** A linear layer as numbers, y = W x + b. */
export interface DenseWeights {
  /** [outputs, inputs], row by row. */
  readonly weight: Float32Array;
  /** [outputs]. */
  readonly bias: Float32Array;
}

/**
 * The same as 8-bit codes with a step a row: weight[o, i] = code[o, i] steps[o]. For networks that come quantized; they move on their own
 * grid.
 */
export interface Int8Weights {
  /** int8, as bytes: [outputs, inputs]. */
  readonly codes: Uint8Array;
  /** [outputs], in weight units. */
  readonly steps: Float32Array;
  /** [outputs], in weight units. */
  readonly bias: Float32Array;
}

const TYPES = ["Q8_0", "I8"] as const;
const SCALES = ["rms", "absolute", "step"] as const;
const ACTIVATIONS = { relu: (x: number) => Math.max(x, 0), tanh: Math.tanh };
const BLOCK = 32; // weights of a Q8_0 block: rows are padded to whole ones

/** How the weights move: `perturb`'s words. */
export interface NetworkMove {
  /** In units of `scale`; at least 0. */
  readonly sigma: number;
  /** Any whole number, taken modulo 2^64; equal seeds move alike. */
  readonly seed: Seed;
  /** The number of the draw: of the ensemble's member. Default 0. */
  readonly tick?: number;
  /** "rms" (default): units of each tensor's root mean square. "absolute": weight units. "step": units of each block's step. */
  readonly scale?: (typeof SCALES)[number];
  /** Default "matched". */
  readonly rounding?: PerturbOptions["rounding"];
}

/**
 * The weights of a `sequential` of linear layers as numbers, for {@link MovingNetwork}.
 * @param params stay the caller's; layers without parameters (activations, dropout) are passed over
 * @throws BrownianError usage for layers of other parameters
 *
 * @example
 * const network = sequential(linear(784, 100), relu(), linear(100, 10));
 * const layers = denseWeights(network.init(new Key(1n))); // two
 */
export function denseWeights(params: readonly Tree[]): DenseWeights[] {
  if (!Array.isArray(params)) throw new BrownianError("usage", `params must be an array of layers', but is ${shown(params)}.`);
  return (params as readonly Tree[]).flatMap((layer, i) => {
    checkTree(`The parameters of layer ${i}`, layer);
    if (Object.keys(layer).length === 0) return [];
    const { weight, bias } = layer as Partial<LinearParams>;
    if (Object.keys(layer).length !== 2 || weight === undefined || bias === undefined)
      throw new BrownianError(
        "usage",
        `Layer ${i} has the parameters ${Object.keys(layer).join(", ")}: only linear layers (weight, bias) are known here.`,
      );
    return [{ weight: values(refTree(weight)), bias: values(refTree(bias)) }];
  });
}

/**
 * A network of linear layers with one activation between them, as 8-bit blocks that move.
 *
 * move: every code k' = k + move with mean 0 and, rounded `matched`, variance (sigma RMS / step)^2, always from the pristine codes (a
 * quenched draw a tick). Biases are F32 and move likewise, as in a model file.
 *
 * @throws BrownianError usage for no layers, layers that do not fit together, weights that are not finite
 *
 * @example
 * const network = new MovingNetwork(denseWeights(params), 784); // of sequential(linear(784, 100), relu(), linear(100, 10))
 * network.move({ sigma: 0.1, seed: 1n, tick: member });
 * accuracy(network.logits(test.inputs), test.labels, 10);
 */
export class MovingNetwork {
  /** Length of the first layer's input. */
  readonly inputs: number;
  /** Length of the last layer's output: how many classes there are. */
  readonly outputs: number;
  private readonly layers: readonly MovingLayer[];
  private readonly activation: (x: number) => number;

  /**
   * @param weights of the layers in their order. @param inputs the length of the first layer's input
   * @param options type: what float weights become: "Q8_0" (default), or "I8" with one step a row;
   *   activation: what is between layers, "relu" (default) or "tanh": parameters do not tell
   */
  constructor(
    weights: readonly (DenseWeights | Int8Weights)[],
    inputs: number,
    options: { readonly type?: (typeof TYPES)[number]; readonly activation?: keyof typeof ACTIVATIONS } = {},
  ) {
    const names = { type: true, activation: true } as const;
    const { type = "Q8_0", activation = "relu" } = checkOptions("MovingNetwork", options, names);
    checkInteger("inputs", inputs, 1);
    checkChoice("type", type, TYPES);
    this.activation = ACTIVATIONS[checkChoice("activation", activation, ["relu", "tanh"])];
    if (Array.from(checkList("weights", weights)).length === 0)
      throw new BrownianError("usage", "A network needs at least one layer.");
    this.inputs = inputs;
    let width = inputs;
    this.layers = Array.from(weights, (layer, i) => {
      const { bias } = checkObject(`Layer ${i}`, layer);
      checkArray(`The bias of layer ${i}`, bias, "Float32Array");
      if ("codes" in layer) {
        checkArray(`The codes of layer ${i}`, layer.codes, "Uint8Array");
        checkArray(`The steps of layer ${i}`, layer.steps, "Float32Array");
      } else checkArray(`The weight of layer ${i}`, layer.weight, "Float32Array");
      const count = "codes" in layer ? layer.codes.length : layer.weight.length;
      if (bias.length === 0 || count !== width * bias.length)
        throw new BrownianError(
          "usage",
          `Layer ${i} has ${count} weights and ${bias.length} biases, but ${width} inputs: weight must be [${bias.length}, ${width}].`,
        );
      if ("codes" in layer && layer.steps.length !== bias.length)
        throw new BrownianError("usage", `Layer ${i} has ${layer.steps.length} steps, but ${bias.length} rows: give one a row.`);
      const inner = width;
      width = bias.length;
      if ("codes" in layer) return bytesLayer(layer, inner);
      if (type === "Q8_0") return blocksLayer(layer.weight, bias, inner);
      return bytesLayer({ ...quantizeI8(layer.weight, bias.length), bias }, inner);
    });
    this.outputs = width;
  }

  /**
   * Draws the weights anew about the trained ones. @returns how many could move, and how many did @throws BrownianError usage for sigma
   * below 0, an unknown scale or rounding
   */
  move(move: NetworkMove): Moved {
    checkOptions("move", move, { sigma: true, seed: true, tick: true, scale: true, rounding: true });
    checkNumber("sigma", move.sigma, 0);
    checkChoice("scale", move.scale ?? "rms", SCALES);
    const moved = this.layers.flatMap((layer, i) => moveLayer(layer, `layers.${i}`, move));
    return {
      weights: moved.reduce((sum, m) => sum + m.weights, 0),
      changed: moved.reduce((sum, m) => sum + m.changed, 0),
    };
  }

  /** The trained weights again. */
  restore(): void {
    for (const { weight, bias } of this.layers)
      for (const tensor of [weight, bias]) {
        tensor.live.set(tensor.pristine);
        tensor.stale = true;
      }
  }

  /** The tensors as they are now, decoded: weight [outputs, inputs], bias. */
  weights(): DenseWeights[] {
    return this.layers.map(({ weight, bias }) => ({ weight: weight.decode(), bias: bias.decode() }));
  }

  /**
   * Outputs for many inputs: flat, [examples, outputs].
   * @param inputs flat, [examples, inputs] @throws BrownianError usage for an empty set, a number of inputs that does not fit
   */
  logits(inputs: Float32Array): Float32Array {
    checkArray("inputs", inputs, "Float32Array");
    if (inputs.length === 0) throw new BrownianError("usage", "There is nothing to predict: the set is empty.");
    const examples = inputs.length / this.inputs;
    if (!Number.isInteger(examples))
      throw new BrownianError("usage", `inputs has ${inputs.length} numbers, which is no multiple of ${this.inputs}.`);
    for (const layer of this.layers) refresh(layer);
    const out = new Float32Array(examples * this.outputs);
    for (let e = 0; e < examples; e++) {
      let x: ArrayLike<number> = inputs.subarray(e * this.inputs, (e + 1) * this.inputs);
      this.layers.forEach((layer, i) => {
        const y = affine(layer, x);
        x = i < this.layers.length - 1 ? y.map(this.activation) : y;
      });
      out.set(x, e * this.outputs);
    }
    return out;
  }
}

/**
 * The mean of the members' probabilities, each member another draw (ticks 0, 1, ...): what an ensemble of moved networks predicts. The
 * network is at rest again afterwards.
 * @returns flat, [examples, outputs] @throws BrownianError usage as {@link MovingNetwork}, and for members below 1
 *
 * @example
 * const p = movedEnsemble(network, test.inputs, { members: 20, sigma: 0.1, seed: 1n });
 */
export function movedEnsemble(
  network: MovingNetwork,
  inputs: Float32Array,
  options: Omit<NetworkMove, "tick"> & { readonly members: number },
): Float64Array {
  const names = { members: true, sigma: true, seed: true, scale: true, rounding: true } as const;
  const { members, ...move } = checkOptions("movedEnsemble", options, names);
  if (!(network instanceof MovingNetwork))
    throw new BrownianError("usage", `network must be a MovingNetwork, but is ${shown(network)}.`);
  checkInteger("members", members, 1);
  try {
    return ensemble(
      Array.from({ length: members }, (_, tick) => {
        network.move({ ...move, tick });
        return probabilities(network.logits(inputs), network.outputs);
      }),
    );
  } finally {
    network.restore();
  }
}

/** A tensor that moves: bytes as they were trained, and as they are. */
interface MovingTensor {
  readonly type: string;
  readonly pristine: Uint8Array;
  readonly live: Uint8Array;
  readonly step?: Float32Array;
  readonly rms: number;
  /** live was written since it was last decoded. */
  stale: boolean;
  /** The weights of `live`, without padding. */
  decode(): Float32Array;
}

interface MovingLayer {
  readonly weight: MovingTensor;
  readonly bias: MovingTensor;
  readonly inputs: number;
  /** The decoded weights, input by input, so that inputs of 0 (most of an image) cost nothing. */
  readonly byInput: Float32Array;
  readonly offsets: Float32Array;
}

function blocksLayer(weight: Float32Array, bias: Float32Array, inputs: number): MovingLayer {
  const row = Math.ceil(inputs / BLOCK) * BLOCK;
  const padded = new Float32Array(row * bias.length);
  for (let o = 0; o < bias.length; o++) padded.set(weight.subarray(o * inputs, (o + 1) * inputs), o * row);
  const format = formatNamed("Q8_0") as Format;
  const unpadded = (live: Uint8Array) => {
    const all = decode(format, live);
    const out = new Float32Array(inputs * bias.length);
    for (let o = 0; o < bias.length; o++) out.set(all.subarray(o * row, o * row + inputs), o * inputs);
    return out;
  };
  return movingLayer(movingTensor("Q8_0", quantizeQ8_0(padded), unpadded), bias, inputs);
}

function bytesLayer({ codes, steps, bias }: Int8Weights, inputs: number): MovingLayer {
  const decoded = (live: Uint8Array) =>
    Float32Array.from(new Int8Array(live.buffer), (code, i) => code * (steps[Math.floor(i / inputs)] as number));
  return movingLayer({ ...movingTensor("I8", codes.slice(), decoded), step: steps }, bias, inputs);
}

function movingLayer(weight: MovingTensor, bias: Float32Array, inputs: number): MovingLayer {
  const floats = new Uint8Array(Float32Array.from(bias).buffer);
  const offsets = movingTensor("F32", floats, (live) => Float32Array.from(new Float32Array(live.buffer)));
  return {
    weight,
    bias: offsets,
    inputs,
    byInput: new Float32Array(inputs * bias.length),
    offsets: new Float32Array(bias.length),
  };
}

function movingTensor(type: string, pristine: Uint8Array, decoded: (live: Uint8Array) => Float32Array): MovingTensor {
  const live = pristine.slice();
  const weights = decoded(live);
  const rms = Math.sqrt(weights.reduce((sum, w) => sum + w * w, 0) / weights.length);
  return { type, pristine, live, rms, stale: true, decode: () => decoded(live) };
}

function moveLayer(
  layer: MovingLayer,
  name: string,
  { sigma, seed, tick = 0, scale = "rms", rounding = "matched" }: NetworkMove,
): Moved[] {
  return (
    [
      ["weight", layer.weight],
      ["bias", layer.bias],
    ] as const
  ).map(([part, tensor]) => {
    tensor.live.set(tensor.pristine);
    tensor.stale = true;
    return perturb(tensor.live, {
      type: tensor.type,
      sigma: scale === "rms" ? sigma * tensor.rms : sigma,
      scale: scale === "step" ? "step" : "absolute",
      seed,
      tick,
      rounding,
      name: `${name}.${part}`,
      ...(tensor.step === undefined ? {} : { step: tensor.step }),
    });
  });
}

/** Decodes what has moved. */
function refresh({ weight, bias, inputs, byInput, offsets }: MovingLayer): void {
  if (weight.stale) {
    const rows = weight.decode();
    const outputs = offsets.length;
    for (let o = 0; o < outputs; o++) for (let i = 0; i < inputs; i++) byInput[i * outputs + o] = rows[o * inputs + i] as number;
    weight.stale = false;
  }
  if (bias.stale) {
    offsets.set(bias.decode());
    bias.stale = false;
  }
}

/** W x + b in float64. */
function affine({ inputs, byInput, offsets }: MovingLayer, x: ArrayLike<number>): Float64Array {
  const outputs = offsets.length;
  const y = Float64Array.from(offsets);
  for (let i = 0; i < inputs; i++) {
    const a = x[i] as number;
    if (a === 0) continue;
    for (let o = 0, w = i * outputs; o < outputs; o++, w++) y[o] = (y[o] as number) + a * (byInput[w] as number);
  }
  return y;
}
