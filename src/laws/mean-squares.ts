// How far codes move on average, in steps squared: E[min(|k|, d)^2] by their distance d to the nearer rail, and on uneven grids by
// their level (docs/theory/dose.md). A census (census.ts) says how many codes of a tensor have which; together they say what noise of
// a sigma gives the tensor.

import { classesOf } from "./census.js";
import { bitsOf, floatOf } from "./float-bits.js";
import { density, upperTail } from "./gauss.js";
import { levelBelow, levelsOf, reachOf } from "./levels.js";
import type { EncodedFormat } from "./move.js";
import { type Law, type Tails, tailsOf } from "./move-tails.js";
import { MAX_S } from "./moves.js";
import { Field, Levels, Rounding } from "./numbers.js";

/** Work that rests after each piece, of which none takes long: whoever asks goes on at once, or lets others have a turn before. */
export type Pieces<T> = Generator<undefined, T>;

/** Mean squares by class, of weights with noise of variance v > 0, in steps squared. */
export type SquaresAt = (v: number) => Pieces<Float64Array>;

/** Between variances with so many bits fewer than a float32 has, mean squares are straight lines. */
const SHIFT = 19;

/** A little below a jump. */
const BELOW_ONE = 1 - 2 ** -16;

/** Mean squares by class as a function of the variance: made where they are asked for, and kept. */
export class MeanSquares {
  private readonly rows: (Float64Array | undefined)[] = [];
  private readonly edges = new Map<number, Float64Array>();

  /**
   * @param shift how coarse the grid of variances is
   * @param jumps variances at which another law begins
   */
  constructor(
    private readonly at: SquaresAt,
    private readonly shift = SHIFT,
    private readonly jumps: readonly number[] = [],
  ) {}

  /** Sum of counts[from + c] times the mean square of class c, for all classes. Rests where mean squares are made that were never asked for. */
  *sum(variance: number, counts: Float32Array, from: number): Pieces<number> {
    const v = Math.min(variance, MAX_S * MAX_S);
    const row = bitsOf(v) >>> this.shift;
    let low = floatOf(row << this.shift);
    let high = floatOf((row + 1) << this.shift);
    const jump = this.jumps.find((at) => low < at && at <= high);
    const a = jump !== undefined && v >= jump ? yield* this.edge(jump, 1) : (this.rows[row] ?? (yield* this.row(row)));
    const b =
      jump !== undefined && v < jump ? yield* this.edge(jump, BELOW_ONE) : (this.rows[row + 1] ?? (yield* this.row(row + 1)));
    if (jump !== undefined && v >= jump) low = jump;
    else if (jump !== undefined) high = jump;
    let lower = 0;
    let upper = 0;
    for (let c = 0; c < a.length; c++) {
      const count = counts[from + c] as number;
      lower += count * (a[c] as number);
      upper += count * (b[c] as number);
    }
    return high > low ? lower + ((upper - lower) * (v - low)) / (high - low) : upper;
  }

  /** Those on one side of a jump. */
  private *edge(jump: number, side: number): Pieces<Float64Array> {
    const v = jump * side;
    let squares = this.edges.get(v);
    if (squares === undefined) {
      squares = yield* this.at(v);
      this.edges.set(v, squares);
    }
    return squares;
  }

  private *row(row: number): Pieces<Float64Array> {
    while (this.rows.length <= row) this.rows.push(undefined);
    const squares = yield* this.at(floatOf(row << this.shift));
    this.rows[row] = squares;
    return squares;
  }
}

const known = new Map<string, MeanSquares>();

/** Those of plain moves by this law. */
export function meanSquaresOf(format: EncodedFormat, law: Law): MeanSquares {
  const levels = format[Field.levels] as number;
  const classes = classesOf(format);
  const name = `${levels} ${classes} ${law}`;
  let squares = known.get(name);
  if (squares === undefined) {
    squares = new MeanSquares(
      levels === Levels.uniform
        ? (v) => oneByOne(() => evenSquares(tailsOf(law, v, classes)))
        : (v) => oneByOne(() => tableSquares(levels, law, v)),
    );
    known.set(name, squares);
  }
  return squares;
}

/** What pieces come to, done at once. */
export function whole<T>(pieces: Iterator<unknown, T>): T {
  for (;;) {
    const step = pieces.next();
    if (step.done) return step.value;
  }
}

