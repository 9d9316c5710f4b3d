// One server, asked over HTTP: bodies are JSON, answers have a deadline, and what goes wrong is told apart: the server is gone, it is busy, or it
// refuses what was asked.

import { setTimeout as wait } from "node:timers/promises";
import { BrownianError } from "../../errors.js";

/** Why a server did not do what was asked. */
export class ServerError extends BrownianError {
  constructor(
    message: string,
    /** Of HTTP; undefined where there was no answer. */
    readonly status: number | undefined,
    /** Seconds after which it may be asked again, where it said so. */
    readonly after?: number | undefined,
    cause?: unknown,
  ) {
    super("endpoint-failed", message, { cause });
  }

  /** To ask again may help: no answer, too many requests, or a fault of the server's. */
  get transient(): boolean {
    return this.status === undefined || this.status === 429 || this.status >= 500;
  }
}

export interface ServerOptions {
  /** Sent as a bearer token. */
  readonly apiKey?: string | undefined;
  /** Seconds that one request may take. */
  readonly deadline: number;
}

/** Bytes of an answer, at most. */
const LARGEST = 64 * 2 ** 20;
const SHOWN = 200;
const TOO_MANY = 429;
const UNAVAILABLE = 503;
const LOADING = /loading model/i;
/** Milliseconds until a server that is loading its model is asked again. */
const LOADING_PAUSE = 250;
/** What an answer of another shape counts as: a fault of the server's. */
export const STRANGE = 502;

export class Server {
  /** Without a slash at the end. */
  readonly url: string;

  /** @throws BrownianError usage for what is no HTTP address */
  constructor(
    url: string,
    private readonly options: ServerOptions,
  ) {
    const parsed = URL.canParse(url) ? new URL(url) : undefined;
    if (parsed === undefined || !/^https?:$/.test(parsed.protocol))
      throw new BrownianError("usage", `An endpoint is the address of a server, such as http://localhost:8080, but is ${url}.`);
    this.url = url.replace(/\/+$/, "").replace(/\/v1$/, "");
  }

  get(path: string, signal?: AbortSignal): Promise<unknown> {
    return this.json(path, undefined, signal);
  }

  post(path: string, body: object, signal?: AbortSignal): Promise<unknown> {
    return this.json(path, body, signal);
  }

  /** What the server says; undefined where it knows no such path. @throws ServerError otherwise */
  async find(path: string, signal?: AbortSignal): Promise<unknown> {
    try {
      return await this.get(path, signal);
    } catch (error) {
      if (error instanceof ServerError && error.status !== undefined && error.status !== 401 && error.status < 500)
        return undefined;
      throw error;
    }
  }

  private async json(path: string, body: object | undefined, signal: AbortSignal | undefined): Promise<unknown> {
    const { response, text } = await this.loaded(path, body, signal);
    if (!response.ok) throw this.refused(path, response, text);
    try {
      return JSON.parse(text);
    } catch (cause) {
      // vLLM says in words that it has loaded something.
      if (!response.headers.get("content-type")?.includes("json")) return text;
      throw new ServerError(`${this.url}${path} answers what is no JSON: ${shown(text)}`, STRANGE, undefined, cause);
    }
  }

  /** An answer, once the server has its model: until then llama-server answers that it is loading, which may take up to the deadline. */
  private async loaded(path: string, body: object | undefined, signal: AbortSignal | undefined) {
    const end = performance.now() + this.options.deadline * 1000;
    for (;;) {
      const response = await this.open(path, body, signal);
      const text = await this.text(response, signal);
      const loading = response.status === UNAVAILABLE && LOADING.test(text);
      if (!loading || performance.now() + LOADING_PAUSE > end) return { response, text };
      await wait(LOADING_PAUSE, undefined, { signal }).catch(() => signal?.throwIfAborted());
    }
  }

