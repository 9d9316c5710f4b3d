// How far codes stand from their pristine ones under `relax` (relaxation.ts), on average, when it has gone on for long: what rails make
// of its stationary variance (docs/theory/dose.md). Every displacement is a state of a Markov chain, a row of whose matrix is what the
// law draws from there; the mean square is that of the chain's stationary distribution.

import { classesOf } from "./census.js";
import { betaAt, type Decay } from "./decay.js";
import { levelBelow, levelsOf } from "./levels.js";
import { kickChances, MeanSquares, oneByOne, type Pieces, type SquaresAt } from "./mean-squares.js";
import type { EncodedFormat } from "./move.js";
import { type Law, type Tails, tailsOf } from "./move-tails.js";
import { Field, Levels, Rounding } from "./numbers.js";
import { kickVariance, type Pull, pullChanges, pullOfSquare } from "./pulls.js";

const f = Math.fround;

/** Rows an octave of variance are 2^(23 - SHIFT): mean squares are nearly straight between them. */
const SHIFT = 21;
/** No rail matters that is so many standard deviations away, and no state. */
const FAR = 5;
/** On a grid so fine, or of so many steps from rail to rail, one of fewer steps does as well. */
const MOST_S = 4;
const MOST_STEPS = 40;

const known = new Map<string, MeanSquares>();
/** Decays that are kept: a thermostat has one at a time. */
const KEPT = 32;

/** The stationary mean squares of `relax`, where sigma goes by column or not. */
export function stationarySquares(decay: Decay, format: EncodedFormat, byColumn: boolean): MeanSquares {
  const levels = format[Field.levels] as number;
  const range = (format[Field.hi] as number) - (format[Field.lo] as number);
  const name = `${decay[0]} ${levels} ${range} ${byColumn}`;
  let squares = known.get(name);
  if (squares === undefined) {
    if (known.size >= KEPT) known.clear();
    const even = evenSquares(decay, classesOf(format), range, byColumn);
    squares =
      levels === Levels.uniform
        ? new MeanSquares(even, SHIFT, byColumn ? [] : pullChanges(decay))
        : new MeanSquares((v) => oneByOne(() => tableSquares(decay, levels, v)), SHIFT);
    known.set(name, squares);
  }
  return squares;
}

/** Adds to `row` where a step leads to from a state, with which chances. */
type Leads = (state: number, row: Float64Array) => void;

/** The mean of `square` over the stationary distribution of states 0 ... n - 1, of which each leads to lower ones. */
function stationaryMean(n: number, leads: Leads, square: (state: number) => number): number {
  const rows = Array.from({ length: n }, (_, state) => {
    const row = new Float64Array(n);
    leads(state, row);
    return row;
  });
  // W. K. Grassmann, M. I. Taksar & D. P. Heyman, Operations Research 33, 1107 (1985): eliminates states, and never subtracts.
  for (let k = n - 1; k > 0; k--) {
    const last = rows[k] as Float64Array;
    let out = 0;
    for (let j = 0; j < k; j++) out += last[j] as number;
    for (let i = 0; i < k; i++) {
      const row = rows[i] as Float64Array;
      const share = out > 0 ? (row[k] as number) / out : 0;
      row[k] = share;
      if (share > 0) for (let j = 0; j < k; j++) row[j] = (row[j] as number) + share * (last[j] as number);
    }
  }
  const weights = new Float64Array(n);
  let all = 0;
  let mean = 0;
  for (let k = 0; k < n; k++) {
    let weight = k === 0 ? 1 : 0;
    for (let i = 0; i < k; i++) weight += (weights[i] as number) * ((rows[i] as Float64Array)[k] as number);
    weights[k] = weight;
    all += weight;
    mean += weight * square(k);
  }
  return mean / all;
}

