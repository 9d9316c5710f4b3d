// Turns of the event loop: long work that has no thread of its own is done in slices, so that others have theirs in between. One slice at a time,
// whoever asks: two that follow each other at once would be one of twice the length. Knows nothing that only Node has.

/** Milliseconds for which work keeps the event loop; a single piece may take longer. */
export const SLICE = 1;

/** The end of the slices that were asked for so far. */
let last: Promise<unknown> = Promise.resolve();

/** Calls `piece` until it says that it was the last (false), a slice after the other, each after what else is waiting. */
export function inSlices(piece: () => boolean): Promise<void> {
  const all = last.then(async () => {
    for (let more = true; more; ) {
      await turn();
      const began = now();
      do more = piece();
      while (more && now() - began < SLICE);
    }
  });
  last = all.catch(() => undefined);
  return all;
}

/** What `pieces` come to, in slices: begun at once, since mostly there is nothing that takes long. */
export async function inTurns<T>(pieces: Iterator<unknown, T>): Promise<T> {
  let step = pieces.next();
  if (!step.done)
    await inSlices(() => {
      step = pieces.next();
      return !step.done;
    });
  return (step as IteratorReturnResult<T>).value;
}

const now = (): number => globalThis.performance?.now() ?? Date.now();

/** Resolves after what else is waiting. Timers are the last resort: pages let them wait for milliseconds. */
export function turn(): Promise<void> {
  return new Promise((resolve) => {
    if (typeof setImmediate === "function") setImmediate(resolve);
    else if (typeof MessageChannel === "function") {
      const { port1, port2 } = new MessageChannel();
      port1.onmessage = () => {
        port1.close();
        resolve();
      };
      port2.postMessage(null);
    } else setTimeout(resolve, 0);
  });
}
