// What a request is refused with: errors in the shape of OpenAI's protocol, for the people who read them.

import { BrownianError, type ErrorCode } from "../errors.js";

/** How an error is told in OpenAI's protocol. */
export interface ErrorBody {
  readonly error: {
    readonly message: string;
    readonly type: string;
    readonly param: string | null;
    readonly code: string | null;
  };
}

interface More {
  /** The field that is wrong. */
  readonly param?: string | undefined;
  readonly code?: string | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
}

const TYPES: Readonly<Record<number, string>> = {
  401: "authentication_error",
  403: "permission_error",
  429: "rate_limit_error",
  500: "server_error",
  503: "server_error",
};

/** A refusal with its HTTP status. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly more: More = {},
  ) {
    super(message);
  }

  get body(): ErrorBody {
    const { param = null, code = null } = this.more;
    return { error: { message: this.message, type: TYPES[this.status] ?? "invalid_request_error", param, code } };
  }

  get response(): Response {
    return Response.json(this.body, { status: this.status, headers: { ...this.more.headers } });
  }
}

/** What the caller can mend by another request. */
const MENDABLE: readonly ErrorCode[] = ["usage", "not-live", "no-such-tensor", "unsupported-type"];

/** Any error as what a client is told. Of an unforeseen one not even the message: it may name paths. */
export function asApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  if (!(error instanceof BrownianError)) return new ApiError(500, "The server failed; its log says why.", { code: "internal" });
  if (MENDABLE.includes(error.code)) return new ApiError(400, error.message, { code: error.code });
  if (error.code === "closed") return new ApiError(503, "The server is closing: try another.", { code: error.code });
  return new ApiError(500, error.message, { code: error.code });
}
