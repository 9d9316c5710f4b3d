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

/** What is to be written. */
export interface Ask {
  /** Text, tokens or a chat. */
  readonly prompt: Prompt;
  readonly chat: ChatOptions;
  readonly options: GenerateOptions;
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

/** What was written. */
export interface Answer extends Generation {
  /** Of every token, where it was asked for. */
  readonly uncertain?: readonly UncertainToken[] | undefined;
}

export interface Writer {
  /** The model's name, as clients ask for it. */
  readonly name: string;
  /** Texts that are written at once. */
  readonly parallel: number;
  /** Tokens that prompt and answer may have. */
  readonly contextSize: number;
  /** Whether chats can tell it of tools. */
  readonly knowsTools: boolean;
  /** Checks what is asked, before anything is promised. @throws BrownianError, ApiError */
  check(ask: Ask): Promise<Task>;
  /** Writes, in its turn. Ends soon when the signal is raised. @throws BrownianError */
  write(task: Task, heard: Heard, signal: AbortSignal): Promise<Answer>;
  /** Turns texts into vectors, in its turn. @throws BrownianError, ApiError */
  embed(ask: EmbedAsk, signal: AbortSignal): Promise<readonly Embedding[]>;
  /** The text of one token after others. */
  textOf(token: number, preceding: readonly number[]): string;
  close(): Promise<void>;
}

export type { Message };