  /** The answer to a request, as it comes. @throws ServerError where there is none in time; the signal's reason */
  async open(path: string, body: object | undefined, signal: AbortSignal | undefined): Promise<Response> {
    signal?.throwIfAborted();
    const { apiKey, deadline } = this.options;
    const end = AbortSignal.timeout(deadline * 1000);
    try {
      return await fetch(`${this.url}${path}`, {
        method: body === undefined ? "GET" : "POST",
        headers: {
          accept: "application/json",
          ...(body !== undefined && { "content-type": "application/json" }),
          ...(apiKey !== undefined && { authorization: `Bearer ${apiKey}` }),
        },
        ...(body !== undefined && { body: JSON.stringify(body) }),
        signal: signal === undefined ? end : AbortSignal.any([end, signal]),
      });
    } catch (error) {
      throw this.silent(error, signal);
    }
  }

  /** The data of the events of an answer, as they come. @throws ServerError; the signal's reason */
  async *events(path: string, body: object, signal?: AbortSignal): AsyncGenerator<unknown> {
    const response = await this.open(path, body, signal);
    if (!response.ok) throw this.refused(path, response, await this.text(response, signal));
    const decoder = new TextDecoder();
    let waiting = "";
    try {
      for await (const part of response.body ?? []) {
        const lines = (waiting + decoder.decode(part, { stream: true })).split(/\r?\n/);
        waiting = lines.pop() ?? "";
        if (waiting.length > LARGEST)
          throw new ServerError(`${this.url} answers with a line of more than ${LARGEST} bytes.`, STRANGE);
        for (const line of lines) if (/^data:\s*\{/.test(line)) yield JSON.parse(line.slice("data:".length));
      }
    } catch (error) {
      if (error instanceof SyntaxError)
        throw new ServerError(`${this.url}${path} streams what is no JSON.`, STRANGE, undefined, error);
      throw error instanceof ServerError ? error : this.silent(error, signal);
    }
  }

  private async text(response: Response, signal: AbortSignal | undefined): Promise<string> {
    try {
      const parts: Uint8Array[] = [];
      let bytes = 0;
      for await (const part of response.body ?? []) {
        bytes += part.length;
        if (bytes > LARGEST) throw new ServerError(`${this.url} answers with more than ${LARGEST} bytes.`, response.status);
        parts.push(part);
      }
      return Buffer.concat(parts).toString();
    } catch (error) {
      throw error instanceof ServerError ? error : this.silent(error, signal);
    }
  }

  /** What is thrown where there is no answer. */
  silent(error: unknown, signal: AbortSignal | undefined): unknown {
    if (signal?.aborted) return signal.reason;
    const { name, cause, message } = error as Error & { cause?: Error & { code?: string } };
    const late = name === "TimeoutError";
    const why = late ? `not within ${this.options.deadline} s` : (cause?.code ?? cause?.message ?? message);
    return new ServerError(`${this.url} does not answer: ${why}.`, undefined, undefined, error);
  }

  /** What is thrown where the answer is a refusal. */
  refused(path: string, { status, headers }: Response, text: string): ServerError {
    const after = Number(headers.get("retry-after") ?? Number.NaN);
    const busy = status === TOO_MANY && Number.isFinite(after) ? after : undefined;
    return new ServerError(`${this.url}${path} refuses (HTTP ${status}): ${shown(reasonIn(text))}`, status, busy);
  }
}

/** What a body says went wrong, in the shapes that servers have for it. */
function reasonIn(text: string): string {
  try {
    const { error, detail, message, error_message } = JSON.parse(text) as Record<string, unknown>;
    const inner = (error as { message?: unknown } | undefined)?.message ?? error ?? detail ?? error_message ?? message;
    return typeof inner === "string" ? inner : text;
  } catch {
    return text;
  }
}

const shown = (text: string): string => (text.length > SHOWN ? `${text.slice(0, SHOWN)}...` : text || "it gives no reason.");
