// Threads that are started when there is enough to do, and ended when there was nothing for a while. Work goes to them as copies, so that what a
// thread that dies leaves undone can be done by whoever asked; memory that is shared already is worked on where it lies, and then its death is an
// error. Knows neither formats nor files.

import { BrownianError } from "../errors.js";
import { Spare } from "./spare.js";
import type { StartThread, Thread } from "./thread-host.js";
import { type Answer, type Arrays, checkThere, type Greeting, type Order, type Result, type Work } from "./thread-work.js";

export interface PoolOptions {
  readonly start: StartThread;
  /** Threads at most. */
  readonly most: number;
  /** Whether threads see memory of ours; otherwise buffers are transferred there and back. */
  readonly shared: boolean;
  readonly greeting: Greeting;
  /** Milliseconds without work after which threads end. */
  readonly idle?: number;
}

/** What threads are there now, and why there are none where there can be none. */
export interface PoolState {
  readonly running: number;
  readonly refused: string | undefined;
}

/** Orders that a thread has at a time: the next is there when one is done. */
const AT_A_TIME = 2;
const IDLE = 5000;
/** Deaths in a row, without an answer in between, after which no more threads are started. */
const MOST_DEATHS = 3;
/** Where the second array begins in a buffer: at a whole number of lines of the cache. */
const LINE = 64;

type Memory = ArrayBuffer | SharedArrayBuffer;

interface Job {
  readonly work: Work;
  readonly arrays: Arrays;
  /** As long as the data was when it was handed over: memory that goes away has no bytes left. */
  readonly bytes: number;
  /** Undefined: it was not done, and the data is as it was. */
  resolve(result: Result | undefined): void;
  reject(error: unknown): void;
}

/** A job that a thread has, and the buffer with the copies; none where it works where the data lies. */
interface Given {
  readonly job: Job;
  readonly buffer: Memory | undefined;
}

interface Lane {
  thread: Thread | undefined;
  ready: boolean;
  readonly jobs: Map<number, Given>;
}

export class ThreadPool {
  private readonly lanes = new Set<Lane>();
  private readonly waiting: Job[] = [];
  /** Buffers that no order has. */
  private readonly spare: Spare<Memory>;
  private readonly told = new Set<() => void>();
  private timer: ReturnType<typeof setTimeout> | undefined;
  private orders = 0;
  private deaths = 0;
  private refused: string | undefined;

  constructor(private readonly options: PoolOptions) {
    this.spare = new Spare((bytes) => (options.shared ? new SharedArrayBuffer(bytes) : new ArrayBuffer(bytes)));
  }

  get most(): number {
    return this.options.most;
  }

  /** Whether a thread could take work now, or soon. */
  get ready(): boolean {
    for (const { ready } of this.lanes) if (ready) return true;
    return false;
  }

  state(): PoolState {
    return { running: [...this.lanes].filter(({ ready }) => ready).length, refused: this.refused };
  }

  /** Starts threads, unless there are so many, or there can be none. */
  want(threads: number): void {
    while (this.refused === undefined && this.lanes.size < Math.min(threads, this.options.most)) this.start();
    this.rest();
  }

  /** Starts one, and resolves when it is known whether there can be any. */
  async probe(): Promise<PoolState> {
    while (this.refused === undefined && !this.ready) {
      this.want(1);
      for (const { thread } of this.lanes) thread?.hold(true);
      if (this.refused === undefined) await new Promise<void>((resolve) => this.told.add(resolve));
    }
    for (const { thread, jobs } of this.lanes) thread?.hold(jobs.size > 0);
    return this.state();
  }

  /**
   * Has a thread do this; the data is written to when it is done (while it is done, where it is shared), and has to be left alone until then.
   * Undefined where no thread did it: nothing is changed then.
   * @throws BrownianError backend-unavailable where a thread died over data that is shared
   */
  run(work: Work, arrays: Arrays): Promise<Result | undefined> {
    return new Promise((resolve, reject) => {
      this.waiting.push({ work, arrays, bytes: arrays[0].length, resolve, reject });
      this.assign();
    });
  }

  /** Ends all threads; what they had is not done. They are started again when they are wanted. */
  end(): void {
    for (const lane of this.lanes) this.drop(lane, "it was ended");
    this.spare.clear();
    this.tell();
    this.assign();
  }

  private start(): void {
    const lane: Lane = { thread: undefined, ready: false, jobs: new Map() };
    try {
      lane.thread = this.options.start({
        heard: (message) => this.heard(lane, message as Answer),
        died: (reason) => this.died(lane, reason),
      });
      lane.thread.post(this.options.greeting, []);
      this.lanes.add(lane);
    } catch (error) {
      lane.thread?.end();
      this.refuse(error instanceof Error ? error.message : String(error));
    }
  }

