// The evolution of the dynamics `langevin` (docs/theory/langevin.md): an Ornstein-Uhlenbeck process on the lattice. Every
// weight is pulled towards its pristine value by the factor a = e^(-1/tau), then kicked, so that its stationary standard
// deviation is sigma. A code that stands k steps from its pristine one goes to
//
//   k' = R(a k) + j,  R: stochastic rounding,  Var R = c(k) = f (1 - f), f = frac(a |k|),  j: a kick of variance v(k) = alpha + beta k^2 - c(k)
//
// with alpha = (1 - a^2) s^2 - beta s^2 and beta the smallest number that keeps v >= 0 (decay.ts). Then E[k' | k] = a k and
// Var[k' | k] = alpha + beta k^2, so the stationary variance V = a^2 V + alpha + beta V has the one solution s^2, whatever the
// shape of the law, and the autocorrelation is a^t. For s -> 0, beta -> a (1 - a): the INAR(1) process of Steutel and van Harn
// (1979), here for the difference of two Poisson numbers; for large s, beta = 0: the discrete Ornstein-Uhlenbeck process.
// On even grids there are two more ways, cheaper ones, for light and for heavy noise (pulls.ts).

import { pack, unpack } from "./codes.js";
import { betaAt, type Decay, decayOf } from "./decay.js";
import { difference } from "./difference.js";
import type { Draws } from "./draws.js";
import type { Evolution } from "./evolution.js";
import { absoluteSigma, clamp, limitOf, ulp } from "./floats.js";
import { halfOf, loadFloats, storeFloats, widen } from "./halves.js";
import type { Kicks } from "./kicks.js";
import { codeOfLevel, kickLevel, levelBelow, levelOfCode, levelsOf, scaleOfTable } from "./levels.js";
import type { EncodedFormat, Move } from "./move.js";
import { MAX_S, scaleInSteps } from "./moves.js";
import { Field, Kind, Levels } from "./numbers.js";
import { kicksOf, perturb } from "./perturb.js";
import { pullOf } from "./pulls.js";
import { eachRun } from "./runs.js";
import { stationarySquares } from "./stationary.js";
import type { Weights, Workspace } from "./workspace.js";

const f = Math.fround;
const TWO_M24 = 2 ** -24;
const TWO_M16 = 2 ** -16;
const TWO_32 = 2 ** 32;
/** The largest float32 below 1: how much of a move is kept at most. */
const BELOW_ONE = 1 - 2 ** -24;
/** Displacements of half floats are cut here, in steps: whole numbers near it are exact. */
const FARTHEST = 2 ** 22;

function parameters(keep: number, format: EncodedFormat): Decay {
  return decayOf(Math.min(Math.fround(keep), BELOW_ONE), format[Field.levels] as number);
}

/** Goes by `keep` = a, 0 <= a < 1 (a float32: what is nearer to 1 becomes the largest below). Moves are `matched`. */
export const relaxation: Evolution = {
  name: "relax",
  parameters,
  stationary: (keep, format, byColumn) => stationarySquares(parameters(keep, format), format, byColumn),
  step(live, pristine, move, decay, work) {
    const { format } = move;
    const even = format[Field.kind] === Kind.lattice && format[Field.levels] === Levels.uniform && move.columns === undefined;
    const before = even ? new Uint8Array(live) : live; // slice() of a Buffer would be no copy
    const relaxing = new Relaxing(move, decay, work);
    const changed = work.eachTile(live.length, move, (from, blocks, index) => relaxing.tile(live, pristine, from, blocks, index));
    if (!even) return changed;
    perturb(live, { ...move, decay }, work);
    return difference(before, live, format, work);
  },
};

/** One step of one tensor. */
class Relaxing {
  private readonly kicks: Kicks;
  private readonly draws: Draws;
  private readonly live: Weights;
  private readonly pristine: Weights;
  private readonly keep: number;
  private readonly loss: number;
  private readonly lossRoot: number;
  // What a kick's variance is made of, for the row of betas and the s that were asked for last.
  private row = -1;
  private s = -1;
  private alpha = 0;
  private beta = 0;

  constructor(
    private readonly move: Move,
    private readonly decay: Decay,
    work: Workspace,
  ) {
    this.kicks = kicksOf(move, work);
    this.draws = work.draws;
    this.live = work.live;
    this.pristine = work.pristine;
    this.keep = decay[0] as number;
    this.loss = decay[1] as number;
    this.lossRoot = decay[2] as number;
  }

