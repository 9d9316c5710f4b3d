// node-llama-cpp as an engine, loaded only when a model is. What knows its API is in this file, and in node-llama-cpp-chooser.ts beside it.
// It maps the live file (useMmap, no GPU layers) and so multiplies with the bytes that the thermostat writes.

import { setImmediate } from "node:timers/promises";
import type { Llama, LlamaContext, LlamaContextOptions, LlamaContextSequence, LlamaModel, Token } from "node-llama-cpp";
import { BrownianError } from "../errors.js";
import { selection } from "../kernels/select.js";
import { LogitColumn } from "../laws/numbers.js";
import { contextSizeOf } from "./context.js";
import { type Asked, type Expectation, type Kept, NoNumbers, Reading } from "./expectation.js";
import { followEach } from "./follow.js";
import { installLine } from "./install.js";
import type { Along, Engine, EngineKind, Filters, Followed, Sampling, Seen, Sequence } from "./interface.js";
import { Remembered } from "./node-llama-cpp-chooser.js";
import { engineThreads } from "./threads.js";

type EngineModule = typeof import("node-llama-cpp");

async function importEngine(): Promise<EngineModule> {
  try {
    return await import("node-llama-cpp");
  } catch (error) {
    throw new BrownianError(
      "engine-missing",
      `Writing text needs the engine node-llama-cpp, which is not installed or does not load here: ${installLine()}. (${(error as Error).message.split("\n")[0]})`,
      { cause: error },
    );
  }
}

let llama: Promise<Llama> | undefined;
/** What llama.cpp said while it loaded the last model: its errors say no more than "Failed to load model". */
let complaints: string[] = [];
const MOST_COMPLAINTS = 8;

/**
 * It tries its library in a child process, and where it may not start one, waits for ever.
 * @throws BrownianError engine-missing
 */
function refuseWithoutChildren(): void {
  if (process.permission?.has("child") !== false) return;
  throw new BrownianError(
    "engine-missing",
    "Node's permission model keeps the engine out: llama.cpp by its C API needs native addons, and node-llama-cpp child processes as well. " +
      "Type: node --permission --allow-addons (and --allow-child-process, so that a new model is tried in another process first).",
  );
}

/** One engine a process; CPU only, since weights on a GPU are copies that no write reaches. */
function sharedLlama(): Promise<Llama> {
  llama ??= (async () => {
    refuseWithoutChildren();
    const engine = await importEngine();
    try {
      const started = await engine.getLlama({
        gpu: false,
        build: "never",
        progressLogs: false,
        logLevel: engine.LlamaLogLevel.error,
        logger: (_level, message) => {
          if (complaints.length < MOST_COMPLAINTS) complaints.push(message.trim());
        },
      });
      // Shared by all models of the process: two that write at once get half each.
      started.maxThreads = engineThreads(started.cpuMathCores);
      return started;
    } catch (error) {
      const { name, message } = error as Error;
      // It says no more than its own name where its package of this platform was left out, or could not be tried in a child process.
      if (name === "NoBinaryFoundError" || message === "NoBinaryFoundError") {
        const why = `it has no library for ${process.platform}-${process.arch}`;
        throw new BrownianError("engine-missing", `node-llama-cpp is installed, but ${why}: ${installLine()}.`, {
          cause: error,
        });
      }
      throw new BrownianError("engine-failed", `node-llama-cpp does not start: ${message}`, { cause: error });
    }
  })();
  llama.catch(() => {
    llama = undefined; // tried again next time
  });
  return llama;
}

export const nodeLlamaCpp: EngineKind = {
  ownsContext: false,
  choosesRepacking: false,
  exchangesAdapters: false,
  offloads: false,
  whyNot: () => undefined,

  async describe() {
    const engine = await sharedLlama();
    return {
      name: "node-llama-cpp",
      llamaCpp: engine.llamaCppRelease.release,
      build: engine.buildType,
      cores: engine.cpuMathCores,
    };
  },

  async load(path, name, options) {
    const engine = await sharedLlama();
    let model: LlamaModel | undefined;
    complaints = [];
    try {
      const { signal: loadSignal } = options;
      model = await engine.loadModel({ modelPath: path, useMmap: true, gpuLayers: 0, ...(loadSignal && { loadSignal }) });
      const contextSize = contextSizeOf(model.trainContextSize, name, options.contextSize);
      const threads = options.threads ?? engineThreads(engine.cpuMathCores);
      engine.maxThreads = Math.max(engine.maxThreads, threads);
      const settings: LlamaContextOptions = { contextSize, sequences: 1, threads };
      return new Loaded(name, model, settings, await model.createContext(settings), contextSize);
    } catch (error) {
      await model?.dispose();
      if (error instanceof BrownianError || options.signal?.aborted) throw error;
      await setImmediate(); // the last complaints are on their way
      const why = complaints[0] ?? (error as Error).message;
      throw new BrownianError("engine-failed", `The engine (llama.cpp) does not load ${name}: ${why}`, { cause: error });
    }
  },
};

