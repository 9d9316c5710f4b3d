// Moves of F32, F16 and BF16 weights: the counterpart of src/laws/floats.ts and halves.ts, which hold the formulas.

import { halfToFloat } from "./codes";
import {
  halfWords,
  inSteps,
  moveWords,
  normals,
  rounding,
  roundingWords,
  sigma,
  singleWord,
} from "./draws";
import {
  F16_KIND,
  field,
  HALF_FACTORS,
  HALF_HIGH,
  HALF_LOW,
  KIND,
  LAW_COLUMNS,
  MATCHED,
  NEAREST,
  ROUNDING_PURPOSE,
} from "./memory";
import { centredUniform, clamp, highBytes, lawBits, lowBytes, moveSize, setLaw, threshold, withSign } from "./moves";

/** The largest finite values. */
export const MAX_F32: f32 = 3.4028234663852886e38;
export const MAX_F16: f32 = 65504;
export const MAX_BF16: f32 = 3.3895313892515355e38;
/** The smallest normal numbers, as float32 bits. */
export const TINY: i32 = 1 << 23;
export const TINY_F16: i32 = (127 - 14) << 23;
/** The distance of neighbours at 1: of BF16, F16 and F32. */
export const TWO_M7: f32 = 0.0078125;
export const TWO_M10: f32 = 0.0009765625;
export const TWO_M23: f32 = 1.1920928955078125e-7;

/** An overflowing sigma is cut, or infinity times a normal of 0 would be NaN. */
export function finite(sigma: f32): f32 {
  return sigma < MAX_F32 ? sigma : MAX_F32;
}

/**
 * The distance from |w| to the next larger value of a grid: the power of two in |w| times `unit`, 2^-(bits of the mantissa).
 * Below the smallest normal number, `tiny` in bits, the grid is uniform.
 */
// @ts-ignore: decorator
@inline
export function ulp(w: f32, unit: f32, tiny: i32): f32 {
  return reinterpret<f32>(max<i32>(reinterpret<i32>(w) & 0x7f800000, tiny)) * unit;
}

/** Moves four F32 weights; returns how many changed. */
// @ts-ignore: decorator
@inline
function moveFour(data: usize, z: usize): i32 {
  const w = v128.load(data);
  const size = f32x4.abs(w);
  const top = f32x4.splat(MAX_F32);
  let scale = f32x4.splat(sigma);
  if (inSteps) {
    const binade = i32x4.max_s(v128.and(w, i32x4.splat(0x7f800000)), i32x4.splat(TINY));
    scale = f32x4.pmin(f32x4.mul(scale, f32x4.mul(binade, f32x4.splat(TWO_M23))), top);
  }
  const reach = f32x4.sub(top, size);
  const d = f32x4.pmax(f32x4.pmin(f32x4.mul(scale, v128.load(z)), reach), f32x4.neg(reach));
  const moved = f32x4.add(w, d);
  const changed = v128.and(f32x4.ne(moved, w), f32x4.le(size, top));
  v128.store(data, v128.bitselect(moved, w, changed));
  return popcnt<i32>(i32x4.bitmask(changed));
}

export function moveFloats(data: usize, n: i32): i32 {
  const z = normals();
  let changed = 0;
  let i = 0;
  if (ASC_FEATURE_SIMD) {
    for (; i + 4 <= n; i += 4) changed += moveFour(data + (<usize>i << 2), z + (<usize>i << 2));
  }
  for (; i < n; i++) {
    const at = <usize>i << 2;
    const w = load<f32>(data + at);
    const size = abs<f32>(w);
    if (!(size <= MAX_F32)) continue;
    const scale = inSteps ? finite(sigma * ulp(w, TWO_M23, TINY)) : sigma;
    const moved = w + clamp(scale * load<f32>(z + at), MAX_F32 - size);
    if (moved != w) {
      store<f32>(data + at, moved);
      changed++;
    }
  }
  return changed;
}

/** |y| on the F16 or BF16 grid, as the format's bits: up or down as `word` decides, or to the nearest (ties to even). */
export function magnitudeBits(y: f32, half: bool, nearest: bool, word: u32): u32 {
  const a = abs<f32>(y);
  const bits = reinterpret<u32>(a);
  if (half && a < <f32>6.103515625e-5) {
    const n = a * <f32>16777216;
    return <u32>(nearest ? n + <f32>8388608 - <f32>8388608 : n + centredUniform(word));
  }
  const dropped = half ? 13 : 16;
  const mask: u32 = (1 << dropped) - 1;
  const bump: u32 = nearest ? (mask >> 1) + ((bits >> dropped) & 1) : word & mask;
  const kept = (bits + bump) >> dropped;
  return half ? kept - (112 << 10) : kept;
}

