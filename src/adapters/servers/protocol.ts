// What a protocol is: how a kind of server is told of members, and asked for texts with one of them. Each is one file beside this one and one line in
// index.ts.

import type { AdapterFormatName } from "../formats/index.js";
import type { Server } from "./http.js";
import type { Stayed } from "./unloading.js";

/** A message of a chat. */
export interface ServedMessage {
  /** "system", "user" or "assistant". */
  readonly role: string;
  /** What it says. */
  readonly content: string;
}

/** What an answer keeps to: a grammar (GBNF), or JSON, of a schema where there is one. */
export type Shape = { readonly grammar: string } | { readonly json: { readonly schema?: unknown } };

/** What is to be written. */
export interface Asked {
  /** A chat to answer, or a text to continue. */
  readonly prompt: string | readonly ServedMessage[] | readonly number[];
  readonly maxTokens: number;
  /** Of softmax; 0: greedy. */
  readonly temperature: number;
  readonly seed?: number | undefined;
  readonly stop?: readonly string[] | undefined;
  /** Only for servers that can keep to it ({@link Protocol.kept}). */
  readonly shape?: Shape | undefined;
  /** Whether log-probabilities are not asked for: with tools, servers may refuse them. */
  readonly plain?: boolean | undefined;
  /** More of OpenAI's fields, for servers that speak it. */
  readonly more?: Readonly<Record<string, unknown>> | undefined;
  /** Told of pieces of text as they are written, with their tokens; of all at once where a server cannot. */
  readonly heard?: ((piece: string, tokens: readonly ServedToken[]) => void) | undefined;
}

/** A token of an answer. */
export interface ServedToken {
  readonly text: string;
  readonly logProbability: number;
  /** The likeliest in its place, where they were asked for. */
  readonly top?: readonly { readonly text: string; readonly logProbability: number }[] | undefined;
}

/** A token of a text as a model reads it. */
export interface ReadToken {
  /** ln p of it; where it is not among the likeliest and nobody says, that of the last of these: no less than it is. */
  readonly logProbability: number;
  /** Of the likeliest ones, falling. The first is the one that greedy decoding takes. */
  readonly top: readonly { readonly text: string; readonly logProbability: number }[];
}

/** A function that an answer calls. */
export interface ServedCall {
  readonly id: string | undefined;
  readonly name: string;
  /** As JSON. */
  readonly arguments: string;
}

/** What a server wrote. */
export interface Answered {
  readonly text: string;
  /** Where it tells its logprobs. */
  readonly tokens?: readonly ServedToken[] | undefined;
  /** Functions that it calls, where it was told of some. */
  readonly calls?: readonly ServedCall[] | undefined;
  /** Tokens that were read and written, where the server says so. */
  readonly usage?: { readonly prompt: number; readonly written: number } | undefined;
  /** "stop" or "length", as servers say. */
  readonly end: string;
}

/** A file of a member as a server finds it. */
export interface ServedFile {
  /** Its name below the folder of members. */
  readonly name: string;
  /** The same as the server sees it. */
  readonly path: string;
}

/** Whether it is a chat. */
export const isServedChat = (prompt: Asked["prompt"]): prompt is readonly ServedMessage[] =>
  typeof prompt !== "string" && typeof prompt[0] === "object";

/** As OpenAI's protocol asks for JSON. */
export const responseFormat = ({ schema }: { readonly schema?: unknown }) => ({
  response_format:
    schema === undefined ? { type: "json_object" } : { type: "json_schema", json_schema: { name: "answer", schema } },
});

export interface Protocol {
  /** What the program is called. */
  readonly name: string;
  /** What its adapters are written in. */
  readonly format: AdapterFormatName;
  /** Whether a request has a scale; if not, sigma is the file's. */
  readonly scaled: boolean;
  /** Whether the server at this address is one. @throws ServerError where it does not answer */
  knows(server: Server, signal?: AbortSignal): Promise<boolean>;
  /**
   * Makes sure that the server has these members; resolves to what each is called there, in the same order.
   * @param own begins names that are new to the server
   * @throws BrownianError usage where it has not, and cannot be told; ServerError
   */
  load(server: Server, files: readonly ServedFile[], own: string, signal?: AbortSignal): Promise<readonly string[]>;
  /** The fields of a request whose answer keeps to this; undefined where the server cannot be told. */
  kept(shape: Shape, chat: boolean): Readonly<Record<string, unknown>> | undefined;
  /**
   * The fields of a request whose dice see every token, whatever the server would leave out by itself; with `minP`, those that are at least so many times
   * as likely as the likeliest before any temperature. Undefined where the server cannot be told, or cuts otherwise.
   */
  dice(minP: number): Readonly<Record<string, unknown>> | undefined;
  /** A text with a member, or without any. @throws ServerError */
  ask(
    server: Server,
    asked: Asked,
    member: { readonly called: string; readonly scale: number } | undefined,
    signal?: AbortSignal,
  ): Promise<Answered>;
  /**
   * Reads a text with a member, or without any, from its second token on. Not there: it does not tell what it thinks of a given text.
   * @throws ServerError
   */
  read?(
    server: Server,
    text: string,
    member: { readonly called: string; readonly scale: number } | undefined,
    signal?: AbortSignal,
  ): Promise<readonly ReadToken[]>;
  /** How many texts it can read at a time; not there: as many as it is asked. */
  readonly readsAtOnce?: number | undefined;
  /** Removes what `load` brought, where the server can; resolves to what stays though it could. Never throws. */
  unload(server: Server, called: readonly string[]): Promise<readonly Stayed[]>;
}
