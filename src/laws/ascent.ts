// The evolution `ascend`, the update of `brownian evolve` (docs/theory/evolve.md): codes go along a weighted sum of moves that they could make,
//
//   q' = R(q + sum_i f_i k_i - d (q - p)),  R: stochastic rounding between the two codes around it, so that E[q'] is the sum itself
//
// where k_i is what the move of this key at tick t + i does to this code where it stands now, p the pristine code, d the decay; no farther than the
// rails. Moves are made again from their key, one after the other, and never kept: a tile is all the memory. Codes of tables go by their values.
// Sums are float32, in the order of i. Word: Purpose.Update of tick t.

import { pack, unpack } from "./codes.js";
import { TILE } from "./draws.js";
import type { Evolution } from "./evolution.js";
import { codeOfLevel, levelBelow, levelOfCode, levelsOf } from "./levels.js";
import type { EncodedFormat, Move } from "./move.js";
import { ASCENT_HEAD, ASCENT_LIMIT, Field, Kind, Levels } from "./numbers.js";
import { perturb } from "./perturb.js";
import type { Workspace } from "./workspace.js";

const f = Math.fround;
const TWO_M24 = 2 ** -24;

/** What one update goes by. */
export interface Ascent {
  /** Of the moves at ticks t, t + 1, ...: how much of each is added, at most ASCENT_LIMIT in size. 0 costs nothing. */
  readonly even: readonly number[];
  /** The same for codes that stand for the entries of a table, whose moves have no mirror images. */
  readonly tables: readonly number[];
  /** Which share of its distance from the pristine code each code goes back. */
  readonly decay: number;
}

/** The update by these weights, of lattice formats. @throws RangeError for weights beyond ASCENT_LIMIT */
export function ascent({ even, tables, decay }: Ascent): Evolution {
  for (const weight of [...even, ...tables])
    if (!(Math.abs(weight) <= ASCENT_LIMIT)) throw new RangeError(`a weight of ${weight} is beyond ${ASCENT_LIMIT}`);
  return {
    name: "ascend",
    parameters: (_strength, format) => {
      const weights = format[Field.levels] === Levels.uniform ? even : tables;
      return Float32Array.of(weights.length, decay, ...weights);
    },
    step,
  };
}

function step(live: Uint8Array, pristine: Uint8Array, move: Move, parameters: Float32Array, work: Workspace): number {
  const { format } = move;
  if (format[Field.kind] !== Kind.lattice) throw new Error("ascend is for codes");
  const weights = parameters.subarray(ASCENT_HEAD, ASCENT_HEAD + (parameters[0] as number));
  const decay = parameters[1] as number;
  const inSteps = values(format);
  const codes = new Int8Array(TILE);
  const sums = new Float32Array(TILE);
  return work.eachTile(live.length, move, (from, blocks, index) => {
    const n = blocks * (format[Field.weights] as number);
    const bytes = live.subarray(from, from + blocks * (format[Field.bytes] as number));
    unpack(codes, live, from, blocks, format);
    sums.fill(0, 0, n);
    for (const [i, weight] of weights.entries()) {
      if (weight === 0) continue;
      const moved = new Uint8Array(bytes); // slice() of a Buffer would be no copy
      perturb(moved, { ...move, index, tick: (move.tick + i) >>> 0 }, work);
      unpack(work.live.codes, moved, 0, blocks, format);
      for (let j = 0; j < n; j++)
        sums[j] = (sums[j] as number) + f(weight * (inSteps(work.live.codes[j] as number) - inSteps(codes[j] as number)));
    }
    if (decay !== 0) {
      unpack(work.pristine.codes, pristine, from, blocks, format);
      for (let j = 0; j < n; j++)
        sums[j] = (sums[j] as number) - f(decay * (inSteps(codes[j] as number) - inSteps(work.pristine.codes[j] as number)));
    }
    work.draws.begin(move.key, move.tick, index, n);
    const changed = put(codes, sums, n, format, work);
    if (changed > 0) pack(codes, live, from, blocks, format);
    return changed;
  });
}

/** The value of a code in steps. */
function values(format: EncodedFormat): (code: number) => number {
  const levels = format[Field.levels] as number;
  if (levels === Levels.uniform) return (code) => code;
  const all = levelsOf(levels);
  return (code) => all[levelOfCode(levels, code)] as number;
}

/** Puts codes[0, n) as far from where they are as the sums say; returns how many changed. */
function put(codes: Int8Array, sums: Float32Array, n: number, format: EncodedFormat, { draws }: Workspace): number {
  const levels = format[Field.levels] as number;
  const [lo, hi] = [format[Field.lo] as number, format[Field.hi] as number];
  const table = levels === Levels.uniform ? undefined : levelsOf(levels);
  let changed = 0;
  for (let i = 0; i < n; i++) {
    const sum = sums[i] as number;
    if (sum === 0) continue;
    const code = codes[i] as number;
    const u = (draws.updateWord(i) >>> 8) * TWO_M24;
    let next = code;
    if (table === undefined) {
      const y = Math.max(Math.min(lo, code), Math.min(Math.max(hi, code), f(code + sum)));
      const lower = Math.floor(y);
      next = u < f(y - lower) ? lower + 1 : lower;
    } else {
      const at = levelOfCode(levels, code);
      const y = Math.max(table[0] as number, Math.min(table[table.length - 1] as number, f((table[at] as number) + sum)));
      const lower = levelBelow(table, y);
      const start = table[lower] as number;
      const up = lower + 1 < table.length && u < f(f(y - start) / ((table[lower + 1] as number) - start));
      const level = up ? lower + 1 : lower;
      if (level !== at) next = codeOfLevel(levels, level);
    }
    if (next === code) continue;
    codes[i] = next;
    changed++;
  }
  return changed;
}
