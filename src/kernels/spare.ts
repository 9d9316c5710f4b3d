// Buffers that are used again. What is allocated for every piece of a tick lies outside of V8's heap, fills it in V8's reckoning all the same, and is
// collected many times a second: each time the event loop is held, for 5 to 12 milliseconds where this was measured. Knows nothing of what they hold.

/** Sizes are multiples of this, so that pieces of nearly one size share buffers. */
const GRAIN = 2 ** 16;

/** What lies in a buffer, or is one. */
interface Sized {
  readonly byteLength: number;
}

/**
 * Buffers that nobody has at the moment. Fits for sizes that repeat: where none is large enough, one that is too small goes, so there come to be as
 * many as are in use at once, of the largest sizes.
 */
export class Spare<T extends Sized> {
  private readonly all: T[] = [];

  /** @param make a buffer of so many bytes */
  constructor(private readonly make: (bytes: number) => T) {}

  /** One of so many bytes or more; what is in it is left from its last use. */
  take(bytes: number): T {
    const at = this.all.findIndex(({ byteLength }) => byteLength >= bytes);
    if (at >= 0) return this.all.splice(at, 1)[0] as T;
    this.all.pop();
    return this.make(Math.ceil(bytes / GRAIN) * GRAIN);
  }

  /** It is not in use any more. One whose memory went elsewhere is not kept. */
  give(buffer: T): void {
    if (buffer.byteLength > 0) this.all.push(buffer);
  }

  /** Forgets them. */
  clear(): void {
    this.all.length = 0;
  }
}
