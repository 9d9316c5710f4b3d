// Moves of codes that stand for the entries of a table: the counterpart of src/laws/levels.ts, which holds the formulas.

import { pack, readStep, stepSize, unpack } from "./codes";
import { index, inSteps, key0, key1, moveWords, refineWord, rounding, sigma, tick } from "./draws";
import { codeOfLevel, lastLevel, levelOfCode, meanGap, setSmallLaw, valueAt } from "./levels";
import {
  CODES,
  field,
  GROUP,
  GROUP_NORMALS,
  GROUP_ROUNDING,
  LEVELS,
  MATCHED,
  NEAREST,
  NORMAL_PURPOSE,
  ROUNDING_PURPOSE,
  SMALL_DOWN,
  SMALL_FALL,
  SMALL_MOST,
  SMALL_RISE,
  SMALL_UP,
} from "./memory";
import { centredUniform, clamp, highBytes, lowBytes, MAX_S, SIXTH } from "./moves";
import { AS_BITS, AS_NORMAL, fill } from "./noise";

/** Whether 16 bits, with 32 more where they do not decide, are below a threshold. */
export function below(w: i32, limit: f32, i: i32): bool {
  const high = <i32>limit;
  return w < high || (w == high && refineWord(i) < <u32>((limit - <f32>high) * <f32>4294967296));
}

/** One step up (1), one down (-1), or none. */
export function neighbour(v: f32, up: i32, down: i32, i: i32): i32 {
  const w = <i32>load<u16>(moveWords() + (<usize>i << 1));
  if (below(w, (v / <f32>(up * (up + down))) * <f32>65536, i)) return 1;
  return below(65535 - w, (v / <f32>(down * (up + down))) * <f32>65536, i) ? -1 : 0;
}

/** The level that x + s z is rounded to, |s z| at most the distance to the nearer end of the table. */
function roundedLevel(levels: i32, x: i32, s: f32, z: f32, u: f32): i32 {
  const last = lastLevel(levels);
  const reach = min<i32>(x - valueAt(levels, 0), valueAt(levels, last) - x);
  const y = <f32>x + clamp(s * z, <f32>reach);
  let level = 0;
  while (level < last && y >= <f32>valueAt(levels, level + 1)) level++;
  if (level == last) return last;
  const at = valueAt(levels, level);
  return u < (y - <f32>at) / <f32>(valueAt(levels, level + 1) - at) ? level + 1 : level;
}

/** The least variance that the law of small moves does not serve at every code; whether the normals of a group are made. */
let leastProduct: f32 = 0;
let hasGroup: bool = false;

/** Moves CODES[from ... to), a group of codes that stand for entries of a table; returns how many changed. */
function moveLevels(from: i32, to: i32, step: f32, levels: i32): i32 {
  if (!(step > 0)) return 0;
  let s = inSteps ? sigma * meanGap(levels) : sigma / step;
  if (!(s < MAX_S)) s = MAX_S;
  hasGroup = false;
  let changed = 0;
  if (ASC_FEATURE_SIMD) {
    if (rounding == MATCHED) return smallMoves(from, to, s, levels);
  }
  for (let i = from; i < to; i++) changed += <i32>moveEntry(i, from, to, s, levels);
  return changed;
}

/** Draws the normals and rounding words of the group [from, to), which begins a block of either. */
function drawGroup(from: i32, to: i32): void {
  if (hasGroup) return;
  hasGroup = true;
  const block = (index + <u64>from) >> 2;
  fill(AS_NORMAL, GROUP_NORMALS, (to - from) >> 2, key0, key1, block, tick, NORMAL_PURPOSE);
  if (rounding != NEAREST) fill(AS_BITS, GROUP_ROUNDING, (to - from) >> 2, key0, key1, block, tick, ROUNDING_PURPOSE);
}

/** Moves the code of weight i of the group [from, to); returns whether it changed. */
function moveEntry(i: i32, from: i32, to: i32, s: f32, levels: i32): bool {
  const level = levelOfCode(levels, <i32>load<i8>(CODES + i));
  if (level <= 0 || level >= lastLevel(levels)) return false;
  const v = s * s;
  const x = valueAt(levels, level);
  const up = valueAt(levels, level + 1) - x;
  const down = x - valueAt(levels, level - 1);
  let moved: i32;
  if (rounding == MATCHED && v <= <f32>(up * down)) {
    moved = level + neighbour(v, up, down, i);
  } else {
    drawGroup(from, to);
    const at = <usize>(i - from) << 2;
    const scale = rounding == MATCHED ? sqrt<f32>(v - <f32>(up * down) * SIXTH) : s;
    const u: f32 = rounding == NEAREST ? 0.5 : centredUniform(load<u32>(GROUP_ROUNDING + at));
    moved = roundedLevel(levels, x, scale, load<f32>(GROUP_NORMALS + at), u);
  }
  if (moved == level) return false;
  store<i8>(CODES + i, <i8>codeOfLevel(levels, moved));
  return true;
}

