// Kicks of weights that all have the sigma of the move: the laws of moves.ts, and that of half floats.

import type { Draws } from "./draws.js";
import { HalfLaws } from "./halves.js";
import type { Kicks } from "./kicks.js";
import type { Move } from "./move.js";
import { COARSE_VARIANCE, centredUniform, kick, type Law, matchedScale } from "./moves.js";
import { Field } from "./numbers.js";
import type { Workspace } from "./workspace.js";

const f = Math.fround;
const TWO_32 = 2 ** 32;

export class RunKicks implements Kicks {
  readonly draws: Draws;
  private readonly law: Law;
  private variance = -1;
  private halves: HalfLaws | undefined;

  constructor(
    work: Workspace,
    private readonly move: Move,
  ) {
    this.draws = work.draws;
    this.law = work.law;
  }

  begin(): void {}

  sigma(): number {
    return this.move.sigma;
  }

  steps(v: number, i: number): number {
    const { draws } = this;
    if (v > COARSE_VARIANCE) return kick(matchedScale(v), draws.normal(i), centredUniform(draws.roundingWord(i)));
    if (v !== this.variance) this.setLaw(v);
    return this.law.move(draws, i);
  }

  private setLaw(v: number): void {
    this.law.set(v);
    this.variance = v;
  }

  neighbour(up: number, down: number, i: number): number {
    const w = this.draws.move(i);
    if (this.below(w, f(up * 65536), i)) return 1;
    return this.below(65535 - w, f(down * 65536), i) ? -1 : 0;
  }

  /** Whether 16 bits, with 32 more where they do not decide, are below a threshold. */
  private below(w: number, threshold: number, i: number): boolean {
    const high = Math.floor(threshold);
    return w < high || (w === high && this.draws.refine(i) < Math.floor(f(f(threshold - high) * TWO_32)));
  }

  half(h: number, w: number, i: number): number {
    const { format, sigma, inSteps } = this.move;
    this.halves ??= new HalfLaws(format[Field.kind] as number, sigma, inSteps);
    return this.halves.displacement(h, w, this.draws, i);
  }

  halfWord(y: number, i: number): number {
    return HalfLaws.word(y, this.move.format[Field.kind] as number, this.draws, i);
  }
}
