// Philox4x32-10 and what is made of it. Formulas, sources and the order of operations: src/kernels/js/philox.ts and normal.ts.
// Eight blocks at a time in SIMD, one without; the same words either way.

export const AS_BITS: i32 = 0;
export const AS_UNIFORM: i32 = 1;
export const AS_NORMAL: i32 = 2;

const M0: u32 = 0xd2511f53;
const M1: u32 = 0xcd9e8d57;
const W0: u32 = 0x9e3779b9;
const W1: u32 = 0xbb67ae85;

// Coefficients lie in memory: engines load a number into all lanes in one instruction, but build it from a constant in three.
// Polynomials begin with the highest power.
const LN: usize = memory.data<f32>(
  [
    0.08734844624996185, -0.14307522773742676, 0.14917972683906555, -0.16570508480072021, 0.19962072372436523, -0.25001755356788635,
    0.33333951234817505, -0.49999991059303284,
  ],
  16,
);
const SIN: usize = memory.data<f32>([-0.004602177068591118, 0.07968022674322128, -0.6459634900093079, 1.5707963705062866], 16);
const COS: usize = memory.data<f32>([0.0009036316769197583, -0.02086007222533226, 0.25366920232772827, -1.2337005138397217, 1], 16);
const LN2: usize = memory.data<f32>([0.6931471805599453], 16);
const HALF: usize = memory.data<f32>([0.5], 16);
const ONE: usize = memory.data<f32>([1], 16);
const MINUS_TWO: usize = memory.data<f32>([-2], 16);
const TWO_M24: usize = memory.data<f32>([5.9604644775390625e-8], 16);
const TWO_M32: usize = memory.data<f32>([2.3283064365386962890625e-10], 16);
/** sqrt(1/2) as bits, and the same 31 binades up: what takes the exponent, less 31, out of u * 2^31. */
const SQRT_HALF: usize = memory.data<i32>([0x3f3504f3], 16);
const SQRT_HALF_UP: usize = memory.data<i32>([0x3f3504f3 + (31 << 23)], 16);
const MANTISSA: usize = memory.data<i32>([0x007fffff], 16);
const EIGHTH_TURN: usize = memory.data<u32>([0x20000000], 16);
const QUARTER_TURN: usize = memory.data<u32>([0x40000000], 16);
const SIGN: usize = memory.data<u32>([0x80000000], 16);
const MULTIPLIERS: usize = memory.data<u32>([M0, M1], 16);
/** The keys of ten rounds, each word in four lanes. */
const ROUND_KEYS: usize = memory.data(10 * 32, 16);

/** Writes `blocks` blocks (in SIMD, rounded up to a multiple of eight) from block `block` on to `out`, as bits, uniforms or normals. */
export function fill(as: i32, out: usize, blocks: i32, k0: u32, k1: u32, block: u64, tick: u32, purpose: u32): void {
  if (ASC_FEATURE_SIMD) {
    setRoundKeys(k0, k1);
    for (let done = 0; done < blocks; done += 8, out += 128, block += 8) eightBlocks(as, out, block, tick, purpose);
  } else {
    for (let done = 0; done < blocks; done++, out += 16, block++) oneBlock(as, out, k0, k1, block, tick, purpose);
  }
}

/** One block without SIMD. */
export function oneBlock(as: i32, out: usize, k0: u32, k1: u32, block: u64, tick: u32, purpose: u32): void {
  let x0 = <u32>block;
  let x1 = <u32>(block >> 32);
  let x2 = tick;
  let x3 = purpose;
  for (let round = 0; round < 10; round++) {
    const p0 = <u64>x0 * <u64>M0;
    const p1 = <u64>x2 * <u64>M1;
    x0 = <u32>(p1 >> 32) ^ x1 ^ k0;
    x1 = <u32>p1;
    x2 = <u32>(p0 >> 32) ^ x3 ^ k1;
    x3 = <u32>p0;
    k0 += W0;
    k1 += W1;
  }
  if (as == AS_NORMAL) {
    boxMuller(out, x0, x1);
    boxMuller(out + 8, x2, x3);
  } else if (as == AS_UNIFORM) {
    store<f32>(out, <f32>(x0 >> 8) * load<f32>(TWO_M24), 0);
    store<f32>(out, <f32>(x1 >> 8) * load<f32>(TWO_M24), 4);
    store<f32>(out, <f32>(x2 >> 8) * load<f32>(TWO_M24), 8);
    store<f32>(out, <f32>(x3 >> 8) * load<f32>(TWO_M24), 12);
  } else {
    store<u32>(out, x0, 0);
    store<u32>(out, x1, 4);
    store<u32>(out, x2, 8);
    store<u32>(out, x3, 12);
  }
}

// @ts-ignore: decorator
@inline
function term(p: f32, x: f32, coefficient: usize): f32 {
  return p * x + load<f32>(coefficient);
}

