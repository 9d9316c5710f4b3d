// Who has the model: one alone, or as many as there are places whose weights are the same. First come, first served, so that nobody waits for ever.

import type { BrownianError } from "../errors.js";

interface Waiting {
  readonly weights: string | undefined;
  admit(place: number): void;
  refuse(error: unknown): void;
}

export class Turns {
  private readonly waiting: Waiting[] = [];
  private readonly taken = new Set<number>();
  /** What those who are there share; undefined for one who is alone. */
  private weights: string | undefined;

  /** @param places how many may be there at once */
  constructor(private readonly places: number) {}

  /** How many are there or wait. */
  get count(): number {
    return this.taken.size + this.waiting.length;
  }

  /**
   * Waits for a place; place 0 for one who is to be alone.
   * @param weights what may be shared with those who name the same; undefined: nothing
   * @throws the signal's reason
   */
  enter(weights: string | undefined, signal?: AbortSignal): Promise<number> {
    return new Promise<number>((resolve, reject) => {
      signal?.throwIfAborted();
      const leave = () => {
        this.waiting.splice(this.waiting.indexOf(one), 1);
        reject(signal?.reason);
        this.next();
      };
      const one: Waiting = {
        weights,
        admit: (place) => {
          signal?.removeEventListener("abort", leave);
          resolve(place);
        },
        refuse: (error) => {
          signal?.removeEventListener("abort", leave);
          reject(error);
        },
      };
      signal?.addEventListener("abort", leave, { once: true });
      this.waiting.push(one);
      this.next();
    });
  }

  leave(place: number): void {
    this.taken.delete(place);
    this.next();
  }

  /** Refuses all who wait. */
  close(error: BrownianError): void {
    for (const one of this.waiting.splice(0)) one.refuse(error);
  }

  private next(): void {
    for (let one = this.waiting[0]; one !== undefined && this.fits(one); one = this.waiting[0]) {
      this.waiting.shift();
      let place = 0;
      while (this.taken.has(place)) place++;
      this.taken.add(place);
      this.weights = one.weights;
      one.admit(place);
    }
  }

  private fits({ weights }: Waiting): boolean {
    if (this.taken.size === 0) return true;
    return weights !== undefined && weights === this.weights && this.taken.size < this.places;
  }
}
