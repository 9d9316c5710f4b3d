// From messages to the tokens that a model was taught to read them as: by the Jinja template in its metadata, rendered by @huggingface/jinja.
// Text of a message never becomes one of the tokens that say who speaks.

import type { Engine } from "../engine/index.js";
import { BrownianError, shown } from "../errors.js";

/** A call of a function that a model asked for, as OpenAI's protocol writes it. */
export interface ToolCall {
  /** What the answer to it names. */
  readonly id?: string | undefined;
  /** Always "function". */
  readonly type?: "function" | undefined;
  /** Its name, and its arguments as JSON. */
  readonly function: { readonly name: string; readonly arguments: string };
}

/**
 * One message of a chat.
 * @example
 * const messages = [{ role: "system", content: "You are brief." }, { role: "user", content: "Who are you?" }] as const;
 */
export interface Message {
  /** Who speaks. "developer" is "system" to templates that do not know it. */
  readonly role: "system" | "developer" | "user" | "assistant" | "tool";
  /** The text. What in it looks like one of the model's special tokens stays text. */
  readonly content: string;
  /** The speaker's name, for templates that write it. */
  readonly name?: string | undefined;
  /** Of an assistant: what it called. */
  readonly tool_calls?: readonly ToolCall[] | undefined;
  /** Of a tool: which call this answers. */
  readonly tool_call_id?: string | undefined;
}

/** What a model goes on from: text, tokens of its own, or a chat. */
export type Prompt = string | readonly number[] | readonly Message[];

/** What a chat is rendered with besides its messages. */
export interface ChatOptions {
  /** Functions that the model may call, as OpenAI's protocol describes them; the template must know tools. */
  readonly tools?: readonly object[] | undefined;
  /** More names for the template, such as { enable_thinking: false }. */
  readonly variables?: Readonly<Record<string, string | number | boolean>> | undefined;
}

type Tokenizer = Pick<Engine, "tokensOf" | "nameOf" | "text" | "beginning">;

const ROLES: readonly string[] = ["system", "developer", "user", "assistant", "tool"];

/** Private-use characters stand for what is to stay text while a template is rendered: the lower for letters, the last for placeholders. */
const FIRST_LETTER = 0xe000;
const LAST_LETTER = 0xf7ff;
const FIRST_DIGIT = 0xf800;
const MARK = "\uf8ff";
const MARK_RANGE = "\uf800";
const PRIVATE = /[\ue000-\uf8ff]/;
const PRIVATE_RUNS = /([\ue000-\uf8ff]+)/;
const PARTS = /\uf8ff([\uf800-\uf809]+)\uf8ff|[\uf800-\uf8ff]|[\ue000-\uf7ff]+/g;

/** Whether a prompt is a chat. @throws BrownianError usage where it is neither that nor text nor tokens */
export function isChat(prompt: Prompt): prompt is readonly Message[] {
  if (typeof prompt === "string") return false;
  if (Array.isArray(prompt) && prompt.length > 0) {
    if (prompt.every((one) => Number.isInteger(one))) return false;
    if (prompt.every((one) => typeof one === "object" && one !== null)) return true;
  }
  throw new BrownianError(
    "usage",
    "A prompt is a text, a list of tokens, or a list of messages ({ role, content }), and no empty list.",
  );
}

/** A model's own way of reading chats. */
export class ChatTemplate {
  /**
   * @param metadata of the model file
   * @param given a template in the place of the model's own
   * @param path of the model, for messages
   * @throws BrownianError usage for a template that is none
   */
  static async of(metadata: Readonly<Record<string, unknown>>, given: string | undefined, path: string): Promise<ChatTemplate> {
    const own = metadata["tokenizer.chat_template"];
    const text = given ?? (typeof own === "string" && own !== "" ? own : undefined);
    if (text === undefined) return new ChatTemplate(path, undefined, metadata, undefined);
    const { Template } = await import("@huggingface/jinja");
    try {
      return new ChatTemplate(path, text, metadata, new Template(text));
    } catch (error) {
      // The model's own may be one that this reader does not know: the model still continues texts.
      const why = (error as Error).message;
      if (given === undefined) return new ChatTemplate(path, undefined, metadata, undefined, why);
      throw new BrownianError("usage", `The chat template that was given is no Jinja that this version reads: ${why}`, {
        cause: error,
      });
    }
  }

