// Collisions made ready ahead: while whoever looks at the weights is busy with those of one tick, the background
// prepares what collides at the next ones. Writes nothing: what was made ready waits until its tick comes, and is
// dropped where the noise has changed by then.

import type { LiveTensors } from "../files/index.js";
import type { PlannedMove } from "./draw.js";
import type { CheckedNoise } from "./noise.js";

/** Does what was made ready and returns the codes changed; or undefined, with nothing done, where it is not ready yet. */
type Apply = () => number | undefined;

/** What is made ready: collisions at this threshold, by this noise. */
export interface Colliding {
  readonly threshold: number;
  readonly noise: CheckedNoise;
}

interface Ready extends Colliding {
  readonly tick: number;
  /** Resolves when that has begun. */
  readonly begun: Promise<Apply | undefined>;
}

/**
 * Ticks that are made ready ahead where little collides in each: an engine's next token may come sooner than one of
 * them is done.
 */
const TICKS_AHEAD = 8;
const FEW_WEIGHTS = 1e6;

export class Ahead {
  /** In the order of their ticks. */
  private queue: Ready[] = [];

  constructor(private readonly liveTensors: Pick<LiveTensors, "prepareCollide">) {}

  /** What was made ready for this tick, if it was. */
  async take(tick: number, { threshold, noise }: Colliding): Promise<Apply | undefined> {
    const next = this.queue.shift();
    if (next?.tick === tick && next.threshold === threshold && next.noise === noise) return next.begun;
    this.queue = []; // of another time, or by other settings
    return undefined;
  }

  /**
   * Has the ticks after `tick` made ready.
   * @param weights how many there are to move
   * @param plan the moves of a tick
   */
  goOn(
    tick: number,
    { threshold, noise }: Colliding,
    weights: number,
    plan: (tick: number) => Promise<readonly PlannedMove[]>,
  ): void {
    if (this.liveTensors.prepareCollide === undefined) return;
    const colliding = (weights * threshold) / 2 ** 32;
    const most = typeof noise.sigma === "function" || colliding > FEW_WEIGHTS ? 1 : TICKS_AHEAD;
    if (this.queue.length > most / 2) return; // several at a time: to wake the background takes time too
    for (let next = (this.queue.at(-1)?.tick ?? tick) + 1; next <= tick + most; next++) {
      const begun = plan(next).then((moves) => this.liveTensors.prepareCollide?.(moves, next, threshold));
      begun.catch(() => undefined); // said when it is asked for, if it is
      this.queue.push({ tick: next, threshold, noise, begun });
    }
  }

  /** Waits until nothing is being begun any more. */
  async settled(): Promise<void> {
    for (const { begun } of this.queue) await begun.catch(() => undefined);
  }
}
