// What a dynamics is: the rule by which the noise goes from one tick to the next. Each is one file beside this one and one line in index.ts.

/** What one draw did, over all chosen tensors. */
export interface Drawn {
  /** Weights that could move. */
  readonly weights: number;
  /** Codes (or floats) that differ from the pristine model's. */
  readonly changed: number;
}

/** The live weights as a dynamics sees them. */
export interface Bath {
  /** live := pristine + the noise of this tick, independent of every other tick's. */
  draw(tick: number): Promise<Drawn>;
  /** What the last draw did. */
  readonly drawn: Drawn;
}

export interface Dynamics {
  readonly name: string;
  /** One line for help texts. */
  readonly summary: string;
  /** Whether the weights change between ticks (if not, an engine that does not see writes can be used all the same). */
  readonly moves: boolean;
  /** Takes the bath from tick - 1 to tick. */
  step(bath: Bath, tick: number): Promise<Drawn>;
}
