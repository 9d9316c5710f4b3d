// What all these servers have in common: OpenAI's chat completions and completions, with logprobs. Answers are not trusted to be of the right shape.

import type { Server } from "./http.js";
import { ServerError, STRANGE } from "./http.js";
import type { Answered, Asked, ServedToken } from "./protocol.js";

type Json = Readonly<Record<string, unknown>>;

/** Asks for a text; `more` is what the server's own protocol adds to the body. @throws ServerError, also for an answer of another shape */
export async function askOpenAi(server: Server, asked: Asked, more: object, signal?: AbortSignal): Promise<Answered> {
  const { prompt, maxTokens, temperature, seed, stop } = asked;
  const chat = typeof prompt !== "string";
  const path = chat ? "/v1/chat/completions" : "/v1/completions";
  const body = {
    ...(chat ? { messages: prompt, logprobs: true, top_logprobs: 1 } : { prompt, logprobs: 1 }),
    max_tokens: maxTokens,
    temperature,
    ...(seed !== undefined && { seed }),
    ...(stop !== undefined && stop.length > 0 && { stop }),
    ...more,
  };
  const answer = await server.post(path, body, signal);
  const [choice] = listOf((answer as Json | null)?.choices) as readonly Json[];
  const text = chat ? ((choice?.message as Json | undefined)?.content ?? "") : choice?.text;
  if (choice === undefined || typeof text !== "string")
    throw new ServerError(`${server.url}${path} answers in another shape than OpenAI's: it has no choices with a text.`, STRANGE);
  return { text, tokens: tokensOf(choice.logprobs), end: String(choice.finish_reason ?? "stop") };
}

const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);

/** Of a chat, and of llama-server's completions: a list; of others' completions: lists of texts and of numbers. */
function tokensOf(given: unknown): readonly ServedToken[] | undefined {
  const { content, tokens, token_logprobs } = (given ?? {}) as Json;
  const found = Array.isArray(content)
    ? content.map((one: Json | null) => ({ text: one?.token, logProbability: one?.logprob }))
    : listOf(tokens).map((text, i) => ({ text, logProbability: listOf(token_logprobs)[i] }));
  const whole = found.filter((one): one is ServedToken => typeof one.text === "string" && typeof one.logProbability === "number");
  return whole.length > 0 && whole.length === found.length ? whole : undefined;
}

/** The identifiers in a server's list of models. */
export async function modelsOf(server: Server, signal?: AbortSignal): Promise<readonly Json[]> {
  return listOf(((await server.find("/v1/models", signal)) as Json | undefined)?.data) as readonly Json[];
}
