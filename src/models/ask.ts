// Requests to servers of models, with refusals in words.

import { BrownianError } from "../errors.js";

export interface Request {
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** What to do when the server asks who we are, or refuses. */
  readonly wayIn?: string | undefined;
}

/** A response, whatever its status. @throws BrownianError download-failed where there is none */
export async function sent(url: string, init: RequestInit): Promise<Response> {
  try {
    return await fetch(url, init);
  } catch (error) {
    const cause = (error as Error).cause as (Error & { code?: string }) | undefined;
    const why = cause?.message || cause?.code || (error as Error).message;
    throw new BrownianError("download-failed", `${url} cannot be reached: ${why}.`, { cause: error });
  }
}

/** A response that is fine. @throws BrownianError download-failed, aborted */
export async function asked(request: Request, { signal }: { readonly signal?: AbortSignal | undefined }): Promise<Response> {
  try {
    const response = await sent(request.url, { headers: request.headers ?? {}, signal: signal ?? null });
    if (!response.ok) throw refused(request, response);
    return response;
  } catch (error) {
    if (signal?.aborted) throw new BrownianError("aborted", "The download was aborted.", { cause: error });
    throw error;
  }
}

/** What a refusal means, and the way out. */
export function refused({ url, wayIn }: Request, { status, statusText }: Response): BrownianError {
  return new BrownianError("download-failed", `${url}: ${words(status, statusText, wayIn)}.`);
}

function words(status: number, statusText: string, wayIn: string | undefined): string {
  if (status === 401 || status === 403)
    return `it is not there, or not for everybody (${status})${wayIn === undefined ? "" : `: ${wayIn}`}`;
  if (status === 404) return "there is no such thing (404): check the name";
  return `the server answers ${status} ${statusText}`.trimEnd();
}
