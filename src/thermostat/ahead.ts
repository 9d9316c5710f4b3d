// Steps made ready ahead: while whoever looks at the weights is busy with those of one tick, the background prepares what
// the next ones write. Writes nothing: what was made ready waits until its tick comes, and is dropped where the noise has
// changed by then. Rests on this: between ticks nobody writes to what a step reads, or `drop` is called.

import type { LiveTensors, Prepared } from "../files/index.js";
import { independentTicks, type Step, sameStep, shareOf } from "../kernels/step.js";
import type { PlannedMove } from "./draw.js";
import type { CheckedNoise } from "./noise.js";

/** What is made ready: a step of weights that move by this noise. */
export interface Stepping {
  readonly step: Step;
  readonly noise: CheckedNoise;
}

interface Ready extends Stepping {
  readonly tick: number;
  /** Resolves when that has begun. */
  readonly begun: Promise<Prepared | undefined>;
}

/**
 * Ticks that are made ready ahead where little is done in each: an engine's next token may come sooner than one of them is
 * made.
 */
const TICKS_AHEAD = 8;
const FEW_WEIGHTS = 1e6;

export class Ahead {
  /** In the order of their ticks. */
  private queue: Ready[] = [];

  constructor(private readonly liveTensors: Pick<LiveTensors, "prepare">) {}

  /** What was made ready for this tick, if it was. */
  async take(tick: number, { step, noise }: Stepping): Promise<Prepared | undefined> {
    const next = this.queue[0];
    if (next?.tick === tick && next.noise === noise && sameStep(next.step, step)) {
      this.queue.shift();
      return next.begun;
    }
    await this.drop(); // of another time, or by other settings
    return undefined;
  }

  /**
   * Has the ticks after `tick` made ready.
   * @param weights how many there are to move
   * @param plan the moves of a tick
   */
  goOn(tick: number, { step, noise }: Stepping, weights: number, plan: (tick: number) => Promise<readonly PlannedMove[]>): void {
    if (this.liveTensors.prepare === undefined) return;
    const few = typeof noise.sigma !== "function" && weights * shareOf(step) <= FEW_WEIGHTS;
    const most = few ? Math.min(TICKS_AHEAD, independentTicks(step)) : 1;
    if (this.queue.length > most / 2) return; // several at a time: to wake the background takes time too
    for (let next = (this.queue.at(-1)?.tick ?? tick) + 1; next <= tick + most; next++) {
      const begun = plan(next).then((moves) => this.liveTensors.prepare?.(moves, next, step));
      begun.catch(() => undefined); // said when it is asked for, if it is
      this.queue.push({ tick: next, step, noise, begun });
    }
  }

  /** Forgets what was made ready: the weights are about to change in another way, or no more. */
  async drop(): Promise<void> {
    const dropped = this.queue;
    this.queue = [];
    for (const { begun } of dropped) (await begun.catch(() => undefined))?.drop();
  }
}
