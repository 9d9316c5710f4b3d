// Moves tensors of a live file, in place, in pieces: memory does not grow with the model. Through memory mapping where the backend can
// (native), else through positioned reads and writes. The pristine file is opened for reading only.

import { type FileHandle, open, stat } from "node:fs/promises";
import { BrownianError } from "../../errors.js";
import type { CollisionPlan, Kernels, MappedFile, StepIndex } from "../../kernels/contract.js";
import type { Evolution } from "../../laws/evolution.js";
import type { EncodedFormat, Move } from "../../laws/move.js";
import { Field, Kind, Levels, StepKind, SUM_LEAF } from "../../laws/numbers.js";
import "../../kernels/native.js"; // files are moved by native kernels where there are any
import { collide } from "../../lattice/collide.js";
import { encodedFormat } from "../../lattice/formats.js";
import { supportedFormat } from "../../lattice/perturb.js";
import type { Tensor } from "../containers/gguf.js";
import { writeFully } from "../copy.js";
import { asFileError } from "../file-errors.js";

export interface MoverWatch {
  readonly signal?: AbortSignal | undefined;
  /** Called with the bytes done since the last call. */
  readonly onBytes?: ((bytes: number) => void) | undefined;
}

/** The move of a whole tensor. */
export type TensorMove = Omit<Move, "index">;

export interface TensorToMove {
  readonly tensor: Tensor;
  readonly move: TensorMove;
}

export interface Mover extends Reader {
  /** live := pristine, moved, from the tensor's first weight on. Resolves to the number of changed codes. */
  perturb(tensor: Tensor, move: TensorMove, watch?: MoverWatch): Promise<number>;
  /**
   * Cells of these tensors (CELL weights each) whose draw at this tick is below `threshold` of 2^32 become pristine, moved as of this tick.
   * Resolves to the codes changed in them. To call it with the same list again saves time.
   */
  collide(moves: readonly TensorToMove[], tick: number, threshold: number, watch?: MoverWatch): Promise<number>;
  /**
   * Begins to make ready what `collide` would do, while nobody waits for it. What comes back does it in no time, or does nothing and returns undefined
   * where it is not ready yet. Undefined where that is not worth it.
   */
  prepareCollide?(moves: readonly TensorToMove[], tick: number, threshold: number): (() => number | undefined) | undefined;
  /** live := live, moved. Resolves to the number of changed codes. */
  diffuse(tensor: Tensor, move: TensorMove, watch?: MoverWatch): Promise<number>;
  /** One step of an evolution: `Kernels.evolve`. Resolves to the number of changed codes. */
  evolve(tensor: Tensor, move: TensorMove, law: Evolution, strength: number, watch?: MoverWatch): Promise<number>;
  /** How many codes differ from the pristine ones. */
  difference(tensor: Tensor): Promise<number>;
  /** live := pristine. */
  restore(tensor: Tensor, watch?: MoverWatch): Promise<void>;
}

/** What can be asked of a model file alone. */
export interface Reader {
  /** Sum of the squares of the weights: `Kernels.sumSquares`. */
  sumSquares(tensor: Tensor, watch?: MoverWatch): Promise<number>;
  close(): Promise<void>;
}

/**
 * Opens a model file for sums only: nothing is written.
 * @throws BrownianError file-not-found, file-access
 */
export async function openReader(path: string, kernels: Kernels): Promise<Reader> {
  if (!canMap(kernels)) return new PositionedReader(await opened(path, "r"), path, kernels);
  await identity(path);
  return new MappedReader(mapped(kernels, path, false), path);
}

/**
 * Opens a live file and the pristine one that it is a copy of.
 * @throws BrownianError file-not-found, file-access, output-exists (both are one file), corrupt-gguf (no copy of it)
 *
 * @example
 * const mover = await openMover(copy.path, model.path, kernels);
 * await mover.restore(model.tensors[0]);
 */
export async function openMover(livePath: string, pristinePath: string, kernels: Kernels): Promise<Mover> {
  const live = await identity(livePath);
  const pristine = await identity(pristinePath);
  if (live.dev === pristine.dev && live.ino === pristine.ino) {
    throw new BrownianError(
      "output-exists",
      `${livePath} is the model ${pristinePath} itself, which is never written to: move a copy.`,
    );
  }
  if (live.size !== pristine.size) {
    throw new BrownianError(
      "corrupt-gguf",
      `${livePath} (${live.size} bytes) is no copy of ${pristinePath} (${pristine.size} bytes): copy it anew.`,
    );
  }
  if (canMap(kernels)) {
    const source = mapped(kernels, pristinePath, false);
    try {
      return new MappedMover(mapped(kernels, livePath, true), source, pristinePath);
    } catch (error) {
      source.close();
      throw error;
    }
  }
  const source = await opened(pristinePath, "r");
  try {
    return new PositionedMover(await opened(livePath, "r+"), livePath, source, pristinePath, kernels);
  } catch (error) {
    await source.close();
    throw error;
  }
}

