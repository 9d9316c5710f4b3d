// Readers and live tensors through positioned reads and writes, chunk by chunk, for backends that cannot map files: memory does not grow with the
// tensor. The kernels run between reads, on the event loop, or on the backend's threads where it has some: then several chunks are under way at a time.
// Small chunks are read and written at once, with a turn of the event loop now and then: to go to a thread for each takes several times as long.

import type { FileHandle } from "node:fs/promises";
import { type Chunk, chunks } from "../../kernels/chunks.js";
import type { Kernels, ThreadKernels } from "../../kernels/contract.js";
import type { FileWatch, LiveMemory, TensorMove } from "../../kernels/files.js";
import { Spare } from "../../kernels/spare.js";
import { moveIn, type Step, strideOf } from "../../kernels/step.js";
import { SLICE, turn } from "../../kernels/turns.js";
import { underWay } from "../../kernels/under-way.js";
import { colliding } from "../../lattice/collide.js";
import { addCensuses, type Census, type CensusColumns } from "../../laws/census.js";
import { Field, SUM_LEAF } from "../../laws/numbers.js";
import { type Stretch, visited } from "../../laws/visits.js";
import { asFileError } from "../file-errors.js";
import type { Watched } from "../stamp.js";
import type { Tensor } from "../tensor.js";
import { BRIEF, readAtOnce, readFully, writeAtOnce, writeFully } from "../transfer.js";
import { becameShorter, formatOf, type LiveTensors, type Reader, type TensorToMove } from "./live-tensors.js";

/** Censuses of chunks that wait to be added up: memory does not grow with the tensor. */
const MOST_PARTS = 64;
/** Weights of small chunks for which the event loop is kept, whatever a clock says. */
const MOST_WEIGHTS = 2 ** 16;
/** Weights that are moved at once on the event loop's thread: half a millisecond of WebAssembly, two of JavaScript. Any whole blocks would do. */
const PIECE = 2 ** 14;

export class PositionedReader implements Reader {
  /** Leaves a chunk: a millisecond to a few of the event loop's time. */
  private get leaves(): number {
    return this.kernels.backend === "js" ? 1 : 4;
  }

  /** Chunks that are under way at a time: one for each thread, and one that is read or written meanwhile. */
  private get most(): number {
    return this.kernels.threads === undefined ? 1 : this.kernels.threads.number + 1;
  }

  /** When others had the last turn of the event loop, and weights of chunks since then. */
  private turned = 0;
  private weightsSince = 0;
  /** For chunks: as many as were under way at once, each time up to three for one. */
  protected readonly spare = new Spare((bytes) => new Uint8Array(bytes));

  constructor(
    protected readonly source: Watched,
    protected readonly kernels: Kernels,
  ) {}

  async sumSquares(tensor: Tensor, watch?: FileWatch): Promise<number> {
    const format = formatOf(tensor);
    const { threads } = this.kernels;
    threads?.expect(tensor.weights);
    let total = 0;
    /** Sums of leaves, which are added in their order. */
    const leaves = new Float64Array(Math.ceil(tensor.weights / SUM_LEAF));
    await this.each(tensor, watch, async (data, { index }) => {
      if (threads === undefined) total = this.kernels.sumSquares(data, format, null, 1, index, total);
      else leaves.set(await threads.sumLeaves(data, format, index), index / SUM_LEAF);
    });
    return threads === undefined ? total : leaves.reduce((sum, leaf) => sum + leaf, 0);
  }

  async census(tensor: Tensor, columns?: CensusColumns, watch?: FileWatch): Promise<Census> {
    const format = formatOf(tensor);
    const { kernels } = this;
    kernels.threads?.expect(tensor.weights);
    const parts: Census[] = [];
    await this.each(tensor, watch, async (data, { index }) => {
      parts.push(await (kernels.threads ?? kernels).census(data, format, columns, index));
      if (parts.length === MOST_PARTS) parts.push(addCensuses(parts.splice(0), format));
    });
    return addCensuses(parts, format);
  }

  async close(): Promise<void> {
    await this.source.close();
  }

  /** A turn of the event loop for others, if they have waited for one long enough, or `now`. */
  protected async othersTurn(now = false): Promise<void> {
    if (!now && performance.now() - this.turned < SLICE) return;
    await turn();
    this.begun();
  }

  /** Others have just had their turn. */
  private begun(): void {
    this.weightsSince = 0;
    this.turned = performance.now();
  }

