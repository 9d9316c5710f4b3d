// A new file made of a model and its moves, in one pass: every byte is read once, moved where it belongs to a moved tensor, and written once.
// For outputs that nobody looks at before they are whole; what is looked at while it moves is a live copy, through LiveTensors.

import type { FileHandle } from "node:fs/promises";
import { dirname } from "node:path";
import { BrownianError } from "../errors.js";
import { chunks } from "../kernels/chunks.js";
import type { Kernels } from "../kernels/contract.js";
import type { FileWatch, TensorMove, TensorRange } from "../kernels/files.js";
import { Spare } from "../kernels/spare.js";
import { underWay } from "../kernels/under-way.js";
import type { Census, CensusColumns } from "../laws/census.js";
import { openNew } from "./copy.js";
import { asFileError } from "./file-errors.js";
import { formatOf, type LiveTensors, type Reader } from "./live/live-tensors.js";
import { openReader } from "./live/open.js";
import { checkRoom, isFull, type Needed, noSpace } from "./room.js";
import { Watched } from "./stamp.js";
import type { ModelFile, ModelPart, Tensor } from "./tensor.js";
import { readFully, writeFully } from "./transfer.js";

/** Chunks that are under way at a time: one is read, one is moved, one is written. */
const UNDER_WAY = 3;
/** Leaves of sums a chunk: for threads a megabyte or a few, which stay in the caches; what runs on the event loop is to take a millisecond or a few. */
const LEAVES = { threads: 16, eventLoop: 4 } as const;
const COPIED = 4 << 20;

export interface Writer extends Pick<LiveTensors, "sumSquares" | "census" | "perturb" | "restore" | "close"> {
  /** Copies all bytes of the model but those of these tensors. */
  copyRest(tensors: readonly Tensor[], watch?: FileWatch): Promise<void>;
}

/**
 * Begins the new files `to`, one for each of the model's. Whoever asked writes all of it: each tensor by `perturb` or `restore`, the rest by
 * `copyRest`. What is there of `to` after an error is the caller's to remove.
 * @throws BrownianError no-space, file-not-found, file-access
 *
 * @example
 * const writer = await openWriter([partial], model, kernels);
 * await writer.copyRest([]); // a copy
 */
export async function openWriter(to: readonly string[], model: ModelFile, kernels: Kernels): Promise<Writer> {
  await checkRoom(roomFor(model, to[0] as string));
  const writers: StreamingWriter[] = [];
  try {
    for (const [i, part] of model.parts.entries()) writers.push(await openPart(to[i] as string, part, i, kernels));
  } catch (error) {
    for (const writer of writers) await writer.close();
    throw error;
  }
  const [first, ...others] = writers;
  return others.length === 0 ? (first as StreamingWriter) : new PartedWriter(writers);
}

async function openPart(to: string, part: ModelPart, number: number, kernels: Kernels): Promise<StreamingWriter> {
  const source = await Watched.open(part.path, part);
  try {
    const target = await openNew(to, source.handle).catch((error) => {
      throw asFileError(error, to);
    });
    try {
      const reader = await openReader(part.path, kernels, part);
      return new StreamingWriter({ ...part, number }, to, source, target, reader, kernels);
    } catch (error) {
      await target.close();
      throw error;
    }
  } catch (error) {
    await source.close();
    throw error;
  }
}

const roomFor = ({ size }: Pick<ModelPart, "size">, to: string): Needed => ({
  folder: dirname(to),
  bytes: size,
  wayOut: "free some, or write elsewhere.",
});

/** The files of a model as one. */
class PartedWriter implements Writer {
  constructor(private readonly parts: readonly StreamingWriter[]) {}

  sumSquares(tensor: Tensor, watch?: FileWatch): Promise<number> {
    return this.of(tensor).sumSquares(tensor, watch);
  }

  census(tensor: Tensor, columns?: CensusColumns, watch?: FileWatch): Promise<Census> {
    return this.of(tensor).census(tensor, columns, watch);
  }

  perturb(tensor: Tensor, move: TensorMove, watch?: FileWatch): Promise<number> {
    return this.of(tensor).perturb(tensor, move, watch);
  }

  restore(tensor: Tensor, watch?: FileWatch): Promise<void> {
    return this.of(tensor).restore(tensor, watch);
  }

  async copyRest(tensors: readonly Tensor[], watch?: FileWatch): Promise<void> {
    for (const part of this.parts) await part.copyRest(tensors, watch);
  }

