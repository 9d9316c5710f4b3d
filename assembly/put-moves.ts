// Puts the moves of a tile on its codes, with the symmetric truncation at the rails: straight on the bytes where that can be, or by
// unpacking them. The counterpart of native/kernels/put_moves.inl.h.

import { pack, unpack } from "./codes";
import {
  BIAS,
  BYTES,
  field,
  HI,
  LO,
  MOVES,
  PLANE_BITS,
  PLANE_GROUP,
  PLANE_OFFSET,
  PLANE_RUN,
  PLANE_SHIFT,
  PLANE_STRIDE,
  PLANES,
  WEIGHTS,
} from "./memory";
import { applyMoves } from "./moves";

/** MOVES on the tile of n weights in `blocks` blocks at `data`; returns how many codes changed. */
export function putMoves(data: usize, blocks: i32, n: i32): i32 {
  if (ASC_FEATURE_SIMD) {
    if (field(PLANES) == 1 && field(PLANE_SHIFT) == 0) {
      const run = field(PLANE_RUN);
      if (field(PLANE_BITS) == 8 && run == 32 && field(WEIGHTS) == 32 && field(BIAS) == 0) return n - stayOfBytes(data, blocks);
      if (field(PLANE_BITS) == 4 && field(PLANE_GROUP) == 2 * run && (run & 15) == 0) return n - stayOfNibbles(data, blocks, run);
    }
  }
  unpack(data, blocks);
  const changed = applyMoves(n);
  if (changed > 0) pack(data, blocks);
  return changed;
}

/** What k takes q by: k, at most as far as the nearer rail. */
// @ts-ignore: decorator
@inline
function within(q: v128, k: v128, low: v128, high: v128): v128 {
  // Saturation does no harm: the smaller of the two distances to the rails is at most 127.
  const zero = i8x16.splat(0);
  const reach = i8x16.max_s(i8x16.min_s(i8x16.sub_sat_s(q, low), i8x16.sub_sat_s(high, q)), zero);
  return i8x16.min_s(i8x16.max_s(k, i8x16.sub(zero, reach)), reach);
}

/** How many of sixteen moves are none. */
// @ts-ignore: decorator
@inline
function still(d: v128): i32 {
  return popcnt<i32>(i8x16.bitmask(i8x16.eq(d, i8x16.splat(0))));
}

/** Blocks of 32 codes, a byte each; returns how many stay. */
function stayOfBytes(data: usize, blocks: i32): i32 {
  const low = i8x16.splat(<i8>field(LO));
  const high = i8x16.splat(<i8>field(HI));
  const bytes = <usize>field(BYTES);
  let at = data + <usize>field(PLANE_OFFSET);
  let stay = 0;
  for (let k = MOVES, end = MOVES + (<usize>blocks << 5); k < end; k += 32, at += bytes) {
    const a = v128.load(at);
    const b = v128.load(at, 16);
    const c = within(a, v128.load(k), low, high);
    const d = within(b, v128.load(k, 16), low, high);
    v128.store(at, i8x16.add(a, c));
    v128.store(at, i8x16.add(b, d), 16);
    stay += still(c) + still(d);
  }
  return stay;
}

/** Runs of bytes with a code in their lower halves and, as many codes later, one in their upper; returns how many stay. */
function stayOfNibbles(data: usize, blocks: i32, run: i32): i32 {
  const low = i8x16.splat(<i8>(field(LO) + field(BIAS)));
  const high = i8x16.splat(<i8>(field(HI) + field(BIAS)));
  const nibble = i8x16.splat(15);
  const bytes = field(BYTES);
  const offset = field(PLANE_OFFSET);
  const stride = <usize>field(PLANE_STRIDE);
  const runs = field(WEIGHTS) / (2 * run);
  let k = MOVES;
  let stay = 0;
  for (let block = 0; block < blocks; block++) {
    let at = data + <usize>(block * bytes + offset);
    for (let r = 0; r < runs; r++, at += stride, k += run) {
      for (let i: usize = 0; i < <usize>run; i += 16, k += 16) {
        const both = v128.load(at + i);
        const a = v128.and(both, nibble);
        // Shifted by pairs of bytes, which is cheaper: what crosses over from the neighbour is masked, and codes are of four bits.
        const b = v128.and(i16x8.shr_u(both, 4), nibble);
        const c = within(a, v128.load(k), low, high);
        const d = within(b, v128.load(k + <usize>run), low, high);
        v128.store(at + i, v128.or(i8x16.add(a, c), i16x8.shl(i8x16.add(b, d), 4)));
        stay += still(c) + still(d);
      }
    }
  }
  return stay;
}
