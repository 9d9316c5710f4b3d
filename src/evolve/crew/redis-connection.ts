// Redis, its keys, and the packages that speak with it: BullMQ and ioredis are optional peers, loaded when they are needed.

import type * as Bull from "bullmq";
import type { Redis } from "ioredis";
import { BrownianError, checkText } from "../../errors.js";
import type { WorkerNews } from "./crew.js";

export interface Packages {
  readonly bull: typeof Bull;
  readonly Redis: typeof Redis;
}

/** Seconds that a Redis may take to answer at the beginning. */
const FIRST_ANSWER = 3;
/** Milliseconds from one try to the next where it is gone. */
const AGAIN = 500;

/** @throws BrownianError package-missing, with what to install */
export async function loadRedis(): Promise<Packages> {
  try {
    const [bull, { Redis }] = await Promise.all([import("bullmq"), import("ioredis")]);
    return { bull, Redis };
  } catch (cause) {
    throw new BrownianError(
      "package-missing",
      `Workers on Redis need BullMQ and ioredis, which are not installed or do not load here: npm install bullmq ioredis. (${(cause as Error).message.split("\n")[0]})`,
      { cause },
    );
  }
}

/** An address as it may be shown: without its password. @throws BrownianError usage where it is none of a Redis */
export function shownUrl(url: string): string {
  checkText("The address of Redis", url);
  if (!URL.canParse(url) || !/^rediss?:$/.test(new URL(url).protocol))
    throw new BrownianError("usage", "The address of Redis must be like redis://localhost:6379 (or rediss:// with TLS).");
  const { protocol, host, pathname } = new URL(url);
  return `${protocol}//${host}${pathname}`;
}

/** A connection that comes back by itself, once it was there. @throws BrownianError usage; endpoint-failed where none answers at first */
export async function connected({ Redis }: Packages, url: string, news: (news: WorkerNews) => void): Promise<Redis> {
  const shown = shownUrl(url);
  const redis = new Redis(url, { maxRetriesPerRequest: null, retryStrategy: () => AGAIN, lazyConnect: true });
  let last = "";
  let late: NodeJS.Timeout | undefined;
  redis.on("error", (error: Error) => (last = error.message));
  try {
    await Promise.race([
      redis.ping(),
      new Promise((_, reject) => (late = setTimeout(() => reject(new Error(last)), 1000 * FIRST_ANSWER))),
    ]);
  } catch (cause) {
    redis.disconnect();
    const why = last || (cause as Error).message;
    throw new BrownianError("endpoint-failed", `No Redis answers at ${shown}${why === "" ? "" : ` (${why})`}: start it there.`, {
      cause,
    });
  } finally {
    clearTimeout(late);
  }
  redis.on("close", () => news({ worker: shown, state: "waiting", why: `${shown} is gone: waiting for it` }));
  redis.on("ready", () => news({ worker: shown, state: "ready" }));
  return redis;
}

/** How BullMQ's parts are opened: each with connections of its own. */
export const optionsOf = (url: string, name: string) => ({
  connection: { url, maxRetriesPerRequest: null, retryStrategy: () => AGAIN },
  prefix: `brownian:${name}`,
});

/** Our own keys: the search that is there, the one that was there last, and, of each, its log, its workers, and that it is over. */
export const keysOf = (name: string, run = "") => ({
  run: `brownian:${name}:search`,
  last: `brownian:${name}:last`,
  log: `brownian:${name}:${run}:log`,
  workers: `brownian:${name}:${run}:workers`,
  over: `brownian:${name}:${run}:over`,
});
