// F16 and BF16 weights, and those of eight bits, live on a grid that gets coarser away from zero. `nearest` rounds the sum of weight and noise,
// `stochastic` rounds it up or down with the right probabilities. `matched` moves w on a lattice of its own step, ulp(w) or,
// where that is below sigma / 128, the power of two above that, by the law of lattices (moves.ts),
//
//   k = 2^b k1 + (A - B),  A and B uniform in 0 ... 2^b - 1, b <= 6,
//
// and rounds stochastically what ends between the points of a coarser binade. The step is a power of two, so the law depends on
// its distance from sigma's in binades alone: one row of the table for each.
//
// A float of eight bits is worked on as one of sixteen, with its sign where theirs is and its other bits at the lower end.

import { halfToFloat } from "./codes.js";
import type { Draws } from "./draws.js";
import { bitsOf, floatOf } from "./float-bits.js";
import { absoluteSigma, clamp, droppedBits, limitOf, magnitudeBits, shortFloat, ulp } from "./floats.js";
import type { Kicks } from "./kicks.js";
import type { Move } from "./move.js";
import { Law } from "./moves.js";
import { Field, Kind, Rounding } from "./numbers.js";
import type { Weights } from "./workspace.js";

const f = Math.fround;

/** The value of a half float with these bits. */
export function widen(h: number, kind: number): number {
  if (kind === Kind.bf16) return floatOf(h << 16);
  if (kind === Kind.f16) return halfToFloat(h);
  // E5M2 is the upper half of F16; E4M3 has no infinity.
  if (kind === Kind.e5m2) return halfToFloat((h & 0x8000) | ((h & 0x7f) << 8));
  const magnitude = h & 0x7f;
  const size = magnitude < 8 ? magnitude * 2 ** -9 : magnitude < 0x7f ? floatOf((magnitude << 20) + (120 << 23)) : Number.NaN;
  return h & 0x8000 ? -size : size;
}

/** Whether a kind has eight bits. */
export const isByteFloat = (kind: number): boolean => kind === Kind.e4m3 || kind === Kind.e5m2;

/** Puts the floats of a kind that lie in `data` into a tile: its half floats, or those of eight bits as such. */
export function loadFloats(tile: Weights, data: Uint8Array, kind: number): void {
  if (!isByteFloat(kind)) tile.bytes.set(data);
  else for (let i = 0; i < data.length; i++) tile.halves[i] = ((data[i] as number) & 0x7f) | (((data[i] as number) & 0x80) << 8);
}

/** The other way round. */
export function storeFloats(tile: Weights, data: Uint8Array, kind: number): void {
  if (!isByteFloat(kind)) data.set(tile.bytes.subarray(0, data.length));
  else for (let i = 0; i < data.length; i++) data[i] = ((tile.halves[i] as number) & 0x7f) | ((tile.halves[i] as number) >> 8);
}

/** y on the grid of a short float, as the format's own bits; `word` rounds it, or null to the nearest. */
export function halfOf(y: number, kind: number, word: number | null): number {
  return magnitudeBits(y, kind, word) | (y < 0 || Object.is(y, -0) ? 0x8000 : 0);
}

/** Moves data[0 ... n) of a tile of short floats; returns how many changed. */
export function moveHalves(data: Uint16Array, n: number, { format, inSteps, rounding }: Move, kicks: Kicks): number {
  const kind = format[Field.kind] as number;
  const most = limitOf(kind);
  const matched = rounding === Rounding.matched;
  const { draws } = kicks;
  let changed = 0;
  for (let i = 0; i < n; i++) {
    const h = data[i] as number;
    const w = widen(h, kind);
    if (!(Math.abs(w) <= most)) continue;
    const d = matched ? kicks.half(h, w, i) : f(absoluteSigma(kicks.sigma(i), inSteps, w, kind) * draws.normal(i));
    if (matched && d === 0) continue;
    const y = f(w + clamp(d, f(most - Math.abs(w))));
    const word = matched ? kicks.halfWord(y, i) : rounding === Rounding.nearest ? null : draws.roundingWord(i);
    const moved = halfOf(y, kind, word);
    if (moved !== h) {
      data[i] = moved;
      changed++;
    }
  }
  return changed;
}

/** Bits below the table's grid. */
const MOST_BITS = 6;
/** 2^127: no step is larger. */
const MOST_STEP = f(2 ** 127);

/** What `matched` needs of sigma: the steps of half floats, and the laws on them by their binade. */
export class HalfLaws {
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
      ? floatOf(Math.max(exponent - MOST_BITS, 127) << 23)
      : floatOf(exponent > MOST_BITS ? (exponent - MOST_BITS) << 23 : 1 << (22 - MOST_BITS + exponent));
    this.s = f(sigma / this.least);
    const { mantissa, lowest } = shortFloat(kind);
    this.first = exponent - MOST_BITS - (126 + lowest - mantissa);
  }

  private step(w: number): number {
    const unit = ulp(w, this.kind);
    return this.inSteps ? Math.min(f(unit * this.least), MOST_STEP) : Math.max(unit, this.least);
  }

  /** The law of a weight with these bits. */
  private law(h: number): Law {
    const { mantissa, exponents } = shortFloat(this.kind);
    const exponent = (h >> mantissa) & exponents;
    const binade = this.inSteps ? 0 : Math.max(Math.max(exponent, 1) - this.first, 0);
    let law = this.laws[binade];
    if (law === undefined) {
      const s = f(this.s * 2 ** -binade);
      law = this.laws[binade] = new Law();
      law.set(f(s * s));
    }
    return law;
  }

  /** What moves weight i of the tile, w with bits h. */
  displacement(h: number, w: number, draws: Draws, i: number): number {
    const law = this.law(h);
    const m = draws.move(i);
    const size = law.size(m & 0x7fff, draws, i) << law.bits;
    let k = m & 0x8000 ? -size : size;
    if (law.bits > 0) {
      const word = draws.half(i);
      k += ((word & 63) >> (MOST_BITS - law.bits)) - (((word >> 6) & 63) >> (MOST_BITS - law.bits));
    }
    return k === 0 ? 0 : f(k * this.step(w));
  }

  /** What rounds y: four bits, and where y has more below the format's, those of a word of its own below them. */
  static word(y: number, kind: number, draws: Draws, i: number): number {
    const dropped = droppedBits(kind);
    const between = bitsOf(y) & ((1 << dropped) - 1);
    if (between === 0) return 0;
    const rest = (1 << (dropped - 4)) - 1;
    const upper = (draws.half(i) >> 12) << (dropped - 4);
    return (between & rest) === 0 ? upper : upper | (draws.roundingWord(i) & rest);
  }
}
