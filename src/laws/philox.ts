// Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3", SC'11): a pure function of key and counter.
// Constants and rounds from table 2 of the paper; checked against Random123's known-answer vectors.

import type { Key } from "./move.js";

const M0 = 0xd2511f53;
const M1 = 0xcd9e8d57;
const W0 = 0x9e3779b9;
const W1 = 0xbb67ae85;
const M0_SHARE = M0 / 2 ** 32;
const M1_SHARE = M1 / 2 ** 32;

/**
 * The upper word of x * m, where low = Math.imul(x, m) and share = m / 2^32. In float64 the product is off by at most 2^10 of
 * 2^64, which changes its upper word only where the lower one is within 2^10 of a multiple of 2^32: then, one time in 2^19,
 * halves of words decide.
 */
function upper(x: number, low: number, m: number, share: number): number {
  return (low + 4096) >>> 0 < 8192 ? upperByHalves(x, m) : ((x >>> 0) * share) | 0;
}

/** The same from 16-bit halves: no partial sum reaches 2^53. */
function upperByHalves(x: number, m: number): number {
  const a = x & 0xffff;
  const b = x >>> 16;
  const low = m & 0xffff;
  const high = m >>> 16;
  const t = b * low + (Math.imul(a, low) >>> 16);
  const u = a * high + (t & 0xffff);
  return (Math.imul(b, high) + (t >>> 16) + (u >>> 16)) | 0;
}

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
  // Two blocks at a time, x and y: a block's rounds wait for each other, those of the other one fill the gaps.
  for (let end = from + 4 * count, at = from; at < end; at += 8) {
    let x0 = lo;
    let x1 = hi;
    let x2 = tick | 0;
    let x3 = purpose | 0;
    lo = (lo + 1) | 0;
    if (lo === 0) hi = (hi + 1) | 0;
    let y0 = lo;
    let y1 = hi;
    let y2 = tick | 0;
    let y3 = purpose | 0;
    lo = (lo + 1) | 0;
    if (lo === 0) hi = (hi + 1) | 0;
    let k0 = key0;
    let k1 = key1;
    for (let round = 0; round < 10; round++) {
      const xLow0 = Math.imul(x0, M0);
      const xLow1 = Math.imul(x2, M1);
      const yLow0 = Math.imul(y0, M0);
      const yLow1 = Math.imul(y2, M1);
      const xHigh0 = upper(x0, xLow0, M0, M0_SHARE);
      const xHigh1 = upper(x2, xLow1, M1, M1_SHARE);
      const yHigh0 = upper(y0, yLow0, M0, M0_SHARE);
      const yHigh1 = upper(y2, yLow1, M1, M1_SHARE);
      x0 = xHigh1 ^ x1 ^ k0;
      x1 = xLow1;
      x2 = xHigh0 ^ x3 ^ k1;
      x3 = xLow0;
      y0 = yHigh1 ^ y1 ^ k0;
      y1 = yLow1;
      y2 = yHigh0 ^ y3 ^ k1;
      y3 = yLow0;
      k0 = (k0 + W0) | 0;
      k1 = (k1 + W1) | 0;
    }
    out[at] = x0;
    out[at + 1] = x1;
    out[at + 2] = x2;
    out[at + 3] = x3;
    if (at + 4 >= end) return;
    out[at + 4] = y0;
    out[at + 5] = y1;
    out[at + 6] = y2;
    out[at + 7] = y3;
  }
}
