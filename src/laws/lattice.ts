// One tile of a lattice: which of its runs move in which way. Dense runs go through all codes (moves.ts); rare moves are drawn one by one,
// in blocks by group (rare-groups.ts) and in rows by class (rare-rows.ts).

import { type Group, pack, readGroup, stepSize, unpack } from "./codes.js";
import { moveLevels } from "./levels.js";
import type { EncodedFormat, Move } from "./move.js";
import { type Draws, moveRun, scaleInSteps, TILE } from "./moves.js";
import { Field, Levels, Rounding, StepKind } from "./numbers.js";
import { RareGroups, SPARSE_VARIANCE } from "./rare-groups.js";
import { classOf, Hits, Moved, shareOf } from "./rare-rows.js";

const f = Math.fround;
const codes = new Int8Array(TILE);
const group: Group = { step: 0, origin: 0 };
const hits = new Hits();
const moved = new Moved();
const rareGroups = new RareGroups(TILE);

/** The runs of a tile's weights that have one step: where each ends, its noise in steps, and its variance in steps. */
const runEnds = new Int32Array(TILE);
const runScales = new Float32Array(TILE);
const runVariances = new Float32Array(TILE);
let runs = 0;
let dense = false;
let rare = false;

/** Begins a call of moves. */
export function beginLattice(move: Move): void {
  hits.begin(move.key, move.tick);
}

/** Moves the codes of `blocks` blocks at data[from], of which the first weight is number `index` of the tensor; returns how many changed. */
export function moveLattice(
  data: Uint8Array,
  from: number,
  blocks: number,
  move: Move,
  index: number,
  n: number,
  draws: Draws,
): number {
  const { format } = move;
  if (format[Field.levels] !== Levels.uniform) return moveTable(data, from, blocks, move, draws);
  const rows = format[Field.step] === StepKind.external;
  runs = 0;
  dense = false;
  rare = false;
  if (rows) eachRow(move.steps as Float32Array, move.rowLength, index, n, (_, end, step) => addRun(move, end, step));
  else eachGroup(data, from, blocks, format, group, (_, end) => addRun(move, end, stepSize(group.step)));
  let changed = dense ? moveDense(data, from, blocks, move, draws) : 0;
  if (rare) {
    changed += rows
      ? moveRareRows(data, from, move, index, n)
      : rareGroups.move(data, from, n, format, runVariances, index, move.key, move.tick);
  }
  return changed;
}

/** Notes a run: a dense one has no variance that counts, one that moves rarely no scale. */
function addRun({ sigma, inSteps, rounding }: Move, end: number, step: number): void {
  const s = step > 0 ? scaleInSteps(sigma, inSteps, step) : 0;
  const v = f(s * s);
  const isRare = rounding === Rounding.matched && v < SPARSE_VARIANCE;
  runEnds[runs] = end;
  runScales[runs] = isRare ? 0 : s;
  runVariances[runs++] = isRare ? v : 0;
  dense ||= !isRare && s > 0;
  rare ||= isRare && v > 0;
}

function moveDense(data: Uint8Array, from: number, blocks: number, move: Move, draws: Draws): number {
  const { format, rounding } = move;
  const lo = format[Field.lo] as number;
  const hi = format[Field.hi] as number;
  let changed = 0;
  unpack(codes, data, from, blocks, format);
  for (let run = 0, start = 0; run < runs; run++) {
    const end = runEnds[run] as number;
    const s = runScales[run] as number;
    if (s > 0) changed += moveRun(codes, start, end, s, lo, hi, rounding, draws);
    start = end;
  }
  if (changed > 0) pack(codes, data, from, blocks, format);
  return changed;
}

/** Codes without blocks: a byte each. */
function moveRareRows(data: Uint8Array, from: number, { format }: Move, index: number, n: number): number {
  const lo = format[Field.lo] as number;
  const hi = format[Field.hi] as number;
  const classes = new Set(
    runVariances
      .subarray(0, runs)
      .filter((v) => v > 0)
      .map(classOf),
  );
  moved.clear();
  for (const rareClass of [...classes].sort((a, b) => b - a)) {
    hits.each(rareClass, index, index + n, (weight, take, sign) => {
      const i = weight - index;
      const v = runVariances[runAt(i)] as number;
      if (v === 0 || classOf(v) !== rareClass || take >= shareOf(v, rareClass)) return;
      const q = ((data[from + i] as number) << 24) >> 24;
      if (q <= lo || q >= hi) return;
      data[from + i] = q + sign;
      moved.note(i, q, q + sign);
    });
  }
  return moved.changed;
}

/** The first run that ends behind weight i. */
function runAt(i: number): number {
  let low = 0;
  for (let high = runs - 1; low < high; ) {
    const middle = (low + high) >> 1;
    if ((runEnds[middle] as number) > i) high = middle;
    else low = middle + 1;
  }
  return low;
}

function moveTable(data: Uint8Array, from: number, blocks: number, move: Move, draws: Draws): number {
  const { format } = move;
  let changed = 0;
  unpack(codes, data, from, blocks, format);
  eachGroup(data, from, blocks, format, group, (start, end) => {
    changed += moveLevels(codes, start, end, stepSize(group.step), format[Field.levels] as number, move, draws);
  });
  if (changed > 0) pack(codes, data, from, blocks, format);
  return changed;
}

/** Reads each group of `blocks` blocks at data[from] into `into`, and calls `use` with the weights that it covers. */
export function eachGroup(
  data: Uint8Array,
  from: number,
  blocks: number,
  format: EncodedFormat,
  into: Group,
  use: (start: number, end: number) => void,
): void {
  const weights = format[Field.weights] as number;
  const bytes = format[Field.bytes] as number;
  const length = format[Field.group] as number;
  for (let block = 0; block < blocks; block++) {
    for (let g = 0; g * length < weights; g++) {
      readGroup(into, data, from + block * bytes, g, format);
      use(block * weights + g * length, block * weights + (g + 1) * length);
    }
  }
}

/** Splits weights [0, n), of which the first is weight `index` of the tensor, where rows (and so steps) change. */
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