/** What the public interface has in another sense, or not at all. */
const MISSING = [
  "logitBias",
  "dry",
  "topNSigma",
  "typicalP",
  "dynamicTemperature",
  "mirostat",
] as const satisfies readonly (keyof Filters)[];

/** The engine has one text at a time, and so is that one, too. */
class Loaded implements Engine, Sequence {
  readonly sequences: readonly Sequence[] = [this];

  constructor(
    readonly name: string,
    private readonly model: LlamaModel,
    private readonly settings: LlamaContextOptions,
    private context: LlamaContext,
    readonly contextSize: number,
  ) {
    this.sequence = context.getSequence();
    this.recurrent = model.fileInsights.isRecurrent || model.fileInsights.isHybrid;
  }

  private sequence: LlamaContextSequence;
  private readonly recurrent: boolean;
  private logitsAfter: Float32Array | undefined;

  tokenize(text: string): number[] {
    const { bos, shouldPrependBosToken } = this.model.tokens;
    const tokens: Token[] = this.model.tokenize(text);
    return bos !== null && (shouldPrependBosToken || tokens.length === 0) ? [bos, ...tokens] : tokens;
  }

  tokensOf(text: string, special: boolean): number[] {
    return this.model.tokenize(text, special);
  }

  nameOf(token: number): string {
    return this.model.detokenize([token as Token], true);
  }

  text(tokens: readonly number[], preceding: readonly number[]): string {
    return this.model.detokenize(tokens as Token[], false, preceding as Token[]);
  }

  /** From the file: the package does not say. */
  get vocabulary(): number {
    return (this.model.fileInfo.metadata.tokenizer?.ggml?.tokens as readonly string[] | undefined)?.length ?? 0;
  }

  get tokens(): readonly number[] {
    return this.sequence.contextTokens;
  }

  async reset(): Promise<void> {
    if (!this.recurrent || this.sequence.nextTokenIndex === 0) return this.sequence.clearHistory();
    // An erased state is multiplied by zero, which leaves it NaN where a text made it that; and there is no other call to clear it.
    await this.context.dispose();
    this.context = await this.model.createContext(this.settings);
    this.sequence = this.context.getSequence();
  }

  async keep(tokens: readonly number[]): Promise<number> {
    const held = this.tokens;
    let same = 0;
    while (same < tokens.length - 1 && held[same] === tokens[same]) same++;
    if (same < held.length) await this.sequence.eraseContextTokenRanges([{ start: same, end: held.length }]);
    return Math.min(same, this.tokens.length);
  }

  async take(): Promise<boolean> {
    return false;
  }

  async save(): Promise<undefined> {}

  async restore(): Promise<boolean> {
    return false;
  }

  async chooser(sampling: Sampling, before: readonly number[]): Promise<Remembered> {
    const missing = MISSING.find((name) => sampling[name] !== undefined);
    if (missing !== undefined)
      throw new BrownianError(
        "usage",
        `The engine node-llama-cpp has no ${missing}: it needs the engine llama-c (brownian info says whether and why it does not run here).`,
      );
    if (sampling.grammar === undefined) return new Remembered(sampling, before, undefined);
    const { LlamaGrammarEvaluationState } = await importEngine();
    try {
      const grammar = await this.model.llama.createGrammar({ grammar: sampling.grammar });
      return new Remembered(sampling, before, new LlamaGrammarEvaluationState({ model: this.model, grammar }));
    } catch (error) {
      const why = (error as Error).message;
      throw new BrownianError("usage", `The engine (llama.cpp) does not take the grammar: ${why}`, { cause: error });
    }
  }

  async *continue(tokens: readonly number[], sampling: Sampling, along: Along = {}): AsyncGenerator<number, void> {
    const { chooser, logits, signal } = along;
    if (logits !== undefined)
      throw new BrownianError(
        "usage",
        "logprobs need the engine llama-c: brownian info says whether and why it does not run here.",
      );
    const seen = chooser === undefined ? await this.chooser(sampling, tokens) : (chooser as Remembered);
    try {
      for await (const token of this.sequence.evaluate(tokens as Token[], seen.options(this.contextSize))) {
        signal?.throwIfAborted();
        seen.tokens.push(token);
        yield token;
      }
    } catch (error) {
      signal?.throwIfAborted();
      throw new BrownianError(
        "engine-failed",
        `The engine failed while it wrote with ${this.name}: ${(error as Error).message}`,
        {
          cause: error,
        },
      );
    }
  }

