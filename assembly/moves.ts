// The laws of moves: the counterpart of src/kernels/js/moves.ts and floats.ts, which hold the formulas. A tile's moves are drawn into an
// int8 a weight, run by run, and then put on the codes with the symmetric truncation at the rails.

import { beginCodes } from "./code-at";
import { halfToFloat, pack, readStep, stepSize, unpack, readHalf } from "./codes";
import { codeOfLevel, lastLevel, levelOfCode, meanGap, setSmallLaw, valueAt } from "./levels";
import {
  ALIAS,
  ALIAS_FIRST,
  ALIAS_ROW,
  ALIAS_SHIFT,
  BYTE_DRAWS,
  BYTES,
  CLASSES,
  CODES,
  DRAW_PURPOSE,
  EXTERNAL,
  F16_KIND,
  F32_KIND,
  FINE_DRAWS,
  FINE_PURPOSE,
  field,
  GROUP,
  GROUP_NORMALS,
  GROUP_ROUNDING,
  HALF_DRAWS,
  HALF_FACTORS,
  HALF_HIGH,
  HALF_LOW,
  HALF_PURPOSE,
  HALVES,
  HI,
  KIND,
  LATTICE,
  LAW,
  LAW_COLUMNS,
  LAW_ROWS,
  LEVELS,
  LO,
  MATCHED,
  MOVE_DRAWS,
  MOVE_PURPOSE,
  MOVES,
  NEAREST,
  NORMAL_DRAWS,
  NORMAL_PURPOSE,
  PULL_DRAWS,
  PULL_PURPOSE,
  REFINE_DRAWS,
  REFINE_PURPOSE,
  ROOM,
  ROUNDING_DRAWS,
  ROUNDING_PURPOSE,
  ROW_DRAWS,
  ROW_PURPOSE,
  RUN_ENDS,
  RUN_SCALES,
  RUN_STEPS,
  RUN_VARIANCES,
  SHARED_DRAWS,
  SHARED_PURPOSE,
  SMALL_DOWN,
  SMALL_FALL,
  SMALL_MOST,
  SMALL_RISE,
  SMALL_UP,
  STEP_F16,
  STEP_F16_ORIGIN,
  STEP_OFFSET,
  STAGE,
  STEP,
  STEPS,
  TILE,
  UNIFORM,
  WEIGHTS,
} from "./memory";
import { AS_BITS, AS_NORMAL, fill } from "./noise";
import { anyNoted, beginPieces, movePiece, notedPiece, notedPieces, notePiece, pieceBytes, RARE_PIECE, SPARSE_VARIANCE } from "./rare-groups";
import {
  beginMoved,
  classOf,
  FIRST_CLASS,
  forgetHits,
  forgetMoved,
  hitAt,
  hitsOf,
  LAST_CLASS,
  movedCodes,
  noteMoved,
  placeBits,
  shareOf,
} from "./rare-rows";

export const MAX_S: f32 = 32768;
export const TABLE_VARIANCE: f32 = 4;
export const COARSE_VARIANCE: f32 = 1066.5;
export const SIXTH: f32 = 1.0 / 6.0;
export const TWO_M23: f32 = 1.1920928955078125e-7;
export const MAX_F32: f32 = 3.4028234663852886e38;
export const MAX_F16: f32 = 65504;
export const MAX_BF16: f32 = 3.3895313892515355e38;
/** The smallest normal numbers, as float32 bits. */
export const TINY: i32 = 1 << 23;
export const TINY_F16: i32 = (127 - 14) << 23;
export const TWO_M7: f32 = 0.0078125;
export const TWO_M10: f32 = 0.0009765625;

