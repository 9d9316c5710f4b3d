// Rare moves of blocks: what `matched` does to groups whose variance v is below SPARSE_VARIANCE, at the cost of a byte a group
// and of the moves.
//
// A *hit group* is a group, or 32 weights of a longer one. It has N hits, N Poisson with mean mu = n v where n is the number of its
// weights, each hit on a uniform weight of the hit group, and every hit moves its code by +1 or -1 (not at a rail). By the
// splitting property of Poisson numbers every weight is hit a Poisson number of times of mean v, independently of all others: k
// is a difference of two Poisson numbers, of mean 0 and variance exactly v.
//
// A byte a hit group decides most: 1 - e^-mu, the probability of a hit, is below mu, so a hit group whose byte is not below 256 mu
// rests. Any other draws a Philox block, of which 44 bits below the byte make a uniform t of 52 bits, and N is the smallest n
// with 1 - t <= e^-mu (1 + mu + ... + mu^n / n!). Six more bits a hit are its place and its sign. All draws depend on key, tick
// and place alone, so work may be split anywhere.

import { readCode, writeCode } from "./codes.js";
import { TILE } from "./draws.js";
import type { EncodedFormat, Move } from "./move.js";
import { Field, HIT_GROUP, Purpose } from "./numbers.js";
import { fillBlocks } from "./philox.js";

/** Below this variance moves are rare: they are drawn one by one. */
export const SPARSE_VARIANCE = 2 ** -6;
/** The most hits of a hit group: more have a probability below 1e-11. */
const MOST_HITS = 10;
const HITS_A_WORD = 5;
const TWO_32 = 2 ** 32;

/** (-1)^n / n!: e^-x for 0 <= x <= 1/2 with an error below 2^-45. */
// biome-ignore format: one line
const EXP = [1, -1, 1 / 2, -1 / 6, 1 / 24, -1 / 120, 1 / 720, -1 / 5040, 1 / 40320, -1 / 362880, 1 / 3628800, -1 / 39916800, 1 / 479001600];

/** e^-x, 0 <= x <= 1/2, in one order of operations. */
function expOfMinus(x: number): number {
  let sum = EXP[12] as number;
  for (let n = 11; n >= 0; n--) sum = sum * x + (EXP[n] as number);
  return sum;
}

/** How many hits a hit group with mean mu has, by its byte and the words of its block. */
export function hitsOf(mu: number, byte: number, word0: number, word1: number): number {
  const rest = 1 - (byte * 2 ** 44 + word0 * 2 ** 12 + (word1 >>> 20) + 0.5) * 2 ** -52; // 1 - t, exact
  let term = expOfMinus(mu);
  let sum = term;
  let n = 0;
  while (rest > sum && n < MOST_HITS) {
    n++;
    term = (term * mu) / n;
    sum += term;
  }
  return n;
}

/** Moves codes where hits fall. */
export class RareGroups {
  private readonly words = new Uint32Array(TILE / 16 / 4 + 8);
  private readonly bytes = new Uint8Array(this.words.buffer);
  private readonly block = new Uint32Array(4);
  private readonly before: number[] = [];

  /**
   * Moves the codes of the `n` weights of a tile at data[from] that begins with weight `index`. variances[g] is that of group
   * g: one of 0 moves nothing here. Returns how many codes changed.
   */
  move(data: Uint8Array, from: number, move: Move, index: number, n: number, variances: Float32Array): number {
    const { format, key, tick } = move;
    const group = format[Field.group] as number;
    const length = Math.min(group, HIT_GROUP);
    const first = index / length;
    const block = Math.floor(first / 16);
    const skip = first % 16;
    const hitGroups = n / length;
    fillBlocks(
      this.words,
      0,
      Math.ceil((skip + hitGroups) / 16),
      key,
      block >>> 0,
      Math.floor(block / TWO_32),
      tick,
      Purpose.Rare,
    );
    let changed = 0;
    for (let hitGroup = 0; hitGroup < hitGroups; hitGroup++) {
      const mu = (variances[Math.floor((hitGroup * length) / group)] as number) * length;
      const byte = this.bytes[skip + hitGroup] as number;
      if (!(byte < 256 * mu)) continue;
      const at = first + hitGroup;
      fillBlocks(this.block, 0, 1, key, at >>> 0, Math.floor(at / TWO_32), tick, Purpose.RareHits);
      const hits = hitsOf(mu, byte, this.block[0] as number, this.block[1] as number);
      if (hits > 0) changed += this.hit(data, from, hitGroup * length, length, format, hits);
    }
    return changed;
  }

  /**
   * Puts hits on the codes of a hit group that begins at weight `start`; a code that is hit twice counts once, or not at all where
   * it is back.
   */
  private hit(data: Uint8Array, from: number, start: number, length: number, format: EncodedFormat, hits: number): number {
    const { before } = this;
    const lo = format[Field.lo] as number;
    const hi = format[Field.hi] as number;
    const place = (hit: number) => {
      const field = ((this.block[hit < HITS_A_WORD ? 2 : 3] as number) >>> (6 * (hit % HITS_A_WORD))) & 63;
      return { i: start + (field & (length - 1)), sign: field & 32 ? -1 : 1 };
    };
    for (let hit = 0; hit < hits; hit++) {
      const { i, sign } = place(hit);
      const q = readCode(data, from, i, format);
      before[hit] = q;
      if (q > lo && q < hi) writeCode(data, from, i, format, q + sign);
    }
    let changed = 0;
    for (let hit = 0; hit < hits; hit++) {
      const { i } = place(hit);
      let earlier = 0;
      while (place(earlier).i !== i) earlier++;
      if (earlier === hit && readCode(data, from, i, format) !== before[hit]) changed++;
    }
    return changed;
  }
}
