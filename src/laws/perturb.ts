// One perturbation of whole blocks, tile by tile: what kind of weights they are, and which law their kicks follow.

import { ColumnKicks } from "./columns.js";
import { moveFloats } from "./floats.js";
import { loadFloats, moveHalves, storeFloats } from "./halves.js";
import type { Kicks } from "./kicks.js";
import { moveLattice } from "./lattice.js";
import type { Move } from "./move.js";
import { Field, Kind } from "./numbers.js";
import { RunKicks } from "./run-kicks.js";
import type { Workspace } from "./workspace.js";

/** The law by which single weights move. */
export function kicksOf(move: Move, work: Workspace): Kicks {
  return move.columns === undefined ? new RunKicks(work, move) : new ColumnKicks(work, move, move.columns);
}

/** Moves whole blocks in place; returns how many codes (or floats) changed. */
export function perturb(data: Uint8Array, move: Move, work: Workspace): number {
  if (move.sigma === 0) return 0;
  const { format } = move;
  const kind = format[Field.kind] as number;
  const kicks = kicksOf(move, work);
  work.rareRows.begin(move.key, move.tick);
  return work.eachTile(data.length, move, (from, blocks, index) => {
    const n = blocks * (format[Field.weights] as number);
    kicks.begin(index, n);
    if (kind === Kind.lattice) return moveLattice(data, from, blocks, index, move, kicks, work);
    const { live } = work;
    const part = data.subarray(from, from + n * (format[Field.bytes] as number));
    loadFloats(live, part, kind);
    const changed = kind === Kind.f32 ? moveFloats(live.floats, n, move.inSteps, kicks) : moveHalves(live.halves, n, move, kicks);
    if (changed > 0) storeFloats(live, part, kind);
    return changed;
  });
}
