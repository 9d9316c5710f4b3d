// Noise for layers, optimizers and exploration: what a function needs is said as shapes (draws), drawn from this project's streams, and handed
// in as tensors. So a step of training is a pure function of its arguments, and any draw can be made again.

import { BrownianError, checkChoice, checkInteger, checkText, shown } from "../errors.js";
import { Noise, type Seed, type Stream } from "../noise/index.js";
import { elements, rebuild, type Tensor, type Tree, tensor } from "./autodiff.js";
import { type Schedule, scheduled } from "./schedules.js";

/** Standard normals; uniforms in [0, 1); signs, -1 or 1 with probability 1/2 each. */
export type Law = "normal" | "uniform" | "sign";
const LAWS: readonly Law[] = ["normal", "uniform", "sign"];

/** One tensor of noise. */
export interface Draw {
  /** What each number is drawn from. */
  readonly law: Law;
  /** Of the tensor, its axes in order. */
  readonly shape: readonly number[];
  /** The first axis counts examples: row r belongs to example `first + r`, whichever minibatch it comes in. Default: no. */
  readonly perExample?: boolean;
  /** What every number is multiplied by: a value, or a function of the tick. Default 1. */
  readonly scale?: Schedule;
}

/** What noise is needed: the tree N with a {@link Draw} in each tensor's place. */
export type Draws<N> = Tree extends N ? AnyDraws : N extends Tensor ? Draw : { readonly [K in keyof N]: Draws<N[K]> };
type AnyDraws = Draw | readonly AnyDraws[] | { readonly [name: string]: AnyDraws };

/** Numbers at once. */
const MOST = 2 ** 30;

/** No noise at all. */
export type NoNoise = Record<string, never>;

/**
 * A source of noise: a seed and a name, below which further names can be had. Equal seeds and names give equal noise on every machine;
 * different names give independent noise (Philox4x32-10, docs/theory/moves.md).
 *
 * @example
 * const key = new Key(42n);
 * key.child("layer 1").normal([2, 3], 7).shape; // [2, 3]; the noise of tick 7
 */
export class Key {
  private readonly noise: Noise;

  constructor(
    seed: Seed | Noise,
    /** The stream's name: those of all keys above it and its own, joined by dots. */
    readonly name = "",
  ) {
    checkText("name", name);
    this.noise = seed instanceof Noise ? seed : new Noise(seed);
  }

  /** The key of this name below this one. */
  child(name: string | number): Key {
    if (typeof name !== "number") checkText("name", name);
    return new Key(this.noise, this.name === "" ? String(name) : `${this.name}.${name}`);
  }

  /** The stream of this key's name, for numbers outside of tensors. */
  get stream(): Stream {
    return this.noise.stream(this.name);
  }

  /** `count` numbers of a law, outside of tensors. @param tick 0 to 2^32 - 1. @param index the stream's element to begin with */
  numbers(law: Law, count: number, tick = 0, index = 0): Float32Array {
    checkChoice("law", law, LAWS);
    const out = new Float32Array(checkInteger("count", count, 0, MOST));
    if (law === "normal") return this.stream.normal(out, { index, tick });
    this.stream.uniform(out, { index, tick });
    if (law === "sign") for (let i = 0; i < count; i++) out[i] = (out[i] as number) < 0.5 ? -1 : 1;
    return out;
  }

  /** Standard normals of this shape. */
  normal(shape: readonly number[], tick = 0): Tensor {
    return tensor(this.numbers("normal", elements(shape), tick), shape);
  }

  /** Uniforms in [0, 1) of this shape. */
  uniform(shape: readonly number[], tick = 0): Tensor {
    return tensor(this.numbers("uniform", elements(shape), tick), shape);
  }

  /** Signs of this shape. */
  sign(shape: readonly number[], tick = 0): Tensor {
    return tensor(this.numbers("sign", elements(shape), tick), shape);
  }

  /** 0 to n - 1 in random order (Fisher & Yates, as Durstenfeld 1964 has it). */
  permutation(n: number, tick = 0): Uint32Array {
    checkInteger("n", n, 0, MOST);
    const u = this.stream.uniform(new Float32Array(2 * n), { tick });
    const order = Uint32Array.from({ length: n }, (_, i) => i);
    for (let i = n - 1; i > 0; i--) {
      // 48 bits: 24 alone would favour some places from a few thousand on.
      const wide = (u[2 * i] as number) + (u[2 * i + 1] as number) * 2 ** -24;
      const j = Math.floor(wide * (i + 1));
      [order[i], order[j]] = [order[j] as number, order[i] as number];
    }
    return order;
  }
}

/**
 * Draws what `draws` ask for: the tensor at path a.b of the tree is the stream "a.b" below `key`.
 * @param tick the step of training, or the number of the ensemble's member. @param first the example in row 0 of draws that are per example
 * @throws BrownianError usage for an unknown law
 *
 * @example
 * draw<{ weight: Tensor }>({ weight: { law: "normal", shape: [10, 100] } }, new Key(42n), 0).weight.shape; // [10, 100]
 */
export function draw<N>(draws: Draws<N>, key: Key, tick = 0, first = 0): N {
  if (!(key instanceof Key)) throw new BrownianError("usage", `key must be a Key, but is ${shown(key)}.`);
  return rebuild(draws, (node, path) =>
    isDraw(node) ? drawOne(node, path.length === 0 ? key : key.child(path.join(".")), tick, first) : undefined,
  ) as N;
}

function drawOne({ law, shape, perExample, scale }: Draw, key: Key, tick: number, first: number): Tensor {
  const numbers = key.numbers(law, elements(shape), tick, perExample === true ? first * elements(shape.slice(1)) : 0);
  if (scale !== undefined) {
    // Here, and not as a tensor: a kernel would be compiled for every value.
    const factor = scheduled("scale", scale, tick);
    for (let i = 0; i < numbers.length; i++) numbers[i] = (numbers[i] as number) * factor;
  }
  return tensor(numbers, shape);
}

function isDraw(draws: unknown): draws is Draw {
  return typeof draws === "object" && draws !== null && "law" in draws && "shape" in draws;
}
