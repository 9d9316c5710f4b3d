// A file in memory, by the addon: `MappedFile` of the contract.

import type { Evolution } from "../laws/evolution.js";
import type { EncodedFormat, Move } from "../laws/move.js";
import { type AddonFile, keptRecord, moveRecord } from "./addon.js";
import type { CollisionPlan, MappedFile, PreparedCollisions, StepIndex, TensorRange } from "./contract.js";

export class NativeFile implements MappedFile {
  constructor(private readonly file: AddonFile) {}

  get size(): number {
    return this.file.size;
  }

  perturb(offset: number, length: number, move: Move, source: MappedFile | null): Promise<number> {
    const from = source === null ? null : (source as NativeFile).file;
    return this.file.perturb(offset, length, from, moveRecord(move));
  }

  indexSteps(offset: number, length: number, format: EncodedFormat): Promise<StepIndex> {
    return this.file.indexSteps(offset, length, format);
  }

  redraw(offset: number, length: number, move: Move, source: MappedFile, index: StepIndex): Promise<number> {
    const { file } = source as NativeFile;
    return this.file.redraw(offset, length, file, index, moveRecord(move));
  }

  planCollide(tensors: readonly TensorRange[], source: MappedFile): CollisionPlan {
    const planned = tensors.map(({ offset, length, move }) => ({ offset, length, move: keptRecord(move) }));
    return this.file.planCollide((source as NativeFile).file, planned);
  }

  collide(plan: CollisionPlan, tick: number, threshold: number): number | Promise<number> {
    return this.file.collide(plan, tick, threshold);
  }

  prepareCollide(plan: CollisionPlan, tick: number, threshold: number): PreparedCollisions | null {
    return this.file.prepareCollide(plan, tick, threshold);
  }

  apply(prepared: PreparedCollisions): number | null {
    return this.file.apply(prepared);
  }

  difference(offset: number, length: number, format: EncodedFormat, source: MappedFile): Promise<number> {
    return this.file.difference(offset, length, format, (source as NativeFile).file);
  }

  evolve(offset: number, length: number, move: Move, source: MappedFile, law: Evolution, strength: number): Promise<number> {
    const { file } = source as NativeFile;
    const parameters = law.parameters(strength, move.format);
    return this.file.evolve(law.name, offset, length, file, parameters, moveRecord(move));
  }

  async copyFrom(source: MappedFile, offset: number, length: number): Promise<void> {
    await this.file.copyFrom((source as NativeFile).file, offset, length);
  }

  sumSquares(offset: number, length: number, format: EncodedFormat): Promise<number> {
    return this.file.sumSquares(offset, length, format);
  }

  close(): void {
    this.file.close();
  }
}