/** Rests before work that takes a fraction of a millisecond, but is asked for many times. */
export function* oneByOne<T>(work: () => T): Pieces<T> {
  yield;
  return work();
}

/** E[min(|k|, d)^2] = sum over j <= d of (2 j - 1) P(|k| >= j), for every d that tails are given of. */
function evenSquares(tails: Tails): Float64Array {
  const squares = new Float64Array(tails.length);
  for (let d = 1; d < tails.length; d++) squares[d] = (squares[d - 1] as number) + (2 * d - 1) * (tails[d] as number);
  return squares;
}

/** Those of the levels of a table (levels.ts), in units of its values. */
function tableSquares(levels: number, law: Law, v: number): Float64Array {
  const values = levelsOf(levels);
  return Float64Array.from(values, (at, level) => {
    if (level === 0 || level === values.length - 1) return 0;
    const chances = law === Rounding.nearest || law === Rounding.stochastic ? undefined : kickChances(values, level, at, v);
    const all = chances ?? roundedChances(values, at, Math.sqrt(v), at, reachOf(values, at), law === Rounding.nearest);
    return meanSquare(all, values, at);
  });
}

/** The mean square of the distance from `origin`. */
export function meanSquare(chances: Float64Array, values: readonly number[], origin: number): number {
  let sum = 0;
  for (const [to, chance] of chances.entries()) {
    const away = (values[to] as number) - origin;
    sum += chance * (away * away);
  }
  return sum;
}

/** Where a `matched` kick of variance v takes a weight from `level`: the probabilities that `kickLevel` of levels.ts draws by. */
export function kickChances(values: readonly number[], level: number, origin: number, v: number): Float64Array {
  const at = values[level] as number;
  const up = (values[level + 1] as number) - at;
  const down = at - (values[level - 1] as number);
  const reach = reachOf(values, origin);
  if (v > up * down) return roundedChances(values, at, Math.sqrt(v - (up * down) / 6), origin, reach, false);
  const chances = new Float64Array(values.length);
  chances[level] = 1;
  for (const [to, chance] of [
    [level + 1, v / (up * (up + down))],
    [level - 1, v / (down * (up + down))],
  ] as const) {
    const away = Math.abs((values[to] as number) - origin);
    if (away > reach && away > Math.abs(at - origin)) continue;
    chances[to] = chance;
    chances[level] = (chances[level] as number) - chance;
  }
  return chances;
}

/** Where x + s z goes, kept to `reach` around `origin` and rounded to one of the two values around it: stochastically, or to the nearest. */
export function roundedChances(
  values: readonly number[],
  x: number,
  s: number,
  origin: number,
  reach: number,
  nearest: boolean,
): Float64Array {
  const chances = new Float64Array(values.length);
  const add = (level: number, chance: number) => {
    chances[level] = (chances[level] as number) + chance;
  };
  /** Rounds the part of the normal distribution between y = from and y = to, which lies between two neighbouring values. */
  const round = (level: number, from: number, to: number) => {
    const [a, b] = [values[level] as number, values[level + 1] as number];
    const [l, h] = [(from - x) / s, (to - x) / s];
    const mass = upperTail(l) - upperTail(h);
    if (nearest) {
      const middle = Math.max(from, Math.min(to, (a + b) / 2));
      const below = upperTail(l) - upperTail((middle - x) / s);
      add(level, below);
      add(level + 1, mass - below);
      return;
    }
    const mean = x * mass + s * (density(l) - density(h)); // times the mass
    add(level + 1, (mean - a * mass) / (b - a));
    add(level, (b * mass - mean) / (b - a));
  };
  /** All that is cut at y. */
  const put = (y: number, chance: number) => {
    const level = Math.min(levelBelow(values, y), values.length - 2);
    const [a, b] = [values[level] as number, values[level + 1] as number];
    const part = (y - a) / (b - a);
    const upper = nearest ? (part > 0.5 ? 1 : 0) : part;
    add(level + 1, chance * upper);
    add(level, chance * (1 - upper));
  };
  const [least, most] = [origin - reach, origin + reach];
  put(least, 1 - upperTail((least - x) / s));
  put(most, upperTail((most - x) / s));
  for (let level = 0; level < values.length - 1; level++) {
    const from = Math.max(least, values[level] as number);
    const to = Math.min(most, values[level + 1] as number);
    if (from < to) round(level, from, to);
  }
  return chances;
}
