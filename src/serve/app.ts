// The routes, and what stands before them. What a request names is looked up in tables: nothing of it ever becomes a path of a file.

import type { HttpBindings } from "@hono/node-server";
import { Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import { cors } from "hono/cors";
import { chatCompletions } from "./chat-completions.js";
import { completions } from "./completions.js";
import type { Desk, ServeContext } from "./desk.js";
import { embeddings } from "./embeddings.js";
import { ApiError, asApiError } from "./errors.js";
import { keyGuard, localGuard } from "./guard.js";
import { pageFiles } from "./page.js";
import { responses } from "./responses.js";

export interface Doors {
  /** Who does not name it is refused. */
  readonly apiKey?: string | undefined;
  /** Whether only those who call this machine by a name of its own are answered. */
  readonly localOnly: boolean;
  /** Sites whose pages may ask; "*" is all. */
  readonly cors: readonly string[];
  /** Bytes of a body. */
  readonly largestBody: number;
}

type Route = (c: ServeContext, desk: Desk) => Promise<Response> | Response;

const models: Route = (_, { writer }) => Response.json({ object: "list", data: [cardOf(writer.name, writer.contextSize)] });

const model: Route = (c, { writer }) => {
  if (c.req.param("name") === writer.name) return Response.json(cardOf(writer.name, writer.contextSize));
  throw new ApiError(404, `There is no such model here, but ${JSON.stringify(writer.name)}.`, {
    param: "model",
    code: "model_not_found",
  });
};

const started = Math.floor(Date.now() / 1000);
const cardOf = (id: string, contextSize: number) => ({
  id,
  object: "model",
  created: started,
  owned_by: "brownian",
  context_size: contextSize,
});

const health: Route = (_, { places, closing }) => {
  const status = closing.aborted ? "closing" : "ok";
  return Response.json({ status, running: places.running, waiting: places.waiting }, { status: closing.aborted ? 503 : 200 });
};

const metrics: Route = (_, desk) =>
  new Response(desk.metrics.print(desk.places, desk.writer.memory?.()), {
    headers: { "content-type": "text/plain; version=0.0.4; charset=utf-8" },
  });

/** The whole surface. /health is for those who watch whether the server lives, and tells no secrets. */
const ROUTES: readonly (readonly [method: "GET" | "POST", path: string, route: Route, open?: "open"])[] = [
  ["GET", "/health", health, "open"],
  ["GET", "/metrics", metrics],
  ["GET", "/v1/models", models],
  ["GET", "/v1/models/:name", model],
  ["POST", "/v1/chat/completions", chatCompletions],
  ["POST", "/v1/completions", completions],
  ["POST", "/v1/responses", responses],
  ["POST", "/v1/embeddings", embeddings],
];

/** What the page consists of; open, since it asks for the key itself. */
const PAGE: typeof ROUTES = [...pageFiles()].map(([path, file]) => ["GET", path, file, "open"]);

const SURFACE = ROUTES.map(([method, path]) => `${method} ${path}`).join(", ");

/** The server as a function from requests to responses. */
export function createApp(desk: Desk, doors: Doors): Hono<{ Bindings: HttpBindings }> {
  const app = new Hono<{ Bindings: HttpBindings }>();
  app.use(async (c, next) => {
    await next();
    const known = ROUTES.find(([, path]) => path === c.req.routePath) ?? ROUTES.find(([, path]) => path === c.req.path);
    desk.metrics.request(known?.[1] ?? "other", c.res.status);
  });
  if (doors.cors.length > 0) app.use(cors({ origin: doors.cors.includes("*") ? "*" : [...doors.cors], maxAge: 600 }));
  if (doors.localOnly) app.use(localGuard);
  const keyed = doors.apiKey === undefined ? undefined : keyGuard(doors.apiKey);
  const limit = bodyLimit({
    maxSize: doors.largestBody,
    onError: () => {
      throw new ApiError(413, `The body has more than ${doors.largestBody} bytes, which is more than this server takes.`, {
        code: "body_too_large",
      });
    },
  });
  for (const [method, path, route, open] of [...ROUTES, ...PAGE]) {
    const guards = [...(keyed && open === undefined ? [keyed] : []), ...(method === "POST" ? [limit] : [])];
    app.on([method], [path], ...guards, (c) => route(c, desk));
  }
  app.all("*", (c) => {
    const allowed = [...ROUTES, ...PAGE].filter(([, path]) => path === c.req.path).map(([method]) => method);
    if (allowed.length > 0)
      throw new ApiError(405, `${c.req.path} takes ${allowed.join(", ")}.`, {
        code: "method_not_allowed",
        headers: { allow: allowed.join(", ") },
      });
    throw new ApiError(404, `This server has no ${c.req.method} ${c.req.path.slice(0, 200)}, but ${SURFACE}.`, {
      code: "unknown_url",
    });
  });
  app.onError((error) => {
    const told = asApiError(error);
    if (told.status === 500) desk.log(String(error.stack ?? error));
    return told.response;
  });
  return app;
}
