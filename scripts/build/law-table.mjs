// Writes src/laws/tables.ts: the table of the `matched` law. Run by hand (`node scripts/build/law-table.mjs`) when the law changes;
// the result is committed, because a seed must give the same moves for ever. Nothing here runs at build time or at run time.
//
// Row r holds the tails P(|k| >= j), j = 1..COLUMNS, of the move k = floor(s'z + u) (z normal, u uniform) whose variance is v = r/4,
// or, for r = 1, of the three-point law k = -1, 0, 1. They follow from h(a) = E[(s'|z| - a)+] = 2 (s' phi(a/s') - a Q(a/s')):
//   P(|k| >= j) = h(j - 1) - h(j),   Var k = sum over j of (2j - 1) P(|k| >= j).
import { writeFileSync } from "node:fs";

const ROWS = 17; // v = 0, 1/4, ..., 4
const COLUMNS = 16;
const SCALE = 2 ** 15; // tails are stored times 2^15: what 15 random bits are compared with
const FLOOR = 2 ** -32; // the finest that 15 + 32 random bits can tell

/** Upper tail of the standard normal: series below 3, continued fraction (Lentz) above; relative error about 1e-15. */
function tail(x) {
  const phi = Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI);
  if (x < 3) {
    let term = x;
    let sum = x;
    for (let n = 1; Math.abs(term) > 1e-18; n++) {
      term *= (x * x) / (2 * n + 1);
      sum += term;
    }
    return 0.5 - phi * sum;
  }
  let f = x;
  for (let n = 200; n > 0; n--) f = x + n / (n === 200 ? x : f);
  return phi / f;
}

const excess = (s, a) => 2 * ((s * Math.exp((-a * a) / (2 * s * s))) / Math.sqrt(2 * Math.PI) - a * tail(a / s));
const tails = (s) => Array.from({ length: COLUMNS }, (_, i) => Math.max(0, excess(s, i) - excess(s, i + 1)));
const variance = (row) => row.reduce((sum, p, i) => sum + (2 * i + 1) * p, 0);

/** s' by bisection: Var is increasing in s'. */
function solve(v) {
  let lo = 0;
  let hi = 3;
  for (let i = 0; i < 100; i++) {
    const mid = (lo + hi) / 2;
    if (variance(tails(mid)) < v) lo = mid;
    else hi = mid;
  }
  return (lo + hi) / 2;
}

/** Rounds to float32 and lets the first column absorb what rounding did to the variance. */
function rounded(row, v) {
  const out = row.map((p) => (p * SCALE < FLOOR ? 0 : Math.fround(p * SCALE)));
  out[0] = Math.fround(v * SCALE - (variance(out) - out[0]));
  return out;
}

const table = [];
for (let r = 0; r < ROWS; r++) {
  const v = r / 4;
  const row = r < 2 ? [v, ...new Array(COLUMNS - 1).fill(0)] : tails(solve(v));
  table.push(rounded(row, v));
}

// The number of hits in a tile of rare moves: Poisson with means 40, 48, 56 and 64, as 2^32 P(N <= n).
const HITS_MEANS = [40, 48, 56, 64];
const HITS_MOST = 128;
const hits = HITS_MEANS.flatMap((mean) => {
  let probability = Math.exp(-mean);
  let cumulative = 0;
  return Array.from({ length: HITS_MOST }, (_, n) => {
    cumulative += probability;
    probability *= mean / (n + 1);
    return Math.min(2 ** 32 - 1, Math.round(cumulative * 2 ** 32));
  });
});
const hitRows = Array.from({ length: hits.length / 8 }, (_, r) => `  ${hits.slice(r * 8, (r + 1) * 8).join(", ")},`).join("\n");

const body = table
  .map((row, r) => `  // v = ${r / 4}\n  ${row.map((x) => (x === 0 ? "0" : x.toPrecision(9))).join(", ")},`)
  .join("\n");
writeFileSync(
  new URL("../../src/laws/tables.ts", import.meta.url),
  `// The law of \`matched\` moves as numbers: tails P(|k| >= j) times 2^15 for variances v = 0, 1/4, ..., 4 (made by scripts/build/law-table.mjs,
// which has the formulas). All three backends are handed this one table. Frozen: another table is another set of texts for every seed.

/** LAW_ROWS rows (v = row / 4) of LAW_COLUMNS columns (column j - 1 holds P(|k| >= j)). */
// biome-ignore format: one row a variance
export const LAW_TAILS = new Float32Array([
${body}
]);

/** 2^32 P(N <= n) for n = 0, 1, ... hits, N being Poisson: a row of HITS_MOST numbers each for the means ${HITS_MEANS.slice(0, -1).join(", ")} and ${HITS_MEANS.at(-1)}. */
// biome-ignore format: eight a line
export const HITS = new Uint32Array([
${hitRows}
]);
`,
);
for (const [r, row] of table.entries()) console.error(`v = ${r / 4}: variance ${variance(row) / SCALE}`);
