// Runs: weights of a tile that lie one after the other and have one step. In blocks they are the groups of the format, in bare
// codes what lies of each row in the tile.

import { readGroup, stepSize } from "./codes.js";
import { TILE } from "./draws.js";
import type { EncodedFormat, Move } from "./move.js";
import { scaleInSteps } from "./moves.js";
import { Field, Rounding, StepKind } from "./numbers.js";
import { kickScale } from "./pulls.js";
import { SPARSE_VARIANCE } from "./rare-groups.js";

const f = Math.fround;

/** The runs of a tile: where each ends, its noise in steps, and its variance in steps. */
export class Runs {
  readonly ends = new Int32Array(TILE);
  /** 0 of runs that move rarely. */
  readonly scales = new Float32Array(TILE);
  /** 0 of dense runs. */
  readonly variances = new Float32Array(TILE);
  count = 0;
  /** Whether there are runs that are drawn weight by weight, and some that move so rarely that each move is. */
  dense = false;
  rare = false;

  begin(): void {
    this.count = 0;
    this.dense = false;
    this.rare = false;
  }

  add({ sigma, inSteps, rounding, decay }: Move, end: number, step: number): void {
    const own = step > 0 ? scaleInSteps(sigma, inSteps, step) : 0;
    const s = decay === undefined ? own : kickScale(own, decay);
    const v = f(s * s);
    const isRare = rounding === Rounding.matched && v < SPARSE_VARIANCE;
    this.ends[this.count] = end;
    this.scales[this.count] = isRare ? 0 : s;
    this.variances[this.count++] = isRare ? v : 0;
    this.dense ||= !isRare && s > 0;
    this.rare ||= isRare && v > 0;
  }

  /** The run of weight i. */
  at(i: number): number {
    let low = 0;
    for (let high = this.count - 1; low < high; ) {
      const middle = (low + high) >> 1;
      if ((this.ends[middle] as number) > i) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}

/**
 * Calls `use` for every run of the `n` weights at data[from], of which the first is weight `index` of the tensor: with its
 * step, at least 0.
 */
export function eachRun(
  data: Uint8Array,
  from: number,
  { format, steps, rowLength }: Move,
  index: number,
  n: number,
  use: (start: number, end: number, step: number) => void,
): void {
  if (format[Field.step] === StepKind.external) {
    eachRow(steps as Float32Array, rowLength, index, n, use);
  } else {
    const blocks = n / (format[Field.weights] as number);
    eachGroup(data, from, blocks, format, (start, end, step) => use(start, end, stepSize(step)));
  }
}

/** Reads step and origin of every group of `blocks` blocks at data[from], as they are. */
export function eachGroup(
  data: Uint8Array,
  from: number,
  blocks: number,
  format: EncodedFormat,
  use: (start: number, end: number, step: number, origin: number) => void,
): void {
  const weights = format[Field.weights] as number;
  const bytes = format[Field.bytes] as number;
  const length = format[Field.group] as number;
  const group = { step: 0, origin: 0 };
  for (let block = 0; block < blocks; block++) {
    for (let g = 0; g * length < weights; g++) {
      readGroup(group, data, from + block * bytes, g, format);
      use(block * weights + g * length, block * weights + (g + 1) * length, group.step, group.origin);
    }
  }
}

/** Cuts weights [0, n), of which the first is weight `index` of the tensor, where rows (and so steps) change. */
export function eachRow(
  steps: Float32Array,
  rowLength: number,
  index: number,
  n: number,
  use: (start: number, end: number, step: number) => void,
): void {
  for (let start = 0; start < n; ) {
    const row = Math.floor((index + start) / rowLength);
    const end = Math.min(n, (row + 1) * rowLength - index);
    use(start, end, steps[row] as number);
    start = end;
  }
}
