// Rare moves of rows, whose steps are given and not read: what `matched` does where the variance is below SPARSE_VARIANCE, at
// the cost of the moves alone.
//
// *Octave* L are the variances 2^-(L+1) <= v < 2^-L. A *class* is a quarter of an octave: all v with the same exponent and the
// same two upper bits of mantissa. Each has a fixed random set of hits on the weights of a tensor: in every tile of 64 * 2^L
// weights (counted from the tensor's first) there are N hits, N Poisson with such a mean, 40 to 64, that every weight is hit at the rate of
// the class's upper end u, each hit at a uniform place. A row of variance v accepts the hits of its class, each with probability
// v / u, and every hit that is accepted moves its code by +1 or -1 (not at a rail). By the splitting property of Poisson numbers a
// code's moves are a difference of two Poisson numbers, independent of all others: mean 0, variance exactly v. Which hits there
// are depends on key, tick and place alone, so work may be split anywhere.

import { bitsOf } from "./float-bits.js";
import type { Key, Move } from "./move.js";
import { Field, HITS_MEAN_BITS, HITS_MOST, Purpose } from "./numbers.js";
import { fillBlocks } from "./philox.js";
import type { Runs } from "./runs.js";
import { HITS } from "./tables.js";

/** The last octave; variances below 2^-41 count to its lowest class. */
const HIGHEST_OCTAVE = 40;
/**
 * Up to this octave a hit has two words: its place in the upper 6 + octave bits of the first, its sign in the lowest, and the
 * second decides whether it is accepted. Above, it has four: two of place, that one, and one whose upper bit is the sign.
 */
const SHORT_OCTAVES = 25;
/** Philox blocks set aside for a tile: for its hits, at most one each, and one for their number. */
const TILE_BLOCKS = 256;
const TWO_32 = 2 ** 32;

/** The class of a variance, 0 < v < SPARSE_VARIANCE: the upper bits of the float32. */
export function classOf(v: number): number {
  return Math.max(bitsOf(v) >>> 21, (126 - HIGHEST_OCTAVE) << 2);
}

export const octaveOf = (rareClass: number): number => 126 - (rareClass >> 2);

/** The share of its class's hits that a row of variance v accepts, as a 32-bit threshold: floor(2^32 v / u). */
export function shareOf(v: number, rareClass: number): number {
  return Math.floor(((v * 2 ** (octaveOf(rareClass) + 3)) / (5 + (rareClass & 3))) * TWO_32);
}

/** Weights a tile of hits. */
export const tileOf = (rareClass: number): number => 2 ** (HITS_MEAN_BITS + octaveOf(rareClass));

/** The hits of one tile: place in the tile, the word that decides whether it is accepted, and its sign. */
class HitTile {
  tile = -1;
  count = 0;
  readonly place = new Float64Array(HITS_MOST);
  readonly decides = new Uint32Array(HITS_MOST);
  readonly sign = new Int8Array(HITS_MOST);

  set(j: number, place: number, decides: number, minus: number): void {
    this.place[j] = place;
    this.decides[j] = decides;
    this.sign[j] = 1 - 2 * minus;
  }
}

/** The hits of one call: of each class, the tile that was asked for last. */
class Hits {
  private readonly words = new Uint32Array(4 * (HITS_MOST + 4));
  private key: Key = { k0: 0, k1: 0 };
  private tick = 0;
  private readonly classes = new Map<number, HitTile>();

  begin(key: Key, tick: number): void {
    this.key = key;
    this.tick = tick;
    for (const tile of this.classes.values()) tile.tile = -1;
  }

