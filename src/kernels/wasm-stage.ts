// A module's memory, as JavaScript uses it (assembly/memory.ts): the stage, through which data goes one leaf of weights at a
// time, and the places of formats, steps, parameters and tables. The memory never grows, so views of it stay good.

import { alias } from "../laws/alias.js";
import type { Key, Position } from "../laws/move.js";
import {
  DECAY_COLUMNS,
  DECAY_HEAD,
  Field,
  FORMAT_FIELDS,
  HITS_MOST,
  Kind,
  MOST_LEVELS,
  StepKind,
  SUM_LEAF,
} from "../laws/numbers.js";
import type { Layout } from "../laws/sums.js";
import { HITS, LAW_TAILS } from "../laws/tables.js";

/** One perturbation, or one step of an evolution, of what is on the stage; returns how many codes changed. */
export type MoveLeaf = (
  bytes: number,
  sigma: number,
  inSteps: number,
  rowLeft: number,
  rowLength: number,
  rounding: number,
  k0: number,
  k1: number,
  indexLo: number,
  indexHi: number,
  tick: number,
) => number;

/** What assembly/core.ts exports. */
export interface Exports {
  readonly memory: WebAssembly.Memory;
  stage(): number;
  pristineStage(): number;
  parameters(): number;
  steps(): number;
  format(): number;
  law(): number;
  alias(): number;
  hits(): number;
  accepted(): number;
  forgetHits(): void;
  hitsOfTile(
    rareClass: number,
    tile: number,
    from: number,
    to: number,
    share: number,
    k0: number,
    k1: number,
    tick: number,
  ): number;
  noise(as: number, blocks: number, k0: number, k1: number, lo: number, hi: number, tick: number, purpose: number): void;
  sumSquares(bytes: number, rowLeft: number, rowLength: number): number;
  beginLogits(): void;
  addLogits(as: number, n: number, most: number, beta: number, mostThere: number): void;
  totalOfLogits(): number;
  readonly perturb: MoveLeaf;
  /** The evolutions that the module has a kernel of, by the names of their laws. */
  readonly [evolution: `evolve_${string}`]: MoveLeaf | undefined;
}

/** What noise is made as; the numbers are those of assembly/noise.ts. */
export const As = { bits: 0, uniform: 1, normal: 2 } as const;

/**
 * A leaf on the stage: the caller's bytes that were put there, its first weight, and how many weights its first row and the
 * others have left.
 */
export interface Leaf {
  readonly bytes: Uint8Array;
  readonly index: number;
  readonly rowLeft: number;
  readonly rowLength: number;
}

/** Memory, and its first elements as a view, the same one as long as their number stays: to make one takes as long as to fill it. */
class Place<T extends Uint8Array | Uint32Array | Float32Array> {
  private head: T;

  constructor(readonly all: T) {
    this.head = all;
  }

  first(n: number): T {
    if (this.head.length !== n) this.head = this.all.subarray(0, n) as T;
    return this.head;
  }
}

export class Stage {
  readonly bytes: Place<Uint8Array>;
  readonly pristine: Uint8Array;
  readonly words: Place<Uint32Array>;
  readonly floats: Place<Float32Array>;
  /** What an evolution goes by: Evolution.parameters. */
  readonly parameters: Float32Array;
  /** Pairs of a place and a sign: what hitsOfTile makes. */
  readonly accepted: Int32Array;
  private readonly steps: Float32Array;
  private readonly format: Int32Array;

  constructor(readonly exports: Exports) {
    const { buffer } = exports.memory;
    this.bytes = new Place(new Uint8Array(buffer, exports.stage(), 4 * SUM_LEAF));
    this.pristine = new Uint8Array(buffer, exports.pristineStage(), 2 * SUM_LEAF);
    this.words = new Place(new Uint32Array(buffer, exports.stage(), SUM_LEAF));
    this.floats = new Place(new Float32Array(buffer, exports.stage(), SUM_LEAF));
    this.parameters = new Float32Array(buffer, exports.parameters(), DECAY_HEAD + MOST_LEVELS * DECAY_COLUMNS);
    this.accepted = new Int32Array(buffer, exports.accepted(), 2 * HITS_MOST);
    this.steps = new Float32Array(buffer, exports.steps(), SUM_LEAF);
    this.format = new Int32Array(buffer, exports.format(), FORMAT_FIELDS);
    new Float32Array(buffer, exports.law(), LAW_TAILS.length).set(LAW_TAILS);
    new Uint32Array(buffer, exports.hits(), HITS.length).set(HITS);
    new Int8Array(buffer, exports.alias(), alias().length).set(alias());
  }

  /** Fills `out` with noise, batch by batch; `made` is where the module leaves it. Words go over as int32, which no number is made for. */
  fill<T extends Uint32Array | Float32Array>(
    as: (typeof As)[keyof typeof As],
    out: T,
    made: Place<T>,
    key: Key,
    at: Position,
  ): void {
    const total = out.length;
    const batch = SUM_LEAF / 4;
    let { blockLo, blockHi, skip } = at;
    for (let done = 0; done < total; ) {
      const n = Math.min(total - done, SUM_LEAF - skip);
      this.exports.noise(as, (skip + n + 3) >>> 2, key.k0 | 0, key.k1 | 0, blockLo | 0, blockHi | 0, at.tick | 0, at.purpose | 0);
      out.set(skip === 0 ? made.first(n) : made.all.subarray(skip, skip + n), done);
      done += n;
      skip = 0;
      blockLo = (blockLo + batch) >>> 0;
      if (blockLo < batch) blockHi = (blockHi + 1) >>> 0;
    }
  }

  /**
   * Puts `data`, which begins with weight `index`, on the stage, `length` weights (at most SUM_LEAF) at a time, with the steps
   * of its rows.
   */
  eachLeaf(
    length: number,
    data: Uint8Array,
    index: number,
    { format, steps, rowLength }: Layout,
    use: (leaf: Leaf) => void,
  ): void {
    this.format.set(format);
    const weights = format[Field.weights] as number;
    const blockBytes = format[Field.bytes] as number;
    const external = format[Field.kind] === Kind.lattice && format[Field.step] === StepKind.external;
    const leafBytes = (length / weights) * blockBytes;
    const end = data.length - (data.length % blockBytes);
    // Rows are cut to what fits into 32 bits: no leaf has more.
    const most = SUM_LEAF + 1;
    for (let from = 0; from < end; from += leafBytes) {
      // To make a view takes longer than to move few weights.
      const bytes = end === data.length && end <= leafBytes ? data : data.subarray(from, Math.min(end, from + leafBytes));
      const count = (bytes.length / blockBytes) * weights;
      const first = index + (from / blockBytes) * weights;
      this.bytes.all.set(bytes);
      let rowLeft = count;
      if (external) {
        const row = Math.floor(first / rowLength);
        rowLeft = Math.min((row + 1) * rowLength - first, most);
        const lastRow = Math.floor((first + count - 1) / rowLength);
        this.steps.set((steps as Float32Array).subarray(row, lastRow + 1));
      }
      use({ bytes, index: first, rowLeft, rowLength: Math.min(rowLength, most) });
    }
  }
}