/** Which file a path leads to, and how long it is. */
async function identity(path: string): Promise<{ dev: number; ino: number; size: number }> {
  try {
    return await stat(path);
  } catch (error) {
    throw asFileError(error, path);
  }
}

async function opened(path: string, mode: "r" | "r+"): Promise<FileHandle> {
  try {
    return await open(path, mode);
  } catch (error) {
    throw asFileError(error, path);
  }
}

type MappingKernels = Kernels & Required<Pick<Kernels, "map">>;

const canMap = (kernels: Kernels): kernels is MappingKernels => kernels.map !== undefined;

function mapped(kernels: MappingKernels, path: string, writable: boolean): MappedFile {
  try {
    return kernels.map(path, writable);
  } catch (error) {
    const why = (error as Error).message;
    throw new BrownianError("file-access", `${path} cannot be mapped into memory: ${why}.`, { cause: error });
  }
}

function becameShorter(path: string, tensor: Tensor): BrownianError {
  return new BrownianError("truncated-gguf", `${path} became shorter than its tensor ${tensor.name} needs: open it anew.`);
}

/** Root mean square of a tensor's (pristine) weights. @throws BrownianError corrupt-gguf where that is no finite number */
export async function tensorRms(reader: Pick<Reader, "sumSquares">, tensor: Tensor, watch?: MoverWatch): Promise<number> {
  if (tensor.weights === 0) return 0;
  const rms = Math.sqrt((await reader.sumSquares(tensor, watch)) / tensor.weights);
  if (Number.isFinite(rms)) return rms;
  throw new BrownianError(
    "corrupt-gguf",
    `Tensor ${tensor.name} (${tensor.type}) holds infinite or NaN weights, so it has no RMS: leave it alone with --only, or use --scale absolute.`,
  );
}

/** A part of a tensor: whole blocks, and whole leaves of sums except at the tensor's end. */
export interface Piece {
  readonly offset: number;
  readonly bytes: number;
  /** First weight. */
  readonly index: number;
}

