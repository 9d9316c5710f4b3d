// The census of a tensor: how many of its codes have which step, and which distance to the rails. It is what the dose rests on
// (docs/theory/dose.md): how far a code may move is all that a law leaves open. Whole numbers throughout, so that it is the same
// however the work is split.
//
// A census is rows of 1 + classes numbers, by ascending step: the step, rounded to CENSUS_STEPS values (stepOfRow), and how many
// weights of each class it has. Classes are the distances to the nearer rail, 0, 1, 2 ...; on uneven grids, the levels. Codes that
// have no step are in row 0. Where sigma goes by column, a weight stands on its step divided by its column's factor, where it has
// the same noise in steps, and counts as the square of the factor.

import { stepSize, unpack } from "./codes.js";
import { bitsOf, floatOf } from "./float-bits.js";
import { levelOfCode, levelsOf } from "./levels.js";
import type { Columns, EncodedFormat } from "./move.js";
import { CENSUS_SHIFT, CENSUS_STEPS, Field, Levels } from "./numbers.js";
import { eachGroup } from "./runs.js";
import type { Weights } from "./workspace.js";

const f = Math.fround;
const HALF_A_ROW = 1 << (CENSUS_SHIFT - 1);

/** Rows of 1 + classes numbers. */
export type Census = Float64Array;

/** How many classes the codes of a lattice have. */
export function classesOf(format: EncodedFormat): number {
  if (format[Field.levels] !== Levels.uniform) return levelsOf(format[Field.levels] as number).length;
  return Math.floor(((format[Field.hi] as number) - (format[Field.lo] as number)) / 2) + 1;
}

/** The class of a code, after the bias. */
export function classOfCode(code: number, format: EncodedFormat): number {
  if (format[Field.levels] !== Levels.uniform) return levelOfCode(format[Field.levels] as number, code);
  return Math.max(0, Math.min(code - (format[Field.lo] as number), (format[Field.hi] as number) - code));
}

/** The row of a step, at least 0: its float32 rounded to four bits of mantissa. */
export const rowOfStep = (step: number): number => (bitsOf(step) + HALF_A_ROW) >>> CENSUS_SHIFT;

/** The step of a row; finite. */
export const stepOfRow = (row: number): number => floatOf(Math.min(row, CENSUS_STEPS - 2) << CENSUS_SHIFT);

/** What a weight counts, where sigma goes by column: its factor squared, in these parts of one, and no more than this. */
const SHARES = 1024;
const MOST_SHARES = 2 ** 40;

/** Columns as a census needs them: of each column 1 / factor, and what a weight of it counts. */
export interface CensusColumns {
  readonly inverse: Float32Array;
  readonly shares: Float64Array;
  readonly width: number;
  readonly matrix: number;
}

export function censusColumns({ factors, width, matrix }: Columns): CensusColumns {
  return {
    inverse: Float32Array.from(factors, (factor) => f(1 / factor)),
    shares: Float64Array.from(factors, (factor) => Math.min(Math.floor(factor * factor * SHARES + 0.5), MOST_SHARES)),
    width,
    matrix,
  };
}

/** Counts while there is more to come. */
class Counts {
  private readonly rows = new Map<number, Float64Array>();
  constructor(private readonly classes: number) {}

  row(row: number): Float64Array {
    let counts = this.rows.get(row);
    if (counts === undefined) {
      counts = new Float64Array(this.classes);
      this.rows.set(row, counts);
    }
    return counts;
  }

  done(): Census {
    const rows = [...this.rows].sort(([a], [b]) => a - b);
    const census = new Float64Array(rows.length * (1 + this.classes));
    for (const [i, [row, counts]] of rows.entries()) {
      census[i * (1 + this.classes)] = row;
      census.set(counts, i * (1 + this.classes) + 1);
    }
    return census;
  }
}

/** The census of whole blocks of a lattice that has its own steps; the first weight is number `index` of the tensor. */
export function takeCensus(
  data: Uint8Array,
  format: EncodedFormat,
  columns: CensusColumns | undefined,
  index: number,
  { codes }: Weights,
): Census {
  const weights = format[Field.weights] as number;
  const bytes = format[Field.bytes] as number;
  const counts = new Counts(classesOf(format));
  const classes = Uint8Array.from({ length: 256 }, (_, code) => classOfCode((code << 24) >> 24, format));
  const blocks = Math.floor(data.length / bytes);
  const tile = codes.length / weights;
  for (let block = 0; block < blocks; block += tile) {
    const count = Math.min(tile, blocks - block);
    unpack(codes, data, block * bytes, count, format);
    eachGroup(data, block * bytes, count, format, (start, end, signed) => {
      const step = stepSize(signed);
      if (columns === undefined) {
        const row = counts.row(rowOfStep(step));
        for (let i = start; i < end; i++) {
          const at = classes[(codes[i] as number) & 255] as number;
          row[at] = (row[at] as number) + 1;
        }
        return;
      }
      const { inverse, shares, width, matrix } = columns;
      const first = index + block * weights + start;
      let column = Math.floor(first / matrix) * width + (first % width);
      for (let i = start; i < end; i++, column++) {
        const row = counts.row(rowOfStep(stepSize(f(step * (inverse[column] as number)))));
        const at = classes[(codes[i] as number) & 255] as number;
        row[at] = (row[at] as number) + (shares[column] as number);
      }
    });
  }
  return counts.done();
}

/** The census of all of these together. */
export function addCensuses(parts: readonly Census[], format: EncodedFormat): Census {
  const classes = classesOf(format);
  const counts = new Counts(classes);
  for (const part of parts) {
    for (let at = 0; at < part.length; at += 1 + classes) {
      const row = counts.row(part[at] as number);
      for (let c = 0; c < classes; c++) row[c] = (row[c] as number) + (part[at + 1 + c] as number);
    }
  }
  return counts.done();
}
