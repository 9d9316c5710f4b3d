// Small fakes of the servers that load adapters, with faults on demand: of llama-server in the shapes that build 11434 was seen to answer with, of
// SGLang as the source of release 0.5.23 has them, of vLLM and TGI by what is known of their protocols, not recorded.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll } from "vitest";

export interface Asked {
  readonly path: string;
  readonly body: Record<string, unknown>;
  readonly headers: IncomingMessage["headers"];
}

/** What a fake does instead of answering well: a status, silence, no HTTP at all, or another body. */
export type Fault =
  | { status: number; body?: unknown; headers?: Record<string, string> }
  | "silence"
  | "hangup"
  | { text: string };

export class FakeServer {
  readonly asked: Asked[] = [];
  /** Asked for each request that is to write something. */
  fault: (count: number) => Fault | undefined = () => undefined;
  /** What is written, by the member's name or number (and its scale), and what was asked. */
  answer: (member: string, asked: Asked) => string = (member) => `answer of ${member}`;
  /** How likely "no" is where "yes" is the other word: after so many tokens, by the member's name or number (and its scale). */
  doubt: (member: string, after: number) => number = () => 0.2;
  /** What is called instead, where a chat has tools. */
  calls: readonly object[] | undefined;
  /** How likely each word of an answer is; the word "other" has what is left. */
  probability: (member: string, word: number) => number = () => Math.exp(-0.5);
  /** Most requests at a time. */
  most = 0;
  private now = 0;
  private count = 0;
  readonly loaded = new Map<string, string>();
  private constructor(
    private readonly server: Server,
    readonly url: string,
  ) {}

