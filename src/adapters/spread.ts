// Work for several servers: each does some of it at a time, tries again where that may help, and leaves what it cannot do to the others. Ends as soon
// as all is done, something is refused, or no server is left.

import { setMaxListeners } from "node:events";
import { setTimeout as wait } from "node:timers/promises";
import { BrownianError } from "../errors.js";
import { ServerError } from "./servers/index.js";

export interface SpreadOptions<Place = unknown> {
  /** Tasks of one server at a time. */
  readonly concurrency: number;
  /** Times that a task is tried again on one server before that counts as gone. */
  readonly retries: number | ((place: Place) => number);
  /** Seconds before the first of these; doubled each time. */
  readonly pause: number;
  readonly signal?: AbortSignal | undefined;
}

/** What became of a server. */
export interface ServerWork<Place> {
  readonly place: Place;
  /** Tasks that it did. */
  done: number;
  /** Tries that failed. */
  failures: number;
  /** Why it was given no more. */
  gone?: ServerError;
}

const LONGEST_PAUSE = 30; // seconds

/**
 * Does every task at one of the places; resolves to the results in the order of tasks.
 * @throws BrownianError endpoint-failed where all places are gone; what `work` throws that trying again does not help
 */
export async function spread<Task, Place, Result>(
  tasks: readonly Task[],
  places: readonly Place[],
  work: (place: Place, task: Task, signal: AbortSignal) => Promise<Result>,
  options: SpreadOptions<Place>,
): Promise<{ readonly results: readonly Result[]; readonly servers: readonly ServerWork<Place>[] }> {
  const { concurrency, retries, pause, signal } = options;
  const end = new AbortController();
  const whole = signal === undefined ? end.signal : AbortSignal.any([end.signal, signal]);
  const retriesAt = typeof retries === "function" ? retries : () => retries;
  const waiting = [...tasks.keys()];
  const results = new Array<Result>(tasks.length);
  const servers: ServerWork<Place>[] = places.map((place) => ({ place, done: 0, failures: 0 }));
  let left = tasks.length;
  /** Called when something is to be done again, or all is done. */
  let wake: (() => void)[] = [];
  const ring = () => {
    for (const call of wake.splice(0)) call();
  };
  setMaxListeners(0, whole); // as many as there is work and pauses under way
  whole.addEventListener("abort", ring, { once: true });

  const attempt = async (server: ServerWork<Place>, number: number): Promise<void> => {
    for (let tried = 0; ; tried++) {
      try {
        results[number] = await work(server.place, tasks[number] as Task, whole);
        server.done++;
        if (--left === 0) ring();
        return;
      } catch (error) {
        whole.throwIfAborted();
        if (!(error instanceof ServerError) || !error.transient) throw error;
        server.failures++;
        if (tried >= retriesAt(server.place) || server.gone !== undefined) {
          server.gone ??= error;
          waiting.push(number);
          ring();
          return;
        }
        const seconds = Math.min(LONGEST_PAUSE, error.after ?? pause * 2 ** tried);
        await wait(seconds * 1000, undefined, { signal: whole }).catch(() => whole.throwIfAborted());
      }
    }
  };
  const serve = async (server: ServerWork<Place>): Promise<void> => {
    while (left > 0 && server.gone === undefined) {
      whole.throwIfAborted();
      const number = waiting.shift();
      if (number !== undefined) await attempt(server, number);
      // What others have under way may come back.
      else await new Promise<void>((resolve) => wake.push(resolve));
    }
    if (servers.every(({ gone }) => gone !== undefined)) ring();
  };
  try {
    await Promise.all(servers.flatMap((server) => Array.from({ length: concurrency }, () => serve(server))));
  } catch (error) {
    end.abort(error);
    signal?.throwIfAborted();
    throw error;
  } finally {
    wake = [];
  }
  signal?.throwIfAborted();
  if (left > 0) {
    const why = servers.map(({ gone }) => gone?.message).join(" ");
    throw new BrownianError("endpoint-failed", `No endpoint is left, and ${left} of ${tasks.length} answers are missing. ${why}`);
  }
  return { results, servers };
}
