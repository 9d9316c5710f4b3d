// Moves of float weights. F32 adds the noise. F16 and BF16 live on a grid that gets coarser away from zero: `nearest` rounds the sum,
// `stochastic` rounds it up or down with the right probabilities. `matched` moves w on a lattice of its own step, ulp(w) or, where that is
// below sigma / 128, the power of two above that, by the law of lattices (moves.ts),
//
//   k = 2^b k1 + (A - B),  A and B uniform in 0 ... 2^b - 1, b <= 6,
//
// and rounds stochastically what ends between the points of a coarser binade. The step is a power of two, so the law depends on its distance
// from sigma's in binades alone: one row of the table for each. No move makes an infinity or a NaN: |move| <= largest finite value - |w|, the
// same on both sides.

import { halfToFloat } from "./codes.js";
import type { Move } from "./move.js";
import { centredUniform, type Draws, Law } from "./moves.js";
import { Kind, Rounding } from "./numbers.js";

const f = Math.fround;

const MAX_F32 = f(3.4028234663852886e38);
const MAX_F16 = 65504;
const MAX_BF16 = f(3.3895313892515355e38);
const MIN_NORMAL_F16 = f(2 ** -14);
const TWO_24 = 2 ** 24;
const EVEN = 2 ** 23; // x + 2^23 - 2^23 rounds 0 <= x < 2^22 to the nearest integer, ties to even

const scratch = new Float32Array(1);
const scratchBits = new Uint32Array(scratch.buffer);

const bitsOf = (x: number): number => {
  scratch[0] = x;
  return scratchBits[0] as number;
};
const fromBits = (bits: number): number => {
  scratchBits[0] = bits;
  return scratch[0] as number;
};
/** An overflowing sigma is cut, or infinity times a normal of 0 would be NaN. */
export const finite = (sigma: number): number => Math.min(sigma, MAX_F32);
/** The largest finite value of a format. */
export const limitOf = (kind: number): number => (kind === Kind.f32 ? MAX_F32 : kind === Kind.f16 ? MAX_F16 : MAX_BF16);
const clamp = (x: number, limit: number): number => Math.max(-limit, Math.min(limit, x));

/** Moves data[0 ... n) of a tile; returns how many weights changed. */
export function moveFloats(data: Float32Array, n: number, sigma: number, inSteps: boolean, draws: Draws): number {
  let changed = 0;
  for (let i = 0; i < n; i++) {
    const w = data[i] as number;
    if (!(Math.abs(w) <= MAX_F32)) continue;
    const scale = inSteps ? finite(f(sigma * ulp(w, Kind.f32))) : sigma;
    const moved = f(w + clamp(f(scale * draws.normal(i)), f(MAX_F32 - Math.abs(w))));
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
  if (kind === Kind.f16) return fromBits(Math.max(exponent - mantissa, 127 - 24) << 23);
  return exponent > mantissa ? fromBits((exponent - mantissa) << 23) : fromBits(1 << (Math.max(exponent, 1) + 22 - mantissa));
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

/** Bits below the table's grid. */
const MOST_BITS = 6;
/** 2^127: no step is larger. */
const MOST_STEP = f(2 ** 127);

/** What `matched` needs of sigma: the steps of half floats, and the laws on them by their binade. */
class HalfLaws {
  private readonly laws: Law[] = [];
  /** The least step, or, where sigma is in steps, how many of them are one. */
  private readonly least: number;
  /** Sigma in the least steps: 64 <= s < 128, or less where sigma is in steps. */
  private readonly s: number;
  /** The exponent, as the format has it, of the weights with the least steps. */
  private readonly first: number;

  constructor(
    private readonly kind: number,
    sigma: number,
    private readonly inSteps: boolean,
  ) {
    // 2^-6 of the power of two in sigma; where sigma is below float32's normal numbers, no more than the least of all steps.
    const exponent = (bitsOf(sigma) >>> 23) & 0xff;
    this.least = inSteps
      ? fromBits(Math.max(exponent - MOST_BITS, 127) << 23)
      : fromBits(exponent > MOST_BITS ? (exponent - MOST_BITS) << 23 : 1 << (22 - MOST_BITS + exponent));
    this.s = f(sigma / this.least);
    this.first = exponent - MOST_BITS - (kind === Kind.f16 ? 102 : -7);
  }

  step(w: number): number {
    const unit = ulp(w, this.kind);
    return this.inSteps ? Math.min(f(unit * this.least), MOST_STEP) : Math.max(unit, this.least);
  }

  /** The law of a weight with these bits. */
  law(h: number): Law {
    const exponent = this.kind === Kind.f16 ? (h >> 10) & 31 : (h >> 7) & 255;
    const binade = this.inSteps ? 0 : Math.max(Math.max(exponent, 1) - this.first, 0);
    let law = this.laws[binade];
    if (law === undefined) {
      const s = f(this.s * 2 ** -binade);
      law = this.laws[binade] = new Law();
      law.set(f(s * s));
    }
    return law;
  }
}

/** Moves data[0 ... n) of a tile of F16 or BF16 weights; returns how many changed. */
export function moveHalves(data: Uint16Array, n: number, kind: number, { sigma, inSteps, rounding }: Move, draws: Draws): number {
  if (sigma === 0) return 0;
  const max = kind === Kind.f16 ? MAX_F16 : MAX_BF16;
  const matched = rounding === Rounding.matched;
  const laws = new HalfLaws(kind, sigma, inSteps);
  let changed = 0;
  for (let i = 0; i < n; i++) {
    const h = data[i] as number;
    const w = kind === Kind.f16 ? halfToFloat(h) : fromBits(h << 16);
    if (!(Math.abs(w) <= max)) continue;
    let move: number;
    if (matched) {
      const k = halfMove(laws.law(h), draws, i);
      if (k === 0) continue;
      move = f(k * laws.step(w));
    } else {
      move = f((inSteps ? finite(f(sigma * ulp(w, kind))) : sigma) * draws.normal(i));
    }
    const y = f(w + clamp(move, f(max - Math.abs(w))));
    const word = matched ? roundingBits(y, kind, draws, i) : rounding === Rounding.nearest ? null : draws.roundingWord(i);
    const bits = magnitudeBits(y, kind, word);
    const moved = bits | (y < 0 || Object.is(y, -0) ? 0x8000 : 0);
    if (moved !== h) {
      data[i] = moved;
      changed++;
    }
  }
  return changed;
}

/** The signed move of weight `i` of the tile, in its steps. */
function halfMove(law: Law, draws: Draws, i: number): number {
  const m = draws.move(i);
  const size = law.size(m & 0x7fff, draws, i) << law.bits;
  const k = m & 0x8000 ? -size : size;
  if (law.bits === 0) return k;
  const word = draws.half(i);
  return k + ((word & 63) >> (MOST_BITS - law.bits)) - (((word >> 6) & 63) >> (MOST_BITS - law.bits));
}

/** What rounds y: four bits, and where y has more below the format's, those of a word of its own below them. */
function roundingBits(y: number, kind: number, draws: Draws, i: number): number {
  const dropped = kind === Kind.f16 ? 13 : 16;
  const between = bitsOf(y) & ((1 << dropped) - 1);
  if (between === 0) return 0;
  const rest = (1 << (dropped - 4)) - 1;
  const upper = (draws.half(i) >> 12) << (dropped - 4);
  return (between & rest) === 0 ? upper : upper | (draws.roundingWord(i) & rest);
}
