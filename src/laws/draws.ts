// The random numbers of one tile of weights, each kind made when first asked for. All are functions of key, tick, place and
// purpose alone, so that a tensor may be cut into tiles anywhere. Which law asks for which: Purpose in numbers.ts.

import type { Key, Position } from "./move.js";
import type { NoiseSource } from "./noise.js";
import { Purpose, ROW_SPAN, SHARED, SHARED_TILE } from "./numbers.js";

/** Weights a tile; a multiple of every format's block. */
export const TILE = 4096;
const TWO_32 = 2 ** 32;

/**
 * What runs draw (moves.ts): a byte a weight; of every 2048 weights, 256 bytes of which eight weights share five bits; a word a
 * row span of 32 weights.
 */
export interface RunDraws {
  readonly bytes: Uint8Array;
  readonly shared: Uint8Array;
  readonly rowWords: Uint32Array;
  /** Where those of weight 0 of the tile lie. */
  readonly byteAt: number;
  readonly sharedAt: number;
  readonly rowAt: number;
}

export class Draws {
  // A tile may begin within a block and end within one.
  private readonly normals = new Float32Array(TILE + 8);
  private readonly roundings = new Uint32Array(TILE + 8);
  private readonly pulls = new Uint32Array(TILE + 8);
  private readonly columns = new Uint32Array(TILE + 8);
  private readonly updates = new Uint32Array(TILE + 8);
  private readonly moveWords = new Uint32Array(TILE / 2 + 8);
  private readonly moves = new Uint16Array(this.moveWords.buffer);
  private readonly halfWords = new Uint32Array(TILE / 2 + 8);
  private readonly halves = new Uint16Array(this.halfWords.buffer);
  private readonly fineWords = new Uint32Array(TILE / 4 + 8);
  private readonly fine = new Uint8Array(this.fineWords.buffer);
  private readonly byteWords = new Uint32Array(TILE / 4 + 8);
  private readonly bytes = new Uint8Array(this.byteWords.buffer);
  /** Of each tile of SHARED_TILE weights that this one touches. */
  private readonly sharedWords = new Uint32Array((TILE / SHARED_TILE + 1) * (SHARED / 4));
  private readonly shared = new Uint8Array(this.sharedWords.buffer);
  private readonly rowWords = new Uint32Array(TILE / ROW_SPAN + 8);
  private readonly stayWords = new Uint32Array(TILE / 4 + 8);
  private readonly stays = new Uint8Array(this.stayWords.buffer);
  private readonly refined = new Uint32Array(4);
  // Which are made. Flags of their own: they are asked for at every weight, and bits of one number took a fifth longer.
  private hasNormals = false;
  private hasRoundings = false;
  private hasPulls = false;
  private hasStays = false;
  private hasColumns = false;
  private hasUpdates = false;
  private hasMoves = false;
  private hasHalves = false;
  private hasFine = false;
  private hasRuns = false;
  private key: Key = { k0: 0, k1: 0 };
  private tick = 0;
  private index = 0;
  private count = 0;

  constructor(private readonly noise: NoiseSource) {}

  /** Begins the tile of `count` weights from weight `index` of the tensor on. */
  begin(key: Key, tick: number, index: number, count: number): void {
    this.key = key;
    this.tick = tick;
    this.index = index;
    this.count = count;
    this.hasNormals = false;
    this.hasRoundings = false;
    this.hasPulls = false;
    this.hasStays = false;
    this.hasColumns = false;
    this.hasUpdates = false;
    this.hasMoves = false;
    this.hasHalves = false;
    this.hasFine = false;
    this.hasRuns = false;
  }

  /** The normal of weight `i` of the tile. */
  normal(i: number): number {
    if (!this.hasNormals) this.makeNormals();
    return this.normals[(this.index % 4) + i] as number;
  }

  /** The normals of all weights of the tile, for laws that need each: to ask for every one by itself takes longer. */
  tileNormals(): Float32Array {
    if (!this.hasNormals) this.makeNormals();
    const first = this.index % 4;
    return this.normals.subarray(first, first + this.count);
  }

  /** 32 bits that round what weight `i` of the tile draws. */
  roundingWord(i: number): number {
    if (!this.hasRoundings) this.hasRoundings = this.make(this.roundings, 4, Purpose.Rounding);
    return this.roundings[(this.index % 4) + i] as number;
  }

