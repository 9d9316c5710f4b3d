// llama.cpp in WebAssembly (@wllama/wllama), one model an engine, on one thread, in a worker of its own.
//
// Where the engine maps the model's file, as it does on hosts without JSPI, tensors lie in its copy of the file, and bytes written there are
// what it multiplies with at its next token: the memory map of the library, in a page. Loading a moved file anew takes a second, writing
// it into place some milliseconds (docs/guides/demo.md). wllama has no public call for that; its messages to its worker are used, and where they are not as
// expected, every moved file is loaded anew.

import { LoggerWithoutDebug, type RawCompletionResponse, Wllama } from "@wllama/wllama";
import type { Dice, WritingEngine } from "../src/engine/interface.js";
import { BrownianError } from "../src/index.web.js";
import type { Likely } from "./protocol.js";

/** The context that the embedded model was trained on. */
const CONTEXT = 256;
const LIKELIEST = 12;

export interface Writing extends Dice {
  readonly maxTokens: number;
  readonly signal: AbortSignal;
}

export interface EngineOptions {
  /** Address of wllama.wasm. */
  readonly wasm: string;
  /** Never write in place. */
  readonly reload: boolean;
  /** Tokens never to be written. */
  readonly barred: readonly number[];
}

/** What of wllama's insides is used: its worker's mailbox. */
interface Mailbox {
  readonly useAsyncFile: boolean;
  taskId: number;
  pushTask(
    task: { verb: string; args: unknown[]; callbackId: number },
    transfer: ArrayBuffer[],
  ): Promise<{ writtenBytes?: number }>;
}

/** The only file of an engine: the model. */
const MODEL_FILE = 0;

export class Engine implements WritingEngine<string, string, Writing> {
  private constructor(
    private wllama: Wllama,
    private readonly options: EngineOptions,
  ) {}

  /** @throws BrownianError engine-failed */
  static async load(file: Uint8Array<ArrayBuffer>, options: EngineOptions): Promise<Engine> {
    return new Engine(await start(file, options), options);
  }

  /** Whether moved bytes are written in place. */
  get live(): boolean {
    const mailbox = this.mailbox();
    return !this.options.reload && mailbox?.useAsyncFile === false && typeof mailbox.pushTask === "function";
  }

  /** Computes with this file from now on: the loaded one, moved. The bytes are taken over. */
  async replace(file: Uint8Array<ArrayBuffer>): Promise<void> {
    const mailbox = this.mailbox();
    if (!this.live || mailbox === undefined) {
      await this.wllama.exit();
      this.wllama = await start(file, this.options);
      return;
    }
    const length = file.length;
    const task = { verb: "fs.write", args: [MODEL_FILE, file, 0], callbackId: mailbox.taskId++ };
    const { writtenBytes } = await mailbox.pushTask(task, [file.buffer]);
    if (writtenBytes !== length)
      throw new BrownianError("engine-failed", `The engine took ${writtenBytes} of ${length} bytes: load the page again.`);
  }

  /** Continues the prompt, piece by piece. Returns whether the text came to its end. */
  async *continue(prompt: string, { signal, maxTokens, ...dice }: Writing): AsyncGenerator<string, boolean> {
    const request = this.request(prompt, dice, maxTokens);
    const chunks = await this.wllama.createCompletion({ ...request, stream: true, abortSignal: signal });
    let ended = false;
    for await (const { choices } of chunks) {
      const piece = choices[0]?.text ?? "";
      ended ||= choices[0]?.finish_reason === "stop";
      if (piece !== "") yield piece;
    }
    return ended;
  }

  /** The next token; "" at the end of a text. */
  async next(prompt: string, dice: Dice, signal: AbortSignal): Promise<string> {
    const { choices } = await this.one(prompt, dice, {}, signal);
    return choices[0]?.text ?? "";
  }

  /** The likeliest next tokens at this temperature, with their probabilities. */
  async law(prompt: string, temperature: number, signal: AbortSignal): Promise<Likely[]> {
    const wanted = { n_probs: LIKELIEST, post_sampling_probs: true };
    const answer = (await this.one(prompt, { temperature, seed: 0 }, wanted, signal)) as unknown as LawAnswer;
    const top = answer.choices[0]?.logprobs?.content[0]?.top_probs ?? [];
    return top.map(({ token, prob }) => ({ token, probability: prob }));
  }

  private mailbox(): Mailbox | undefined {
    return (this.wllama as unknown as { readonly proxy?: Mailbox }).proxy;
  }

  private one(prompt: string, dice: Dice, more: object, signal: AbortSignal): Promise<RawCompletionResponse> {
    const request = this.request(prompt, dice, 1);
    return this.wllama.createCompletion({ ...request, ...more, stream: false, abortSignal: signal });
  }

  /** Softmax over the whole vocabulary and nothing else; greedy at temperature 0. The cache would hold what earlier weights computed. */
  private request(prompt: string, { temperature, seed }: Dice, maxTokens: number) {
    return {
      prompt,
      temperature,
      seed,
      max_tokens: maxTokens,
      samplers: ["temperature"],
      logit_bias: this.options.barred.map((token) => [token, false]) as never, // whose declared type is none that JSON has
      cache_prompt: false,
    };
  }
}

interface LawAnswer {
  readonly choices: {
    readonly logprobs?: { readonly content: { readonly top_probs: { readonly token: string; readonly prob: number }[] }[] };
  }[];
}

async function start(file: Uint8Array<ArrayBuffer>, { wasm }: EngineOptions): Promise<Wllama> {
  // Without JSPI the engine maps the file instead of asking for its bytes one by one. This is the column's own global object, no other's.
  Reflect.deleteProperty(WebAssembly, "Suspending");
  const silent = { ...LoggerWithoutDebug, log: () => {}, warn: () => {}, error: () => {} };
  const wllama = new Wllama({ default: wasm }, { logger: silent, suppressNativeLog: true });
  wllama.setCompat(null); // its default is a download from elsewhere
  try {
    await wllama.loadModel([new Blob([file])], {
      n_threads: 1,
      n_gpu_layers: 0,
      n_ctx: CONTEXT,
      n_batch: CONTEXT,
      n_ubatch: CONTEXT,
      n_parallel: 1,
      warmup: false,
      jinja: false, // no chat, no template to parse
    });
    return wllama;
  } catch (error) {
    await wllama.exit();
    throw new BrownianError("engine-failed", `The engine did not start: ${(error as Error).message ?? error}.`, { cause: error });
  }
}

/** A module with nothing in it: magic and version. */
const EMPTY_MODULE = Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0);

/**
 * What the engine cannot do without, which it would say in riddles. Asked before anything is fetched for it.
 * @throws BrownianError engine-failed with what is missing here
 */
export function refuseOldHost(): void {
  try {
    new WebAssembly.Module(EMPTY_MODULE);
  } catch (cause) {
    const message = "This browser has no WebAssembly, or this page forbids it: the language model cannot run here.";
    throw new BrownianError("engine-failed", message, { cause });
  }
  try {
    new WebAssembly.Memory({ address: "i64", initial: 1n } as unknown as WebAssembly.MemoryDescriptor);
  } catch (cause) {
    const message =
      "This browser's WebAssembly has no 64-bit memory, which the engine needs: Chrome and Edge have it from 133 on, Firefox from 134 on.";
    throw new BrownianError("engine-failed", message, { cause });
  }
}
