// Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3", SC'11): a pure function of key and counter.
// Constants and rounds from table 2 of the paper; checked against Random123's known-answer vectors.

import type { Key, Position } from "../contract.js";

const M0 = 0xd2511f53;
const M1 = 0xcd9e8d57;
const W0 = 0x9e3779b9;
const W1 = 0xbb67ae85;
const M0_LO = M0 & 0xffff;
const M0_HI = M0 >>> 16;
const M1_LO = M1 & 0xffff;
const M1_HI = M1 >>> 16;

/**
 * Fills out[from ... from + 4 * count) with the words of `count` blocks, beginning at block (blockLo, blockHi).
 * `out` holds at least from + 4 * count words.
 */
export function fillBlocks(
  out: Uint32Array,
  from: number,
  count: number,
  key: Key,
  blockLo: number,
  blockHi: number,
  tick: number,
  purpose: number,
): void {
  let lo = blockLo | 0;
  let hi = blockHi | 0;
  const key0 = key.k0 | 0;
  const key1 = key.k1 | 0;
  for (let end = from + 4 * count, at = from; at < end; at += 4) {
    let x0 = lo;
    let x1 = hi;
    let x2 = tick | 0;
    let x3 = purpose | 0;
    let k0 = key0;
    let k1 = key1;
    for (let round = 0; round < 10; round++) {
      // High words of x0 * M0 and x2 * M1 from 16-bit halves: no partial sum reaches 2^53, and none needs 64 bits.
      const a = x0 & 0xffff;
      const b = x0 >>> 16;
      const c = x2 & 0xffff;
      const d = x2 >>> 16;
      const t0 = b * M0_LO + (Math.imul(a, M0_LO) >>> 16);
      const u0 = a * M0_HI + (t0 & 0xffff);
      const t1 = d * M1_LO + (Math.imul(c, M1_LO) >>> 16);
      const u1 = c * M1_HI + (t1 & 0xffff);
      const hi0 = (Math.imul(b, M0_HI) + (t0 >>> 16) + (u0 >>> 16)) | 0;
      const hi1 = (Math.imul(d, M1_HI) + (t1 >>> 16) + (u1 >>> 16)) | 0;
      const lo0 = Math.imul(x0, M0);
      const lo1 = Math.imul(x2, M1);
      x0 = hi1 ^ x1 ^ k0;
      x1 = lo1;
      x2 = hi0 ^ x3 ^ k1;
      x3 = lo0;
      k0 = (k0 + W0) | 0;
      k1 = (k1 + W1) | 0;
    }
    out[at] = x0;
    out[at + 1] = x1;
    out[at + 2] = x2;
    out[at + 3] = x3;
    lo = (lo + 1) | 0;
    if (lo === 0) hi = (hi + 1) | 0;
  }
}

const BATCH = 1024; // blocks a batch
const words = new Uint32Array(4 * BATCH);

/**
 * Hands the words of a stream to `use` in batches: `use(words, skip, n, done)` gets n words from words[skip] on, `done` elements after the
 * first. What is shared by every draw that takes one word an element; `words` is only valid during the call.
 */
export function eachWord(
  total: number,
  key: Key,
  at: Position,
  use: (words: Uint32Array, skip: number, n: number, done: number) => void,
): void {
  let { blockLo, blockHi, skip } = at;
  for (let done = 0; done < total; ) {
    const n = Math.min(total - done, 4 * BATCH - skip);
    fillBlocks(words, 0, Math.ceil((skip + n) / 4), key, blockLo, blockHi, at.tick, at.purpose);
    use(words, skip, n, done);
    done += n;
    skip = 0;
    blockLo = (blockLo + BATCH) >>> 0;
    if (blockLo < BATCH) blockHi = (blockHi + 1) >>> 0;
  }
}
