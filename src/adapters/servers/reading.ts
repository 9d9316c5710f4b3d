// Reading a given text on a server: at each of its tokens, which ones are the likeliest there, and how likely the one that comes is. OpenAI's
// completions say so of their prompt (echo) on vLLM and SGLang; llama-server says it of what it writes only, so it is asked for one token after each
// beginning of the text, which it keeps in its cache.

import { type Server, ServerError, STRANGE } from "./http.js";
import type { ReadToken, ServedToken } from "./protocol.js";

/** Likeliest tokens that are asked for in each place: the most that vLLM gives unless told otherwise. */
export const MOST_LIKELY = 20;

type Json = Readonly<Record<string, unknown>>;
type Top = NonNullable<ServedToken["top"]>;

const falling = (top: Top): Top => [...top].sort((a, b) => b.logProbability - a.logProbability);
const strange = (server: Server, what: string) => new ServerError(`${server.url} answers in another shape: ${what}.`, STRANGE);

/** By OpenAI's completions with echo; `more` is what names the member. @throws ServerError */
export async function readEchoed(
  server: Server,
  text: string,
  more: object,
  signal?: AbortSignal,
): Promise<readonly ReadToken[]> {
  const body = { prompt: text, max_tokens: 1, temperature: 0, echo: true, logprobs: MOST_LIKELY, ...more };
  const answer = (await server.post("/v1/completions", body, signal)) as { choices?: { logprobs?: Json }[] } | null;
  const { token_logprobs: own, top_logprobs: tops } = answer?.choices?.[0]?.logprobs ?? {};
  if (!Array.isArray(own) || !Array.isArray(tops) || own.length !== tops.length || own.length < 3)
    throw strange(server, "it has no logprobs of the text that it was given (echo)");
  // The first token has nothing before it, and the last was written, not read.
  return own.slice(1, -1).map((logProbability: unknown, i) => {
    const top = falling(
      Object.entries((tops[i + 1] ?? {}) as Json).flatMap(([token, value]) =>
        typeof value === "number" ? [{ text: token, logProbability: value }] : [],
      ),
    );
    if (typeof logProbability !== "number" || top.length < 2) throw strange(server, "a token has no logprobs");
    return { logProbability, top };
  });
}

/** By llama-server's own completions, token by token. @throws ServerError */
export async function readByBeginnings(
  server: Server,
  text: string,
  more: object,
  signal?: AbortSignal,
): Promise<readonly ReadToken[]> {
  const tokenized = (await server.post("/tokenize", { content: text, add_special: true }, signal)) as { tokens?: unknown } | null;
  const tokens = tokenized?.tokens;
  if (!Array.isArray(tokens) || !tokens.every((token) => typeof token === "number")) throw strange(server, "it has no tokens");
  const read: ReadToken[] = [];
  for (let n = 1; n < tokens.length; n++) {
    const asked = { prompt: tokens.slice(0, n), n_predict: 1, n_probs: MOST_LIKELY, temperature: 0, cache_prompt: true, ...more };
    const answer = (await server.post("/completion", asked, signal)) as { completion_probabilities?: Json[] } | null;
    const found = answer?.completion_probabilities?.[0]?.top_logprobs;
    const all = (Array.isArray(found) ? (found as (Json | null)[]) : []).flatMap((one) =>
      typeof one?.logprob === "number" ? [{ id: one.id, text: String(one.token), logProbability: one.logprob }] : [],
    );
    const top = all.sort((a, b) => b.logProbability - a.logProbability);
    if (top.length < 2) throw strange(server, "a token has no logprobs");
    const own = top.find(({ id }) => id === tokens[n]) ?? top.at(-1);
    read.push({ logProbability: own?.logProbability as number, top });
  }
  return read;
}