/** Whole parts of four thresholds, 0 where the law does not serve. */
// @ts-ignore: decorator
@inline
function fourThresholds(v: v128, factors: usize, code: usize): v128 {
  const served = f32x4.le(v, v128.load(SMALL_MOST + code));
  return i32x4.trunc_sat_f32x4_s(f32x4.mul(v128.and(v, served), v128.load(factors + code)));
}

/** Where the difference of thresholds' whole parts, lower bytes and upper ones, is 0 or 1, and elsewhere now and then. */
// @ts-ignore: decorator
@inline
function near(low: v128, high: v128): v128 {
  const one = i8x16.splat(1);
  return v128.and(i8x16.le_u(low, one), i8x16.le_u(high, one));
}

/**
 * The law of small moves, sixteen codes at a time: thresholds of a group are those of its sixteen codes, and looked up. What
 * words may not decide, and codes that the law does not serve, are moved one by one.
 */
function smallMoves(from: i32, to: i32, s: f32, levels: i32): i32 {
  const square = s * s;
  const v = f32x4.splat(square);
  const rise0 = i16x8.narrow_i32x4_u(fourThresholds(v, SMALL_RISE, 0), fourThresholds(v, SMALL_RISE, 16));
  const rise1 = i16x8.narrow_i32x4_u(fourThresholds(v, SMALL_RISE, 32), fourThresholds(v, SMALL_RISE, 48));
  const fall0 = v128.not(i16x8.narrow_i32x4_u(fourThresholds(v, SMALL_FALL, 0), fourThresholds(v, SMALL_FALL, 16)));
  const fall1 = v128.not(i16x8.narrow_i32x4_u(fourThresholds(v, SMALL_FALL, 32), fourThresholds(v, SMALL_FALL, 48)));
  const riseLow = lowBytes(rise0, rise1);
  const riseHigh = highBytes(rise0, rise1);
  const fallLow = lowBytes(fall0, fall1);
  const fallHigh = highBytes(fall0, fall1);
  let beyond = i8x16.splat(0);
  if (square > leastProduct) {
    const a = i16x8.narrow_i32x4_s(f32x4.gt(v, v128.load(SMALL_MOST)), f32x4.gt(v, v128.load(SMALL_MOST, 16)));
    const b = i16x8.narrow_i32x4_s(f32x4.gt(v, v128.load(SMALL_MOST, 32)), f32x4.gt(v, v128.load(SMALL_MOST, 48)));
    beyond = i8x16.narrow_i16x8_s(a, b);
  }
  const words = moveWords();
  let changed = 0;
  for (let i = from; i < to; i += 16) {
    const code = v128.load(CODES + i);
    const a = v128.load(words + (<usize>i << 1));
    const b = v128.load(words + (<usize>i << 1), 16);
    const low = lowBytes(a, b);
    const high = highBytes(a, b);
    const riseL = i8x16.swizzle(riseLow, code);
    const riseH = i8x16.swizzle(riseHigh, code);
    const fallL = i8x16.swizzle(fallLow, code);
    const fallH = i8x16.swizzle(fallHigh, code);
    const rises = v128.or(i8x16.lt_u(high, riseH), v128.and(i8x16.eq(high, riseH), i8x16.lt_u(low, riseL)));
    const falls = v128.or(i8x16.gt_u(high, fallH), v128.and(i8x16.eq(high, fallH), i8x16.gt_u(low, fallL)));
    const open = v128.or(
      i8x16.swizzle(beyond, code),
      v128.or(
        near(i8x16.sub(low, riseL), i8x16.sub(high, riseH)),
        near(i8x16.sub(fallL, low), i8x16.sub(fallH, high)),
      ),
    );
    const up = v128.and(i8x16.swizzle(v128.load(SMALL_UP), code), rises);
    const down = v128.and(i8x16.swizzle(v128.load(SMALL_DOWN), code), falls);
    const change = v128.andnot(v128.or(up, down), open);
    v128.store(CODES + i, v128.xor(code, change));
    changed += popcnt<i32>(i8x16.bitmask(i8x16.ne(change, i8x16.splat(0))));
    for (let lanes = i8x16.bitmask(open); lanes != 0; lanes &= lanes - 1) {
      changed += <i32>moveEntry(i + ctz<i32>(lanes), from, to, s, levels);
    }
  }
  return changed;
}

/** Formats whose codes stand for entries of a table. */
export function moveTable(data: usize, blocks: i32, weights: i32, blockBytes: i32): i32 {
  const group = field(GROUP);
  let changed = 0;
  leastProduct = setSmallLaw(field(LEVELS));
  unpack(data, blocks);
  for (let start = 0, b = 0; b < blocks; b++) {
    for (let g = 0; g * group < weights; g++, start += group) {
      changed += moveLevels(start, start + group, stepSize(readStep(data + b * blockBytes, g)), field(LEVELS));
    }
  }
  if (changed > 0) pack(data, blocks);
  return changed;
}
