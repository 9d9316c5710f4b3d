// Float weights: the grid of each format, and moves of F32, which adds the noise. F16, BF16 and the two of eight bits, whose
// grid is coarse enough to matter, are in halves.ts. No move makes an infinity or a NaN: |move| <= largest finite value - |w|, the same on both sides.

import { bitsOf, floatOf } from "./float-bits.js";
import type { Kicks } from "./kicks.js";
import { centredUniform } from "./moves.js";
import { Kind } from "./numbers.js";

const f = Math.fround;

const MAX_F32 = f(3.4028234663852886e38);

/** A float shorter than 32 bits. Below its smallest normal number, 2^lowest, the grid is uniform. */
export interface ShortFloat {
  /** Bits of the mantissa, without the leading one. */
  readonly mantissa: number;
  /** The largest exponent as it is stored. */
  readonly exponents: number;
  readonly lowest: number;
  /** The largest finite value. */
  readonly most: number;
  /** The smallest normal number, and the steps to 1 below it: powers of two, which are not to be made for every weight. */
  readonly normal: number;
  readonly steps: number;
}

const short = (of: Pick<ShortFloat, "mantissa" | "exponents" | "lowest" | "most">): ShortFloat => ({
  ...of,
  normal: 2 ** of.lowest,
  steps: 2 ** (of.mantissa - of.lowest),
});

/**
 * IEEE's half float, the upper half of a float32, and the two of eight bits by OCP 8-bit Floating Point Specification (2023): E4M3, which has no
 * infinity and one NaN beside 448, and E5M2.
 */
export const SHORT: Readonly<Record<number, ShortFloat>> = {
  [Kind.f16]: short({ mantissa: 10, exponents: 31, lowest: -14, most: 65504 }),
  [Kind.bf16]: short({ mantissa: 7, exponents: 255, lowest: -126, most: f(3.3895313892515355e38) }),
  [Kind.e4m3]: short({ mantissa: 3, exponents: 15, lowest: -6, most: 448 }),
  [Kind.e5m2]: short({ mantissa: 2, exponents: 31, lowest: -14, most: 57344 }),
};

/** The format of a kind that is no float32. */
export const shortFloat = (kind: number): ShortFloat => SHORT[kind] as ShortFloat;

/** Bits of a float32 that a format drops. */
export const droppedBits = (kind: number): number => 23 - shortFloat(kind).mantissa;

const EVEN = 2 ** 23; // x + 2^23 - 2^23 rounds 0 <= x < 2^22 to the nearest integer, ties to even

/** An overflowing sigma is cut, or infinity times a normal of 0 would be NaN. */
export const finite = (sigma: number): number => Math.min(sigma, MAX_F32);
/** The largest finite value of a format. */
export const limitOf = (kind: number): number => (kind === Kind.f32 ? MAX_F32 : shortFloat(kind).most);
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

const FLOAT = { mantissa: 23, lowest: -126 };

/** The distance from |w| to the next larger value of the format: a power of two. */
export function ulp(w: number, kind: number): number {
  const { mantissa, lowest } = kind === Kind.f32 ? FLOAT : shortFloat(kind);
  // 2^(e - mantissa) as float32 bits; below 2^-126, where float32 itself is subnormal, those of a mantissa.
  const exponent = Math.max((bitsOf(w) >>> 23) & 0xff, 127 + lowest);
  return exponent > mantissa ? floatOf((exponent - mantissa) << 23) : floatOf(1 << (exponent + 22 - mantissa));
}

/** |y| on the grid of a short float, as the format's own bits; `word` decides, or null for the nearest (ties to even). */
export function magnitudeBits(y: number, kind: number, word: number | null): number {
  const a = Math.abs(y);
  const bits = bitsOf(a);
  const { mantissa, lowest, normal, steps } = shortFloat(kind);
  if (kind !== Kind.bf16 && a < normal) {
    const n = f(a * steps);
    return word === null ? f(f(n + EVEN) - EVEN) : Math.floor(f(n + centredUniform(word)));
  }
  const dropped = 23 - mantissa;
  const mask = (1 << dropped) - 1;
  const bump = word === null ? (mask >>> 1) + ((bits >>> dropped) & 1) : word & mask;
  const kept = (bits + bump) >>> dropped;
  return kept - ((126 + lowest) << mantissa);
}
