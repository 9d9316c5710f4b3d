// One step of the evolution `relax`: the counterpart of src/laws/relaxation.ts, which holds the formulas.

import { halfToFloat, pack, readStep, stepSize, unpack } from "../codes";
import { beginDraws, beginTile, inSteps, normals, pullWords, roundingWords, sigma } from "../draws";
import {
  finite,
  magnitudeBits,
  MAX_BF16,
  MAX_F16,
  MAX_F32,
  TINY,
  TINY_F16,
  TWO_M10,
  TWO_M23,
  TWO_M7,
  ulp,
} from "../float-moves";
import { codeOfLevel, lastLevel, levelOfCode, meanGap, valueAt } from "../levels";
import { perturb } from "../lattice";
import {
  BEFORE_STAGE,
  BYTES,
  CODES,
  DECAY_COLUMNS,
  DECAY_FIRST,
  DECAY_HEAD,
  F16_KIND,
  F32_KIND,
  field,
  GROUP,
  HI,
  KIND,
  LATTICE_KIND,
  LEVELS,
  LO,
  PARAMETERS,
  PRISTINE_CODES,
  PRISTINE_STAGE,
  STAGE,
  STEP,
  STEP_EXTERNAL,
  STEPS,
  TILE,
  UNIFORM,
  WEIGHTS,
} from "../memory";
import { centredUniform, clamp, COARSE_VARIANCE, kick, lawMove, matchedScale, MAX_S, scaleInSteps, setLaw, SIXTH } from "../moves";
import { beginKicks, beginPulls, dither, forget, isHeavy, isLight } from "../pulls";
import { neighbour } from "../table-moves";

/** Displacements of half floats are cut here, in steps. */
const FARTHEST: f32 = 4194304;

/** The decay's head, and what a kick's variance is made of: alpha + beta x^2 - c. */
let keep: f32 = 0;
let loss: f32 = 0;
let lossRoot: f32 = 0;
let alpha: f32 = 0;
let beta: f32 = 0;

/** Sets alpha and beta for noise of s steps, by a row of betas. */
function setKick(row: i32, s: f32): void {
  const square = s * s;
  const i = max<i32>(0, min<i32>(DECAY_COLUMNS - 1, (reinterpret<i32>(square) >> 20) - DECAY_FIRST));
  beta = load<f32>(PARAMETERS + (<usize>(DECAY_HEAD + row * DECAY_COLUMNS + i) << 2));
  alpha = loss * square - beta * square;
}

function kickVariance(x: f32, added: f32): f32 {
  const v = alpha + beta * (x * x) - added;
  return v > 0 ? v : 0;
}

/** Whether the pull of weight i, `part` of a gap from the lower of two places, goes to the upper one. */
function roundsUp(i: i32, part: f32): bool {
  return <f32>(load<u32>(pullWords() + (<usize>i << 2)) >> 8) * <f32>5.9604644775390625e-8 < part;
}

/** A draw of `matched` of variance v. */
function matchedKick(v: f32, i: i32): i32 {
  if (v > COARSE_VARIANCE) {
    const at = <usize>i << 2;
    return kick(matchedScale(v), load<f32>(normals() + at), centredUniform(load<u32>(roundingWords() + at)));
  }
  setLaw(v);
  return lawMove(i);
}

/** k' of a displacement of k steps where noise is s steps. */
function nextSteps(k: f32, s: f32, i: i32): i32 {
  const size = abs<f32>(k);
  const x = keep * size;
  let pulled = <i32>x;
  const part = x - <f32>pulled;
  if (part > 0 && roundsUp(i, part)) pulled++;
  if (k < 0) pulled = -pulled;
  return s > 0 ? pulled + matchedKick(kickVariance(size, part * (1 - part)), i) : pulled;
}

/**
 * Codes whose values are whole multiples of the step; returns how many changed. Their kicks come later where all of a run have the
 * same.
 */
function pullCodes(from: i32, to: i32, step: f32): i32 {
  const s: f32 = step > 0 ? scaleInSteps(step) : 0;
  if (isLight(s)) return forget(from, to);
  if (isHeavy(s)) return dither(from, to);
  const lo = field(LO);
  const hi = field(HI);
  let changed = 0;
  setKick(0, s);
  for (let i = from; i < to; i++) {
    const p = <i32>load<i8>(PRISTINE_CODES + i);
    const q = <i32>load<i8>(CODES + i);
    const reach = max<i32>(0, min<i32>(p - lo, hi - p));
    const k = max<i32>(-reach, min<i32>(reach, nextSteps(<f32>(q - p), s, i)));
    store<i8>(CODES + i, <i8>(p + k));
    changed += <i32>(p + k != q);
  }
  return changed;
}

/** The last level whose value is at most y. */
function levelBelow(levels: i32, y: f32): i32 {
  const last = lastLevel(levels);
  let level = 0;
  while (level < last && y >= <f32>valueAt(levels, level + 1)) level++;
  return level;
}

