// Files in memory, by the addon. A live file remembers what it did last to each tensor, so that the next call costs what it changes and not
// what the tensor weighs: an index of steps and a journal of moves (docs/theory/moves.md), plans of collisions.

import type { Census, CensusColumns } from "../laws/census.js";
import type { EncodedFormat } from "../laws/move.js";
import { Field, Kind, Levels, StepKind } from "../laws/numbers.js";
import {
  type Addon,
  type AddonFile,
  keptRecord,
  makeLaw,
  moveRecord,
  type Plan,
  type PlannedTensor,
  type PreparedWork,
  type StepIndex,
  withLaw,
} from "./addon.js";
import { type Chunk, chunks } from "./chunks.js";
import {
  type FileKernels,
  type FileWatch,
  type LiveFile,
  type LiveMemory,
  type MappedFile,
  MOST_READY,
  type Prepared,
  type RangeMove,
  type TensorMove,
  type TensorRange,
} from "./files.js";
import { moveIn, type Step, sameStep, shareOf } from "./step.js";
import { turn } from "./turns.js";

/** Which of the addon's targets computes, on how many threads. */
export interface Workers {
  readonly target: number;
  readonly threads: number;
}

export function nativeFiles(addon: Addon, workers: Workers): FileKernels {
  const { target, threads } = workers;
  const open = (path: string, writable: boolean) => new (withLaw(addon).MappedFile)(target, threads, path, writable);
  return {
    ready: makeLaw,
    map: (path) => new NativeFile(open(path, false)),
    mapLive: (path, pristine) => new NativeLiveFile(open(path, true), pristine as NativeFile),
  };
}

class NativeFile implements MappedFile {
  constructor(readonly file: AddonFile) {}

  get size(): number {
    return this.file.size;
  }

  sumSquares({ offset, bytes }: TensorRange, format: EncodedFormat): Promise<number> {
    // One call: the order of summation runs over the whole tensor.
    return this.file.sumSquares(offset, bytes, format);
  }

  census({ offset, bytes }: TensorRange, format: EncodedFormat, columns: CensusColumns | undefined): Promise<Census> {
    return this.file.census(offset, bytes, format, columns ?? null);
  }

  async close(): Promise<void> {
    await this.file.close();
  }
}

/** Leaves of a chunk: 16.8 million weights, tens of milliseconds of one thread. A whole number of journals (of 2^18 weights each). */
const LEAVES = 256;

/** Weights of tensors that are drawn side by side: one small tensor after the other would leave threads without work. */
const SIDE_BY_SIDE = 2 ** 22;

/** The same where moves are rare, in one call: a hundredth of a second, between two of which work can be stopped. */
const REDRAWN = 2 ** 27;

/** Weights of one plan, and tensors: of a larger model, several, between which work can be stopped, and others have a turn of the event loop. */
const PLANNED = 64e6;
const PLANNED_TENSORS = 64;

/** Weights that brief work may move before others have a turn of the event loop: two milliseconds at most. A piece counts as some, whatever it moves. */
const MOST_AT_A_TIME = 2 ** 19;
const A_PIECE = 2 ** 13;

/**
 * Below this share of changed codes, a tensor that is drawn again is worth an index of its steps: with it, the last moves are undone and new
 * ones found without a look at the rest. With 0.001 of the codes of Q8_0 that takes half the time of a mere copy (docs/results/performance-raw.md);
 * from one move in two groups on there is no rest.
 */
const RARE = 1 / 64;

/** What is known of a tensor's live bytes: pristine moved by `last`, which changed this many codes. */
interface Known {
  readonly last: TensorMove;
  readonly changed: number;
  /** The steps of its groups, and the journal of the last move by it. */
  readonly index: StepIndex | undefined;
}

/** Tensors that are worked on in one call. */
interface Planned {
  readonly plan: Plan;
  readonly keys: readonly string[];
  readonly bytes: number;
  readonly weights: number;
}

/** All plans of a list of moves, for one step. */
interface Plans {
  readonly step: Step;
  readonly plans: readonly Planned[];
}

class NativeLiveFile implements LiveFile {
  /** By `keyOf`. Of tensors that are not in here, nothing is known. */
  private readonly known = new Map<string, Known>();
  private readonly plans = new WeakMap<readonly RangeMove[], Plans>();
  /** The last that were asked for. */
  private present: readonly Planned[] = [];

  constructor(
    private readonly file: AddonFile,
    private readonly pristine: NativeFile,
  ) {}

  async perturb(tensor: TensorRange, move: TensorMove, watch?: FileWatch): Promise<number> {
    const key = keyOf(tensor);
    const before = this.known.get(key);
    this.known.delete(key); // until this is done, and if it is not
    const index = before && (await this.indexFor(tensor, move, before));
    const changed = await eachChunk(tensor, move.format, watch, async ({ offset, bytes, index: from }) => {
      const record = moveRecord({ ...move, index: from });
      if (index === undefined) return this.file.perturb(offset, bytes, this.pristine.file, record);
      return (await this.file.redraw(this.pristine.file, [{ offset, length: bytes, index, move: record }]))[0] as number;
    });
    this.known.set(key, { last: move, changed, index });
    return changed;
  }

