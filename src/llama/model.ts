// A language model whose weights move, as users see it: every method is told in a file of its own; here they are put
// together and documented.

import type { Probe, Seen } from "../engine/index.js";
import { BrownianError, checkText, shown } from "../errors.js";
import { checkOptions, checkSignal } from "../options.js";
import type { ThermostatMemory } from "../thermostat/index.js";
import type { ChatOptions, Prompt } from "./chat.js";
import { type Embedding, type EmbedOptions, embed } from "./embed.js";
import type { LoadOptions } from "./load-options.js";
import {
  type Continuation,
  checkTokens,
  type Expected,
  follow,
  followAll,
  type ScoreOptions,
  score,
  type WindowOptions,
  windowLength,
  windows,
} from "./read.js";
import { Session } from "./session.js";
import { completeAll, type TextAsked, type TextWritten, type TogetherOptions } from "./together.js";
import { type Uncertainty, type UncertaintyOptions, uncertainty } from "./uncertainty.js";
import { check, complete, type GenerateOptions, type Generation, write } from "./write.js";

export type { ChatOptions, Message, Prompt, ToolCall } from "./chat.js";
export type { Embedding, EmbedOptions } from "./embed.js";
export type { LoadOptions } from "./load-options.js";
export type { TokenLogProbability } from "./log-probabilities.js";
export type { Continuation, Expected, ScoreOptions, WindowOptions } from "./read.js";
export type { LogitBias, SamplingOptions } from "./sampling.js";
export type { TextAsked, TextWritten, TogetherOptions } from "./together.js";
export type { UncertainToken, Uncertainty, UncertaintyOptions } from "./uncertainty.js";
export type { GenerateOptions, Generation } from "./write.js";

/**
 * Opens a GGUF model for writing with moving weights.
 *
 * @throws BrownianError for a file that is no model, a full disk, a missing engine (`npm install node-llama-cpp`)
 * @example
 * const model = await loadModel("model.gguf");
 * for await (const piece of model.generate("Once upon a time", { sigma: 0.05, seed: 7n })) process.stdout.write(piece);
 */
export async function loadModel(path: string, options: LoadOptions = {}): Promise<Model> {
  return new Model(await Session.open(path, options));
}

/**
 * A language model whose weights move, made by {@link loadModel}. Texts that are asked for at once take turns, or are written at once where their
 * weights are the same (LoadOptions.parallel). Do not wait for one text inside of another: end that first.
 *
 * @example
 * const model = await loadModel("model.gguf");
 * const { text } = await model.complete("Once upon a time", { sigma: 0.05, seed: 7n });
 */
export class Model {
  /** @internal loadModel makes models */
  constructor(private readonly session: Session) {
    if (!(session instanceof Session)) throw new BrownianError("usage", "Models are made by loadModel.");
  }

  /** The model file's path, as it was given to {@link loadModel}. */
  get path(): string {
    return this.session.path;
  }

  /** Tokens of context. */
  get contextSize(): number {
    return this.session.contextSize;
  }

  /** How many tokens there are. */
  get vocabulary(): number {
    return this.session.engine.vocabulary;
  }

  /** Tokens of a text that `score` reads at a time. */
  get windowLength(): number {
    return windowLength(this.session);
  }

  /**
   * Continues `prompt`, which is a text, a list of tokens, or a chat: messages, which the model answers. Yields text as it is written: prompt and
   * pieces read as one text. Greedy and clean by default; `sigma` lets the weights move, `temperature` rolls dice at the output, both combine. The
   * return value tells what happened. Breaking off is fine.
   *
   * @throws BrownianError usage, no-such-tensor, unsupported-type, closed, engine-failed; not-live where the dynamics
   * moves tensors that the engine does not see
   * @example
   * const options = { sigma: 0.05, dynamics: "andersen", tau: 32, seed: 7n } as const;
   * for await (const piece of model.generate("Once upon a time", options)) process.stdout.write(piece);
   */
  generate(prompt: Prompt, options: GenerateOptions = {}): AsyncGenerator<string, Generation> {
    return write(this.session, prompt, options);
  }

