// One perturbation: which runs of a tile move in which way, and which kind of weights. The counterpart of src/laws/perturb.ts,
// lattice.ts and runs.ts.

import { beginCodes } from "./code-at";
import { readHalf, readStep, stepSize } from "./codes";
import { DENSE, drawGroups, LARGE, noteScales, RARE } from "./dense-groups";
import { beginDraws, beginTile, count, index, inSteps, key0, key1, rounding, sigma, tick } from "./draws";
import { moveFloats, moveHalves } from "./float-moves";
import {
  BYTES,
  CLASSES,
  F32_KIND,
  field,
  GROUP,
  HALVES,
  HI,
  KIND,
  LATTICE_KIND,
  LEVELS,
  LO,
  MATCHED,
  HIT_GROUP,
  RUN_ENDS,
  RUN_SCALES,
  RUN_STEPS,
  RUN_VARIANCES,
  ROW_SPAN,
  STAGE,
  STEP,
  STEP_EXTERNAL,
  STEP_F16,
  STEP_F16_ORIGIN,
  STEP_OFFSET,
  STEPS,
  TILE,
  UNIFORM,
  WEIGHTS,
} from "./memory";
import { drawRun } from "./moves";
import { areKicks, noiseInSteps } from "./pulls";
import { putMoves } from "./put-moves";
import {
  beginHitGroups,
  moveHitGroup,
  notedHitGroup,
  notedHitGroups,
  noteHitGroup,
  hitGroupBytes,
  SPARSE_VARIANCE,
} from "./rare-groups";
import {
  beginMoved,
  classOf,
  FIRST_CLASS,
  forgetHits,
  forgetMoved,
  hitAt,
  hitsOf,
  LAST_CLASS,
  movedCodes,
  noteMoved,
  placeBits,
  shareOf,
} from "./rare-rows";
import { moveTable } from "./table-moves";

/** Whether there are dense runs in the tile, and runs that move rarely. */
let dense: bool = false;
let rare: bool = false;
/** Whether there are dense ones that the table does not serve by itself. */
let large: bool = false;
/** The binary logarithm of the length of all runs, or -1 where RUN_ENDS has their ends; and that of the hit groups of a run. */
let even: i32 = -1;
let hitGroupsLog: i32 = 0;
/** The run that the tile begins with. */
let firstRun: i32 = 0;

/** Notes the noise of run number `run`: a dense one has no variance that counts, one that moves rarely no scale. */
// @ts-ignore: decorator
@inline
function addRun(run: i32, step: f32): void {
  const s: f32 = step > 0 ? noiseInSteps(step) : 0;
  const v = s * s;
  const isRare = rounding == MATCHED && v < SPARSE_VARIANCE;
  store<f32>(RUN_SCALES + (<usize>run << 2), isRare ? 0 : s);
  store<f32>(RUN_VARIANCES + (<usize>run << 2), isRare ? v : 0);
  if (!isRare && s > 0) dense = true;
  if (isRare && v > 0) rare = true;
}

/** Reads the steps of a tile's groups to RUN_STEPS, from run `firstRun` on; returns how many. */
function readSteps(data: usize, blocks: i32): i32 {
  const blockBytes = field(BYTES);
  const groups = field(WEIGHTS) / field(GROUP);
  let out = RUN_STEPS + (<usize>firstRun << 2);
  if (field(STEP) == STEP_F16 || field(STEP) == STEP_F16_ORIGIN) {
    // The commonest, one group a block: no need to ask for each.
    data += field(STEP_OFFSET);
    if (ASC_FEATURE_SIMD) {
      for (let b = 0; b < blocks; b++, data += blockBytes) store<u16>(HALVES + (<usize>b << 1), load<u16>(data));
      // Shifted into place, a half is 2^112 too small; infinities and what is no number have no step.
      const scale = f32x4.splat(5192296858534827628530496329220096.0);
      for (let b = 0; b < blocks; b += 4) {
        const magnitude = v128.and(v128.load16x4_u(HALVES + (<usize>b << 1)), i32x4.splat(0x7fff));
        const finite = i32x4.lt_s(magnitude, i32x4.splat(0x7c00));
        v128.store(out + (<usize>b << 2), v128.and(f32x4.mul(i32x4.shl(magnitude, 13), scale), finite));
      }
    } else {
      for (let b = 0; b < blocks; b++, data += blockBytes, out += 4) store<f32>(out, stepSize(readHalf(data)));
    }
    return blocks;
  }
  for (let b = 0; b < blocks; b++, data += blockBytes) {
    for (let g = 0; g < groups; g++, out += 4) store<f32>(out, stepSize(readStep(data, g)));
  }
  return blocks * groups;
}

/**
 * Whether no group of the tile is dense, and none has no step: their squares are above what is dense at most, with room for
 * rounding.
 */