  private heard(lane: Lane, answer: Answer): void {
    if (!this.lanes.has(lane)) return;
    if ("ready" in answer) {
      lane.ready = true;
      this.tell();
    } else {
      this.deaths = 0;
      this.settle(lane, answer);
    }
    this.assign();
  }

  private settle(lane: Lane, answer: Exclude<Answer, { ready: true }>): void {
    const order = lane.jobs.get(answer.id);
    if (order === undefined) return;
    lane.jobs.delete(answer.id);
    if (lane.jobs.size === 0) lane.thread?.hold(false);
    const { job } = order;
    const buffer = answer.buffer ?? order.buffer;
    if (buffer !== undefined) this.spare.give(buffer);
    if ("failed" in answer) {
      this.undone(order, answer.failed);
      return;
    }
    try {
      const writes = job.work.verb === "perturb" || job.work.verb === "evolve";
      if (buffer !== undefined && writes && answer.result !== 0) {
        checkThere(job.arrays[0], job.bytes);
        job.arrays[0].set(new Uint8Array(buffer, 0, job.bytes));
      }
      job.resolve(answer.result);
    } catch (error) {
      job.reject(error);
    }
  }

  /** Whoever asked does it, where the data is as it was. */
  private undone({ job, buffer }: Given, reason: string): void {
    if (buffer !== undefined) job.resolve(undefined);
    else {
      const message = `A thread that moved weights where they lie (in a SharedArrayBuffer) ended over it (${reason}): they are moved in part. Bring them back (undo), and move them again.`;
      job.reject(new BrownianError("backend-unavailable", message));
    }
  }

  private died(lane: Lane, reason: string): void {
    if (!this.lanes.has(lane)) return;
    this.deaths++;
    const young = !lane.ready;
    this.drop(lane, reason);
    if (young || this.deaths >= MOST_DEATHS) this.refuse(reason);
    this.assign();
  }

  /** There can be no threads, for this reason. */
  private refuse(reason: string): void {
    this.refused ??= reason;
    for (const lane of this.lanes) this.drop(lane, reason);
    this.tell();
  }

  private drop(lane: Lane, reason: string): void {
    this.lanes.delete(lane);
    lane.thread?.end();
    for (const order of lane.jobs.values()) this.undone(order, reason);
    lane.jobs.clear();
  }

  private tell(): void {
    for (const resolve of this.told) resolve();
    this.told.clear();
  }

  /** Hands out what waits, each to the thread that has least to do. */
  private assign(): void {
    while (this.waiting.length > 0) {
      let best: Lane | undefined;
      for (const lane of this.lanes)
        if (lane.ready && lane.jobs.size < AT_A_TIME && lane.jobs.size < (best?.jobs.size ?? AT_A_TIME)) best = lane;
      if (best === undefined) break;
      this.hand(best, this.waiting.shift() as Job);
    }
    if (!this.ready) for (const job of this.waiting.splice(0)) job.resolve(undefined);
    this.rest();
  }

  private hand(lane: Lane, job: Job): void {
    const { work, arrays, bytes } = job;
    const id = this.orders++;
    try {
      checkThere(arrays[0], bytes);
      const inPlace = this.options.shared && arrays.every((one) => one === undefined || !(one.buffer instanceof ArrayBuffer));
      const buffer = inPlace ? undefined : this.spare.take(arrays.length * roomFor(bytes));
      const order: Order = { id, work, arrays: buffer === undefined ? arrays : copies(arrays, buffer) };
      lane.jobs.set(id, { job, buffer });
      lane.thread?.hold(true);
      lane.thread?.post(order, buffer instanceof ArrayBuffer ? [buffer] : []);
    } catch (error) {
      lane.jobs.delete(id);
      job.reject(error);
    }
  }

  /** Ends threads that have nothing to do for a while. */
  private rest(): void {
    clearTimeout(this.timer);
    if (this.lanes.size === 0) return;
    for (const { ready, jobs } of this.lanes) if (!ready || jobs.size > 0) return;
    this.timer = setTimeout(() => this.end(), this.options.idle ?? IDLE);
    (this.timer as { unref?: () => void }).unref?.();
  }
}

const roomFor = (bytes: number): number => Math.ceil(bytes / LINE) * LINE;

/** The arrays as they are now, one after the other in a buffer. */
function copies([data, pristine]: Arrays, buffer: Memory): Arrays {
  const copy = (from: Uint8Array, at: number) => {
    const to = new Uint8Array(buffer, at, from.length);
    to.set(from);
    return to;
  };
  return pristine === undefined ? [copy(data, 0)] : [copy(data, 0), copy(pristine, roomFor(data.length))];
}