function boxMuller(out: usize, w0: u32, w1: u32): void {
  const t = reinterpret<i32>(<f32>(<i32>(w0 >> 1)) + load<f32>(HALF)) - load<i32>(SQRT_HALF_UP);
  const x = reinterpret<f32>((t & load<i32>(MANTISSA)) + load<i32>(SQRT_HALF)) - load<f32>(ONE);
  let p = load<f32>(LN);
  for (let at = LN + 4; at < LN + 32; at += 4) p = term(p, x, at);
  const ln = x * x * p + x + <f32>(t >> 23) * load<f32>(LN2);
  const r = sqrt<f32>(load<f32>(MINUS_TWO) * ln);

  const y = <f32>(<i32>(w1 << 2)) * load<f32>(TWO_M32);
  const yy = y * y;
  const s = term(term(term(load<f32>(SIN), yy, SIN + 4), yy, SIN + 8), yy, SIN + 12) * y;
  const c = term(term(term(term(load<f32>(COS), yy, COS + 4), yy, COS + 8), yy, COS + 12), yy, COS + 16);

  const quadrant = w1 + load<u32>(EIGHTH_TURN);
  // Without branches: which quadrant it is cannot be foretold.
  const swap = (reinterpret<u32>(s) ^ reinterpret<u32>(c)) & <u32>(<i32>(quadrant << 1) >> 31);
  const a = r * reinterpret<f32>(reinterpret<u32>(c) ^ swap);
  const b = r * reinterpret<f32>(reinterpret<u32>(s) ^ swap);
  store<u32>(out, reinterpret<u32>(a) ^ ((quadrant + load<u32>(QUARTER_TURN)) & load<u32>(SIGN)), 0);
  store<u32>(out, reinterpret<u32>(b) ^ (quadrant & load<u32>(SIGN)), 4);
}

// SIMD ---------------------------------------------------------------------------------------------------------------------------------

// @ts-ignore: decorator
@inline
function all(at: usize): v128 {
  return v128.load32_splat(at);
}

function setRoundKeys(k0: u32, k1: u32): void {
  for (let at = ROUND_KEYS; at < ROUND_KEYS + 10 * 32; at += 32, k0 += W0, k1 += W1) {
    v128.store(at, i32x4.splat(k0));
    v128.store(at, i32x4.splat(k1), 16);
  }
}

/** Lower words of four 64-bit numbers. */
// @ts-ignore: decorator
@inline
function low(a: v128, b: v128): v128 {
  return v128.shuffle<i32>(a, b, 0, 2, 4, 6);
}

/** Upper words of four 64-bit numbers. */
// @ts-ignore: decorator
@inline
function high(a: v128, b: v128): v128 {
  return v128.shuffle<i32>(a, b, 1, 3, 5, 7);
}

/** Lane j of x holds block j, of y block 4 + j: two chains, since one alone would wait for its own products. */
function eightBlocks(as: i32, out: usize, block: u64, tick: u32, purpose: u32): void {
  const first = i32x4.splat(<u32>block);
  const upper = i32x4.splat(<u32>(block >> 32));
  let x0 = i32x4.add(first, i32x4(0, 1, 2, 3));
  let y0 = i32x4.add(first, i32x4(4, 5, 6, 7));
  // The upper word goes up in the lanes whose lower word wrapped around: comparison gives -1 there.
  let x1 = i32x4.sub(upper, i32x4.lt_u(x0, first));
  let y1 = i32x4.sub(upper, i32x4.lt_u(y0, first));
  let x2 = i32x4.splat(tick);
  let y2 = x2;
  let x3 = i32x4.splat(purpose);
  let y3 = x3;
  const m0 = all(MULTIPLIERS);
  const m1 = all(MULTIPLIERS + 4);
  for (let key = ROUND_KEYS; key < ROUND_KEYS + 10 * 32; key += 32) {
    const k0 = v128.load(key);
    const k1 = v128.load(key, 16);
    let p0 = i64x2.extmul_low_i32x4_u(x0, m0);
    let q0 = i64x2.extmul_high_i32x4_u(x0, m0);
    let p1 = i64x2.extmul_low_i32x4_u(x2, m1);
    let q1 = i64x2.extmul_high_i32x4_u(x2, m1);
    x0 = v128.xor(v128.xor(high(p1, q1), x1), k0);
    x1 = low(p1, q1);
    x2 = v128.xor(v128.xor(high(p0, q0), x3), k1);
    x3 = low(p0, q0);
    p0 = i64x2.extmul_low_i32x4_u(y0, m0);
    q0 = i64x2.extmul_high_i32x4_u(y0, m0);
    p1 = i64x2.extmul_low_i32x4_u(y2, m1);
    q1 = i64x2.extmul_high_i32x4_u(y2, m1);
    y0 = v128.xor(v128.xor(high(p1, q1), y1), k0);
    y1 = low(p1, q1);
    y2 = v128.xor(v128.xor(high(p0, q0), y3), k1);
    y3 = low(p0, q0);
  }
  storeFour(as, out, x0, x1, x2, x3);
  storeFour(as, out + 64, y0, y1, y2, y3);
}

