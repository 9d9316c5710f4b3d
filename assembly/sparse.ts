// The sparse path of `matched`, where the cost follows the number of moves: the counterpart of src/kernels/js/sparse.ts, which explains it.

import {
  BIAS,
  BYTES,
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
  PLANE_BITS,
  PLANE_FIELDS,
  PLANE_GROUP,
  PLANE_OFFSET,
  PLANE_RUN,
  PLANE_SHIFT,
  PLANE_STRIDE,
  PLANES,
  WEIGHTS,
} from "./memory";
import { AS_BITS, fill } from "./noise";

export const SPARSE_VARIANCE: f32 = 0.015625;
const HIGHEST_LEVEL: i32 = 40;
const TILE_BLOCKS: u64 = 256;
const MEAN_BITS: i32 = 6;
const MOST_MOVED: i32 = 1024;

/** The level of a variance, 0 <= v < SPARSE_VARIANCE: 2^-(level + 1) <= v < 2^-level. */
export function levelOf(v: f32): i32 {
  return min<i32>(126 - (reinterpret<i32>(v) >> 23), HIGHEST_LEVEL);
}

/** The share of the level's hits that are taken, as a 32-bit threshold. */
export function shareOf(v: f32, level: i32): u32 {
  return <u32>(<f64>v * <f64>(<u64>1 << level) * 4294967296.0);
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
  fill(AS_BITS, HIT_WORDS, n, k0, k1, tile * TILE_BLOCKS, tick, purpose);
  for (let j = 0; j < n; j++) {
    const words = HIT_WORDS + (<usize>j << 4);
    const hit = hitAt(level, j);
    store<u64>(hit, ((<u64>load<u32>(words) << 32) | <u64>load<u32>(words, 4)) >> (64 - placeBits(level)));
    store<u32>(hit, load<u32>(words, 8), 8);
    store<i32>(hit, load<u32>(words, 12) >> 31 ? -1 : 1, 12);
  }
  store<i32>(count, n);
  return n;
}

/** Address of the byte of a plane's bit field of code e of the block at `block`; its bit goes to `fieldBit`. */
let fieldBit: i32 = 0;
function fieldByte(block: usize, e: i32, f: i32): usize {
  const group = field(f + PLANE_GROUP);
  const run = field(f + PLANE_RUN);
  const inGroup = e % group;
  fieldBit = field(f + PLANE_BITS) * (inGroup / run);
  return block + field(f + PLANE_OFFSET) + (e / group) * field(f + PLANE_STRIDE) + (inGroup % run);
}

/** Code i of the blocks at `data`. */
export function readCode(data: usize, i: i32): i32 {
  const weights = field(WEIGHTS);
  const block = data + (i / weights) * field(BYTES);
  let code = 0;
  for (let plane = 0; plane < field(PLANES); plane++) {
    const f = plane * PLANE_FIELDS;
    const byte = fieldByte(block, i % weights, f);
    code |= ((<i32>load<u8>(byte) >> fieldBit) & ((1 << field(f + PLANE_BITS)) - 1)) << field(f + PLANE_SHIFT);
  }
  return <i32>(<i8>(code - field(BIAS)));
}

export function writeCode(data: usize, i: i32, code: i32): void {
  const weights = field(WEIGHTS);
  const block = data + (i / weights) * field(BYTES);
  const raw = code + field(BIAS);
  for (let plane = 0; plane < field(PLANES); plane++) {
    const f = plane * PLANE_FIELDS;
    const byte = fieldByte(block, i % weights, f);
    const mask = (1 << field(f + PLANE_BITS)) - 1;
    store<u8>(byte, (<i32>load<u8>(byte) & ~(mask << fieldBit)) | (((raw >> field(f + PLANE_SHIFT)) & mask) << fieldBit));
  }
}

// Codes that were moved in a range: a weight that is hit twice counts once, or not at all where it is back.
let moved: i32 = 0;
let changed: i32 = 0;

export function beginMoved(): void {
  moved = 0;
  changed = 0;
}

export function noteMoved(i: i32, from: i32, to: i32): void {
  for (let e = 0; e < moved; e++) {
    if (load<i32>(MOVED_PLACES + (<usize>e << 2)) != i) continue;
    const before = <i32>load<i8>(MOVED_BEFORE + e);
    changed += <i32>(to != before) - <i32>(from != before);
    return;
  }
  changed++;
  if (moved == MOST_MOVED) return; // beyond all that can happen: a tile of weights has a few dozen hits
  store<i32>(MOVED_PLACES + (<usize>moved << 2), i);
  store<i8>(MOVED_BEFORE + moved, <i8>from);
  moved++;
}

export function movedCodes(): i32 {
  return changed;
}