  /**
   * {@link generate}, in one piece.
   *
   * @throws BrownianError as `generate`
   * @example
   * const { text, changed, weights } = await model.complete("Once upon a time", { sigma: 0.05, seed: 7n });
   * console.log(text, changed / weights); // and the share of the weights that moved
   */
  complete(prompt: Prompt, options: GenerateOptions = {}): Promise<Generation> {
    return complete(this.session, prompt, options);
  }

  /**
   * What the motion of its weights takes now, in bytes: the live copy, and the memory of this process beside it (`Thermostat.memory`).
   *
   * @throws BrownianError closed
   * @example
   * const { file, index, journal } = model.memory();
   * console.log((index + journal) / file); // at most 0.03
   */
  memory(): ThermostatMemory {
    return this.session.memory();
  }

  /**
   * Many texts under the same weights: as many at once as the model was loaded for (LoadOptions.parallel), a token of each in every batch. Each is the
   * one that {@link complete} writes alone with this `noiseSeed`, but for near-ties of logits: its first token is written by the weights of tick 0, and
   * where they move, they move once for all. Equal prompts are read once.
   *
   * @throws BrownianError as `generate`; the signal's reason when aborted
   * @example
   * const prompts = ["Once upon a time", "Once upon a time", "The king"];
   * const texts = prompts.map((prompt, i) => ({ prompt, temperature: 0.8, seed: i }));
   * const [first] = await model.completeAll(texts, { sigma: 0.03, dynamics: "andersen", noiseSeed: 7n }); // first.text
   */
  completeAll(texts: readonly TextAsked[], options: TogetherOptions = {}): Promise<TextWritten[]> {
    return completeAll(this.session, texts, options);
  }

  /**
   * Throws what {@link generate} would throw of these options before it begins, and does nothing else.
   * @throws BrownianError usage
   * @example
   * model.check({ temperature: 0.7, dynamics: "andersen" });
   */
  check(options: GenerateOptions): void {
    check(this.session, options);
  }

  /**
   * Reads `text` and tells what the model expected at every token, with its weights as `options` moves them (tick 0 of
   * the dynamics). The text is cut into windows of the context's size, each read for itself from its beginning on;
   * windows may be given instead, as {@link windows} makes them. Resolves to the number of tokens visited.
   *
   * @throws BrownianError usage for an empty text, and as `generate`; the signal's reason when aborted
   * @example
   * let nll = 0; // nats
   * await model.score("Once upon a time there was a king.", { sigma: 0.05 }, ({ token, logits }) => (nll -= logSoftmax(logits)[token]));
   */
  score(
    text: string | readonly (readonly number[])[],
    options: ScoreOptions,
    visit: (expected: Expected) => void,
  ): Promise<number> {
    return score(this.session, text, options, visit);
  }

  /**
   * How sure the model is of every token of a text, and how far that is a matter of its weights: an ensemble of moved
   * weights reads the text, each member once, teacher-forced. Of the mean prediction's entropy, `information` is what
   * members disagree about (Ensemble). The text is `options.text`, or what the clean model writes after the prompt:
   * greedily, or by softmax where a temperature is given.
   *
   * @throws BrownianError usage (nothing to read, or more than the context holds), and as `generate`; the signal's
   * reason when aborted
   * @example
   * const { tokens } = await model.uncertainty("Once upon a time", { members: 8, sigma: 0.05, maxTokens: 40 });
   * console.log(tokens[0].text, tokens[0].information); // " there" 0.02 (nats)
   */
  uncertainty(prompt: Prompt, options: UncertaintyOptions = {}): Promise<Uncertainty> {
    return uncertainty(this.session, prompt, options);
  }

  /**
   * What the clean model thinks of the continuation `ids` of `prompt`: ln p of each token given the text before it, and
   * whether it was the likeliest. The tokens of a text that was written are `Generation.ids`: its letters may be tokens
   * in several ways.
   * @throws BrownianError as `generate`; usage where prompt and continuation do not fit the context, or are no tokens of the vocabulary
   * @example
   * const { ids } = await model.complete("Once upon a time", { sigma: 0.1 });
   * const seen = await model.follow("Once upon a time", ids); // seen[0].logProbability
   */
  follow(prompt: Prompt, ids: readonly number[]): Promise<Seen[]> {
    return follow(this.session, prompt, ids);
  }

