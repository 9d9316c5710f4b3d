// Sums over a piece of a row of logits, as src/laws/logits.ts defines them: the piece is on the stage, that of a reference on the pristine stage,
// and the sums go on in the lanes from piece to piece. Pieces are whole rounds of lanes, but for the last.

import { LANES, LOGIT_LANES, PRISTINE_STAGE, STAGE } from "./memory";

const LOG2_E: f32 = 1.44269504088896341;
const ROUNDER: f32 = 12582912;
const LN2_HIGH: f32 = 0.693359375;
const LN2_LOW: f32 = -2.1219444e-4;
const P0: f32 = 1.98756915e-4;
const P1: f32 = 1.3981999507e-3;
const P2: f32 = 8.3334519073e-3;
const P3: f32 = 4.1665795894e-2;
const P4: f32 = 1.6666665459e-1;
const P5: f32 = 5.0000001201e-1;
const LOWEST: f32 = -87;

function exp(x: f32): f32 {
  if (!(x >= LOWEST)) return 0;
  const shifted = x * LOG2_E + ROUNDER;
  const n = shifted - ROUNDER;
  const r = x - n * LN2_HIGH - n * LN2_LOW;
  const p = ((((P0 * r + P1) * r + P2) * r + P3) * r + P4) * r + P5;
  const y = p * (r * r) + r + 1;
  return reinterpret<f32>(reinterpret<i32>(y) + (reinterpret<i32>(shifted) << 23));
}

// @ts-ignore: decorator
@inline
function exp4(x: v128): v128 {
  const inside = f32x4.ge(x, f32x4.splat(LOWEST));
  const shifted = f32x4.add(f32x4.mul(x, f32x4.splat(LOG2_E)), f32x4.splat(ROUNDER));
  const n = f32x4.sub(shifted, f32x4.splat(ROUNDER));
  const r = f32x4.sub(f32x4.sub(x, f32x4.mul(n, f32x4.splat(LN2_HIGH))), f32x4.mul(n, f32x4.splat(LN2_LOW)));
  let p = f32x4.add(f32x4.mul(f32x4.splat(P0), r), f32x4.splat(P1));
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(P2));
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(P3));
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(P4));
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(P5));
  const y = f32x4.add(f32x4.add(f32x4.mul(p, f32x4.mul(r, r)), r), f32x4.splat(1));
  return v128.and(i32x4.add(y, i32x4.shl(shifted, 23)), inside);
}

/** What an element of a sum is multiplied by: 1, or (1) how far it is below the largest; or (2) that, for the e of a reference. */
const ONE: i32 = 0;
const CROSS: i32 = 2;

// @ts-ignore: decorator
@inline
function add(lane: usize, e: f32, factor: f32): void {
  if (e > 0) store<f64>(lane, load<f64>(lane) + <f64>e * <f64>factor);
}

/** Adds two of four elements to their lanes: what is impossible has a factor of 0, so that infinity times 0 is none. */
// @ts-ignore: decorator
@inline
function addTwo(lane: usize, e: v128, factor: v128): void {
  v128.store(lane, f64x2.add(v128.load(lane), f64x2.mul(f64x2.promote_low_f32x4(e), f64x2.promote_low_f32x4(factor))));
}

// @ts-ignore: decorator
@inline
function upper(x: v128): v128 {
  return v128.shuffle<i64>(x, x, 1, 1);
}

export function beginLogits(): void {
  memory.fill(LANES, 0, LOGIT_LANES * 8);
}

/** Of n elements: e^(beta (l - most)), times 1 (as = 0) or l - most (1); or e^(z - mostThere) (l - most) with the reference z (2). */
export function addLogits(as: i32, n: i32, most: f32, beta: f32, mostThere: f32): void {
  let i = 0;
  if (ASC_FEATURE_SIMD) {
    for (; i + 4 <= n; i += 4) {
      const at = <usize>i << 2;
      const below = f32x4.sub(v128.load(STAGE + at), f32x4.splat(most));
      const own = as == CROSS ? f32x4.sub(v128.load(PRISTINE_STAGE + at), f32x4.splat(mostThere)) : f32x4.mul(f32x4.splat(beta), below);
      const e = exp4(own);
      const weighed = as == ONE ? f32x4.splat(1) : below;
      const factor = v128.and(weighed, f32x4.gt(e, f32x4.splat(0)));
      const lane = LANES + (<usize>(i % LOGIT_LANES) << 3);
      addTwo(lane, e, factor);
      addTwo(lane + 16, upper(e), upper(factor));
    }
  }
  for (; i < n; i++) {
    const at = <usize>i << 2;
    const below = load<f32>(STAGE + at) - most;
    const e = exp(as == CROSS ? load<f32>(PRISTINE_STAGE + at) - mostThere : beta * below);
    add(LANES + (<usize>(i % LOGIT_LANES) << 3), e, as == ONE ? 1 : below);
  }
}

export function totalOfLogits(): f64 {
  for (let apart: i32 = LOGIT_LANES / 2; apart > 0; apart /= 2) {
    for (let i: i32 = 0; i < apart; i++) {
      const lane = LANES + (<usize>i << 3);
      store<f64>(lane, load<f64>(lane) + load<f64>(lane + (<usize>apart << 3)));
    }
  }
  return load<f64>(LANES);
}
