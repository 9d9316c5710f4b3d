// A call's arguments, and the random numbers of one tile of weights, each kind made when first asked for: the counterpart of
// src/laws/draws.ts.

import {
  BYTE_DRAWS,
  DRAW_PURPOSE,
  FINE_DRAWS,
  FINE_PURPOSE,
  HALF_DRAWS,
  HALF_PURPOSE,
  MOVE_DRAWS,
  MOVE_PURPOSE,
  NORMAL_DRAWS,
  NORMAL_PURPOSE,
  ROW_SPAN,
  PULL_DRAWS,
  PULL_PURPOSE,
  REFINE_DRAWS,
  REFINE_PURPOSE,
  ROUNDING_DRAWS,
  ROUNDING_PURPOSE,
  ROW_DRAWS,
  ROW_PURPOSE,
  SHARED,
  SHARED_DRAWS,
  SHARED_PURPOSE,
  SHARED_TILE,
  STAY_DRAWS,
  STAY_PURPOSE,
} from "./memory";
import { AS_BITS, AS_NORMAL, fill } from "./noise";

/** Weights that a block of row words serves. */
const ROW_BLOCK: i32 = 4 * ROW_SPAN;

export let sigma: f32 = 0;
export let inSteps: bool = false;
export let rounding: i32 = 0;
export let key0: u32 = 0;
export let key1: u32 = 0;
export let tick: u32 = 0;
export let index: u64 = 0;
export let count: i32 = 0;
let hasNormals: bool = false;
let hasRounding: bool = false;
let hasMoves: bool = false;
let hasPulls: bool = false;
let hasFine: bool = false;
let hasStays: bool = false;
let hasRuns: bool = false;
let hasHalves: bool = false;

/** Begins a call: what draws and scales are made of. */
export function beginDraws(sigma_: f32, inSteps_: bool, rounding_: i32, k0: u32, k1: u32, tick_: u32): void {
  sigma = sigma_;
  inSteps = inSteps_;
  rounding = rounding_;
  key0 = k0;
  key1 = k1;
  tick = tick_;
}

/** Begins the tile of `count_` weights from `index_` on. */
export function beginTile(index_: u64, count_: i32): void {
  index = index_;
  count = count_;
  hasNormals = false;
  hasRounding = false;
  hasMoves = false;
  hasPulls = false;
  hasFine = false;
  hasStays = false;
  hasRuns = false;
  hasHalves = false;
}

/** Address of the normal of weight 0 of the tile. */
export function normals(): usize {
  const skip = <i32>(index & 3);
  if (!hasNormals) fill(AS_NORMAL, NORMAL_DRAWS, (skip + count + 3) >> 2, key0, key1, index >> 2, tick, NORMAL_PURPOSE);
  hasNormals = true;
  return NORMAL_DRAWS + (skip << 2);
}

export function roundingWords(): usize {
  const skip = <i32>(index & 3);
  if (!hasRounding) fill(AS_BITS, ROUNDING_DRAWS, (skip + count + 3) >> 2, key0, key1, index >> 2, tick, ROUNDING_PURPOSE);
  hasRounding = true;
  return ROUNDING_DRAWS + (skip << 2);
}

export function moveWords(): usize {
  const skip = <i32>(index & 7);
  if (!hasMoves) fill(AS_BITS, MOVE_DRAWS, (skip + count + 7) >> 3, key0, key1, index >> 3, tick, MOVE_PURPOSE);
  hasMoves = true;
  return MOVE_DRAWS + (skip << 1);
}

/** What rounds the pulls of `relax`. */
export function pullWords(): usize {
  const skip = <i32>(index & 3);
  if (!hasPulls) fill(AS_BITS, PULL_DRAWS, (skip + count + 3) >> 2, key0, key1, index >> 2, tick, PULL_PURPOSE);
  hasPulls = true;
  return PULL_DRAWS + (skip << 2);
}

/** What half floats have between the points of a coarser grid, and what rounds them: 16 bits a weight. */
export function halfWords(): usize {
  const skip = <i32>(index & 7);
  if (!hasHalves) fill(AS_BITS, HALF_DRAWS, (skip + count + 7) >> 3, key0, key1, index >> 3, tick, HALF_PURPOSE);
  hasHalves = true;
  return HALF_DRAWS + (skip << 1);
}

/** A byte a weight: A and B of a large move, a half each. */
export function fineBytes(): usize {
  const skip = <i32>(index & 15);
  if (!hasFine) fill(AS_BITS, FINE_DRAWS, (skip + count + 15) >> 4, key0, key1, index >> 4, tick, FINE_PURPOSE);
  hasFine = true;
  return FINE_DRAWS + skip;
}

/** A byte a weight, which decides whether it stays. */
export function stayBytes(): usize {
  const skip = <i32>(index & 15);
  if (!hasStays) fill(AS_BITS, STAY_DRAWS, (skip + count + 15) >> 4, key0, key1, index >> 4, tick, STAY_PURPOSE);
  hasStays = true;
  return STAY_DRAWS + skip;
}

export function refineWord(i: i32): u32 {
  return singleWord(i, REFINE_PURPOSE);
}

export function singleWord(i: i32, purpose: u32): u32 {
  const at = index + <u64>i;
  fill(AS_BITS, REFINE_DRAWS, 1, key0, key1, at >> 2, tick, purpose);
  return load<u32>(REFINE_DRAWS + (<usize>(at & 3) << 2));
}

/** Makes what runs draw. */
export function drawRuns(): void {
  if (hasRuns) return;
  hasRuns = true;
  fill(AS_BITS, BYTE_DRAWS, (<i32>(index & 15) + count + 15) >> 4, key0, key1, index >> 4, tick, DRAW_PURPOSE);
  const rows = (<i32>(index & (ROW_BLOCK - 1)) + count + ROW_BLOCK - 1) / ROW_BLOCK;
  fill(AS_BITS, ROW_DRAWS, rows, key0, key1, index / ROW_BLOCK, tick, ROW_PURPOSE);
  const first = index / SHARED_TILE;
  const tiles = <i32>((index + <u64>count - 1) / SHARED_TILE - first) + 1;
  fill(AS_BITS, SHARED_DRAWS, tiles * (SHARED / 16), key0, key1, first * (SHARED / 16), tick, SHARED_PURPOSE);
}

/** Address of the byte of weight i of the tile. */
// @ts-ignore: decorator
@inline
export function runBytes(i: i32): usize {
  return BYTE_DRAWS + <usize>(<i32>(index & 15) + i);
}

/** Address of the byte whose lower bits weight i shares with others. */
// @ts-ignore: decorator
@inline
export function sharedBytes(i: i32): usize {
  const at = <u32>(index & (SHARED_TILE - 1)) + i;
  return SHARED_DRAWS + (at / SHARED_TILE) * SHARED + (at & (SHARED - 1));
}

/** The word of the row span that weight i is in. */
// @ts-ignore: decorator
@inline
export function rowWord(i: i32): u32 {
  return load<u32>(rowWords(i));
}

/** Where it lies; those of the next spans follow. */
// @ts-ignore: decorator
@inline
export function rowWords(i: i32): usize {
  const at = <u32>(index & (ROW_BLOCK - 1)) + i;
  return ROW_DRAWS + ((at / ROW_SPAN) << 2);
}
