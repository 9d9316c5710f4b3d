// Files in memory: what a backend gives that can map them (native). The others go through positioned reads and writes (files/live/positioned.ts).
// Work runs on threads outside the event loop; the bytes do not depend on how many. What makes it quick (indices, journals, plans, cells drawn
// ahead) is the backend's own: nothing here names it, and no caller has to keep it.

import type { Evolution } from "../laws/evolution.js";
import type { EncodedFormat, Move } from "../laws/move.js";

/** Where a whole tensor lies in a file. Those that a file is asked to move do not overlap. */
export interface TensorRange {
  readonly offset: number;
  readonly bytes: number;
}

/** The move of a whole tensor, from its first weight on. */
export type TensorMove = Omit<Move, "index">;

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
  /** Maps a file for reading. Throws what the system says against it. */
  map(path: string): MappedFile;
  /** Maps a file for writing that began as a copy of `pristine`, which must stay open as long as this one. */
  mapLive(path: string, pristine: MappedFile): LiveFile;
}

export interface MappedFile {
  readonly size: number;
  /** `Kernels.sumSquares` of a whole tensor. */
  sumSquares(tensor: TensorRange, format: EncodedFormat): Promise<number>;
  /** Unmaps. Further calls throw. */
  close(): void;
}

/** Tensors that move in place. Calls for different tensors may be under way at a time, for one tensor they come one after the other. */
export interface LiveFile {
  /** live := pristine, moved. Resolves to the number of changed codes. */
  perturb(tensor: TensorRange, move: TensorMove, watch?: FileWatch): Promise<number>;
  /** live := live, moved. Resolves to the number of changed codes. */
  diffuse(tensor: TensorRange, move: TensorMove, watch?: FileWatch): Promise<number>;
  /** One step of an evolution: `Kernels.evolve`. Resolves to the number of changed codes. */
  evolve(tensor: TensorRange, move: TensorMove, law: Evolution, strength: number, watch?: FileWatch): Promise<number>;
  /**
   * Of each tensor, every cell whose word of Purpose.Collision is below `threshold` at this tick becomes pristine, moved as of this tick.
   * In all, the number of codes of those cells that then differ from the pristine ones. To call it with the same list again saves time.
   */
  collide(moves: readonly RangeMove[], tick: number, threshold: number, watch?: FileWatch): Promise<number>;
  /**
   * Begins to make what `collide` would write, in the background, where it takes a processor only while nobody else wants it; the file is
   * not touched. What comes back writes it, and returns what `collide` would have; or does nothing and returns undefined where it was not
   * done in time: then it never is. Undefined where the system gives no thread, or where there is too much to hold ready.
   */
  prepareCollide(moves: readonly RangeMove[], tick: number, threshold: number): (() => number | undefined) | undefined;
  /** How many codes differ from the pristine ones. */
  difference(tensor: TensorRange, format: EncodedFormat): Promise<number>;
  /** live := pristine. */
  restore(tensor: TensorRange, format: EncodedFormat, watch?: FileWatch): Promise<void>;
  /** Unmaps. Further calls throw. */
  close(): void;
}