  static async start(kind: keyof typeof KINDS, options: Record<string, unknown> = {}): Promise<FakeServer> {
    let fake: FakeServer | undefined;
    const server = createServer((request, response) => void fake?.handle(KINDS[kind], options, request, response));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    fake = new FakeServer(server, `http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    afterAll(() => fake?.stop());
    return fake;
  }

  /** Idempotent. */
  async stop(): Promise<void> {
    if (!this.server.listening) return;
    this.server.closeAllConnections();
    await new Promise<void>((resolve) => this.server.close(() => resolve()));
  }

  /** Requests that wrote something. */
  get written(): readonly Asked[] {
    return this.asked.filter(({ path }) => /completions|generate$/.test(path));
  }

  private async handle(
    kind: Kind,
    options: Record<string, unknown>,
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    let text = "";
    for await (const part of request) text += part;
    const asked = { path: request.url ?? "", body: text === "" ? {} : JSON.parse(text), headers: request.headers };
    this.asked.push(asked);
    this.most = Math.max(this.most, ++this.now);
    try {
      const writes = /completions|generate$/.test(asked.path);
      const fault = writes ? this.fault(this.count++) : undefined;
      if (fault === "silence") return await new Promise((resolve) => response.once("close", () => resolve()));
      if (fault === "hangup") return void request.socket.destroy();
      await new Promise((resolve) => setTimeout(resolve, 5));
      if (fault !== undefined && "text" in fault)
        return void response.setHeader("content-type", "application/json").end(fault.text);
      const {
        status = 200,
        body,
        headers = {},
      } = fault ?? kind(this, asked, options) ?? { status: 404, body: { detail: "Not Found" } };
      if (asked.body.stream === true && status === 200)
        return void response.setHeader("content-type", "text/event-stream").end(eventsOf(body));
      response.writeHead(status, { "content-type": typeof body === "string" ? "text/plain" : "application/json", ...headers });
      response.end(typeof body === "string" ? body : JSON.stringify(body));
    } finally {
      this.now--;
    }
  }
}

type Kind = (
  fake: FakeServer,
  asked: Asked,
  options: Record<string, unknown>,
) => { status?: number; body: unknown; headers?: Record<string, string> } | undefined;

const words = (text: string) => text.match(/ ?\S+/g) ?? [];

/** In the shape of chat completions, or of completions with `lists` or a list of tokens. */
function completion(asked: Asked, fake: FakeServer, member: string, lists: boolean) {
  const { path, body } = asked;
  const text = fake.answer(member, asked);
  const several = body.top_logprobs === 20 || body.logprobs === 20;
  const content = words(text).map((token, i) => {
    const p = fake.probability(member, i);
    const own = { token, logprob: Math.log(p), bytes: [...Buffer.from(token)] };
    const other = { token: " other", logprob: Math.log(1 - p), bytes: [] };
    return { ...own, top_logprobs: several ? [own, other] : [] };
  });
  if (path.includes("chat")) {
    const called = body.tools === undefined ? undefined : fake.calls;
    const message = { role: "assistant", content: called === undefined ? text : null, tool_calls: called };
    return { choices: [{ index: 0, message, logprobs: { content }, finish_reason: called ? "tool_calls" : "stop" }] };
  }
  const tops = content.map(({ top_logprobs }) => Object.fromEntries(top_logprobs.map((one) => [one.token, one.logprob])));
  const logprobs = lists
    ? { tokens: words(text), token_logprobs: words(text).map(() => -0.5), top_logprobs: several ? tops : [], text_offset: [] }
    : { content };
  return { choices: [{ index: 0, text, logprobs, finish_reason: "length" }] };
}

/** The same word by word. */
function eventsOf(body: unknown): string {
  const [choice] = (body as { choices: [Record<string, unknown>] }).choices;
  const { message, text, logprobs } = choice as {
    message?: { content: string | null; tool_calls?: { function: { name: string; arguments: string } }[] };
    text?: string;
    logprobs: Record<string, unknown[]>;
  };
  const pieces = words(message?.content ?? text ?? "").map((piece, i) => {
    const own = Object.fromEntries(Object.entries(logprobs).map(([name, list]) => [name, list.slice(i, i + 1)]));
    return { ...(message ? { delta: { content: piece } } : { text: piece }), logprobs: own, finish_reason: null };
  });
  for (const [index, call] of (message?.tool_calls ?? []).entries()) {
    const { arguments: given } = call.function;
    const parts = [given.slice(0, 3), given.slice(3)].map((part, i) =>
      i === 0 ? { ...call, index, function: { ...call.function, arguments: part } } : { index, function: { arguments: part } },
    );
    for (const part of parts)
      pieces.push({ delta: { content: "", tool_calls: [part] }, logprobs: {}, finish_reason: null } as never);
  }
  const last = { ...(message ? { delta: {} } : { text: "" }), logprobs: null, finish_reason: choice.finish_reason };
  const events = [...pieces, last].map((one) => `data: ${JSON.stringify({ choices: [{ index: 0, ...one }] })}\n\n`);
  const usage = { choices: [], usage: { prompt_tokens: 7, completion_tokens: pieces.length, total_tokens: 7 + pieces.length } };
  return `${events.join("")}data: ${JSON.stringify(usage)}\n\ndata: [DONE]\n\n`;
}

/** Which of two words comes, in the shapes that servers say it in. */
function places(fake: FakeServer, member: string, count: number): { yes: number; no: number }[] {
  return Array.from({ length: count }, (_, after) => {
    const no = fake.doubt(member, after);
    return { yes: Math.log(1 - no), no: Math.log(no) };
  });
}

/** A text that is read: every token of it is "yes". vLLM says nothing of the first, and has written one more. */
function echoed(fake: FakeServer, member: string, { body }: Asked) {
  const tokens = [...words(String(body.prompt)), "yes"];
  const top = places(fake, member, tokens.length);
  const skip = <T>(list: readonly T[]) => list.map((one, i) => (i === 0 ? null : one));
  const logprobs = { tokens, token_logprobs: skip(top.map(({ yes }) => yes)), top_logprobs: skip(top) };
  return { choices: [{ index: 0, text: `${body.prompt}yes`, logprobs, finish_reason: "length" }] };
}

/** An empty list is as good as none to llama-server, and then all members are added. */
const loraOf = ({ body }: Asked): { id: number; scale: number } =>
  ((body.lora ?? []) as { id: number; scale: number }[])[0] ?? { id: Number.NaN, scale: 1 };

/** options.adapters: paths that it was started with. */
const llamaServer: Kind = (fake, asked, { adapters = [] }) => {
  const paths = adapters as string[];
  if (asked.path === "/lora-adapters")
    return { body: paths.map((path, id) => ({ id, path, scale: 1, task_name: "", prompt_prefix: "" })) };
  if (asked.path === "/tokenize") return { body: { tokens: words(String(asked.body.content)).map(() => 1) } };
  if (asked.path === "/completion") {
    const { id, scale } = loraOf(asked);
    const after = (asked.body.prompt as number[]).length;
    const [{ yes, no }] = places(fake, `${paths[id]} x ${scale}`, after + 1).slice(-1) as [{ yes: number; no: number }];
    const top_logprobs = [
      { id: 1, token: "yes", logprob: yes },
      { id: 2, token: "no", logprob: no },
    ];
    return { body: { content: "yes", completion_probabilities: [{ id: 1, token: "yes", logprob: yes, top_logprobs }] } };
  }
  if (!asked.path.endsWith("completions")) return undefined;
  const { id, scale } = loraOf(asked);
  const member = Number.isNaN(id) ? "all of them" : scale === 0 ? "clean weights" : `${paths[id]} x ${scale}`;
  return { body: completion(asked, fake, member, false) };
};

/** options.fixed: adapters may not be loaded while it runs; options.lost: a path that it does not find; options.kept: it
 * unloads nothing. */
const vllm: Kind = (fake, asked, { fixed, lost, kept }) => {
  const { path, body } = asked;
  const error = (status: number, message: string) => ({
    status,
    body: { error: { message, type: "BadRequestError", code: status } },
  });
  const names = [...fake.loaded.keys()].map((id) => ({ id, object: "model", owned_by: "vllm", root: "x", parent: "base" }));
  if (path === "/v1/models")
    return { body: { object: "list", data: [{ id: "base", owned_by: "vllm", parent: null }, ...names] } };
  if (path === "/v1/load_lora_adapter" && fixed !== true) {
    const name = String(body.lora_name);
    if (fake.loaded.has(name)) return error(400, `The lora adapter '${name}' has already been loaded.`);
    if (String(body.lora_path).endsWith(String(lost)))
      return error(404, `Loading lora ${name} failed: No adapter found for ${body.lora_path}`);
    fake.loaded.set(name, String(body.lora_path));
    return { body: `Success: LoRA adapter '${name}' added successfully.` };
  }
  if (path === "/v1/unload_lora_adapter" && fixed !== true) {
    if (body.lora_name === kept || kept === true) return error(500, "Engine is busy.");
    if (!fake.loaded.has(String(body.lora_name))) return error(404, `The lora adapter '${body.lora_name}' cannot be found.`);
    fake.loaded.delete(String(body.lora_name));
    return { body: `Success: LoRA adapter '${body.lora_name}' removed successfully.` };
  }
  if (!path.endsWith("completions")) return undefined;
  const model = String(body.model);
  if (model !== "base" && !fake.loaded.has(model)) return error(404, `The model '${model}' does not exist.`);
  if (body.echo === true) return { body: echoed(fake, model, asked) };
  return { body: completion(asked, fake, model, true) };
};

const sglang: Kind = (fake, asked, { lost, kept }) => {
  const { path, body } = asked;
  if (path === "/v1/models") return { body: { object: "list", data: [{ id: "base", owned_by: "sglang", root: "base" }] } };
  if (path === "/load_lora_adapter") {
    const name = String(body.lora_name);
    const refused = fake.loaded.has(name)
      ? `Failed to load LoRA adapter ${name} because it is already loaded`
      : String(body.lora_path).endsWith(String(lost)) && "Failed to load LoRA adapter";
    if (refused !== false) return { body: { success: false, error_message: refused, loaded_adapters: {} }, status: 400 };
    fake.loaded.set(name, String(body.lora_path));
    return { body: { success: true, error_message: "", loaded_adapters: {} } };
  }
  if (path === "/unload_lora_adapter") {
    if (kept === true)
      return { body: { success: false, error_message: "LoRA adapter is in use.", loaded_adapters: {} }, status: 400 };
    return { body: { success: fake.loaded.delete(String(body.lora_name)), loaded_adapters: {} } };
  }
  if (!path.endsWith("completions")) return undefined;
  if (body.echo === true) return { body: echoed(fake, String(body.lora_path ?? "base"), asked) };
  return { body: completion(asked, fake, String(body.lora_path ?? "base"), true) };
};

/** options.adapters: names that it was started with. */
const tgi: Kind = (fake, asked, { adapters = [] }) => {
  const { path, body } = asked;
  if (path === "/info") return { body: { model_id: "base", max_total_tokens: 2048, version: "3.3.5", sha: null } };
  const parameters = (body.parameters ?? {}) as Record<string, unknown>;
  const called = String(path === "/generate" ? parameters.adapter_id : body.model);
  if (!path.endsWith("generate") && !path.endsWith("completions")) return undefined;
  if (!(adapters as string[]).includes(called))
    return { status: 422, body: { error: `Adapter ${called} is not loaded`, error_type: "validation" } };
  const text = fake.answer(called, asked);
  if (path !== "/generate") return { body: completion(asked, fake, called, true) };
  const tokens = words(text).map((word, id) => ({ id, text: word, logprob: -0.5, special: false }));
  return {
    body: {
      generated_text: text,
      details: { finish_reason: "length", generated_tokens: tokens.length, seed: null, prefill: [], tokens },
    },
  };
};

const KINDS = { "llama-server": llamaServer, vllm, sglang, tgi } as const;
