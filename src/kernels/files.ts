// Files in memory: what a backend gives that can map them (native). The others go through positioned reads and writes (files/live/positioned.ts).
// Work runs on threads outside the event loop; the bytes do not depend on how many. What makes it quick (indices, journals, plans, work
// made ahead) is the backend's own: nothing here names it, and no caller has to keep it.

import type { Census, CensusColumns } from "../laws/census.js";
import type { EncodedFormat } from "../laws/move.js";
import type { Step, TensorMove } from "./step.js";

export type { TensorMove } from "./step.js";

/** Where a whole tensor lies in a file. Those that a file is asked to move do not overlap. */
export interface TensorRange {
  readonly offset: number;
  readonly bytes: number;
}

/** A step that was made ready, or is being made ready in the background, where it takes a processor only while nobody else wants it. */
export interface Prepared {
  /** Writes it, with what is not made yet made now. The same bytes, and the same count, as the step itself. Once. */
  write(watch?: FileWatch): Promise<number>;
  /** It is not wanted any more. */
  drop(): void;
}

/**
 * Bytes that a step may hold ready, of all files of a model: of more, the copying takes as long as the work, and a process of ours is to stay below
 * 300 MB beside what it has mapped.
 */
export const MOST_READY = 192 * 2 ** 20;

export interface RangeMove {
  readonly tensor: TensorRange;
  readonly move: TensorMove;
}

/** How work on a file is stopped and watched: between its chunks. */
export interface FileWatch {
  readonly signal?: AbortSignal | undefined;
  /** Called with the bytes done since the last call. */
  readonly onBytes?: ((bytes: number) => void) | undefined;
}

export interface FileKernels {
  /** Makes what every file needs, with turns of the event loop in between: where it is not awaited, the first file that is mapped does it at once. */
  ready(): Promise<void>;
  /** Maps a file for reading. Throws what the system says against it. */
  map(path: string): MappedFile;
  /** Maps a file for writing that began as a copy of `pristine`, which must stay open as long as this one. */
  mapLive(path: string, pristine: MappedFile): LiveFile;
}

export interface MappedFile {
  readonly size: number;
  /** `Kernels.sumSquares` of a whole tensor. */
  sumSquares(tensor: TensorRange, format: EncodedFormat): Promise<number>;
  /** `Kernels.census` of a whole tensor. */
  census(tensor: TensorRange, format: EncodedFormat, columns: CensusColumns | undefined): Promise<Census>;
  /** Unmaps. Further calls throw. */
  close(): Promise<void>;
}

/** Bytes of memory that moving a file takes beside it. */
export interface LiveMemory {
  /** What is known of the steps of its weights, where moves are rare. */
  readonly index: number;
  /** What undoes the last draw, where moves are rare. */
  readonly journal: number;
  /** Ticks that are made ready, and room for more. */
  readonly ready: number;
}

/** Tensors that move in place. Calls for different tensors may be under way at a time, for one tensor they come one after the other. */
export interface LiveFile {
  /** live := pristine, moved. Resolves to the number of changed codes. */
  perturb(tensor: TensorRange, move: TensorMove, watch?: FileWatch): Promise<number>;
  /**
   * `perturb` of all these tensors, by their moves as of this tick; those that do not move are restored. Where moves are rare that takes less time than
   * one tensor after the other.
   */
  draw(moves: readonly RangeMove[], tick: number, watch?: FileWatch): Promise<number>;
  /** A step of all these tensors. Resolves to what it counts. To call it with the same list and step again saves time. */
  step(moves: readonly RangeMove[], tick: number, step: Step, watch?: FileWatch): Promise<number>;
  /**
   * Begins to make ready what `step` would write; the file is not touched. Until that is written or dropped, nothing else may write to what the
   * step reads. Undefined where the system gives no thread, or where there is too much to hold ready.
   */
  prepare(moves: readonly RangeMove[], tick: number, step: Step): Promise<Prepared | undefined>;
  /** How many codes differ from the pristine ones. */
  difference(tensor: TensorRange, format: EncodedFormat): Promise<number>;
  /** What it takes now. */
  memory(): LiveMemory;
  /** live := pristine. */
  restore(tensor: TensorRange, format: EncodedFormat, watch?: FileWatch): Promise<void>;
  /** Unmaps. Further calls throw. */
  close(): Promise<void>;
}
