// The kernels of a module (assembly/), on the thread that calls them. Where modules come from is wasm.ts's; threads have such kernels, too
// (wasm-thread.ts). Touches no file and nothing that only Node has.

import { type Census, type CensusColumns, takeCensus } from "../laws/census.js";
import { difference } from "../laws/difference.js";
import type { Evolution } from "../laws/evolution.js";
import { isByteFloat } from "../laws/halves.js";
import { type LogitQuestion, readLogits } from "../laws/logits.js";
import type { EncodedFormat, Key, Move, Position } from "../laws/move.js";
import { Field, SUM_LEAF } from "../laws/numbers.js";
import { perturb } from "../laws/perturb.js";
import { sumSquares } from "../laws/sums.js";
import { Workspace } from "../laws/workspace.js";
import type { Kernels } from "./contract.js";
import { WasmLogitSums } from "./wasm-logits.js";
import { RareMoves } from "./wasm-rare.js";
import { As, type Exports, type MoveLeaf, Stage } from "./wasm-stage.js";

const TWO_32 = 2 ** 32;

/** The kernels that an instance of a module has. */
export const kernelsOf = (instance: WebAssembly.Instance, isa: string): WasmKernels =>
  new WasmKernels(instance.exports as unknown as Exports, isa);

export class WasmKernels implements Kernels {
  readonly backend = "wasm";
  private readonly stage: Stage;
  private readonly rare: RareMoves;
  private readonly logitSums: WasmLogitSums;
  private work: Workspace | undefined;

  constructor(
    private readonly exports: Exports,
    readonly isa: string,
  ) {
    this.stage = new Stage(exports);
    this.rare = new RareMoves(this.stage);
    this.logitSums = new WasmLogitSums(this.stage);
  }

  bits(out: Uint32Array, key: Key, at: Position): void {
    this.stage.fill(As.bits, out, this.stage.words, key, at);
  }

  uniform(out: Float32Array, key: Key, at: Position): void {
    this.stage.fill(As.uniform, out, this.stage.floats, key, at);
  }

  normal(out: Float32Array, key: Key, at: Position): void {
    this.stage.fill(As.normal, out, this.stage.floats, key, at);
  }

  perturb(data: Uint8Array, move: Move): number {
    if (move.columns !== undefined || isByteFloat(move.format[Field.kind] as number))
      return perturb(data, move, this.workspace());
    return this.rare.perturb(data, move) ?? this.moveLeaves(this.exports.perturb, data, move);
  }

  /** By the module's kernel of the law, or, where it has none, where sigma goes by column, and of floats of eight bits, by the law's own step. */
  evolve(live: Uint8Array, pristine: Uint8Array, move: Move, law: Evolution, strength: number): number {
    const parameters = law.parameters(strength, move.format);
    const own = move.columns === undefined && !isByteFloat(move.format[Field.kind] as number);
    const kernel = own ? this.exports[`evolve_${law.name}`] : undefined;
    if (kernel === undefined) return law.step(live, pristine, move, parameters, this.workspace());
    this.stage.parameters.set(parameters);
    return this.moveLeaves(kernel, live, move, pristine);
  }

  census(data: Uint8Array, format: EncodedFormat, columns: CensusColumns | undefined, index: number): Census {
    return takeCensus(data, format, columns, index, this.workspace().live);
  }

  difference(a: Uint8Array, b: Uint8Array, format: EncodedFormat): number {
    return difference(a, b, format, this.workspace());
  }

  /** What the laws work in where the module does not do their work: on its noise, which is made faster than JavaScript's. */
  private workspace(): Workspace {
    this.work ??= new Workspace(this);
    return this.work;
  }

  readLogits(logits: Float32Array, question: LogitQuestion, out: Float64Array): number {
    return readLogits(logits, question, out, this.logitSums);
  }

  private moveLeaves(moveLeaf: MoveLeaf, data: Uint8Array, move: Move, pristine?: Uint8Array): number {
    const { sigma, rounding, key, tick } = move;
    const { stage } = this;
    const inSteps = move.inSteps ? 1 : 0;
    // The stage is one for both: half a leaf each.
    const length = pristine === undefined ? SUM_LEAF : SUM_LEAF / 2;
    let changed = 0;
    stage.eachLeaf(length, data, move.index, move, ({ bytes, index, rowLeft, rowLength }) => {
      const from = bytes.byteOffset - data.byteOffset;
      if (pristine !== undefined) stage.pristine.set(pristine.subarray(from, from + bytes.length));
      const lo = index | 0;
      const hi = Math.floor(index / TWO_32);
      const here = moveLeaf(bytes.length, sigma, inSteps, rowLeft, rowLength, rounding, key.k0 | 0, key.k1 | 0, lo, hi, tick | 0);
      if (here > 0) bytes.set(stage.bytes.first(bytes.length));
      changed += here;
    });
    return changed;
  }

  sumSquares(
    data: Uint8Array,
    format: EncodedFormat,
    steps: Float32Array | null,
    rowLength: number,
    index: number,
    total: number,
  ): number {
    if (isByteFloat(format[Field.kind] as number))
      return sumSquares(data, { format, steps, rowLength }, index, total, this.workspace().live);
    let sum = total;
    this.stage.eachLeaf(SUM_LEAF, data, index, { format, steps, rowLength }, (leaf) => {
      sum += this.exports.sumSquares(leaf.bytes.length, leaf.rowLeft, leaf.rowLength);
    });
    return sum;
  }
}