  tile(data: Uint8Array, origin: Uint8Array, from: number, blocks: number, index: number): number {
    const { move, live, pristine } = this;
    const { format } = move;
    const kind = format[Field.kind] as number;
    const n = blocks * (format[Field.weights] as number);
    this.kicks.begin(index, n);
    let changed = 0;
    if (kind === Kind.lattice) {
      unpack(live.codes, data, from, blocks, format);
      unpack(pristine.codes, origin, from, blocks, format);
      const uniform = format[Field.levels] === Levels.uniform;
      eachRun(origin, from, move, index, n, (start, end, step) => {
        changed += uniform ? this.codes(start, end, step) : this.levels(start, end, step);
      });
      if (changed > 0) pack(live.codes, data, from, blocks, format);
      return changed;
    }
    const end = from + n * (format[Field.bytes] as number);
    loadFloats(live, data.subarray(from, end), kind);
    loadFloats(pristine, origin.subarray(from, end), kind);
    changed = kind === Kind.f32 ? this.floats(n) : this.halves(n, kind);
    if (changed > 0) storeFloats(live, data.subarray(from, end), kind);
    return changed;
  }

  /** Sets alpha and beta for noise of s steps, by a row of betas. */
  private setKick(row: number, s: number): void {
    if (s === this.s && row === this.row) return;
    const square = f(s * s);
    this.row = row;
    this.s = s;
    this.beta = betaAt(this.decay, row, square);
    this.alpha = f(f(this.loss * square) - f(this.beta * square));
  }

  /** The variance of the kick at a displacement x whose pull adds `added`: alpha + beta x^2 - c. */
  private kickVariance(x: number, added: number): number {
    return Math.max(0, f(f(this.alpha + f(this.beta * f(x * x))) - added));
  }

  /**
   * Whether the pull of weight i, `part` of a gap from the lower of two places, goes to the upper one: with probability `part`.
   */
  private roundsUp(i: number, part: number): boolean {
    return (this.draws.pullWord(i) >>> 8) * TWO_M24 < part;
  }

  /** k' of a displacement of k steps (whole for lattices) where noise is s > 0 steps, as set, or 0: then there is no kick. */
  private nextSteps(k: number, s: number, i: number): number {
    const size = Math.abs(k);
    const x = f(this.keep * size);
    const whole = Math.floor(x);
    const part = f(x - whole);
    const pulled = part > 0 && this.roundsUp(i, part) ? whole + 1 : whole;
    const j = s > 0 ? this.kicks.steps(this.kickVariance(size, f(part * f(1 - part))), i) : 0;
    return (k < 0 ? -pulled : pulled) + j;
  }

  /** Codes whose values are whole multiples of the step. Their kicks come later where all of a run have the same. */
  private codes(from: number, to: number, step: number): number {
    const { kicks } = this;
    if (this.move.columns === undefined) {
      const { sigma, inSteps } = this.move;
      const pull = pullOf(step > 0 ? scaleInSteps(sigma, inSteps, step) : 0, this.decay);
      if (pull === "light") return this.forget(from, to);
      if (pull === "heavy") return this.dither(from, to);
    }
    const { format, inSteps } = this.move;
    const live = this.live.codes;
    const pristine = this.pristine.codes;
    const lo = format[Field.lo] as number;
    const hi = format[Field.hi] as number;
    let sigma = -1;
    let s = 0;
    let changed = 0;
    for (let i = from; i < to; i++) {
      const p = pristine[i] as number;
      const q = live[i] as number;
      const reach = Math.max(0, Math.min(p - lo, hi - p));
      if (kicks.sigma(i) !== sigma) {
        sigma = kicks.sigma(i);
        s = step > 0 ? scaleInSteps(sigma, inSteps, step) : 0;
        this.setKick(0, s);
      }
      const k = Math.max(-reach, Math.min(reach, this.nextSteps(q - p, s, i)));
      if (p + k !== q) {
        live[i] = p + k;
        changed++;
      }
    }
    return changed;
  }

  /** Codes that stay with probability a, else are pristine again. */
  private forget(from: number, to: number): number {
    const { draws } = this;
    const live = this.live.codes;
    const pristine = this.pristine.codes;
    const threshold = 256 * this.keep;
    const high = Math.floor(threshold);
    const low = (threshold - high) * TWO_32;
    let changed = 0;
    for (let i = from; i < to; i++) {
      if (live[i] === pristine[i]) continue;
      const byte = draws.stay(i);
      if (byte < high || (byte === high && draws.refine(i) < low)) continue;
      live[i] = pristine[i] as number;
      changed++;
    }
    return changed;
  }

  /** Codes pulled to a k and a dither, whose variance does not depend on k; where rails are too near for it, rounded stochastically. */
  private dither(from: number, to: number): number {
    const { draws, keep } = this;
    const { format } = this.move;
    const live = this.live.codes;
    const pristine = this.pristine.codes;
    const lo = format[Field.lo] as number;
    const hi = format[Field.hi] as number;
    let changed = 0;
    for (let i = from; i < to; i++) {
      const p = pristine[i] as number;
      const k = (live[i] as number) - p;
      const x = f(keep * Math.abs(k));
      const word = draws.pullWord(i);
      let pulled: number;
      if (Math.min(p - lo, hi - p) >= f(x + 1.5)) {
        const y = f(x + ((word >>> 16) - (word & 0xffff)) * TWO_M16);
        const size = Math.floor(f(Math.abs(y) + 0.5));
        pulled = y < 0 ? -size : size;
      } else {
        const whole = Math.floor(x);
        pulled = (word >>> 8) * TWO_M24 < f(x - whole) ? whole + 1 : whole;
      }
      const code = p + (k < 0 ? -pulled : pulled);
      if (code === live[i]) continue;
      live[i] = code;
      changed++;
    }
    return changed;
  }

