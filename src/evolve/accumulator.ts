// The centre with an accumulator: two bytes a weight in memory, which keep what rounding leaves of each update (laws/accumulate.ts). A choice; without it,
// updates are rounded by chance, and nothing is kept.

import { type FileHandle, open } from "node:fs/promises";
import type { ModelFile, TensorToMove } from "../files/index.js";
import { readFully, writeFully } from "../files/transfer.js";
import { chunks } from "../kernels/chunks.js";
import type { Kernels } from "../kernels/contract.js";
import { accumulate } from "../laws/accumulate.js";
import type { Ascent } from "../laws/ascent.js";
import { Field, Levels } from "../laws/numbers.js";

/** Leaves of sums that are worked on at a time: a megabyte or so. */
const LEAVES = 16;

export class Accumulator {
  /** @param centre the file that goes on, @param base the one that it began as */
  static async open(centre: string, base: ModelFile, moves: readonly TensorToMove[], kernels: Kernels): Promise<Accumulator> {
    const live = await open(centre, "r+");
    try {
      return new Accumulator(live, await open(base.path, "r"), moves, kernels);
    } catch (error) {
      await live.close();
      throw error;
    }
  }

  private readonly kept = new Map<string, Int16Array>();

  private constructor(
    private readonly live: FileHandle,
    private readonly pristine: FileHandle,
    private readonly moves: readonly TensorToMove[],
    private readonly kernels: Kernels,
  ) {
    this.restart();
  }

  /** Nothing is kept any more. */
  restart(): void {
    for (const { tensor } of this.moves) this.kept.set(tensor.name, new Int16Array(tensor.weights));
  }

  /** The centre goes on; resolves to how many codes changed. */
  async ascend(tick: number, { even, tables, decay }: Ascent): Promise<number> {
    let changed = 0;
    for (const { tensor, move } of this.moves) {
      const kept = this.kept.get(tensor.name) as Int16Array;
      const feedback = { weights: move.format[Field.levels] === Levels.uniform ? even : tables, decay };
      for (const { offset, bytes, index } of chunks(tensor, move.format, LEAVES)) {
        const live = new Uint8Array(bytes);
        const pristine = decay === 0 ? live : new Uint8Array(bytes);
        await readFully(this.live, live, offset);
        if (decay !== 0) await readFully(this.pristine, pristine, offset);
        const here = { ...move, tick, index };
        const moved = accumulate(live, pristine, kept.subarray(index), here, feedback, (data, one) =>
          this.kernels.perturb(data, one),
        );
        if (moved > 0) await writeFully(this.live, live, offset);
        changed += moved;
      }
    }
    return changed;
  }

  async close(): Promise<void> {
    await this.live.close();
    await this.pristine.close();
  }
}
