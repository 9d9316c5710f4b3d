// Moves tensors of a live file, in place, in pieces: memory does not grow with the model. Through memory mapping where the backend can
// (native), else through positioned reads and writes. The pristine file is opened for reading only.

import { type FileHandle, open } from "node:fs/promises";
import { BrownianError } from "../errors.js";
import { type EncodedFormat, Field, type Kernels, type MappedFile, type Move, SUM_LEAF } from "../kernels/contract.js";
import { encodedFormat } from "../lattice/formats.js";
import { supportedFormat } from "../lattice/perturb.js";
import { writeFully } from "./copy.js";
import { asFileError, type Tensor } from "./model-file.js";

export interface MoverWatch {
  readonly signal?: AbortSignal;
  /** Called with the bytes done since the last call. */
  readonly onBytes?: (bytes: number) => void;
}

export interface Mover extends Reader {
  /** live := pristine, moved. `move.index` does not matter: the tensor is moved from its first weight on. Resolves to the changed codes. */
  perturb(tensor: Tensor, move: Move, watch?: MoverWatch): Promise<number>;
  /** live := pristine. */
  restore(tensor: Tensor, watch?: MoverWatch): Promise<void>;
}

/** What can be asked of a model file alone. */
export interface Reader {
  /** Sum of the squares of the weights: `Kernels.sumSquares`. */
  sumSquares(tensor: Tensor, watch?: MoverWatch): Promise<number>;
  close(): Promise<void>;
}

/** Opens a model file for sums only: nothing is written. */
export async function openReader(path: string, kernels: Kernels): Promise<Reader> {
  if (kernels.map !== undefined) return new MappedReader(kernels.map(path, false));
  return new PositionedReader(await opened(path, "r"), kernels);
}

/** Opens a live file and the pristine one that it is a copy of. */
export async function openMover(livePath: string, pristinePath: string, kernels: Kernels): Promise<Mover> {
  if (kernels.map !== undefined) return new MappedMover(kernels.map(livePath, true), kernels.map(pristinePath, false));
  const pristine = await opened(pristinePath, "r");
  try {
    return new PositionedMover(await opened(livePath, "r+"), pristine, kernels);
  } catch (error) {
    await pristine.close();
    throw error;
  }
}

async function opened(path: string, mode: "r" | "r+"): Promise<FileHandle> {
  try {
    return await open(path, mode);
  } catch (error) {
    throw asFileError(error, path);
  }
}

/** Root mean square of a tensor's (pristine) weights. @throws BrownianError corrupt-gguf where that is no finite number */
export async function tensorRms(reader: Reader, tensor: Tensor, watch?: MoverWatch): Promise<number> {
  if (tensor.weights === 0) return 0;
  const rms = Math.sqrt((await reader.sumSquares(tensor, watch)) / tensor.weights);
  if (Number.isFinite(rms)) return rms;
  throw new BrownianError(
    "corrupt-gguf",
    `Tensor ${tensor.name} (${tensor.type}) holds infinite or NaN weights, so it has no RMS: leave it alone with --only, or use --scale absolute.`,
  );
}

/** A part of a tensor: whole blocks, and whole leaves of sums except at the tensor's end. */
interface Piece {
  readonly offset: number;
  readonly bytes: number;
  /** First weight. */
  readonly index: number;
}

function* pieces(tensor: Tensor, format: EncodedFormat, leaves: number): Generator<Piece> {
  const weights = format[Field.weights] as number;
  const bytes = ((SUM_LEAF * leaves) / weights) * (format[Field.bytes] as number);
  for (let done = 0; done < tensor.bytes; done += bytes) {
    yield {
      offset: tensor.offset + done,
      bytes: Math.min(bytes, tensor.bytes - done),
      index: (done / bytes) * SUM_LEAF * leaves,
    };
  }
}

const formatOf = (tensor: Tensor): EncodedFormat => encodedFormat(supportedFormat(tensor.type, `tensor ${tensor.name}: `));

/** Through memory mapping: the kernels run on threads of their own. */
class MappedReader implements Reader {
  constructor(protected readonly pristine: MappedFile) {}

