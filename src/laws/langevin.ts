// One step of the dynamics `langevin` (docs/theory/langevin.md): an Ornstein-Uhlenbeck process on the lattice. A code that stands k steps
// from its pristine one is pulled back and kicked,
//
//   k' = R(a k) + j,  R: stochastic rounding,  Var R = c(k) = f (1 - f), f = frac(a |k|),  j: `matched` of variance v(k) = alpha + beta k^2 - c(k)
//
// with alpha = (1 - a^2) s^2 - beta s^2 and beta the smallest number that keeps v >= 0 (laws/decay.ts). Then E[k' | k] = a k and
// Var[k' | k] = alpha + beta k^2, so the stationary variance V = a^2 V + alpha + beta V has the one solution s^2, whatever the shape of the
// law, and the autocorrelation is a^t. For s -> 0, beta -> a (1 - a): the INAR(1) process of Steutel and van Harn (1979), here for the
// difference of two Poisson numbers; for large s, beta = 0: the discrete Ornstein-Uhlenbeck process.

import { type Group, halfToFloat, pack, readGroup, stepSize, unpack } from "./codes.js";
import type { Decay } from "./decay.js";
import { finite, limitOf, magnitudeBits, ulp } from "./floats.js";
import { codeOfLevel, levelOfCode, levelsOf, neighbour, scaleOfTable } from "./levels.js";
import type { EncodedFormat, Move } from "./move.js";
import { COARSE_VARIANCE, centredUniform, Draws, Law, MAX_S, matchedMove, scaleInSteps, TILE } from "./moves.js";
import { DECAY_COLUMNS, DECAY_FIRST, DECAY_HEAD, Field, Kind, Levels, StepKind } from "./numbers.js";

const f = Math.fround;
const SIXTH = f(1 / 6);
const TWO_M24 = 2 ** -24;
/** Displacements of half floats are cut here, in steps: whole numbers near it are exact. */
export const FARTHEST = 2 ** 22;

const draws = new Draws();
const law = new Law();
let lawVariance = -1;
const live = new Int8Array(TILE);
const pristine = new Int8Array(TILE);
const group: Group = { step: 0, origin: 0 };
const liveFloats = new Float32Array(TILE);
const pristineFloats = new Float32Array(TILE);
const liveBits = new Uint32Array(liveFloats.buffer);
const pristineBits = new Uint32Array(pristineFloats.buffer);
const liveBytes = new Uint8Array(liveFloats.buffer);
const pristineBytes = new Uint8Array(pristineFloats.buffer);
const liveHalves = new Uint16Array(liveFloats.buffer);
const pristineHalves = new Uint16Array(pristineFloats.buffer);
const scratch = new Float32Array(1);
const scratchBits = new Uint32Array(scratch.buffer);

/** One step of whole blocks where all weights of a run have one sigma. */
export function relax(data: Uint8Array, origin: Uint8Array, move: Move, decay: Decay): number {
  const { format } = move;
  const kind = format[Field.kind] as number;
  const weights = format[Field.weights] as number;
  const bytes = format[Field.bytes] as number;
  const blocksPerTile = TILE / weights;
  const blocks = Math.floor(data.length / bytes);
  let changed = 0;
  for (let block = 0; block < blocks; block += blocksPerTile) {
    const count = Math.min(blocksPerTile, blocks - block);
    const n = count * weights;
    const from = block * bytes;
    draws.begin(move.key, move.tick, move.index + block * weights, n);
    let changedHere: number;
    if (kind === Kind.lattice) {
      changedHere = relaxBlocks(data, origin, from, count, n, move, decay);
    } else {
      liveBytes.set(data.subarray(from, from + n * bytes));
      pristineBytes.set(origin.subarray(from, from + n * bytes));
      changedHere = kind === Kind.f32 ? relaxFloats(n, move, decay) : relaxHalves(n, kind, move, decay);
      if (changedHere > 0) data.set(liveBytes.subarray(0, n * bytes), from);
    }
    changed += changedHere;
  }
  return changed;
}

function relaxBlocks(
  data: Uint8Array,
  origin: Uint8Array,
  from: number,
  blocks: number,
  n: number,
  move: Move,
  decay: Decay,
): number {
  const { format } = move;
  const index = move.index + (from / (format[Field.bytes] as number)) * (format[Field.weights] as number);
  const relaxRun = format[Field.levels] === Levels.uniform ? relaxCodes : relaxLevels;
  let changed = 0;
  unpack(live, data, from, blocks, format);
  unpack(pristine, origin, from, blocks, format);
  eachRun(origin, from, blocks, n, index, move, (start, end, step) => {
    changed += relaxRun(start, end, step, move, decay);
  });
  if (changed > 0) pack(live, data, from, blocks, format);
  return changed;
}

