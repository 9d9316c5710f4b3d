// Readers and live tensors through positioned reads and writes, a chunk at a time, for backends that cannot map files: memory does not grow with the
// tensor. The kernels run between reads, on the event loop.

import type { FileHandle } from "node:fs/promises";
import { type Chunk, chunks } from "../../kernels/chunks.js";
import type { Kernels } from "../../kernels/contract.js";
import type { FileWatch, LiveMemory, TensorMove } from "../../kernels/files.js";
import { moveIn, type Step, strideOf } from "../../kernels/step.js";
import { collide } from "../../lattice/collide.js";
import { addCensuses, type Census, type CensusColumns } from "../../laws/census.js";
import { type Stretch, visited } from "../../laws/visits.js";
import { asFileError } from "../file-errors.js";
import type { Watched } from "../stamp.js";
import type { Tensor } from "../tensor.js";
import { readFully, writeFully } from "../transfer.js";
import { becameShorter, formatOf, type LiveTensors, type Reader, type TensorToMove } from "./live-tensors.js";

/** Censuses of chunks that wait to be added up: memory does not grow with the tensor. */
const MOST_PARTS = 64;

export class PositionedReader implements Reader {
  /** Leaves a chunk: a millisecond to a few of the event loop's time. */
  private get leaves(): number {
    return this.kernels.backend === "js" ? 1 : 4;
  }

  constructor(
    protected readonly source: Watched,
    protected readonly kernels: Kernels,
  ) {}

  async sumSquares(tensor: Tensor, watch?: FileWatch): Promise<number> {
    const format = formatOf(tensor);
    let total = 0;
    await this.each(tensor, watch, async (data, { index }) => {
      total = this.kernels.sumSquares(data, format, null, 1, index, total);
    });
    return total;
  }

  async census(tensor: Tensor, columns?: CensusColumns, watch?: FileWatch): Promise<Census> {
    const format = formatOf(tensor);
    const parts: Census[] = [];
    await this.each(tensor, watch, async (data, { index }) => {
      parts.push(this.kernels.census(data, format, columns, index));
      if (parts.length === MOST_PARTS) parts.push(addCensuses(parts.splice(0), format));
    });
    return addCensuses(parts, format);
  }

  async close(): Promise<void> {
    await this.source.close();
  }

  /** Hands the pristine bytes of each chunk (of a stretch) to `work`, which may change them. */
  protected async each(
    tensor: Tensor,
    watch: FileWatch | undefined,
    work: (data: Uint8Array, chunk: Chunk) => Promise<void>,
    stretch: Stretch = { from: 0, to: tensor.weights },
  ): Promise<void> {
    const { source } = this;
    source.check();
    // One buffer a call, not one a reader: tensors may be asked for side by side.
    let buffer: Uint8Array | undefined;
    for (const chunk of chunks(tensor, formatOf(tensor), this.leaves, stretch)) {
      watch?.signal?.throwIfAborted();
      buffer ??= new Uint8Array(chunk.bytes);
      const data = buffer.subarray(0, chunk.bytes);
      await readChunk(source.handle, source.path, data, chunk.offset, tensor);
      await work(data, chunk);
      watch?.onBytes?.(chunk.bytes);
    }
    source.check();
  }
}

/** @throws BrownianError truncated-gguf, file-access */
async function readChunk(file: FileHandle, path: string, data: Uint8Array, offset: number, tensor: Tensor): Promise<void> {
  try {
    if ((await readFully(file, data, offset)) < data.length) throw becameShorter(path, tensor);
  } catch (error) {
    throw asFileError(error, path);
  }
}

export class PositionedTensors extends PositionedReader implements LiveTensors {
  constructor(
    private readonly live: FileHandle,
    private readonly livePath: string,
    source: Watched,
    kernels: Kernels,
  ) {
    super(source, kernels);
  }

  async perturb(tensor: Tensor, move: TensorMove, watch?: FileWatch): Promise<number> {
    let changed = 0;
    await this.each(tensor, watch, async (data, { offset, index }) => {
      changed += this.kernels.perturb(data, { ...move, index });
      await this.write(data, offset);
    });
    return changed;
  }

  async step(moves: readonly TensorToMove[], tick: number, step: Step, watch?: FileWatch): Promise<number> {
    let changed = 0;
    for (const { tensor, move } of moves) {
      const now = { ...moveIn(step, move), tick };
      if (step.verb === "draw") {
        changed += await this.perturb(tensor, now, watch);
        continue;
      }
      const stretch = visited(tensor.weights, now, strideOf(step));
      const work = (live: Uint8Array, data: Uint8Array, index: number): number => {
        const here = { ...now, index };
        if (step.verb === "collide") return collide(live, data, here, step.threshold, this.kernels);
        if (step.verb === "diffuse") return this.kernels.perturb(live, here);
        return this.kernels.evolve(live, data, here, step.law, step.strength);
      };
      changed += await this.eachLive(tensor, watch, work, stretch);
    }
    return changed;
  }

  async difference(tensor: Tensor): Promise<number> {
    const format = formatOf(tensor);
    return this.eachLive(tensor, undefined, (live, data) => this.kernels.difference(live, data, format));
  }

  /** Hands each live chunk (of a stretch), the pristine one, and the number of its first weight to `work`, and writes the live one when it changed. */
  private async eachLive(
    tensor: Tensor,
    watch: FileWatch | undefined,
    work: (live: Uint8Array, pristine: Uint8Array, index: number) => number,
    stretch?: Stretch,
  ): Promise<number> {
    let live: Uint8Array | undefined;
    let changed = 0;
    const each = async (data: Uint8Array, { offset, index }: Chunk) => {
      if (live === undefined || live.length < data.length) live = new Uint8Array(data.length);
      const part = live.subarray(0, data.length);
      await readChunk(this.live, this.livePath, part, offset, tensor);
      const before = part.slice();
      changed += work(part, data, index);
      if (Buffer.compare(before, part) !== 0) await this.write(part, offset);
    };
    await this.each(tensor, watch, each, stretch);
    return changed;
  }

  async restore(tensor: Tensor, watch?: FileWatch): Promise<void> {
    await this.each(tensor, watch, (data, { offset }) => this.write(data, offset));
  }

  /** It remembers nothing. */
  memory(): LiveMemory {
    return { index: 0, journal: 0, ready: 0 };
  }

  override async close(): Promise<void> {
    await this.live.close();
    await super.close();
  }

  private async write(data: Uint8Array, offset: number): Promise<void> {
    try {
      await writeFully(this.live, data, offset);
    } catch (error) {
      throw asFileError(error, this.livePath);
    }
  }
}
