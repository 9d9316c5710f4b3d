// Other servers as the ones who write: sigma, weight_temperature and noise_seed become a member and its scale there. Tokens are theirs, and known by
// their texts alone; what only an engine in this process can do is refused by name.

import type { Answered, ServedToken, Upstream } from "../adapters/index.js";
import type { GenerateOptions } from "../llama/index.js";
import { ApiError } from "./errors.js";
import type { Answer, Ask, Heard, Task, Writer, WrittenToken } from "./writer.js";

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
}

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
  "dynamics",
  "tau",
];

export class UpstreamWriter implements Writer {
  readonly name: string;
  readonly parallel: number;
  readonly contextSize: number;
  readonly knowsTools = false;
  /** Texts of tokens, by numbers of our own. */
  private readonly texts: string[] = [];
  private readonly numbers = new Map<string, number>();

  constructor(
    private readonly upstream: Upstream,
    private readonly options: UpstreamWriterOptions,
  ) {
    ({ name: this.name, parallel: this.parallel, contextSize: this.contextSize } = options);
  }

  async check({ prompt, options, weightTemperature, uncertainty }: Ask): Promise<UpstreamTask> {
    const refuse = (what: string, param: string) => {
      throw new ApiError(400, `${what}: the weights are on other servers.`, { param });
    };
    if (uncertainty !== undefined) refuse("uncertainty needs the engine in this process", "uncertainty");
    if ((options.dynamics ?? "quenched") !== "quenched")
      refuse("Members are at rest while they write (dynamics quenched)", "dynamics");
    for (const [name, value] of Object.entries(options))
      if (value !== undefined && !KNOWN.includes(name) && !Object.hasOwn(FIELDS, name))
        refuse(`${name} cannot be passed on`, name);
    return { tokens: [], prompt, options: { ...options, sigma: await this.sigmaOf(options.sigma, weightTemperature) } };
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
    const { prompt, options } = task as UpstreamTask;
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
    const asked = {
      prompt: prompt as Parameters<Upstream["ask"]>[0]["prompt"],
      maxTokens: Math.min(options.maxTokens ?? this.contextSize, this.contextSize),
      temperature,
      ...(seed !== undefined && { seed: Number(BigInt(seed) % 2n ** 31n) }),
      stop: typeof stop === "string" ? [stop] : stop,
      more: this.fieldsOf(options, typeof prompt !== "string" && typeof prompt[0] === "object"),
      heard: listen,
    };
    try {
      const member = Number(BigInt.asUintN(32, BigInt(noiseSeed)));
      const { end } = await this.upstream.ask(asked, member, sigma, signal);
      return this.answer(text, written, { end, seconds: (performance.now() - began) / 1000, logprobs });
    } catch (error) {
      if (!signal.aborted || error !== signal.reason) throw error;
      return { ...this.answer(text, written, { end: "stop", seconds: 0, logprobs }), stop: "aborted" };
    }
  }

  private fieldsOf(options: GenerateOptions, chat: boolean): Record<string, unknown> {
    const fields = Object.entries(FIELDS).map(([name, field]) => [field, options[name as keyof GenerateOptions]]);
    const { logprobs } = options;
    const likeliest = logprobs === undefined ? [] : [chat ? ["top_logprobs", logprobs] : ["logprobs", Math.max(1, logprobs)]];
    return Object.fromEntries([...fields, ...likeliest].filter(([, value]) => value !== undefined));
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

  close(): Promise<void> {
    return this.upstream.close();
  }
}
