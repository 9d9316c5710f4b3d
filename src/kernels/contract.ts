// What a backend is: the calls that native, WASM and JS each answer with the same bits. The facade (noise/, lattice/) checks arguments;
// a kernel may rely on them. Nothing here knows about files, tensors' names or what sigma is relative to.

import type { Evolution } from "../laws/evolution.js";
import type { EncodedFormat, Key, Move, Position } from "../laws/move.js";

export interface Kernels {
  readonly backend: "native" | "wasm" | "js";
  /** "avx512", "avx2", "neon" or "scalar" (native), "simd128" or "scalar" (wasm), "scalar" (js). */
  readonly isa: string;

  /** Philox4x32-10 words. */
  bits(out: Uint32Array, key: Key, at: Position): void;
  /** Uniforms in [0, 1): the upper 24 bits of a word, times 2^-24. */
  uniform(out: Float32Array, key: Key, at: Position): void;
  /** Standard normals by Box-Muller: words 0 and 1 of a block make its first two, words 2 and 3 the others. |z| <= 6.67. */
  normal(out: Float32Array, key: Key, at: Position): void;

  /** Moves whole blocks in place; returns how many codes changed. */
  perturb(data: Uint8Array, move: Move): number;

  /** The same on threads outside the event loop, where the backend has them. `data` must be left alone until it resolves. */
  perturbAsync?(data: Uint8Array, move: Move): Promise<number>;

  /**
   * One step of an evolution by its one number: `live` and `pristine` are the same whole blocks of one tensor. Returns how many codes of `live`
   * changed.
   */
  evolve(live: Uint8Array, pristine: Uint8Array, move: Move, law: Evolution, strength: number): number;

  /**
   * `total` plus the sum of the squares of the weights, in float64, in one order: leaves of SUM_LEAF weights, each summed from zero
   * and then added to the total. Within a leaf, group after group of codes: a step^2 + b (2 step origin) + n origin^2 with
   * a = sum of q^2 and b = sum of q, exact (rows with external steps are cut every 4096 weights);
   * for floats, 16 accumulators (weight i goes to i mod 16) added pairwise 8, 4, 2, 1 apart.
   * A call that is not the last one of a tensor must hand over whole leaves.
   */
  sumSquares(
    data: Uint8Array,
    format: EncodedFormat,
    steps: Float32Array | null,
    rowLength: number,
    index: number,
    total: number,
  ): number;

  /** How many codes (or floats) of two stretches of whole blocks differ. */
  difference(a: Uint8Array, b: Uint8Array, format: EncodedFormat): number;

  /** Maps a file into memory. Only backends that can (native): the others go through positioned reads and writes. */
  map?(path: string, writable: boolean): MappedFile;
}

/** The steps of a tensor's groups, coarsely, and what its last draw moved (native/kernels/indexed.inl.h): the backend's own. */
export type StepIndex = object;

/** Tensors and their moves: the backend's own. */
export type CollisionPlan = object;

/** Cells drawn anew that are not yet written: the backend's own. */
export type PreparedCollisions = object;

/** Where a whole tensor lies in a file, and how it moves. */
export interface TensorRange {
  readonly offset: number;
  readonly length: number;
  readonly move: Move;
}

/** A file in memory. Work runs on threads outside the event loop; the bytes do not depend on how many. */
export interface MappedFile {
  readonly size: number;
  /** Copies `length` bytes at `offset` from `source` (same offset) unless it is null, then moves them; resolves to the number of changed codes. */
  perturb(offset: number, length: number, move: Move, source: MappedFile | null): Promise<number>;
  /**
   * Indexes the steps of a whole tensor, of a lattice format with whole numbers for levels and steps of its own. About 3 % of the tensor's
   * bytes (6 % of four-bit ones).
   */
  indexSteps(offset: number, length: number, format: EncodedFormat): Promise<StepIndex>;
  /**
   * Like `perturb` with a source, where this file's bytes are what `redraw` with this index made of them last, if it did, and anything if it did not.
   * Where moves are rare, only what this move and the last one touch is looked at. A sigma of 0 moves nothing. `move.index` is
   * a multiple of 2^18 weights, and `length` covers such a multiple or ends the tensor.
   */
  redraw(offset: number, length: number, move: Move, source: MappedFile, index: StepIndex): Promise<number>;
  /** Tells of tensors whose cells are to collide with `source`'s: what `collide` is told once, since ticks are to take no time. */
  planCollide(tensors: readonly TensorRange[], source: MappedFile): CollisionPlan;
  /**
   * Of each tensor of the plan, every cell whose word of Purpose.Collision is below `threshold` at this tick becomes the source's, moved.
   * In all, the number of codes of those cells that then differ from the source's. Brief work is done at once, longer work on threads.
   */
  collide(plan: CollisionPlan, tick: number, threshold: number): number | Promise<number>;
  /**
   * Begins to make what `collide` would write, in the background, where it takes a processor only while nobody else wants it; the file is not touched.
   * Null where the system gives no thread.
   */
  prepareCollide(plan: CollisionPlan, tick: number, threshold: number): PreparedCollisions | null;
  /** Writes it; what `collide` would have returned. Null where it was not done in time: then it never is. */
  apply(prepared: PreparedCollisions): number | null;
  /** How many codes differ from those of `source` (same offset). */
  difference(offset: number, length: number, format: EncodedFormat, source: MappedFile): Promise<number>;
  /** `evolve` of `length` bytes at `offset`, the pristine ones in `source` at the same offset; resolves to the number of changed codes. */
  evolve(offset: number, length: number, move: Move, source: MappedFile, law: Evolution, strength: number): Promise<number>;
  /** Copies `length` bytes at `offset` from `source` (same offset). */
  copyFrom(source: MappedFile, offset: number, length: number): Promise<void>;
  sumSquares(
    offset: number,
    length: number,
    format: EncodedFormat,
    steps: Float32Array | null,
    rowLength: number,
  ): Promise<number>;
  /** Unmaps. Further calls throw. */
  close(): void;
}
