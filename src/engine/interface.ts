// What an engine is: it multiplies with the weights as they lie in a file that others write to, and turns tokens into
// tokens. Each is one file beside this one and one line in index.ts. Types alone: pages take them from here, too.

import type { Asked, Expectation, Kept } from "./expectation.js";

/**
 * An engine that continues texts. `Text` is what it goes on from and `Piece` what it hands over: tokens, or text where
 * it keeps those to itself.
 */
export interface WritingEngine<Text, Piece, How extends Dice> {
  /**
   * The continuation, computed one piece at a time and nothing ahead: a write to the weights between two is seen by the
   * next. Ends at the end of text.
   */
  continue(text: Text, how: How): AsyncGenerator<Piece, unknown>;
}

/** What every engine samples by, at the output. */
export interface Dice {
  /** 0: greedy. */
  readonly temperature: number;
  /** 32 bits; see dice.ts. */
  readonly seed: number;
}

/** What acts on the logits before the dice besides topK, topP and minP, as llama.cpp knows it: nothing does where it is not given. */
export interface Filters {
  /** Added to the logits of tokens; -Infinity forbids one. */
  readonly logitBias?: readonly (readonly [token: number, bias: number])[] | undefined;
  /** Of tokens among the `last` (-1: all): logits divided by `repeat` (times it below 0), less `presence` and `frequency` x their number. */
  readonly penalties?:
    | { readonly last: number; readonly repeat: number; readonly frequency: number; readonly presence: number }
    | undefined;
  /** Of tokens that go on with a repetition of n >= `allowedLength` among the `last` (-1: all): less multiplier x base^(n - allowedLength). */
  readonly dry?:
    | {
        readonly multiplier: number;
        readonly base: number;
        readonly allowedLength: number;
        readonly last: number;
        readonly breakers: readonly string[];
      }
    | undefined;
  /** Only tokens whose logits lie at most this many standard deviations of all logits below the largest. */
  readonly topNSigma?: number | undefined;
  /** Only tokens whose surprise is nearest to the entropy, of this total probability. */
  readonly typicalP?: number | undefined;
  /** With this probability, of the tokens above the threshold only the least likely is left. */
  readonly xtc?: { readonly probability: number; readonly threshold: number } | undefined;
  /** The temperature goes from T - range to T + range with the entropy's share of the largest possible one, to this power. */
  readonly dynamicTemperature?: { readonly range: number; readonly exponent: number } | undefined;
  /** Instead of all cuts: one that is steered towards a surprise of `tau` bits a token, at the rate `eta`. */
  readonly mirostat?: { readonly version: 1 | 2; readonly tau: number; readonly eta: number } | undefined;
  /** GBNF, whose rule `root` the text keeps to. */
  readonly grammar?: string | undefined;
}

/** The engine's own sampling. */
export interface Sampling extends Dice, Filters {
  /** 0: all tokens. */
  readonly topK: number;
  /** 1: all tokens. */
  readonly topP: number;
  /** 0: all tokens. */
  readonly minP: number;
  /** A token that ends texts is written like any other. */
  readonly yieldEogToken: boolean;
}

/** What chooses the tokens of one text, and remembers those that it has seen. */
export interface Chooser {
  /** Other dice from the next token on. What steers itself (mirostat, XTC) keeps its own. */
  reseed(seed: number): void;
  free(): void;
}

/** What the engine thought of one token. */
export interface Seen {
  /** ln p of the token, given those before it. */
  readonly logProbability: number;
  /** Whether no token was likelier. */
  readonly likeliest: boolean;
}

/** A text whose end is asked about. */
export interface Followed {
  /** At least two, no more than the context holds. */
  readonly tokens: readonly number[];
  /** The first token after which something is expected. */
  readonly from: number;
}

