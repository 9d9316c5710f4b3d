// The laws of moves on a lattice (docs/theory/moves.md): `nearest`, `stochastic`, `matched`, and the symmetric truncation at the rails.
// Works on a tile of int8 codes with one step a run; the arithmetic is float32 and integer, the same in every backend.

import { alias } from "./alias.js";
import type { Key } from "./move.js";
import { normalsFromWords } from "./normal.js";
import {
  ALIAS_FIRST,
  ALIAS_ROW,
  ALIAS_SHIFT,
  LAW_COLUMNS,
  LAW_ROWS,
  PIECE,
  Purpose,
  Rounding,
  SHARED,
  SHARED_TILE,
} from "./numbers.js";
import { fillBlocks } from "./philox.js";
import { LAW_TAILS } from "./tables.js";

const f = Math.fround;

/** Weights a tile; a multiple of every format's block. */
export const TILE = 4096;
/** Above this s every code is far beyond its rails; it keeps s^2 and s * z finite. */
export const MAX_S = 32768;
/** Up to here `matched` reads its law from the table alone. */
export const TABLE_VARIANCE = 4;
/**
 * Up to here `matched` is k = 2^b k1 + (A - B): k1 from the table, A and B uniform in 0 ... 2^b - 1, of variance (4^b - 1) / 6 together. That is
 * the table's law on a grid of 2^b steps, and between its points what a straight line between their probabilities gives.
 * Above, floor(s' |z| + u) with s'^2 = s^2 - 1/6 is exact to 1e-34.
 */
export const COARSE_VARIANCE = 1066.5;
/** Of lattices, 4 bits are enough; half floats take up to 6 (laws/floats.ts). */
const MOST_BITS = 6;
const SIXTH = f(1 / 6);
const TWO_M23 = f(2 ** -23);
const TWO_32 = 2 ** 32;

/** The draws of one tile: normals, rounding words and move words, each made when first asked for. */
export class Draws {
  private readonly words = new Uint32Array(TILE + 8);
  private readonly normals = new Float32Array(TILE + 8);
  private readonly moveWords = new Uint32Array(TILE / 2 + 8);
  private readonly moves = new Uint16Array(this.moveWords.buffer);
  private readonly rounding = new Uint32Array(TILE + 8);
  private readonly fineWords = new Uint32Array(TILE / 4 + 8);
  private readonly fine = new Uint8Array(this.fineWords.buffer);
  private readonly pulls = new Uint32Array(TILE + 8);
  private readonly halfWords = new Uint32Array(TILE / 2 + 8);
  private readonly halves = new Uint16Array(this.halfWords.buffer);
  private readonly refined = new Uint32Array(4);
  private readonly byteWords = new Uint32Array(TILE / 4 + 8);
  private readonly bytes = new Uint8Array(this.byteWords.buffer);
  /** Of each tile of SHARED_TILE weights that this one touches. */
  private readonly sharedWords = new Uint32Array((TILE / SHARED_TILE + 1) * (SHARED / 4));
  private readonly shared = new Uint8Array(this.sharedWords.buffer);
  private readonly rowWords = new Uint32Array(TILE / PIECE + 8);
  private hasNormals = false;
  private hasMoves = false;
  private hasRounding = false;
  private hasFine = false;
  private hasPulls = false;
  private hasHalves = false;
  private hasRuns = false;
  private key: Key = { k0: 0, k1: 0 };
  private tick = 0;
  private index = 0;
  private count = 0;

  /** Begins the tile of `count` weights from `index` on. */
  begin(key: Key, tick: number, index: number, count: number): void {
    this.key = key;
    this.tick = tick;
    this.index = index;
    this.count = count;
    this.hasNormals = false;
    this.hasMoves = false;
    this.hasRounding = false;
    this.hasFine = false;
    this.hasPulls = false;
    this.hasHalves = false;
    this.hasRuns = false;
  }

  /** The normal of weight `i` of the tile. */
  normal(i: number): number {
    if (!this.hasNormals) {
      const blocks = this.fill(this.words, 4, Purpose.Normal);
      normalsFromWords(this.normals, 0, this.words, 0, 4 * blocks);
      this.hasNormals = true;
    }
    return this.normals[(this.index % 4) + i] as number;
  }

  /** The rounding word of weight `i` of the tile. */
  roundingWord(i: number): number {
    if (!this.hasRounding) {
      this.fill(this.rounding, 4, Purpose.Rounding);
      this.hasRounding = true;
    }
    return this.rounding[(this.index % 4) + i] as number;
  }

