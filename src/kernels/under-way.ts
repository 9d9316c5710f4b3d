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
