// Moves whose sigma goes by column (scale "imatrix"): every weight has a variance v = s^2 of its own, so no law can be prepared for a run of
// them. This one needs no table, and its variance is exactly v (docs/theory/moves.md):
//
//   v < 1/4:  k = +-1, each with probability v / 2
//   else:     k = round(s' z + u1 - u2) with s'^2 = v - 1/4, z normal, u1 and u2 uniform
//
// A difference of two uniforms makes the variance of rounding 1/4 whatever is rounded (Lipshitz, Wannamaker & Vanderkooy, J. Audio Eng.
// Soc. 40, 1992). Also the step of `langevin` under this law; the rest of its formulas is in langevin.ts. The specification of
// native/kernels/columns.inl.h; WebAssembly borrows it.

import { type Group, halfToFloat, pack, readGroup, stepSize, unpack } from "./codes.js";
import type { Decay } from "./decay.js";
import type { NoiseSource } from "./evolution.js";
import { finite, limitOf, magnitudeBits, ulp } from "./floats.js";
import { alphaOf, betaOf, drift, FARTHEST, kickVariance, levelBelow } from "./langevin.js";
import { codeOfLevel, levelOfCode, levelsOf, scaleOfTable } from "./levels.js";
import type { Columns, EncodedFormat, Move } from "./move.js";
import { centredUniform, MAX_S, scaleInSteps, TILE } from "./moves.js";
import { Field, Kind, Levels, Purpose } from "./numbers.js";

const f = Math.fround;
const SIXTH = f(1 / 6);
const TWO_M16 = 2 ** -16;
const TWO_M24 = 2 ** -24;
const TWO_31 = 2 ** 31;
const TWO_32 = 2 ** 32;
/** Below this variance moves are single steps; above, it is what rounding adds. */
const DITHER = 0.25;

/** The draws of one tile, each made when first asked for. */
class ColumnDraws {
  private readonly words = new Uint32Array(TILE);
  private readonly normals = new Float32Array(TILE);
  private readonly roundings = new Uint32Array(TILE);
  private readonly pulls = new Uint32Array(TILE);
  private readonly refined = new Uint32Array(1);
  private hasWords = false;
  private hasNormals = false;
  private hasRoundings = false;
  private hasPulls = false;
  private index = 0;
  private count = 0;

  constructor(
    private readonly kernels: NoiseSource,
    private readonly move: Move,
  ) {}

  begin(index: number, count: number): void {
    this.index = index;
    this.count = count;
    this.hasWords = false;
    this.hasNormals = false;
    this.hasRoundings = false;
    this.hasPulls = false;
  }

  /** 32 random bits for the move of weight `i` of the tile. */
  word(i: number): number {
    if (!this.hasWords) this.fill(this.words, Purpose.Column);
    this.hasWords = true;
    return this.words[i] as number;
  }

  normal(i: number): number {
    if (!this.hasNormals)
      this.kernels.normal(this.normals.subarray(0, this.count), this.move.key, this.at(this.index, Purpose.Normal));
    this.hasNormals = true;
    return this.normals[i] as number;
  }

  roundingWord(i: number): number {
    if (!this.hasRoundings) this.fill(this.roundings, Purpose.Rounding);
    this.hasRoundings = true;
    return this.roundings[i] as number;
  }

  pullWord(i: number): number {
    if (!this.hasPulls) this.fill(this.pulls, Purpose.Pull);
    this.hasPulls = true;
    return this.pulls[i] as number;
  }

  /** 32 more bits for the few weights that `word` left open. */
  refine(i: number): number {
    this.kernels.bits(this.refined, this.move.key, this.at(this.index + i, Purpose.Refine));
    return this.refined[0] as number;
  }

  private fill(out: Uint32Array, purpose: number): void {
    this.kernels.bits(out.subarray(0, this.count), this.move.key, this.at(this.index, purpose));
  }

  private at(index: number, purpose: number) {
    const block = Math.floor(index / 4);
    const { tick } = this.move;
    return { blockLo: block >>> 0, blockHi: Math.floor(block / TWO_32), skip: index % 4, tick, purpose };
  }
}

