// Dense moves of groups that share a step, many groups at a time: what moves.ts does run by run, for the commonest case, where the table
// serves all runs of a tile (src/laws/alias.ts).

import { drawRuns, inSteps, rounding, rowWord, rowWords, runBytes, sharedBytes, sigma } from "./draws";
import {
  ALIAS,
  ALIAS_FIRST,
  ALIAS_ROW,
  ALIAS_SHIFT,
  ALIAS_STILL,
  GROUP_ROWS,
  GROUP_THRESHOLDS,
  MATCHED,
  MOVES,
  RUN_SCALES,
  RUN_STEPS,
  RUN_VARIANCES,
} from "./memory";
import { drawn, drawRun, MAX_S } from "./moves";
import { SPARSE_VARIANCE } from "./rare-groups";

/** What a tile's runs have among them. */
export const DENSE: i32 = 1;
export const RARE: i32 = 2;
/** Dense runs of a variance that the table does not serve by itself. */
export const LARGE: i32 = 4;

/** The largest variance that the table serves without a grid below it. */
const TABLE_VARIANCE: f32 = 4;

/**
 * Notes the noise of runs [first, first + n) by their steps: a dense one has no variance that counts, one that moves rarely no scale.
 * Returns which of them there are.
 */
export function noteScales(first: i32, n: i32): i32 {
  const at = <usize>first << 2;
  const end = at + (<usize>n << 2);
  const zero = f32x4.splat(0);
  const most = f32x4.splat(MAX_S);
  const noise = f32x4.splat(sigma);
  const sparse = f32x4.splat(rounding == MATCHED ? SPARSE_VARIANCE : 0);
  const tabled = f32x4.splat(rounding == MATCHED ? TABLE_VARIANCE : 0);
  let anyDense = f32x4.splat(0);
  let anyRare = f32x4.splat(0);
  let anyLarge = f32x4.splat(0);
  for (let p = at; p < end; p += 4 * 4) {
    const step = v128.load(RUN_STEPS + p);
    // Beyond the last run there may be anything.
    const there = v128.and(f32x4.gt(step, zero), i32x4.lt_s(i32x4.add(i32x4.splat(<i32>((p - at) >> 2)), i32x4(0, 1, 2, 3)), i32x4.splat(n)));
    const s = v128.and(f32x4.pmin(most, inSteps ? noise : f32x4.div(noise, step)), there);
    const v = f32x4.mul(s, s);
    const rare = f32x4.lt(v, sparse);
    const dense = v128.andnot(s, rare);
    v128.store(RUN_SCALES + p, dense);
    const variance = v128.and(v, rare);
    v128.store(RUN_VARIANCES + p, variance);
    anyDense = v128.or(anyDense, dense);
    anyRare = v128.or(anyRare, variance);
    anyLarge = v128.or(anyLarge, v128.andnot(f32x4.gt(v, tabled), rare));
  }
  return (v128.any_true(anyDense) ? DENSE : 0) | (v128.any_true(anyRare) ? RARE : 0) | (v128.any_true(anyLarge) ? LARGE : 0);
}

/**
 * MOVES of runs [first, first + n) of a tile that begins with the first, 2^log weights each: by the table, and, where there are `large`
 * ones, of those run by run.
 */
export function drawGroups(first: i32, n: i32, log: i32, large: bool): void {
  drawRuns();
  const mask = i32x4.splat((1 << ALIAS_SHIFT) - 1);
  const rowBytes = i32x4.splat(ALIAS_ROW);
  const table = i32x4.splat(<i32>ALIAS - ALIAS_FIRST * ALIAS_ROW);
  const stillRow = i32x4.splat(<i32>ALIAS + ALIAS_STILL * ALIAS_ROW);
  const scales = RUN_SCALES + (<usize>first << 2);
  for (let run = 0; run < n; run += 4) {
    const word =
      log == 5 ? v128.load(rowWords(run << 5)) : i32x4(rowWord(run << log), rowWord((run + 1) << log), rowWord((run + 2) << log), rowWord((run + 3) << log));
    const s = v128.load(scales + (<usize>run << 2));
    // Rounded up or down to a row, so that the variance is what was asked for on average.
    const v = f32x4.mul(s, s);
    const bits = i32x4.add(v, v128.and(word, mask));
    const row = i32x4.add(i32x4.mul(i32x4.shr_u(bits, ALIAS_SHIFT), rowBytes), table);
    const other = v128.or(f32x4.eq(v, f32x4.splat(0)), f32x4.gt(v, f32x4.splat(TABLE_VARIANCE)));
    const place = v128.bitselect(stillRow, row, other);
    v128.store(GROUP_ROWS + (<usize>run << 2), place);
    const variant = i32x4.shl(i32x4.shr_u(word, 29), 4);
    v128.store(GROUP_THRESHOLDS + (<usize>run << 2), i32x4.add(place, i32x4.add(variant, i32x4.splat(32))));
  }
  // A tile begins with a multiple of sixteen weights, of thirty-two where groups are as long.
  let bytes = runBytes(0);
  for (let run = 0, i = 0; run < n; run++) {
    const row = <usize>load<u32>(GROUP_ROWS + (<usize>run << 2));
    const thresholds = <usize>load<u32>(GROUP_THRESHOLDS + (<usize>run << 2));
    const first = v128.load(row);
    const second = v128.load(row, 16);
    const below = v128.load(thresholds);
    const shared = sharedBytes(i);
    v128.store(MOVES + i, drawn(v128.load(bytes), v128.load(shared), first, second, below));
    if (log == 5) {
      v128.store(MOVES + i, drawn(v128.load(bytes, 16), v128.load(shared, 16), first, second, below), 16);
      bytes += 16;
      i += 16;
    }
    bytes += 16;
    i += 16;
  }
  if (!large) return;
  for (let run = 0; run < n; run++) {
    const s = load<f32>(scales + (<usize>run << 2));
    if (s * s > TABLE_VARIANCE) drawRun(run << log, (run + 1) << log, s);
  }
}
