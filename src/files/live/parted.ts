// The files of a model as one: each tensor is its own file's. Knows neither files nor bytes; how a file is read and moved is mapped.ts's and
// positioned.ts's.

import { type FileWatch, type LiveMemory, MOST_READY, type Prepared, type TensorMove } from "../../kernels/files.js";
import { type Step, shareOf } from "../../kernels/step.js";
import type { Census, CensusColumns } from "../../laws/census.js";
import type { Tensor } from "../tensor.js";
import type { LiveTensors, Reader, TensorToMove } from "./live-tensors.js";

export class PartedReader<Part extends Reader = Reader> implements Reader {
  /** @param parts one for each file, in their order */
  constructor(protected readonly parts: readonly Part[]) {}

  sumSquares(tensor: Tensor, watch?: FileWatch): Promise<number> {
    return this.of(tensor).sumSquares(tensor, watch);
  }

  census(tensor: Tensor, columns?: CensusColumns, watch?: FileWatch): Promise<Census> {
    return this.of(tensor).census(tensor, columns, watch);
  }

  async close(): Promise<void> {
    for (const part of this.parts) await part.close();
  }

  protected of(tensor: Tensor): Part {
    return this.parts[tensor.part] as Part;
  }
}

export class PartedTensors extends PartedReader<LiveTensors> implements LiveTensors {
  /** Of a list of moves, those of each file: the same lists each time, so that what files have planned for them holds. */
  private readonly sorted = new WeakMap<readonly TensorToMove[], readonly (readonly TensorToMove[])[]>();

  perturb(tensor: Tensor, move: TensorMove, watch?: FileWatch): Promise<number> {
    return this.of(tensor).perturb(tensor, move, watch);
  }

  async draw(moves: readonly TensorToMove[], tick: number, watch?: FileWatch): Promise<number> {
    let changed = 0;
    for (const [i, own] of this.byPart(moves).entries())
      if (own.length > 0) changed += await (this.parts[i] as LiveTensors).draw(own, tick, watch);
    return changed;
  }

  async step(moves: readonly TensorToMove[], tick: number, step: Step, watch?: FileWatch): Promise<number> {
    let changed = 0;
    for (const [i, own] of this.byPart(moves).entries())
      if (own.length > 0) changed += await (this.parts[i] as LiveTensors).step(own, tick, step, watch);
    return changed;
  }

  /** In all files, or in none. What is held ready is limited for the model, which may lie in hundreds. */
  async prepare(moves: readonly TensorToMove[], tick: number, step: Step): Promise<Prepared | undefined> {
    if (moves.reduce((sum, { tensor }) => sum + tensor.bytes, 0) * shareOf(step) > MOST_READY) return undefined;
    const ready: Prepared[] = [];
    const drop = () => {
      for (const one of ready) one.drop();
    };
    for (const [i, own] of this.byPart(moves).entries()) {
      if (own.length === 0) continue;
      const one = await (this.parts[i] as LiveTensors).prepare?.(own, tick, step);
      if (one === undefined) {
        drop();
        return undefined;
      }
      ready.push(one);
    }
    const write = async (watch?: FileWatch): Promise<number> => {
      let changed = 0;
      try {
        for (const one of ready) changed += await one.write(watch);
      } catch (error) {
        drop(); // what was not reached
        throw error;
      }
      return changed;
    };
    return { write, drop };
  }

  memory(): LiveMemory {
    const all = this.parts.map((part) => part.memory());
    const sum = (of: keyof LiveMemory) => all.reduce((total, one) => total + one[of], 0);
    return { index: sum("index"), journal: sum("journal"), ready: sum("ready") };
  }

  difference(tensor: Tensor): Promise<number> {
    return this.of(tensor).difference(tensor);
  }

  restore(tensor: Tensor, watch?: FileWatch): Promise<void> {
    return this.of(tensor).restore(tensor, watch);
  }

  private byPart(moves: readonly TensorToMove[]): readonly (readonly TensorToMove[])[] {
    const known = this.sorted.get(moves);
    if (known !== undefined) return known;
    const lists = this.parts.map((_, part) => moves.filter(({ tensor }) => tensor.part === part));
    this.sorted.set(moves, lists);
    return lists;
  }
}