  async close(): Promise<void> {
    for (const part of this.parts) await part.close();
  }

  private of({ part }: Tensor): StreamingWriter {
    return this.parts[part] as StreamingWriter;
  }
}

class StreamingWriter implements Writer {
  /** Buffers that no chunk has: native threads work on shared memory where it lies, those of WebAssembly could die over it. */
  private readonly spare = new Spare((bytes) =>
    this.kernels.backend === "native" && this.kernels.perturbAsync !== undefined
      ? new Uint8Array(new SharedArrayBuffer(bytes))
      : new Uint8Array(bytes),
  );

  constructor(
    private readonly model: ModelPart & { readonly number: number },
    private readonly to: string,
    private readonly source: Watched,
    private readonly target: FileHandle,
    private readonly reader: Reader,
    private readonly kernels: Kernels,
  ) {}

  sumSquares(tensor: Tensor, watch?: FileWatch): Promise<number> {
    return this.reader.sumSquares(tensor, watch);
  }

  census(tensor: Tensor, columns?: CensusColumns, watch?: FileWatch): Promise<Census> {
    return this.reader.census(tensor, columns, watch);
  }

  async perturb(tensor: Tensor, move: TensorMove, watch?: FileWatch): Promise<number> {
    const { kernels } = this;
    const leaves = kernels.perturbAsync === undefined ? LEAVES.eventLoop : LEAVES.threads;
    let changed = 0;
    await this.each(chunks(tensor, formatOf(tensor), leaves), watch, async (data, { index }) => {
      const moved = { ...move, index };
      const here = await (kernels.perturbAsync?.(data, moved) ?? kernels.perturb(data, moved));
      changed += here; // not before: chunks that are under way at a time would take each other's counts back
    });
    return changed;
  }

  async restore(tensor: Tensor, watch?: FileWatch): Promise<void> {
    await this.each(rangesOf(tensor.offset, tensor.offset + tensor.bytes), watch);
  }

  async copyRest(tensors: readonly Tensor[], watch?: FileWatch): Promise<void> {
    await this.each(this.rest(tensors), watch);
  }

  async close(): Promise<void> {
    await this.reader.close();
    await this.target.close();
    await this.source.close();
  }

  private *rest(tensors: readonly Tensor[]): Generator<TensorRange> {
    let done = 0;
    const here = tensors.filter(({ part }) => part === this.model.number);
    for (const { offset, bytes } of here.sort((a, b) => a.offset - b.offset)) {
      yield* rangesOf(done, offset);
      done = offset + bytes;
    }
    yield* rangesOf(done, this.model.size);
  }

  /** Reads each chunk, hands it to `work`, and writes it; several are under way at a time. Ends when none is, also after an error. */
  private async each<T extends TensorRange>(
    ranges: Iterable<T>,
    watch: FileWatch | undefined,
    work?: (data: Uint8Array, chunk: T) => Promise<void>,
  ): Promise<void> {
    const one = async (chunk: T) => {
      await this.chunk(chunk, work);
      watch?.onBytes?.(chunk.bytes);
    };
    await underWay(ranges, UNDER_WAY, one, watch?.signal);
    this.source.check();
  }

  private async chunk<T extends TensorRange>(chunk: T, work?: (data: Uint8Array, chunk: T) => Promise<void>): Promise<void> {
    const { offset, bytes } = chunk;
    const buffer = this.spare.take(bytes);
    const data = buffer.subarray(0, bytes);
    await this.read(data, offset);
    await work?.(data, chunk);
    try {
      await writeFully(this.target, data, offset);
    } catch (error) {
      throw isFull(error) ? noSpace(roomFor(this.model, this.to), 0, error) : asFileError(error, this.to);
    }
    this.spare.give(buffer);
  }

  private async read(data: Uint8Array, offset: number): Promise<void> {
    const { path } = this.model;
    const bytes = await readFully(this.source.handle, data, offset).catch((error) => {
      throw asFileError(error, path);
    });
    if (bytes < data.length)
      throw new BrownianError("truncated-gguf", `${path} became shorter while it was read: write it anew.`);
  }
}

function* rangesOf(from: number, to: number): Generator<TensorRange> {
  for (let offset = from; offset < to; offset += COPIED) yield { offset, bytes: Math.min(COPIED, to - offset) };
}
