// Rare moves of rows, whose steps are given: the counterpart of src/laws/rare-rows.ts, which explains it.

import {
  HIT_CLASSES,
  HIT_COUNTS,
  HIT_PURPOSE,
  HIT_TILE_NUMBERS,
  HIT_TILES,
  HIT_WORDS,
  HIGHEST_OCTAVE,
  HITS,
  HITS_CLASSES,
  HITS_MEAN_BITS,
  HITS_MOST,
  MOVED_BEFORE,
  MOVED_PLACES,
  MOVED_SEEN,
  SEEN_WORDS,
  ACCEPTED,
} from "./memory";
import { AS_BITS, fill } from "./noise";

const TILE_BLOCKS: u64 = 256;
const SHORT_OCTAVES: i32 = 25;
/** Classes are the upper bits of a variance's float32. */
export const FIRST_CLASS: i32 = (126 - HIGHEST_OCTAVE) << 2;
export const LAST_CLASS: i32 = ((126 - HITS_MEAN_BITS) << 2) + 3;

/** The class of a variance, 0 < v < SPARSE_VARIANCE. */
export function classOf(v: f32): i32 {
  return max<i32>(reinterpret<i32>(v) >> 21, FIRST_CLASS);
}

// @ts-ignore: decorator
@inline
function octaveOf(rareClass: i32): i32 {
  return 126 - (rareClass >> 2);
}

/** The share of its class's hits that a row of variance v accepts, floor(2^32 v / u) with u the upper end of the class. */
export function shareOf(v: f32, rareClass: i32): u32 {
  const bits = reinterpret<u32>(v);
  const mantissa = <u64>((bits & 0x7fffff) | 0x800000);
  const below = (rareClass >> 2) - <i32>(bits >> 23);
  return below < 32 ? <u32>((mantissa << 11) / <u64>(5 + (rareClass & 3))) >> below : 0;
}

/** Forgets the hits of the last call: another key or tick. */
export function forgetHits(): void {
  memory.fill(HIT_TILE_NUMBERS, 0xff, (HIGHEST_OCTAVE + 1) * 8);
}

/** Bits of a place in a tile of this class. */
export function placeBits(rareClass: i32): i32 {
  return HITS_MEAN_BITS + octaveOf(rareClass);
}

/** Address of hit j of a class's tile. */
// @ts-ignore: decorator
@inline
export function hitAt(rareClass: i32, j: i32): usize {
  return HIT_TILES + (<usize>(octaveOf(rareClass) * HITS_MOST + j) << 4);
}

/**
 * The hits of one tile of a class that fall on weights [from, to) and below `share`: their places from `from` on and their
 * signs, to ACCEPTED. Returns how many there are; the caller starts anew, by forgetHits, with another key or tick.
 */
export function acceptedHits(rareClass: i32, tile: u64, from: u64, to: u64, share: u32, k0: u32, k1: u32, tick: u32): i32 {
  const hits = hitsOf(rareClass, tile, k0, k1, tick);
  const start = (tile << placeBits(rareClass)) - from;
  const n = to - from;
  let accepted = 0;
  for (let j = 0; j < hits; j++) {
    const hit = hitAt(rareClass, j);
    const place = start + load<u64>(hit);
    const at = ACCEPTED + (<usize>accepted << 3);
    store<u32>(at, <u32>place);
    store<i32>(at, load<i32>(hit, 12), 4);
    accepted += <i32>(place < n && load<u32>(hit, 8) < share);
  }
  return accepted;
}

/** Makes sure of the hits of a tile; returns how many there are. */
export function hitsOf(rareClass: i32, tile: u64, k0: u32, k1: u32, tick: u32): i32 {
  const octave = octaveOf(rareClass);
  const number = HIT_TILE_NUMBERS + (<usize>octave << 3);
  const known = HIT_CLASSES + (<usize>octave << 2);
  const count = HIT_COUNTS + (<usize>octave << 2);
  if (load<u64>(number) == tile && load<i32>(known) == rareClass) return load<i32>(count);
  store<u64>(number, tile);
  store<i32>(known, rareClass);
  const purpose = HIT_PURPOSE + (<u32>rareClass << 8);
  fill(AS_BITS, HIT_WORDS, 1, k0, k1, tile * TILE_BLOCKS + TILE_BLOCKS - 1, tick, purpose);
  const draw = load<u32>(HIT_WORDS);
  const law = HITS + (<usize>((rareClass & (HITS_CLASSES - 1)) * HITS_MOST) << 2);
  let n = 0;
  while (n < HITS_MOST && draw >= load<u32>(law + (<usize>n << 2))) n++;
  const short = octave <= SHORT_OCTAVES;
  const bits = placeBits(rareClass);
  fill(AS_BITS, HIT_WORDS, short ? (n + 1) >> 1 : n, k0, k1, tile * TILE_BLOCKS, tick, purpose);
  for (let j = 0; j < n; j++) {
    const hit = hitAt(rareClass, j);
    if (short) {
      const words = HIT_WORDS + (<usize>j << 3);
      const word = load<u32>(words);
      store<u64>(hit, <u64>(word >> (32 - bits)));
      store<u32>(hit, load<u32>(words, 4), 8);
      store<i32>(hit, 1 - <i32>((word & 1) << 1), 12);
    } else {
      const words = HIT_WORDS + (<usize>j << 4);
      store<u64>(hit, ((<u64>load<u32>(words) << 32) | <u64>load<u32>(words, 4)) >> (64 - bits));
      store<u32>(hit, load<u32>(words, 8), 8);
      store<i32>(hit, load<u32>(words, 12) >> 31 ? -1 : 1, 12);
    }
  }
  store<i32>(count, n);
  return n;
}

// Codes that the hits of one tile moved: a weight that is hit twice counts once, or not at all where it is back.
let moved: i32 = 0;
let changed: i32 = 0;

export function forgetMoved(): void {
  changed = 0;
}

export function beginMoved(): void {
  moved = 0;
  memory.fill(MOVED_SEEN, 0, SEEN_WORDS * 8);
}

export function noteMoved(i: i32, from: i32, to: i32): void {
  // A set of weights by their last bits: what is not in it has not been moved.
  const word = MOVED_SEEN + <usize>((i >> 6) & (SEEN_WORDS - 1)) * 8;
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
