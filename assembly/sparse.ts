// The sparse path of `matched`, where the cost follows the number of moves: the counterpart of src/kernels/js/sparse.ts, which explains it.

import {
  BIAS,
  BYTES,
  CODE_PLANES,
  field,
  HIT_COUNTS,
  HIT_PURPOSE,
  HIT_TILE_NUMBERS,
  HIT_TILES,
  HIT_WORDS,
  HITS,
  HITS_MOST,
  MOVED_BEFORE,
  MOVED_PLACES,
  MOVED_SEEN,
  PLANE_BITS,
  PLANE_FIELDS,
  PLANE_GROUP,
  PLANE_OFFSET,
  PLANE_RUN,
  PLANE_SHIFT,
  PLANE_STRIDE,
  PLANES,
  TAKEN,
  WEIGHTS,
} from "./memory";
import { AS_BITS, fill } from "./noise";

export const SPARSE_VARIANCE: f32 = 0.015625;
const HIGHEST_LEVEL: i32 = 40;
const TILE_BLOCKS: u64 = 256;
const MEAN_BITS: i32 = 6;
const SHORT_LEVELS: i32 = 25;

/** The level of a variance, 0 <= v < SPARSE_VARIANCE: 2^-(level + 1) <= v < 2^-level. */
export function levelOf(v: f32): i32 {
  return min<i32>(126 - (reinterpret<i32>(v) >> 23), HIGHEST_LEVEL);
}

/** The share of the level's hits that are taken, floor(v 2^level 2^32): below the highest level, v's mantissa. */
export function shareOf(v: f32, level: i32): u32 {
  const bits = reinterpret<u32>(v);
  const mantissa = ((bits & 0x7fffff) | 0x800000) << 8;
  const below = 126 - <i32>(bits >> 23) - level;
  return below < 32 ? mantissa >> below : 0;
}

/** Forgets the hits of the last call: another key or tick. */
export function forgetHits(): void {
  memory.fill(HIT_TILE_NUMBERS, 0xff, (HIGHEST_LEVEL + 1) * 8);
}

/** Bits of a place in a tile of this level. */
export function placeBits(level: i32): i32 {
  return MEAN_BITS + level;
}

/** Address of hit j of a level's tile. */
// @ts-ignore: decorator
@inline
export function hitAt(level: i32, j: i32): usize {
  return HIT_TILES + (<usize>(level * HITS_MOST + j) << 4);
}

/**
 * The hits of one tile of a level that fall on weights [from, to) and below `share`: their places from `from` on and their signs, to TAKEN.
 * Returns how many there are; the caller starts anew, by forgetHits, with another key or tick.
 */
export function takenHits(level: i32, tile: u64, from: u64, to: u64, share: u32, k0: u32, k1: u32, tick: u32): i32 {
  const hits = hitsOf(level, tile, k0, k1, tick);
  const start = (tile << placeBits(level)) - from;
  const n = to - from;
  let taken = 0;
  for (let j = 0; j < hits; j++) {
    const hit = hitAt(level, j);
    const place = start + load<u64>(hit);
    const at = TAKEN + (<usize>taken << 3);
    store<u32>(at, <u32>place);
    store<i32>(at, load<i32>(hit, 12), 4);
    taken += <i32>(place < n && load<u32>(hit, 8) < share);
  }
  return taken;
}

/** Makes sure of the hits of a tile; returns how many there are. */
export function hitsOf(level: i32, tile: u64, k0: u32, k1: u32, tick: u32): i32 {
  const number = HIT_TILE_NUMBERS + (<usize>level << 3);
  const count = HIT_COUNTS + (<usize>level << 2);
  if (load<u64>(number) == tile) return load<i32>(count);
  store<u64>(number, tile);
  const purpose = HIT_PURPOSE + (<u32>level << 8);
  fill(AS_BITS, HIT_WORDS, 1, k0, k1, tile * TILE_BLOCKS + TILE_BLOCKS - 1, tick, purpose);
  const draw = load<u32>(HIT_WORDS);
  let n = 0;
  while (n < HITS_MOST && draw >= load<u32>(HITS + (<usize>n << 2))) n++;
  const short = level <= SHORT_LEVELS;
  fill(AS_BITS, HIT_WORDS, short ? (n + 1) >> 1 : n, k0, k1, tile * TILE_BLOCKS, tick, purpose);
  for (let j = 0; j < n; j++) {
    const hit = hitAt(level, j);
    if (short) {
      const words = HIT_WORDS + (<usize>j << 3);
      const word = load<u32>(words);
      store<u64>(hit, <u64>(word >> (32 - placeBits(level))));
      store<u32>(hit, load<u32>(words, 4), 8);
      store<i32>(hit, 1 - <i32>((word & 1) << 1), 12);
    } else {
      const words = HIT_WORDS + (<usize>j << 4);
      store<u64>(hit, ((<u64>load<u32>(words) << 32) | <u64>load<u32>(words, 4)) >> (64 - placeBits(level)));
      store<u32>(hit, load<u32>(words, 8), 8);
      store<i32>(hit, load<u32>(words, 12) >> 31 ? -1 : 1, 12);
    }
  }
  store<i32>(count, n);
  return n;
}

