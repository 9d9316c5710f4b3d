// Rare moves of blocks: the counterpart of src/laws/rare-groups.ts, which explains it.

import { readCode, writeCode } from "./code-at";
import { field, HI, HIT_BEFORE, HIT_WEIGHTS, LO, MOST_HITS, HIT_GROUP_BLOCK, HIT_GROUP_BYTES, HIT_GROUPS, RARE_HITS_PURPOSE, RARE_PURPOSE } from "./memory";
import { AS_BITS, fill, oneBlock } from "./noise";

export const SPARSE_VARIANCE: f32 = 0.015625;
const HITS_A_WORD: i32 = 5;
const MARGIN: f64 = 1.0 / <f64>(1 << 50);
const TWO_M52: f64 = 1.0 / 4503599627370496.0;

// The leaf's hit groups: their length, the number of the first in the tensor, and how many of them may have hits.
let length: i32 = 0;
let first: u64 = 0;
let hitGroups: i32 = 0;
let noted: i32 = 0;
let hasBytes: bool = false;

/** Begins a leaf of `count` hit groups of `length_` weights; hit group `first_` of the tensor is its first. */
export function beginHitGroups(first_: u64, count: i32, length_: i32): void {
  first = first_;
  hitGroups = count;
  length = length_;
  noted = 0;
  hasBytes = false;
}

/** Address of the bytes of the leaf's hit groups. */
export function hitGroupBytes(k0: u32, k1: u32, tick: u32): usize {
  const skip = <i32>(first & 15);
  if (!hasBytes) fill(AS_BITS, HIT_GROUP_BYTES, (skip + hitGroups + 15) >> 4, k0, k1, first >> 4, tick, RARE_PURPOSE);
  hasBytes = true;
  return HIT_GROUP_BYTES + skip;
}

/** Notes a hit group that may have hits. */
// @ts-ignore: decorator
@inline
export function noteHitGroup(hitGroup: i32): void {
  store<i32>(HIT_GROUPS + (<usize>noted << 2), hitGroup);
  noted++;
}

export function notedHitGroups(): i32 {
  return noted;
}

// @ts-ignore: decorator
@inline
export function notedHitGroup(j: i32): i32 {
  return load<i32>(HIT_GROUPS + (<usize>j << 2));
}

/** e^-x, 0 <= x <= 1/2. */
function expOfMinus(x: f64): f64 {
  let sum: f64 = 1.0 / 479001600;
  sum = sum * x + -1.0 / 39916800;
  sum = sum * x + 1.0 / 3628800;
  sum = sum * x + -1.0 / 362880;
  sum = sum * x + 1.0 / 40320;
  sum = sum * x + -1.0 / 5040;
  sum = sum * x + 1.0 / 720;
  sum = sum * x + -1.0 / 120;
  sum = sum * x + 1.0 / 24;
  sum = sum * x + -1.0 / 6;
  sum = sum * x + 1.0 / 2;
  sum = sum * x + -1.0;
  return sum * x + 1.0;
}

/**
 * How many hits a hit group has. What e^-x lies between, 1 - x and 1 - x + x^2 / 2, decides nearly always, and one hit is all, as
 * e^-x (1 + x) >= 1 - x^2 / 2; MARGIN is more than rounding takes.
 */
function hitsOf(rest: f64, mean: f32): i32 {
  const x = <f64>mean;
  const halfSquare = 0.5 * x * x;
  if (rest <= 1.0 - x - MARGIN) return 0;
  if (rest > 1.0 - x + halfSquare + MARGIN && rest <= 1.0 - halfSquare - MARGIN) return 1;
  let term = expOfMinus(x);
  let sum = term;
  let n = 0;
  while (rest > sum && n < MOST_HITS) {
    n++;
    term = (term * x) / <f64>n;
    sum += term;
  }
  return n;
}

/** Moves the codes of a hit group of the blocks at `data` by its hits, whose mean is `mean`; returns how many changed. */
export function moveHitGroup(data: usize, hitGroup: i32, mean: f32, k0: u32, k1: u32, tick: u32): i32 {
  oneBlock(AS_BITS, HIT_GROUP_BLOCK, k0, k1, first + <u64>hitGroup, tick, RARE_HITS_PURPOSE);
  const byte = load<u8>(HIT_GROUP_BYTES + <usize>(first & 15) + <usize>hitGroup);
  const bits = (<u64>byte << 44) | (<u64>load<u32>(HIT_GROUP_BLOCK) << 12) | <u64>(load<u32>(HIT_GROUP_BLOCK, 4) >> 20);
  const hits = hitsOf(1.0 - (<f64>(<i64>bits) + 0.5) * TWO_M52, mean);
  return hits == 0 ? 0 : moveHits(data, hitGroup * length, hits);
}

/**
 * Puts hits on the codes of a hit group that begins at weight `start`; a code that is hit twice counts once, or not at all where it
 * is back.
 */
function moveHits(data: usize, start: i32, hits: i32): i32 {
  const lo = field(LO);
  const hi = field(HI);
  for (let hit = 0; hit < hits; hit++) {
    const places = load<u32>(HIT_GROUP_BLOCK + 8 + (hit < HITS_A_WORD ? 0 : 4)) >> (6 * (hit % HITS_A_WORD));
    const i = start + (<i32>places & (length - 1));
    const q = readCode(data, i);
    store<i32>(HIT_WEIGHTS + (<usize>hit << 2), i);
    store<i8>(HIT_BEFORE + hit, <i8>q);
    if (q > lo && q < hi) writeCode(data, i, q + 1 - (<i32>(places >> 4) & 2));
  }
  let changed = 0;
  for (let hit = 0; hit < hits; hit++) {
    const i = load<i32>(HIT_WEIGHTS + (<usize>hit << 2));
    let earlier = 0;
    while (load<i32>(HIT_WEIGHTS + (<usize>earlier << 2)) != i) earlier++;
    changed += <i32>(earlier == hit && readCode(data, i) != <i32>load<i8>(HIT_BEFORE + hit));
  }
  return changed;
}