/** The move of a weight of variance v: mean 0. */
function kick(v: number, draws: ColumnDraws, i: number): number {
  const w = draws.word(i);
  if (v < DITHER) {
    const t = v * TWO_31;
    return below(w >>> 1, t, draws, i) ? 1 - 2 * (w & 1) : 0;
  }
  const y = f(f(f(Math.sqrt(f(v - DITHER))) * draws.normal(i)) + ((w >>> 16) - (w & 0xffff)) * TWO_M16);
  const k = Math.floor(f(Math.abs(y) + 0.5));
  return y < 0 ? -k : k;
}

/** Whether random bits w, with 32 more where they do not decide, are below a threshold. */
function below(w: number, threshold: number, draws: ColumnDraws, i: number): boolean {
  const high = Math.floor(threshold);
  return w < high || (w === high && draws.refine(i) < Math.floor((threshold - high) * TWO_32));
}

const codes = new Int8Array(TILE);
const pristineCodes = new Int8Array(TILE);
const steps = new Float32Array(TILE);
const sigmas = new Float32Array(TILE);
const group: Group = { step: 0, origin: 0 };
const floats = new Float32Array(TILE);
const pristineFloats = new Float32Array(TILE);
const bits = new Uint32Array(floats.buffer);
const pristineBits = new Uint32Array(pristineFloats.buffer);
const bytesOf = new Uint8Array(floats.buffer);
const pristineBytesOf = new Uint8Array(pristineFloats.buffer);
const halves = new Uint16Array(floats.buffer);
const pristineHalves = new Uint16Array(pristineFloats.buffer);
const widened = new Float32Array(1);
const widenedBits = new Uint32Array(widened.buffer);

/** Moves whole blocks in place by a move with columns; returns how many codes changed. */
export function perturbColumns(data: Uint8Array, move: Move, kernels: NoiseSource): number {
  if (move.sigma === 0) return 0;
  return eachTile(data, move, kernels, (from, blocks, n, draws) => {
    const { format } = move;
    const kind = format[Field.kind] as number;
    if (kind === Kind.lattice) {
      unpack(codes, data, from, blocks, format);
      readSteps(data, from, blocks, format);
      const changed = format[Field.levels] === Levels.uniform ? moveCodes(n, move, draws) : moveLevels(n, move, draws);
      if (changed > 0) pack(codes, data, from, blocks, format);
      return changed;
    }
    const bytes = n * (format[Field.bytes] as number);
    bytesOf.set(data.subarray(from, from + bytes));
    const changed = kind === Kind.f32 ? moveFloats(n, move, draws) : moveHalves(n, kind, move, draws);
    if (changed > 0) data.set(bytesOf.subarray(0, bytes), from);
    return changed;
  });
}

/** The evolution `relax` by a move with columns. */
export function relaxColumns(data: Uint8Array, pristine: Uint8Array, move: Move, decay: Decay, kernels: NoiseSource): number {
  return eachTile(data, move, kernels, (from, blocks, n, draws) => {
    const { format } = move;
    const kind = format[Field.kind] as number;
    if (kind === Kind.lattice) {
      unpack(codes, data, from, blocks, format);
      unpack(pristineCodes, pristine, from, blocks, format);
      readSteps(pristine, from, blocks, format);
      const relaxed = format[Field.levels] === Levels.uniform ? relaxCodes : relaxLevels;
      const changed = relaxed(n, move, decay, draws);
      if (changed > 0) pack(codes, data, from, blocks, format);
      return changed;
    }
    const bytes = n * (format[Field.bytes] as number);
    bytesOf.set(data.subarray(from, from + bytes));
    pristineBytesOf.set(pristine.subarray(from, from + bytes));
    const changed = kind === Kind.f32 ? relaxFloats(n, move, decay, draws) : relaxHalves(n, kind, move, decay, draws);
    if (changed > 0) data.set(bytesOf.subarray(0, bytes), from);
    return changed;
  });
}

