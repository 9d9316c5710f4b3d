// What a search is: it asks for members around the centre, is told their rewards, and says how the centre goes on. It knows neither model nor machine.

import type { Member } from "./codes.js";

export interface Strategy {
  readonly name: string;
  /** Draws of the noise a generation. */
  readonly draws: number;
  /** Those whose rewards it wants, in turn, in every generation. */
  readonly members: readonly Member[];
  /** The rewards of a generation (counted from 0), each a finite number; returns how much of each member's move is added to the centre. */
  tell(rewards: readonly number[], generation: number): readonly number[];
  /** What is added at the end, of the draws of some generation. */
  last?(): { readonly generation: number; readonly weights: readonly number[] } | undefined;
}
