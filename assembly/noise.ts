// Philox4x32-10 and what is made of it. Formulas, sources and the order of operations: src/laws/philox.ts and normal.ts.
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
/** What the first two rounds have in common, see {@link setStart}: two numbers in four lanes each, two more in eight. */
const START: usize = memory.data(96, 16);

/** Blocks whose normals are made together. */
const MOST: i32 = 64;
/**
 * Steps on the way to normals: vectors of each lie one after the other, these bytes after FIRST (where the first words of pairs
 * are).
 */
const FIRST: usize = memory.data(7 * MOST * 8, 16);
const SECOND: usize = MOST * 8;
const POWERS: usize = 2 * MOST * 8;
const SUMS: usize = 3 * MOST * 8;
const ANGLES: usize = 4 * MOST * 8;
const SQUARES: usize = 5 * MOST * 8;
const COSINES: usize = 6 * MOST * 8;

/**
 * Writes `blocks` blocks (in SIMD, rounded up to a multiple of eight) from block `block` on to `out`, as bits, uniforms or
 * normals.
 */
export function fill(as: i32, out: usize, blocks: i32, k0: u32, k1: u32, block: u64, tick: u32, purpose: u32): void {
  if (ASC_FEATURE_SIMD) {
    let low = <u32>block;
    let upper = <u32>(block >> 32);
    setRoundKeys(k0, k1);
    setStart(k0, k1, upper, tick, purpose);
    const normal = as == AS_NORMAL;
    const most = normal ? MOST : blocks;
    for (let left = blocks; left > 0; left -= most, out += most << 4) {
      let at = normal ? FIRST : out;
      for (let end = at + (min<i32>(left, most) << (normal ? 3 : 4)); at < end; at += normal ? 64 : 128, low += 8) {
        const last = low >= <u32>-8; // of those that share their upper word
        if (last) for (let lane: u32 = 0 - low; lane < 8; lane++) setStartOf(lane, k0, k1, upper + 1, tick);
        eightBlocks(as, at, low);
        if (last) setStart(k0, k1, ++upper, tick, purpose);
      }
      if (normal) normals(out, at);
    }
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
  // Without branches: which quadrant it is cannot be predicted.
  const swap = (reinterpret<u32>(s) ^ reinterpret<u32>(c)) & <u32>(<i32>(quadrant << 1) >> 31);
  const a = r * reinterpret<f32>(reinterpret<u32>(c) ^ swap);
  const b = r * reinterpret<f32>(reinterpret<u32>(s) ^ swap);
  store<u32>(out, reinterpret<u32>(a) ^ ((quadrant + load<u32>(QUARTER_TURN)) & load<u32>(SIGN)), 0);
  store<u32>(out, reinterpret<u32>(b) ^ (quadrant & load<u32>(SIGN)), 4);
}

// SIMD

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

/**
 * All but the lowest word of a counter are the same in (nearly) all blocks: what the first two rounds make of them is worked
 * out once. Words after these two rounds are hi(M1 y) ^ c1, lo(M1 y), lo(M0 x) ^ c2, c3, where y = hi(M0 x) ^ c0 and x is the
 * lowest word of the counter.
 */
function setStart(k0: u32, k1: u32, upper: u32, tick: u32, purpose: u32): void {
  v128.store(START, i32x4.splat(purpose ^ k1));
  v128.store(START, i32x4.splat(<u32>(<u64>tick * <u64>M1) ^ (k0 + W0)), 16);
  const product = secondProduct(k0, upper, tick);
  const c2 = i32x4.splat(<u32>(product >> 32) ^ (k1 + W1));
  const c3 = i32x4.splat(<u32>product);
  v128.store(START, c2, 32);
  v128.store(START, c2, 48);
  v128.store(START, c3, 64);
  v128.store(START, c3, 80);
}

/** c2 and c3 in one of eight lanes, for a block with another upper word. */
function setStartOf(lane: u32, k0: u32, k1: u32, upper: u32, tick: u32): void {
  const product = secondProduct(k0, upper, tick);
  store<u32>(START + (lane << 2), <u32>(product >> 32) ^ (k1 + W1), 32);
  store<u32>(START + (lane << 2), <u32>product, 64);
}

function secondProduct(k0: u32, upper: u32, tick: u32): u64 {
  return <u64>(<u32>((<u64>tick * <u64>M1) >> 32) ^ upper ^ k0) * <u64>M0;
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
function eightBlocks(as: i32, out: usize, block: u32): void {
  const m0 = all(MULTIPLIERS);
  const m1 = all(MULTIPLIERS + 4);
  let x0 = i32x4.add(i32x4.splat(block), i32x4(0, 1, 2, 3));
  let y0 = i32x4.add(i32x4.splat(block), i32x4(4, 5, 6, 7));
  let p0 = i64x2.extmul_low_i32x4_u(x0, m0);
  let q0 = i64x2.extmul_high_i32x4_u(x0, m0);
  let x2 = v128.xor(high(p0, q0), v128.load(START));
  let x3 = low(p0, q0);
  p0 = i64x2.extmul_low_i32x4_u(y0, m0);
  q0 = i64x2.extmul_high_i32x4_u(y0, m0);
  let y2 = v128.xor(high(p0, q0), v128.load(START));
  let y3 = low(p0, q0);
  let p1 = i64x2.extmul_low_i32x4_u(x2, m1);
  let q1 = i64x2.extmul_high_i32x4_u(x2, m1);
  x0 = v128.xor(high(p1, q1), v128.load(START, 16));
  let x1 = low(p1, q1);
  x2 = v128.xor(x3, v128.load(START, 32));
  x3 = v128.load(START, 64);
  p1 = i64x2.extmul_low_i32x4_u(y2, m1);
  q1 = i64x2.extmul_high_i32x4_u(y2, m1);
  y0 = v128.xor(high(p1, q1), v128.load(START, 16));
  let y1 = low(p1, q1);
  y2 = v128.xor(y3, v128.load(START, 48));
  y3 = v128.load(START, 80);
  // Two rounds at a time, to and fro between two sets of names: in a loop of one, a fifth of the instructions would be copies.
  for (let key = ROUND_KEYS + 64; key < ROUND_KEYS + 10 * 32; key += 64) {
    p0 = i64x2.extmul_low_i32x4_u(x0, m0);
    q0 = i64x2.extmul_high_i32x4_u(x0, m0);
    p1 = i64x2.extmul_low_i32x4_u(x2, m1);
    q1 = i64x2.extmul_high_i32x4_u(x2, m1);
    const a0 = v128.xor(v128.xor(high(p1, q1), x1), v128.load(key, 0));
    const a1 = low(p1, q1);
    const a2 = v128.xor(v128.xor(high(p0, q0), x3), v128.load(key, 16));
    const a3 = low(p0, q0);
    p0 = i64x2.extmul_low_i32x4_u(y0, m0);
    q0 = i64x2.extmul_high_i32x4_u(y0, m0);
    p1 = i64x2.extmul_low_i32x4_u(y2, m1);
    q1 = i64x2.extmul_high_i32x4_u(y2, m1);
    const b0 = v128.xor(v128.xor(high(p1, q1), y1), v128.load(key, 0));
    const b1 = low(p1, q1);
    const b2 = v128.xor(v128.xor(high(p0, q0), y3), v128.load(key, 16));
    const b3 = low(p0, q0);
    p0 = i64x2.extmul_low_i32x4_u(a0, m0);
    q0 = i64x2.extmul_high_i32x4_u(a0, m0);
    p1 = i64x2.extmul_low_i32x4_u(a2, m1);
    q1 = i64x2.extmul_high_i32x4_u(a2, m1);
    x0 = v128.xor(v128.xor(high(p1, q1), a1), v128.load(key, 32));
    x1 = low(p1, q1);
    x2 = v128.xor(v128.xor(high(p0, q0), a3), v128.load(key, 48));
    x3 = low(p0, q0);
    p0 = i64x2.extmul_low_i32x4_u(b0, m0);
    q0 = i64x2.extmul_high_i32x4_u(b0, m0);
    p1 = i64x2.extmul_low_i32x4_u(b2, m1);
    q1 = i64x2.extmul_high_i32x4_u(b2, m1);
    y0 = v128.xor(v128.xor(high(p1, q1), b1), v128.load(key, 32));
    y1 = low(p1, q1);
    y2 = v128.xor(v128.xor(high(p0, q0), b3), v128.load(key, 48));
    y3 = low(p0, q0);
  }
  storeFour(as, out, x0, x1, x2, x3);
  storeFour(as, out + (as == AS_NORMAL ? 32 : 64), y0, y1, y2, y3);
}

/** Stores the words of four blocks as what was asked for; for normals, as pairs that {@link normals} goes on with. */
// @ts-ignore: decorator
@inline
function storeFour(as: i32, out: usize, x0: v128, x1: v128, x2: v128, x3: v128): void {
  if (as == AS_NORMAL) {
    v128.store(out, x0);
    v128.store(out, x2, 16);
    v128.store(out, x1, SECOND);
    v128.store(out, x3, SECOND + 16);
    return;
  }
  if (as == AS_UNIFORM) {
    x0 = fourUniforms(x0);
    x1 = fourUniforms(x1);
    x2 = fourUniforms(x2);
    x3 = fourUniforms(x3);
  }
  storeBlocks(out, x0, x1, x2, x3);
}

/** Lane j holds block j, word by word: transposed, words come out in the order of blocks. */
// @ts-ignore: decorator
@inline
function storeBlocks(out: usize, x0: v128, x1: v128, x2: v128, x3: v128): void {
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

/**
 * The words of pairs, from FIRST to `end`, become normals. In passes: a chain of polynomials that waits for itself fills all of
 * what a processor looks ahead, of a pass it sees several vectors' parts at a time.
 */
function normals(out: usize, end: usize): void {
  for (let at = FIRST; at < end; at += 16) {
    const t = i32x4.sub(f32x4.add(f32x4.convert_i32x4_s(i32x4.shr_u(v128.load(at), 1)), all(HALF)), all(SQRT_HALF_UP));
    const x = f32x4.sub(i32x4.add(v128.and(t, all(MANTISSA)), all(SQRT_HALF)), all(ONE));
    v128.store(at, x);
    v128.store(at, f32x4.mul(f32x4.convert_i32x4_s(i32x4.shr_s(t, 23)), all(LN2)), POWERS);
    v128.store(at, terms(terms(all(LN), x, LN + 4), x, LN + 8), SUMS);
  }
  for (let at = FIRST; at < end; at += 16) {
    const x = v128.load(at);
    v128.store(at, terms(terms(terms(v128.load(at, SUMS), x, LN + 12), x, LN + 16), x, LN + 20), SUMS);
    // The angle within its quadrant, in quadrants: the lower 30 bits, signed.
    const y = f32x4.mul(f32x4.convert_i32x4_s(i32x4.shl(v128.load(at, SECOND), 2)), all(TWO_M32));
    v128.store(at, y, ANGLES);
    v128.store(at, f32x4.mul(y, y), SQUARES);
  }
  for (let at = FIRST; at < end; at += 16) {
    const x = v128.load(at);
    const p = terms(terms(v128.load(at, SUMS), x, LN + 24), x, LN + 28);
    const ln = f32x4.add(f32x4.add(f32x4.mul(f32x4.mul(x, x), p), x), v128.load(at, POWERS));
    v128.store(at, f32x4.mul(all(MINUS_TWO), ln), SUMS);
    const yy = v128.load(at, SQUARES);
    v128.store(at, terms(terms(terms(all(COS), yy, COS + 4), yy, COS + 8), yy, COS + 12), COSINES);
  }
  for (let at = FIRST; at < end; at += 32, out += 64) {
    const a = f32x4.sqrt(v128.load(at, SUMS));
    const b = f32x4.sqrt(v128.load(at + 16, SUMS));
    const sine0 = sines(at);
    const sine1 = sines(at + 16);
    const cosine0 = cosines(at);
    const cosine1 = cosines(at + 16);
    const quadrant0 = i32x4.add(v128.load(at, SECOND), all(EIGHTH_TURN));
    const quadrant1 = i32x4.add(v128.load(at + 16, SECOND), all(EIGHTH_TURN));
    const swap0 = swapped(sine0, cosine0, quadrant0);
    const swap1 = swapped(sine1, cosine1, quadrant1);
    const x0 = signed(f32x4.mul(a, v128.xor(cosine0, swap0)), i32x4.add(quadrant0, all(QUARTER_TURN)));
    const x1 = signed(f32x4.mul(a, v128.xor(sine0, swap0)), quadrant0);
    const x2 = signed(f32x4.mul(b, v128.xor(cosine1, swap1)), i32x4.add(quadrant1, all(QUARTER_TURN)));
    const x3 = signed(f32x4.mul(b, v128.xor(sine1, swap1)), quadrant1);
    storeBlocks(out, x0, x1, x2, x3);
  }
}

// @ts-ignore: decorator
@inline
function sines(at: usize): v128 {
  const yy = v128.load(at, SQUARES);
  return f32x4.mul(terms(terms(terms(all(SIN), yy, SIN + 4), yy, SIN + 8), yy, SIN + 12), v128.load(at, ANGLES));
}

// @ts-ignore: decorator
@inline
function cosines(at: usize): v128 {
  return terms(v128.load(at, COSINES), v128.load(at, SQUARES), COS + 16);
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
