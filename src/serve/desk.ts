// What all routes have in common: a request is checked, takes its places, is written, and leaves; whoever goes away frees his place at once.

import { setImmediate } from "node:timers/promises";
import type { HttpBindings } from "@hono/node-server";
import type { Context } from "hono";
import type { Defaults } from "./ask.js";
import { ApiError, asApiError } from "./errors.js";
import type { Metrics } from "./metrics.js";
import type { Places } from "./places.js";
import { eventStream, type Send } from "./stream.js";
import type { Answer, Ask, Heard, Task, Writer } from "./writer.js";

export type ServeContext = Context<{ Bindings: HttpBindings }>;

/** What the answers of a server are written with. */
export interface Desk {
  readonly writer: Writer;
  readonly places: Places;
  readonly metrics: Metrics;
  readonly defaults: Defaults;
  /** Raised when the server closes. */
  readonly closing: AbortSignal;
  /** Seconds after which a silent stream says that it is there. */
  readonly quiet: number;
  /** Of errors that nobody foresaw. */
  readonly log: (line: string) => void;
}

/** The body as JSON. @throws ApiError 400 where it is none, 415 where it says that it is none */
export async function jsonOf(c: ServeContext): Promise<unknown> {
  const type = c.req.header("content-type") ?? "";
  // Pages of other sites may send anything but JSON without being asked whether they may.
  if (!/^application\/([\w.+-]+\+)?json\b/i.test(type))
    throw new ApiError(415, "The body must be JSON: send the header content-type: application/json.", {
      code: "unsupported_media_type",
    });
  const bytes = await c.req.arrayBuffer();
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new ApiError(400, "The body is no valid UTF-8.", { code: "invalid_encoding" });
  }
  try {
    return JSON.parse(text);
  } catch {
    throw new ApiError(400, "The body is no valid JSON.", { code: "invalid_json" });
  }
}

/** @throws ApiError 404 for a model that is not here */
export function checkModel(desk: Desk, model: string | undefined): void {
  const { name } = desk.writer;
  if (model === undefined || model === name) return;
  throw new ApiError(404, `There is no model ${JSON.stringify(model.slice(0, 100))} here, but ${JSON.stringify(name)}.`, {
    param: "model",
    code: "model_not_found",
  });
}

/** Work that takes one place, and ends when its client goes away or the server closes. @throws ApiError 429, and what `work` throws */
export async function inPlace<T>(c: ServeContext, desk: Desk, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  if (desk.closing.aborted) throw new ApiError(503, "The server is closing: try another.", { code: "closed" });
  const leave = desk.places.enter(1);
  const began = performance.now();
  const end = new AbortController();
  const outgoing = c.env?.outgoing;
  const goAway = () => {
    if (!outgoing?.writableFinished) end.abort(new ApiError(CLIENT_WENT_AWAY, "The client went away."));
  };
  const close = () => end.abort(desk.closing.reason);
  outgoing?.once("close", goAway);
  desk.closing.addEventListener("abort", close, { once: true });
  if (outgoing?.destroyed) goAway();
  try {
    return await work(end.signal);
  } finally {
    desk.closing.removeEventListener("abort", close);
    leave((performance.now() - began) / 1000);
  }
}

/** As nginx calls it in its log: nobody reads the answer. */
const CLIENT_WENT_AWAY = 499;

let last: Promise<unknown> = Promise.resolve();

/**
 * Waits for a turn of the event loop of one's own: templates and tokenizers take milliseconds, and of many requests that arrive at once no two are to
 * be read without looking up between them.
 */
function turn(): Promise<unknown> {
  last = last.then(() => setImmediate());
  return last;
}

/** A request on its way: its tasks, and what ends them. */
export class Job {
  private readonly end = new AbortController();
  /** Whether the client has gone away. */
  private gone = false;

  private constructor(
    private readonly desk: Desk,
    readonly tasks: readonly Task[],
    private readonly leave: (seconds: number) => void,
  ) {}

  /** Checks what is asked, and takes places. @throws ApiError, BrownianError */
  static async begin(c: ServeContext, desk: Desk, asks: readonly Ask[]): Promise<Job> {
    const tasks: Task[] = [];
    for (const ask of asks) {
      await turn();
      tasks.push(await desk.writer.check(ask));
    }
    if (desk.closing.aborted) throw new ApiError(503, "The server is closing: try another.", { code: "closed" });
    const job = new Job(desk, tasks, desk.places.enter(tasks.length));
    const outgoing = c.env?.outgoing;
    outgoing?.once("close", () => {
      if (!outgoing.writableFinished) job.breakOff();
    });
    if (outgoing?.destroyed) job.breakOff(); // while it was checked
    return job;
  }

  private breakOff(): void {
    this.gone = true;
    this.end.abort();
  }

  /** Tokens that were read, once for all answers. */
  get promptTokens(): number {
    return this.tasks[0]?.tokens.length ?? 0;
  }

  /** Writes all answers. Frees their places whatever happens. @throws the first failure, when the others have ended */
  async write(heard: (answer: number) => Heard): Promise<readonly Answer[]> {
    const { desk, end } = this;
    const { closing, metrics } = desk;
    const began = performance.now();
    const seconds = () => (performance.now() - began) / 1000;
    let failure: { readonly error: unknown } | undefined;
    const fail = (error: unknown) => {
      failure ??= { error };
      end.abort();
    };
    const close = () => end.abort(closing.reason);
    closing.addEventListener("abort", close, { once: true });
    const write = async (task: Task, i: number): Promise<Answer | undefined> => {
      try {
        return await desk.writer.write(task, heard(i), end.signal);
      } catch (error) {
        fail(error);
        return undefined;
      } finally {
        this.leave(seconds());
      }
    };
    const answers = (await Promise.all(this.tasks.map(write))).filter((answer) => answer !== undefined);
    closing.removeEventListener("abort", close);
    if (this.gone) metrics.brokenOff++;
    if (failure !== undefined) throw (failure as { readonly error: unknown }).error;
    metrics.promptTokens += this.promptTokens;
    for (const { tokens } of answers) {
      metrics.writtenTokens += tokens;
      metrics.text(seconds());
    }
    return answers;
  }

  /** All answers in one document. */
  async whole(document: (answers: readonly Answer[]) => unknown): Promise<Response> {
    const answers = await this.write(() => () => {});
    if (answers.some(({ stop }) => stop === "aborted"))
      throw new ApiError(503, "The server closed before the answer was complete.", { code: "closed" });
    return Response.json(document(answers));
  }

  /** Answers as events. An error is the last event: the status was sent long ago. */
  events(work: (send: Send) => Promise<void>): Response {
    const guarded = async (send: Send) => {
      try {
        await work(send);
      } catch (error) {
        if (this.gone) return;
        const told = asApiError(error);
        if (told.status === 500) this.desk.log(String((error as Error).stack ?? error));
        send(told.body);
      }
    };
    return eventStream(guarded, this.desk.quiet, () => this.breakOff());
  }
}

export const usageOf = (prompt: number, answers: readonly Answer[]) => {
  const written = answers.reduce((sum, { tokens }) => sum + tokens, 0);
  const read = answers[0]?.promptTokens ?? prompt;
  return { prompt_tokens: read, completion_tokens: written, total_tokens: read + written };
};
