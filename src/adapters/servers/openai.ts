// What all these servers have in common: OpenAI's chat completions and completions, with logprobs. Answers are not trusted to be of the right shape.

import type { Server } from "./http.js";
import { ServerError, STRANGE } from "./http.js";
import { type Answered, type Asked, isServedChat, type ServedCall, type ServedToken } from "./protocol.js";

type Json = Readonly<Record<string, unknown>>;

/** Asks for a text; `more` is what the server's own protocol adds to the body. @throws ServerError, also for an answer of another shape */
export async function askOpenAi(server: Server, asked: Asked, more: object, signal?: AbortSignal): Promise<Answered> {
  const { prompt, maxTokens, temperature, seed, stop, heard } = asked;
  const chat = isServedChat(prompt);
  const path = chat ? "/v1/chat/completions" : "/v1/completions";
  const body = {
    ...(chat ? { messages: prompt } : { prompt }),
    ...(!asked.plain && (chat ? { logprobs: true, top_logprobs: 1 } : { logprobs: 1 })),
    max_tokens: maxTokens,
    temperature,
    ...(seed !== undefined && { seed }),
    ...(stop !== undefined && stop.length > 0 && { stop }),
    ...asked.more,
    ...more,
  };
  if (heard !== undefined) return streamed(server, path, body, heard, signal);
  const answer = await server.post(path, body, signal);
  const [choice] = listOf((answer as Json | null)?.choices) as readonly Json[];
  const message = choice?.message as Json | undefined;
  const text = chat ? (message?.content ?? "") : choice?.text;
  if (choice === undefined || typeof text !== "string")
    throw new ServerError(`${server.url}${path} answers in another shape than OpenAI's: it has no choices with a text.`, STRANGE);
  const calls = callsOf(listOf(message?.tool_calls));
  const usage = usageOf((answer as Json).usage);
  return { text, tokens: tokensOf(choice.logprobs), calls, usage, end: String(choice.finish_reason ?? "stop") };
}

/** The same piece by piece. */
async function streamed(
  server: Server,
  path: string,
  body: object,
  heard: NonNullable<Asked["heard"]>,
  signal: AbortSignal | undefined,
): Promise<Answered> {
  let text = "";
  const tokens: ServedToken[] = [];
  const parts: unknown[] = [];
  let end: string | undefined;
  let usage: Answered["usage"];
  const asked = { ...body, stream: true, stream_options: { include_usage: true } };
  for await (const event of server.events(path, asked, signal)) {
    const { choices, error, usage: used } = event as Json;
    usage = usageOf(used) ?? usage;
    if (error !== undefined) throw new ServerError(`${server.url}${path} ended: ${JSON.stringify(error)}`, STRANGE);
    const [choice] = listOf(choices) as readonly Json[];
    if (choice === undefined) continue; // usage
    const delta = choice.delta as Json | undefined;
    parts.push(...listOf(delta?.tool_calls));
    const piece = choice.text ?? delta?.content ?? "";
    if (typeof piece !== "string") throw new ServerError(`${server.url}${path} streams in another shape than OpenAI's.`, STRANGE);
    const own = tokensOf(choice.logprobs) ?? [];
    text += piece;
    tokens.push(...own);
    if (piece !== "" || own.length > 0) heard(piece, own);
    if (typeof choice.finish_reason === "string") end = choice.finish_reason;
  }
  if (end === undefined) throw new ServerError(`${server.url}${path} ended in the middle of the answer.`, STRANGE);
  return { text, tokens: tokens.length > 0 ? tokens : undefined, calls: callsOf(parts), usage, end };
}

const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);

function usageOf(given: unknown): Answered["usage"] {
  const { prompt_tokens: prompt, completion_tokens: written } = (given ?? {}) as Json;
  return typeof prompt === "number" && typeof written === "number" ? { prompt, written } : undefined;
}

/** Calls, whole or in parts that go on with the one of their number. */
function callsOf(given: readonly unknown[]): readonly ServedCall[] | undefined {
  const calls = new Map<unknown, { id: string | undefined; name: string; arguments: string }>();
  for (const [i, part] of given.entries()) {
    const { index = i, id, function: called } = (part ?? {}) as Json;
    const { name = "", arguments: text = "" } = (called ?? {}) as Json;
    const one = calls.get(index) ?? { id: undefined, name: "", arguments: "" };
    if (typeof id === "string" && id !== "") one.id = id;
    one.name += String(name ?? "");
    one.arguments += typeof text === "string" ? text : JSON.stringify(text);
    calls.set(index, one);
  }
  return calls.size > 0 ? [...calls.values()] : undefined;
}

/** Of a chat, and of llama-server's completions: a list; of others' completions: lists of texts and of numbers. */
function tokensOf(given: unknown): readonly ServedToken[] | undefined {
  const { content, tokens, token_logprobs, top_logprobs } = (given ?? {}) as Json;
  const found = Array.isArray(content)
    ? content.map((one: Json | null) => ({ text: one?.token, logProbability: one?.logprob, top: topOf(one?.top_logprobs) }))
    : listOf(tokens).map((text, i) => ({
        text,
        logProbability: listOf(token_logprobs)[i],
        top: topOf(Object.entries(listOf(top_logprobs)[i] ?? {}).map(([token, logprob]) => ({ token, logprob }))),
      }));
  const whole = found.every(({ text, logProbability }) => typeof text === "string" && typeof logProbability === "number");
  return whole && found.length > 0 ? (found as readonly ServedToken[]) : undefined;
}

/** The likeliest tokens in a place. */
const topOf = (given: unknown): NonNullable<ServedToken["top"]> =>
  (listOf(given) as readonly (Json | null)[]).flatMap((one) =>
    typeof one?.token === "string" && typeof one.logprob === "number" ? [{ text: one.token, logProbability: one.logprob }] : [],
  );

/** The identifiers in a server's list of models. */
export async function modelsOf(server: Server, signal?: AbortSignal): Promise<readonly Json[]> {
  return listOf(((await server.find("/v1/models", signal)) as Json | undefined)?.data) as readonly Json[];
}
