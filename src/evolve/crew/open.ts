// Which crew a search is to have, and how it comes together: what all readers have to know of it is written down once, here.

import { randomUUID } from "node:crypto";
import { BrownianError, checkInteger, checkNumber } from "../../errors.js";
import type { FileIdentity } from "../../files/identity.js";
import type { Prompt } from "../../llama/index.js";
import type { Session } from "../../llama/session.js";
import type { EvolveOptions, Search } from "../options.js";
import { isLikelihood } from "../rewards.js";
import type { Crew, Running } from "./crew.js";
import { hashOf, namesOf, probeOf, sumsOf, threadsFor } from "./machine.js";
import { Processes } from "./processes.js";
import { RedisCrew } from "./redis.js";
import { shownUrl } from "./redis-connection.js";
import { checkQueue, QUEUE } from "./redis-worker.js";

/** Child processes, at most. */
const MOST_WORKERS = 64;
/** Seconds. */
const STALL = 30;

/** Who is to read, checked. */
export interface CheckedCrew {
  readonly workers: number | string;
  readonly queue: string;
  readonly stall: number;
  /** Engine threads of each, and of the search itself. */
  readonly threads: number;
}

/** How the model was loaded, for others to do the same. */
export interface Loading {
  readonly path: string;
  readonly contextSize: number;
  readonly parallel: number;
  readonly scratch?: string | undefined;
  readonly chatTemplate?: string | undefined;
}

/** What the search is. */
export interface Told {
  readonly search: Search;
  readonly base: FileIdentity;
  /** Of the text that has nothing to do with the task. */
  readonly windows: readonly (readonly number[])[];
  /** A prompt, whose tokens tell machines apart. */
  readonly first: Prompt;
}

/** Undefined where the search reads alone. @throws BrownianError usage */
export function checkCrew({ workers, queue, stall, threads }: EvolveOptions): CheckedCrew | undefined {
  const others = { queue: checkQueue(queue ?? QUEUE), stall: checkNumber("stall", stall ?? STALL, 0.1, 3600) };
  if (workers === undefined) {
    if (queue === undefined && stall === undefined) return undefined;
    throw new BrownianError("usage", "queue and stall are for workers: give workers, too.");
  }
  if (threads !== undefined) checkInteger("threads", threads, 1);
  if (typeof workers === "string") {
    shownUrl(workers);
    return { workers, ...others, threads: threadsFor(threads, 1) };
  }
  checkInteger("workers", workers, 1, MOST_WORKERS);
  return { workers, ...others, threads: threadsFor(threads, workers) };
}

/**
 * Brings the crew together. The weights are the base's still.
 * @throws BrownianError package-missing, endpoint-failed, engine-missing
 */
export async function openCrew(
  session: Session,
  { search, base, windows, first }: Told,
  { path, contextSize, parallel, scratch, chatTemplate }: Loading,
  { workers, queue, stall, threads }: CheckedCrew,
  { onWorker, signal }: EvolveOptions,
): Promise<Crew> {
  const probe = probeOf(session.promptTokens(first));
  const running: Running = {
    run: randomUUID(),
    base,
    moves: search.head(base).moves,
    machine: { ...(await namesOf(threads)), sums: await sumsOf(session, probe) },
    reads: {
      kind: isLikelihood(search.reward) ? search.reward : "texts",
      maxTokens: search.maxTokens,
      contextSize,
      parallel,
      windows: search.kl > 0 ? windows : [],
      chatTemplate: hashOf(chatTemplate),
      probe,
    },
    stall,
  };
  const news = onWorker ?? (() => undefined);
  return typeof workers === "number"
    ? new Processes(workers, { path, running, place: { scratch, chatTemplate } }, news)
    : RedisCrew.open(workers, queue, running, news, signal);
}
