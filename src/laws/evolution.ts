// An evolution: a law by which weights go from one tick to the next that is more than a plain move, such as a pull and a kick. Each is one file
// beside this one, its step in plain JavaScript being the specification; backends that have kernels of it know them by its name.

import type { EncodedFormat, Key, Move, Position } from "./move.js";

/** Where laws get their random words and normals from: any backend. */
export interface NoiseSource {
  bits(out: Uint32Array, key: Key, at: Position): void;
  normal(out: Float32Array, key: Key, at: Position): void;
}

export interface Evolution {
  /** What it is called in native/kernels/ and assembly/. */
  readonly name: string;
  /** What kernels need of the one number that it goes by, for codes of this format: float32, the same on every backend. */
  parameters(strength: number, format: EncodedFormat): Float32Array;
  /**
   * One step of whole blocks of one tensor: `live` goes on, `pristine` is where it began. Returns how many codes of `live` changed.
   * The noise is that of `move`: its key, its tick, its sigma.
   */
  step(live: Uint8Array, pristine: Uint8Array, move: Move, parameters: Float32Array, noise: NoiseSource): number;
}