// The laws of half floats at one sigma (src/laws/halves.ts): the least step, or, where sigma is in steps, how many of them are
// one; sigma in those, and their binade; columns of thresholds; and whether any law has bits below the table's grid.
const HALF_BITS: i32 = 6;
const HALF_BINADES: i32 = 15;
const MOST_STEP: f32 = 1.7014118346046923e38;
let halfLeast: f32 = 0;
let halfSigma: f32 = 0;
let halfBinade: i32 = 0;
let halfColumns: i32 = 0;
let halfCoarse: bool = false;

function halfVariance(binade: i32): f32 {
  const part: f32 =
    binade < 127 ? reinterpret<f32>((127 - binade) << 23) : binade < 150 ? reinterpret<f32>(1 << (149 - binade)) : <f32>0;
  const steps = halfSigma * part;
  return steps * steps;
}

function setHalfLaws(): void {
  halfBinade = (reinterpret<i32>(sigma) >> 23) - HALF_BITS;
  if (inSteps) halfLeast = reinterpret<f32>(max<i32>(halfBinade, 127) << 23);
  else halfLeast = reinterpret<f32>(halfBinade > 0 ? halfBinade << 23 : 1 << (22 + halfBinade));
  halfSigma = sigma / halfLeast;
  halfColumns = 0;
  halfCoarse = false;
  memory.fill(HALF_HIGH, 0, 16 * 16);
  memory.fill(HALF_LOW, 0, 16 * 16);
  memory.fill(HALF_FACTORS, 1, 16);
  const binades = inSteps ? 1 : HALF_BINADES;
  for (let binade = 0; binade < binades; binade++) {
    setLaw(halfVariance(binade));
    store<u8>(HALF_FACTORS + binade, <u8>((<i32>1) << lawBits));
    if (lawBits > 0) halfCoarse = true;
    for (let j = 0; j < LAW_COLUMNS; j++) {
      const limit = <i32>threshold(j);
      store<u8>(HALF_HIGH + ((<usize>j << 4) + binade), <u8>(limit >> 8));
      store<u8>(HALF_LOW + ((<usize>j << 4) + binade), <u8>limit);
      // One column below 1 stands for all further ones.
      halfColumns = max<i32>(halfColumns, j + 1);
      if (limit == 0) break;
    }
  }
}

/** F16 and BF16 under the `matched` law: one weight. Returns whether it changed. */
function moveHalf(at: usize, i: i32, half: bool): bool {
  const limit = half ? MAX_F16 : MAX_BF16;
  const h = <u32>load<u16>(at);
  const w = half ? halfToFloat(h) : reinterpret<f32>(h << 16);
  const size = abs<f32>(w);
  if (!(size <= limit)) return false;
  const exponent = max<i32>(half ? (<i32>h >> 10) & 31 : (<i32>h >> 7) & 255, 1) + (half ? 102 : -7);
  const unit = half ? ulp(w, TWO_M10, TINY_F16) : ulp(w, TWO_M7, TINY);
  const step = inSteps ? min<f32>(unit * halfLeast, MOST_STEP) : max<f32>(unit, halfLeast);
  const m = <i32>load<u16>(moveWords() + (<usize>i << 1));
  setLaw(halfVariance(inSteps ? 0 : max<i32>(exponent - halfBinade, 0)));
  let k = withSign(moveSize(m & 0x7fff, i) << lawBits, -(m >> 15));
  if (lawBits > 0) {
    const word = <i32>load<u16>(halfWords() + (<usize>i << 1));
    k += ((word & 63) >> (HALF_BITS - lawBits)) - (((word >> 6) & 63) >> (HALF_BITS - lawBits));
  }
  if (k == 0) return false;
  const y = w + clamp(<f32>k * step, limit - size);
  // Four bits round it, and where it has more below the format's, those of a word of its own below them.
  const dropped = half ? 13 : 16;
  const between = reinterpret<u32>(y) & ((1 << dropped) - 1);
  const rest: u32 = (1 << (dropped - 4)) - 1;
  let word: u32 = 0;
  if (between != 0) word = (<u32>load<u16>(halfWords() + (<usize>i << 1)) >> 12) << (dropped - 4);
  if ((between & rest) != 0) word |= singleWord(i, ROUNDING_PURPOSE) & rest;
  const moved = magnitudeBits(y, half, false, word) | ((reinterpret<u32>(y) >> 16) & 0x8000);
  if (moved == h) return false;
  store<u16>(at, moved);
  return true;
}

