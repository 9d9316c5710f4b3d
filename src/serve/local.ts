// The model of this process as the one who writes.

import { basename, dirname, join } from "node:path";
import { BrownianError } from "../errors.js";
import { type Embedding, jsonGrammar, type Model } from "../llama/index.js";
import type { ThermostatMemory } from "../thermostat/index.js";
import { ApiError } from "./errors.js";
import {
  type Answer,
  type Ask,
  type EmbedAsk,
  ENSEMBLE_SIGMA,
  type Heard,
  type Task,
  type Writer,
  type WrittenToken,
} from "./writer.js";

export interface LocalOptions {
  /** The model's name. */
  readonly name: string;
  readonly parallel: number;
  /** Which sigma is as surprising as softmax at a temperature, by the model's calibration. @throws BrownianError usage where there is none */
  readonly weightSigma?: ((temperature: number) => Promise<number>) | undefined;
}

export class LocalWriter implements Writer {
  readonly name: string;
  readonly parallel: number;

  constructor(
    private readonly model: Model,
    private readonly options: LocalOptions,
  ) {
    this.name = options.name;
    this.parallel = options.parallel;
  }

  get contextSize(): number {
    return this.model.contextSize;
  }

  get knowsTools(): boolean {
    return /\btools\b/.test(this.model.chatTemplate ?? "");
  }

  async check(ask: Ask): Promise<Task> {
    try {
      return await this.checked(ask);
    } catch (error) {
      throw this.withoutPaths(error);
    }
  }

  private async checked({ prompt, chat, options, format, weightTemperature, uncertainty }: Ask): Promise<Task> {
    const sigma = weightTemperature === undefined ? options.sigma : await this.sigmaOf(weightTemperature, options.sigma);
    const grammar = format && { grammar: format.type === "json_object" ? jsonGrammar() : jsonGrammar(format.schema) };
    const task = { tokens: this.model.tokens(prompt, chat), options: { ...options, sigma, ...grammar }, uncertainty };
    this.model.check(task.options);
    return task;
  }

  private async sigmaOf(temperature: number, sigma: unknown): Promise<number> {
    if (sigma !== undefined)
      throw new ApiError(400, "weight_temperature chooses sigma: give one of the two.", { param: "weight_temperature" });
    const { weightSigma } = this.options;
    if (weightSigma === undefined)
      throw new ApiError(400, "This server has no calibration: give sigma.", { param: "weight_temperature" });
    return weightSigma(temperature);
  }

  async write(task: Task, heard: Heard, signal: AbortSignal): Promise<Answer> {
    try {
      return await this.written(task, heard, signal);
    } catch (error) {
      throw this.withoutPaths(error);
    }
  }

  async embed({ texts, options, weightTemperature }: EmbedAsk, signal: AbortSignal): Promise<readonly Embedding[]> {
    try {
      const sigma = weightTemperature === undefined ? options.sigma : await this.sigmaOf(weightTemperature, options.sigma);
      return await this.model.embed(texts, { ...options, sigma, signal });
    } catch (error) {
      throw this.withoutPaths(error);
    }
  }

  /** Messages are for clients, who need not know where on this machine models lie. */
  private withoutPaths(error: unknown): unknown {
    if (!(error instanceof BrownianError)) return error;
    const { path } = this.model;
    const folder = dirname(path);
    const message = error.message.replaceAll(folder === "." ? path : join(folder, "/"), folder === "." ? basename(path) : "");
    return new BrownianError(error.code, message, { cause: error });
  }

  private async written({ tokens, options, uncertainty }: Task, heard: Heard, signal: AbortSignal): Promise<Answer> {
    let seen: WrittenToken[] = [];
    const pieces = this.model.generate(tokens, { ...options, signal, countChanges: false, onToken: (token) => seen.push(token) });
    for (;;) {
      const next = await pieces.next();
      if (next.done) {
        if (seen.length > 0) heard("", seen);
        return uncertainty === undefined ? next.value : this.read(tokens, options, next.value, uncertainty, signal);
      }
      const since = seen;
      seen = [];
      heard(next.value, since);
    }
  }

  /** What an ensemble thinks of an answer. */
  private async read(
    tokens: readonly number[],
    options: Task["options"],
    answer: Answer,
    { members }: NonNullable<Ask["uncertainty"]>,
    signal: AbortSignal,
  ): Promise<Answer> {
    if (answer.ids.length === 0 || signal.aborted) return { ...answer, uncertain: [] };
    const sigma = typeof options.sigma === "number" && options.sigma > 0 ? options.sigma : ENSEMBLE_SIGMA;
    const seed = options.noiseSeed ?? options.seed;
    const read = await this.model.uncertainty(tokens, {
      text: answer.ids,
      maxTokens: answer.ids.length,
      members,
      sigma,
      seed,
      signal,
    });
    return { ...answer, uncertain: read.tokens };
  }

  memory(): ThermostatMemory {
    return this.model.memory();
  }

  textOf(token: number, preceding: readonly number[]): string {
    return this.model.text([token], preceding);
  }

  close(): Promise<void> {
    return this.model.dispose();
  }
}
