// The evolution `mirror`: every code goes to the other side of its pristine one, k steps away to -k. Of a moved tensor that is the same move with
// the other sign, exactly: moves reach no farther than the nearer rail, so that both lie on the grid. Draws nothing.

import { pack, unpack } from "./codes.js";
import type { Evolution } from "./evolution.js";
import { moveCode } from "./moves.js";
import { Field, Kind, Levels } from "./numbers.js";

/** Goes by no number. Of even grids only: the values of a table have no mirror images. */
export const mirror: Evolution = {
  name: "mirror",
  parameters: () => new Float32Array(0),
  step(live, pristine, move, _parameters, work) {
    const { format } = move;
    if (format[Field.kind] !== Kind.lattice || format[Field.levels] !== Levels.uniform)
      throw new Error("mirror is for codes on even grids");
    const [lo, hi] = [format[Field.lo] as number, format[Field.hi] as number];
    return work.eachTile(live.length, move, (from, blocks) => {
      const n = blocks * (format[Field.weights] as number);
      const to = work.live.codes;
      const at = work.pristine.codes;
      unpack(to, live, from, blocks, format);
      unpack(at, pristine, from, blocks, format);
      let changed = 0;
      for (let i = 0; i < n; i++) {
        const before = to[i] as number;
        const k = (at[i] as number) - before;
        to[i] = at[i] as number;
        moveCode(to, i, k, lo, hi);
        if (to[i] !== before) changed++;
      }
      if (changed > 0) pack(to, live, from, blocks, format);
      return changed;
    });
  },
};
