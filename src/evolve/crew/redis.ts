// Readers elsewhere, by way of Redis (or Valkey): BullMQ gives out members, takes them back from workers that are silent, and keeps one answer of
// each. Beside its queue lie what the search is (a key that its keeper writes again and again, and that expires with it) and the log. Nothing of this
// need outlast a restart of Redis: the keeper writes what is missing again.

import type { Job, Queue, QueueEvents } from "bullmq";
import type { Redis } from "ioredis";
import { BrownianError } from "../../errors.js";
import type { Ascent } from "../codes.js";
import { type Crew, type MemberReading, type MemberWork, MOST_FAILURES, type Running, type WorkerNews } from "./crew.js";
import { connected, keysOf, loadRedis, optionsOf, type Packages } from "./redis-connection.js";

/** A sign of life of the search, and a look at what has come, so often in the time after which workers count as gone. */
const SIGNS = 5;
/** Of logs of searches that were killed, seconds. */
const LOG_LIFE = 86_400;
/** How long to wait for Redis when all is over, milliseconds. */
const LAST_MOMENTS = 3000;

interface Wanted {
  readonly work: MemberWork;
  failures: number;
  readonly resolve: (reading: MemberReading) => void;
  readonly reject: (error: unknown) => void;
}

export class RedisCrew implements Crew {
  /**
   * Takes the place `name` on this Redis; where another search has it, waits until that one is over or dead.
   * @throws BrownianError package-missing; endpoint-failed where no Redis answers; the signal's reason
   */
  static async open(
    url: string,
    name: string,
    running: Running,
    news: (news: WorkerNews) => void,
    signal?: AbortSignal,
  ): Promise<RedisCrew> {
    const packages = await loadRedis();
    const redis = await connected(packages, url, news);
    try {
      const keys = keysOf(name, running.run);
      const life = Math.ceil(1000 * running.stall);
      for (let waited = false; ; waited = true) {
        if ((await redis.set(keys.run, JSON.stringify(running), "PX", life, "NX")) === "OK") break;
        if (!waited) news({ worker: "search", state: "waiting", why: `another search has the queue ${name}: waiting for it` });
        await new Promise((resolve) => setTimeout(resolve, life / SIGNS));
        signal?.throwIfAborted();
      }
      const former = new packages.bull.Queue((await redis.getset(keys.last, running.run)) ?? running.run, optionsOf(url, name));
      await former.obliterate({ force: true }).catch(() => undefined); // what a search that was killed has left
      await former.close();
      return new RedisCrew(packages, redis, optionsOf(url, name), keys, { running, news });
    } catch (error) {
      redis.disconnect();
      throw error;
    }
  }

  private readonly queue: Queue;
  private readonly events: QueueEvents;
  private readonly running: Running;
  private readonly news: (news: WorkerNews) => void;
  private readonly log: string[] = [];
  private readonly wanted = new Map<string, Wanted>();
  private readonly told = new Map<string, string>();
  private readonly timer: NodeJS.Timeout;
  private looking: Promise<void> | undefined;
  private again = false;

  private constructor(
    { bull }: Packages,
    private readonly redis: Redis,
    options: ReturnType<typeof optionsOf>,
    private readonly keys: ReturnType<typeof keysOf>,
    { running, news }: { readonly running: Running; readonly news: (news: WorkerNews) => void },
  ) {
    this.running = running;
    this.news = news;
    this.queue = new bull.Queue(running.run, options);
    this.events = new bull.QueueEvents(running.run, options);
    // Connections come back by themselves; what was lost meanwhile is seen at the next look.
    this.queue.on("error", () => undefined);
    this.events.on("error", () => undefined);
    this.events.on("completed", ({ jobId, returnvalue }) => this.take(jobId, returnvalue));
    this.events.on("failed", () => this.look());
    this.timer = setInterval(() => this.look(), (1000 * running.stall) / SIGNS);
  }

  went(ascent: Ascent): void {
    this.log.push(JSON.stringify(ascent));
  }