/** Calls `use` for every run of a tile's weights that have one step: groups, or what lies of each row in the tile. */
function eachRun(
  data: Uint8Array,
  from: number,
  blocks: number,
  n: number,
  index: number,
  { format, steps, rowLength }: Move,
  use: (start: number, end: number, step: number) => void,
): void {
  if (format[Field.step] === StepKind.external) {
    for (let start = 0; start < n; ) {
      const row = Math.floor((index + start) / rowLength);
      const end = Math.min(n, (row + 1) * rowLength - index);
      use(start, end, (steps as Float32Array)[row] as number);
      start = end;
    }
    return;
  }
  const length = format[Field.group] as number;
  const groups = (format[Field.weights] as number) / length;
  for (let start = 0, block = 0; block < blocks; block++) {
    for (let g = 0; g < groups; g++, start += length) {
      readGroup(group, data, from + block * (format[Field.bytes] as number), g, format as EncodedFormat);
      use(start, start + length, stepSize(group.step));
    }
  }
}

/** The entry of a row of betas that serves s^2. */
export function betaOf(decay: Decay, row: number, square: number): number {
  scratch[0] = square;
  const i = Math.max(0, Math.min(DECAY_COLUMNS - 1, ((scratchBits[0] as number) >>> 20) - DECAY_FIRST));
  return decay[DECAY_HEAD + row * DECAY_COLUMNS + i] as number;
}

/** The variance of kicks without what displacements add: (1 - a^2) s^2 - beta s^2. */
export const alphaOf = (decay: Decay, beta: number, square: number): number =>
  f(f((decay[1] as number) * square) - f(beta * square));

/** The variance of the kick at a displacement whose pull adds `added`: alpha + beta x^2 - c. */
export const kickVariance = (alpha: number, beta: number, x: number, added: number): number =>
  Math.max(0, f(f(alpha + f(beta * f(x * x))) - added));

/** Whether the pull of weight i, `part` of a gap from the lower of two places, goes to the upper one: with probability `part`. */
const roundsUp = (i: number, part: number): boolean => (draws.pullWord(i) >>> 8) * TWO_M24 < part;

/** A draw of `matched` of variance v. */
function matchedKick(v: number, i: number): number {
  if (v <= COARSE_VARIANCE && v !== lawVariance) {
    law.set(v);
    lawVariance = v;
  }
  return matchedMove(v, draws, i, law);
}

/** k' of a displacement of k steps (whole for lattices) where noise is s > 0 steps, or 0: then there is no kick. */
function nextSteps(k: number, s: number, alpha: number, beta: number, a: number, i: number): number {
  const size = Math.abs(k);
  const x = f(a * size);
  const whole = Math.floor(x);
  const part = f(x - whole);
  const pulled = part > 0 && roundsUp(i, part) ? whole + 1 : whole;
  const j = s > 0 ? matchedKick(kickVariance(alpha, beta, size, f(part * f(1 - part))), i) : 0;
  return (k < 0 ? -pulled : pulled) + j;
}

/** Codes whose values are whole multiples of the step. */
function relaxCodes(from: number, to: number, step: number, move: Move, decay: Decay): number {
  const lo = move.format[Field.lo] as number;
  const hi = move.format[Field.hi] as number;
  const a = decay[0] as number;
  const s = step > 0 ? scaleInSteps(move.sigma, move.inSteps, step) : 0;
  const square = f(s * s);
  const beta = betaOf(decay, 0, square);
  const alpha = alphaOf(decay, beta, square);
  let changed = 0;
  for (let i = from; i < to; i++) {
    const p = pristine[i] as number;
    const q = live[i] as number;
    const room = Math.max(0, Math.min(p - lo, hi - p));
    const k = Math.max(-room, Math.min(room, nextSteps(q - p, s, alpha, beta, a, i)));
    if (p + k !== q) {
      live[i] = p + k;
      changed++;
    }
  }
  return changed;
}

/** The last level whose value is at most y. */
export function levelBelow(values: readonly number[], y: number): number {
  let level = 0;
  while (level < values.length - 1 && y >= (values[level + 1] as number)) level++;
  return level;
}

/** Codes that stand for the entries of a table: displacements in units of the step, places at the entries. */
function relaxLevels(from: number, to: number, step: number, move: Move, decay: Decay): number {
  const levels = move.format[Field.levels] as number;
  const values = levelsOf(levels);
  const last = values.length - 1;
  const a = decay[0] as number;
  const s = step > 0 ? scaleOfTable(levels, step, move) : 0;
  const square = f(s * s);
  let changed = 0;
  for (let i = from; i < to; i++) {
    const pristineLevel = levelOfCode(levels, pristine[i] as number);
    const origin = values[pristineLevel] as number;
    const room = Math.min(origin - (values[0] as number), (values[last] as number) - origin);
    let code = pristine[i] as number;
    if (pristineLevel > 0 && pristineLevel < last) {
      const x = (values[levelOfCode(levels, live[i] as number)] as number) - origin;
      const y = f(origin + f(a * x));
      let level = levelBelow(values, y);
      let added = 0;
      if (y > (values[level] as number)) {
        const below = f(y - (values[level] as number));
        const above = f((values[level + 1] as number) - y);
        added = f(below * above);
        if (roundsUp(i, f(below / ((values[level + 1] as number) - (values[level] as number))))) level++;
      }
      if (s > 0 && level > 0 && level < last) {
        const beta = betaOf(decay, pristineLevel, square);
        const v = kickVariance(alphaOf(decay, beta, square), beta, x, added);
        level = kickLevel(values, level, origin, room, v, i);
      }
      if (level !== pristineLevel) code = codeOfLevel(levels, level);
    }
    if (code !== live[i]) {
      live[i] = code;
      changed++;
    }
  }
  return changed;
}

