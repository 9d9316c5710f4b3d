// What a backend is: the calls that native, WASM and JS each answer with the same bits. The facade (noise/, lattice/) checks arguments;
// a kernel may rely on them. Nothing here knows tensors' names or what sigma is relative to; what there is for files is in files.ts.

import type { Census, CensusColumns } from "../laws/census.js";
import type { Evolution } from "../laws/evolution.js";
import type { LogitQuestion } from "../laws/logits.js";
import type { EncodedFormat, Key, Move, Position } from "../laws/move.js";
import type { FileKernels } from "./files.js";

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

  /**
   * The same on threads outside the event loop, where the backend has them. `data` must be left alone until it resolves. It stops between pieces when
   * the signal says so, once nothing is under way.
   */
  perturbAsync?(data: Uint8Array, move: Move, signal?: AbortSignal): Promise<number>;

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

  /**
   * How many codes of whole blocks have which step and which distance to the rails (laws/census.ts). Of lattices that have their own steps;
   * `index` is the number of the first weight, whose column matters where there are columns.
   */
  census(data: Uint8Array, format: EncodedFormat, columns: CensusColumns | undefined, index: number): Census;

  /** How many codes (or floats) of two runs of whole blocks differ. */
  difference(a: Uint8Array, b: Uint8Array, format: EncodedFormat): number;

  /**
   * What a row of logits says (laws/logits.ts): the likeliest token, or -1 where logits are not finite; and into `out` LogitColumn.head numbers,
   * and one of every beta. The target is a token or -1, the reference as long as the logits.
   */
  readLogits(logits: Float32Array, question: LogitQuestion, out: Float64Array): number;

  /** Files in memory, where the backend can map them (native); without, they go through positioned reads and writes. */
  readonly files?: FileKernels;

  /** Threads for the chunks of files that are read and written, where the backend has some and maps no files (WebAssembly). */
  readonly threads?: ThreadKernels;

  /** What there is of threads: tries it, where that is the only way to know. Backends without it have none. */
  threadsHere?(): Promise<Threads>;
}

/**
 * Calls of these names for chunks, several at a time. Arrays must be left alone until they resolve. Where there are no threads yet, or there can
 * be none, it is done here, between events: with the same results.
 */
export interface ThreadKernels {
  /** How many threads there may be. */
  readonly number: number;
  /** That so many weights are to come: threads are started where they are worth it. */
  expect(weights: number): void;
  perturb(data: Uint8Array, move: Move): Promise<number>;
  evolve(live: Uint8Array, pristine: Uint8Array, move: Move, law: Evolution, strength: number): Promise<number>;
  /** `sumSquares` of each leaf from zero; of formats that have their own steps. */
  sumLeaves(data: Uint8Array, format: EncodedFormat, index: number): Promise<Float64Array>;
  census(data: Uint8Array, format: EncodedFormat, columns: CensusColumns | undefined, index: number): Promise<Census>;
}

/** Threads for large work, beside the one that calls: those of `perturbAsync`, and of files. */
export interface Threads {
  /** How many there are where there is enough to do; 0 where the calling thread does it, between events. */
  readonly number: number;
  /** Of WebAssembly: whether its threads see memory of the calling one, or get copies. */
  readonly memory?: "shared" | "copied";
  /** Why there are none. */
  readonly reason?: string;
}