  async sumSquares(tensor: Tensor, watch?: MoverWatch): Promise<number> {
    // One call: the order of summation runs over the whole tensor.
    watch?.signal?.throwIfAborted();
    return this.pristine.sumSquares(tensor.offset, tensor.bytes, formatOf(tensor), null, 1);
  }

  async close(): Promise<void> {
    this.pristine.close();
  }
}

/** A piece at a time, so that work can be watched and stopped. */
class MappedMover extends MappedReader implements Mover {
  private static readonly LEAVES = 256; // 16.8 million weights a piece

  constructor(
    private readonly live: MappedFile,
    pristine: MappedFile,
  ) {
    super(pristine);
  }

  async perturb(tensor: Tensor, move: Move, watch?: MoverWatch): Promise<number> {
    let changed = 0;
    await this.each(tensor, watch, async ({ offset, bytes, index }) => {
      changed += await this.live.perturb(offset, bytes, { ...move, index }, this.pristine);
    });
    return changed;
  }

  async restore(tensor: Tensor, watch?: MoverWatch): Promise<void> {
    await this.each(tensor, watch, ({ offset, bytes }) => this.live.copyFrom(this.pristine, offset, bytes));
  }

  override async close(): Promise<void> {
    this.live.close();
    await super.close();
  }

  private async each(tensor: Tensor, watch: MoverWatch | undefined, work: (piece: Piece) => Promise<void>): Promise<void> {
    for (const piece of pieces(tensor, formatOf(tensor), MappedMover.LEAVES)) {
      watch?.signal?.throwIfAborted();
      await work(piece);
      watch?.onBytes?.(piece.bytes);
    }
  }
}

/** Through positioned reads of one buffer at a time; the kernels run between them on the event loop. */
class PositionedReader implements Reader {
  private static readonly LEAVES = 4; // 262,144 weights a piece: a millisecond to a few
  private buffer = new Uint8Array(0);

  constructor(
    private readonly pristine: FileHandle,
    protected readonly kernels: Kernels,
  ) {}

  async sumSquares(tensor: Tensor, watch?: MoverWatch): Promise<number> {
    const format = formatOf(tensor);
    let total = 0;
    await this.each(tensor, watch, async (data, { index }) => {
      total = this.kernels.sumSquares(data, format, null, 1, index, total);
    });
    return total;
  }

  async close(): Promise<void> {
    await this.pristine.close();
  }

  /** Hands the pristine bytes of each piece to `work`, which may change them. */
  protected async each(
    tensor: Tensor,
    watch: MoverWatch | undefined,
    work: (data: Uint8Array, piece: Piece) => Promise<void>,
  ): Promise<void> {
    for (const piece of pieces(tensor, formatOf(tensor), PositionedReader.LEAVES)) {
      watch?.signal?.throwIfAborted();
      if (this.buffer.length < piece.bytes) this.buffer = new Uint8Array(piece.bytes);
      const data = this.buffer.subarray(0, piece.bytes);
      for (let done = 0; done < data.length; ) {
        const { bytesRead } = await this.pristine.read(data, done, data.length - done, piece.offset + done);
        if (bytesRead === 0)
          throw new BrownianError("truncated-gguf", `The model file became shorter than tensor ${tensor.name} needs.`);
        done += bytesRead;
      }
      await work(data, piece);
      watch?.onBytes?.(piece.bytes);
    }
  }
}

/** The same with writes to the live file. */
class PositionedMover extends PositionedReader implements Mover {
  constructor(
    private readonly live: FileHandle,
    pristine: FileHandle,
    kernels: Kernels,
  ) {
    super(pristine, kernels);
  }

  async perturb(tensor: Tensor, move: Move, watch?: MoverWatch): Promise<number> {
    let changed = 0;
    await this.each(tensor, watch, async (data, { offset, index }) => {
      changed += this.kernels.perturb(data, { ...move, index });
      await writeFully(this.live, data, data.length, offset);
    });
    return changed;
  }

  async restore(tensor: Tensor, watch?: MoverWatch): Promise<void> {
    await this.each(tensor, watch, (data, { offset }) => writeFully(this.live, data, data.length, offset));
  }

  override async close(): Promise<void> {
    await this.live.close();
    await super.close();
  }
}
