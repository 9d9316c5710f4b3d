// The noise of a stream as bits, uniforms and normals, element by element from any position on: Philox words (philox.ts), of
// which normals are made pair by pair (normal.ts). All that other laws draw comes through here.

import type { Key, Position } from "./move.js";
import { normalsFromWords } from "./normal.js";
import { fillBlocks } from "./philox.js";

const TWO_M24 = 2 ** -24;

/** Where laws get random words and normals from: this file, or a backend that makes the same ones faster. */
export interface NoiseSource {
  /** Philox4x32-10 words: element i is word i mod 4 of block floor(i / 4). */
  bits(out: Uint32Array, key: Key, at: Position): void;
  /** Standard normals: words 0 and 1 of a block make its first two, words 2 and 3 the others. |z| <= 6.67. */
  normal(out: Float32Array, key: Key, at: Position): void;
}

export function bits(out: Uint32Array, key: Key, at: Position): void {
  const { blockLo, blockHi, skip, tick, purpose } = at;
  if (skip === 0 && out.length % 4 === 0) fillBlocks(out, 0, out.length / 4, key, blockLo, blockHi, tick, purpose);
  else eachBatch(out.length, key, at, (words, from, n, done) => out.set(words.subarray(from, from + n), done));
}

/** The upper 24 bits of each word, times 2^-24: in [0, 1). */
export function uniform(out: Float32Array, key: Key, at: Position): void {
  eachBatch(out.length, key, at, (words, skip, n, done) => {
    for (let i = 0; i < n; i++) out[done + i] = ((words[skip + i] as number) >>> 8) * TWO_M24;
  });
}

export function normal(out: Float32Array, key: Key, at: Position): void {
  eachBatch(out.length, key, at, (words, skip, n, done) => {
    if (skip % 2 === 0 && n % 2 === 0) return normalsFromWords(out, done, words, skip, n);
    // A pair is cut by an end of what was asked for.
    const first = skip & ~1;
    normalsFromWords(normals, 0, words, first, ((skip + n + 1) & ~1) - first);
    out.set(normals.subarray(skip - first, skip - first + n), done);
  });
}

const BATCH = 256; // blocks
// Scratch of one call, which none keeps. Shared: to make it takes longer (10 us) than to fill what most calls ask for.
const batch = new Uint32Array(4 * BATCH);
const normals = new Float32Array(4 * BATCH);

/**
 * Makes the words of `total` elements in batches: `use(words, skip, n, done)` gets n of them from words[skip] on, `done`
 * elements after the first, and may look at `words` during the call alone.
 */
function eachBatch(
  total: number,
  key: Key,
  at: Position,
  use: (words: Uint32Array, skip: number, n: number, done: number) => void,
): void {
  let { blockLo, blockHi, skip } = at;
  for (let done = 0; done < total; ) {
    const n = Math.min(total - done, 4 * BATCH - skip);
    fillBlocks(batch, 0, Math.ceil((skip + n) / 4), key, blockLo, blockHi, at.tick, at.purpose);
    use(batch, skip, n, done);
    done += n;
    skip = 0;
    blockLo = (blockLo + BATCH) >>> 0;
    if (blockLo < BATCH) blockHi = (blockHi + 1) >>> 0;
  }
}
