// Kicks: what a weight by itself draws, given a variance. There are two laws: that of weights with one sigma (run-kicks.ts),
// and that of weights with a sigma each (columns.ts). What moves weights one by one takes either, and so knows neither. Types
// only.

import type { Draws } from "./draws.js";

export interface Kicks {
  readonly draws: Draws;
  /** Begins a tile of `n` weights, of which the first is weight `index` of the tensor. Its draws have begun. */
  begin(index: number, n: number): void;
  /** Sigma of weight i of the tile, in weight units or in steps, as the move has it. */
  sigma(i: number): number;
  /** A whole number of mean 0 and variance v. */
  steps(v: number, i: number): number;
  /** 1 and -1 with these probabilities, else 0. */
  neighbour(up: number, down: number, i: number): number;
  /** What is added to the half float w with bits h, before it is put on the grid of its format; 0 where it stays as it is. */
  half(h: number, w: number, i: number): number;
  /** The word by which y is rounded to a half float. */
  halfWord(y: number, i: number): number;
}
