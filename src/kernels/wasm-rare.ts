// Rare moves of bare codes that all have one step: so few that most bytes need not be looked at, so codes are moved where they
// are, not on the stage. The module makes the hits (assembly/rare-rows.ts).

import type { Move } from "../laws/move.js";
import { scaleInSteps } from "../laws/moves.js";
import { Field, HITS_MOST, Rounding } from "../laws/numbers.js";
import { SPARSE_VARIANCE } from "../laws/rare-groups.js";
import { classOf, shareOf, tileOf } from "../laws/rare-rows.js";
import type { Stage } from "./wasm-stage.js";

export class RareMoves {
  /** The call that saw a weight with these last bits last. */
  private readonly seen = new Uint32Array(4096);
  private calls = 0;
  private readonly before = new Int8Array(HITS_MOST);

  constructor(private readonly stage: Stage) {}

  /** Moves `data`; returns how many codes changed, or undefined where the codes or the move are not of this kind. */
  perturb(data: Uint8Array, move: Move): number | undefined {
    const { format, steps, rounding, key, tick, index } = move;
    if (steps === null || rounding !== Rounding.matched || format[Field.weights] !== 1) return undefined;
    const row = Math.floor(index / move.rowLength);
    if (index + data.length > (row + 1) * move.rowLength) return undefined;
    const step = steps[row] as number;
    const s = step > 0 ? scaleInSteps(move.sigma, move.inSteps, step) : 0;
    const v = Math.fround(s * s);
    if (v >= SPARSE_VARIANCE) return undefined;
    if (v === 0) return 0;
    const { exports } = this.stage;
    const rareClass = classOf(v);
    const share = shareOf(v, rareClass);
    const size = tileOf(rareClass);
    const end = index + data.length;
    exports.forgetHits();
    let changed = 0;
    for (let tile = Math.floor(index / size); tile * size < end; tile++) {
      const from = Math.max(index, tile * size);
      const to = Math.min(end, (tile + 1) * size);
      const hits = exports.hitsOfTile(rareClass, tile, from, to, share, key.k0, key.k1, tick);
      changed += this.accept(data, from - index, hits, format[Field.lo] as number, format[Field.hi] as number);
    }
    return changed;
  }

  /** Puts hits on codes; a weight that is hit twice counts once, or not at all where it is back. */
  private accept(data: Uint8Array, from: number, hits: number, lo: number, hi: number): number {
    const { seen, before } = this;
    const { accepted } = this.stage;
    this.calls = (this.calls + 1) >>> 0;
    let changed = 0;
    for (let j = 0; j < hits; j++) {
      const place = accepted[2 * j] as number;
      const i = from + (place >>> 0);
      const q = ((data[i] as number) << 24) >> 24;
      before[j] = q;
      if (q <= lo || q >= hi) continue;
      const to = q + (accepted[2 * j + 1] as number);
      data[i] = to;
      let first = q;
      if (seen[place & 4095] === this.calls) {
        let e = 0;
        while (accepted[2 * e] !== place) e++;
        first = before[e] as number;
      }
      seen[place & 4095] = this.calls;
      changed += (to !== first ? 1 : 0) - (q !== first ? 1 : 0);
    }
    return changed;
  }
}