function allRare(runs: i32): bool {
  if (rounding != MATCHED || inSteps || areKicks() || sigma <= <f32>1e-15) return false;
  let at = RUN_STEPS + (<usize>firstRun << 2);
  const end = at + (<usize>runs << 2);
  let least: f32 = Infinity;
  for (; at < end; at += 4) least = min<f32>(least, load<f32>(at));
  const square = least * least;
  return square > sigma * sigma * <f32>(1.0 + 1e-6) / SPARSE_VARIANCE && square > <f32>1e-30;
}

/** Notes the hit groups of a tile of which all move rarely: those whose byte times the square of their step is small enough. */
function noteHitGroups(runs: i32): void {
  const limit: f32 = sigma * sigma * <f32>(1.0 + 1e-6) * <f32>(min<i32>(1 << even, HIT_GROUP) << 8);
  const first = firstRun << hitGroupsLog;
  const n = runs << hitGroupsLog;
  const bytes = hitGroupBytes(key0, key1, tick) + first;
  let p = 0;
  if (ASC_FEATURE_SIMD) {
    if (hitGroupsLog == 0) {
      const below = f32x4.splat(limit);
      const steps = RUN_STEPS + (<usize>first << 2);
      for (; p + 8 <= n; p += 8) {
        const byte = v128.load8x8_u(bytes + p);
        const a = v128.load(steps + (<usize>p << 2));
        const b = v128.load(steps + (<usize>p << 2), 16);
        const low = f32x4.mul(f32x4.convert_i32x4_u(i32x4.extend_low_i16x8_u(byte)), f32x4.mul(a, a));
        const high = f32x4.mul(f32x4.convert_i32x4_u(i32x4.extend_high_i16x8_u(byte)), f32x4.mul(b, b));
        let set = i16x8.bitmask(i16x8.narrow_i32x4_s(f32x4.lt(low, below), f32x4.lt(high, below)));
        for (; set != 0; set &= set - 1) noteHitGroup(first + p + ctz<i32>(set));
      }
    }
  }
  for (; p < n; p++) {
    const step = load<f32>(RUN_STEPS + (<usize>(firstRun + (p >> hitGroupsLog)) << 2));
    if (<f32>load<u8>(bytes + p) * (step * step) < limit) noteHitGroup(first + p);
  }
}

/** Notes the hit groups of a tile by the variances of its runs. */
function noteHitGroupsOfSome(runs: i32): void {
  const whole = <f32>(min<i32>(1 << even, HIT_GROUP) << 8);
  const first = firstRun << hitGroupsLog;
  const bytes = hitGroupBytes(key0, key1, tick) + first;
  for (let p = 0, n = runs << hitGroupsLog; p < n; p++) {
    const v = load<f32>(RUN_VARIANCES + (<usize>(firstRun + (p >> hitGroupsLog)) << 2));
    if (<f32>load<u8>(bytes + p) < whole * v) noteHitGroup(first + p);
  }
}

/** Notes the noise of a tile's runs, many at a time. */
function noteRuns(runs: i32): void {
  const kinds = noteScales(firstRun, runs);
  dense = (kinds & DENSE) != 0;
  rare = (kinds & RARE) != 0;
  large = (kinds & LARGE) != 0;
}

/** Moves a tile of groups, but for rare moves: the hit groups that may have some are noted. */
function moveGroups(data: usize, blocks: i32): i32 {
  const runs = readSteps(data, blocks);
  let changed = 0;
  if (allRare(runs)) {
    noteHitGroups(runs);
  } else {
    const together = ASC_FEATURE_SIMD && !areKicks();
    if (ASC_FEATURE_SIMD) {
      if (together) noteRuns(runs);
    }
    if (!together) {
      dense = false;
      rare = false;
      for (let run = firstRun; run < firstRun + runs; run++) addRun(run, load<f32>(RUN_STEPS + (<usize>run << 2)));
    }
    if (rare) noteHitGroupsOfSome(runs);
    if (dense) {
      const tabled = together && rounding == MATCHED && 1 << even <= ROW_SPAN;
      if (ASC_FEATURE_SIMD) {
        if (tabled) drawGroups(firstRun, runs, even, large);
      }
      if (!tabled) drawEach(runs);
      changed = putMoves(data, blocks, count);
    }
  }
  firstRun += runs;
  return changed;
}

/** Makes the rare moves of the leaf's groups. */
function moveRareGroups(): i32 {
  beginCodes();
  let changed = 0;
  const length = <f32>min<i32>(1 << even, HIT_GROUP);
  for (let j = 0, n = notedHitGroups(); j < n; j++) {
    const hitGroup = notedHitGroup(j);
    const step = load<f32>(RUN_STEPS + (<usize>(hitGroup >> hitGroupsLog) << 2));
    const s: f32 = step > 0 ? noiseInSteps(step) : 0;
    const v = s * s;
    if (v < SPARSE_VARIANCE) changed += moveHitGroup(STAGE, hitGroup, v * length, key0, key1, tick);
  }
  return changed;
}

/** The moves of a tile, run by run. */
function drawEach(runs: i32): void {
  for (let run = firstRun, start = 0; run < firstRun + runs; run++) {
    const end = even < 0 ? load<i32>(RUN_ENDS + (<usize>run << 2)) : start + (1 << even);
    drawRun(start, end, load<f32>(RUN_SCALES + (<usize>run << 2)));
    start = end;
  }
}

