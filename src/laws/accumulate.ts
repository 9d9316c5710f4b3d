// The update of `brownian evolve` with an accumulator (error feedback: Seide et al., Interspeech 2014; for evolution strategies on codes, QES, arXiv
// 2603.02120): what rounding leaves of an update stays beside the code, and is there when the next comes,
//
//   y = q + e + sum_i f_i k_i - d (q - p),   q' = the code nearest to y,   e' = y - q'
//
// with all symbols as in ascent.ts. Nothing is drawn, and nothing is lost but what 16 bits do not hold: e is kept in units of 2^-15 of a step, and
// of 2^-11 where codes stand for the values of a table, whose gaps are up to 24. Sums are float32, in the order of i.

import { pack, unpack } from "./codes.js";
import { codeOfLevel, levelBelow, levelOfCode, levelsOf } from "./levels.js";
import type { EncodedFormat, Move } from "./move.js";
import { Field, Levels } from "./numbers.js";

const f = Math.fround;
const MOST = 32_767;

/** What one update goes by: weights of the moves at ticks t, t + 1, ..., and the share of its distance from the base that a code goes back. */
export interface Feedback {
  readonly weights: readonly number[];
  readonly decay: number;
}

/** Where the values of codes lie, in steps. */
interface Grid {
  value(code: number): number;
  /** The code nearest to a value, which is between the rails. */
  nearest(y: number): number;
  /** By code, of tables; undefined where a code is its value. */
  readonly values: Float32Array | undefined;
  readonly lowest: number;
  readonly highest: number;
  /** Of what is kept. */
  readonly unit: number;
}

function gridOf(format: EncodedFormat): Grid {
  const levels = format[Field.levels] as number;
  if (levels === Levels.uniform)
    return {
      value: (code) => code,
      nearest: (y) => Math.floor(y + 0.5),
      lowest: format[Field.lo] as number,
      highest: format[Field.hi] as number,
      values: undefined,
      unit: 2 ** -15,
    };
  const values = levelsOf(levels);
  return {
    value: (code) => values[levelOfCode(levels, code)] as number,
    nearest(y) {
      const below = levelBelow(values, y);
      const above = Math.min(values.length - 1, below + 1);
      const up = y - (values[below] as number) >= (values[above] as number) - y && above > below;
      return codeOfLevel(levels, up ? above : below);
    },
    lowest: values[0] as number,
    highest: values[values.length - 1] as number,
    values: Float32Array.from({ length: 16 }, (_, code) => values[levelOfCode(levels, code)] ?? 0),
    unit: 2 ** -11,
  };
}

/**
 * One update of whole blocks of one tensor; returns how many codes of `live` changed.
 * @param kept what is left of each code's earlier updates, which goes on
 * @param perturb moves whole blocks in place: a backend's
 */
export function accumulate(
  live: Uint8Array,
  pristine: Uint8Array,
  kept: Int16Array,
  move: Move,
  { weights, decay }: Feedback,
  perturb: (data: Uint8Array, move: Move) => number,
): number {
  const { format } = move;
  const bytes = format[Field.bytes] as number;
  const total = (live.length / bytes) * (format[Field.weights] as number);
  const blocks = live.length / bytes;
  const sums = new Float32Array(total);
  const [codes, others] = [new Int8Array(total), new Int8Array(total)];
  const grid = gridOf(format);
  unpack(codes, live, 0, blocks, format);
  /** sums += weight (the values of `data` - those of `live`) */
  const add = (weight: number, data: Uint8Array) => {
    unpack(others, data, 0, blocks, format);
    if (grid.values === undefined) addEven(sums, weight, others, codes);
    else addLevels(sums, weight, others, codes, grid.values);
  };
  const moved = new Uint8Array(live.length);
  for (const [i, weight] of weights.entries()) {
    if (weight === 0) continue;
    moved.set(live);
    perturb(moved, { ...move, tick: (move.tick + i) >>> 0 });
    add(f(weight), moved);
  }
  if (decay !== 0) add(f(decay), pristine);
  const changed = put(codes, sums, kept, grid);
  if (changed > 0) pack(codes, live, 0, blocks, format);
  return changed;
}

function addEven(sums: Float32Array, weight: number, others: Int8Array, codes: Int8Array): void {
  for (let j = 0; j < sums.length; j++)
    sums[j] = (sums[j] as number) + f(weight * ((others[j] as number) - (codes[j] as number)));
}

function addLevels(sums: Float32Array, weight: number, others: Int8Array, codes: Int8Array, values: Float32Array): void {
  for (let j = 0; j < sums.length; j++) {
    const difference = (values[others[j] as number] as number) - (values[codes[j] as number] as number);
    sums[j] = (sums[j] as number) + f(weight * difference);
  }
}

/** Puts codes where they and what was kept and the sums say, and keeps what is left. */
function put(codes: Int8Array, sums: Float32Array, kept: Int16Array, grid: Grid): number {
  const { lowest, highest, unit } = grid;
  let changed = 0;
  for (let j = 0; j < codes.length; j++) {
    if (sums[j] === 0) continue;
    const code = codes[j] as number;
    const at = grid.value(code);
    const aim = f(at + f(f((kept[j] as number) * unit) + (sums[j] as number)));
    const y = Math.max(Math.min(lowest, at), Math.min(Math.max(highest, at), aim));
    const next = grid.nearest(y);
    kept[j] = Math.max(-MOST, Math.min(MOST, Math.round(f(y - grid.value(next)) / unit)));
    if (next === code) continue;
    codes[j] = next;
    changed++;
  }
  return changed;
}
