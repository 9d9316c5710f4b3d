// Deep Sea (Osband, Van Roy, Russo & Wen 2019, section 4; bsuite: Osband et al. 2020): a grid of N x N that needs deep exploration. A diver starts at the top left
// and sinks by one row a step; in every cell one action means left and the other right, a fixed coin says which. Going right costs 0.01 / N; going right in the
// last column pays 1. Only one of 2^N policies finds the treasure (return 0.99), and until it is found every reward says: go left.

import { Noise, type Seed } from "../../src/noise/index.js";
import { type Environment, type Step, takenAfterEnd } from "./environment.js";

/** What an episode of moves to the right costs. */
const MOVE_COST = 0.01;
const TREASURE = 1;

/** Deep Sea of size N. Observations: N x N numbers, 1 where the diver is, row by row; all 0 at the end. Actions: 0 and 1. Episodes have N steps. */
export class DeepSea implements Environment {
  readonly observationSize: number;
  readonly actions = 2;
  /** Which action goes right, cell by cell. */
  private readonly right: Uint8Array;
  private row = 0;
  private column = 0;

  /** @param seed of the coins that say which action goes right; the same coins for every episode. */
  constructor(
    readonly size: number,
    seed: Seed = 0,
  ) {
    if (!(Number.isInteger(size) && size >= 1)) throw new RangeError(`Deep Sea needs a size of 1 or more, but got ${size}.`);
    this.observationSize = size * size;
    const words = new Noise(seed).stream("deep-sea").bits(new Uint32Array(size * size));
    this.right = Uint8Array.from(words, (word) => word >>> 31);
  }

  reset(): Float32Array {
    this.row = 0;
    this.column = 0;
    return this.observation();
  }

  step(action: number): Step {
    if (this.row >= this.size) throw takenAfterEnd("Deep Sea");
    const goesRight = action === this.right[this.row * this.size + this.column];
    const last = this.size - 1;
    const reward = goesRight ? (this.column === last ? TREASURE : 0) - MOVE_COST / this.size : 0;
    this.column = Math.max(0, Math.min(last, this.column + (goesRight ? 1 : -1)));
    this.row++;
    return { observation: this.observation(), reward, end: this.row === this.size ? "terminal" : undefined };
  }

  /** The action that goes right where the diver is: what a diver who knows the map does. */
  rightAction(): number {
    return this.right[this.row * this.size + this.column] as number;
  }

  private observation(): Float32Array {
    const grid = new Float32Array(this.observationSize);
    if (this.row < this.size) grid[this.row * this.size + this.column] = 1;
    return grid;
  }
}