/** Mean squares on an even grid of `range` steps by the distance to the nearer rail. */
function evenSquares(decay: Decay, classes: number, range: number, byColumn: boolean): SquaresAt {
  const chains = function* (v: number, distances: number, steps: number): Pieces<Float64Array> {
    const squares = new Float64Array(distances);
    for (let d = 1; d < distances; d++) {
      const far = d > FAR * Math.sqrt(v) + 2;
      squares[d] = far ? v : yield* oneByOne(() => new EvenChain(decay, v, d, steps, byColumn).meanSquare());
    }
    return squares;
  };
  // A code that comes near a rail is kicked by its distance to it, 0 or twice that. So mean squares of small distances go with d^2 where
  // the pull is strong, with d where it is weak; and where it is strong, what rounding the pull adds counts as a quarter of a step at d = 1.
  const strong = Math.min(1, (1 - (decay[0] as number)) / (1 - Math.SQRT1_2));
  const effective = (d: number) => (d === 0 ? 0 : d + strong / (4 * d));
  return function* (v) {
    const scale = Math.max(MOST_S / Math.sqrt(v), MOST_STEPS / range);
    if (scale >= 1) return yield* chains(v, classes, range);
    const coarse = v * scale * scale;
    const distances = Math.ceil(Math.min((classes - 1) * scale, FAR * Math.sqrt(coarse) + 3)) + 2;
    const squares = yield* chains(coarse, distances, Math.max(2 * distances, Math.ceil(range * scale)));
    let low = 0;
    return Float64Array.from({ length: classes }, (_, d) => {
      const at = effective(d) * scale;
      while (low < distances - 2 && at >= effective(low + 1)) low++;
      const straight = Math.min(1, (at - effective(low)) / (effective(low + 1) - effective(low)));
      const part = low === 0 ? straight * (1 - strong * (1 - straight)) : straight;
      const [a, b] = [squares[low] as number, squares[low + 1] as number];
      return (a + (b - a) * part) / (scale * scale);
    });
  };
}

/** The displacements of a code with d steps to the nearer rail, which is `range` steps from the other one. */
class EvenChain {
  private readonly pull: Pull;
  private readonly least: number;
  private readonly most: number;
  private readonly states: number[] = [];
  /** Of each displacement, from the least on, its state. */
  private readonly stateOf: Int32Array;
  private readonly law: Law;
  private readonly length: number;
  private readonly beta: number;
  /** Of the kick that all codes of a run have, if they do. */
  private readonly tails: Tails | undefined;

  constructor(
    private readonly decay: Decay,
    private readonly v: number,
    private readonly d: number,
    private readonly range: number,
    byColumn: boolean,
  ) {
    const s = Math.sqrt(v);
    this.pull = byColumn ? "middle" : pullOfSquare(f(v), decay);
    this.law = byColumn ? "column" : Rounding.matched;
    this.most = Math.min(this.pull === "middle" ? d : range - d, Math.ceil(FAR * s) + 3);
    this.least = -Math.min(d, this.most);
    // By their size, 0, 1, -1, 2, -2 ...: a step leads to lower ones.
    for (let size = 0; size <= this.most; size++) {
      this.states.push(size);
      if (size > 0 && -size >= this.least) this.states.push(-size);
    }
    this.stateOf = new Int32Array(this.states.length);
    for (const [state, x] of this.states.entries()) this.stateOf[x - this.least] = state;
    this.length = this.most - this.least + 2;
    this.beta = betaAt(decay, 0, f(v));
    this.tails = this.pull === "middle" ? undefined : tailsOf(this.law, kickVariance(this.pull, v, decay), this.length);
  }

  meanSquare(): number {
    const { states } = this;
    const square = (state: number) => (states[state] as number) * (states[state] as number);
    return stationaryMean(states.length, (state, row) => this.leads(states[state] as number, row), square);
  }

