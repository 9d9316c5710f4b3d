// How many may wait: a bounded queue before the model, which itself lets texts take turns, first come, first served. Who finds no room is told when to
// come back.

import { ApiError } from "./errors.js";

/** The last duration's share in the running mean. */
const RECENT = 0.2;
const LONGEST_WAIT = 60; // seconds

export class Places {
  private count = 0;
  /** That a text takes, from its request on. */
  private seconds = 1;
  private readonly leavers = new Set<() => void>();

  /**
   * @param parallel texts that are written at once
   * @param queue texts that may wait besides
   */
  constructor(
    readonly parallel: number,
    readonly queue: number,
  ) {}

  /** Texts that are written or wait. */
  get taken(): number {
    return this.count;
  }

  get running(): number {
    return Math.min(this.count, this.parallel);
  }

  get waiting(): number {
    return Math.max(0, this.count - this.parallel);
  }

  /** Takes a place for each of `texts`. When one has ended, call what is returned with the seconds that it took. @throws ApiError 429, with Retry-After */
  enter(texts: number): (seconds: number) => void {
    const room = this.parallel + this.queue;
    if (texts > room)
      throw new ApiError(400, `This server has room for ${room} texts, but ${texts} are asked for at once: ask for fewer (n).`, {
        param: "n",
      });
    if (this.count + texts > room) {
      const wait = Math.min(LONGEST_WAIT, Math.max(1, Math.ceil((this.seconds * texts) / this.parallel)));
      throw new ApiError(
        429,
        `All ${room} places are taken (${this.parallel} write, ${this.queue} wait): try again in ${wait} s.`,
        {
          code: "queue_full",
          headers: { "retry-after": String(wait) },
        },
      );
    }
    this.count += texts;
    return (seconds) => {
      this.count--;
      this.seconds += RECENT * (seconds - this.seconds);
      if (this.count === 0) for (const left of this.leavers) left();
    };
  }

  /** Resolves when nobody is there any more. */
  async empty(): Promise<void> {
    if (this.count > 0) await new Promise<void>((resolve) => this.leavers.add(resolve));
  }
}