/** Sums `work` over tiles, with the sigma of each weight of the tile in `sigmas`. */
function eachTile(
  data: Uint8Array,
  move: Move,
  kernels: NoiseSource,
  work: (from: number, blocks: number, n: number, draws: ColumnDraws) => number,
): number {
  const weights = move.format[Field.weights] as number;
  const bytes = move.format[Field.bytes] as number;
  const blocksPerTile = TILE / weights;
  const blocks = Math.floor(data.length / bytes);
  const draws = new ColumnDraws(kernels, move);
  let changed = 0;
  for (let block = 0; block < blocks; block += blocksPerTile) {
    const count = Math.min(blocksPerTile, blocks - block);
    const index = move.index + block * weights;
    draws.begin(index, count * weights);
    setSigmas(index, count * weights, move.sigma, move.columns as Columns);
    changed += work(block * bytes, count, count * weights, draws);
  }
  return changed;
}

function setSigmas(index: number, n: number, sigma: number, { factors, width, matrix }: Columns): void {
  let at = Math.floor(index / matrix) * width + (index % width);
  let leftInRow = width - (index % width);
  let leftInMatrix = matrix - (index % matrix);
  for (let i = 0; i < n; ) {
    const end = i + Math.min(leftInRow, n - i);
    leftInMatrix -= end - i;
    for (; i < end; i++) sigmas[i] = finite(sigma * (factors[at++] as number));
    if (leftInMatrix > 0) at -= width;
    else leftInMatrix = matrix;
    leftInRow = width;
  }
}

/** The step of every weight of a tile; 0 where there is none. */
function readSteps(data: Uint8Array, from: number, blocks: number, format: EncodedFormat): void {
  const length = format[Field.group] as number;
  const groups = (format[Field.weights] as number) / length;
  for (let block = 0, i = 0; block < blocks; block++) {
    for (let g = 0; g < groups; g++, i += length) {
      readGroup(group, data, from + block * (format[Field.bytes] as number), g, format);
      steps.fill(stepSize(group.step), i, i + length);
    }
  }
}

/** s of weight i of a tile of codes that are whole multiples of the step. */
function scaleOf(i: number, inSteps: boolean): number {
  const step = steps[i] as number;
  return step > 0 ? scaleInSteps(sigmas[i] as number, inSteps, step) : 0;
}

function moveCodes(n: number, { format, inSteps }: Move, draws: ColumnDraws): number {
  const lo = format[Field.lo] as number;
  const hi = format[Field.hi] as number;
  let changed = 0;
  for (let i = 0; i < n; i++) {
    const s = scaleOf(i, inSteps);
    if (s === 0) continue;
    const q = codes[i] as number;
    const room = Math.max(0, Math.min(q - lo, hi - q));
    const k = Math.max(-room, Math.min(room, kick(f(s * s), draws, i)));
    if (k === 0) continue;
    codes[i] = q + k;
    changed++;
  }
  return changed;
}

/** s of weight i of a tile of codes that stand for the entries of a table. */
function scaleOfLevel(i: number, levels: number, inSteps: boolean): number {
  const step = steps[i] as number;
  return step > 0 ? scaleOfTable(levels, step, { inSteps, sigma: sigmas[i] as number } as Move) : 0;
}

function moveLevels(n: number, { format, inSteps }: Move, draws: ColumnDraws): number {
  const levels = format[Field.levels] as number;
  const values = levelsOf(levels);
  const last = values.length - 1;
  let changed = 0;
  for (let i = 0; i < n; i++) {
    const level = levelOfCode(levels, codes[i] as number);
    const s = scaleOfLevel(i, levels, inSteps);
    if (s === 0 || level === 0 || level === last) continue;
    const x = values[level] as number;
    const room = Math.min(x - (values[0] as number), (values[last] as number) - x);
    const to = kickLevel(values, level, x, room, f(s * s), draws, i);
    if (to === level) continue;
    codes[i] = codeOfLevel(levels, to);
    changed++;
  }
  return changed;
}