/** The binades of eight steps. */
// @ts-ignore: decorator
@inline
function eightBinades(h: v128, half: bool, first: v128): v128 {
  const exponent = half ? v128.and(i16x8.shr_u(h, 10), i16x8.splat(31)) : v128.and(i16x8.shr_u(h, 7), i16x8.splat(255));
  const above = i16x8.sub(i16x8.max_s(exponent, i16x8.splat(1)), first);
  return i16x8.min_s(i16x8.max_s(above, i16x8.splat(0)), i16x8.splat(<i16>HALF_BINADES));
}

/** k = 2^bits k1 + A - B of eight weights; 0 of infinities and NaNs. */
// @ts-ignore: decorator
@inline
function eightHalfMoves(coarse: v128, factor: v128, word: v128, h: v128, infinity: v128): v128 {
  const a = i16x8.shr_u(i16x8.mul(v128.and(word, i16x8.splat(63)), factor), 6);
  const b = i16x8.shr_u(i16x8.mul(v128.and(i16x8.shr_u(word, 6), i16x8.splat(63)), factor), 6);
  const finite = i16x8.lt_s(v128.and(h, i16x8.splat(0x7fff)), infinity);
  return v128.and(i16x8.add(coarse, i16x8.sub(a, b)), finite);
}

/** w + k step of four weights. */
// @ts-ignore: decorator
@inline
function fourSums(h: v128, k: v128, half: bool): v128 {
  const magnitude = v128.and(h, i32x4.splat(0x7fff));
  const size = half
    ? f32x4.mul(i32x4.shl(magnitude, 13), f32x4.splat(<f32>5.192296858534828e33))
    : i32x4.shl(magnitude, 16);
  const w = v128.or(size, i32x4.shl(v128.and(h, i32x4.splat(0x8000)), 16));
  const binade = i32x4.max_s(v128.and(size, i32x4.splat(0x7f800000)), i32x4.splat(half ? TINY_F16 : TINY));
  const unit = f32x4.mul(binade, f32x4.splat(half ? TWO_M10 : TWO_M7));
  const least = f32x4.splat(halfLeast);
  const step = inSteps ? f32x4.pmin(f32x4.mul(unit, least), f32x4.splat(MOST_STEP)) : f32x4.pmax(unit, least);
  const reach = f32x4.sub(f32x4.splat(half ? MAX_F16 : MAX_BF16), size);
  const d = f32x4.pmax(f32x4.pmin(f32x4.mul(f32x4.convert_i32x4_s(k), step), reach), f32x4.neg(reach));
  return f32x4.add(w, d);
}

/** y of four weights on the grid, up or down by four bits. */
// @ts-ignore: decorator
@inline
function fourRounded(y: v128, four: v128, half: bool): v128 {
  if (!half) return i32x4.shr_u(i32x4.add(y, i32x4.shl(four, 12)), 16);
  // Below the normal numbers every y is on the grid, whose points are those of the first binade, less one.
  const size = v128.and(y, i32x4.splat(0x7fffffff));
  const small = i32x4.lt_s(size, i32x4.splat(TINY_F16));
  const bits = f32x4.add(size, v128.and(small, i32x4.splat(TINY_F16)));
  const whole = i32x4.sub(i32x4.shr_u(i32x4.add(bits, i32x4.shl(four, 9)), 13), i32x4.splat(112 << 10));
  const magnitude = i32x4.sub(whole, v128.and(small, i32x4.splat(1 << 10)));
  return v128.or(magnitude, v128.and(i32x4.shr_u(y, 16), i32x4.splat(0x8000)));
}