// The call's arguments, and the tile's draws: each made when first asked for.
let sigma: f32 = 0;
let inSteps: bool = false;
let rounding: i32 = 0;
let key0: u32 = 0;
let key1: u32 = 0;
let tick: u32 = 0;
let index: u64 = 0;
let count: i32 = 0;
let hasNormals: bool = false;
let hasRounding: bool = false;
let hasMoves: bool = false;
let hasPulls: bool = false;
let hasFine: bool = false;
let hasRuns: bool = false;
let hasHalves: bool = false;
// The law of `matched` at one variance lies between two rows of the table.
let lawRow: usize = 0;
let lawWeight: f32 = 0;
/** The table's grid is one of 2^lawBits steps. */
let lawBits: i32 = 0;

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
function halfWords(): usize {
  const skip = <i32>(index & 7);
  if (!hasHalves) fill(AS_BITS, HALF_DRAWS, (skip + count + 7) >> 3, key0, key1, index >> 3, tick, HALF_PURPOSE);
  hasHalves = true;
  return HALF_DRAWS + (skip << 1);
}

/** A byte a weight: A and B of a large move, a half each. */
function fineBytes(): usize {
  const skip = <i32>(index & 15);
  if (!hasFine) fill(AS_BITS, FINE_DRAWS, (skip + count + 15) >> 4, key0, key1, index >> 4, tick, FINE_PURPOSE);
  hasFine = true;
  return FINE_DRAWS + skip;
}

function refineWord(i: i32): u32 {
  return singleWord(i, REFINE_PURPOSE);
}

function singleWord(i: i32, purpose: u32): u32 {
  const at = index + <u64>i;
  fill(AS_BITS, REFINE_DRAWS, 1, key0, key1, at >> 2, tick, purpose);
  return load<u32>(REFINE_DRAWS + (<usize>(at & 3) << 2));
}

/** Sets the grid of the law of variance v; returns the variance of its table on it. Of lattices, v <= COARSE_VARIANCE. */
function setGrid(v: f32): f32 {
  lawBits = <i32>(v > 4) + <i32>(v > 16.5) + <i32>(v > 66.5) + <i32>(v > 266.5) + <i32>(v > 1066.5) + <i32>(v > 4266.5);
  if (lawBits == 0) return v;
  const four = <f32>(1 << (2 * lawBits));
  return (v - (four - 1) / 6) / four;
}

/** Sets the law of `matched` at variance v. */
export function setLaw(v: f32): void {
  const position = setGrid(v) * 4;
  const row = min<i32>(<i32>position, LAW_ROWS - 2);
  lawRow = LAW + <usize>(row * LAW_COLUMNS * 4);
  lawWeight = position - <f32>row;
}

/** 2^15 P(|k| > j): falls with j, and is zero from some column on. */
// @ts-ignore: decorator
@inline
function threshold(j: i32): f32 {
  const at = lawRow + (<usize>j << 2);
  const p = load<f32>(at);
  return p + (load<f32>(at, LAW_COLUMNS * 4) - p) * lawWeight;
}

/** The move of weight i of the tile by the law that is set. */
export function lawMove(i: i32): i32 {
  const w = <i32>load<u16>(moveWords() + (<usize>i << 1));
  const k = withSign(moveSize(w & 0x7fff, i) << lawBits, -(w >> 15));
  if (lawBits == 0) return k;
  const byte = <i32>load<u8>(fineBytes() + i);
  const mask = (1 << lawBits) - 1;
  return k + (byte & mask) - ((byte >> 4) & mask);
}

/** |k| for 15 bits m, with 32 more bits where those do not decide. */
export function moveSize(m: i32, i: i32): i32 {
  let k = 0;
  while (k < LAW_COLUMNS && m < <i32>threshold(k)) k++;
  if (k == LAW_COLUMNS || m != <i32>threshold(k)) return k;
  const r = refineWord(i);
  while (k < LAW_COLUMNS) {
    const t = threshold(k);
    const high = <i32>t;
    if (!(m < high || (m == high && r < <u32>((t - <f32>high) * <f32>4294967296)))) break;
    k++;
  }
  return k;
}

export function scaleInSteps(step: f32): f32 {
  const s = inSteps ? sigma : sigma / step;
  return s < MAX_S ? s : MAX_S;
}

export function centredUniform(word: u32): f32 {
  return (<f32>(word >> 9) + <f32>0.5) * TWO_M23;
}

export function matchedScale(v: f32): f32 {
  return sqrt<f32>(v - SIXTH);
}

/** k for a sign of 0, -k for -1. Signs are coin tosses, so a branch would be foretold wrongly half of the time. */
// @ts-ignore: decorator
@inline
export function withSign(k: i32, sign: i32): i32 {
  return (k ^ sign) - sign;
}