  private leads(x: number, row: Float64Array): void {
    const keep = this.decay[0] as number;
    const { tails } = this;
    const size = keep * Math.abs(x);
    const sign = Math.sign(x);
    const whole = Math.floor(size);
    const part = size - whole;
    if (tails === undefined) {
      const variance = ((this.decay[1] as number) - this.beta) * this.v + this.beta * x * x - part * (1 - part);
      const own = variance > 0 ? tailsOf(this.law, variance, this.length) : new Float64Array(this.length);
      this.kick(row, sign * whole, this.length, own, 1 - part);
      this.kick(row, sign * (whole + 1), this.length, own, part);
      return;
    }
    if (this.pull === "light") {
      this.kickLive(row, x, tails, keep);
      this.kickLive(row, 0, tails, 1 - keep);
    } else if (this.d < size + 1.5) {
      this.kickLive(row, sign * whole, tails, 1 - part);
      this.kickLive(row, sign * (whole + 1), tails, part);
    } else {
      const side = x < 0 ? -1 : 1;
      for (let k = whole - 1; k <= whole + 2; k++) {
        this.kickLive(row, side * k, tails, belowDither(k + 0.5 - size) - belowDither(k - 0.5 - size));
      }
    }
  }

  /** A kick that stays within the distance of the code, as it is then, to the nearer rail. */
  private kickLive(row: Float64Array, x: number, tails: Tails, chance: number): void {
    const { d, range } = this;
    this.kick(row, x, Math.max(0, Math.min(d + x, range - d - x)), tails, chance);
  }

  /** A kick from x, at most `reach` far. */
  private kick(row: Float64Array, x: number, reach: number, tails: Tails, chance: number): void {
    if (!(chance > 0)) return;
    const { least, most, stateOf } = this;
    const put = (to: number, part: number) => {
      const state = stateOf[Math.max(least, Math.min(most, to)) - least] as number;
      row[state] = (row[state] as number) + part;
    };
    put(x, reach > 0 ? chance * (1 - (tails[1] as number)) : chance);
    for (let k = 1, last = Math.min(reach, this.length - 1); k <= last; k++) {
      const here = ((tails[k] as number) - (k === last ? 0 : (tails[k + 1] as number))) * chance;
      if (here === 0) continue;
      put(x + k, here / 2);
      put(x - k, here / 2);
    }
  }
}

/** P(u1 - u2 < t). */
function belowDither(t: number): number {
  if (t <= -1) return 0;
  if (t >= 1) return 1;
  return t < 0 ? ((1 + t) * (1 + t)) / 2 : 1 - ((1 - t) * (1 - t)) / 2;
}

/** Mean squares of the levels of a table, in units of its values. */
function tableSquares(decay: Decay, levels: number, v: number): Float64Array {
  const values = levelsOf(levels);
  const last = values.length - 1;
  const keep = decay[0] as number;
  return Float64Array.from(values, (origin, pristine) => {
    if (pristine === 0 || pristine === last) return 0;
    const away = (level: number) => Math.abs((values[level] as number) - origin);
    const byDistance = values.map((_, level) => level).sort((a, b) => away(a) - away(b));
    const place = values.map((_, level) => byDistance.indexOf(level));
    const beta = betaAt(decay, pristine, f(v));
    const leads = (state: number, row: Float64Array) => {
      const add = (level: number, chance: number) => {
        const to = place[level] as number;
        row[to] = (row[to] as number) + chance;
      };
      const x = (values[byDistance[state] as number] as number) - origin;
      const y = origin + keep * x;
      const low = Math.min(levelBelow(values, y), last - 1);
      const [a, b] = [values[low] as number, values[low + 1] as number];
      const variance = Math.max(0, ((decay[1] as number) - beta) * v + beta * x * x - (y - a) * (b - y));
      for (const [level, chance] of [
        [low, (b - y) / (b - a)],
        [low + 1, (y - a) / (b - a)],
      ] as const) {
        if (chance === 0) continue;
        if (level === 0 || level === last) add(level, chance);
        else for (const [to, p] of kickChances(values, level, origin, variance).entries()) add(to, chance * p);
      }
    };
    return stationaryMean(values.length, leads, (state) => {
      const x = (values[byDistance[state] as number] as number) - origin;
      return x * x;
    });
  });
}
