// Text Generation Inference: adapters are loaded when it starts (--lora-adapters NAME=PATH,...), and named with each request: as the model of a chat,
// as adapter_id of a text. https://huggingface.co/docs/text-generation-inference/conceptual/lora

import { BrownianError } from "../../errors.js";
import { type Server, ServerError, STRANGE } from "./http.js";
import { askOpenAi } from "./openai.js";
import { type Answered, type Asked, isServedChat, type Protocol, type ServedFile } from "./protocol.js";

type Json = Readonly<Record<string, unknown>>;

const startLine = (files: readonly ServedFile[]): string =>
  `text-generation-launcher --model-id MODEL --lora-adapters ${files.map(({ name, path }) => `${name}=${path}`).join(",")}`;

export const tgi: Protocol = {
  name: "TGI",
  format: "peft",
  scaled: false,

  async knows(server, signal) {
    const info = (await server.find("/info", signal)) as Json | undefined;
    return typeof info?.model_id === "string" && "max_total_tokens" in info;
  },

  /** It has no list of its adapters: each is asked for one token. */
  async load(server, files, _own, signal) {
    for (const { name } of files) {
      try {
        await tgi.ask(server, { prompt: "a", maxTokens: 1, temperature: 0 }, { called: name, scale: 1 }, signal);
      } catch (error) {
        if (!(error instanceof ServerError) || error.transient) throw error;
        throw new BrownianError(
          "usage",
          `${server.url} has no member ${name} (${error.message}). It loads them when it starts: ${startLine(files)}`,
          {
            cause: error,
          },
        );
      }
    }
    return files.map(({ name }) => name);
  },

  /** Its releases differ in how they are told. */
  kept: () => undefined,

  /** It leaves out nothing unless told to, and takes no top_p of 1. */
  dice: (minP) => (minP === 0 ? {} : undefined),

  ask(server, asked, member, signal) {
    if (typeof asked.prompt !== "string" && !isServedChat(asked.prompt))
      throw new BrownianError("usage", "TGI reads texts and chats, not tokens.");
    if (typeof asked.prompt !== "string") return askOpenAi(server, asked, { model: member?.called ?? "tgi" }, signal);
    return generate(server, asked, member?.called, signal);
  },

  unload: async () => [],
};

/** Fields of OpenAI's protocol that it has for texts, too; it always tells how likely tokens were. */
const OF_TEXTS: readonly string[] = ["top_p", "top_k", "frequency_penalty", "logprobs"];

async function generate(server: Server, asked: Asked, adapter: string | undefined, signal?: AbortSignal): Promise<Answered> {
  const { prompt, maxTokens, temperature, seed, stop, more = {} } = asked;
  const unknown = Object.keys(more).find((name) => !OF_TEXTS.includes(name));
  if (unknown !== undefined)
    throw new BrownianError("usage", `TGI takes no ${unknown} with a text: leave it out, or ask as a chat.`);
  const parameters = {
    max_new_tokens: maxTokens,
    details: true,
    ...(adapter !== undefined && { adapter_id: adapter }),
    ...(temperature > 0 ? { do_sample: true, temperature } : {}),
    ...(seed !== undefined && { seed }),
    ...(stop !== undefined && { stop }),
    ...Object.fromEntries(Object.entries(more).filter(([name]) => name !== "logprobs")),
  };
  const answer = (await server.post("/generate", { inputs: prompt, parameters }, signal)) as Json | null;
  if (typeof answer?.generated_text !== "string")
    throw new ServerError(`${server.url}/generate answers in another shape than TGI's: it has no generated_text.`, STRANGE);
  const details = (answer.details ?? {}) as Json;
  const tokens = Array.isArray(details.tokens) ? (details.tokens as readonly Json[]) : [];
  asked.heard?.(answer.generated_text, []);
  const whole = tokens.every(({ text, logprob }) => typeof text === "string" && typeof logprob === "number");
  return {
    text: answer.generated_text,
    tokens:
      whole && tokens.length > 0
        ? tokens.map(({ text, logprob }) => ({ text: text as string, logProbability: logprob as number }))
        : undefined,
    end: String(details.finish_reason ?? "stop"),
  };
}