/** floor(s |z| + u) with the sign of z. */
export function kick(s: f32, z: f32, u: f32): i32 {
  return withSign(<i32>(s * abs<f32>(z) + u), reinterpret<i32>(z) >> 31);
}

/** Codes are int8, so longer moves reach the rail anyway. */
// @ts-ignore: decorator
@inline
function storeMove(i: i32, k: i32): void {
  store<i8>(MOVES + i, <i8>max<i32>(-128, min<i32>(127, k)));
}

// @ts-ignore: decorator
@inline
function fourKicks(s: v128, z: usize, words: usize, nearest: bool): v128 {
  const normal = v128.load(z);
  const u = nearest ? f32x4.splat(0.5) : fourUniforms(words);
  const size = i32x4.trunc_sat_f32x4_s(f32x4.add(f32x4.mul(s, f32x4.abs(normal)), u));
  const sign = i32x4.shr_s(normal, 31);
  return i32x4.sub(v128.xor(size, sign), sign);
}

// @ts-ignore: decorator
@inline
function fourUniforms(words: usize): v128 {
  const n = f32x4.convert_i32x4_s(i32x4.shr_u(v128.load(words), 9));
  return f32x4.mul(f32x4.add(n, f32x4.splat(0.5)), f32x4.splat(TWO_M23));
}

/** Moves of a run drawn as floor(s |z| + u); `nearest` has u = 1/2. */
function kickRun(from: i32, to: i32, s: f32, nearest: bool): void {
  const z = normals();
  const words: usize = nearest ? 0 : roundingWords();
  let i = from;
  if (ASC_FEATURE_SIMD) {
    const scale = f32x4.splat(s);
    for (; i + 16 <= to; i += 16) {
      const at = z + (<usize>i << 2);
      const word = words + (<usize>i << 2);
      const a = i16x8.narrow_i32x4_s(fourKicks(scale, at, word, nearest), fourKicks(scale, at + 16, word + 16, nearest));
      const b = i16x8.narrow_i32x4_s(fourKicks(scale, at + 32, word + 32, nearest), fourKicks(scale, at + 48, word + 48, nearest));
      v128.store(MOVES + i, i8x16.narrow_i16x8_s(a, b));
    }
  }
  for (; i < to; i++) {
    const at = <usize>i << 2;
    storeMove(i, kick(s, load<f32>(z + at), nearest ? <f32>0.5 : centredUniform(load<u32>(words + at))));
  }
}

/** Begins what runs draw. */
function drawRuns(): void {
  if (hasRuns) return;
  hasRuns = true;
  fill(AS_BITS, BYTE_DRAWS, (<i32>(index & 15) + count + 15) >> 4, key0, key1, index >> 4, tick, DRAW_PURPOSE);
  fill(AS_BITS, ROW_DRAWS, (<i32>(index & 127) + count + 127) >> 7, key0, key1, index >> 7, tick, ROW_PURPOSE);
  const first = index >> 11;
  const blocks = <i32>(((index + <u64>count - 1) >> 11) - first + 1) << 4;
  fill(AS_BITS, SHARED_DRAWS, blocks, key0, key1, first << 4, tick, SHARED_PURPOSE);
}

/** The row that the variance with these bits is rounded to, up or down, so that it is what was asked for on average: where it lies. */
// @ts-ignore: decorator
@inline
function aliasRow(bits: u32, word: u32): usize {
  const row = <i32>((bits + (word & ((1 << ALIAS_SHIFT) - 1))) >> ALIAS_SHIFT) - ALIAS_FIRST;
  return ALIAS + <usize>(row * ALIAS_ROW);
}

