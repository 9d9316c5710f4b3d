// Moves whose sigma goes by column (scale "imatrix"): every weight has a variance v = s^2 of its own, so no law can be prepared
// for a run of them. This one needs no table, and its variance is exactly v (docs/theory/moves.md):
//
//   v < 1/4:  k = +-1, each with probability v / 2
//   else:     k = round(s' z + u1 - u2) with s'^2 = v - 1/4, z normal, u1 and u2 uniform
//
// A difference of two uniforms makes the variance of rounding 1/4 whatever is rounded (Lipshitz, Wannamaker & Vanderkooy, J.
// Audio Eng. Soc. 40, 1992).

import type { Draws } from "./draws.js";
import { finite, ulp } from "./floats.js";
import type { Kicks } from "./kicks.js";
import type { Columns, Move } from "./move.js";
import { MAX_S, scaleInSteps } from "./moves.js";
import { Field } from "./numbers.js";
import type { Workspace } from "./workspace.js";

const f = Math.fround;
const TWO_M16 = 2 ** -16;
const TWO_31 = 2 ** 31;
const TWO_32 = 2 ** 32;
/** Below this variance moves are single steps; above, it is what rounding adds. */
const DITHER = 0.25;

/** Kicks of weights with a sigma each. */
export class ColumnKicks implements Kicks {
  readonly draws: Draws;
  private readonly sigmas: Float32Array;
  private readonly kind: number;

  constructor(
    work: Workspace,
    private readonly move: Move,
    private readonly columns: Columns,
  ) {
    this.draws = work.draws;
    this.sigmas = work.sigmas;
    this.kind = move.format[Field.kind] as number;
  }

  begin(index: number, n: number): void {
    const { factors, width, matrix } = this.columns;
    let at = Math.floor(index / matrix) * width + (index % width);
    let leftInRow = width - (index % width);
    let leftInMatrix = matrix - (index % matrix);
    for (let i = 0; i < n; ) {
      const end = i + Math.min(leftInRow, n - i);
      leftInMatrix -= end - i;
      for (; i < end; i++) this.sigmas[i] = finite(this.move.sigma * (factors[at++] as number));
      if (leftInMatrix > 0) at -= width;
      else leftInMatrix = matrix;
      leftInRow = width;
    }
  }

  sigma(i: number): number {
    return this.sigmas[i] as number;
  }

  steps(v: number, i: number): number {
    const w = this.draws.columnWord(i);
    if (v < DITHER) return this.below(w >>> 1, v * TWO_31, i) ? 1 - 2 * (w & 1) : 0;
    const y = f(f(f(Math.sqrt(f(v - DITHER))) * this.draws.normal(i)) + ((w >>> 16) - (w & 0xffff)) * TWO_M16);
    const k = Math.floor(f(Math.abs(y) + 0.5));
    return y < 0 ? -k : k;
  }

  neighbour(up: number, down: number, i: number): number {
    const w = this.draws.columnWord(i);
    if (this.below(w, up * TWO_32, i)) return 1;
    return this.below(TWO_32 - 1 - w, down * TWO_32, i) ? -1 : 0;
  }

  /** Whether random bits w, with 32 more where they do not decide, are below a threshold. */
  private below(w: number, threshold: number, i: number): boolean {
    const high = Math.floor(threshold);
    return w < high || (w === high && this.draws.refine(i) < Math.floor((threshold - high) * TWO_32));
  }

  /**
   * Within the binade of w a lattice of step ulp(w). Beyond MAX_S the rounding is too fine to matter, and s no longer tells
   * sigma.
   */
  half(_h: number, w: number, i: number): number {
    const { inSteps } = this.move;
    const sigma = this.sigma(i);
    if (sigma === 0) return 0;
    const step = ulp(w, this.kind);
    const s = scaleInSteps(sigma, inSteps, step);
    if (s < MAX_S) return f(this.steps(f(s * s), i) * step);
    return f((inSteps ? finite(f(sigma * step)) : sigma) * this.draws.normal(i));
  }

  halfWord(_y: number, i: number): number {
    return this.draws.roundingWord(i);
  }
}
