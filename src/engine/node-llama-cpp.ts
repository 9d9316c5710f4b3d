// node-llama-cpp as an engine, loaded only when a model is. Everything that knows its API is in this file.
// It maps the live file (useMmap, no GPU layers) and so multiplies with the bytes that the thermostat writes.

import { setImmediate } from "node:timers/promises";
import type {
  Llama,
  LlamaContext,
  LlamaContextSequence,
  LlamaGrammarEvaluationState,
  LlamaModel,
  SequenceEvaluateOptions,
  Token,
} from "node-llama-cpp";
import { BrownianError } from "../errors.js";
import { contextSizeOf } from "./context.js";
import { COLDEST, engineSeed } from "./dice.js";
import type { Chooser, Engine, EngineKind, Filters, Sampling, Seen } from "./interface.js";
import { engineThreads } from "./threads.js";

type EngineModule = typeof import("node-llama-cpp");

async function importEngine(): Promise<EngineModule> {
  try {
    return await import("node-llama-cpp");
  } catch (error) {
    throw new BrownianError(
      "engine-missing",
      `Writing text needs the engine node-llama-cpp, which is not installed or does not load here: npm install node-llama-cpp. (${(error as Error).message.split("\n")[0]})`,
      { cause: error },
    );
  }
}

let llama: Promise<Llama> | undefined;
/** What llama.cpp said while it loaded the last model: its errors say no more than "Failed to load model". */
let complaints: string[] = [];
const MOST_COMPLAINTS = 8;

/** One engine a process; CPU only, since weights on a GPU are copies that no write reaches. */
function sharedLlama(): Promise<Llama> {
  llama ??= (async () => {
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
      throw new BrownianError("engine-failed", `node-llama-cpp does not start: ${(error as Error).message}`, { cause: error });
    }
  })();
  llama.catch(() => {
    llama = undefined; // tried again next time
  });
  return llama;
}

export const nodeLlamaCpp: EngineKind = {
  choosesRepacking: false,
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
      const context = await model.createContext({ contextSize, sequences: 1, threads });
      return new Loaded(name, model, context, context.getSequence(), contextSize);
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

/** What chooses in a text: node-llama-cpp makes its samplers anew with every call, and is told what they have seen. */
class Remembered implements Chooser {
  readonly tokens: Token[];
  private seed: number;

  constructor(
    private readonly sampling: Sampling,
    before: readonly number[],
    private readonly grammar: LlamaGrammarEvaluationState | undefined,
  ) {
    this.tokens = [...before] as Token[];
    this.seed = sampling.seed;
  }

  options(contextSize: number): SequenceEvaluateOptions {
    const { temperature, topK, topP, minP, yieldEogToken, xtc, penalties } = this.sampling;
    const cold = temperature < COLDEST;
    return {
      temperature: cold ? 0 : temperature,
      topK,
      topP,
      minP,
      yieldEogToken,
      seed: engineSeed(this.seed),
      ...(xtc && { xtc }),
      ...(penalties && { repeatPenalty: this.punished(penalties, contextSize) }),
      ...(this.grammar && { grammarEvaluationState: this.grammar }),
    };
  }

  private punished({ last, repeat, frequency, presence }: NonNullable<Filters["penalties"]>, contextSize: number) {
    const most = last < 0 ? contextSize : Math.min(last, contextSize);
    return {
      punishTokens: () => this.tokens.slice(this.tokens.length - Math.min(most, this.tokens.length)),
      maxPunishTokens: most,
      penalty: repeat,
      frequencyPenalty: frequency,
      presencePenalty: presence,
    };
  }

  reseed(seed: number): void {
    this.seed = seed;
  }

  free(): void {}
}

class Loaded implements Engine {
  constructor(
    readonly name: string,
    private readonly model: LlamaModel,
    private readonly context: LlamaContext,
    private readonly sequence: LlamaContextSequence,
    readonly contextSize: number,
  ) {}

  private logitsAfter: Float32Array | undefined;

  tokenize(text: string): number[] {
    const { bos, shouldPrependBosToken } = this.model.tokens;
    const tokens: Token[] = this.model.tokenize(text);
    return bos !== null && (shouldPrependBosToken || tokens.length === 0) ? [bos, ...tokens] : tokens;
  }

  text(tokens: readonly number[], preceding: readonly number[]): string {
    return this.model.detokenize(tokens as Token[], false, preceding as Token[]);
  }

  async reset(): Promise<void> {
    await this.sequence.clearHistory();
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

  async *continue(tokens: readonly number[], sampling: Sampling, chooser?: Chooser): AsyncGenerator<number, void> {
    const seen = chooser === undefined ? await this.chooser(sampling, tokens) : (chooser as Remembered);
    try {
      for await (const token of this.sequence.evaluate(tokens as Token[], seen.options(this.contextSize))) {
        seen.tokens.push(token);
        yield token;
      }
    } catch (error) {
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
    visit: (i: number, logits: Float32Array) => void,
    between?: () => Promise<unknown>,
  ): Promise<void> {
    await this.reset();
    if (between === undefined) await this.evaluated(tokens, 0, visit);
    else {
      for (const [i, token] of tokens.entries()) {
        if (i > 0) await between();
        await this.evaluated([token], 0, (_, logits) => visit(i, logits));
      }
    }
    await this.reset();
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

  async follow(tokens: readonly number[]): Promise<Seen[]> {
    await this.reset();
    try {
      const output = await this.sequence.controlledEvaluate(
        tokens.slice(0, -1).map((token, i) => {
          // The selected token is the likeliest: nothing is sampled. (includeMax of node-llama-cpp 3.22 adds the
          // largest only where it is there already.)
          const logits = { filter: { tokens: [tokens[i + 1] as Token], includeSelected: true } };
          return [token as Token, { generateNext: { logits, totalLogitWeight: true } }];
        }),
      );
      await this.reset();
      return output.map((one, i) => {
        const logits = one?.next.logits ?? new Map<Token, number>();
        const own = logits.get(tokens[i + 1] as Token) ?? Number.NaN;
        const max = Math.max(...logits.values());
        return { logProbability: own - max - Math.log(one?.next.totalLogitWeight ?? Number.NaN), likeliest: own === max };
      });
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
