// Deep Sea (Osband, Van Roy, Russo & Wen 2019; bsuite: Osband et al. 2020): a grid of N x N that needs deep exploration. A diver starts at
// the top left and sinks by one row a step; in every cell one action means left and the other right, a coin tossed once says which. Going
// right costs 0.01 / N; going right in the last column pays 1. Of the 2^N courses one finds the treasure (return 0.99), and until it is
// found every reward says: go left.
import { Noise } from "brownian";

/** What an episode of moves to the right costs. */
const MOVE_COST = 0.01;
const TREASURE = 1;

/**
 * Deep Sea of size N. Observations: N x N numbers, 1 where the diver is, row by row; all 0 at the end. Actions: 0 and 1. Episodes have N
 * steps. What environments have in common: observationSize, actions (how many), reset() -> observation, step(action) -> { observation,
 * reward, end } with end undefined, "terminal" (nothing more can come) or "time" (only the clock ran out).
 */
export class DeepSea {
  actions = 2;
  /** Which action goes right, cell by cell. */
  #right;
  #row = 0;
  #column = 0;

  /** @param {number} size N @param {number | bigint} seed of the coins; the same for every episode */
  constructor(size, seed = 0) {
    if (!(Number.isInteger(size) && size >= 1)) throw new RangeError(`Deep Sea needs a size of 1 or more, but got ${size}.`);
    this.size = size;
    this.observationSize = size * size;
    const words = new Noise(seed).stream("deep-sea").bits(new Uint32Array(size * size));
    this.#right = Uint8Array.from(words, (word) => word >>> 31);
  }

  reset() {
    this.#row = 0;
    this.#column = 0;
    return this.#observation();
  }

  step(action) {
    if (this.#row >= this.size) throw new Error("Deep Sea took a step after the end of its episode: call reset() first.");
    const right = action === this.rightAction();
    const last = this.size - 1;
    const reward = right ? (this.#column === last ? TREASURE : 0) - MOVE_COST / this.size : 0;
    this.#column = Math.max(0, Math.min(last, this.#column + (right ? 1 : -1)));
    this.#row++;
    return { observation: this.#observation(), reward, end: this.#row === this.size ? "terminal" : undefined };
  }

  /** The action that goes right where the diver is: what one who knows the map does. */
  rightAction() {
    return this.#right[this.#row * this.size + this.#column];
  }

  #observation() {
    const grid = new Float32Array(this.observationSize);
    if (this.#row < this.size) grid[this.#row * this.size + this.#column] = 1;
    return grid;
  }
}