  private readonly names = new Map<number, boolean>();

  private constructor(
    private readonly path: string,
    /** The Jinja; undefined where there is none. */
    readonly text: string | undefined,
    private readonly metadata: Readonly<Record<string, unknown>>,
    private readonly template: { render(items: Record<string, unknown>): string } | undefined,
    private readonly unread?: string,
  ) {}

  /** Whether it says how to call functions. */
  get knowsTools(): boolean {
    return /\btools\b/.test(this.text ?? "");
  }

  /**
   * The tokens of a chat, up to where the assistant is to speak.
   *
   * What in a message looks like a special token is replaced, one letter for one, by private-use characters before the template is rendered, and
   * put back for the tokenizer, which is told that it is text. All else is tokenized at once, as other programs do it. Whether a special token
   * has come together from text in another way (a template that changes letters, say) is seen by rendering the chat once more, with placeholders
   * for all texts: where that has other special tokens, its own are taken, and texts are put in as they are (a template that trims them does not
   * then).
   * @throws BrownianError usage
   */
  tokens(messages: readonly Message[], engine: Tokenizer, options: ChatOptions = {}): number[] {
    checkMessages(messages);
    if (options.tools !== undefined && !this.knowsTools)
      throw new BrownianError(
        "usage",
        `The chat template of ${this.path} has no place for tools: leave them out, or take a model (or a chatTemplate) that knows them.`,
      );
    const letters = new Letters(engine);
    const guard = (text: string) => letters.guarded(text);
    const chat = messages.map((message) => mapped(this.prepared(message), guard) as Message);
    const { variables } = options;
    const tools = options.tools === undefined ? undefined : (mapped(options.tools, guard) as object[]);
    const tokens = tokensOf(this.render(chat, engine, { tools, variables }), engine, (run) => letters.plain(run));
    const places = chat.map((message, i) => ({ ...message, content: placeholder(message.content, i) }));
    const safe = tokensOf(this.render(places, engine, { tools, variables }), engine, (run) =>
      run.replace(PARTS, (part, digits?: string) => {
        if (digits !== undefined) return (messages[numberOf(digits)] as Message).content;
        if (part < MARK_RANGE) return letters.plain(part);
        throw new BrownianError("usage", `The chat template of ${this.path} cuts texts apart: give the prompt as tokens.`);
      }),
    );
    const names = (list: readonly number[]) => String(list.filter((token) => this.isName(token, engine)));
    const chosen = names(tokens) === names(safe) ? tokens : safe;
    return engine.beginning !== null && chosen[0] !== engine.beginning ? [engine.beginning, ...chosen] : chosen;
  }

  /** As templates expect it: arguments as what their JSON says, and roles that the template knows. */
  private prepared(message: Message): unknown {
    const role = message.role === "developer" && !/\bdeveloper\b/.test(this.text ?? "") ? "system" : message.role;
    const calls = message.tool_calls?.map((call) => ({
      ...call,
      function: { ...call.function, arguments: parsed(call.function.arguments) },
    }));
    return { ...message, role, tool_calls: calls };
  }

  /** Whether a token has a name that is no text. */
  private isName(token: number, engine: Tokenizer): boolean {
    let is = this.names.get(token);
    if (is === undefined) {
      const name = engine.nameOf(token);
      is = name !== "" && String(engine.tokensOf(name, true)) !== String(engine.tokensOf(name, false));
      this.names.set(token, is);
    }
    return is;
  }

  private render(messages: unknown, engine: Tokenizer, { tools, variables }: ChatOptions): string {
    if (this.template === undefined) throw this.missing();
    try {
      return this.template.render({
        ...variables,
        messages,
        ...(tools !== undefined && { tools }),
        add_generation_prompt: true,
        bos_token: this.nameOfToken("bos", engine),
        eos_token: this.nameOfToken("eos", engine),
      });
    } catch (error) {
      const why = (error as Error).message;
      throw new BrownianError("usage", `The chat template of ${this.path} does not take these messages: ${why}`, {
        cause: error,
      });
    }
  }

