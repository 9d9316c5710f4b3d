// The WebAssembly backend on several threads, each with its own instance of the module: large work in chunks, which go to threads where there are
// any, and otherwise are done here, in slices between events. The same bytes either way: noise goes by the weight's number.

import { environment } from "../environment.js";
import { addCensuses, type Census, type CensusColumns } from "../laws/census.js";
import type { Evolution } from "../laws/evolution.js";
import type { EncodedFormat, Move } from "../laws/move.js";
import { Field, Kind, Levels, Rounding, SUM_LEAF } from "../laws/numbers.js";
import { SPARSE_VARIANCE } from "../laws/rare-groups.js";
import type { Kernels, ThreadKernels, Threads } from "./contract.js";
import { processors, sharesMemory, startThread } from "./thread-host.js";
import { type PoolOptions, ThreadPool } from "./thread-pool.js";
import {
  type Arrays,
  checkThere,
  done,
  formatOfWork,
  type Greeting,
  KNOWN_LAWS,
  leafBytes,
  type Result,
  type Work,
  workFrom,
} from "./thread-work.js";
import { inSlices } from "./turns.js";
import { underWay } from "./under-way.js";

/** Threads unless BROWNIAN_THREADS says how many, at most: one thread hands out the chunks, and each has memory of its own. */
const MOST_UNASKED = 8;
/** Leaves of SUM_LEAF weights that a thread gets at a time: a millisecond of its time or a few, beside which messages cost little. */
const CHUNK_LEAVES = 16;
/** Chunks for each thread: one that it works on, and one that waits there. */
const CHUNKS_EACH = 2;
/** Leaves up to which a call is done here: to hand them over takes as long. */
const LEAST = 4;
/** Weights in one call (or in calls that follow each other closely) for which a thread is worth its start. */
const FOR_A_THREAD = 128 * SUM_LEAF;
/** Milliseconds without a call after which what was called before no longer counts. */
const PAUSE = 1000;
/** Steps of rows from which on a message would take long to copy them. */
const MANY_STEPS = 4096;

/** Threads for large work: what the environment says, or the processors of this process. */
export const wasmThreadCount = (): number => environment.threads ?? Math.min(processors(), MOST_UNASKED);

/** How threads are started and kept, and the leaves of a chunk, where tests want others. */
export type ThreadOptions = Partial<PoolOptions> & { readonly leaves?: number };

export class WasmThreads implements ThreadKernels {
  private readonly pool: ThreadPool;
  private readonly shared: boolean;
  private readonly leaves: number;
  /** Weights that there were to move since the last pause, and when the last came. */
  private due = 0;
  private last = 0;

  /** @param own the kernels of the calling thread */
  constructor(
    private readonly own: Kernels,
    greeting: Greeting,
    readonly number: number,
    options: ThreadOptions = {},
  ) {
    const { start = startThread, shared = sharesMemory(), leaves = CHUNK_LEAVES } = options;
    this.shared = shared;
    this.leaves = leaves;
    this.pool = new ThreadPool({ ...options, start, shared, most: number, greeting });
  }

  async perturb(data: Uint8Array, whole: Move, signal?: AbortSignal): Promise<number> {
    const { length } = data;
    const move = this.withSharedSteps(whole);
    const work: Work = { verb: "perturb", move };
    const leaf = leafBytes(move.format);
    if (length <= Math.min(LEAST, this.leaves) * leaf) return sumOf(await this.here(work, [data]));
    let changed = 0;
    const first = data.subarray(0, leaf);
    await inSlices(() => {
      checkThere(first, leaf);
      changed = this.own.perturb(first, move);
      return false;
    });
    const rare = isRare(changed, move);
    if (!rare) this.expect(weightsIn(length, move.format));
    const each = Math.ceil(length / leaf / (CHUNKS_EACH * this.number));
    const bytes = Math.min(this.leaves, each) * leaf;
    const piece = async (from: number) => {
      checkThere(data, length);
      const part: Arrays = [data.subarray(from, Math.min(length, from + bytes))];
      const here = workFrom(work, weightsIn(from, move.format));
      // Not before: pieces that are under way at a time would take each other's counts back.
      const moved = rare ? sumOf(await this.here(here, part)) : await this.sum(here, part);
      changed += moved;
    };
    await underWay(steps(leaf, length, bytes), rare ? 1 : CHUNKS_EACH * this.number, piece, signal);
    return changed;
  }