/** The level that a kick of variance v leads to from `level`, which is not at an end; no farther than `reach` from `origin`. */
function kickLevel(levels: i32, level: i32, origin: i32, reach: i32, v: f32, i: i32): i32 {
  const at = valueAt(levels, level);
  const up = valueAt(levels, level + 1) - at;
  const down = at - valueAt(levels, level - 1);
  if (v <= <f32>(up * down)) {
    const to = level + neighbour(v, up, down, i);
    const away = abs<i32>(valueAt(levels, to) - origin);
    return away > reach && away > abs<i32>(at - origin) ? level : to;
  }
  const scale = sqrt<f32>(v - <f32>(up * down) * SIXTH);
  const kicked = <f32>at + scale * load<f32>(normals() + (<usize>i << 2));
  const y = max<f32>(<f32>(origin - reach), min<f32>(<f32>(origin + reach), kicked));
  const below = levelBelow(levels, y);
  if (below == lastLevel(levels)) return below;
  const start = valueAt(levels, below);
  const part = (y - <f32>start) / <f32>(valueAt(levels, below + 1) - start);
  return centredUniform(load<u32>(roundingWords() + (<usize>i << 2))) < part ? below + 1 : below;
}

/** The level of a weight after the step. */
function nextLevel(levels: i32, pristine: i32, was: i32, s: f32, i: i32): i32 {
  const last = lastLevel(levels);
  if (pristine <= 0 || pristine >= last) return pristine;
  const origin = valueAt(levels, pristine);
  const x = <f32>(valueAt(levels, was) - origin);
  const y = <f32>origin + keep * x;
  let level = levelBelow(levels, y);
  let added: f32 = 0;
  if (y > <f32>valueAt(levels, level)) {
    const below = y - <f32>valueAt(levels, level);
    added = below * (<f32>valueAt(levels, level + 1) - y);
    if (roundsUp(i, below / <f32>(valueAt(levels, level + 1) - valueAt(levels, level)))) level++;
  }
  if (!(s > 0) || level <= 0 || level >= last) return level;
  setKick(pristine, s);
  const reach = min<i32>(origin - valueAt(levels, 0), valueAt(levels, last) - origin);
  return kickLevel(levels, level, origin, reach, kickVariance(x, added), i);
}

/** Codes that stand for the entries of a table; returns how many changed. */
function relaxLevels(from: i32, to: i32, step: f32): i32 {
  const levels = field(LEVELS);
  let s: f32 = 0;
  if (step > 0) s = min<f32>(inSteps ? sigma * meanGap(levels) : sigma / step, MAX_S);
  let changed = 0;
  for (let i = from; i < to; i++) {
    const q = <i32>load<i8>(CODES + i);
    const p = <i32>load<i8>(PRISTINE_CODES + i);
    const pristine = levelOfCode(levels, p);
    const level = nextLevel(levels, pristine, levelOfCode(levels, q), s, i);
    const code = level == pristine ? p : codeOfLevel(levels, level);
    store<i8>(CODES + i, <i8>code);
    changed += <i32>(code != q);
  }
  return changed;
}

/** a (w - p); a weight that is not finite stands where it belongs. */
function drift(p: f32, w: f32, most: f32): f32 {
  return abs<f32>(w) <= most ? keep * clamp(w - p, most) : 0;
}

function relaxFloats(live: usize, pristine: usize, n: i32): i32 {
  const z = normals();
  let changed = 0;
  for (let i: usize = 0; i < <usize>n << 2; i += 4) {
    const p = load<f32>(pristine + i);
    const before = load<u32>(live + i);
    let to = load<u32>(pristine + i);
    if (abs<f32>(p) <= MAX_F32) {
      const scale = lossRoot * (inSteps ? finite(sigma * ulp(p, TWO_M23, TINY)) : sigma);
      const d = drift(p, reinterpret<f32>(before), MAX_F32) + scale * load<f32>(z + i);
      to = reinterpret<u32>(p + clamp(d, MAX_F32 - abs<f32>(p)));
    }
    store<u32>(live + i, to);
    changed += <i32>(to != before);
  }
  return changed;
}

function relaxHalves(live: usize, pristine: usize, n: i32): i32 {
  const half = field(KIND) == F16_KIND;
  const most = half ? MAX_F16 : MAX_BF16;
  let changed = 0;
  for (let i = 0; i < n; i++) {
    const at = <usize>i << 1;
    const h = <u32>load<u16>(pristine + at);
    const before = <u32>load<u16>(live + at);
    const p = half ? halfToFloat(h) : reinterpret<f32>(h << 16);
    const w = half ? halfToFloat(before) : reinterpret<f32>(before << 16);
    let to = h;
    if (abs<f32>(p) <= most) {
      const d = nextMove(p, w, half ? ulp(p, TWO_M10, TINY_F16) : ulp(p, TWO_M7, TINY), most, i);
      if (d != 0) {
        const y = p + clamp(d, most - abs<f32>(p));
        to = magnitudeBits(y, half, false, load<u32>(roundingWords() + (<usize>i << 2))) | ((reinterpret<u32>(y) >> 16) & 0x8000);
      }
    }
    store<u16>(live + at, <u16>to);
    changed += <i32>(to != before);
  }
  return changed;
}