export function* pieces(tensor: Tensor, format: EncodedFormat, leaves: number): Generator<Piece> {
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

export const formatOf = (tensor: Tensor): EncodedFormat => encodedFormat(supportedFormat(tensor.type, `tensor ${tensor.name}: `));

/** Through memory mapping: the kernels run on threads of their own. */
class MappedReader implements Reader {
  constructor(
    protected readonly pristine: MappedFile,
    private readonly path: string,
  ) {}

  async sumSquares(tensor: Tensor, watch?: MoverWatch): Promise<number> {
    // One call: the order of summation runs over the whole tensor.
    watch?.signal?.throwIfAborted();
    this.checkWithin(tensor);
    const sum = await this.pristine.sumSquares(tensor.offset, tensor.bytes, formatOf(tensor), null, 1);
    watch?.onBytes?.(tensor.bytes);
    return sum;
  }

  async close(): Promise<void> {
    this.pristine.close();
  }

  protected checkWithin(tensor: Tensor): void {
    if (tensor.offset + tensor.bytes > this.pristine.size) throw becameShorter(this.path, tensor);
  }
}

/** What is known of a tensor's live bytes: pristine moved by `last`, which changed this many codes. */
interface Known {
  readonly last: TensorMove;
  readonly changed: number;
  readonly index?: StepIndex;
}

interface CollisionPart {
  readonly tensors: readonly Tensor[];
  readonly plan: CollisionPlan;
}

/** Below this share of changed codes, a tensor that is drawn again is worth an index of its steps. */
const RARE = 1 / 64;

/** A piece at a time, so that work can be watched and stopped. Tensors whose moves are rare are redrawn at the cost of their moves. */
class MappedMover extends MappedReader implements Mover {
  private static readonly LEAVES = 256; // 16.8 million weights a piece
  private static readonly PLANNED = 64e6; // weights that collide in one call; of a larger model, several

  /** Of tensors that are not in here, nothing is known. */
  private readonly known = new Map<string, Known>();
  private readonly plans = new WeakMap<readonly TensorToMove[], CollisionPart[]>();

  constructor(
    private readonly live: MappedFile,
    pristine: MappedFile,
    pristinePath: string,
  ) {
    super(pristine, pristinePath);
  }

  async perturb(tensor: Tensor, move: TensorMove, watch?: MoverWatch): Promise<number> {
    const before = this.known.get(tensor.name);
    this.known.delete(tensor.name); // until this is done, and if it is not
    // Indexed moves have one law for the steps of a group.
    const index = before && !move.columns && !before.last.columns ? await this.indexed(tensor, before) : undefined;
    let changed = 0;
    await this.each(tensor, watch, async ({ offset, bytes, index: at }) => {
      const here = { ...move, index: at };
      changed +=
        before && index
          ? await this.live.redraw(offset, bytes, here, this.pristine, index)
          : await this.live.perturb(offset, bytes, here, this.pristine);
    });
    this.known.set(tensor.name, { last: move, changed, ...(index && { index }) });
    return changed;
  }

  async collide(moves: readonly TensorToMove[], tick: number, threshold: number, watch?: MoverWatch): Promise<number> {
    let changed = 0;
    for (const { tensors, plan } of this.planned(moves)) {
      watch?.signal?.throwIfAborted();
      this.forget(tensors);
      const done = this.live.collide(plan, tick, threshold);
      changed += typeof done === "number" ? done : await done;
      for (const { bytes } of tensors) watch?.onBytes?.(bytes);
    }
    return changed;
  }

  prepareCollide(moves: readonly TensorToMove[], tick: number, threshold: number): (() => number | undefined) | undefined {
    const [part, ...more] = this.planned(moves);
    if (part === undefined || more.length > 0) return undefined;
    const prepared = this.live.prepareCollide(part.plan, tick, threshold);
    if (prepared === null) return undefined;
    return () => {
      this.forget(part.tensors);
      return this.live.apply(prepared) ?? undefined;
    };
  }

  /** The backend's plans of a list of moves: one of many, or several, between which work can be stopped. */
  private planned(moves: readonly TensorToMove[]): readonly CollisionPart[] {
    let parts = this.plans.get(moves);
    if (parts === undefined) {
      parts = [];
      for (let i = 0; i < moves.length; ) {
        const first = i;
        let weights = 0;
        for (; i < moves.length && weights < MappedMover.PLANNED; i++) weights += (moves[i] as TensorToMove).tensor.weights;
        const some = moves.slice(first, i);
        const ranges = some.map(({ tensor, move }) => {
          this.checkWithin(tensor);
          return { offset: tensor.offset, length: tensor.bytes, move: { ...move, index: 0 } };
        });
        parts.push({ tensors: some.map(({ tensor }) => tensor), plan: this.live.planCollide(ranges, this.pristine) });
      }
      this.plans.set(moves, parts);
    }
    return parts;
  }

  private forget(tensors: readonly Tensor[]): void {
    for (const { name } of tensors) this.known.delete(name);
  }

  async diffuse(tensor: Tensor, move: TensorMove, watch?: MoverWatch): Promise<number> {
    this.known.delete(tensor.name);
    let changed = 0;
    await this.each(tensor, watch, async ({ offset, bytes, index }) => {
      changed += await this.live.perturb(offset, bytes, { ...move, index }, null);
    });
    return changed;
  }

  async evolve(tensor: Tensor, move: TensorMove, law: Evolution, strength: number, watch?: MoverWatch): Promise<number> {
    this.known.delete(tensor.name);
    let changed = 0;
    await this.each(tensor, watch, async ({ offset, bytes, index }) => {
      changed += await this.live.evolve(offset, bytes, { ...move, index }, this.pristine, law, strength);
    });
    return changed;
  }

  async difference(tensor: Tensor): Promise<number> {
    this.checkWithin(tensor);
    return this.live.difference(tensor.offset, tensor.bytes, formatOf(tensor), this.pristine);
  }

  async restore(tensor: Tensor, watch?: MoverWatch): Promise<void> {
    const before = this.known.get(tensor.name);
    if (before?.index !== undefined) {
      await this.perturb(tensor, { ...before.last, sigma: 0 }, watch);
      return;
    }
    await this.each(tensor, watch, ({ offset, bytes }) => this.live.copyFrom(this.pristine, offset, bytes));
    this.known.delete(tensor.name);
  }

  /** The index of a tensor that has one or is worth one. */
  private async indexed(tensor: Tensor, { index, changed }: Known): Promise<StepIndex | undefined> {
    const format = formatOf(tensor);
    if (index !== undefined) return index;
    const has = format[Field.kind] === Kind.lattice && format[Field.levels] === Levels.uniform;
    if (!has || format[Field.step] === StepKind.external || changed >= tensor.weights * RARE) return undefined;
    this.checkWithin(tensor);
    return this.pristine.indexSteps(tensor.offset, tensor.bytes, format);
  }

  override async close(): Promise<void> {
    this.live.close();
    await super.close();
  }

  private async each(tensor: Tensor, watch: MoverWatch | undefined, work: (piece: Piece) => Promise<void>): Promise<void> {
    this.checkWithin(tensor);
    for (const piece of pieces(tensor, formatOf(tensor), MappedMover.LEAVES)) {
      watch?.signal?.throwIfAborted();
      await work(piece);
      watch?.onBytes?.(piece.bytes);
    }
  }
}

/** Through positioned reads, a piece at a time; the kernels run between them on the event loop. */
class PositionedReader implements Reader {
  /** Leaves a piece: a millisecond to a few of the event loop's time. */
  private get leaves(): number {
    return this.kernels.backend === "js" ? 1 : 4;
  }

  constructor(
    protected readonly pristine: FileHandle,
    private readonly path: string,
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
    // One buffer a call, not one a reader: tensors may be asked for side by side.
    let buffer: Uint8Array | undefined;
    for (const piece of pieces(tensor, formatOf(tensor), this.leaves)) {
      watch?.signal?.throwIfAborted();
      buffer ??= new Uint8Array(piece.bytes);
      const data = buffer.subarray(0, piece.bytes);
      await this.read(this.pristine, data, piece.offset, tensor);
      await work(data, piece);
      watch?.onBytes?.(piece.bytes);
    }
  }

  protected async read(file: FileHandle, data: Uint8Array, offset: number, tensor: Tensor): Promise<void> {
    try {
      for (let done = 0; done < data.length; ) {
        const { bytesRead } = await file.read(data, done, data.length - done, offset + done);
        if (bytesRead === 0) throw becameShorter(this.path, tensor);
        done += bytesRead;
      }
    } catch (error) {
      throw asFileError(error, this.path);
    }
  }
}

/** The same with writes to the live file. */
class PositionedMover extends PositionedReader implements Mover {
  constructor(
    private readonly live: FileHandle,
    private readonly livePath: string,
    pristine: FileHandle,
    pristinePath: string,
    kernels: Kernels,
  ) {
    super(pristine, pristinePath, kernels);
  }

  async perturb(tensor: Tensor, move: TensorMove, watch?: MoverWatch): Promise<number> {
    let changed = 0;
    await this.each(tensor, watch, async (data, { offset, index }) => {
      changed += this.kernels.perturb(data, { ...move, index });
      await this.write(data, offset);
    });
    return changed;
  }

  async collide(moves: readonly TensorToMove[], tick: number, threshold: number, watch?: MoverWatch): Promise<number> {
    let changed = 0;
    for (const { tensor, move } of moves) {
      changed += await this.eachLive(tensor, watch, (live, data, index) =>
        collide(live, data, { ...move, index, tick }, threshold, this.kernels),
      );
    }
    return changed;
  }

  diffuse(tensor: Tensor, move: TensorMove, watch?: MoverWatch): Promise<number> {
    return this.eachLive(tensor, watch, (live, _, index) => this.kernels.perturb(live, { ...move, index }));
  }

  evolve(tensor: Tensor, move: TensorMove, law: Evolution, strength: number, watch?: MoverWatch): Promise<number> {
    return this.eachLive(tensor, watch, (live, data, index) =>
      this.kernels.evolve(live, data, { ...move, index }, law, strength),
    );
  }

  async difference(tensor: Tensor): Promise<number> {
    const format = formatOf(tensor);
    let different = 0;
    await this.eachLive(tensor, undefined, (live, data) => {
      different += this.kernels.difference(live, data, format);
      return 0;
    });
    return different;
  }

  /** Hands each live piece, the pristine one, and the number of its first weight to `work`, and writes the live one when it changed. */
  private async eachLive(
    tensor: Tensor,
    watch: MoverWatch | undefined,
    work: (live: Uint8Array, pristine: Uint8Array, index: number) => number,
  ): Promise<number> {
    let live: Uint8Array | undefined;
    let changed = 0;
    await this.each(tensor, watch, async (data, { offset, index }) => {
      if (live === undefined || live.length < data.length) live = new Uint8Array(data.length);
      const part = live.subarray(0, data.length);
      await this.read(this.live, part, offset, tensor);
      const before = part.slice();
      changed += work(part, data, index);
      if (Buffer.compare(before, part) !== 0) await this.write(part, offset);
    });
    return changed;
  }

  async restore(tensor: Tensor, watch?: MoverWatch): Promise<void> {
    await this.each(tensor, watch, (data, { offset }) => this.write(data, offset));
  }

  override async close(): Promise<void> {
    await this.live.close();
    await super.close();
  }

  private async write(data: Uint8Array, offset: number): Promise<void> {
    try {
      await writeFully(this.live, data, data.length, offset);
    } catch (error) {
      throw asFileError(error, this.livePath);
    }
  }
}