  /**
   * {@link follow} for many continuations: as many are read at once as the model was loaded for (LoadOptions.parallel), and what all prompts have in
   * common is computed once.
   * @throws BrownianError as `follow`; the signal's reason
   * @example
   * const asked = ["France", "Italy"].map((name) => ({ prompt: `The king of ${name}`, ids: model.tokenize(" was") }));
   * const [france, italy] = await model.followAll(asked); // italy[0].logProbability
   */
  async followAll(continuations: readonly Continuation[], signal?: AbortSignal): Promise<Seen[][]> {
    if (signal !== undefined) checkSignal(signal);
    return followAll(this.session, continuations, signal);
  }

  /**
   * Each text as a vector of length 1: the mean of what the last layer makes of its tokens, with the weights as `options` moves them, one draw for
   * all texts. Language models are not taught to make such vectors: they tell like from unlike, but less well than models for that.
   * @throws BrownianError usage for a text without tokens, one that fills the context, and engines other than llama-c; the signal's reason
   * @example
   * const [a, b] = await model.embed(["A king lived in a castle.", "The queen had a palace."]);
   * const alike = a.vector.reduce((sum, value, i) => sum + value * b.vector[i], 0); // the cosine, up to 1
   */
  embed(texts: readonly Prompt[], options: EmbedOptions = {}): Promise<Embedding[]> {
    return embed(this.session, texts, options);
  }

  /**
   * The tokens of a prompt, with the one that begins every text where the model has one. A chat ends where the assistant is to speak.
   * @throws BrownianError usage where there is none, or they fill the context; for a chat also where the model has no template, or its template
   * refuses
   * @example
   * const tokens = model.tokens([{ role: "user", content: "Who are you?" }]); // what the model reads of this chat
   */
  tokens(prompt: Prompt, options: ChatOptions = {}): readonly number[] {
    this.session.refuseDisposed();
    return this.session.promptTokens(prompt, checkOptions("tokens", options, { tools: true, variables: true }));
  }

  /**
   * The tokens of a text alone, for those who put prompts together by hand. With `special`, the names of tokens that are no text (such as
   * <|im_end|>) are these tokens.
   * @throws BrownianError engine-failed where the vocabulary has no tokens for some letters
   * @example
   * const turn = [...model.tokenize("<|im_start|>user\n", { special: true }), ...model.tokenize("Hello")];
   */
  tokenize(text: string, options: { readonly special?: boolean } = {}): number[] {
    this.session.refuseDisposed();
    const { special = false } = checkOptions("tokenize", options, { special: true });
    return this.session.engine.tokensOf(checkText("text", text), special === true);
  }

  /**
   * The text of tokens, as it reads on after `preceding`. Tokens that are no text have none.
   * @throws BrownianError usage for what is no token of the vocabulary
   */
  text(tokens: readonly number[], preceding: readonly number[] = []): string {
    this.session.refuseDisposed();
    const checked = (list: readonly number[]) => checkTokens(this.session, "A token", list);
    return this.session.engine.text(checked(tokens), checked(preceding));
  }

  /** The Jinja by which chats are read; undefined where the model has none. */
  get chatTemplate(): string | undefined {
    return this.session.chat.text;
  }

  /**
   * A text's tokens in windows of `length` tokens (default {@link windowLength}), each begun as texts are.
   * @throws BrownianError usage for a text with nothing to be expected, or windows that do not fit the context
   */
  windows(text: string, options: WindowOptions = {}): number[][] {
    return windows(this.session, text, options);
  }

  /** Which tensors that can move the engine sees moving. Measured once, on first use; see {@link Probe}. */
  async probe(signal?: AbortSignal): Promise<Probe> {
    if (signal !== undefined) checkSignal(signal);
    return this.session.during(() => this.session.alone(() => this.session.probe(signal)), signal);
  }

  /** Waits for the token under way, frees the engine's memory and removes the live copy. Idempotent. */
  dispose(): Promise<void> {
    return this.session.dispose();
  }

  /** As {@link dispose}, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.dispose();
  }
}

/** Throws a `usage` error unless this is a model that {@link loadModel} has made. */
export function checkModel(model: unknown): void {
  if (model instanceof Model) return;
  throw new BrownianError("usage", `model must be one that loadModel has opened, but is ${shown(model)}.`);
}
