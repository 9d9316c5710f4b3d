// What an agent sees of the world.

export interface Step {
  readonly observation: Float32Array;
  readonly reward: number;
  /** "terminal": nothing more can come. "time": only the clock ran out, so what would have come still counts. */
  readonly end: "terminal" | "time" | undefined;
}

export interface Environment {
  readonly observationSize: number;
  /** Actions are whole numbers from 0 to actions - 1. */
  readonly actions: number;
  /** Begins an episode. */
  reset(): Float32Array;
  step(action: number): Step;
}

export function takenAfterEnd(who: string): Error {
  return new Error(`${who} took a step after the end of its episode: call reset() first.`);
}
