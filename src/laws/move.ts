// What a move is, as laws and kernels take it: a stream's key, a place in the stream, an encoded format, one perturbation of a
// run of weights. Types only.

import type { Rounding } from "./numbers.js";

/** A stream's Philox key: two 32-bit words. */
export interface Key {
  /** The first, 0 to 2^32 - 1. */
  readonly k0: number;
  /** The second, 0 to 2^32 - 1. */
  readonly k1: number;
}

/**
 * Where in a stream to begin. Element `4 * block + skip` of tick `tick` comes first; `block` is a 64-bit number in two words.
 * All are unsigned 32-bit, `skip` is 0...3.
 */
export interface Position {
  readonly blockLo: number;
  readonly blockHi: number;
  readonly skip: number;
  readonly tick: number;
  readonly purpose: number;
}

/** One perturbation of a run of weights of one tensor. */
export interface Move {
  readonly format: EncodedFormat;
  /** Standard deviation, a float32: in weight units, or in steps of each weight's own grid where `inSteps` is set. */
  readonly sigma: number;
  readonly inSteps: boolean;
  /** Only for formats without a scale of their own: the step of each row, a positive float32. */
  readonly steps: Float32Array | null;
  /** Weights a row, where `steps` is given. */
  readonly rowLength: number;
  readonly rounding: (typeof Rounding)[Rounding];
  readonly key: Key;
  /** The tensor-wide index of the first weight in the data; a multiple of the format's block. */
  readonly index: number;
  readonly tick: number;
  /** Of the kicks of `relax`, which are no plain moves: its table (pulls.ts, decay.ts). On even grids, not together with `columns`. */
  readonly decay?: Float32Array | undefined;
  /** Where sigma goes by column; rounding is `matched` then. Not together with `steps`. */
  readonly columns?: Columns | undefined;
}

/** Factors of sigma by column: weight i of the tensor has `factors[m * width + i mod width]`, where m = floor(i / matrix). */
export interface Columns {
  /** At least 0, finite; `width` of them for each matrix of the tensor. */
  readonly factors: Float32Array;
  /** Weights a row: a multiple of the format's block. */
  readonly width: number;
  /** Weights a matrix (of one expert, where there are several): a multiple of `width`. */
  readonly matrix: number;
}

/**
 * A format as kernels get it: FORMAT_FIELDS int32, in the order of {@link Field}; fields of planes repeat with a stride of
 * PLANE_FIELDS. Made from the table in lattice/formats.ts, which explains them.
 */
export type EncodedFormat = Int32Array;
