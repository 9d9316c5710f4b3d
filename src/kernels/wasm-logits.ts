// Sums over rows of logits by a module (assembly/logits.ts), a stage at a time.

import type { LogitSums } from "../laws/logits.js";
import { SUM_LEAF } from "../laws/numbers.js";
import type { Stage } from "./wasm-stage.js";

/** What is summed; the numbers are those of assembly/logits.ts. */
const As = { weight: 0, moment: 1, cross: 2 } as const;
/** Logits that the stage holds beside those of a reference: whole rounds of lanes. */
const PIECE = SUM_LEAF / 2;

export class WasmLogitSums implements LogitSums {
  private readonly row: Float32Array;
  private readonly reference: Float32Array;

  constructor(private readonly stage: Stage) {
    this.row = stage.floats.all.subarray(0, PIECE);
    this.reference = stage.floats.all.subarray(PIECE, 2 * PIECE);
  }

  weight(logits: Float32Array, most: number, beta: number): number {
    return this.sum(As.weight, logits, most, beta);
  }

  moment(logits: Float32Array, most: number): number {
    return this.sum(As.moment, logits, most, 1);
  }

  cross(logits: Float32Array, most: number, reference: Float32Array, mostThere: number): number {
    return this.sum(As.cross, logits, most, 1, reference, mostThere);
  }

  private sum(as: number, logits: Float32Array, most: number, beta: number, reference?: Float32Array, mostThere = 0): number {
    const { exports } = this.stage;
    exports.beginLogits();
    for (let from = 0; from < logits.length; from += PIECE) {
      const piece = logits.subarray(from, from + PIECE);
      this.row.set(piece);
      if (reference !== undefined) this.reference.set(reference.subarray(from, from + PIECE));
      exports.addLogits(as, piece.length, most, beta, mostThere);
    }
    return exports.totalOfLogits();
  }
}
