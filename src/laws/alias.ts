// The `matched` law of a run as tables that a byte a weight is looked up in: the alias method (A. J. Walker, Electronics
// Letters 10, 127, 1974), with whole numbers throughout. Made once from the tails in tables.ts; all backends are handed this
// table.
//
// A row is the law of |k| at one variance V, as multiples of 2^-15: sixteen equally likely buckets, each with two outcomes, of
// which the first has T of 2048 shares. Eleven bits for the shares are more than a byte has, so a row comes in eight variants:
// one has floor((T + i) / 8) of 256 shares, with another i = 0...7 in each, which add up to T. The counts of outcomes are
// rounded so that the variance is V, exactly.

import { floatOf } from "./float-bits.js";
import { ALIAS_FIRST, ALIAS_ROW, ALIAS_SHIFT, ALIAS_STILL, LAW_COLUMNS, LAW_ROWS } from "./numbers.js";
import { LAW_TAILS } from "./tables.js";

const BUCKETS = 16;
const VARIANTS = 8;
const SHARES = 2048; // a bucket
const ALL = BUCKETS * SHARES;

/**
 * Rows of int8; a first outcome is drawn where a byte (as a signed number) is below the bucket's threshold. Made when first
 * asked for: it takes milliseconds, which an import should not.
 */
export function alias(): Int8Array {
  while (makeAlias());
  return table as Int8Array;
}

let table: Int8Array | undefined;
/** Rows that are made. */
let made = 0;

/** Makes one more row of the table, if it is not made yet; whether there are more to make. */
export function makeAlias(): boolean {
  table ??= new Int8Array((ALIAS_STILL + 1) * ALIAS_ROW);
  if (made < ALIAS_STILL) {
    putRow(table, made * ALIAS_ROW, countsOf(floatOf((ALIAS_FIRST + made) << ALIAS_SHIFT)));
    made++;
  }
  return made < ALIAS_STILL;
}

/** How many of 2^15 equal shares each |k| has at this variance. */
export function countsOf(variance: number): number[] {
  const row = Math.min(Math.floor(4 * variance), LAW_ROWS - 2);
  const weight = 4 * variance - row;
  const tail = (j: number) => {
    if (j > LAW_COLUMNS) return 0;
    const a = LAW_TAILS[row * LAW_COLUMNS + j - 1] as number;
    const b = LAW_TAILS[(row + 1) * LAW_COLUMNS + j - 1] as number;
    return a + (b - a) * weight;
  };
  const counts = new Array<number>(BUCKETS).fill(0);
  // From the largest down; what rounding leaves of the variance goes to the next smaller, and in the end to |k| = 1, which
  // takes it whole.
  let left = 0;
  let rest = variance * ALL;
  let others = 0;
  for (let k = BUCKETS - 1; k > 1; k--) {
    const exact = tail(k) - tail(k + 1) + left / (k * k);
    const count = Math.max(0, Math.round(exact));
    left = (exact - count) * k * k;
    counts[k] = count;
    rest -= count * k * k;
    others += count;
  }
  counts[1] = rest;
  counts[0] = ALL - others - rest;
  return counts;
}

/**
 * Buckets by Vose's method (IEEE Trans. Software Eng. 17, 972, 1991): one that lacks shares takes them from one that has too
 * many.
 */
function putRow(table: Int8Array, at: number, counts: readonly number[]): void {
  const left = [...counts];
  const poor = left.flatMap((count, k) => (count < SHARES ? [k] : []));
  const rich = left.flatMap((count, k) => (count >= SHARES ? [k] : []));
  while (poor.length > 0) {
    const bucket = poor.pop() as number;
    const giver = rich.at(-1) ?? bucket;
    const own = left[bucket] as number;
    putBucket(table, at, bucket, giver, own);
    if (giver === bucket) continue;
    left[giver] = (left[giver] as number) - (SHARES - own);
    if ((left[giver] as number) < SHARES) poor.push(rich.pop() as number);
  }
  for (const bucket of rich) putBucket(table, at, bucket, bucket, 0);
}

/** The outcome with fewer shares comes first, so that thresholds of all variants fit into a byte. */
function putBucket(table: Int8Array, at: number, own: number, other: number, shares: number): void {
  const swap = 2 * shares > SHARES;
  const first = swap ? SHARES - shares : shares;
  table[at + own] = swap ? other : own;
  table[at + BUCKETS + own] = swap ? own : other;
  for (let variant = 0; variant < VARIANTS; variant++) {
    // Another remainder in every bucket: variants then differ little in variance.
    const added = (variant + 3 * own) % VARIANTS;
    table[at + BUCKETS * (2 + variant) + own] = Math.floor((first + added) / VARIANTS) - 128;
  }
}
