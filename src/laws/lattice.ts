// One tile of a lattice: which of its weights move in which way. Dense runs go through all codes (moves.ts); rare moves are
// drawn one by one, in blocks by group (rare-groups.ts) and in bare codes by class of row (rare-rows.ts); weights with a sigma
// each move by their kicks.

import { pack, unpack } from "./codes.js";
import type { Kicks } from "./kicks.js";
import { moveLevels } from "./levels.js";
import type { Move } from "./move.js";
import { moveCode, moveRun, scaleInSteps } from "./moves.js";
import { Field, Levels, StepKind } from "./numbers.js";
import { eachRun } from "./runs.js";
import type { Workspace } from "./workspace.js";

const f = Math.fround;

/**
 * Moves the codes of `blocks` blocks at data[from], of which the first weight is number `index` of the tensor; returns how many
 * changed.
 */
export function moveLattice(
  data: Uint8Array,
  from: number,
  blocks: number,
  index: number,
  move: Move,
  kicks: Kicks,
  work: Workspace,
): number {
  const { format } = move;
  const { runs, live } = work;
  const n = blocks * (format[Field.weights] as number);
  let changed = 0;
  if (format[Field.levels] === Levels.uniform && move.columns === undefined) {
    runs.begin();
    eachRun(data, from, move, index, n, (_, end, step) => runs.add(move, end, step));
    if (runs.dense) changed += moveDense(data, from, blocks, move, work);
    if (runs.rare && format[Field.step] === StepKind.external) changed += work.rareRows.move(data, from, move, index, runs);
    else if (runs.rare) changed += work.rareGroups.move(data, from, move, index, n, runs.variances);
    return changed;
  }
  const moveGroup = format[Field.levels] === Levels.uniform ? moveEach : moveLevels;
  unpack(live.codes, data, from, blocks, format);
  eachRun(data, from, move, index, n, (start, end, step) => {
    changed += moveGroup(live.codes, start, end, step, move, kicks);
  });
  if (changed > 0) pack(live.codes, data, from, blocks, format);
  return changed;
}

function moveDense(data: Uint8Array, from: number, blocks: number, move: Move, { runs, live, draws }: Workspace): number {
  let changed = 0;
  unpack(live.codes, data, from, blocks, move.format);
  for (let run = 0, start = 0; run < runs.count; run++) {
    const end = runs.ends[run] as number;
    const s = runs.scales[run] as number;
    if (s > 0) changed += moveRun(live.codes, start, end, s, move, draws);
    start = end;
  }
  if (changed > 0) pack(live.codes, data, from, blocks, move.format);
  return changed;
}

/** Weights of one step, each by its own kick. */
function moveEach(codes: Int8Array, from: number, to: number, step: number, move: Move, kicks: Kicks): number {
  if (!(step > 0)) return 0;
  const lo = move.format[Field.lo] as number;
  const hi = move.format[Field.hi] as number;
  let changed = 0;
  for (let i = from; i < to; i++) {
    const s = scaleInSteps(kicks.sigma(i), move.inSteps, step);
    if (s > 0) changed += moveCode(codes, i, kicks.steps(f(s * s), i), lo, hi);
  }
  return changed;
}