/** What goes along with a text that is continued. */
export interface Along {
  /** Of this sampling: the text goes on with what it remembers, though tokens may have been evaluated anew meanwhile. Default: a new one. */
  readonly chooser?: Chooser | undefined;
  /** Takes the logits that each token is chosen by, before it is handed over. Engine llama-c. */
  readonly logits?: Float32Array | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * One text among those that the engine has at once, each with a context of its own. A signal ends what is computed within a few milliseconds, and
 * the call rejects with its reason; the text then is as it was before. All other errors are engine-failed unless said otherwise.
 */
export interface Sequence extends WritingEngine<readonly number[], number, Sampling> {
  /** The tokens that it has read or written, and computed. */
  readonly tokens: readonly number[];
  continue(tokens: readonly number[], sampling: Sampling, along?: Along): AsyncGenerator<number, unknown>;
  /**
   * The continuation of `tokens` where `pick` chooses: it is given the logits of the whole vocabulary, in an array that
   * is used again for the next token. A token that ends texts ends this one unless sampling lets it be written.
   */
  choose(
    tokens: readonly number[],
    pick: (logits: Float32Array) => number,
    sampling: Sampling,
    signal?: AbortSignal,
  ): AsyncGenerator<number, unknown>;
  /** Evaluates tokens with the present weights, and writes none: the context that `continue` then goes on from. */
  read(tokens: readonly number[], signal?: AbortSignal): Promise<void>;
  /** Forgets every token: the key/value cache holds what earlier weights computed. */
  reset(): Promise<void>;
  /** Forgets what differs from the beginning of `tokens`, and their last one; resolves to how many of them it still has. */
  keep(tokens: readonly number[]): Promise<number>;
  /** Has what another text of this engine has computed, in the place of its own; resolves to whether this engine can. */
  take(other: Sequence): Promise<boolean>;
  /** What it has computed of its tokens, for {@link restore}; undefined where the engine cannot tell. */
  save(): Promise<Uint8Array | undefined>;
  /** Takes what {@link save} gave of these tokens; resolves to whether it was of this model, release and kind of context. */
  restore(state: Uint8Array, tokens: readonly number[]): Promise<boolean>;
}

/** Low-rank additions to the weights of a loaded model. */
export interface Adapter {
  free(): void;
}

/** Texts that are each read for themselves, several at once. */
export interface ShortTexts {
  /** How many of these texts, from number `first` on, are read at once: 1 where the first is too long for that. */
  fitting(texts: readonly (readonly number[])[], first: number): number;
  /**
   * {@link Engine.score} of as many as that: visit(text, i, expected), text after text. What is asked differs from text to text in `from` and
   * `reference` alone, and nothing is added up.
   */
  score(
    texts: readonly (readonly number[])[],
    asked: readonly Asked[],
    visit: (text: number, i: number, expected: Expectation) => void,
    signal?: AbortSignal,
  ): Promise<(Kept | undefined)[]>;
}

/** A model as an engine has it loaded: tokens in, tokens and logits out. All errors are engine-failed unless said otherwise. */
export interface Engine {
  /** What the user calls the model: the engine has the live file. */
  readonly name: string;
  /** Tokens of each text. */
  readonly contextSize: number;
  /** How many tokens there are. */
  readonly vocabulary: number;
  /** The token that every text begins with, where the model has one. */
  readonly beginning: number | null;
  /** Texts that are computed at once, as parts of one batch. */
  readonly sequences: readonly Sequence[];
  /** The tokens of a text, with the token that begins every text where the model has one; none for "" where it has not. */
  tokenize(text: string): number[];
  /** The tokens of a text alone. `special`: where it has the names of tokens that are no text (such as <|im_end|>), these tokens. */
  tokensOf(text: string, special: boolean): number[];
  /** The name of one token, also where that is no text. */
  nameOf(token: number): string;
  /** The text of `tokens` as it reads on after `preceding`: with the spaces that the tokenizer puts between them. */
  text(tokens: readonly number[], preceding: readonly number[]): string;
  /**
   * What chooses by `sampling` in a text that has `before` as yet: penalties see these, a grammar does not. Without it `continue` makes its own.
   * @throws BrownianError usage for what this engine has not (with what to do), or does not take
   */
  chooser(sampling: Sampling, before: readonly number[]): Promise<Chooser>;
  /**
   * What the model expects of each of `tokens` but the first, no more than the context holds, evaluated afresh in place of the first sequence:
   * visit(i, expected) of what it expects after token i, in turn, for every i from `asked.from` on. In one go, unless there is something to do
   * between two tokens. Resolves to what is to be compared with, where that was asked for.
   */
  score(
    tokens: readonly number[],
    asked: Asked,
    visit: (i: number, expected: Expectation) => void,
    between?: () => Promise<unknown>,
    signal?: AbortSignal,
  ): Promise<Kept | undefined>;
  /** Of engines that read several short texts at once. */
  readonly shortTexts?: ShortTexts | undefined;
  /**
   * What the model thinks of every token of each text after number `from`, evaluated afresh in place of all sequences: as many texts at once as there
   * are sequences (less one, where they begin alike: what they have in common is computed once).
   */
  followAll(texts: readonly Followed[], signal?: AbortSignal): Promise<Seen[][]>;
  /** The logit of every token after `tokens`, evaluated afresh; what is no number is handed over, too. */
  logits(tokens: readonly number[]): Promise<ReadonlyMap<number, number>>;
  /**
   * The mean of what the last layer makes of each of `tokens`, at least one and no more than the context holds, evaluated afresh in place of the
   * first sequence. Of engines that hand it over.
   */
  embed?(tokens: readonly number[], signal?: AbortSignal): Promise<Float64Array>;
  /** Reads a GGUF adapter, whole: the file is not needed after. Of engines that exchange adapters. */
  loadAdapter?(path: string): Promise<Adapter>;
  /** Adds these to the weights, each times its scale, in the place of all others: what is computed from now on. Sequences keep what they have. */
  adapt?(adapters: readonly Adapter[], scales: readonly number[]): Promise<void>;
  dispose(): Promise<void>;
}

export interface EngineOptions {
  /** Default: as many as may spin here (threads.ts): with one too many, writing is ten times slower. */
  readonly threads?: number | undefined;
  /** The same, to read prompts and texts; default `threads`. */
  readonly threadsPrompt?: number | undefined;
  /** Tokens of context; default: what the model was trained on, at most 4096. */
  readonly contextSize?: number | undefined;
  /** Texts that are computed at once, each with a context of `contextSize`; default 1. */
  readonly parallel?: number | undefined;
  /** Whether they lie in one cache instead of one each, which is quicker for many short ones that begin alike; default false. */
  readonly oneCache?: boolean | undefined;
  /** Whether llama.cpp may rearrange weights for speed, and then multiply with a copy that no write reaches; default true. */
  readonly repack?: boolean | undefined;
  /** Layers whose weights are copied to a GPU, where no write to the file reaches them; default 0. */
  readonly gpuLayers?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What an engine says of itself. */
export interface EngineDescription {
  /** As it is called, such as "node-llama-cpp". */
  readonly name: string;
  /** The release of llama.cpp in it. */
  readonly llamaCpp: string;
  /** Whether it came built, or was built on this machine: "prebuilt" or "localBuild". */
  readonly build: string;
  /** How many of the processor's cores are for computing, as it sees them. */
  readonly cores: number;
}

/** An engine before it has a model. */
export interface EngineKind {
  /** Whether its context is ours: several texts at once, other threads to read with (EngineOptions), states that are saved (Sequence.save). */
  readonly ownsContext: boolean;
  /** Whether it can be told not to rearrange weights (EngineOptions.repack): then it sees every type move. */
  readonly choosesRepacking: boolean;
  /** Whether it adds adapters to weights, and exchanges them while the model is loaded (Engine.adapt). */
  readonly exchangesAdapters: boolean;
  /** Whether layers can go to a GPU (EngineOptions.gpuLayers). */
  readonly offloads: boolean;
  /** Why it cannot be used here; undefined where it can, as far as that is known before a model is loaded. */
  whyNot(): string | undefined;
  /**
   * Loads the model file `path`, mapped into memory, so that it multiplies with what is written there.
   * @param name what the user calls the model
   * @throws BrownianError engine-missing, engine-failed (with the engine's message), usage (context size)
   */
  load(path: string, name: string, options: EngineOptions): Promise<Engine>;
  /** Name, version and build. @throws BrownianError engine-missing, engine-failed */
  describe(): Promise<EngineDescription>;
}
