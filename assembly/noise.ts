// Philox4x32-10 and what is made of it. Formulas, sources and the order of operations: src/kernels/js/philox.ts and normal.ts.
// Four blocks at a time in SIMD, one without; the same words either way.

export const AS_BITS: i32 = 0;
export const AS_UNIFORM: i32 = 1;
export const AS_NORMAL: i32 = 2;

const M0: u32 = 0xd2511f53;
const M1: u32 = 0xcd9e8d57;
const W0: u32 = 0x9e3779b9;
const W1: u32 = 0xbb67ae85;

const LN2: f32 = 0.6931471805599453;
const L0: f32 = -0.49999991059303284;
const L1: f32 = 0.33333951234817505;
const L2: f32 = -0.25001755356788635;
const L3: f32 = 0.19962072372436523;
const L4: f32 = -0.16570508480072021;
const L5: f32 = 0.14917972683906555;
const L6: f32 = -0.14307522773742676;
const L7: f32 = 0.08734844624996185;
const S0: f32 = 1.5707963705062866;
const S1: f32 = -0.6459634900093079;
const S2: f32 = 0.07968022674322128;
const S3: f32 = -0.004602177068591118;
const C1: f32 = -1.2337005138397217;
const C2: f32 = 0.25366920232772827;
const C3: f32 = -0.02086007222533226;
const C4: f32 = 0.0009036316769197583;
const TWO_M24: f32 = 5.9604644775390625e-8;
const TWO_M30: f32 = 9.31322574615478515625e-10;
const SQRT_HALF_BITS: i32 = 0x3f3504f3;

/** Writes `blocks` blocks (in SIMD, rounded up to a multiple of four) from block `block` on to `out`, as bits, uniforms or normals. */
export function fill(as: i32, out: usize, blocks: i32, k0: u32, k1: u32, block: u64, tick: u32, purpose: u32): void {
  if (ASC_FEATURE_SIMD) {
    for (let done = 0; done < blocks; done += 4, out += 64, block += 4) fourBlocks(as, out, k0, k1, block, tick, purpose);
  } else {
    for (let done = 0; done < blocks; done++, out += 16, block++) oneBlock(as, out, k0, k1, block, tick, purpose);
  }
}

function oneBlock(as: i32, out: usize, k0: u32, k1: u32, block: u64, tick: u32, purpose: u32): void {
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
    store<f32>(out, <f32>(x0 >> 8) * TWO_M24, 0);
    store<f32>(out, <f32>(x1 >> 8) * TWO_M24, 4);
    store<f32>(out, <f32>(x2 >> 8) * TWO_M24, 8);
    store<f32>(out, <f32>(x3 >> 8) * TWO_M24, 12);
  } else {
    store<u32>(out, x0, 0);
    store<u32>(out, x1, 4);
    store<u32>(out, x2, 8);
    store<u32>(out, x3, 12);
  }
}

function boxMuller(out: usize, w0: u32, w1: u32): void {
  const bits = reinterpret<i32>(<f32>(<i32>(w0 >> 1)) + <f32>0.5);
  const exponent = (bits - SQRT_HALF_BITS) >> 23;
  const x = reinterpret<f32>(bits - (exponent << 23)) - <f32>1;
  let p = L7 * x + L6;
  p = p * x + L5;
  p = p * x + L4;
  p = p * x + L3;
  p = p * x + L2;
  p = p * x + L1;
  p = p * x + L0;
  const ln = x * x * p + x + <f32>(exponent - 31) * LN2;
  const r = sqrt<f32>(<f32>-2 * ln);

  const rest = (<i32>(w1 << 2)) >> 2;
  const quadrant = (w1 - <u32>rest) >> 30;
  const y = <f32>rest * TWO_M30;
  const yy = y * y;
  let s = S3 * yy + S2;
  s = s * yy + S1;
  s = (s * yy + S0) * y;
  let c = C4 * yy + C3;
  c = c * yy + C2;
  c = c * yy + C1;
  c = c * yy + <f32>1;

  const odd = (quadrant & 1) != 0;
  const a = r * (odd ? s : c);
  const b = r * (odd ? c : s);
  store<u32>(out, reinterpret<u32>(a) ^ (((quadrant + 1) & 2) << 30), 0);
  store<u32>(out, reinterpret<u32>(b) ^ ((quadrant & 2) << 30), 4);
}

// SIMD ---------------------------------------------------------------------------------------------------------------------------------