/** The level that a kick of variance v leads to from `level`, which is not at an end; no farther than `room` from `origin`. */
function kickLevel(
  values: readonly number[],
  level: number,
  origin: number,
  room: number,
  v: number,
  draws: ColumnDraws,
  i: number,
): number {
  const at = values[level] as number;
  const up = (values[level + 1] as number) - at;
  const down = at - (values[level - 1] as number);
  if (v <= up * down) {
    const w = draws.word(i);
    let to = level;
    if (below(w, f(v / (up * (up + down))) * TWO_32, draws, i)) to++;
    else if (below(TWO_32 - 1 - w, f(v / (down * (up + down))) * TWO_32, draws, i)) to--;
    const away = Math.abs((values[to] as number) - origin);
    return away > room && away > Math.abs(at - origin) ? level : to;
  }
  const scale = f(Math.sqrt(f(v - f(up * down * SIXTH))));
  const y = Math.max(origin - room, Math.min(origin + room, f(at + f(scale * draws.normal(i)))));
  const lower = levelBelow(values, y);
  if (lower === values.length - 1) return lower;
  const start = values[lower] as number;
  const part = f(f(y - start) / ((values[lower + 1] as number) - start));
  return centredUniform(draws.roundingWord(i)) < part ? lower + 1 : lower;
}

const clamp = (x: number, limit: number): number => Math.max(-limit, Math.min(limit, x));

function moveFloats(n: number, { inSteps }: Move, draws: ColumnDraws): number {
  const most = limitOf(Kind.f32);
  let changed = 0;
  for (let i = 0; i < n; i++) {
    const w = floats[i] as number;
    if (!(Math.abs(w) <= most)) continue;
    const sigma = inSteps ? finite(f((sigmas[i] as number) * ulp(w, Kind.f32))) : (sigmas[i] as number);
    const moved = f(w + clamp(f(sigma * draws.normal(i)), f(most - Math.abs(w))));
    if (moved === w) continue;
    floats[i] = moved;
    changed++;
  }
  return changed;
}

const widen = (h: number, kind: number): number => {
  if (kind === Kind.f16) return halfToFloat(h);
  widenedBits[0] = h << 16;
  return widened[0] as number;
};

/** F16 and BF16: within the binade of w a lattice of step ulp(w). */
function moveHalves(n: number, kind: number, { inSteps }: Move, draws: ColumnDraws): number {
  const most = limitOf(kind);
  let changed = 0;
  for (let i = 0; i < n; i++) {
    const h = halves[i] as number;
    const w = widen(h, kind);
    const sigma = sigmas[i] as number;
    if (!(Math.abs(w) <= most) || sigma === 0) continue;
    const step = ulp(w, kind);
    const s = scaleInSteps(sigma, inSteps, step);
    // Beyond MAX_S the rounding is too fine to matter, and s no longer tells sigma.
    const d = s < MAX_S ? f(kick(f(s * s), draws, i) * step) : f((inSteps ? finite(f(sigma * step)) : sigma) * draws.normal(i));
    if (d === 0) continue;
    const y = f(w + clamp(d, f(most - Math.abs(w))));
    const to = halfOf(y, kind, draws, i);
    if (to === h) continue;
    halves[i] = to;
    changed++;
  }
  return changed;
}

/** y on the grid of F16 or BF16, rounded stochastically where that is coarser. */
function halfOf(y: number, kind: number, draws: ColumnDraws, i: number): number {
  return magnitudeBits(y, kind, draws.roundingWord(i)) | (y < 0 || Object.is(y, -0) ? 0x8000 : 0);
}

/** Whether the pull of weight i, `part` of a gap from the lower of two places, goes to the upper one. */
const roundsUp = (i: number, part: number, draws: ColumnDraws): boolean => (draws.pullWord(i) >>> 8) * TWO_M24 < part;

/** The next displacement of one of x steps, by a pull and a kick. */
function nextSteps(x: number, s: number, decay: Decay, draws: ColumnDraws, i: number): number {
  const size = Math.abs(x);
  const pulledTo = f((decay[0] as number) * size);
  const whole = Math.floor(pulledTo);
  const part = f(pulledTo - whole);
  const pulled = part > 0 && roundsUp(i, part, draws) ? whole + 1 : whole;
  const square = f(s * s);
  const beta = betaOf(decay, 0, square);
  const v = kickVariance(alphaOf(decay, beta, square), beta, size, f(part * f(1 - part)));
  return (x < 0 ? -pulled : pulled) + (s > 0 ? kick(v, draws, i) : 0);
}

