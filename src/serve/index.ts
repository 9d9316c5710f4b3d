// A server that speaks what clients of language models speak (OpenAI's protocol), in front of a model whose weights move. It listens on this machine
// alone unless it is told a key, or that it may go without.

import { setMaxListeners } from "node:events";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import { createAdaptorServer } from "@hono/node-server";
import { BrownianError, checkInteger, checkNumber } from "../errors.js";
import { createApp } from "./app.js";
import type { Defaults } from "./ask.js";
import type { Desk } from "./desk.js";
import { ApiError } from "./errors.js";
import { isLocal } from "./guard.js";
import { Metrics } from "./metrics.js";
import { Places } from "./places.js";
import type { Writer } from "./writer.js";

export type { Defaults } from "./ask.js";
export { LocalWriter } from "./local.js";
export { UpstreamWriter } from "./upstream.js";
export type { Writer } from "./writer.js";

export interface ServeOptions {
  /** Default 8080; 0: one that is free. */
  readonly port?: number | undefined;
  /** Default 127.0.0.1. Any other needs `apiKey`, or `insecure`. */
  readonly host?: string | undefined;
  readonly apiKey?: string | undefined;
  /** Other machines may ask without a key. */
  readonly insecure?: boolean | undefined;
  /** Sites whose pages may ask; "*" is all; default none. */
  readonly cors?: readonly string[] | undefined;
  /** Texts that may wait; default 64. */
  readonly queue?: number | undefined;
  /** Bytes of a body; default 4 MB. */
  readonly largestBody?: number | undefined;
  /** Seconds that texts under way are given when the server closes; default 10. */
  readonly grace?: number | undefined;
  /** Seconds after which a silent stream says that it is there; default 5. */
  readonly quiet?: number | undefined;
  readonly defaults?: Defaults | undefined;
  /** Told of errors that nobody foresaw; default: stderr. */
  readonly log?: ((line: string) => void) | undefined;
}

/** A server that runs. */
export interface Serving {
  /** Such as http://127.0.0.1:8080. */
  readonly url: string;
  /** Takes no more requests, lets texts under way end or cuts them after `grace`, and closes the model. Idempotent. */
  close(): Promise<void>;
}

const PORT = 8080;
const HOST = "127.0.0.1";
const QUEUE = 64;
const LARGEST_BODY = 4 * 2 ** 20;
const GRACE = 10; // seconds
const QUIET = 5; // seconds

/** What a server is opened with, checked: before a model is loaded for it. @throws BrownianError usage */
export function checkServe(options: ServeOptions) {
  const { host = HOST, apiKey, insecure = false } = options;
  const port = checkInteger("port", options.port ?? PORT, 0, 65535);
  if (apiKey !== undefined && !/^[\x21-\x7e]+$/.test(apiKey))
    throw new BrownianError("usage", "The API key must be of printable ASCII without spaces, and not empty.");
  if (!isLocal(host) && apiKey === undefined && !insecure)
    throw new BrownianError(
      "usage",
      `Whoever reaches ${host} could ask: give an API key (--api-key), or say that it may go without (--insecure).`,
    );
  return {
    host,
    port,
    apiKey,
    insecure,
    grace: checkNumber("grace", options.grace ?? GRACE, 0, 86_400),
    queue: checkInteger("queue", options.queue ?? QUEUE, 0, 100_000),
    largestBody: checkInteger("largestBody", options.largestBody ?? LARGEST_BODY, 1024),
  };
}

/** Serves what `writer` writes, which is closed with the server. @throws BrownianError usage, also for a port that is taken */
export async function serve(writer: Writer, options: ServeOptions = {}): Promise<Serving> {
  const { host, port, apiKey, insecure, grace, queue, largestBody } = checkServe(options);
  const closing = new AbortController();
  setMaxListeners(0, closing.signal); // every text under way listens
  const desk: Desk = {
    writer,
    places: new Places(writer.parallel, queue),
    metrics: new Metrics(),
    defaults: options.defaults ?? {},
    closing: closing.signal,
    quiet: options.quiet ?? QUIET,
    log: options.log ?? ((line) => process.stderr.write(`${line}\n`)),
  };
  const app = createApp(desk, {
    apiKey,
    localOnly: apiKey === undefined && !insecure,
    cors: options.cors ?? [],
    largestBody,
  });
  const server = createAdaptorServer({ fetch: app.fetch }) as Server;
  server.on("clientError", refuseNonsense);
  let stopping = false;
  server.prependListener("request", (_: IncomingMessage, response: ServerResponse) => {
    if (stopping) response.setHeader("connection", "close");
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      const why = error.code === "EADDRINUSE" ? "it is taken: choose another (--port)" : error.message;
      reject(new BrownianError("usage", `The server cannot listen on ${host}, port ${port}: ${why}.`, { cause: error }));
    });
    server.listen(port, host, resolve);
  });
  const { address, port: actual, family } = server.address() as AddressInfo;
  const close = async () => {
    stopping = true;
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    server.closeIdleConnections();
    let timer: NodeJS.Timeout | undefined;
    await Promise.race([desk.places.empty(), new Promise<void>((resolve) => (timer = setTimeout(resolve, grace * 1000)))]);
    clearTimeout(timer);
    closing.abort(new BrownianError("closed", "The server closed."));
    await desk.places.empty();
    // Answers that are complete are on their way to those who read them.
    setTimeout(() => server.closeAllConnections(), LAST_BYTES).unref();
    await closed;
    await writer.close();
  };
  let closed: Promise<void> | undefined;
  return {
    url: `http://${family === "IPv6" ? `[${address}]` : address}:${actual}`,
    close: () => (closed ??= close()),
  };
}

/** Milliseconds in which the last answers reach their readers. */
const LAST_BYTES = 500;

/** What is no HTTP, in the shape of all other errors. */
function refuseNonsense(error: NodeJS.ErrnoException, socket: Duplex): void {
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  const [status, why] =
    error.code === "HPE_HEADER_OVERFLOW"
      ? ([431, "The headers are too long."] as const)
      : ([400, "This is no HTTP request."] as const);
  const body = JSON.stringify(new ApiError(status, why, { code: "bad_request" }).body);
  const words = status === 431 ? "Request Header Fields Too Large" : "Bad Request";
  socket.end(
    `HTTP/1.1 ${status} ${words}\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
  );
}
