// The sparse path of `matched`: where moves are rare, the cost follows the number of moves, not of weights.
//
// A level L is a fixed random set of hits on the weights of a tensor: in every tile of 64 * 2^L weights (counted from the tensor's first)
// there are N hits, N Poisson with mean 64, each at a uniform place. So every weight is hit at a rate of 2^-L, independently of all others.
// A group with variance v takes the hits of the level with 2^-(L+1) <= v < 2^-L, each with probability v 2^L, and every hit that is taken
// moves its code by +1 or -1 (not at a rail). A code's moves are a difference of two Poisson numbers: mean 0, variance exactly v.
// Which hits there are depends on key, tick and place alone, so work may be split anywhere.

import { type EncodedFormat, Field, type Key, PLANE_FIELDS, Purpose } from "../contract.js";
import { HITS, HITS_MEAN } from "../law.js";
import { fillBlocks } from "./philox.js";

/** Below this variance a group is sparse. */
export const SPARSE_VARIANCE = 2 ** -6;
const HIGHEST_LEVEL = 40;
/**
 * Up to this level a hit has two words: its place in the upper 6 + level bits of the first, its sign in the lowest, and the second decides
 * whether it is taken. Above, it has four: two of place, that one, and one whose upper bit is the sign.
 */
const SHORT_LEVELS = 25;
/** Philox blocks set aside for a tile: for its hits, at most one each, and one for their number. */
const TILE_BLOCKS = 256;
const TWO_32 = 2 ** 32;

const bitsOf = new DataView(new ArrayBuffer(4));

/** The level of a variance, 0 <= v < SPARSE_VARIANCE: 2^-(level + 1) <= v < 2^-level, or the highest there is. */
export function levelOf(v: number): number {
  bitsOf.setFloat32(0, v);
  return Math.min(126 - (bitsOf.getUint32(0) >>> 23), HIGHEST_LEVEL);
}

/** The share of the level's hits that are taken, as a 32-bit threshold. */
export function shareOf(v: number, level: number): number {
  return Math.floor(v * 2 ** level * TWO_32);
}

/** The hits of one tile of one level: place in the tile, the word that decides whether it is taken, and its sign. */
class HitTile {
  tile = -1;
  count = 0;
  readonly place = new Float64Array(TILE_BLOCKS);
  readonly take = new Uint32Array(TILE_BLOCKS);
  readonly sign = new Int8Array(TILE_BLOCKS);

  set(j: number, place: number, take: number, minus: number): void {
    this.place[j] = place;
    this.take[j] = take;
    this.sign[j] = 1 - 2 * minus;
  }
}

const words = new Uint32Array(4 * TILE_BLOCKS);

/** The hits of one call: of each level, the tile that was asked for last. */
export class Hits {
  private key: Key = { k0: 0, k1: 0 };
  private tick = 0;
  private readonly levels = new Map<number, HitTile>();

  begin(key: Key, tick: number): void {
    this.key = key;
    this.tick = tick;
    for (const tile of this.levels.values()) tile.tile = -1;
  }

  /** Calls `use(weight, take, sign)` for every hit of this level on weights [from, to) of the tensor, in a fixed order. */
  each(level: number, from: number, to: number, use: (weight: number, take: number, sign: number) => void): void {
    const size = HITS_MEAN * 2 ** level;
    for (let tile = Math.floor(from / size); tile * size < to; tile++) {
      const hits = this.tileOf(level, tile);
      const start = tile * size;
      for (let j = 0; j < hits.count; j++) {
        const weight = start + (hits.place[j] as number);
        if (weight >= from && weight < to) use(weight, hits.take[j] as number, hits.sign[j] as number);
      }
    }
  }

  private tileOf(level: number, tile: number): HitTile {
    let hits = this.levels.get(level);
    if (hits === undefined) {
      hits = new HitTile();
      this.levels.set(level, hits);
    }
    if (hits.tile === tile) return hits;
    hits.tile = tile;
    const purpose = Purpose.Hit + (level << 8);
    const block = tile * TILE_BLOCKS;
    const blockAt = (i: number, count: number) =>
      fillBlocks(words, 0, count, this.key, (block + i) >>> 0, Math.floor((block + i) / TWO_32), this.tick, purpose);
    blockAt(TILE_BLOCKS - 1, 1);
    let count = 0;
    while (count < HITS.length && (words[0] as number) >= (HITS[count] as number)) count++;
    hits.count = count;
    const bits = 6 + level;
    if (level > SHORT_LEVELS) {
      blockAt(0, count);
      for (let j = 0; j < count; j++) {
        const place = (words[4 * j] as number) * 2 ** (bits - 32) + ((words[4 * j + 1] as number) >>> (64 - bits));
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

/** Code number i of the blocks at data[from], after the bias. */
export function readCode(data: Uint8Array, from: number, i: number, format: EncodedFormat): number {
  let code = 0;
  eachField(from, i, format, (byte, bit, mask, shift) => {
    code |= (((data[byte] as number) >>> bit) & mask) << shift;
  });
  const bias = format[Field.bias] as number;
  return bias === 0 && format[Field.planeBits] === 8 ? (code << 24) >> 24 : code - bias;
}

export function writeCode(data: Uint8Array, from: number, i: number, format: EncodedFormat, code: number): void {
  const raw = code + (format[Field.bias] as number);
  eachField(from, i, format, (byte, bit, mask, shift) => {
    data[byte] = ((data[byte] as number) & ~(mask << bit)) | (((raw >>> shift) & mask) << bit);
  });
}

/** The bit fields of one code: see Plane in lattice/formats.ts. */
function eachField(
  from: number,
  i: number,
  format: EncodedFormat,
  use: (byte: number, bit: number, mask: number, shift: number) => void,
): void {
  const weights = format[Field.weights] as number;
  const e = i % weights;
  const base = from + ((i - e) / weights) * (format[Field.bytes] as number);
  for (let plane = 0; plane < (format[Field.planes] as number); plane++) {
    const field = (which: number) => format[which + plane * PLANE_FIELDS] as number;
    const group = field(Field.planeGroup);
    const run = field(Field.planeRun);
    const bits = field(Field.planeBits);
    const inGroup = e % group;
    const byte = base + field(Field.planeOffset) + Math.floor(e / group) * field(Field.planeStride) + (inGroup % run);
    use(byte, bits * Math.floor(inGroup / run), (1 << bits) - 1, field(Field.planeShift));
  }
}

/** Codes that were moved in a range, as they were before: a weight that is hit twice counts once, or not at all. */
export class Moved {
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
