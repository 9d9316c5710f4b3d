// A file in memory, by the addon: `MappedFile` of the contract.

import type { Evolution } from "../laws/evolution.js";
import type { EncodedFormat, Move } from "../laws/move.js";
import { type AddonFile, moveArguments } from "./addon.js";
import type { CollisionPlan, MappedFile, PreparedCollisions, StepIndex, TensorRange } from "./contract.js";

export class NativeFile implements MappedFile {
  constructor(
    private readonly file: AddonFile,
    private readonly target: number,
    private readonly threads: number,
  ) {}

  get size(): number {
    return this.file.size;
  }

  perturb(offset: number, length: number, move: Move, source: MappedFile | null): Promise<number> {
    const from = source === null ? null : (source as NativeFile).file;
    return this.file.perturb(this.target, this.threads, offset, length, from, ...moveArguments(move));
  }

  indexSteps(offset: number, length: number, format: EncodedFormat): Promise<StepIndex> {
    return this.file.indexSteps(this.target, this.threads, offset, length, format);
  }

  redraw(offset: number, length: number, move: Move, source: MappedFile, index: StepIndex): Promise<number> {
    const { file } = source as NativeFile;
    return this.file.redraw(this.target, this.threads, offset, length, file, index, move.index, ...moveArguments(move));
  }

  planCollide(tensors: readonly TensorRange[], source: MappedFile): CollisionPlan {
    const moves = tensors.flatMap(({ offset, length, move }) => [offset, length, ...moveArguments(move)]);
    return this.file.planCollide((source as NativeFile).file, ...moves);
  }

  collide(plan: CollisionPlan, tick: number, threshold: number): number | Promise<number> {
    return this.file.collide(this.target, this.threads, plan, tick, threshold);
  }

  prepareCollide(plan: CollisionPlan, tick: number, threshold: number): PreparedCollisions | null {
    return this.file.prepareCollide(this.target, 1, plan, tick, threshold);
  }

  apply(prepared: PreparedCollisions): number | null {
    return this.file.apply(prepared);
  }

  difference(offset: number, length: number, format: EncodedFormat, source: MappedFile): Promise<number> {
    return this.file.difference(this.target, this.threads, offset, length, format, (source as NativeFile).file);
  }

  evolve(offset: number, length: number, move: Move, source: MappedFile, law: Evolution, strength: number): Promise<number> {
    const { file } = source as NativeFile;
    const parameters = law.parameters(strength, move.format);
    return this.file.relax(this.target, this.threads, offset, length, file, parameters, ...moveArguments(move));
  }

  async copyFrom(source: MappedFile, offset: number, length: number): Promise<void> {
    await this.file.copyFrom(this.threads, (source as NativeFile).file, offset, length);
  }

  sumSquares(
    offset: number,
    length: number,
    format: EncodedFormat,
    steps: Float32Array | null,
    rowLength: number,
  ): Promise<number> {
    return this.file.sumSquares(this.target, this.threads, offset, length, format, steps, rowLength);
  }

  close(): void {
    this.file.close();
  }
}