// Where single codes lie. All counts in the table of formats are powers of two: shifts, not divisions.
let weightsLog: i32 = 0;
let blockBytes: i32 = 0;
let planes: i32 = 0;
let bias: i32 = 0;
const PLANE_SIZE: usize = 40;

/** Prepares readCode and writeCode for the format. */
export function beginCodes(): void {
  weightsLog = ctz<i32>(field(WEIGHTS));
  blockBytes = field(BYTES);
  planes = field(PLANES);
  bias = field(BIAS);
  for (let plane = 0; plane < planes; plane++) {
    const f = plane * PLANE_FIELDS;
    const at = CODE_PLANES + <usize>plane * PLANE_SIZE;
    const group = field(f + PLANE_GROUP);
    const run = field(f + PLANE_RUN);
    store<i32>(at, field(f + PLANE_OFFSET));
    store<i32>(at, ctz<i32>(group), 4);
    store<i32>(at, field(f + PLANE_STRIDE), 8);
    store<i32>(at, run - 1, 12);
    store<i32>(at, group - 1, 16);
    store<i32>(at, ctz<i32>(run), 20);
    store<i32>(at, field(f + PLANE_BITS), 24);
    store<i32>(at, (1 << field(f + PLANE_BITS)) - 1, 28);
    store<i32>(at, field(f + PLANE_SHIFT), 32);
  }
}

/** Address of the byte of a plane's bit field of code e of the block at `block`; its bit goes to `fieldBit`. */
let fieldBit: i32 = 0;
// @ts-ignore: decorator
@inline
function fieldByte(block: usize, e: i32, plane: usize): usize {
  const inGroup = e & load<i32>(plane, 16);
  fieldBit = load<i32>(plane, 24) * (inGroup >> load<i32>(plane, 20));
  return block + load<i32>(plane) + (e >> load<i32>(plane, 4)) * load<i32>(plane, 8) + (inGroup & load<i32>(plane, 12));
}

/** Code i of the blocks at `data`. */
export function readCode(data: usize, i: i32): i32 {
  const block = data + (i >> weightsLog) * blockBytes;
  const e = i & ((1 << weightsLog) - 1);
  let code = 0;
  for (let p = 0; p < planes; p++) {
    const plane = CODE_PLANES + <usize>p * PLANE_SIZE;
    const byte = fieldByte(block, e, plane);
    code |= ((<i32>load<u8>(byte) >> fieldBit) & load<i32>(plane, 28)) << load<i32>(plane, 32);
  }
  return <i32>(<i8>(code - bias));
}

export function writeCode(data: usize, i: i32, code: i32): void {
  const block = data + (i >> weightsLog) * blockBytes;
  const e = i & ((1 << weightsLog) - 1);
  const raw = code + bias;
  for (let p = 0; p < planes; p++) {
    const plane = CODE_PLANES + <usize>p * PLANE_SIZE;
    const byte = fieldByte(block, e, plane);
    const mask = load<i32>(plane, 28);
    store<u8>(byte, (<i32>load<u8>(byte) & ~(mask << fieldBit)) | (((raw >> load<i32>(plane, 32)) & mask) << fieldBit));
  }
}

// Codes that the hits of one tile moved: a weight that is hit twice counts once, or not at all where it is back.
let moved: i32 = 0;
let changed: i32 = 0;

export function forgetMoved(): void {
  changed = 0;
}

export function beginMoved(): void {
  moved = 0;
  memory.fill(MOVED_SEEN, 0, 512);
}

export function noteMoved(i: i32, from: i32, to: i32): void {
  // A set of weights by their last bits: what is not in it has not been moved.
  const word = MOVED_SEEN + <usize>((i >> 6) & 63) * 8;
  const seen = load<u64>(word);
  const bit = <u64>1 << (i & 63);
  if (seen & bit) {
    for (let e = 0; e < moved; e++) {
      if (load<i32>(MOVED_PLACES + (<usize>e << 2)) != i) continue;
      const before = <i32>load<i8>(MOVED_BEFORE + e);
      changed += <i32>(to != before) - <i32>(from != before);
      return;
    }
  }
  store<u64>(word, seen | bit);
  changed++;
  store<i32>(MOVED_PLACES + (<usize>moved << 2), i);
  store<i8>(MOVED_BEFORE + moved, <i8>from);
  moved++;
}

export function movedCodes(): i32 {
  return changed;
}
