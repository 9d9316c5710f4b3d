// The sum of the squares of weights, in float64 and in one order, so that it has the same bits everywhere: leaves of SUM_LEAF
// weights, each summed from zero and then added to the total. Within a leaf of codes, group after group:
//
//   a step^2 + b (2 step origin) + n origin^2,  a = sum of q^2 and b = sum of q, both exact
//
// (runs of rows are cut every SUM_CUT weights). Within a leaf of floats, 16 accumulators, weight i going to i mod 16, which are
// then added pairwise, those 8, 4, 2 and 1 apart.

import { unpack } from "./codes.js";
import { loadFloats, widen } from "./halves.js";
import { levelOfCode, levelsOf } from "./levels.js";
import type { EncodedFormat, Move } from "./move.js";
import { Field, Kind, Levels, StepKind, SUM_CUT, SUM_LEAF } from "./numbers.js";
import { eachGroup, eachRow } from "./runs.js";
import type { Weights } from "./workspace.js";

/** How weights lie: their format, and the steps of rows where it has none of its own. */
export type Layout = Pick<Move, "format" | "steps" | "rowLength">;

/** `total` plus the sum over whole blocks, of which the first weight is number `index` of the tensor. */
export function sumSquares(data: Uint8Array, layout: Layout, index: number, total: number, scratch: Weights): number {
  const { format } = layout;
  const weights = format[Field.weights] as number;
  const bytes = format[Field.bytes] as number;
  const count = Math.floor(data.length / bytes) * weights;
  let sum = total;
  for (let leaf = 0; leaf < count; leaf += SUM_LEAF) {
    const n = Math.min(SUM_LEAF, count - leaf);
    const part = data.subarray((leaf / weights) * bytes, ((leaf + n) / weights) * bytes);
    sum +=
      format[Field.kind] === Kind.lattice
        ? latticeLeaf(part, n, index + leaf, layout, scratch)
        : floatLeaf(part, n, format, scratch);
  }
  return sum;
}

function latticeLeaf(data: Uint8Array, n: number, index: number, { format, steps, rowLength }: Layout, scratch: Weights): number {
  const weights = format[Field.weights] as number;
  const bytes = format[Field.bytes] as number;
  const levels = format[Field.levels] as number;
  const values = levels === Levels.uniform ? null : levelsOf(levels);
  const { codes } = scratch;
  let sum = 0;
  const add = (start: number, end: number, step: number, origin: number) => {
    let squares = 0;
    let plain = 0;
    for (let i = start; i < end; i++) {
      const code = codes[i] as number;
      const q = values === null ? code : (values[levelOfCode(levels, code)] as number);
      squares += q * q;
      plain += q;
    }
    sum += squares * (step * step) + plain * (2 * step * origin) + (end - start) * (origin * origin);
  };
  for (let cut = 0; cut < n; cut += SUM_CUT) {
    const count = Math.min(SUM_CUT, n - cut);
    const from = (cut / weights) * bytes;
    unpack(codes, data, from, count / weights, format);
    if (format[Field.step] === StepKind.external) {
      eachRow(steps as Float32Array, rowLength, index + cut, count, (start, end, step) => add(start, end, step, 0));
    } else {
      eachGroup(data, from, count / weights, format, add);
    }
  }
  return sum;
}

const LANES = 16;

function floatLeaf(data: Uint8Array, n: number, format: EncodedFormat, scratch: Weights): number {
  const kind = format[Field.kind] as number;
  const bytes = format[Field.bytes] as number;
  const { floats, halves } = scratch;
  const lanes = new Float64Array(LANES);
  for (let tile = 0; tile < n; tile += floats.length) {
    const count = Math.min(floats.length, n - tile);
    loadFloats(scratch, data.subarray(tile * bytes, (tile + count) * bytes), kind);
    for (let i = 0; i < count; i++) {
      const w = kind === Kind.f32 ? (floats[i] as number) : widen(halves[i] as number, kind);
      const lane = i & (LANES - 1);
      lanes[lane] = (lanes[lane] as number) + w * w;
    }
  }
  for (let apart = LANES / 2; apart > 0; apart >>= 1) {
    for (let i = 0; i < apart; i++) lanes[i] = (lanes[i] as number) + (lanes[i + apart] as number);
  }
  return lanes[0] as number;
}