  async *choose(
    tokens: readonly number[],
    pick: (logits: Float32Array) => number,
    sampling: Sampling,
  ): AsyncGenerator<number, void> {
    let next = [...tokens];
    for (;;) {
      let chosen = 0;
      await this.evaluated(next, next.length - 1, (_, logits) => {
        chosen = pick(logits);
        if (!(Number.isInteger(chosen) && chosen >= 0 && chosen < logits.length))
          throw new BrownianError("usage", `pick must return a token, 0 to ${logits.length - 1}, but returned ${chosen}.`);
      });
      if (!sampling.yieldEogToken && this.model.isEogToken(chosen as Token)) return;
      yield chosen;
      next = [chosen];
    }
  }

  async read(tokens: readonly number[]): Promise<void> {
    try {
      await this.sequence.evaluateWithoutGeneratingNewTokens(tokens as Token[]);
    } catch (error) {
      throw this.readFailed(error);
    }
  }

  async score(
    tokens: readonly number[],
    asked: Asked,
    visit: (i: number, expected: Expectation) => void,
    between?: () => Promise<unknown>,
    signal?: AbortSignal,
  ): Promise<Kept | undefined> {
    await this.reset();
    const from = asked.from ?? 0;
    const end = tokens.length - 1;
    let reading: Reading | undefined;
    const said = (i: number, logits: Float32Array) => {
      reading ??= new Reading(asked, end - from, logits.length);
      visit(i, this.expected(reading, i - from, tokens[i + 1] as number, logits));
    };
    if (between === undefined) await this.evaluated(tokens.slice(0, -1), from, said);
    else {
      for (let i = 0; i < end; i++) {
        signal?.throwIfAborted();
        if (i > 0) await between();
        await this.evaluated(tokens.slice(i, i + 1), i < from ? 1 : 0, (_, logits) => said(i, logits));
      }
    }
    signal?.throwIfAborted();
    await this.reset();
    return reading?.kept;
  }

  followAll(texts: readonly Followed[], signal?: AbortSignal): Promise<Seen[][]> {
    return followEach(this, texts, signal);
  }

  /** What logits say of the token that came, by our own kernels. */
  private expected(reading: Reading, row: number, target: number, logits: Float32Array): Expectation {
    const { reference, sums } = reading.asked;
    const numbers = new Float64Array(reading.width);
    const there = reading.rowsOf(reference?.logits, row, row + 1) ?? null;
    const likeliest = selection().kernels.readLogits(logits, { target, betas: reading.betas, reference: there }, numbers);
    if (likeliest < 0) throw new NoNumbers(this.name);
    reading.rowsOf(reading.kept?.logits, row, row + 1)?.set(logits);
    const sum = reading.rowsOf(sums, row, row + 1);
    const [weight, most] = [numbers[LogitColumn.weight] as number, numbers[LogitColumn.largest] as number];
    for (let i = 0; sum !== undefined && i < sum.length; i++)
      sum[i] = (sum[i] as number) + Math.exp((logits[i] as number) - most) / weight;
    return reading.expectation(row, numbers, likeliest, () => logits);
  }

  /** Evaluates tokens after those that the context holds, and visits the logits after each from number `first` on. */
  private async evaluated(
    tokens: readonly number[],
    first: number,
    visit: (i: number, logits: Float32Array) => void,
  ): Promise<void> {
    try {
      const wanted = { generateNext: { logits: true } };
      const output = await this.sequence.controlledEvaluate(
        tokens.map((token, i) => (i < first ? (token as Token) : [token as Token, wanted])),
      );
      for (let i = first; i < tokens.length; i++) {
        const all = output[i]?.next.logits ?? new Map<Token, number>();
        if (this.logitsAfter?.length !== all.size) this.logitsAfter = new Float32Array(all.size);
        for (const [token, logit] of all) this.logitsAfter[token] = logit;
        visit(i, this.logitsAfter);
      }
    } catch (error) {
      throw this.readFailed(error);
    }
  }

  private readFailed(error: unknown): BrownianError {
    if (error instanceof BrownianError) return error;
    const message = `The engine failed while it read with ${this.name}: ${(error as Error).message}`;
    return new BrownianError("engine-failed", message, { cause: error });
  }

  get beginning(): number | null {
    const { bos, shouldPrependBosToken } = this.model.tokens;
    return shouldPrependBosToken ? bos : null;
  }

  async logits(tokens: readonly number[]): Promise<ReadonlyMap<number, number>> {
    await this.reset();
    const last = tokens[tokens.length - 1] as Token;
    const input = [
      ...(tokens.slice(0, -1) as Token[]),
      [last, { generateNext: { logits: true } }] as [Token, { generateNext: { logits: true } }],
    ];
    const output = await this.sequence.controlledEvaluate(input);
    await this.reset();
    return output[output.length - 1]?.next.logits ?? new Map();
  }

  async dispose(): Promise<void> {
    await this.context.dispose();
    await this.model.dispose();
  }
}
