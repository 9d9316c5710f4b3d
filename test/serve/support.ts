// A server in this process with the embedded model, which was never taught to chat: its template is one for tests.
import { afterAll } from "vitest";
import { llamaC } from "../../src/engine/llama-c/index.js";
import { type LoadOptions, loadModel, type Model } from "../../src/llama/index.js";
import { LocalWriter, type ServeOptions, type Serving, serve } from "../../src/serve/index.js";

/** Several texts at once, and log-probabilities, need the engine llama-c. */
export const why = llamaC.whyNot();
if (why !== undefined) console.warn(`SKIPPED the server: ${why}`);

export const MODEL = "models/fairytales-3M-Q8_0.gguf";
export const NAME = "fairytales";

/** Speakers are told by special tokens: <s> begins a turn, </s> ends one. */
export const TEMPLATE =
  "{% if tools %}<s>tools {{ tools | tojson }}</s>{% endif %}" +
  "{% for message in messages %}<s>{{ message.role }}: {{ message.content | trim }}</s>{% endfor %}" +
  "{% if add_generation_prompt %}<s>Once upon a time{% endif %}";

export interface Started {
  readonly url: string;
  readonly model: Model;
  readonly server: Serving;
  readonly logged: string[];
}

/** Closed when the tests of the file that starts it are done. */
export async function started(options: ServeOptions = {}, load: LoadOptions = {}): Promise<Started> {
  const parallel = load.parallel ?? 2;
  const model = await loadModel(MODEL, { threads: 1, chatTemplate: TEMPLATE, ...load, parallel });
  const weightSigma = async (temperature: number) => temperature / 10;
  const logged: string[] = [];
  const log = (line: string) => void logged.push(line);
  const server = await serve(new LocalWriter(model, { name: NAME, parallel, weightSigma }), {
    port: 0,
    grace: 5,
    log,
    ...options,
  });
  afterAll(() => server.close());
  return { url: server.url, model, server, logged };
}

export const post = (url: string, path: string, body: unknown, headers: Record<string, string> = {}, signal?: AbortSignal) =>
  fetch(`${url}${path}`, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: typeof body === "string" || body instanceof Uint8Array ? body : JSON.stringify(body),
    signal: signal ?? null,
  });

export const CHAT = [{ role: "user", content: "Tell me of a king." }];