  /** Hands the pristine bytes of each chunk (of stretches) to `work`, which may change them. */
  protected async each(
    tensor: Tensor,
    watch: FileWatch | undefined,
    work: (data: Uint8Array, chunk: Chunk) => Promise<void>,
    stretches: Iterable<Stretch> = [{ from: 0, to: tensor.weights }],
  ): Promise<void> {
    const { source, spare } = this;
    const format = formatOf(tensor);
    const weightsOfByte = (format[Field.weights] as number) / (format[Field.bytes] as number);
    source.check();
    const one = async (chunk: Chunk) => {
      const buffer = spare.take(chunk.bytes);
      const data = buffer.subarray(0, chunk.bytes);
      await readChunk(source.handle, source.path, data, chunk.offset, tensor);
      await work(data, chunk);
      spare.give(buffer);
      watch?.onBytes?.(chunk.bytes);
      this.weightsSince += chunk.bytes * weightsOfByte;
      if (chunk.bytes > BRIEF) this.begun();
      else await this.othersTurn(this.weightsSince >= MOST_WEIGHTS);
    };
    const { leaves } = this;
    const all = function* () {
      for (const stretch of stretches) yield* chunks(tensor, format, leaves, stretch);
    };
    await underWay(all(), this.most, one, watch?.signal);
    source.check();
  }
}

/** @throws BrownianError truncated-gguf, file-access */
async function readChunk(file: FileHandle, path: string, data: Uint8Array, offset: number, tensor: Tensor): Promise<void> {
  try {
    const read = data.length > BRIEF ? await readFully(file, data, offset) : readAtOnce(file, data, offset);
    if (read < data.length) throw becameShorter(path, tensor);
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
    const { kernels } = this;
    kernels.threads?.expect(tensor.weights);
    return this.drawn(tensor, move, watch, kernels.threads ?? kernels);
  }

  /** Draws a tensor anew, or stretches of it. */
  private async drawn(
    tensor: Tensor,
    move: TensorMove,
    watch: FileWatch | undefined,
    by: Pick<Kernels | ThreadKernels, "perturb">,
    stretches?: Iterable<Stretch>,
  ): Promise<number> {
    let changed = 0;
    const draw = async (data: Uint8Array, { offset, index }: Chunk) => {
      const here = await this.moved(data, tensor, (from, to, i) =>
        by.perturb(data.subarray(from, to), { ...move, index: index + i }),
      );
      changed += here; // not before: chunks that are under way at a time would take each other's counts back
      await this.write(data, offset);
    };
    await this.each(tensor, watch, draw, stretches);
    return changed;
  }

  async draw(moves: readonly TensorToMove[], tick: number, watch?: FileWatch): Promise<number> {
    let changed = 0;
    for (const { tensor, move } of moves) {
      if (move.sigma > 0) changed += await this.perturb(tensor, { ...move, tick }, watch);
      else await this.restore(tensor, watch);
    }
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
      const { kernels } = this;
      if (step.verb === "collide") {
        // Most of it stays as it is; what does not are a few thousand weights each time, fewer than a thread is worth.
        const stretches = colliding(tensor.weights, { ...now, index: 0 }, step.threshold, kernels);
        changed += await this.drawn(tensor, now, watch, kernels, stretches);
        continue;
      }
      const stretch = visited(tensor.weights, now, strideOf(step));
      kernels.threads?.expect(stretch.to - stretch.from);
      const by = kernels.threads ?? kernels;
      const work = (live: Uint8Array, data: Uint8Array, index: number): Promise<number> =>
        this.moved(data, tensor, (from, to, i) => {
          const [part, here] = [live.subarray(from, to), { ...now, index: index + i }];
          if (step.verb === "diffuse") return by.perturb(part, here);
          return by.evolve(part, data.subarray(from, to), here, step.law, step.strength);
        });
      changed += await this.eachLive(tensor, watch, work, stretch);
    }
    return changed;
  }

  /**
   * Lets `work` have a chunk, from byte to byte and from its so many-th weight on: threads all of it, the event loop's thread piece by piece, with
   * turns in between. Resolves to the sum of what it says.
   */
  private async moved(
    { length }: Uint8Array,
    tensor: Tensor,
    work: (from: number, to: number, weight: number) => number | Promise<number>,
  ): Promise<number> {
    const format = formatOf(tensor);
    const most =
      this.kernels.threads === undefined ? (PIECE / (format[Field.weights] as number)) * (format[Field.bytes] as number) : length;
    let changed = 0;
    for (let from = 0, weight = 0; from < length; from += most, weight += PIECE) {
      if (from > 0) await this.othersTurn();
      const here = await work(from, Math.min(length, from + most), weight);
      changed += here;
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
    work: (live: Uint8Array, pristine: Uint8Array, index: number) => number | Promise<number>,
    stretch?: Stretch,
  ): Promise<number> {
    const { spare } = this;
    let changed = 0;
    const each = async (data: Uint8Array, { offset, index }: Chunk) => {
      const rooms = [spare.take(data.length), spare.take(data.length)] as const;
      const [part, before] = rooms.map((room) => room.subarray(0, data.length)) as [Uint8Array, Uint8Array];
      await readChunk(this.live, this.livePath, part, offset, tensor);
      before.set(part);
      const here = await work(part, data, index);
      changed += here;
      if (Buffer.compare(before, part) !== 0) await this.write(part, offset);
      for (const room of rooms) spare.give(room);
    };
    await this.each(tensor, watch, each, stretch && [stretch]);
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
      if (data.length > BRIEF) await writeFully(this.live, data, offset);
      else writeAtOnce(this.live, data, offset);
    } catch (error) {
      throw asFileError(error, this.livePath);
    }
  }
}
