// The laws of whole moves (docs/theory/moves.md): `nearest`, `stochastic`, `matched`, and how far they may go. A move is a number of
// steps k of mean 0, |k| at most the distance to the nearer rail: the same on both sides, so that the mean stays 0. The
// arithmetic is float32 and integer, the same in every backend.

import { alias } from "./alias.js";
import type { Draws } from "./draws.js";
import { bitsOf } from "./float-bits.js";
import type { EncodedFormat, Move } from "./move.js";
import {
  ALIAS_FIRST,
  ALIAS_ROW,
  ALIAS_SHIFT,
  Field,
  LAW_COLUMNS,
  LAW_ROWS,
  ROW_SPAN,
  Rounding,
  SHARED,
  SHARED_TILE,
} from "./numbers.js";
import { LAW_TAILS } from "./tables.js";

const f = Math.fround;

/** Above this s every code is far beyond its rails; it keeps s^2 and s * z finite. */
export const MAX_S = 32768;
/** Up to here `matched` reads its law from the table alone. */
export const TABLE_VARIANCE = 4;
/**
 * Up to here `matched` is k = 2^b k1 + (A - B): k1 from the table, A and B uniform in 0 ... 2^b - 1, of variance (4^b - 1) / 6
 * together. That is the table's law on a grid of 2^b steps, and between its points what a straight line between their
 * probabilities gives. Above, floor(s' |z| + u) with s'^2 = s^2 - 1/6 is exact to 1e-34.
 */
export const COARSE_VARIANCE = 1066.5;
/** Of lattices, 4 bits are enough; half floats take up to 6 (laws/floats.ts). */
const MOST_BITS = 6;
const SIXTH = f(1 / 6);
const TWO_M23 = f(2 ** -23);
const TWO_32 = 2 ** 32;

/** The `matched` law at one variance: thresholds for 15 bits, and for the 32 bits that decide when those are equal. */
export class Law {
  private readonly high = new Int32Array(LAW_COLUMNS);
  private readonly low = new Uint32Array(LAW_COLUMNS);
  private columns = 0;
  /** The table's grid is one of 2^bits steps. */
  bits = 0;

  /** Sets the variance, v >= 0: the mixture of the two neighbouring rows whose variance is what A - B leaves of v. */
  set(v: number): void {
    const { bits, variance } = gridOf(v);
    this.bits = bits;
    const position = f(4 * variance);
    const row = Math.min(Math.floor(position), LAW_ROWS - 2);
    const weight = f(position - row);
    const a = row * LAW_COLUMNS;
    const b = a + LAW_COLUMNS;
    this.columns = LAW_COLUMNS;
    for (let j = 0; j < LAW_COLUMNS; j++) {
      const p = LAW_TAILS[a + j] as number;
      const q = LAW_TAILS[b + j] as number;
      if (q === 0) {
        this.columns = j;
        break;
      }
      const threshold = f(p + f(f(q - p) * weight));
      const high = Math.floor(threshold);
      this.high[j] = high;
      this.low[j] = Math.floor(f(f(threshold - high) * TWO_32));
    }
  }

  /** The signed move of weight `i` of the tile. */
  move(draws: Draws, i: number): number {
    const m = draws.move(i);
    const size = this.size(m & 0x7fff, draws, i) << this.bits;
    const k = m & 0x8000 ? -size : size;
    return this.bits === 0 ? k : k + draws.fineMove(i, this.bits);
  }

  /** |k| for 15 bits m, on the table's grid; `refine` gives 32 more bits when m alone does not decide. */
  size(m: number, draws: Draws, i: number): number {
    let k = 0;
    while (k < this.columns && m < (this.high[k] as number)) k++;
    if (k === this.columns || m !== this.high[k]) return k;
    const r = draws.refine(i);
    while (k < this.columns && (m < (this.high[k] as number) || (m === this.high[k] && r < (this.low[k] as number)))) k++;
    return k;
  }
}

/**
 * The grid of 2^bits steps that the table is put on for a law of variance v, and the table's variance on it: what A - B leaves.
 */
export function gridOf(v: number): { bits: number; variance: number } {
  const fine = (bits: number) => (4 ** bits - 1) / 6;
  let bits = 0;
  while (bits < MOST_BITS && v > TABLE_VARIANCE * 4 ** bits + fine(bits)) bits++;
  return { bits, variance: f(f(v - fine(bits)) * 4 ** -bits) };
}

