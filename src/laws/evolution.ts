// An evolution: a law by which weights go from one tick to the next that is more than a plain move, such as a pull and a kick.
// Each is one file beside this one, its step in plain JavaScript being the specification. A backend may have a kernel of it
// under the same name (assembly/core.ts, native/kernels/), which gives the same bytes; one that has none takes the step.

import type { MeanSquares } from "./mean-squares.js";
import type { EncodedFormat, Move } from "./move.js";
import type { Workspace } from "./workspace.js";

export interface Evolution {
  /** What backends know it by: a word of letters. */
  readonly name: string;
  /** What kernels need of the one number that it goes by, for codes of this format: float32, the same on every backend. */
  parameters(strength: number, format: EncodedFormat): Float32Array;
  /**
   * The mean squares of codes of this format that the evolution comes to (docs/theory/dose.md), where sigma goes by column or not. None where it
   * comes to nothing that sigma says.
   */
  stationary?(strength: number, format: EncodedFormat, byColumn: boolean): MeanSquares;
  /**
   * One step of whole blocks of one tensor: `live` goes on, `pristine` is where it began. Returns how many codes of `live`
   * changed. The noise is that of `move`: its key, its tick, its sigma.
   */
  step(live: Uint8Array, pristine: Uint8Array, move: Move, parameters: Float32Array, work: Workspace): number;
}