/** Makes the rare moves of a tile of rows, whose codes are bytes. */
function moveRareRows(data: usize, runs: i32): i32 {
  forgetMoved();
  memory.fill(CLASSES, 0, LAST_CLASS + 1);
  for (let run = 0; run < runs; run++) {
    const v = load<f32>(RUN_VARIANCES + (<usize>run << 2));
    if (v > 0) store<u8>(CLASSES + classOf(v), 1);
  }
  for (let rareClass = LAST_CLASS; rareClass >= FIRST_CLASS; rareClass--) {
    if (load<u8>(CLASSES + rareClass)) moveClass(data, rareClass, runs);
  }
  return movedCodes();
}

function moveClass(data: usize, rareClass: i32, runs: i32): void {
  const lo = field(LO);
  const hi = field(HI);
  const bits = placeBits(rareClass);
  const end = index + <u64>count;
  for (let tile = index >> bits; tile << bits < end; tile++) {
    // As a signed distance from the first weight, so that one comparison finds the hits within.
    const start = (tile << bits) - index;
    const hits = hitsOf(rareClass, tile, key0, key1, tick);
    beginMoved();
    for (let j = 0; j < hits; j++) {
      const hit = hitAt(rareClass, j);
      const place = start + load<u64>(hit);
      if (place >= <u64>count) continue;
      const i = <i32>place;
      const v = load<f32>(RUN_VARIANCES + (<usize>runAt(i, runs) << 2));
      if (v == 0 || classOf(v) != rareClass || load<u32>(hit, 8) >= shareOf(v, rareClass)) continue;
      const q = <i32>load<i8>(data + i);
      if (q <= lo || q >= hi) continue;
      const to = q + load<i32>(hit, 12);
      store<i8>(data + i, <i8>to);
      noteMoved(i, q, to);
    }
  }
}

/** The first run that ends behind weight i. */
function runAt(i: i32, runs: i32): i32 {
  let low = 0;
  for (let high = runs - 1; low < high; ) {
    const middle = (low + high) >> 1;
    if (load<i32>(RUN_ENDS + (<usize>middle << 2)) > i) high = middle;
    else low = middle + 1;
  }
  return low;
}

/**
 * Moves the first `bytes` bytes of the stage, at most one leaf. For external steps, STEPS holds those of the rows touched: the
 * first has `rowLeft` weights left, the others `rowLength`.
 */
export function perturb(
  bytes: i32,
  sigma_: f32,
  inSteps_: bool,
  rowLeft: i32,
  rowLength: i32,
  rounding_: i32,
  k0: u32,
  k1: u32,
  indexLo: u32,
  indexHi: u32,
  tick_: u32,
): i32 {
  if (sigma_ == 0) return 0;
  beginDraws(sigma_, inSteps_, rounding_, k0, k1, tick_);
  let at = (<u64>indexHi << 32) | <u64>indexLo;
  forgetHits();
  const kind = field(KIND);
  const weights = field(WEIGHTS);
  const blockBytes = field(BYTES);
  const blocks = bytes / blockBytes;
  const tileBlocks = TILE / weights;
  const uniform = kind == LATTICE_KIND && field(LEVELS) == UNIFORM;
  const external = field(STEP) == STEP_EXTERNAL;
  const grouped = uniform && !external;
  even = grouped ? ctz<i32>(field(GROUP)) : -1;
  if (grouped) {
    const length = min<i32>(field(GROUP), HIT_GROUP);
    hitGroupsLog = even - ctz<i32>(length);
    beginHitGroups(at / <u64>length, (blocks * weights) / length, length);
  }
  firstRun = 0;
  let row = STEPS;
  let changed = 0;
  for (let block = 0; block < blocks; block += tileBlocks) {
    const some = min<i32>(tileBlocks, blocks - block);
    const data = STAGE + block * blockBytes;
    beginTile(at, some * weights);
    if (uniform && external) {
      let runs = 0;
      dense = false;
      rare = false;
      for (let start = 0; start < count; ) {
        const end = min<i32>(count, start + rowLeft);
        addRun(runs, load<f32>(row));
        store<i32>(RUN_ENDS + (<usize>runs << 2), end);
        runs++;
        rowLeft -= end - start;
        if (rowLeft == 0) {
          rowLeft = rowLength;
          row += 4;
        }
        start = end;
      }
      if (dense) {
        drawEach(runs);
        changed += putMoves(data, some, count);
      }
      if (rare) changed += moveRareRows(data, runs);
    } else if (uniform) {
      changed += moveGroups(data, some);
    } else if (kind == LATTICE_KIND) {
      changed += moveTable(data, some, weights, blockBytes);
    } else if (kind == F32_KIND) changed += moveFloats(data, count);
    else changed += moveHalves(data, count);
    at += <u64>count;
  }
  return grouped ? changed + moveRareGroups() : changed;
}