  /** Calls `use(weight, decides, sign)` for every hit of this class on weights [from, to) of the tensor, in a fixed order. */
  each(rareClass: number, from: number, to: number, use: (weight: number, decides: number, sign: number) => void): void {
    const size = tileOf(rareClass);
    for (let tile = Math.floor(from / size); tile * size < to; tile++) {
      const hits = this.hitsOf(rareClass, tile);
      const start = tile * size;
      for (let j = 0; j < hits.count; j++) {
        const weight = start + (hits.place[j] as number);
        if (weight >= from && weight < to) use(weight, hits.decides[j] as number, hits.sign[j] as number);
      }
    }
  }

  private hitsOf(rareClass: number, tile: number): HitTile {
    let hits = this.classes.get(rareClass);
    if (hits === undefined) {
      hits = new HitTile();
      this.classes.set(rareClass, hits);
    }
    if (hits.tile === tile) return hits;
    hits.tile = tile;
    const { words } = this;
    const purpose = Purpose.Hit + (rareClass << 8);
    const block = tile * TILE_BLOCKS;
    const blockAt = (i: number, count: number) =>
      fillBlocks(words, 0, count, this.key, (block + i) >>> 0, Math.floor((block + i) / TWO_32), this.tick, purpose);
    blockAt(TILE_BLOCKS - 1, 1);
    const row = (rareClass & 3) * HITS_MOST;
    let count = 0;
    while (count < HITS_MOST && (words[0] as number) >= (HITS[row + count] as number)) count++;
    hits.count = count;
    const bits = HITS_MEAN_BITS + octaveOf(rareClass);
    if (octaveOf(rareClass) > SHORT_OCTAVES) {
      blockAt(0, count);
      const scale = 2 ** (bits - 32);
      for (let j = 0; j < count; j++) {
        const place = (words[4 * j] as number) * scale + ((words[4 * j + 1] as number) >>> (64 - bits));
        hits.set(j, place, words[4 * j + 2] as number, (words[4 * j + 3] as number) >>> 31);
      }
    } else {
      blockAt(0, Math.ceil(count / 2));
      for (let j = 0; j < count; j++) {
        const word = words[2 * j] as number;
        hits.set(j, word >>> (32 - bits), words[2 * j + 1] as number, word & 1);
      }
    }
    return hits;
  }
}

/** Codes that were moved in a range, as they were before: a weight that is hit twice counts once, or not at all. */
class Moved {
  private readonly before = new Map<number, number>();
  changed = 0;

  clear(): void {
    this.before.clear();
    this.changed = 0;
  }

  note(weight: number, from: number, to: number): void {
    const first = this.before.get(weight);
    if (first === undefined) {
      this.before.set(weight, from);
      this.changed++;
    } else {
      this.changed += (to !== first ? 1 : 0) - (from !== first ? 1 : 0);
    }
  }
}

/** Moves the bare codes of rows where hits fall. */
export class RareRows {
  private readonly hits = new Hits();
  private readonly moved = new Moved();

  /** Begins a call: another key or tick. */
  begin(key: Key, tick: number): void {
    this.hits.begin(key, tick);
  }

  /** Moves codes (a byte each) at data[from] of a tile that begins with weight `index`; returns how many changed. */
  move(data: Uint8Array, from: number, { format }: Move, index: number, runs: Runs): number {
    const { hits, moved } = this;
    const lo = format[Field.lo] as number;
    const hi = format[Field.hi] as number;
    const n = runs.ends[runs.count - 1] as number;
    const variances = runs.variances.subarray(0, runs.count);
    const classes = new Set(variances.filter((v) => v > 0).map(classOf));
    moved.clear();
    for (const rareClass of [...classes].sort((a, b) => b - a)) {
      hits.each(rareClass, index, index + n, (weight, decides, sign) => {
        const i = weight - index;
        const v = variances[runs.at(i)] as number;
        if (v === 0 || classOf(v) !== rareClass || decides >= shareOf(v, rareClass)) return;
        const q = ((data[from + i] as number) << 24) >> 24;
        if (q <= lo || q >= hi) return;
        data[from + i] = q + sign;
        moved.note(i, q, q + sign);
      });
    }
    return moved.changed;
  }
}