/** The level that a kick of variance v leads to from `level`, which is not at an end; no farther than `room` from `origin`. */
function kickLevel(values: readonly number[], level: number, origin: number, room: number, v: number, i: number): number {
  const at = values[level] as number;
  const up = (values[level + 1] as number) - at;
  const down = at - (values[level - 1] as number);
  if (v <= up * down) {
    const to = level + neighbour(v, up, down, draws, i);
    const away = Math.abs((values[to] as number) - origin);
    return away > room && away > Math.abs(at - origin) ? level : to;
  }
  const scale = f(Math.sqrt(f(v - f(up * down * SIXTH))));
  const y = Math.max(origin - room, Math.min(origin + room, f(at + f(scale * draws.normal(i)))));
  const below = levelBelow(values, y);
  if (below === values.length - 1) return below;
  const start = values[below] as number;
  const part = f(f(y - start) / ((values[below + 1] as number) - start));
  return centredUniform(draws.roundingWord(i)) < part ? below + 1 : below;
}

const clamp = (x: number, limit: number): number => Math.max(-limit, Math.min(limit, x));

/** F32: p + a (w - p) + b sigma z. Bits, so that NaNs and zeros of either sign are told apart. */
function relaxFloats(n: number, { sigma, inSteps }: Move, decay: Decay): number {
  const [a, , b] = decay as unknown as [number, number, number];
  const most = limitOf(Kind.f32);
  let changed = 0;
  for (let i = 0; i < n; i++) {
    const p = pristineFloats[i] as number;
    const w = liveFloats[i] as number;
    const before = liveBits[i];
    if (!(Math.abs(p) <= most)) {
      liveBits[i] = pristineBits[i] as number;
    } else {
      const scale = f(b * (inSteps ? finite(f(sigma * ulp(p, Kind.f32))) : sigma));
      const d = drift(a, p, w, most);
      liveFloats[i] = f(p + clamp(f(d + f(scale * draws.normal(i))), f(most - Math.abs(p))));
    }
    if (liveBits[i] !== before) changed++;
  }
  return changed;
}

/** a (w - p); a weight that is not finite stands where it belongs. */
export function drift(a: number, p: number, w: number, most: number): number {
  return Math.abs(w) <= most ? f(a * clamp(f(w - p), most)) : 0;
}

/** F16 and BF16: within the binade of p a lattice of step ulp(p); where noise is far above that, as F32, rounded stochastically. */
function relaxHalves(n: number, kind: number, { sigma, inSteps }: Move, decay: Decay): number {
  const [a, , b] = decay as unknown as [number, number, number];
  const most = limitOf(kind);
  const widen = kind === Kind.f16 ? halfToFloat : bfloatToFloat;
  let changed = 0;
  for (let i = 0; i < n; i++) {
    const h = pristineHalves[i] as number;
    const p = widen(h);
    const w = widen(liveHalves[i] as number);
    const step = ulp(p, kind);
    const s = scaleInSteps(sigma, inSteps, step);
    let to = h;
    if (Math.abs(p) <= most) {
      let d: number;
      if (s < MAX_S) {
        const square = f(s * s);
        const beta = betaOf(decay, 0, square);
        const steps = Math.abs(w) <= most ? clamp(f(f(w - p) / step), FARTHEST) : 0;
        d = f(nextSteps(steps, s, alphaOf(decay, beta, square), beta, a, i) * step);
      } else {
        const scale = f(b * (inSteps ? finite(f(sigma * step)) : sigma));
        d = f(drift(a, p, w, most) + f(scale * draws.normal(i)));
      }
      if (d !== 0) {
        const y = f(p + clamp(d, f(most - Math.abs(p))));
        to = magnitudeBits(y, kind, draws.roundingWord(i)) | (y < 0 || Object.is(y, -0) ? 0x8000 : 0);
      }
    }
    if (to !== liveHalves[i]) {
      liveHalves[i] = to;
      changed++;
    }
  }
  return changed;
}

function bfloatToFloat(h: number): number {
  scratchBits[0] = h << 16;
  return scratch[0] as number;
}
