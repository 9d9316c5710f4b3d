// Readers and live tensors through memory mapping: the backend does all of it (kernels/files.ts). What is left is to see, before it touches memory,
// that the tensor is still there: beyond a file's end the system ends the process.

import type { FileWatch, LiveFile, MappedFile, Prepared, TensorMove } from "../../kernels/files.js";
import type { Step } from "../../kernels/step.js";
import type { Tensor } from "../tensor.js";
import { becameShorter, formatOf, type LiveTensors, type Reader, type TensorToMove } from "./live-tensors.js";

export class MappedReader implements Reader {
  constructor(
    private readonly pristine: MappedFile,
    private readonly path: string,
  ) {}

  async sumSquares(tensor: Tensor, watch?: FileWatch): Promise<number> {
    watch?.signal?.throwIfAborted();
    const sum = await this.pristine.sumSquares(this.within(tensor), formatOf(tensor));
    watch?.onBytes?.(tensor.bytes);
    return sum;
  }

  async close(): Promise<void> {
    this.pristine.close();
  }

  protected within(tensor: Tensor): Tensor {
    if (tensor.offset + tensor.bytes > this.pristine.size) throw becameShorter(this.path, tensor);
    return tensor;
  }
}

export class MappedTensors extends MappedReader implements LiveTensors {
  constructor(
    private readonly live: LiveFile,
    pristine: MappedFile,
    pristinePath: string,
  ) {
    super(pristine, pristinePath);
  }

  async perturb(tensor: Tensor, move: TensorMove, watch?: FileWatch): Promise<number> {
    return this.live.perturb(this.within(tensor), move, watch);
  }

  async step(moves: readonly TensorToMove[], tick: number, step: Step, watch?: FileWatch): Promise<number> {
    return this.live.step(this.allWithin(moves), tick, step, watch);
  }

  prepare(moves: readonly TensorToMove[], tick: number, step: Step): Prepared | undefined {
    return this.live.prepare(this.allWithin(moves), tick, step);
  }

  async difference(tensor: Tensor): Promise<number> {
    return this.live.difference(this.within(tensor), formatOf(tensor));
  }

  async restore(tensor: Tensor, watch?: FileWatch): Promise<void> {
    await this.live.restore(this.within(tensor), formatOf(tensor), watch);
  }

  override async close(): Promise<void> {
    this.live.close();
    await super.close();
  }

  private allWithin(moves: readonly TensorToMove[]): readonly TensorToMove[] {
    for (const { tensor } of moves) this.within(tensor);
    return moves;
  }
}