/** Sixteen weights; returns how many changed, or -1 where they must be moved one by one. */
// @ts-ignore: decorator
@inline
function sixteenHalves(at: usize, words: usize, more: usize, half: bool): i32 {
  const zero = i8x16.splat(0);
  const h0 = v128.load(at);
  const h1 = v128.load(at, 16);
  const first = i16x8.splat(<i16>(halfBinade + (half ? -102 : 7)));
  const binade = inSteps ? zero : i8x16.narrow_i16x8_u(eightBinades(h0, half, first), eightBinades(h1, half, first));
  const a = v128.load(words);
  const b = v128.load(words, 16);
  const low = lowBytes(a, b);
  const all = highBytes(a, b);
  const high = v128.and(all, i8x16.splat(0x7f));
  let size = zero;
  let open = zero;
  for (let j = 0; j < halfColumns; j++) {
    const limitHigh = i8x16.swizzle(v128.load(HALF_HIGH + (<usize>j << 4)), binade);
    const limitLow = i8x16.swizzle(v128.load(HALF_LOW + (<usize>j << 4)), binade);
    const equal = i8x16.eq(high, limitHigh);
    size = i8x16.sub(size, v128.or(i8x16.lt_u(high, limitHigh), v128.and(equal, i8x16.lt_u(low, limitLow))));
    open = v128.or(open, v128.and(equal, i8x16.eq(low, limitLow)));
  }
  if (v128.any_true(open)) return -1;
  const sign = i8x16.shr_s(all, 7);
  const k1 = i8x16.sub(v128.xor(size, sign), sign);
  const factor = i8x16.swizzle(v128.load(HALF_FACTORS), binade);
  const infinity = i16x8.splat(half ? 0x7c00 : 0x7f80);
  const word0 = more != 0 ? v128.load(more) : zero;
  const word1 = more != 0 ? v128.load(more, 16) : zero;
  const k0 = eightHalfMoves(i16x8.extmul_low_i8x16_s(k1, factor), i16x8.extend_low_i8x16_u(factor), word0, h0, infinity);
  const k8 = eightHalfMoves(i16x8.extmul_high_i8x16_s(k1, factor), i16x8.extend_high_i8x16_u(factor), word1, h1, infinity);
  const y0 = fourSums(i32x4.extend_low_i16x8_u(h0), i32x4.extend_low_i16x8_s(k0), half);
  const y1 = fourSums(i32x4.extend_high_i16x8_u(h0), i32x4.extend_high_i16x8_s(k0), half);
  const y2 = fourSums(i32x4.extend_low_i16x8_u(h1), i32x4.extend_low_i16x8_s(k8), half);
  const y3 = fourSums(i32x4.extend_high_i16x8_u(h1), i32x4.extend_high_i16x8_s(k8), half);
  const between = v128.or(v128.or(y0, y1), v128.or(y2, y3));
  const dropped = half ? 13 : 16;
  const decided = more != 0 ? (1 << (dropped - 4)) - 1 : (1 << dropped) - 1;
  if (v128.any_true(v128.and(between, i32x4.splat(decided)))) return -1;
  const four0 = i16x8.shr_u(word0, 12);
  const four1 = i16x8.shr_u(word1, 12);
  const to0 = i16x8.narrow_i32x4_u(
    fourRounded(y0, i32x4.extend_low_i16x8_u(four0), half),
    fourRounded(y1, i32x4.extend_high_i16x8_u(four0), half),
  );
  const to1 = i16x8.narrow_i32x4_u(
    fourRounded(y2, i32x4.extend_low_i16x8_u(four1), half),
    fourRounded(y3, i32x4.extend_high_i16x8_u(four1), half),
  );
  const kept0 = v128.bitselect(h0, to0, i16x8.eq(k0, zero));
  const kept1 = v128.bitselect(h1, to1, i16x8.eq(k8, zero));
  v128.store(at, kept0);
  v128.store(at, kept1, 16);
  return popcnt<i32>(i8x16.bitmask(i8x16.narrow_i16x8_s(i16x8.ne(kept0, h0), i16x8.ne(kept1, h1))));
}

function matchedHalves(data: usize, n: i32, half: bool): i32 {
  setHalfLaws();
  const words = moveWords();
  let changed = 0;
  let i = 0;
  if (ASC_FEATURE_SIMD) {
    const more: usize = halfCoarse ? halfWords() : 0;
    for (; i + 16 <= n; i += 16) {
      const at = <usize>i << 1;
      const moved = half
        ? sixteenHalves(data + at, words + at, more != 0 ? more + at : 0, true)
        : sixteenHalves(data + at, words + at, more != 0 ? more + at : 0, false);
      if (moved >= 0) changed += moved;
      else for (let j = i; j < i + 16; j++) changed += <i32>moveHalf(data + (<usize>j << 1), j, half);
    }
  }
  for (; i < n; i++) changed += <i32>moveHalf(data + (<usize>i << 1), i, half);
  return changed;
}

export function moveHalves(data: usize, n: i32): i32 {
  const half = field(KIND) == F16_KIND;
  if (rounding == MATCHED) return matchedHalves(data, n, half);
  const nearest = rounding == NEAREST;
  const limit = half ? MAX_F16 : MAX_BF16;
  let changed = 0;
  for (let i = 0; i < n; i++) {
    const at = data + (<usize>i << 1);
    const h = <u32>load<u16>(at);
    const w = half ? halfToFloat(h) : reinterpret<f32>(h << 16);
    const size = abs<f32>(w);
    if (!(size <= limit)) continue;
    const weightSigma = inSteps ? finite(sigma * (half ? ulp(w, TWO_M10, TINY_F16) : ulp(w, TWO_M7, TINY))) : sigma;
    const y = w + clamp(weightSigma * load<f32>(normals() + (<usize>i << 2)), limit - size);
    const bits = magnitudeBits(y, half, nearest, nearest ? 0 : load<u32>(roundingWords() + (<usize>i << 2)));
    const moved = bits | ((reinterpret<u32>(y) >> 16) & 0x8000);
    if (moved != h) {
      store<u16>(at, moved);
      changed++;
    }
  }
  return changed;
}