function relaxCodes(n: number, { format, inSteps }: Move, decay: Decay, draws: ColumnDraws): number {
  const lo = format[Field.lo] as number;
  const hi = format[Field.hi] as number;
  let changed = 0;
  for (let i = 0; i < n; i++) {
    const p = pristineCodes[i] as number;
    const q = codes[i] as number;
    const room = Math.max(0, Math.min(p - lo, hi - p));
    const k = Math.max(-room, Math.min(room, nextSteps(q - p, scaleOf(i, inSteps), decay, draws, i)));
    if (p + k === q) continue;
    codes[i] = p + k;
    changed++;
  }
  return changed;
}

function relaxLevels(n: number, { format, inSteps }: Move, decay: Decay, draws: ColumnDraws): number {
  const levels = format[Field.levels] as number;
  const values = levelsOf(levels);
  const last = values.length - 1;
  let changed = 0;
  for (let i = 0; i < n; i++) {
    const pristineLevel = levelOfCode(levels, pristineCodes[i] as number);
    let code = pristineCodes[i] as number;
    if (pristineLevel > 0 && pristineLevel < last) {
      const origin = values[pristineLevel] as number;
      const room = Math.min(origin - (values[0] as number), (values[last] as number) - origin);
      const x = (values[levelOfCode(levels, codes[i] as number)] as number) - origin;
      const y = f(origin + f((decay[0] as number) * x));
      let level = levelBelow(values, y);
      let added = 0;
      if (y > (values[level] as number)) {
        const lower = f(y - (values[level] as number));
        added = f(lower * f((values[level + 1] as number) - y));
        if (roundsUp(i, f(lower / ((values[level + 1] as number) - (values[level] as number))), draws)) level++;
      }
      const s = scaleOfLevel(i, levels, inSteps);
      if (s > 0 && level > 0 && level < last) {
        const square = f(s * s);
        const beta = betaOf(decay, pristineLevel, square);
        const v = kickVariance(alphaOf(decay, beta, square), beta, x, added);
        level = kickLevel(values, level, origin, room, v, draws, i);
      }
      if (level !== pristineLevel) code = codeOfLevel(levels, level);
    }
    if (code === codes[i]) continue;
    codes[i] = code;
    changed++;
  }
  return changed;
}

function relaxFloats(n: number, { inSteps }: Move, decay: Decay, draws: ColumnDraws): number {
  const most = limitOf(Kind.f32);
  let changed = 0;
  for (let i = 0; i < n; i++) {
    const p = pristineFloats[i] as number;
    const before = bits[i];
    if (!(Math.abs(p) <= most)) {
      bits[i] = pristineBits[i] as number;
    } else {
      const sigma = sigmas[i] as number;
      const scale = f((decay[2] as number) * (inSteps ? finite(f(sigma * ulp(p, Kind.f32))) : sigma));
      const d = f(drift(decay[0] as number, p, floats[i] as number, most) + f(scale * draws.normal(i)));
      floats[i] = f(p + clamp(d, f(most - Math.abs(p))));
    }
    if (bits[i] !== before) changed++;
  }
  return changed;
}

function relaxHalves(n: number, kind: number, { inSteps }: Move, decay: Decay, draws: ColumnDraws): number {
  const most = limitOf(kind);
  let changed = 0;
  for (let i = 0; i < n; i++) {
    const h = pristineHalves[i] as number;
    const p = widen(h, kind);
    const w = widen(halves[i] as number, kind);
    let to = h;
    if (Math.abs(p) <= most) {
      const sigma = sigmas[i] as number;
      const step = ulp(p, kind);
      const s = scaleInSteps(sigma, inSteps, step);
      let d: number;
      if (s < MAX_S) {
        const x = Math.abs(w) <= most ? clamp(f(f(w - p) / step), FARTHEST) : 0;
        d = f(nextSteps(x, s, decay, draws, i) * step);
      } else {
        const scale = f((decay[2] as number) * (inSteps ? finite(f(sigma * step)) : sigma));
        d = f(drift(decay[0] as number, p, w, most) + f(scale * draws.normal(i)));
      }
      if (d !== 0) to = halfOf(f(p + clamp(d, f(most - Math.abs(p)))), kind, draws, i);
    }
    if (to === halves[i]) continue;
    halves[i] = to;
    changed++;
  }
  return changed;
}