  async draw(moves: readonly RangeMove[], tick: number, watch?: FileWatch): Promise<number> {
    let changed = 0;
    for (let i = 0; i < moves.length; ) {
      watch?.signal?.throwIfAborted();
      const some: RangeMove[] = [];
      const rare = this.hasIndex(moves[i] as RangeMove);
      let weights = 0;
      for (; i < moves.length; i++) {
        const next = moves[i] as RangeMove;
        weights += weightsOf(next.tensor, next.move.format);
        if (some.length > 0 && (this.hasIndex(next) !== rare || weights > (rare ? REDRAWN : SIDE_BY_SIDE))) break;
        some.push({ tensor: next.tensor, move: { ...next.move, tick } });
      }
      changed += rare ? await this.redrawn(some, watch) : await this.sideBySide(some, watch);
    }
    return changed;
  }

  private hasIndex({ tensor, move }: RangeMove): boolean {
    const before = this.known.get(keyOf(tensor));
    return before?.index !== undefined && !before.last.columns && !move.columns;
  }

  /** Draws tensors that have an index, in one call: each by itself would cost as much time for the way to the threads as for what moves. */
  private async redrawn(some: readonly RangeMove[], watch: FileWatch | undefined): Promise<number> {
    const before = some.map(({ tensor }) => this.known.get(keyOf(tensor)) as Known);
    for (const { tensor } of some) this.known.delete(keyOf(tensor)); // until this is done, and if it is not
    const tensors = some.map(({ tensor: { offset, bytes }, move }, i) => {
      const index = before[i]?.index as StepIndex;
      return { offset, length: bytes, index, move: keptRecord({ ...move, index: 0 }) };
    });
    const counts = await this.file.redraw(this.pristine.file, tensors);
    let changed = 0;
    for (const [i, { tensor, move }] of some.entries()) {
      const here = counts[i] as number;
      this.known.set(keyOf(tensor), { last: move, changed: here, index: before[i]?.index });
      changed += here;
      watch?.onBytes?.(tensor.bytes);
    }
    return changed;
  }

  /** Each of these, at once. Where one fails, the others are waited for. */
  private async sideBySide(some: readonly RangeMove[], watch: FileWatch | undefined): Promise<number> {
    const works = some.map(async ({ tensor, move }) => {
      if (move.sigma > 0) return this.perturb(tensor, move, watch);
      await this.restore(tensor, move.format, watch);
      return 0;
    });
    let changed = 0;
    for (const done of await Promise.allSettled(works)) {
      if (done.status === "rejected") throw done.reason;
      changed += done.value;
    }
    return changed;
  }

  async step(moves: readonly RangeMove[], tick: number, step: Step, watch?: FileWatch): Promise<number> {
    return this.each(await this.planned(moves, step), step, watch, ({ plan }) => this.file.run(plan, tick));
  }

  async prepare(moves: readonly RangeMove[], tick: number, step: Step): Promise<Prepared | undefined> {
    const plans = await this.planned(moves, step);
    if (plans.reduce((sum, { bytes }) => sum + bytes, 0) * shareOf(step) > MOST_READY) return undefined;
    const works: (PreparedWork | null)[] = [];
    for (const { plan } of plans) {
      if (works.length > 0) await turn();
      works.push(this.file.prepare(plan, tick));
    }
    const drop = () => {
      for (const work of works) if (work !== null) this.file.drop(work);
    };
    if (!works.includes(null)) {
      const write = (watch?: FileWatch) =>
        this.each(plans, step, watch, (_, i) => this.file.write(works[i] as PreparedWork)).catch((error: unknown) => {
          drop(); // what was not reached
          throw error;
        });
      return { write, drop };
    }
    drop();
    return undefined;
  }

  /** The sum of what `work` gives for each plan; where it gives nothing yet, it is called again after a turn of the event loop. */
  private async each(
    plans: readonly Planned[],
    step: Step,
    watch: FileWatch | undefined,
    work: (planned: Planned, i: number) => number | Promise<number> | undefined,
  ): Promise<number> {
    let sum = 0;
    let moved = 0;
    for (const [i, planned] of plans.entries()) {
      watch?.signal?.throwIfAborted();
      if (this.known.size > 0) for (const key of planned.keys) this.known.delete(key);
      let begun = work(planned, i);
      while (begun === undefined) {
        await turn();
        watch?.signal?.throwIfAborted();
        begun = work(planned, i);
      }
      const done = begun;
      // Brief work is done already, and a turn of the event loop is long beside it; of much, others are to have theirs meanwhile.
      const brief = typeof done === "number";
      sum += brief ? done : await done;
      moved = brief ? moved + A_PIECE + planned.weights * shareOf(step) : 0;
      if (moved > MOST_AT_A_TIME) {
        await turn();
        moved = 0;
      }
      watch?.onBytes?.(planned.bytes);
    }
    return sum;
  }