/** How far from p a half float stands next. */
function nextMove(p: f32, w: f32, step: f32, most: f32, i: i32): f32 {
  const s = scaleInSteps(step);
  if (s < MAX_S) {
    setKick(0, s);
    const steps: f32 = abs<f32>(w) <= most ? clamp((w - p) / step, FARTHEST) : 0;
    return <f32>nextSteps(steps, s, i) * step;
  }
  const scale = lossRoot * (inSteps ? finite(sigma * step) : sigma);
  return drift(p, w, most) + scale * load<f32>(normals() + (<usize>i << 2));
}

/**
 * Relaxes the first `bytes` bytes of the stage towards those of the pristine stage, at most half a leaf; the table of
 * src/laws/decay.ts is in PARAMETERS, and external steps are as for `perturb`.
 */
export function evolve_relax(
  bytes: i32,
  sigma_: f32,
  inSteps_: bool,
  rowLeft: i32,
  rowLength: i32,
  rounding: i32,
  k0: u32,
  k1: u32,
  indexLo: u32,
  indexHi: u32,
  tick: u32,
): i32 {
  beginDraws(sigma_, inSteps_, rounding, k0, k1, tick);
  keep = load<f32>(PARAMETERS);
  loss = load<f32>(PARAMETERS, 4);
  lossRoot = load<f32>(PARAMETERS, 8);
  const kind = field(KIND);
  const weights = field(WEIGHTS);
  const blockBytes = field(BYTES);
  const group = field(GROUP);
  const blocks = bytes / blockBytes;
  const tileBlocks = TILE / weights;
  const external = field(STEP) == STEP_EXTERNAL;
  const uniform = field(LEVELS) == UNIFORM;
  const even = kind == LATTICE_KIND && uniform;
  const firstLeft = rowLeft;
  if (even) memory.copy(BEFORE_STAGE, STAGE, bytes);
  beginPulls(keep, loss);
  let index = (<u64>indexHi << 32) | <u64>indexLo;
  let row = STEPS;
  let changed = 0;
  for (let block = 0; block < blocks; block += tileBlocks) {
    const some = min<i32>(tileBlocks, blocks - block);
    const live = STAGE + block * blockBytes;
    const pristine = PRISTINE_STAGE + block * blockBytes;
    const count = some * weights;
    beginTile(index, count);
    index += <u64>count;
    if (kind != LATTICE_KIND) {
      changed += kind == F32_KIND ? relaxFloats(live, pristine, count) : relaxHalves(live, pristine, count);
      continue;
    }
    unpack(pristine, some);
    memory.copy(PRISTINE_CODES, CODES, count);
    unpack(live, some);
    let changedHere = 0;
    for (let start = 0, g = 0; start < count; ) {
      let end = start + group;
      let step: f32 = 0;
      if (external) {
        step = load<f32>(row);
        end = min<i32>(count, start + rowLeft);
        rowLeft -= end - start;
        if (rowLeft == 0) {
          rowLeft = rowLength;
          row += 4;
        }
      } else {
        step = stepSize(readStep(pristine + (start / weights) * blockBytes, g++));
        if (g * group == weights) g = 0;
      }
      changedHere += uniform ? pullCodes(start, end, step) : relaxLevels(start, end, step);
      start = end;
    }
    if (changedHere > 0) pack(live, some);
    changed += changedHere;
  }
  if (!even) return changed;
  beginKicks(true);
  perturb(bytes, sigma_, inSteps_, firstLeft, rowLength, rounding, k0, k1, indexLo, indexHi, tick);
  beginKicks(false);
  return differences(blocks);
}

/** How many codes of the stage are no longer those of before. */
function differences(blocks: i32): i32 {
  const weights = field(WEIGHTS);
  const blockBytes = field(BYTES);
  const tileBlocks = TILE / weights;
  let changed = 0;
  for (let block = 0; block < blocks; block += tileBlocks) {
    const some = min<i32>(tileBlocks, blocks - block);
    const n = some * weights;
    unpack(BEFORE_STAGE + block * blockBytes, some);
    memory.copy(PRISTINE_CODES, CODES, n);
    unpack(STAGE + block * blockBytes, some);
    let i = 0;
    if (ASC_FEATURE_SIMD) {
      for (; i + 16 <= n; i += 16) {
        changed += popcnt<i32>(i8x16.bitmask(i8x16.ne(v128.load(CODES + i), v128.load(PRISTINE_CODES + i))));
      }
    }
    for (; i < n; i++) changed += <i32>(load<u8>(CODES + i) != load<u8>(PRISTINE_CODES + i));
  }
  return changed;
}