  async evolve(live: Uint8Array, pristine: Uint8Array, move: Move, law: Evolution, strength: number): Promise<number> {
    return this.sum({ verb: "evolve", move, law: law.name, strength }, [live, pristine], law);
  }

  async sumLeaves(data: Uint8Array, format: EncodedFormat, index: number): Promise<Float64Array> {
    const parts = (await this.results({ verb: "sums", format, index }, [data])) as Float64Array[];
    return Float64Array.from(parts.flatMap((part) => [...part]));
  }

  async census(data: Uint8Array, format: EncodedFormat, columns: CensusColumns | undefined, index: number): Promise<Census> {
    const parts = (await this.results({ verb: "census", format, columns, index }, [data])) as Census[];
    return parts.length === 1 ? (parts[0] as Census) : addCensuses(parts, format);
  }

  expect(weights: number): void {
    const now = Date.now();
    if (now - this.last > PAUSE) this.due = 0;
    this.last = now;
    this.due += weights;
    const worth = Math.floor(this.due / FOR_A_THREAD);
    if (worth > 1) this.pool.want(worth);
  }

  async tried(): Promise<Threads> {
    const { refused } = await this.pool.probe();
    if (refused !== undefined) return { number: 0, reason: refused };
    return { number: this.number, memory: this.shared ? "shared" : "copied" };
  }

  private async sum(work: Work, arrays: Arrays, law?: Evolution): Promise<number> {
    return sumOf(await this.results(work, arrays, law));
  }

  /** What a thread gives, in one; or what comes of it here. */
  private async results(work: Work, arrays: Arrays, law?: Evolution): Promise<Result[]> {
    const known = law === undefined || KNOWN_LAWS.includes(law.name);
    if (known && this.pool.ready && arrays[0].length >= leafBytes(formatOfWork(work))) {
      const result = await this.pool.run(work, arrays);
      if (result !== undefined) return [result];
    }
    return this.here(work, arrays, law);
  }

  /** What comes of each leaf, in slices between events. */
  private async here(work: Work, [data, pristine]: Arrays, law?: Evolution): Promise<Result[]> {
    const { length } = data;
    const format = formatOfWork(work);
    const bytes = leafBytes(format);
    const results: Result[] = [];
    let from = 0;
    await inSlices(() => {
      checkThere(data, length);
      const to = Math.min(length, from + bytes);
      const leaf: Arrays = [data.subarray(from, to), pristine?.subarray(from, to)];
      results.push(done(this.own, workFrom(work, weightsIn(from, format)), leaf, law));
      from = to;
      return from < length;
    });
    return results;
  }

  /** With steps of rows where all threads see them: a message would copy them for every chunk. */
  private withSharedSteps(move: Move): Move {
    const { steps } = move;
    if (steps === null || steps.length < MANY_STEPS || !this.shared) return move;
    const shared = new Float32Array(new SharedArrayBuffer(steps.byteLength));
    shared.set(steps);
    return { ...move, steps: shared };
  }
}

function* steps(from: number, to: number, by: number): Generator<number> {
  for (let at = from; at < to; at += by) yield at;
}

const sumOf = (counts: readonly Result[]): number => (counts as number[]).reduce((sum, count) => sum + count, 0);

/** Weights in so many bytes of whole blocks. */
const weightsIn = (bytes: number, format: EncodedFormat): number =>
  (bytes / (format[Field.bytes] as number)) * (format[Field.weights] as number);

/**
 * Whether a move that changed so many codes of a leaf looks at few of them: then it takes no longer than to hand them over. Only how fast it goes
 * depends on it.
 */
function isRare(changed: number, { format, rounding, columns }: Move): boolean {
  if (format[Field.kind] !== Kind.lattice || format[Field.levels] !== Levels.uniform) return false;
  return rounding === Rounding.matched && columns === undefined && changed < SPARSE_VARIANCE * SUM_LEAF;
}
