// Other servers as the ones who write: sigma, weight_temperature and noise_seed become a member and its scale there. Tokens are theirs, and known by
// their texts alone; tools and shapes of answers are passed on; what only an engine in this process can do is refused by name.

import { randomUUID } from "node:crypto";
import { type Answered, type ServedToken, ServerError, type Shape, type Upstream } from "../adapters/index.js";
import type { GenerateOptions } from "../llama/index.js";
import { beliefsOf, LIKELIEST } from "./beliefs.js";
import { ApiError } from "./errors.js";
import {
  type Answer,
  type Ask,
  type Call,
  ENSEMBLE_SIGMA,
  type Heard,
  type Task,
  type Writer,
  type WrittenToken,
} from "./writer.js";

export interface UpstreamWriterOptions {
  /** The model's name. */
  readonly name: string;
  /** Texts that are written at once. */
  readonly parallel: number;
  /** Tokens that prompt and answer may have. */
  readonly contextSize: number;
  /** Which sigma is as surprising as softmax at a temperature, by the model's calibration. @throws BrownianError usage where there is none */
  readonly weightSigma?: ((temperature: number) => Promise<number>) | undefined;
}

/** With what it was asked. */
interface UpstreamTask extends Task {
  readonly prompt: Ask["prompt"];
  readonly shape: Shape | undefined;
  /** Of chats: tools, and what the template is told. */
  readonly more: Readonly<Record<string, unknown>>;
}

type Asked = Parameters<Upstream["ask"]>[0];

/** Members that are asked what they think of an answer, unless the request says how many. */
const MEMBERS = 8;

/** Options that have a field of the same meaning in OpenAI's protocol, or in that of all these servers. */
const FIELDS: Partial<Record<keyof GenerateOptions, string>> = {
  topP: "top_p",
  topK: "top_k",
  minP: "min_p",
  frequencyPenalty: "frequency_penalty",
  presencePenalty: "presence_penalty",
};
/** Those that are told otherwise. */
const KNOWN: readonly string[] = [
  "temperature",
  "sigma",
  "seed",
  "noiseSeed",
  "maxTokens",
  "stop",
  "logprobs",
  "grammar",
  "dynamics",
  "tau",
];

export class UpstreamWriter implements Writer {
  readonly name: string;
  readonly parallel: number;
  readonly contextSize: number;
  /** The servers say themselves what they cannot. */
  readonly knowsTools = "forced";
  /** Texts of tokens, by numbers of our own. */
  private readonly texts: string[] = [];
  private readonly numbers = new Map<string, number>();

  constructor(
    private readonly upstream: Upstream,
    private readonly options: UpstreamWriterOptions,
  ) {
    ({ name: this.name, parallel: this.parallel, contextSize: this.contextSize } = options);
  }

  async check(ask: Ask): Promise<UpstreamTask> {
    const { prompt, chat, options, weightTemperature, uncertainty } = ask;
    const refuse = (what: string, param: string) => {
      throw new ApiError(400, `${what}: the weights are on other servers.`, { param });
    };
    if (uncertainty !== undefined && (options.temperature ?? 0) > 0)
      refuse("Members tell what they think of the likeliest text alone (temperature 0)", "uncertainty");
    if ((uncertainty?.members ?? 0) > this.upstream.members)
      refuse(`There are ${this.upstream.members} members, not ${uncertainty?.members}`, "members");
    if ((options.dynamics ?? "quenched") !== "quenched")
      refuse("Members are at rest while they write (dynamics quenched)", "dynamics");
    for (const [name, value] of Object.entries(options))
      if (value !== undefined && !KNOWN.includes(name) && !Object.hasOwn(FIELDS, name))
        refuse(`${name} cannot be passed on`, name);
    const shape = shapeOf(ask);
    if (shape !== undefined) this.upstream.checkShape(shape, isChat(prompt));
    const more = {
      tools: chat.tools,
      tool_choice: ask.toolChoice,
      chat_template_kwargs: chat.variables,
    };
    const sigma = await this.sigmaOf(options.sigma, weightTemperature);
    return { tokens: [], prompt, shape, more, uncertainty, options: { ...options, sigma } };
  }

  private async sigmaOf(sigma: GenerateOptions["sigma"], temperature: number | undefined): Promise<GenerateOptions["sigma"]> {
    if (temperature === undefined) return sigma;
    const { weightSigma } = this.options;
    if (sigma !== undefined)
      throw new ApiError(400, "weight_temperature chooses sigma: give one of the two.", { param: "weight_temperature" });
    if (weightSigma === undefined)
      throw new ApiError(400, "This server has no calibration: give sigma.", { param: "weight_temperature" });
    return weightSigma(temperature);
  }

