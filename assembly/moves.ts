// The laws of moves of runs: the counterpart of src/laws/moves.ts, which holds the formulas. A tile's moves are drawn into an
// int8 a weight, run by run, and then put on the codes with the symmetric truncation at the rails.

import {
  count,
  drawRuns,
  fineBytes,
  index,
  inSteps,
  moveWords,
  normals,
  refineWord,
  rounding,
  roundingWords,
  rowWord,
  runBytes,
  sharedBytes,
  sigma,
} from "./draws";
import {
  ALIAS,
  ALIAS_FIRST,
  ALIAS_ROW,
  ALIAS_SHIFT,
  CODES,
  field,
  HI,
  LAW,
  LAW_COLUMNS,
  LAW_ROWS,
  LO,
  MATCHED,
  MOVES,
  NEAREST,
  SCRATCH,
} from "./memory";

export const MAX_S: f32 = 32768;
export const COARSE_VARIANCE: f32 = 1066.5;
export const SIXTH: f32 = 1.0 / 6.0;
const TWO_M23: f32 = 1.1920928955078125e-7;
/** Bytes of a row of ALIAS that say one thing of its buckets: first outcomes, second outcomes, thresholds of eight variants. */
const BUCKETS: usize = 16;

// The law of `matched` at one variance lies between two rows of the table.
let lawRow: usize = 0;
let lawWeight: f32 = 0;
/** The table's grid is one of 2^lawBits steps. */
export let lawBits: i32 = 0;

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
export function threshold(j: i32): f32 {
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

/** k for a sign of 0, -k for -1. Signs are coin tosses: a branch would be predicted wrongly half of the time. */
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

/**
 * The row that the variance with these bits is rounded to, up or down, so that it is what was asked for on average: where it
 * lies.
 */
// @ts-ignore: decorator
@inline
function aliasRow(bits: u32, word: u32): usize {
  const row = <i32>((bits + (word & ((1 << ALIAS_SHIFT) - 1))) >> ALIAS_SHIFT) - ALIAS_FIRST;
  return ALIAS + <usize>(row * ALIAS_ROW);
}

/** Moves of a run of variance v on the grid of setGrid, by the table of src/laws/alias.ts. */
function aliasRun(from: i32, to: i32, v: f32): void {
  drawRuns();
  const float = reinterpret<u32>(v);
  // From the beginning of sixteen weights on, of which those before may be another run's.
  for (let i = from - ((<i32>(index & 15) + from) & 15); i < to; i += 16) {
    const word = rowWord(i);
    const row = aliasRow(float, word);
    const thresholds = row + BUCKETS * (2 + <usize>(word >> 29));
    const bytes = runBytes(i);
    const shared = sharedBytes(i);
    if (i >= from && i + 16 <= to) {
      sixteenMoves(MOVES + i, bytes, shared, row, thresholds);
    } else {
      sixteenMoves(SCRATCH, bytes, shared, row, thresholds);
      const first = max<i32>(from, i);
      memory.copy(MOVES + first, SCRATCH + (first - i), min<i32>(to, i + 16) - first);
    }
  }
}

// Constants lie in memory, as in noise.ts.
const BUCKET: usize = memory.data<u8>([15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15], 16);
const SIGN_BIT: usize = memory.data<u8>([16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16], 16);
const OWN: usize = memory.data<u8>(
  [0xe0, 0xe0, 0xe0, 0xe0, 0xe0, 0xe0, 0xe0, 0xe0, 0xe0, 0xe0, 0xe0, 0xe0, 0xe0, 0xe0, 0xe0, 0xe0],
  16,
);

/**
 * Sixteen moves. Of a weight's byte, the lowest four bits choose the bucket, the fifth is the sign, and the upper three with five
 * shared ones the outcome.
 */
// @ts-ignore: decorator
@inline
export function drawn(byte: v128, shared: v128, first: v128, second: v128, thresholds: v128): v128 {
  const bucket = v128.and(byte, v128.load(BUCKET));
  const share = v128.bitselect(byte, shared, v128.load(OWN));
  const less = i8x16.lt_s(share, i8x16.swizzle(thresholds, bucket));
  const size = v128.bitselect(i8x16.swizzle(first, bucket), i8x16.swizzle(second, bucket), less);
  const bit = v128.load(SIGN_BIT);
  const sign = i8x16.eq(v128.and(byte, bit), bit);
  return i8x16.sub(v128.xor(size, sign), sign);
}

/** The same from and to memory, without SIMD too. */
// @ts-ignore: decorator
@inline
function sixteenMoves(out: usize, bytes: usize, shared: usize, row: usize, thresholds: usize): void {
  if (ASC_FEATURE_SIMD) {
    v128.store(out, drawn(v128.load(bytes), v128.load(shared), v128.load(row), v128.load(row, 16), v128.load(thresholds)));
    return;
  }
  for (let i = 0; i < 16; i++) {
    const byte = <i32>load<u8>(bytes + i);
    const bucket = byte & 15;
    const share = <i32>(<i8>((byte & 0xe0) | (<i32>load<u8>(shared + i) & 31)));
    const less = share < <i32>load<i8>(thresholds + bucket);
    store<i8>(out + i, <i8>withSign(<i32>load<i8>(row + (less ? 0 : BUCKETS) + bucket), -((byte >> 4) & 1)));
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
export function drawRun(from: i32, to: i32, s: f32): void {
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
export function applyMoves(n: i32): i32 {
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
      const reach = i8x16.max_s(i8x16.min_s(i8x16.sub_sat_s(q, low), i8x16.sub_sat_s(high, q)), zero);
      const d = i8x16.min_s(i8x16.max_s(v128.load(MOVES + i), i8x16.neg(reach)), reach);
      v128.store(CODES + i, i8x16.add(q, d));
      changed += popcnt<i32>(i8x16.bitmask(i8x16.ne(d, zero)));
    }
  }
  for (; i < n; i++) {
    const q = <i32>load<i8>(CODES + i);
    const reach = max<i32>(min<i32>(q - lo, hi - q), 0);
    const d = max<i32>(-reach, min<i32>(reach, <i32>load<i8>(MOVES + i)));
    store<i8>(CODES + i, <i8>(q + d));
    changed += <i32>(d != 0);
  }
  return changed;
}

/** x, at most as far from 0 as `limit`. */
export function clamp(x: f32, limit: f32): f32 {
  return x < -limit ? -limit : x > limit ? limit : x;
}

// @ts-ignore: decorator
@inline
export function lowBytes(a: v128, b: v128): v128 {
  const mask = i16x8.splat(0xff);
  return i8x16.narrow_i16x8_u(v128.and(a, mask), v128.and(b, mask));
}

// @ts-ignore: decorator
@inline
export function highBytes(a: v128, b: v128): v128 {
  return i8x16.narrow_i16x8_u(i16x8.shr_u(a, 8), i16x8.shr_u(b, 8));
}
