// Pieces of work of which several are under way at a time. Knows nothing of what they are.

/**
 * Calls `work` for each of the items, up to `most` at a time. Ends when none is under way, also after an error or an abort: then none is begun any
 * more.
 * @throws the first error of `work`; the signal's reason
 */
export async function underWay<T>(
  items: Iterable<T>,
  most: number,
  work: (item: T) => Promise<void>,
  signal?: AbortSignal,
): Promise<void> {
  const running = new Set<Promise<void>>();
  const failures: unknown[] = [];
  for (const item of items) {
    while (running.size >= most) await Promise.race(running);
    if (signal?.aborted) failures.push(signal.reason);
    if (failures.length > 0) break;
    const one: Promise<void> = work(item)
      .catch((error) => {
        failures.push(error);
      })
      .finally(() => running.delete(one));
    running.add(one);
  }
  await Promise.all(running);
  if (failures.length > 0) throw failures[0];
}

/** Lets so many pieces of work through at a time, in the order in which they come. */
export class Gate {
  private readonly waiting: (() => void)[] = [];

  constructor(private free: number) {}

  /** What `work` comes to, which begins when its turn has come. */
  async through<T>(work: () => Promise<T>): Promise<T> {
    if (this.free > 0) this.free--;
    else await new Promise<void>((resolve) => this.waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = this.waiting.shift();
      if (next === undefined) this.free++;
      else next();
    }
  }
}