  /** A - B of weight `i` of the tile, both uniform in 0 ... 2^bits - 1, from the halves of a byte. */
  fineMove(i: number, bits: number): number {
    if (!this.hasFine) {
      this.fill(this.fineWords, 16, Purpose.Fine);
      this.hasFine = true;
    }
    const byte = this.fine[(this.index % 16) + i] as number;
    const mask = (1 << bits) - 1;
    return (byte & mask) - ((byte >> 4) & mask);
  }

  /** The word that rounds the pull of weight `i` of the tile (laws/langevin.ts). */
  pullWord(i: number): number {
    if (!this.hasPulls) {
      this.fill(this.pulls, 4, Purpose.Pull);
      this.hasPulls = true;
    }
    return this.pulls[(this.index % 4) + i] as number;
  }

  /** 16 more random bits for weight `i` of the tile, a half float (laws/floats.ts). */
  half(i: number): number {
    if (!this.hasHalves) {
      this.fill(this.halfWords, 8, Purpose.Half);
      this.hasHalves = true;
    }
    return this.halves[(this.index % 8) + i] as number;
  }

  /** 16 random bits for weight `i` of the tile. */
  move(i: number): number {
    if (!this.hasMoves) {
      this.fill(this.moveWords, 8, Purpose.Move);
      this.hasMoves = true;
    }
    return this.moves[(this.index % 8) + i] as number;
  }

  /** What runs draw, and where that of weight 0 of the tile lies. */
  runs(): RunDraws {
    if (!this.hasRuns) this.drawRuns();
    const { bytes, shared, rowWords, index } = this;
    return {
      bytes,
      shared,
      rowWords,
      byteAt: index % 16,
      sharedAt: index % SHARED_TILE,
      rowAt: index % (4 * PIECE),
    };
  }

  private drawRuns(): void {
    this.hasRuns = true;
    this.fill(this.byteWords, 16, Purpose.Draw);
    this.fill(this.rowWords, 4 * PIECE, Purpose.Row);
    const first = Math.floor(this.index / SHARED_TILE);
    const last = Math.floor((this.index + this.count - 1) / SHARED_TILE);
    // A few weights need not all bytes of their tile.
    const at = this.index % SHARED;
    const few = at + this.count <= SHARED;
    const skip = few ? Math.floor(at / 16) : 0;
    const blocks = few ? Math.ceil((at + this.count) / 16) - skip : ((last - first + 1) * SHARED) / 16;
    const block = (first * SHARED) / 16 + skip;
    fillBlocks(this.sharedWords, 4 * skip, blocks, this.key, block >>> 0, Math.floor(block / TWO_32), this.tick, Purpose.Shared);
  }

  /** 32 more bits for weight `i` of the tile, for the few that `move` left open. */
  refine(i: number): number {
    const index = this.index + i;
    const block = Math.floor(index / 4);
    fillBlocks(this.refined, 0, 1, this.key, block >>> 0, Math.floor(block / TWO_32), this.tick, Purpose.Refine);
    return this.refined[index % 4] as number;
  }

  private fill(out: Uint32Array, perBlock: number, purpose: number): number {
    const block = Math.floor(this.index / perBlock);
    const blocks = Math.ceil(((this.index % perBlock) + this.count) / perBlock);
    fillBlocks(out, 0, blocks, this.key, block >>> 0, Math.floor(block / TWO_32), this.tick, purpose);
    return blocks;
  }
}

/** A byte a weight; of every 2048 weights, 256 bytes whose lower five bits eight weights share; a word a piece of 32 weights. */
interface RunDraws {
  readonly bytes: Uint8Array;
  readonly shared: Uint8Array;
  readonly rowWords: Uint32Array;
  readonly byteAt: number;
  readonly sharedAt: number;
  readonly rowAt: number;
}

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

/** The grid of 2^bits steps that the table is put on for a law of variance v, and the table's variance on it: what A - B leaves. */
export function gridOf(v: number): { bits: number; variance: number } {
  const fine = (bits: number) => (4 ** bits - 1) / 6;
  let bits = 0;
  while (bits < MOST_BITS && v > TABLE_VARIANCE * 4 ** bits + fine(bits)) bits++;
  return { bits, variance: f(f(v - fine(bits)) * 4 ** -bits) };
}

/** The `matched` law of a run, by the table of laws/alias.ts. */
class RunLaw {
  private bits = 0;
  private float = 0;
  private row = 0;
  private thresholds = 0;

  /** Sets the variance, SPARSE_VARIANCE <= v <= COARSE_VARIANCE. */
  set(v: number): void {
    const { bits, variance } = gridOf(v);
    this.bits = bits;
    floatOf.setFloat32(0, variance);
    this.float = floatOf.getUint32(0);
  }

