// From a seed to noise: seed -> key of a named stream -> elements of the stream. Pure: nothing is stored, so the noise of any weight at
// any tick can be made again at any time, in any order, on any backend.

import { checkInteger } from "../errors.js";
import type { Kernels } from "../kernels/contract.js";
import { selection } from "../kernels/select.js";
import type { Key, Position } from "../laws/move.js";
import { Purpose } from "../laws/numbers.js";
import { fillBlocks } from "../laws/philox.js";

const MASK_64 = (1n << 64n) - 1n;
const MASK_32 = (1n << 32n) - 1n;
const FNV_OFFSET = 0xcbf29ce484222325n;
const FNV_PRIME = 0x100000001b3n;
const TWO_32 = 2 ** 32;

/** Any whole number; taken modulo 2^64. */
export type Seed = bigint | number;

/** 64-bit FNV-1a of a string's UTF-8 bytes (Fowler, Noll, Vo; draft-eastlake-fnv). */
export function fnv1a(name: string): bigint {
  let hash = FNV_OFFSET;
  for (const byte of new TextEncoder().encode(name)) hash = ((hash ^ BigInt(byte)) * FNV_PRIME) & MASK_64;
  return hash;
}

/** Checks a seed and brings it into 64 bits. */
export function seed64(seed: Seed): bigint {
  return (typeof seed === "bigint" ? seed : BigInt(checkInteger("seed", seed, Number.MIN_SAFE_INTEGER))) & MASK_64;
}

/** Keys that were asked for, by name, of the seed that was asked for last: calls on few weights would spend most of their time here. */
const keys = new Map<string, Key>();
const KEYS_AT_MOST = 4096;
let keysSeed: Seed | undefined;

/** The key of the stream of `name`: the first two words of philox(counter = [h_lo, h_hi, 0, 0], key = seed), h = fnv1a(name). */
export function streamKey(seed: Seed, name: string): Key {
  if (seed !== keysSeed || keys.size >= KEYS_AT_MOST) keys.clear();
  keysSeed = seed;
  const known = keys.get(name);
  if (known !== undefined) return known;
  const key = makeKey(seed64(seed), fnv1a(name));
  keys.set(name, key);
  return key;
}

function makeKey(seed: bigint, hash: bigint): Key {
  const words = new Uint32Array(4);
  const key = { k0: Number(seed & MASK_32), k1: Number(seed >> 32n) };
  fillBlocks(words, 0, 1, key, Number(hash & MASK_32), Number(hash >> 32n), 0, 0);
  return { k0: words[0] as number, k1: words[1] as number };
}

/** Where in a stream to begin. */
export interface At {
  /** The first element, a whole number from 0 on; default 0. */
  readonly index?: number;
  /** The step of time, 0 to 2^32 - 1; default 0. */
  readonly tick?: number;
}

/**
 * The noise of one seed: a family of independent streams, one a name.
 *
 * @example
 * const stream = new Noise(42n).stream("blk.0.attn_q.weight");
 * stream.normal(new Float32Array(8), { index: 0, tick: 0 });
 */
export class Noise {
  private readonly seed: bigint;
  private readonly kernels: Kernels;

  /** @param seed any whole number, taken modulo 2^64. @param kernels the backend; by default the process's selection. */
  constructor(seed: Seed, kernels: Kernels = selection().kernels) {
    this.seed = seed64(seed);
    this.kernels = kernels;
  }

  /** The stream of this name. Equal seeds and names give equal noise everywhere; different names give independent noise. */
  stream(name: string): Stream {
    return new Stream(streamKey(this.seed, name), this.kernels);
  }
}

/** One stream of noise: three views (bits, uniform, normal) of a function of index and tick. Every method fills `out` and returns it. */
export class Stream {
  constructor(
    /** The stream's own two words, made of seed and name. */
    readonly key: Key,
    private readonly kernels: Kernels,
  ) {}

  /** 32-bit words of Philox4x32-10. */
  bits(out: Uint32Array, at: At = {}): Uint32Array {
    this.kernels.bits(out, this.key, position(at, Purpose.Bits));
    return out;
  }

  /** Uniforms in [0, 1), multiples of 2^-24: the upper 24 bits of the words of {@link bits}. */
  uniform(out: Float32Array, at: At = {}): Float32Array {
    this.kernels.uniform(out, this.key, position(at, Purpose.Bits));
    return out;
  }

  /** Standard normals (Box-Muller in float32), |z| <= 6.67. Independent of {@link bits}. */
  normal(out: Float32Array, at: At = {}): Float32Array {
    this.kernels.normal(out, this.key, position(at, Purpose.Normal));
    return out;
  }
}

/** Element `index` of tick `tick`, as kernels want it. @throws BrownianError usage for what is no such number */
export function position({ index = 0, tick = 0 }: At, purpose: number): Position {
  checkInteger("index", index, 0);
  checkInteger("tick", tick, 0, TWO_32 - 1);
  const block = Math.floor(index / 4);
  return { blockLo: block >>> 0, blockHi: Math.floor(block / TWO_32), skip: index % 4, tick, purpose };
}
