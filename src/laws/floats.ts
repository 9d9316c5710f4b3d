// Float weights: the grid of each format, and moves of F32, which adds the noise. F16 and BF16, whose grid is coarse enough to
// matter, are in halves.ts. No move makes an infinity or a NaN: |move| <= largest finite value - |w|, the same on both sides.

import { bitsOf, floatOf } from "./float-bits.js";
import type { Kicks } from "./kicks.js";
import { centredUniform } from "./moves.js";
import { Kind } from "./numbers.js";

const f = Math.fround;

const MAX_F32 = f(3.4028234663852886e38);
const MAX_F16 = 65504;
const MAX_BF16 = f(3.3895313892515355e38);
const MIN_NORMAL_F16 = f(2 ** -14);
const TWO_24 = 2 ** 24;
const EVEN = 2 ** 23; // x + 2^23 - 2^23 rounds 0 <= x < 2^22 to the nearest integer, ties to even

/** An overflowing sigma is cut, or infinity times a normal of 0 would be NaN. */
export const finite = (sigma: number): number => Math.min(sigma, MAX_F32);
/** The largest finite value of a format. */
export const limitOf = (kind: number): number => (kind === Kind.f32 ? MAX_F32 : kind === Kind.f16 ? MAX_F16 : MAX_BF16);
/** x, at most as far from 0 as `limit`. */
export const clamp = (x: number, limit: number): number => Math.max(-limit, Math.min(limit, x));

/** Sigma in weight units of a weight w of this kind. */
export function absoluteSigma(sigma: number, inSteps: boolean, w: number, kind: number): number {
  return inSteps ? finite(f(sigma * ulp(w, kind))) : sigma;
}

/** Moves data[0 ... n) of a tile of F32 weights; returns how many changed. */
export function moveFloats(data: Float32Array, n: number, inSteps: boolean, kicks: Kicks): number {
  const normals = kicks.draws.tileNormals();
  let changed = 0;
  for (let i = 0; i < n; i++) {
    const w = data[i] as number;
    if (!(Math.abs(w) <= MAX_F32)) continue;
    const sigma = absoluteSigma(kicks.sigma(i), inSteps, w, Kind.f32);
    const moved = f(w + clamp(f(sigma * (normals[i] as number)), f(MAX_F32 - Math.abs(w))));
    if (moved !== w) {
      data[i] = moved;
      changed++;
    }
  }
  return changed;
}

/** Bits of the mantissa, without the leading one. */
const MANTISSA = { [Kind.f32]: 23, [Kind.f16]: 10, [Kind.bf16]: 7 } as Record<number, number>;

/** The distance from |w| to the next larger value of the format: a power of two. */
export function ulp(w: number, kind: number): number {
  const exponent = (bitsOf(w) >>> 23) & 0xff;
  const mantissa = MANTISSA[kind] as number;
  // 2^(e - mantissa) as float32 bits. F16 is uniform below 2^-14; the others below 2^-126, where float32 itself is subnormal.
  if (kind === Kind.f16) return floatOf(Math.max(exponent - mantissa, 127 - 24) << 23);
  return exponent > mantissa ? floatOf((exponent - mantissa) << 23) : floatOf(1 << (Math.max(exponent, 1) + 22 - mantissa));
}

/** |y| on the F16 or BF16 grid, as the format's own bits; `word` decides, or null for the nearest (ties to even). */
export function magnitudeBits(y: number, kind: number, word: number | null): number {
  const a = Math.abs(y);
  const bits = bitsOf(a);
  if (kind === Kind.f16 && a < MIN_NORMAL_F16) {
    const n = f(a * TWO_24);
    return word === null ? f(f(n + EVEN) - EVEN) : Math.floor(f(n + centredUniform(word)));
  }
  const dropped = kind === Kind.f16 ? 13 : 16;
  const mask = (1 << dropped) - 1;
  const bump = word === null ? (mask >>> 1) + ((bits >>> dropped) & 1) : word & mask;
  const kept = (bits + bump) >>> dropped;
  return kind === Kind.f16 ? kept - (112 << 10) : kept;
}