/** Stores the words of four blocks as what was asked for. */
// @ts-ignore: decorator
@inline
function storeFour(as: i32, out: usize, x0: v128, x1: v128, x2: v128, x3: v128): void {
  if (as == AS_NORMAL) {
    const a = radii(x0);
    const b = radii(x2);
    const y0 = angles(x1);
    const y1 = angles(x3);
    const sine0 = sines(y0);
    const sine1 = sines(y1);
    const cosine0 = cosines(y0);
    const cosine1 = cosines(y1);
    const quadrant0 = i32x4.add(x1, all(EIGHTH_TURN));
    const quadrant1 = i32x4.add(x3, all(EIGHTH_TURN));
    const swap0 = swapped(sine0, cosine0, quadrant0);
    const swap1 = swapped(sine1, cosine1, quadrant1);
    x0 = signed(f32x4.mul(a, v128.xor(cosine0, swap0)), i32x4.add(quadrant0, all(QUARTER_TURN)));
    x1 = signed(f32x4.mul(a, v128.xor(sine0, swap0)), quadrant0);
    x2 = signed(f32x4.mul(b, v128.xor(cosine1, swap1)), i32x4.add(quadrant1, all(QUARTER_TURN)));
    x3 = signed(f32x4.mul(b, v128.xor(sine1, swap1)), quadrant1);
  } else if (as == AS_UNIFORM) {
    x0 = fourUniforms(x0);
    x1 = fourUniforms(x1);
    x2 = fourUniforms(x2);
    x3 = fourUniforms(x3);
  }
  // Lane j holds block j, word by word: transposed, words come out in the order of blocks.
  const a = v128.shuffle<i32>(x0, x1, 0, 4, 1, 5);
  const b = v128.shuffle<i32>(x0, x1, 2, 6, 3, 7);
  const c = v128.shuffle<i32>(x2, x3, 0, 4, 1, 5);
  const d = v128.shuffle<i32>(x2, x3, 2, 6, 3, 7);
  v128.store(out, v128.shuffle<i64>(a, c, 0, 2), 0);
  v128.store(out, v128.shuffle<i64>(a, c, 1, 3), 16);
  v128.store(out, v128.shuffle<i64>(b, d, 0, 2), 32);
  v128.store(out, v128.shuffle<i64>(b, d, 1, 3), 48);
}

// @ts-ignore: decorator
@inline
function fourUniforms(w: v128): v128 {
  return f32x4.mul(f32x4.convert_i32x4_s(i32x4.shr_u(w, 8)), all(TWO_M24));
}

// @ts-ignore: decorator
@inline
function terms(p: v128, x: v128, coefficient: usize): v128 {
  return f32x4.add(f32x4.mul(p, x), all(coefficient));
}

// @ts-ignore: decorator
@inline
function radii(w: v128): v128 {
  const t = i32x4.sub(f32x4.add(f32x4.convert_i32x4_s(i32x4.shr_u(w, 1)), all(HALF)), all(SQRT_HALF_UP));
  const x = f32x4.sub(i32x4.add(v128.and(t, all(MANTISSA)), all(SQRT_HALF)), all(ONE));
  let p = terms(all(LN), x, LN + 4);
  p = terms(p, x, LN + 8);
  p = terms(p, x, LN + 12);
  p = terms(p, x, LN + 16);
  p = terms(p, x, LN + 20);
  p = terms(p, x, LN + 24);
  p = terms(p, x, LN + 28);
  const powers = f32x4.mul(f32x4.convert_i32x4_s(i32x4.shr_s(t, 23)), all(LN2));
  const ln = f32x4.add(f32x4.add(f32x4.mul(f32x4.mul(x, x), p), x), powers);
  return f32x4.sqrt(f32x4.mul(all(MINUS_TWO), ln));
}

/** The angle within its quadrant, in quadrants: the lower 30 bits, signed. */
// @ts-ignore: decorator
@inline
function angles(w: v128): v128 {
  return f32x4.mul(f32x4.convert_i32x4_s(i32x4.shl(w, 2)), all(TWO_M32));
}

// @ts-ignore: decorator
@inline
function sines(y: v128): v128 {
  const yy = f32x4.mul(y, y);
  return f32x4.mul(terms(terms(terms(all(SIN), yy, SIN + 4), yy, SIN + 8), yy, SIN + 12), y);
}

// @ts-ignore: decorator
@inline
function cosines(y: v128): v128 {
  const yy = f32x4.mul(y, y);
  return terms(terms(terms(terms(all(COS), yy, COS + 4), yy, COS + 8), yy, COS + 12), yy, COS + 16);
}

/** Bits in which sine and cosine differ, where the quadrant (the top two bits) is odd. */
// @ts-ignore: decorator
@inline
function swapped(sine: v128, cosine: v128, quadrant: v128): v128 {
  return v128.and(v128.xor(sine, cosine), i32x4.shr_s(i32x4.shl(quadrant, 1), 31));
}

/** x with its sign turned where the top bit of `quadrant` is set. */
// @ts-ignore: decorator
@inline
function signed(x: v128, quadrant: v128): v128 {
  return v128.xor(x, v128.and(quadrant, all(SIGN)));
}