function fourBlocks(as: i32, out: usize, k0: u32, k1: u32, block: u64, tick: u32, purpose: u32): void {
  const lo = <u32>block;
  let x0 = i32x4.add(i32x4.splat(lo), i32x4(0, 1, 2, 3));
  // The high word goes up in the lanes whose low word wrapped around: comparison gives -1 there.
  let x1 = i32x4.sub(i32x4.splat(<u32>(block >> 32)), i32x4.lt_u(x0, i32x4.splat(lo)));
  let x2 = i32x4.splat(tick);
  let x3 = i32x4.splat(purpose);
  const m0 = i32x4.splat(M0);
  const m1 = i32x4.splat(M1);
  for (let round = 0; round < 10; round++) {
    const p0 = i64x2.extmul_low_i32x4_u(x0, m0);
    const q0 = i64x2.extmul_high_i32x4_u(x0, m0);
    const p1 = i64x2.extmul_low_i32x4_u(x2, m1);
    const q1 = i64x2.extmul_high_i32x4_u(x2, m1);
    x0 = v128.xor(v128.xor(v128.shuffle<i32>(p1, q1, 1, 3, 5, 7), x1), i32x4.splat(k0));
    x1 = v128.shuffle<i32>(p1, q1, 0, 2, 4, 6);
    x2 = v128.xor(v128.xor(v128.shuffle<i32>(p0, q0, 1, 3, 5, 7), x3), i32x4.splat(k1));
    x3 = v128.shuffle<i32>(p0, q0, 0, 2, 4, 6);
    k0 += W0;
    k1 += W1;
  }
  if (as == AS_NORMAL) {
    const a = radii(x0);
    const b = radii(x2);
    const rest0 = restOf(x1);
    const rest1 = restOf(x3);
    const quadrant0 = quadrantOf(x1, rest0);
    const quadrant1 = quadrantOf(x3, rest1);
    const sine0 = sines(rest0);
    const sine1 = sines(rest1);
    const cosine0 = cosines(rest0);
    const cosine1 = cosines(rest1);
    x0 = firstNormals(a, sine0, cosine0, quadrant0);
    x1 = secondNormals(a, sine0, cosine0, quadrant0);
    x2 = firstNormals(b, sine1, cosine1, quadrant1);
    x3 = secondNormals(b, sine1, cosine1, quadrant1);
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
  return f32x4.mul(f32x4.convert_i32x4_s(i32x4.shr_u(w, 8)), f32x4.splat(TWO_M24));
}

// @ts-ignore: decorator
@inline
function step(p: v128, x: v128, coefficient: f32): v128 {
  return f32x4.add(f32x4.mul(p, x), f32x4.splat(coefficient));
}

// @ts-ignore: decorator
@inline
function radii(w: v128): v128 {
  const bits = f32x4.add(f32x4.convert_i32x4_s(i32x4.shr_u(w, 1)), f32x4.splat(0.5));
  const exponent = i32x4.shr_s(i32x4.sub(bits, i32x4.splat(SQRT_HALF_BITS)), 23);
  const x = f32x4.sub(i32x4.sub(bits, i32x4.shl(exponent, 23)), f32x4.splat(1));
  let p = step(f32x4.splat(L7), x, L6);
  p = step(p, x, L5);
  p = step(p, x, L4);
  p = step(p, x, L3);
  p = step(p, x, L2);
  p = step(p, x, L1);
  p = step(p, x, L0);
  const powers = f32x4.mul(f32x4.convert_i32x4_s(i32x4.sub(exponent, i32x4.splat(31))), f32x4.splat(LN2));
  const ln = f32x4.add(f32x4.add(f32x4.mul(f32x4.mul(x, x), p), x), powers);
  return f32x4.sqrt(f32x4.mul(f32x4.splat(-2), ln));
}

/** The angle within its quadrant: signed 30 bits. */
// @ts-ignore: decorator
@inline
function restOf(w: v128): v128 {
  return i32x4.shr_s(i32x4.shl(w, 2), 2);
}

// @ts-ignore: decorator
@inline
function quadrantOf(w: v128, rest: v128): v128 {
  return i32x4.shr_u(i32x4.sub(w, rest), 30);
}

// @ts-ignore: decorator
@inline
function sines(rest: v128): v128 {
  const y = f32x4.mul(f32x4.convert_i32x4_s(rest), f32x4.splat(TWO_M30));
  const yy = f32x4.mul(y, y);
  return f32x4.mul(step(step(step(f32x4.splat(S3), yy, S2), yy, S1), yy, S0), y);
}

// @ts-ignore: decorator
@inline
function cosines(rest: v128): v128 {
  const y = f32x4.mul(f32x4.convert_i32x4_s(rest), f32x4.splat(TWO_M30));
  const yy = f32x4.mul(y, y);
  return step(step(step(step(f32x4.splat(C4), yy, C3), yy, C2), yy, C1), yy, 1);
}

/** Bits in which sine and cosine differ, where the quadrant is odd. */
// @ts-ignore: decorator
@inline
function swapped(sine: v128, cosine: v128, quadrant: v128): v128 {
  return v128.and(v128.xor(sine, cosine), i32x4.neg(v128.and(quadrant, i32x4.splat(1))));
}

// @ts-ignore: decorator
@inline
function firstNormals(r: v128, sine: v128, cosine: v128, quadrant: v128): v128 {
  const sign = i32x4.shl(v128.and(i32x4.add(quadrant, i32x4.splat(1)), i32x4.splat(2)), 30);
  return v128.xor(f32x4.mul(r, v128.xor(cosine, swapped(sine, cosine, quadrant))), sign);
}

// @ts-ignore: decorator
@inline
function secondNormals(r: v128, sine: v128, cosine: v128, quadrant: v128): v128 {
  const sign = i32x4.shl(v128.and(quadrant, i32x4.splat(2)), 30);
  return v128.xor(f32x4.mul(r, v128.xor(sine, swapped(sine, cosine, quadrant))), sign);
}