/** Moves of a run of variance v on the grid of setGrid, by the table of src/kernels/alias.ts. */
function aliasRun(from: i32, to: i32, v: f32): void {
  drawRuns();
  const float = reinterpret<u32>(v);
  // From the beginning of sixteen weights on, of which those before may be another run's.
  const before = <i32>(index & 15);
  for (let i = from - ((before + from) & 15); i < to; i += 16) {
    const word = load<u32>(ROW_DRAWS + (<usize>((<i32>(index & 127) + i) >> 5) << 2));
    const row = aliasRow(float, word);
    const thresholds = row + 32 + <usize>((word >> 29) << 4);
    const at = <i32>(index & 2047) + i;
    const bytes = BYTE_DRAWS + before + i;
    const shared = SHARED_DRAWS + ((at >> 11) << 8) + (at & 255);
    if (i >= from && i + 16 <= to) {
      sixteenMoves(MOVES + i, bytes, shared, row, thresholds);
    } else {
      sixteenMoves(ROOM, bytes, shared, row, thresholds);
      const first = max<i32>(from, i);
      memory.copy(MOVES + first, ROOM + (first - i), min<i32>(to, i + 16) - first);
    }
  }
}

/**
 * Of a weight's byte, the lowest four bits choose the bucket, the fifth is the sign, and the upper three with five shared ones the outcome.
 */
// @ts-ignore: decorator
@inline
function sixteenMoves(out: usize, bytes: usize, shared: usize, row: usize, thresholds: usize): void {
  if (ASC_FEATURE_SIMD) {
    const byte = v128.load(bytes);
    const bucket = v128.and(byte, i8x16.splat(15));
    const share = v128.bitselect(byte, v128.load(shared), i8x16.splat(<i8>0xe0));
    const less = i8x16.lt_s(share, i8x16.swizzle(v128.load(thresholds), bucket));
    const size = v128.bitselect(i8x16.swizzle(v128.load(row), bucket), i8x16.swizzle(v128.load(row, 16), bucket), less);
    const sign = i8x16.eq(v128.and(byte, i8x16.splat(16)), i8x16.splat(16));
    v128.store(out, i8x16.sub(v128.xor(size, sign), sign));
    return;
  }
  for (let i = 0; i < 16; i++) {
    const byte = <i32>load<u8>(bytes + i);
    const bucket = byte & 15;
    const share = <i32>(<i8>((byte & 0xe0) | (<i32>load<u8>(shared + i) & 31)));
    const less = share < <i32>load<i8>(thresholds + bucket);
    store<i8>(out + i, <i8>withSign(<i32>load<i8>(row + (less ? 0 : 16) + bucket), -((byte >> 4) & 1)));
  }
}

/** MOVES[from, to) := 2^lawBits k + A - B, kept to int8. */
function refineRun(from: i32, to: i32): void {
  const bytes = fineBytes();
  const mask = (1 << lawBits) - 1;
  let i = from;
  if (ASC_FEATURE_SIMD) {
    const low = i8x16.splat(<i8>mask);
    for (; i + 16 <= to; i += 16) {
      const byte = v128.load(bytes + i);
      const d = i8x16.sub(v128.and(byte, low), v128.and(i8x16.shr_u(byte, 4), low));
      const k = v128.load(MOVES + i);
      const a = i16x8.add(i16x8.shl(i16x8.extend_low_i8x16_s(k), lawBits), i16x8.extend_low_i8x16_s(d));
      const b = i16x8.add(i16x8.shl(i16x8.extend_high_i8x16_s(k), lawBits), i16x8.extend_high_i8x16_s(d));
      v128.store(MOVES + i, i8x16.narrow_i16x8_s(a, b));
    }
  }
  for (; i < to; i++) {
    const byte = <i32>load<u8>(bytes + i);
    storeMove(i, (<i32>load<i8>(MOVES + i) << lawBits) + (byte & mask) - ((byte >> 4) & mask));
  }
}

/** Draws the moves of weights [from, to) of the tile, whose noise is s steps; s = 0 moves nothing. */
function drawRun(from: i32, to: i32, s: f32): void {
  const v = s * s;
  if (s == 0) {
    memory.fill(MOVES + from, 0, to - from);
  } else if (rounding == MATCHED && v <= COARSE_VARIANCE) {
    aliasRun(from, to, setGrid(v));
    if (lawBits > 0) refineRun(from, to);
  } else {
    kickRun(from, to, rounding == MATCHED ? matchedScale(v) : s, rounding == NEAREST);
  }
}