  /** Begins a piece: its row is the variance rounded to four bits of mantissa, up or down, so that it is what was asked for on average. */
  private beginPiece(word: number): void {
    const row = ((this.float + (word & ((1 << ALIAS_SHIFT) - 1))) >>> ALIAS_SHIFT) - ALIAS_FIRST;
    this.row = row * ALIAS_ROW;
    this.thresholds = this.row + 32 + 16 * (word >>> 29);
  }

  /** Moves codes[from ... to) of a tile, |k| at most the distance to the nearer rail; returns how many changed. */
  apply(codes: Int8Array, from: number, to: number, lo: number, hi: number, draws: Draws): number {
    const { bytes, shared, rowWords, byteAt, sharedAt, rowAt } = draws.runs();
    const table = alias();
    let changed = 0;
    let piece = -1;
    for (let i = from; i < to; i++) {
      if ((rowAt + i) >> PIECE_LOG !== piece) {
        piece = (rowAt + i) >> PIECE_LOG;
        this.beginPiece(rowWords[piece] as number);
      }
      const byte = bytes[byteAt + i] as number;
      const at = sharedAt + i;
      const common = shared[(at >> SHARED_TILE_LOG) * SHARED + (at & (SHARED - 1))] as number;
      const bucket = byte & 15;
      // Three bits of its own above five shared ones, as a signed byte.
      const share = (((byte & 0xe0) | (common & 31)) << 24) >> 24;
      const first = share < (table[this.thresholds + bucket] as number);
      const size = table[this.row + (first ? 0 : 16) + bucket] as number;
      let k = (byte & 16 ? -size : size) << this.bits;
      if (this.bits !== 0) k += draws.fineMove(i, this.bits);
      const q = codes[i] as number;
      const room = Math.max(Math.min(q - lo, hi - q), 0);
      k = Math.max(-room, Math.min(room, k));
      if (k !== 0) {
        codes[i] = q + k;
        changed++;
      }
    }
    return changed;
  }
}

const PIECE_LOG = Math.log2(PIECE);
const SHARED_TILE_LOG = Math.log2(SHARED_TILE);
const floatOf = new DataView(new ArrayBuffer(4));
const runLaw = new RunLaw();

/** s: the noise of a weight in units of its step, kept below MAX_S. */
export function scaleInSteps(sigma: number, inSteps: boolean, step: number): number {
  return Math.min(inSteps ? sigma : f(sigma / step), MAX_S);
}

/** floor(s |z| + u) with the sign of z: symmetric in z by construction. */
function kick(s: number, z: number, u: number): number {
  const k = Math.floor(f(f(s * Math.abs(z)) + u));
  return z < 0 ? -k : k;
}

/** The uniform of stochastic rounding: 23 bits, centred, so that u and 1 - u are equally likely. */
export function centredUniform(word: number): number {
  return f(f((word >>> 9) + 0.5) * TWO_M23);
}

/** A signed move drawn from `matched` of variance v, mean 0; `useLaw` is set to it. Also used for float formats, on the grid of one binade. */
export function matchedMove(v: number, draws: Draws, i: number, useLaw: Law): number {
  if (v > COARSE_VARIANCE) return kick(matchedScale(v), draws.normal(i), centredUniform(draws.roundingWord(i)));
  return useLaw.move(draws, i);
}

/** s' above the law's tables: s'^2 + 1/6 = v. */
export function matchedScale(v: number): number {
  return f(Math.sqrt(f(v - SIXTH)));
}

/**
 * Moves codes[from ... to) of a tile by noise of s steps, |k| at most the distance to the nearer rail; returns how many changed.
 */
export function moveRun(
  codes: Int8Array,
  from: number,
  to: number,
  s: number,
  lo: number,
  hi: number,
  rounding: number,
  draws: Draws,
): number {
  const v = f(s * s);
  if (rounding === Rounding.matched && v <= COARSE_VARIANCE) {
    runLaw.set(v);
    return runLaw.apply(codes, from, to, lo, hi, draws);
  }
  const scale = rounding === Rounding.matched ? matchedScale(v) : s;
  let changed = 0;
  for (let i = from; i < to; i++) {
    const drawn = kick(scale, draws.normal(i), rounding === Rounding.nearest ? 0.5 : centredUniform(draws.roundingWord(i)));
    const q = codes[i] as number;
    const room = Math.max(Math.min(q - lo, hi - q), 0);
    const k = Math.max(-room, Math.min(room, drawn));
    if (k !== 0) {
      codes[i] = q + k;
      changed++;
    }
  }
  return changed;
}