  private nameOfToken(which: "bos" | "eos", engine: Tokenizer): string {
    const token = this.metadata[`tokenizer.ggml.${which}_token_id`];
    return typeof token === "number" ? engine.nameOf(token) : "";
  }

  private missing(): BrownianError {
    const why =
      this.unread === undefined
        ? `${this.path} has no chat template: it continues texts, and nobody taught it to answer`
        : `The chat template of ${this.path} is not one that this version reads (${this.unread})`;
    return new BrownianError("usage", `${why}. Give a prompt as text, or a template (chatTemplate, --chat-template FILE).`);
  }
}

function checkMessages(messages: readonly Message[]): void {
  for (const { role, content } of messages) {
    if (!ROLES.includes(role))
      throw new BrownianError("usage", `The role of a message must be one of ${ROLES.join(", ")}, but is ${shown(role)}.`);
    if (typeof content !== "string")
      throw new BrownianError("usage", `The content of a message must be a text, but is ${shown(content)}.`);
  }
}

/** A value of JSON with all its texts but roles and types changed, those of keys too. */
function mapped(value: unknown, change: (text: string) => string): unknown {
  if (typeof value === "string") return change(value);
  if (Array.isArray(value)) return value.map((one) => mapped(one, change));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, one]) => one !== undefined)
      .map(([key, one]) => [change(key), key === "role" ? one : mapped(one, change)]),
  );
}

/** Tokens of what a template made: runs of private-use characters are text, and the rest may name special tokens. */
function tokensOf(rendered: string, engine: Tokenizer, plain: (run: string) => string): number[] {
  return rendered
    .split(PRIVATE_RUNS)
    .flatMap((part, i) => (i % 2 === 1 ? engine.tokensOf(plain(part), false) : engine.tokensOf(part, true)));
}

/** The text as a tokenizer is to see it: private-use characters stand for letters that must not be read as a special token's. */
class Letters {
  private readonly byLetter = new Map<string, string>();
  private readonly byStandIn = new Map<string, string>();

  constructor(private readonly engine: Tokenizer) {}

  /** The text with stand-ins for what would be read as special tokens. */
  guarded(text: string): string {
    if (!PRIVATE.test(text) && this.harmless(text)) return text;
    const names = [...new Set(this.engine.tokensOf(text, true))]
      .map((token) => this.engine.nameOf(token))
      .filter((name) => name !== "" && !this.harmless(name))
      .sort((a, b) => b.length - a.length);
    const pattern = new RegExp([...names.map(escaped), PRIVATE.source].join("|"), "g");
    const guarded = text.replace(pattern, (found) => this.standIns(found));
    const rest = guarded.split(PRIVATE_RUNS).filter((_, i) => i % 2 === 0);
    return rest.every((part) => this.harmless(part)) ? guarded : this.standIns(text);
  }

  /** What a run of stand-ins stands for. */
  plain(run: string): string {
    return [...run].map((one) => this.byStandIn.get(one) ?? one).join("");
  }

  private harmless(text: string): boolean {
    return String(this.engine.tokensOf(text, true)) === String(this.engine.tokensOf(text, false));
  }

  private standIns(text: string): string {
    return [...text].map((letter) => this.standIn(letter)).join("");
  }

  private standIn(letter: string): string {
    const known = this.byLetter.get(letter);
    if (known !== undefined) return known;
    const code = FIRST_LETTER + this.byLetter.size;
    if (code > LAST_LETTER)
      throw new BrownianError("usage", "The chat has more different letters in special tokens than can be kept apart.");
    const one = String.fromCharCode(code);
    this.byLetter.set(letter, one);
    this.byStandIn.set(one, letter);
    return one;
  }
}

const escaped = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|/-]/g, "\\$&");

/** A placeholder: the number of its message in private-use digits, between two marks. */
function placeholder(text: string, number: number): string {
  if (text.trim() === "") return text;
  const digits = [...String(number)].map((digit) => String.fromCharCode(FIRST_DIGIT + Number(digit))).join("");
  return MARK + digits + MARK;
}

const numberOf = (digits: string): number => Number([...digits].map((one) => one.charCodeAt(0) - FIRST_DIGIT).join(""));

/** Arguments of a call as an object, where they are one in JSON. */
function parsed(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? value : text;
  } catch {
    return text;
  }
}
