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
 * The upper word of x M0, whose lower one is `low`. In float64 the product is off by at most 2^10 of 2^64, which changes its
 * upper word only where the lower one is within 2^10 of a multiple of 2^32: then, one time in 2^19, halves of words decide.
 * A function for each multiplier: with constants in place of arguments it takes two thirds of the time.
 */
function upper0(x: number, low: number): number {
  return (low + 4096) >>> 0 < 8192 ? upperByHalves(x, M0) : ((x >>> 0) * M0_SHARE) | 0;
}

/** The same for M1. */
function upper1(x: number, low: number): number {
  return (low + 4096) >>> 0 < 8192 ? upperByHalves(x, M1) : ((x >>> 0) * M1_SHARE) | 0;
}

/** The upper word of x m from 16-bit halves: no partial sum reaches 2^53. */
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
  const beforeWrap = 2 ** 32 - (blockLo >>> 0);
  fillRun(out, from, Math.min(count, beforeWrap), key, blockLo | 0, blockHi | 0, tick | 0, purpose | 0);
  if (count > beforeWrap)
    fillRun(out, from + 4 * beforeWrap, count - beforeWrap, key, 0, (blockHi + 1) | 0, tick | 0, purpose | 0);
}

/**
 * The same for blocks that share the upper word of their number. Half of what the first two rounds do is then the same in all:
 * after them, words are hi(M1 y) ^ mask0, lo(M1 y), lo(M0 x) ^ mask2, word3, where y = hi(M0 x) ^ start and x is the lowest word of the
 * counter. Four blocks at a time, a to d: a block's rounds wait for each other, those of the others fill the gaps.
 */
function fillRun(
  out: Uint32Array,
  from: number,
  count: number,
  key: Key,
  first: number,
  upper: number,
  tick: number,
  purpose: number,
): void {
  const start = purpose ^ key.k1;
  const second0 = (key.k0 + W0) | 0;
  const second1 = (key.k1 + W1) | 0;
  const mask0 = Math.imul(tick, M1) ^ second0;
  const common = upperByHalves(tick, M1) ^ upper ^ key.k0;
  const mask2 = upperByHalves(common, M0) ^ second1;
  const word3 = Math.imul(common, M0);
  let x = first;
  let at = from;
  for (const end = from + 4 * (count - (count % 4)); at < end; at += 16) {
    const xb = (x + 1) | 0;
    const xc = (x + 2) | 0;
    const xd = (x + 3) | 0;
    let a3 = Math.imul(x, M0);
    let a2 = upper0(x, a3) ^ start;
    let a1 = Math.imul(a2, M1);
    let a0 = upper1(a2, a1) ^ mask0;
    a2 = a3 ^ mask2;
    a3 = word3;
    let b3 = Math.imul(xb, M0);
    let b2 = upper0(xb, b3) ^ start;
    let b1 = Math.imul(b2, M1);
    let b0 = upper1(b2, b1) ^ mask0;
    b2 = b3 ^ mask2;
    b3 = word3;
    let c3 = Math.imul(xc, M0);
    let c2 = upper0(xc, c3) ^ start;
    let c1 = Math.imul(c2, M1);
    let c0 = upper1(c2, c1) ^ mask0;
    c2 = c3 ^ mask2;
    c3 = word3;
    let d3 = Math.imul(xd, M0);
    let d2 = upper0(xd, d3) ^ start;
    let d1 = Math.imul(d2, M1);
    let d0 = upper1(d2, d1) ^ mask0;
    d2 = d3 ^ mask2;
    d3 = word3;
    let k0 = second0;
    let k1 = second1;
    for (let round = 2; round < 10; round++) {
      k0 = (k0 + W0) | 0;
      k1 = (k1 + W1) | 0;
      const aLow0 = Math.imul(a0, M0);
      const aLow1 = Math.imul(a2, M1);
      const aHigh0 = upper0(a0, aLow0);
      a0 = upper1(a2, aLow1) ^ a1 ^ k0;
      a1 = aLow1;
      a2 = aHigh0 ^ a3 ^ k1;
      a3 = aLow0;
      const bLow0 = Math.imul(b0, M0);
      const bLow1 = Math.imul(b2, M1);
      const bHigh0 = upper0(b0, bLow0);
      b0 = upper1(b2, bLow1) ^ b1 ^ k0;
      b1 = bLow1;
      b2 = bHigh0 ^ b3 ^ k1;
      b3 = bLow0;
      const cLow0 = Math.imul(c0, M0);
      const cLow1 = Math.imul(c2, M1);
      const cHigh0 = upper0(c0, cLow0);
      c0 = upper1(c2, cLow1) ^ c1 ^ k0;
      c1 = cLow1;
      c2 = cHigh0 ^ c3 ^ k1;
      c3 = cLow0;
      const dLow0 = Math.imul(d0, M0);
      const dLow1 = Math.imul(d2, M1);
      const dHigh0 = upper0(d0, dLow0);
      d0 = upper1(d2, dLow1) ^ d1 ^ k0;
      d1 = dLow1;
      d2 = dHigh0 ^ d3 ^ k1;
      d3 = dLow0;
    }
    out[at] = a0;
    out[at + 1] = a1;
    out[at + 2] = a2;
    out[at + 3] = a3;
    out[at + 4] = b0;
    out[at + 5] = b1;
    out[at + 6] = b2;
    out[at + 7] = b3;
    out[at + 8] = c0;
    out[at + 9] = c1;
    out[at + 10] = c2;
    out[at + 11] = c3;
    out[at + 12] = d0;
    out[at + 13] = d1;
    out[at + 14] = d2;
    out[at + 15] = d3;
    x = (x + 4) | 0;
  }
  for (const end = from + 4 * count; at < end; at += 4) {
    let x3 = Math.imul(x, M0);
    let x2 = upper0(x, x3) ^ start;
    let x1 = Math.imul(x2, M1);
    let x0 = upper1(x2, x1) ^ mask0;
    x2 = x3 ^ mask2;
    x3 = word3;
    let k0 = second0;
    let k1 = second1;
    for (let round = 2; round < 10; round++) {
      k0 = (k0 + W0) | 0;
      k1 = (k1 + W1) | 0;
      const low0 = Math.imul(x0, M0);
      const low1 = Math.imul(x2, M1);
      const high0 = upper0(x0, low0);
      x0 = upper1(x2, low1) ^ x1 ^ k0;
      x1 = low1;
      x2 = high0 ^ x3 ^ k1;
      x3 = low0;
    }
    out[at] = x0;
    out[at + 1] = x1;
    out[at + 2] = x2;
    out[at + 3] = x3;
    x = (x + 1) | 0;
  }
}