  async write(task: Task, heard: Heard, signal: AbortSignal): Promise<Answer> {
    const { prompt, options, uncertainty } = task as UpstreamTask;
    const { temperature = 0, seed, noiseSeed = seed ?? 0, stop, logprobs } = options;
    const sigma = typeof options.sigma === "number" ? options.sigma : 0;
    const began = performance.now();
    const written: WrittenToken[] = [];
    let text = "";
    const listen = (piece: string, tokens: readonly ServedToken[]) => {
      const own = tokens.map((token) => this.tokenOf(token));
      text += piece;
      written.push(...own);
      heard(piece, own);
    };
    const asked: Asked = {
      prompt: prompt as Asked["prompt"],
      maxTokens: Math.min(options.maxTokens ?? this.contextSize, this.contextSize),
      temperature,
      ...(seed !== undefined && { seed: Number(BigInt(seed) % 2n ** 31n) }),
      stop: typeof stop === "string" ? [stop] : stop,
      shape: (task as UpstreamTask).shape,
      plain: logprobs === undefined && (task as UpstreamTask).more.tools !== undefined,
      more: this.fieldsOf(task as UpstreamTask, logprobs),
      heard: listen,
    };
    const member = Number(BigInt.asUintN(32, BigInt(noiseSeed)));
    try {
      const { end, calls, usage } = await this.upstream.ask(asked, member, sigma, signal);
      const seconds = (performance.now() - began) / 1000;
      const uncertain = uncertainty && (await this.believed(task as UpstreamTask, asked, written, signal));
      const answer = this.answer(text, written, { end, seconds, logprobs });
      const { prompt: promptTokens, written: tokens = answer.tokens } = usage ?? {};
      return { ...answer, tokens, promptTokens, uncertain, calls: calls?.map(callOf) };
    } catch (error) {
      if (!signal.aborted || error !== signal.reason) throw toldAs(error);
      return { ...this.answer(text, written, { end: "stop", seconds: 0, logprobs }), stop: "aborted" };
    }
  }

  /** What members think of an answer: each writes its own likeliest one, and counts for as long as that is the same. */
  private async believed(task: UpstreamTask, asked: Asked, written: readonly WrittenToken[], signal: AbortSignal) {
    const { options, uncertainty } = task;
    const { seed, noiseSeed = seed ?? 0 } = options;
    if (written.length === 0) return [];
    const sigma = typeof options.sigma === "number" && options.sigma > 0 ? options.sigma : ENSEMBLE_SIGMA;
    const members = uncertainty?.members ?? Math.min(MEMBERS, this.upstream.members);
    const { heard: _, ...quiet } = asked;
    const own = { ...quiet, maxTokens: written.length, more: this.fieldsOf(task, LIKELIEST) };
    const first = Number(BigInt.asUintN(32, BigInt(noiseSeed)));
    const answers = await Promise.all(
      Array.from({ length: members }, (_member, i) => this.upstream.ask(own, first + i, sigma, signal)),
    );
    const texts = written.map(({ token }) => this.textOf(token));
    return beliefsOf(
      texts,
      answers.map(({ tokens = [] }) => tokens),
    );
  }

  private fieldsOf({ options, prompt, more }: UpstreamTask, logprobs: number | undefined): Record<string, unknown> {
    const fields = Object.entries(FIELDS).map(([name, field]) => [field, options[name as keyof GenerateOptions]]);
    const likeliest =
      logprobs === undefined ? [] : [isChat(prompt) ? ["top_logprobs", logprobs] : ["logprobs", Math.max(1, logprobs)]];
    return Object.fromEntries([...fields, ...likeliest, ...Object.entries(more)].filter(([, value]) => value !== undefined));
  }

  private answer(
    text: string,
    written: readonly WrittenToken[],
    { end, seconds, logprobs }: Pick<Answered, "end"> & { readonly seconds: number; readonly logprobs: number | undefined },
  ): Answer {
    const told = written.filter((token): token is Required<WrittenToken> => token.logProbability !== undefined);
    return {
      text,
      tokens: written.length,
      ids: written.map(({ token }) => token),
      seconds,
      tokensPerSecond: seconds > 0 ? written.length / seconds : 0,
      weights: 0,
      changed: 0,
      reloaded: false,
      stop: end === "length" ? "length" : "eos",
      ...(logprobs !== undefined && { logprobs: told.map((token) => ({ ...token, top: token.top.slice(0, logprobs) })) }),
    };
  }

  private tokenOf({ text, logProbability, top = [] }: ServedToken): WrittenToken {
    const likeliest = top.map((one) => ({ token: this.numberOf(one.text), logProbability: one.logProbability }));
    return { token: this.numberOf(text), logProbability, top: likeliest };
  }

  private numberOf(text: string): number {
    const known = this.numbers.get(text);
    if (known !== undefined) return known;
    this.numbers.set(text, this.texts.length);
    return this.texts.push(text) - 1;
  }

  async embed(): Promise<never> {
    throw new ApiError(400, "Embeddings need the engine in this process: ask the other server for them itself.", {
      code: "embeddings_unsupported",
    });
  }

  textOf(token: number): string {
    return this.texts[token] ?? "";
  }

  /** What stays loaded on the servers is said as a warning: whoever closes has nothing else to hear it by. */
  async close(): Promise<void> {
    for (const sentence of await this.upstream.close()) process.emitWarning(sentence, { code: "BROWNIAN_STILL_LOADED" });
  }
}

const isChat = (prompt: Ask["prompt"]): boolean => typeof prompt !== "string" && typeof prompt[0] === "object";

function shapeOf({ options, format }: Ask): Shape | undefined {
  if (options.grammar !== undefined) return { grammar: options.grammar };
  return format && { json: format.type === "json_schema" ? { schema: format.schema } : {} };
}

const callOf = ({ id = `call_${randomUUID()}`, name, arguments: given }: NonNullable<Answered["calls"]>[number]): Call => ({
  id,
  type: "function",
  function: { name, arguments: given },
});

const BAD_GATEWAY = 502;
/** What the request is to blame for, and another may mend. */
const PASSED_ON: readonly number[] = [400, 413, 422, 429];

/** What another server refuses, as our own client is told. */
function toldAs(error: unknown): unknown {
  if (!(error instanceof ServerError)) return error;
  const { status, after, message } = error;
  const headers = after === undefined ? undefined : { "retry-after": String(after) };
  const own = status !== undefined && PASSED_ON.includes(status) ? status : BAD_GATEWAY;
  return new ApiError(own, message, { code: error.code, headers });
}
