// A worker on Redis: waits for a search, holds its base, and reads the members that BullMQ gives it, until that search is over; then waits for the next.

import { hostname } from "node:os";
import { setTimeout as wait } from "node:timers/promises";
import type { Job } from "bullmq";
import type { Redis } from "ioredis";
import { BrownianError, checkFunction, checkText } from "../../errors.js";
import { checkOptions } from "../../options.js";
import type { Ascent } from "../codes.js";
import type { MemberReading, MemberWork, Running, WorkerNews } from "./crew.js";
import { connected, keysOf, loadRedis, optionsOf, type Packages } from "./redis-connection.js";
import { checkRunning, checkWork } from "./running.js";
import { EvolveWorker, type WorkerPlace } from "./worker.js";

/** Milliseconds from one look for a search, or its log, to the next. */
const LOOK = 200;
/** Times the life of a search's key without one after which it is over: Redis may have begun anew, and its keeper is to write it again. */
const PATIENCE = 3;
/** A member whose workers die goes to the next one, and the next. */
const MOST_STALLS = 1_000_000;
/** Seconds that what a worker has said is kept. */
const DAY = 86_400;

/** How {@link evolveWorker} works. */
export interface EvolveWorkerOptions extends WorkerPlace {
  /** The name of the queue, as the search says it; default "evolve". */
  readonly queue?: string | undefined;
  /** Ends after the first search; default false: waits for the next, until it is aborted. */
  readonly once?: boolean | undefined;
  /** Called as things happen: a search is there, Redis is gone. */
  readonly onNews?: ((news: WorkerNews) => void) | undefined;
}

const NAMES = { threads: true, scratch: true, chatTemplate: true, signal: true, queue: true, once: true, onNews: true } as const;

/** The default of queues' names. */
export const QUEUE = "evolve";

/** The name of a queue, if it is one. @throws BrownianError usage */
export function checkQueue(name: string): string {
  if (/^[\w.-]{1,100}$/.test(checkText("queue", name))) return name;
  throw new BrownianError("usage", `queue must be letters, digits, dots, dashes or underscores, but is ${JSON.stringify(name)}.`);
}

/**
 * Reads members for searches on a Redis (`evolve` with `workers: "redis://..."`), with a base of its own. Resolves when it is aborted, or, with `once`,
 * when a search is over. It does nothing that comes over Redis but read questions: rewards are judged where the search runs.
 *
 * @param url such as redis://localhost:6379
 * @throws BrownianError usage (another base, version, engine, instruction set, thread count or arithmetic than the search's), package-missing (BullMQ,
 * ioredis), endpoint-failed (no Redis); as loadModel
 * @example
 * await evolveWorker("redis://localhost:6379", "model.gguf", { threads: 1, once: true });
 */
export async function evolveWorker(url: string, path: string, options: EvolveWorkerOptions = {}): Promise<void> {
  const { queue = QUEUE, once = false, onNews, signal, ...rest } = checkOptions("evolveWorker", options, NAMES);
  checkText("path", path);
  if (onNews !== undefined) checkFunction("onNews", onNews);
  checkQueue(queue);
  const news = onNews ?? (() => undefined);
  const packages = await loadRedis();
  const redis = await connected(packages, url, news);
  const place: WorkerPlace = { ...rest, signal };
  try {
    news({ worker: "search", state: "waiting", why: `waiting for a search in the queue ${queue}` });
    while (!signal?.aborted) {
      const running = await searchIn(redis, queue, signal);
      if (running === undefined) return;
      await new Serving(packages, redis, url, queue, running).serve(path, place, news);
      if (once) return;
    }
  } finally {
    redis.disconnect();
  }
}

/** The search that is there, as soon as there is one. */
async function searchIn(redis: Redis, queue: string, signal: AbortSignal | undefined): Promise<Running | undefined> {
  while (!signal?.aborted) {
    const text = await raced(redis.get(keysOf(queue).run), signal);
    if (text !== undefined && text !== null) return checkRunning(text);
    await wait(LOOK, undefined, { signal }).catch(() => undefined);
  }
  return undefined;
}

/** What comes, unless the signal does. */
function raced<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T | undefined> {
  if (signal === undefined) return work;
  return new Promise((resolve, reject) => {
    const end = () => resolve(undefined);
    signal.addEventListener("abort", end, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", end));
  });
}

/** One search, from its beginning here to its end. */
class Serving {
  private readonly over = new AbortController();
  private readonly keys: ReturnType<typeof keysOf>;
  private readonly name = `${hostname()} ${process.pid}`;

  constructor(
    private readonly packages: Packages,
    private readonly redis: Redis,
    private readonly url: string,
    private readonly queue: string,
    private readonly running: Running,
  ) {
    this.keys = keysOf(queue, running.run);
  }

  async serve(path: string, place: WorkerPlace, news: (news: WorkerNews) => void): Promise<void> {
    const { running, url, queue } = this;
    let worker: EvolveWorker;
    try {
      worker = await EvolveWorker.open(path, running, place);
    } catch (error) {
      if (error instanceof BrownianError) await this.tell({ worker: this.name, state: "refused", why: error.message });
      throw error;
    }
    const life = Math.ceil(1000 * running.stall);
    const bull = new this.packages.bull.Worker<MemberWork, MemberReading | null>(
      running.run,
      async ({ data }: Job<MemberWork>) =>
        (await worker.read(checkWork(data), (from, to) => this.log(from, to), this.over.signal)) ?? null,
      {
        ...optionsOf(url, queue),
        lockDuration: life,
        stalledInterval: life / 2,
        maxStalledCount: MOST_STALLS,
        drainDelay: 1,
        removeOnComplete: { count: 1000 },
      },
    );
    bull.on("error", () => undefined); // it comes back by itself, or its members go to others
    try {
      await this.tell({ worker: this.name, state: "ready" });
      news({ worker: this.name, state: "ready", why: `reads for the search ${running.run}` });
      await this.end(place.signal);
      news({ worker: this.name, state: "waiting", why: place.signal?.aborted ? "interrupted" : "the search is over" });
      // What it reads is read to its end, if anybody waits for it.
      if (!place.signal?.aborted) this.over.abort();
    } finally {
      await bull.close(this.over.signal.aborted);
      await worker.close();
    }
  }

  private async tell(said: WorkerNews): Promise<void> {
    await this.redis.multi().hset(this.keys.workers, this.name, JSON.stringify(said)).expire(this.keys.workers, DAY).exec();
  }

  /** Resolves when the search is over, or another one is there in its place. */
  private async end(signal: AbortSignal | undefined): Promise<void> {
    const patience = 1000 * PATIENCE * this.running.stall;
    let seen = performance.now();
    while (!signal?.aborted && performance.now() - seen < patience) {
      const [text, over] = (await raced(this.redis.mget(this.keys.run, this.keys.over), signal)) ?? [];
      if (over !== null && over !== undefined) return;
      if (typeof text === "string") {
        if (checkRunning(text).run !== this.running.run) return;
        seen = performance.now();
      }
      await wait(LOOK, undefined, { signal }).catch(() => undefined);
    }
  }

  /** Waits until the log is there. */
  private async log(from: number, to: number): Promise<readonly Ascent[]> {
    for (;;) {
      this.over.signal.throwIfAborted();
      const lines = await this.redis.lrange(this.keys.log, from, to - 1);
      if (lines.length === to - from) return lines.map((line) => JSON.parse(line) as Ascent);
      await wait(LOOK, undefined, { signal: this.over.signal });
    }
  }
}