  /** Codes that stand for the entries of a table: displacements in units of the step, places at the entries. */
  private levels(from: number, to: number, step: number): number {
    const { kicks } = this;
    const { format, inSteps } = this.move;
    const live = this.live.codes;
    const pristine = this.pristine.codes;
    const levels = format[Field.levels] as number;
    const values = levelsOf(levels);
    let sigma = -1;
    let s = 0;
    let changed = 0;
    for (let i = from; i < to; i++) {
      const p = pristine[i] as number;
      const q = live[i] as number;
      if (kicks.sigma(i) !== sigma) {
        sigma = kicks.sigma(i);
        s = step > 0 ? scaleOfTable(levels, step, sigma, inSteps) : 0;
      }
      const origin = levelOfCode(levels, p);
      const level = this.nextLevel(values, origin, levelOfCode(levels, q), s, i);
      const code = level === origin ? p : codeOfLevel(levels, level);
      if (code !== q) {
        live[i] = code;
        changed++;
      }
    }
    return changed;
  }

  /** The level after the step of a weight that stood at `was`. */
  private nextLevel(values: readonly number[], pristine: number, was: number, s: number, i: number): number {
    const last = values.length - 1;
    if (pristine === 0 || pristine === last) return pristine;
    const origin = values[pristine] as number;
    const x = (values[was] as number) - origin;
    const y = f(origin + f(this.keep * x));
    let level = levelBelow(values, y);
    let added = 0;
    const start = values[level] as number;
    if (y > start) {
      const end = values[level + 1] as number;
      const below = f(y - start);
      added = f(below * f(end - y));
      if (this.roundsUp(i, f(below / (end - start)))) level++;
    }
    if (!(s > 0) || level === 0 || level === last) return level;
    this.setKick(pristine, s);
    return kickLevel(values, level, origin, this.kickVariance(x, added), this.kicks, i);
  }

  /** F32: p + a (w - p) + b sigma z, b = sqrt(1 - a^2). Bits, so that NaNs and zeros of either sign are told apart. */
  private floats(n: number): number {
    const { floats, bits } = this.live;
    const most = limitOf(Kind.f32);
    let changed = 0;
    for (let i = 0; i < n; i++) {
      const p = this.pristine.floats[i] as number;
      const before = bits[i];
      if (Math.abs(p) <= most) {
        const d = this.drawn(p, floats[i] as number, Kind.f32, i);
        floats[i] = f(p + clamp(d, f(most - Math.abs(p))));
      } else {
        bits[i] = this.pristine.bits[i] as number;
      }
      if (bits[i] !== before) changed++;
    }
    return changed;
  }

  /** a (w - p) + b sigma z; a weight that is not finite stands where it belongs. */
  private drawn(p: number, w: number, kind: number, i: number): number {
    const most = limitOf(kind);
    const drift = Math.abs(w) <= most ? f(this.keep * clamp(f(w - p), most)) : 0;
    const scale = f(this.lossRoot * absoluteSigma(this.kicks.sigma(i), this.move.inSteps, p, kind));
    return f(drift + f(scale * this.draws.normal(i)));
  }

  /**
   * Short floats: within the binade of p a lattice of step ulp(p); where noise is far above that, as F32, rounded
   * stochastically.
   */
  private halves(n: number, kind: number): number {
    const live = this.live.halves;
    const most = limitOf(kind);
    let changed = 0;
    for (let i = 0; i < n; i++) {
      const h = this.pristine.halves[i] as number;
      const p = widen(h, kind);
      let to = h;
      if (Math.abs(p) <= most) {
        const w = widen(live[i] as number, kind);
        const step = ulp(p, kind);
        const s = scaleInSteps(this.kicks.sigma(i), this.move.inSteps, step);
        const steps = Math.abs(w) <= most ? clamp(f(f(w - p) / step), FARTHEST) : 0;
        this.setKick(0, s);
        const d = s < MAX_S ? f(this.nextSteps(steps, s, i) * step) : this.drawn(p, w, kind, i);
        if (d !== 0) to = halfOf(f(p + clamp(d, f(most - Math.abs(p)))), kind, this.draws.roundingWord(i));
      }
      if (to !== live[i]) {
        live[i] = to;
        changed++;
      }
    }
    return changed;
  }
}