/** CODES += MOVES, at most as far as the nearer rail; returns how many changed. */
function applyMoves(n: i32): i32 {
  const lo = field(LO);
  const hi = field(HI);
  let changed = 0;
  let i = 0;
  if (ASC_FEATURE_SIMD) {
    // Saturation does no harm: the smaller of the two distances to the rails is at most 127.
    const low = i8x16.splat(<i8>lo);
    const high = i8x16.splat(<i8>hi);
    const zero = i8x16.splat(0);
    for (; i + 16 <= n; i += 16) {
      const q = v128.load(CODES + i);
      const room = i8x16.max_s(i8x16.min_s(i8x16.sub_sat_s(q, low), i8x16.sub_sat_s(high, q)), zero);
      const d = i8x16.min_s(i8x16.max_s(v128.load(MOVES + i), i8x16.neg(room)), room);
      v128.store(CODES + i, i8x16.add(q, d));
      changed += popcnt<i32>(i8x16.bitmask(i8x16.ne(d, zero)));
    }
  }
  for (; i < n; i++) {
    const q = <i32>load<i8>(CODES + i);
    const room = max<i32>(min<i32>(q - lo, hi - q), 0);
    const d = max<i32>(-room, min<i32>(room, <i32>load<i8>(MOVES + i)));
    store<i8>(CODES + i, <i8>(q + d));
    changed += <i32>(d != 0);
  }
  return changed;
}

/** An overflowing sigma is cut, or infinity times a normal of 0 would be NaN. */
export function finite(sigma: f32): f32 {
  return sigma < MAX_F32 ? sigma : MAX_F32;
}

export function clamp(x: f32, limit: f32): f32 {
  return x < -limit ? -limit : x > limit ? limit : x;
}