/** s: the noise of a weight in units of its step, kept below MAX_S. */
export function scaleInSteps(sigma: number, inSteps: boolean, step: number): number {
  return Math.min(inSteps ? sigma : f(sigma / step), MAX_S);
}

/** floor(s |z| + u) with the sign of z: symmetric in z by construction. */
export function kick(s: number, z: number, u: number): number {
  const k = Math.floor(f(f(s * Math.abs(z)) + u));
  return z < 0 ? -k : k;
}

/** The uniform of stochastic rounding: 23 bits, centred, so that u and 1 - u are equally likely. */
export function centredUniform(word: number): number {
  return f(f((word >>> 9) + 0.5) * TWO_M23);
}

/** s' above the law's tables: s'^2 + 1/6 = v. */
export function matchedScale(v: number): number {
  return f(Math.sqrt(f(v - SIXTH)));
}

/** Moves codes[i] by k, at most as far as the nearer rail; whether it changed, as 0 or 1. */
export function moveCode(codes: Int8Array, i: number, k: number, lo: number, hi: number): number {
  const q = codes[i] as number;
  const reach = Math.max(Math.min(q - lo, hi - q), 0);
  const moved = Math.max(-reach, Math.min(reach, k));
  if (moved === 0) return 0;
  codes[i] = q + moved;
  return 1;
}

/** Moves codes[from ... to) of a tile by noise of s steps; returns how many changed. */
export function moveRun(codes: Int8Array, from: number, to: number, s: number, { format, rounding }: Move, draws: Draws): number {
  const lo = format[Field.lo] as number;
  const hi = format[Field.hi] as number;
  const v = f(s * s);
  const matched = rounding === Rounding.matched;
  if (matched && v <= COARSE_VARIANCE) return moveByTable(codes, from, to, v, format, draws);
  const scale = matched ? matchedScale(v) : s;
  let changed = 0;
  for (let i = from; i < to; i++) {
    const u = rounding === Rounding.nearest ? 0.5 : centredUniform(draws.roundingWord(i));
    changed += moveCode(codes, i, kick(scale, draws.normal(i), u), lo, hi);
  }
  return changed;
}

const ROW_SPAN_LOG = Math.log2(ROW_SPAN);
const SHARED_TILE_LOG = Math.log2(SHARED_TILE);
/** Rows of the table: first outcomes, second outcomes, thresholds of eight variants; one of each a bucket. */
const BUCKETS = 16;

/** The same by the `matched` law of variance v, SPARSE_VARIANCE <= v <= COARSE_VARIANCE, from the table of alias.ts. */
function moveByTable(codes: Int8Array, from: number, to: number, v: number, format: EncodedFormat, draws: Draws): number {
  const lo = format[Field.lo] as number;
  const hi = format[Field.hi] as number;
  const { bytes, shared, rowWords, byteAt, sharedAt, rowAt } = draws.runs();
  const { bits, variance } = gridOf(v);
  const float = bitsOf(variance);
  const table = alias();
  let changed = 0;
  let span = -1;
  let row = 0;
  let thresholds = 0;
  for (let i = from; i < to; i++) {
    if ((rowAt + i) >> ROW_SPAN_LOG !== span) {
      span = (rowAt + i) >> ROW_SPAN_LOG;
      // A span's row is the variance rounded to four bits of mantissa, up or down, so that it is what was asked for on average.
      const word = rowWords[span] as number;
      row = (((float + (word & ((1 << ALIAS_SHIFT) - 1))) >>> ALIAS_SHIFT) - ALIAS_FIRST) * ALIAS_ROW;
      thresholds = row + BUCKETS * (2 + (word >>> 29));
    }
    const byte = bytes[byteAt + i] as number;
    const at = sharedAt + i;
    const common = shared[(at >> SHARED_TILE_LOG) * SHARED + (at & (SHARED - 1))] as number;
    const bucket = byte & (BUCKETS - 1);
    // Three bits of its own above five shared ones, as a signed byte.
    const share = (((byte & 0xe0) | (common & 31)) << 24) >> 24;
    const first = share < (table[thresholds + bucket] as number);
    const size = table[row + (first ? 0 : BUCKETS) + bucket] as number;
    const k = (byte & 16 ? -size : size) << bits;
    changed += moveCode(codes, i, bits === 0 ? k : k + draws.fineMove(i, bits), lo, hi);
  }
  return changed;
}