  async read(work: readonly MemberWork[], signal?: AbortSignal): Promise<readonly MemberReading[]> {
    signal?.throwIfAborted();
    const readings = work.map(
      (one, i) =>
        new Promise<MemberReading>((resolve, reject) => {
          this.wanted.set(`g${one.generation}m${i}`, { work: one, failures: 0, resolve, reject });
        }),
    );
    const abort = () => this.fail(signal?.reason);
    signal?.addEventListener("abort", abort, { once: true });
    try {
      this.look();
      return await Promise.all(readings);
    } finally {
      signal?.removeEventListener("abort", abort);
    }
  }

  async close(): Promise<void> {
    clearInterval(this.timer);
    const leave = async () => {
      await this.looking;
      await this.redis.set(this.keys.over, 1, "EX", LOG_LIFE);
      await this.redis.del(this.keys.run, this.keys.log, this.keys.workers);
      await this.queue.obliterate({ force: true });
      await this.events.close();
      await this.queue.close();
    };
    let late: NodeJS.Timeout | undefined;
    await Promise.race([leave().catch(() => undefined), new Promise((resolve) => (late = setTimeout(resolve, LAST_MOMENTS)))]);
    clearTimeout(late);
    this.redis.disconnect();
    await this.events.disconnect().catch(() => undefined);
  }

  private fail(error: unknown): void {
    for (const { reject } of this.wanted.values()) reject(error);
    this.wanted.clear();
  }

  private take(id: string, value: unknown): void {
    const wanted = this.wanted.get(id);
    const reading = typeof value === "string" ? (JSON.parse(value) as MemberReading | null) : (value as MemberReading | null);
    if (wanted === undefined || reading === null || reading === undefined) return;
    this.wanted.delete(id);
    wanted.resolve(reading);
  }

  /** One look at a time; a Redis that is not there lets it wait. */
  private look(): void {
    this.again = this.looking !== undefined;
    this.looking ??= this.looked()
      .catch(() => undefined)
      .finally(() => {
        this.looking = undefined;
        if (this.again) this.look();
      });
  }

  /** Writes what is missing in Redis, and takes what has come. */
  private async looked(): Promise<void> {
    const { redis, keys, running } = this;
    await redis.set(keys.run, JSON.stringify(running), "PX", Math.ceil(1000 * running.stall));
    const length = await redis.llen(keys.log);
    if (length < this.log.length) {
      const rest = this.log.slice(length);
      await redis
        .multi()
        .rpush(keys.log, ...rest)
        .expire(keys.log, LOG_LIFE)
        .exec();
    }
    const ids = [...this.wanted.keys()];
    const jobs = await Promise.all(ids.map((id) => this.queue.getJob(id)));
    await this.put(ids.filter((_, i) => jobs[i] === undefined));
    for (const job of jobs) if (job !== undefined) await this.settle(job as Job);
    for (const [worker, text] of Object.entries(await redis.hgetall(keys.workers))) {
      if (this.told.get(worker) === text) continue;
      this.told.set(worker, text);
      this.news(JSON.parse(text) as WorkerNews);
    }
  }

  private async put(ids: readonly string[]): Promise<void> {
    const jobs = ids.flatMap((id) => {
      const wanted = this.wanted.get(id);
      return wanted === undefined ? [] : [{ name: "member", data: wanted.work, opts: { jobId: id } }];
    });
    if (jobs.length > 0) await this.queue.addBulk(jobs);
  }

  /** Takes what the events have not told of. */
  private async settle(job: Job): Promise<void> {
    const id = String(job.id);
    if (job.finishedOn === undefined) return;
    const wanted = this.wanted.get(id);
    if (wanted === undefined) return;
    if (job.failedReason === undefined) {
      this.take(id, job.returnvalue);
      // A worker that was ahead of the search thought that nobody waited.
      if (this.wanted.has(id)) await job.remove();
      return;
    }
    wanted.failures++;
    if (wanted.failures < MOST_FAILURES) await job.remove();
    else {
      this.wanted.delete(id);
      wanted.reject(
        new BrownianError("engine-failed", `A member failed on ${MOST_FAILURES} workers in turn: ${job.failedReason}`),
      );
    }
  }
}
