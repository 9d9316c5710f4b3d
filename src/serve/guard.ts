// Who may ask: keys, and names under which a server without a key answers.

import { createHash, timingSafeEqual } from "node:crypto";
import type { MiddlewareHandler } from "hono";
import { ApiError } from "./errors.js";

const hash = (text: string): Buffer => createHash("sha256").update(text).digest();

/** Lets those pass who name the key. Compared in constant time: hashes have one length, whatever was sent. */
export function keyGuard(key: string): MiddlewareHandler {
  const expected = hash(key);
  return async (c, next) => {
    const given = /^Bearer (.+)$/i.exec(c.req.header("authorization") ?? "")?.[1];
    if (given === undefined || !timingSafeEqual(hash(given), expected))
      throw new ApiError(401, "The API key is missing or wrong: send the header authorization: Bearer KEY.", {
        code: "invalid_api_key",
        headers: { "www-authenticate": "Bearer" },
      });
    await next();
  };
}

const LOCAL = /^(localhost|127(\.\d+){3}|\[::1\])(:\d+)?$/i;

/** Whether an address is of this machine alone. */
export const isLocal = (host: string): boolean => host === "localhost" || host === "::1" || /^127(\.\d+){3}$/.test(host);

/** A page whose name was made to point to this machine (DNS rebinding) calls it by that name. */
export const localGuard: MiddlewareHandler = async (c, next) => {
  const host = c.req.header("host");
  if (host !== undefined && !LOCAL.test(host))
    throw new ApiError(
      403,
      "Without a key this server answers to localhost and 127.0.0.1 only: start it with --api-key for other names.",
      {
        code: "wrong_host",
      },
    );
  await next();
};
