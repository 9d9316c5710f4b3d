// From a seed to noise: seed -> key of a named stream -> elements of the stream. Pure: nothing is stored, so the noise of any
// weight at any tick can be made again at any time, in any order, on any backend.

import { BrownianError, checkInteger, checkText } from "../errors.js";
import type { Kernels } from "../kernels/contract.js";
import { selection } from "../kernels/select.js";
import type { Key, Position } from "../laws/move.js";
import { Purpose } from "../laws/numbers.js";
import { fillBlocks } from "../laws/philox.js";
import { checkArray } from "../memory.js";
import { checkOptions, type Names } from "../options.js";

const MASK_64 = (1n << 64n) - 1n;
const MASK_32 = (1n << 32n) - 1n;
const FNV_OFFSET = 0xcbf29ce484222325n;
const FNV_PRIME = 0x100000001b3n;
const TWO_32 = 2 ** 32;

/** A seed: any whole number, taken modulo 2^64. A `number` must be a safe integer (at most 2^53 - 1 in size). */
export type Seed = bigint | number;

/** 64-bit FNV-1a of a string's UTF-8 bytes (Fowler, Noll, Vo; draft-eastlake-fnv). */
export function fnv1a(name: string): bigint {
  let hash = FNV_OFFSET;
  for (const byte of new TextEncoder().encode(name)) hash = ((hash ^ BigInt(byte)) * FNV_PRIME) & MASK_64;
  return hash;
}

/** A seed as 64 bits. @throws BrownianError `usage` for a number that is no safe integer */
export function seed64(seed: Seed): bigint {
  return (typeof seed === "bigint" ? seed : BigInt(checkInteger("seed", seed, Number.MIN_SAFE_INTEGER))) & MASK_64;
}

/**
 * Keys that were asked for, by name, of the seed that was asked for last: calls on few weights would spend most of their time
 * here.
 */
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

/** A place in a stream. */
export interface At {
  /** The first element, 0 (the default) to 2^53 - 1. */
  readonly index?: number;
  /** The tick, 0 (the default) to 2^32 - 1: each has elements of its own. */
  readonly tick?: number;
}

const AT: Names<At> = { index: true, tick: true };

/**
 * The noise of one seed: a family of independent streams, one a name.
 *
 * key(name) = the first two words of Philox4x32-10 at counter (h, 0) with the seed for a key, h = 64-bit FNV-1a of the name in
 * UTF-8; Philox: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC'11. Equal seeds and names give equal noise on
 * every machine and backend.
 *
 * @example
 * const stream = new Noise(42n).stream("blk.0.attn_q.weight");
 * const z = stream.normal(new Float32Array(8), { index: 0, tick: 0 });
 */
export class Noise {
  private readonly seed: bigint;
  private readonly kernels: Kernels;

  /**
   * @param seed any whole number, taken modulo 2^64
   * @param kernels the backend; by default the process's selection
   * @throws BrownianError `usage` for a number that is no safe integer; `backend-unavailable` where a backend is forced that
   * cannot run
   */
  constructor(seed: Seed, kernels: Kernels = selection().kernels) {
    this.seed = seed64(seed);
    this.kernels = kernels;
  }

  /**
   * The stream of this name, any text; different names give independent noise.
   *
   * @throws BrownianError `usage` for what is no text
   */
  stream(name: string): Stream {
    return new Stream(streamKey(this.seed, checkText("name", name)), this.kernels);
  }
}

/**
 * One stream of noise: bits, uniforms and normals as functions of index and tick, so that any part can be made at any time,
 * in any order.
 *
 * Element i of tick t is word i mod 4 of the Philox4x32-10 block with counter (floor(i / 4), t, purpose) and the stream's key.
 * Every method fills all of `out`, from element `at.index` on, and returns it.
 *
 * @example
 * const stream = new Noise(42n).stream("dice");
 * const later = stream.uniform(new Float32Array(4), { index: 1_000_000, tick: 7 });
 */
export class Stream {
  constructor(
    /** The stream's own two words, made of seed and name. */
    readonly key: Key,
    private readonly kernels: Kernels,
  ) {
    if (typeof key?.k0 !== "number" || typeof key.k1 !== "number" || typeof kernels?.bits !== "function")
      throw new BrownianError("usage", "Streams are made by Noise.stream.");
  }

  /**
   * Random 32-bit words.
   *
   * @throws BrownianError `usage` for another kind of array, one whose memory is gone, and an index or a tick out of range
   * @example
   * const [word] = new Noise(42n).stream("dice").bits(new Uint32Array(1));
   */
  bits(out: Uint32Array, at: At = {}): Uint32Array {
    const place = position(at, Purpose.Bits);
    this.kernels.bits(checkArray("out", out, "Uint32Array"), this.key, place);
    return out;
  }

  /**
   * Uniforms in [0, 1): floor(word / 2^8) / 2^24, of the words that {@link bits} gives at the same place.
   *
   * @throws BrownianError `usage` for another kind of array, one whose memory is gone, and an index or a tick out of range
   * @example
   * const [u] = new Noise(42n).stream("dice").uniform(new Float32Array(1));
   */
  uniform(out: Float32Array, at: At = {}): Float32Array {
    const place = position(at, Purpose.Bits);
    this.kernels.uniform(checkArray("out", out, "Float32Array"), this.key, place);
    return out;
  }

  /**
   * Standard normals, mean 0 and variance 1, |z| <= 6.67; independent of {@link bits} and {@link uniform}.
   *
   * z = sqrt(-2 ln u) (cos a, sin a), two from two words (Box & Muller, Ann. Math. Stat. 29, 610, 1958), in float32:
   * src/laws/normal.ts.
   *
   * @throws BrownianError `usage` for another kind of array, one whose memory is gone, and an index or a tick out of range
   * @example
   * const [z] = new Noise(42n).stream("dice").normal(new Float32Array(1));
   */
  normal(out: Float32Array, at: At = {}): Float32Array {
    const place = position(at, Purpose.Normal);
    this.kernels.normal(checkArray("out", out, "Float32Array"), this.key, place);
    return out;
  }
}

/** Element `index` of tick `tick`, as kernels want it. @throws BrownianError usage for what is no such number */
export function position(at: At, purpose: number): Position {
  const { index = 0, tick = 0 } = checkOptions("A place in a stream", at, AT);
  checkInteger("index", index, 0);
  checkInteger("tick", tick, 0, TWO_32 - 1);
  const block = Math.floor(index / 4);
  return { blockLo: block >>> 0, blockHi: Math.floor(block / TWO_32), skip: index % 4, tick, purpose };
}

export type { Key } from "../laws/move.js";
