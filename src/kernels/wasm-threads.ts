// The WebAssembly backend on several threads, each with its own instance of the module: large work in chunks, which go to threads where there are
// any, and otherwise are done here, in slices between events. The same bytes either way: noise goes by the weight's number.

import { environment } from "../environment.js";
import { addCensuses, type Census, type CensusColumns } from "../laws/census.js";
import type { Evolution } from "../laws/evolution.js";
import type { EncodedFormat, Move } from "../laws/move.js";
import { Field, SUM_LEAF } from "../laws/numbers.js";
import type { Kernels, ThreadKernels, ThreadState } from "./contract.js";
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

/** Threads unless BROWNIAN_THREADS says how many, at most: one thread hands out the chunks, and each has memory of its own. */
const MOST_UNASKED = 8;
/** Leaves of SUM_LEAF weights that a thread gets at a time: a millisecond of its time or a few, and as little as the messages cost beside it. */
const CHUNK_LEAVES = 8;
/** Weights below which work is done here: to hand them over takes as long. */
const LEAST = SUM_LEAF;
/** Weights in one call (or in calls that follow each other closely) for which a thread is worth its start. */
const FOR_A_THREAD = 128 * SUM_LEAF;
/** Milliseconds without a call after which what was called before no longer counts. */
const PAUSE = 1000;

/** Threads for large work: what the environment says, or the processors of this process. */
export const wasmThreadCount = (): number => environment.threads ?? Math.min(processors(), MOST_UNASKED);

export class WasmThreads implements ThreadKernels {
  private readonly pool: ThreadPool;
  /** Weights that there were to move since no thread was there, and when the last came. */
  private due = 0;
  private last = 0;

  /** @param own the kernels of the calling thread */
  constructor(
    private readonly own: Kernels,
    greeting: Greeting,
    readonly number: number,
    options: Partial<PoolOptions> = {},
  ) {
    this.pool = new ThreadPool({ start: startThread, shared: sharesMemory(), most: number, greeting, ...options });
  }

  async perturb(data: Uint8Array, whole: Move, signal?: AbortSignal): Promise<number> {
    const { length } = data;
    const move = withSharedSteps(whole);
    const bytes = CHUNK_LEAVES * leafBytes(move.format);
    if (length <= bytes) return this.sum({ verb: "perturb", move }, [data]);
    this.expect(weightsIn(length, move.format));
    const running = new Set<Promise<void>>();
    let failure: { error: unknown } | undefined;
    let changed = 0;
    for (let from = 0; from < length; from += bytes) {
      while (running.size >= 2 * this.number) await Promise.race(running);
      if (signal?.aborted) failure ??= { error: signal.reason };
      if (failure !== undefined) break;
      const one = this.piece(data, length, from, bytes, move).then(
        (here) => {
          changed += here;
        },
        (error) => {
          failure ??= { error };
        },
      );
      const entry = one.finally(() => running.delete(entry));
      running.add(entry);
    }
    await Promise.all(running); // nobody writes to the data after this
    if (failure !== undefined) throw failure.error;
    return changed;
  }

  private async piece(data: Uint8Array, length: number, from: number, bytes: number, move: Move): Promise<number> {
    checkThere(data, length);
    const here = { ...move, index: move.index + weightsIn(from, move.format) };
    return this.sum({ verb: "perturb", move: here }, [data.subarray(from, Math.min(length, from + bytes))]);
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

  async state(): Promise<ThreadState> {
    const { refused } = await this.pool.probe();
    const memory = sharesMemory() ? "shared" : "copied";
    return refused === undefined ? { number: this.number, memory } : { number: 0, memory, refused };
  }

  private async sum(work: Work, arrays: Arrays, law?: Evolution): Promise<number> {
    const parts = (await this.results(work, arrays, law)) as number[];
    return parts.reduce((sum, part) => sum + part, 0);
  }

  /** What a thread gives, in one; or, leaf by leaf, what comes of it here. */
  private async results(work: Work, [data, pristine]: Arrays, law?: Evolution): Promise<Result[]> {
    const format = formatOfWork(work);
    const known = law === undefined || KNOWN_LAWS.includes(law.name);
    if (known && this.pool.ready && weightsIn(data.length, format) >= LEAST) {
      const result = await this.pool.run(work, data, pristine);
      if (result !== undefined) return [result];
    }
    const { length } = data;
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
}

/** With steps of rows where all threads see them: a message would copy them for every chunk. */
function withSharedSteps(move: Move): Move {
  const { steps } = move;
  if (steps === null || steps.length < SUM_LEAF / 16 || !sharesMemory()) return move;
  const shared = new Float32Array(new SharedArrayBuffer(steps.byteLength));
  shared.set(steps);
  return { ...move, steps: shared };
}

/** Weights in so many bytes of whole blocks. */
const weightsIn = (bytes: number, format: EncodedFormat): number =>
  (bytes / (format[Field.bytes] as number)) * (format[Field.weights] as number);
