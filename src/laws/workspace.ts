// What a backend works in: the draws of a tile of weights, and room for its codes or floats, live and pristine. Each backend
// has one of its own, and one call at a time uses it.

import { Draws, TILE } from "./draws.js";
import type { Move } from "./move.js";
import { Law } from "./moves.js";
import type { NoiseSource } from "./noise.js";
import { Field } from "./numbers.js";
import { RareGroups } from "./rare-groups.js";
import { RareRows } from "./rare-rows.js";
import { Runs } from "./runs.js";

/** Room for the weights of a tile: one buffer as codes, floats, half floats. */
export class Weights {
  readonly floats = new Float32Array(TILE);
  readonly bits = new Uint32Array(this.floats.buffer);
  readonly halves = new Uint16Array(this.floats.buffer);
  readonly codes = new Int8Array(this.floats.buffer, 0, TILE);
  readonly bytes = new Uint8Array(this.floats.buffer);
}

export class Workspace {
  readonly draws: Draws;
  readonly live = new Weights();
  readonly pristine = new Weights();
  /** For laws of single weights: the one that was set last (run-kicks.ts), and the sigma of each weight of the tile (columns.ts). */
  readonly law = new Law();
  readonly sigmas = new Float32Array(TILE);
  readonly runs = new Runs();
  readonly rareGroups = new RareGroups();
  readonly rareRows = new RareRows();

  constructor(noise: NoiseSource) {
    this.draws = new Draws(noise);
  }

  /**
   * Goes through `length` bytes of whole blocks, tile by tile: begins the draws of each and calls `use` with where it lies, how
   * many blocks it has, and the tensor's number of its first weight. Returns the sum of what `use` returned.
   */
  eachTile(length: number, move: Move, use: (from: number, blocks: number, index: number) => number): number {
    const weights = move.format[Field.weights] as number;
    const bytes = move.format[Field.bytes] as number;
    const tileBlocks = TILE / weights;
    const blocks = Math.floor(length / bytes);
    let sum = 0;
    for (let block = 0; block < blocks; block += tileBlocks) {
      const count = Math.min(tileBlocks, blocks - block);
      const index = move.index + block * weights;
      this.draws.begin(move.key, move.tick, index, count * weights);
      sum += use(block * bytes, count, index);
    }
    return sum;
  }
}