/** Whether 16 bits, with 32 more where they do not decide, are below a threshold. */
function below(w: i32, limit: f32, i: i32): bool {
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
  const room = min<i32>(x - valueAt(levels, 0), valueAt(levels, last) - x);
  const y = <f32>x + clamp(s * z, <f32>room);
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

// @ts-ignore: decorator
@inline
function lowBytes(a: v128, b: v128): v128 {
  const mask = i16x8.splat(0xff);
  return i8x16.narrow_i16x8_u(v128.and(a, mask), v128.and(b, mask));
}

// @ts-ignore: decorator
@inline
function highBytes(a: v128, b: v128): v128 {
  return i8x16.narrow_i16x8_u(i16x8.shr_u(a, 8), i16x8.shr_u(b, 8));
}

/** Where the difference of thresholds' whole parts, lower bytes and upper ones, is 0 or 1, and elsewhere now and then. */
// @ts-ignore: decorator
@inline
function near(low: v128, high: v128): v128 {
  const one = i8x16.splat(1);
  return v128.and(i8x16.le_u(low, one), i8x16.le_u(high, one));
}

/**
 * The law of small moves, sixteen codes at a time: thresholds of a group are those of its sixteen codes, and looked up. What words may not
 * decide, and codes that the law does not serve, are moved one by one.
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

/**
 * The distance from |w| to the next larger value of a grid: the power of two in |w| times `unit`, 2^-(bits of the mantissa). Below the
 * smallest normal number, `tiny` in bits, the grid is uniform.
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
  const room = f32x4.sub(top, size);
  const d = f32x4.pmax(f32x4.pmin(f32x4.mul(scale, v128.load(z)), room), f32x4.neg(room));
  const moved = f32x4.add(w, d);
  const changed = v128.and(f32x4.ne(moved, w), f32x4.le(size, top));
  v128.store(data, v128.bitselect(moved, w, changed));
  return popcnt<i32>(i32x4.bitmask(changed));
}

function moveFloats(data: usize, n: i32): i32 {
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

// The laws of half floats at one sigma (src/kernels/js/floats.ts): the least step, or, where sigma is in steps, how many of them are one;
// sigma in those, and their binade; columns of thresholds; and whether any law has bits below the table's grid.
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
  const room = f32x4.sub(f32x4.splat(half ? MAX_F16 : MAX_BF16), size);
  const d = f32x4.pmax(f32x4.pmin(f32x4.mul(f32x4.convert_i32x4_s(k), step), room), f32x4.neg(room));
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

function moveHalves(data: usize, n: i32): i32 {
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

/** Whether there are dense runs in the tile, and runs that move rarely. */
let dense: bool = false;
let rare: bool = false;
/** The binary logarithm of the length of all runs, or -1 where RUN_ENDS has their ends; and that of the pieces of a run. */
let even: i32 = -1;
let piecesLog: i32 = 0;
/** The run that the tile begins with. */
let firstRun: i32 = 0;

/** Notes the noise of run number `run`: a dense one has no variance that counts, one that moves rarely no scale. */
// @ts-ignore: decorator
@inline
function addRun(run: i32, step: f32): void {
  const s: f32 = step > 0 ? scaleInSteps(step) : 0;
  const v = s * s;
  const isRare = rounding == MATCHED && v < SPARSE_VARIANCE;
  store<f32>(RUN_SCALES + (<usize>run << 2), isRare ? 0 : s);
  store<f32>(RUN_VARIANCES + (<usize>run << 2), isRare ? v : 0);
  if (!isRare && s > 0) dense = true;
  if (isRare && v > 0) rare = true;
}

/** Reads the steps of a tile's groups to RUN_STEPS, from run `firstRun` on; returns how many. */
function readSteps(data: usize, blocks: i32): i32 {
  const blockBytes = field(BYTES);
  const groups = field(WEIGHTS) / field(GROUP);
  let out = RUN_STEPS + (<usize>firstRun << 2);
  if (field(STEP) == STEP_F16 || field(STEP) == STEP_F16_ORIGIN) {
    // The commonest, one group a block: no need to ask for each.
    data += field(STEP_OFFSET);
    if (ASC_FEATURE_SIMD) {
      for (let b = 0; b < blocks; b++, data += blockBytes) store<u16>(HALVES + (<usize>b << 1), load<u16>(data));
      // Shifted into place, a half is 2^112 too small; infinities and what is no number have no step.
      const scale = f32x4.splat(5192296858534827628530496329220096.0);
      for (let b = 0; b < blocks; b += 4) {
        const magnitude = v128.and(v128.load16x4_u(HALVES + (<usize>b << 1)), i32x4.splat(0x7fff));
        const finite = i32x4.lt_s(magnitude, i32x4.splat(0x7c00));
        v128.store(out + (<usize>b << 2), v128.and(f32x4.mul(i32x4.shl(magnitude, 13), scale), finite));
      }
    } else {
      for (let b = 0; b < blocks; b++, data += blockBytes, out += 4) store<f32>(out, stepSize(readHalf(data)));
    }
    return blocks;
  }
  for (let b = 0; b < blocks; b++, data += blockBytes) {
    for (let g = 0; g < groups; g++, out += 4) store<f32>(out, stepSize(readStep(data, g)));
  }
  return blocks * groups;
}

/** Whether no group of the tile is dense, and none has no step: their squares are above what is dense at most, with room for rounding. */
function allRare(runs: i32): bool {
  if (rounding != MATCHED || inSteps || sigma <= <f32>1e-15) return false;
  let at = RUN_STEPS + (<usize>firstRun << 2);
  const end = at + (<usize>runs << 2);
  let least: f32 = Infinity;
  for (; at < end; at += 4) least = min<f32>(least, load<f32>(at));
  const square = least * least;
  return square > sigma * sigma * <f32>(1.0 + 1e-6) / SPARSE_VARIANCE && square > <f32>1e-30;
}

/** Notes the pieces of a tile of which all move rarely: those whose byte times the square of their step is small enough. */
function notePieces(runs: i32): void {
  const limit: f32 = sigma * sigma * <f32>(1.0 + 1e-6) * <f32>(min<i32>(1 << even, RARE_PIECE) << 8);
  const first = firstRun << piecesLog;
  const n = runs << piecesLog;
  const bytes = pieceBytes(key0, key1, tick) + first;
  let p = 0;
  if (ASC_FEATURE_SIMD) {
    if (piecesLog == 0) {
      const below = f32x4.splat(limit);
      const steps = RUN_STEPS + (<usize>first << 2);
      for (; p + 8 <= n; p += 8) {
        const byte = v128.load8x8_u(bytes + p);
        const a = v128.load(steps + (<usize>p << 2));
        const b = v128.load(steps + (<usize>p << 2), 16);
        const low = f32x4.mul(f32x4.convert_i32x4_u(i32x4.extend_low_i16x8_u(byte)), f32x4.mul(a, a));
        const high = f32x4.mul(f32x4.convert_i32x4_u(i32x4.extend_high_i16x8_u(byte)), f32x4.mul(b, b));
        let set = i16x8.bitmask(i16x8.narrow_i32x4_s(f32x4.lt(low, below), f32x4.lt(high, below)));
        for (; set != 0; set &= set - 1) notePiece(first + p + ctz<i32>(set));
      }
    }
  }
  for (; p < n; p++) {
    const step = load<f32>(RUN_STEPS + (<usize>(firstRun + (p >> piecesLog)) << 2));
    if (<f32>load<u8>(bytes + p) * (step * step) < limit) notePiece(first + p);
  }
}

/** Notes the pieces of a tile by the variances of its runs. */
function notePiecesOfSome(runs: i32): void {
  const whole = <f32>(min<i32>(1 << even, RARE_PIECE) << 8);
  const first = firstRun << piecesLog;
  const bytes = pieceBytes(key0, key1, tick) + first;
  for (let p = 0, n = runs << piecesLog; p < n; p++) {
    const v = load<f32>(RUN_VARIANCES + (<usize>(firstRun + (p >> piecesLog)) << 2));
    if (<f32>load<u8>(bytes + p) < whole * v) notePiece(first + p);
  }
}

/** Moves a tile of groups, but for rare moves: the pieces that may have some are noted. */
function moveGroups(data: usize, blocks: i32): i32 {
  const runs = readSteps(data, blocks);
  let changed = 0;
  if (allRare(runs)) {
    notePieces(runs);
  } else {
    dense = false;
    rare = false;
    for (let run = firstRun; run < firstRun + runs; run++) addRun(run, load<f32>(RUN_STEPS + (<usize>run << 2)));
    if (rare) notePiecesOfSome(runs);
    if (dense) changed = moveDense(data, blocks, runs);
  }
  firstRun += runs;
  return changed;
}

/** Makes the rare moves of the leaf's groups. */
function moveRareGroups(): i32 {
  beginCodes();
  let changed = 0;
  const length = <f32>min<i32>(1 << even, RARE_PIECE);
  for (let j = 0, n = notedPieces(); j < n; j++) {
    const piece = notedPiece(j);
    const step = load<f32>(RUN_STEPS + (<usize>(piece >> piecesLog) << 2));
    const s: f32 = step > 0 ? scaleInSteps(step) : 0;
    const v = s * s;
    if (v < SPARSE_VARIANCE) changed += movePiece(STAGE, piece, v * length, key0, key1, tick);
  }
  return changed;
}

function moveDense(data: usize, blocks: i32, runs: i32): i32 {
  for (let run = firstRun, start = 0; run < firstRun + runs; run++) {
    const end = even < 0 ? load<i32>(RUN_ENDS + (<usize>run << 2)) : start + (1 << even);
    drawRun(start, end, load<f32>(RUN_SCALES + (<usize>run << 2)));
    start = end;
  }
  unpack(data, blocks);
  const changed = applyMoves(count);
  if (changed > 0) pack(data, blocks);
  return changed;
}

/** Makes the rare moves of a tile of rows, whose codes are bytes. */
function moveRareRows(data: usize, runs: i32): i32 {
  forgetMoved();
  memory.fill(CLASSES, 0, LAST_CLASS + 1);
  for (let run = 0; run < runs; run++) {
    const v = load<f32>(RUN_VARIANCES + (<usize>run << 2));
    if (v > 0) store<u8>(CLASSES + classOf(v), 1);
  }
  for (let rareClass = LAST_CLASS; rareClass >= FIRST_CLASS; rareClass--) {
    if (load<u8>(CLASSES + rareClass)) moveClass(data, rareClass, runs);
  }
  return movedCodes();
}

function moveClass(data: usize, rareClass: i32, runs: i32): void {
  const lo = field(LO);
  const hi = field(HI);
  const bits = placeBits(rareClass);
  const end = index + <u64>count;
  for (let tile = index >> bits; tile << bits < end; tile++) {
    // As a signed distance from the first weight, so that one comparison finds the hits within.
    const start = (tile << bits) - index;
    const hits = hitsOf(rareClass, tile, key0, key1, tick);
    beginMoved();
    for (let j = 0; j < hits; j++) {
      const hit = hitAt(rareClass, j);
      const place = start + load<u64>(hit);
      if (place >= <u64>count) continue;
      const i = <i32>place;
      const v = load<f32>(RUN_VARIANCES + (<usize>runAt(i, runs) << 2));
      if (v == 0 || classOf(v) != rareClass || load<u32>(hit, 8) >= shareOf(v, rareClass)) continue;
      const q = <i32>load<i8>(data + i);
      if (q <= lo || q >= hi) continue;
      const to = q + load<i32>(hit, 12);
      store<i8>(data + i, <i8>to);
      noteMoved(i, q, to);
    }
  }
}

/** The first run that ends behind weight i. */
function runAt(i: i32, runs: i32): i32 {
  let low = 0;
  for (let high = runs - 1; low < high; ) {
    const middle = (low + high) >> 1;
    if (load<i32>(RUN_ENDS + (<usize>middle << 2)) > i) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** Formats whose codes stand for entries of a table. */
function moveTable(data: usize, blocks: i32, weights: i32, blockBytes: i32): i32 {
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

/**
 * Moves the first `bytes` bytes of the stage, at most one leaf. For external steps, STEPS holds those of the rows touched: the first
 * has `rowLeft` weights left, the others `rowLength`.
 */
export function perturb(
  bytes: i32,
  sigma_: f32,
  inSteps_: bool,
  rowLeft: i32,
  rowLength: i32,
  rounding_: i32,
  k0: u32,
  k1: u32,
  indexLo: u32,
  indexHi: u32,
  tick_: u32,
): i32 {
  if (sigma_ == 0) return 0;
  beginDraws(sigma_, inSteps_, rounding_, k0, k1, tick_);
  index = (<u64>indexHi << 32) | <u64>indexLo;
  forgetHits();
  const kind = field(KIND);
  const weights = field(WEIGHTS);
  const blockBytes = field(BYTES);
  const blocks = bytes / blockBytes;
  const tileBlocks = TILE / weights;
  const uniform = kind == LATTICE && field(LEVELS) == UNIFORM;
  const external = field(STEP) == EXTERNAL;
  const grouped = uniform && !external;
  even = grouped ? ctz<i32>(field(GROUP)) : -1;
  if (grouped) {
    const length = min<i32>(field(GROUP), RARE_PIECE);
    piecesLog = even - ctz<i32>(length);
    beginPieces(index / <u64>length, (blocks * weights) / length, length);
  }
  firstRun = 0;
  let row = STEPS;
  let changed = 0;
  for (let block = 0; block < blocks; block += tileBlocks) {
    const some = min<i32>(tileBlocks, blocks - block);
    const data = STAGE + block * blockBytes;
    beginTile(index, some * weights);
    if (uniform && external) {
      let runs = 0;
      dense = false;
      rare = false;
      for (let start = 0; start < count; ) {
        const end = min<i32>(count, start + rowLeft);
        addRun(runs, load<f32>(row));
        store<i32>(RUN_ENDS + (<usize>runs << 2), end);
        runs++;
        rowLeft -= end - start;
        if (rowLeft == 0) {
          rowLeft = rowLength;
          row += 4;
        }
        start = end;
      }
      if (dense) changed += moveDense(data, some, runs);
      if (rare) changed += moveRareRows(data, runs);
    } else if (uniform) {
      changed += moveGroups(data, some);
    } else if (kind == LATTICE) {
      changed += moveTable(data, some, weights, blockBytes);
    } else if (kind == F32_KIND) changed += moveFloats(data, count);
    else changed += moveHalves(data, count);
    index += <u64>count;
  }
  return grouped && anyNoted() ? changed + moveRareGroups() : changed;
}
