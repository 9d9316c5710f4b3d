// Who writes the answers: the seam between the protocol and what is behind it. Here that is the model of this process (local.ts); another server,
// whose weights are moved by adapters, has the same face.

import type {
  ChatOptions,
  Embedding,
  EmbedOptions,
  GenerateOptions,
  Generation,
  Message,
  Prompt,
  TokenLogProbability,
  UncertainToken,
} from "../llama/index.js";
import type { ThermostatMemory } from "../thermostat/index.js";

/** As OpenAI's protocol asks for it. */
export interface Format {
  readonly type: "text" | "json_object" | "json_schema";
  readonly schema?: unknown;
}

/** What is to be written. */
export interface Ask {
  /** Text, tokens or a chat. */
  readonly prompt: Prompt;
  readonly chat: ChatOptions;
  /** Whether a tool has to be called, as OpenAI's protocol says it; only for writers that force calls. */
  readonly toolChoice?: unknown;
  readonly options: GenerateOptions;
  /** The shape of the answer, where it is not options.grammar. */
  readonly format?: Format | undefined;
  /** As surprising as softmax at this temperature, in the place of sigma. */
  readonly weightTemperature?: number | undefined;
  /** An ensemble reads what was written. */
  readonly uncertainty?: { readonly members?: number | undefined } | undefined;
}

/** What is to be turned into vectors. */
export interface EmbedAsk {
  /** Texts or tokens. */
  readonly texts: readonly Prompt[];
  readonly options: EmbedOptions;
  readonly weightTemperature?: number | undefined;
}

/** An ask that was checked. */
export interface Task {
  /** What the model reads. */
  readonly tokens: readonly number[];
  readonly options: GenerateOptions;
  readonly uncertainty?: Ask["uncertainty"];
}

/** What comes of it, piece by piece. */
export type Heard = (piece: string, tokens: readonly WrittenToken[]) => void;

export interface WrittenToken extends Partial<TokenLogProbability> {
  readonly token: number;
}

/** Noise of the ensemble that reads an answer of clean weights. */
export const ENSEMBLE_SIGMA = 0.05;

/** What an ensemble thinks of a token. */
export interface Uncertain extends Pick<UncertainToken, "probability" | "total" | "information"> {
  /** Members that think so, where not all do. */
  readonly members?: number | undefined;
}

/** A function that an answer calls, as OpenAI's protocol tells it. */
export interface Call {
  readonly id: string;
  readonly type: "function";
  readonly function: { readonly name: string; readonly arguments: string };
}

/** What was written. */
export interface Answer extends Generation {
  /** Of every token, where it was asked for, as far as it is known. */
  readonly uncertain?: readonly (Uncertain | undefined)[] | undefined;
  /** Tokens that were read, where that is known only now. */
  readonly promptTokens?: number | undefined;
  /** Functions that it calls, where the writer tells them from text. */
  readonly calls?: readonly Call[] | undefined;
}

export interface Writer {
  /** The model's name, as clients ask for it. */
  readonly name: string;
  /** Texts that are written at once. */
  readonly parallel: number;
  /** Tokens that prompt and answer may have. */
  readonly contextSize: number;
  /** Whether chats can tell it of tools; "forced": and that one has to be called. */
  readonly knowsTools: boolean | "forced";
  /** Checks what is asked, before anything is promised. @throws BrownianError, ApiError */
  check(ask: Ask): Promise<Task>;
  /** Writes, in its turn. Ends soon when the signal is raised. @throws BrownianError */
  write(task: Task, heard: Heard, signal: AbortSignal): Promise<Answer>;
  /** What moving weights takes, in bytes, where that is this process's. */
  memory?(): ThermostatMemory;
  /** Turns texts into vectors, in its turn. @throws BrownianError, ApiError */
  embed(ask: EmbedAsk, signal: AbortSignal): Promise<readonly Embedding[]>;
  /** The text of one token after others. */
  textOf(token: number, preceding: readonly number[]): string;
  close(): Promise<void>;
}

export type { Message };