  difference({ offset, bytes }: TensorRange, format: EncodedFormat): Promise<number> {
    return this.file.difference(offset, bytes, format, this.pristine.file);
  }

  memory(): LiveMemory {
    let index = 0;
    let journal = 0;
    for (const known of this.known.values()) {
      if (known.index === undefined) continue;
      const [own, undoes] = this.file.indexBytes(known.index);
      index += own;
      journal += undoes;
    }
    return {
      index,
      journal,
      ready: this.present.reduce((sum, { plan }) => sum + this.file.readyBytes(plan), this.file.readyBytes(null)),
    };
  }

  async restore(tensor: TensorRange, format: EncodedFormat, watch?: FileWatch): Promise<void> {
    const before = this.known.get(keyOf(tensor));
    if (before?.index !== undefined) {
      await this.perturb(tensor, { ...before.last, sigma: 0 }, watch); // undoes by the journal
      return;
    }
    await eachChunk(tensor, format, watch, ({ offset, bytes }) => this.file.copyFrom(this.pristine.file, offset, bytes));
    this.known.delete(keyOf(tensor));
  }

  async close(): Promise<void> {
    await this.file.close();
  }

  /** The index of a tensor that has one or is worth one, for this move. */
  private async indexFor(tensor: TensorRange, { format, columns }: TensorMove, before: Known): Promise<StepIndex | undefined> {
    if (columns || before.last.columns) return undefined; // moves by an index have one law for the steps of a group
    if (before.index !== undefined) return before.index;
    const has = format[Field.kind] === Kind.lattice && format[Field.levels] === Levels.uniform;
    if (!has || format[Field.step] === StepKind.external) return undefined;
    if (before.changed >= weightsOf(tensor, format) * RARE) return undefined;
    return this.pristine.file.indexSteps(tensor.offset, tensor.bytes, format);
  }

  /** The plans of a list of moves, made once: ticks are to take no time. */
  private async planned(moves: readonly RangeMove[], step: Step): Promise<readonly Planned[]> {
    const before = this.plans.get(moves);
    if (before !== undefined && sameStep(before.step, step)) {
      this.present = before.plans;
      return before.plans;
    }
    const plans: Planned[] = [];
    for (let i = 0; i < moves.length; ) {
      if (i > 0) await turn();
      const some: RangeMove[] = [];
      let weights = 0;
      for (; i < moves.length && weights < PLANNED && some.length < PLANNED_TENSORS; i++) {
        const one = moves[i] as RangeMove;
        some.push(one);
        weights += weightsOf(one.tensor, one.move.format);
      }
      const tensors = some.map(({ tensor: { offset, bytes }, move }): PlannedTensor => {
        const parameters = step.verb === "evolve" ? step.law.parameters(step.strength, move.format) : undefined;
        return { offset, length: bytes, move: keptRecord({ ...moveIn(step, move), index: 0 }), parameters };
      });
      plans.push({
        plan: this.planOf(tensors, step),
        keys: some.map(({ tensor }) => keyOf(tensor)),
        bytes: some.reduce((sum, { tensor }) => sum + tensor.bytes, 0),
        weights,
      });
    }
    this.plans.set(moves, { step, plans });
    this.present = plans;
    return plans;
  }

  private planOf(tensors: readonly PlannedTensor[], step: Step): Plan {
    const { file } = this.pristine;
    if (step.verb === "collide") return this.file.planCollide(file, tensors, step.threshold);
    if (step.verb === "diffuse") return this.file.planDiffuse(file, tensors, step.stride);
    if (step.verb === "draw") return this.file.planDraw(file, tensors);
    return this.file.planEvolve(file, tensors, step.law.name, step.stride);
  }
}

/** Both numbers: a tensor without weights begins where the next one does. */
const keyOf = ({ offset, bytes }: TensorRange): string => `${offset} ${bytes}`;

const weightsOf = ({ bytes }: TensorRange, format: EncodedFormat): number =>
  (bytes / (format[Field.bytes] as number)) * (format[Field.weights] as number);

/** The sum of what `work` gives for each chunk. */
async function eachChunk(
  tensor: TensorRange,
  format: EncodedFormat,
  watch: FileWatch | undefined,
  work: (chunk: Chunk) => Promise<number>,
): Promise<number> {
  let sum = 0;
  for (const chunk of chunks(tensor, format, LEAVES)) {
    watch?.signal?.throwIfAborted();
    sum += await work(chunk);
    watch?.onBytes?.(chunk.bytes);
  }
  return sum;
}
