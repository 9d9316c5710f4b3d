// Readers and live tensors through memory mapping: the backend does all of it (kernels/files.ts). What is left is to see, before and after it touches
// memory, that the files are still what they were: beyond a file's end there is nothing, and a source that changes would be two models in one.

import { BrownianError } from "../../errors.js";
import type { FileWatch, LiveFile, LiveMemory, MappedFile, Prepared, TensorMove } from "../../kernels/files.js";
import type { Step } from "../../kernels/step.js";
import type { Census, CensusColumns } from "../../laws/census.js";
import type { Watched } from "../stamp.js";
import type { Tensor } from "../tensor.js";
import { becameShorter, formatOf, type LiveTensors, type Reader, type TensorToMove } from "./live-tensors.js";

export class MappedReader implements Reader {
  constructor(
    protected readonly pristine: MappedFile,
    protected readonly source: Watched,
    /** What else may have lost pages: the file that moves. */
    private readonly livePath?: string,
  ) {}

  async sumSquares(tensor: Tensor, watch?: FileWatch): Promise<number> {
    watch?.signal?.throwIfAborted();
    const sum = await this.unchanged([tensor], () => this.pristine.sumSquares(tensor, formatOf(tensor)));
    watch?.onBytes?.(tensor.bytes);
    return sum;
  }

  async census(tensor: Tensor, columns?: CensusColumns, watch?: FileWatch): Promise<Census> {
    watch?.signal?.throwIfAborted();
    const census = await this.unchanged([tensor], () => this.pristine.census(tensor, formatOf(tensor), columns));
    watch?.onBytes?.(tensor.bytes);
    return census;
  }

  async close(): Promise<void> {
    await this.pristine.close();
    await this.source.close();
  }

  /** Runs `work` on these tensors, between two looks at the files. */
  protected async unchanged<T>(tensors: readonly Tensor[], work: () => Promise<T>): Promise<T> {
    const { size } = this.pristine;
    for (const { offset, bytes, name } of tensors) if (offset + bytes > size) throw becameShorter(this.source.path, { name });
    this.source.check();
    try {
      return await work();
    } catch (error) {
      throw this.explained(error);
    } finally {
      this.source.check();
    }
  }

  /** What the backend says of lost pages, with the name of the file: the source is looked at first. */
  protected explained(error: unknown): unknown {
    if (!(error instanceof Error) || !error.message.includes("pages of the file are lost")) return error;
    this.source.check();
    const path = this.livePath ?? this.source.path;
    return new BrownianError(
      "file-changed",
      `Parts of ${path} were lost while it was in use: it became shorter, or its disk is full. Free some room, leave it alone, and begin again.`,
      { cause: error },
    );
  }
}

export class MappedTensors extends MappedReader implements LiveTensors {
  constructor(
    private readonly live: LiveFile,
    livePath: string,
    pristine: MappedFile,
    source: Watched,
  ) {
    super(pristine, source, livePath);
  }

  perturb(tensor: Tensor, move: TensorMove, watch?: FileWatch): Promise<number> {
    return this.unchanged([tensor], () => this.live.perturb(tensor, move, watch));
  }

  draw(moves: readonly TensorToMove[], tick: number, watch?: FileWatch): Promise<number> {
    return this.unchanged(tensorsOf(moves), () => this.live.draw(moves, tick, watch));
  }

  step(moves: readonly TensorToMove[], tick: number, step: Step, watch?: FileWatch): Promise<number> {
    return this.unchanged(tensorsOf(moves), async () => this.live.step(moves, tick, step, watch));
  }

  async prepare(moves: readonly TensorToMove[], tick: number, step: Step): Promise<Prepared | undefined> {
    const prepared = await this.live.prepare(moves, tick, step);
    if (prepared === undefined) return undefined;
    return {
      write: (watch) => this.unchanged(tensorsOf(moves), () => prepared.write(watch)),
      drop: () => prepared.drop(),
    };
  }

  memory(): LiveMemory {
    return this.live.memory();
  }

  difference(tensor: Tensor): Promise<number> {
    return this.unchanged([tensor], () => this.live.difference(tensor, formatOf(tensor)));
  }

  restore(tensor: Tensor, watch?: FileWatch): Promise<void> {
    return this.unchanged([tensor], () => this.live.restore(tensor, formatOf(tensor), watch));
  }

  override async close(): Promise<void> {
    await this.live.close();
    await super.close();
  }
}

const tensorsOf = (moves: readonly TensorToMove[]): Tensor[] => moves.map(({ tensor }) => tensor);