  /** 32 bits that round the pull of weight `i` of the tile (relaxation.ts). */
  pullWord(i: number): number {
    if (!this.hasPulls) this.hasPulls = this.make(this.pulls, 4, Purpose.Pull);
    return this.pulls[(this.index % 4) + i] as number;
  }

  /** 8 bits that decide whether weight `i` of the tile stays where it is (pulls.ts). */
  stay(i: number): number {
    if (!this.hasStays) this.hasStays = this.make(this.stayWords, 16, Purpose.Stay);
    return this.stays[(this.index % 16) + i] as number;
  }

  /** 32 bits for the move of weight `i` of the tile where sigma goes by column (columns.ts). */
  columnWord(i: number): number {
    if (!this.hasColumns) this.hasColumns = this.make(this.columns, 4, Purpose.Column);
    return this.columns[(this.index % 4) + i] as number;
  }

  /** 32 bits that round the update of weight `i` of the tile (ascent.ts). */
  updateWord(i: number): number {
    if (!this.hasUpdates) this.hasUpdates = this.make(this.updates, 4, Purpose.Update);
    return this.updates[(this.index % 4) + i] as number;
  }

  /** 16 bits for the move of weight `i` of the tile. */
  move(i: number): number {
    if (!this.hasMoves) this.hasMoves = this.make(this.moveWords, 8, Purpose.Move);
    return this.moves[(this.index % 8) + i] as number;
  }

  /** 16 more bits for weight `i` of the tile, a half float (halves.ts). */
  half(i: number): number {
    if (!this.hasHalves) this.hasHalves = this.make(this.halfWords, 8, Purpose.Half);
    return this.halves[(this.index % 8) + i] as number;
  }

  /** A - B of weight `i` of the tile, both uniform in 0 ... 2^bits - 1, from the halves of a byte. */
  fineMove(i: number, bits: number): number {
    if (!this.hasFine) this.hasFine = this.make(this.fineWords, 16, Purpose.Fine);
    const byte = this.fine[(this.index % 16) + i] as number;
    const mask = (1 << bits) - 1;
    return (byte & mask) - ((byte >> 4) & mask);
  }

  /** 32 more bits for weight `i` of the tile, for the few whose move is still open. */
  refine(i: number): number {
    const index = this.index + i;
    this.noise.bits(this.refined, this.key, this.at(Math.floor(index / 4), Purpose.Refine));
    return this.refined[index % 4] as number;
  }

  runs(): RunDraws {
    if (!this.hasRuns) this.makeRuns();
    const { bytes, shared, rowWords, index } = this;
    return { bytes, shared, rowWords, byteAt: index % 16, sharedAt: index % SHARED_TILE, rowAt: index % (4 * ROW_SPAN) };
  }

  private makeRuns(): void {
    const { index, count } = this;
    this.hasRuns = this.make(this.byteWords, 16, Purpose.Draw);
    this.make(this.rowWords, 4 * ROW_SPAN, Purpose.Row);
    const first = Math.floor(index / SHARED_TILE);
    const last = Math.floor((index + count - 1) / SHARED_TILE);
    // A few weights need not all bytes of their tile.
    const at = index % SHARED;
    const few = at + count <= SHARED;
    const skip = few ? Math.floor(at / 16) : 0;
    const blocks = few ? Math.ceil((at + count) / 16) - skip : ((last - first + 1) * SHARED) / 16;
    const out = this.sharedWords.subarray(4 * skip, 4 * (skip + blocks));
    this.noise.bits(out, this.key, this.at((first * SHARED) / 16 + skip, Purpose.Shared));
  }

  private makeNormals(): void {
    const { index, count } = this;
    const out = this.normals.subarray(0, 4 * Math.ceil(((index % 4) + count) / 4));
    this.noise.normal(out, this.key, this.at(Math.floor(index / 4), Purpose.Normal));
    this.hasNormals = true;
  }

  /** Fills `out` with the words of the tile's weights, of which a block serves `perBlock`. */
  private make(out: Uint32Array, perBlock: number, purpose: number): true {
    const { index, count } = this;
    const words = 4 * Math.ceil(((index % perBlock) + count) / perBlock);
    this.noise.bits(out.subarray(0, words), this.key, this.at(Math.floor(index / perBlock), purpose));
    return true;
  }

  private at(block: number, purpose: number): Position {
    return { blockLo: block >>> 0, blockHi: Math.floor(block / TWO_32), skip: 0, tick: this.tick, purpose };
  }
}
