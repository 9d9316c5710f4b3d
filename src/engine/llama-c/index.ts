// llama.cpp held by its own C API: every logit is read where it lies, repacking is a choice, and loading can be ended. The
// library is the one that node-llama-cpp's npm packages bring; computing runs on threads outside the event loop.

import { BrownianError } from "../../errors.js";
import { contextSizeOf } from "../context.js";
import { COLDEST } from "../dice.js";
import type { Chooser, Engine, EngineKind, EngineOptions, Sampling, Seen } from "../interface.js";
import { engineThreads, physicalCores } from "../threads.js";
import { type AddonContext, type AddonModel, type AddonSampler, type Batch, engineAddon, type Flag } from "./addon.js";
import { installedLibrary, type Library, parameters, placeOf } from "./library.js";
import { diceOf, samplersOf } from "./samplers.js";

/** Tokens that are computed at once at most; logits after more are read batch by batch. */
const BATCH = 512;
/** llama_load_mode: mapped into memory, which is what writes to the file reach. */
const MAPPED = 1;
/** Tokens before those that are written out: as many as the tokenizer may look back. */
const PRECEDING = 3;
/** What `read` tells of a token before its temperatures. */
const COLUMNS = 4;

let library: Library | undefined;

/** The library, looked for once. @throws BrownianError engine-missing */
function sharedLibrary(): Library {
  try {
    library ??= installedLibrary();
    return library;
  } catch (error) {
    throw new BrownianError("engine-missing", `llama.cpp cannot be held by its C API: ${(error as Error).message}.`, {
      cause: error,
    });
  }
}

export const llamaC: EngineKind = {
  choosesRepacking: true,

  whyNot() {
    try {
      sharedLibrary();
      return undefined;
    } catch (error) {
      return (error as Error).message;
    }
  },

  async describe() {
    const { name } = sharedLibrary();
    return { name: "llama.cpp (C API)", llamaCpp: name, build: "prebuilt", cores: physicalCores() };
  },

  async load(path, name, options) {
    const { paths, release } = sharedLibrary();
    const { signal } = options;
    signal?.throwIfAborted();
    const addon = engineAddon();
    const flag = new addon.Flag();
    const raise = () => flag.raise();
    signal?.addEventListener("abort", raise, { once: true });
    let model: AddonModel | undefined;
    try {
      const values = { n_gpu_layers: 0, load_mode: MAPPED, lazy_mode: 0, use_extra_bufts: options.repack ?? true };
      const places = {
        progress: placeOf(release.model, "progress_callback"),
        progressData: placeOf(release.model, "progress_callback_user_data"),
      };
      model = await addon.load(paths, path, parameters(release.model, values), places, flag);
      const contextSize = contextSizeOf(model.facts().trainedContext, name, options.contextSize);
      const { context, flag: abort } = await newContext(model, release.context, contextSize, options);
      return new Loaded(name, model, context, abort, contextSize);
    } catch (error) {
      model?.free();
      if (error instanceof BrownianError) throw error;
      signal?.throwIfAborted();
      const lines = (error as Error).message.trim().split("\n");
      const why = lines.find((line) => line.includes("error loading model")) ?? (lines[0] || "it gives no reason");
      throw new BrownianError("engine-failed", `The engine (llama.cpp) does not load ${name}: ${why}`, { cause: error });
    } finally {
      signal?.removeEventListener("abort", raise);
    }
  },
};

async function newContext(model: AddonModel, layout: Library["release"]["context"], length: number, { threads }: EngineOptions) {
  const count = threads ?? engineThreads(physicalCores());
  const values = {
    n_ctx: length,
    n_batch: BATCH,
    n_ubatch: BATCH,
    n_seq_max: 1,
    n_threads: count,
    n_threads_batch: count,
    no_perf: true,
    swa_full: false,
    kv_unified: false,
  };
  const flag = new (engineAddon().Flag)();
  const places = { abort: placeOf(layout, "abort_callback"), abortData: placeOf(layout, "abort_callback_data") };
  return { context: await model.context(parameters(layout, values), places, flag), flag };
}

class Loaded implements Engine {
  readonly vocabulary: number;
  readonly beginning: number | null;
  private readonly bos: number;
  /** Tokens that are computed at once. */
  private readonly batch: number;
  /** Tokens of the sequence. */
  private past = 0;
  private logitsAfter: Float32Array | undefined;

  constructor(
    readonly name: string,
    private readonly model: AddonModel,
    private readonly context: AddonContext,
    private readonly flag: Flag,
    readonly contextSize: number,
  ) {
    const { bos, beginsWithBos, vocabulary } = model.facts();
    this.batch = context.facts().batch;
    this.vocabulary = vocabulary;
    this.bos = bos;
    this.beginning = beginsWithBos && bos >= 0 ? bos : null;
  }

  tokenize(text: string): number[] {
    const tokens = text === "" ? [] : [...this.model.tokenize(text, false, false)];
    return this.bos >= 0 && (this.beginning !== null || tokens.length === 0) ? [this.bos, ...tokens] : tokens;
  }

  text(tokens: readonly number[], preceding: readonly number[]): string {
    const plain = (list: readonly number[]) => (list.length === 0 ? "" : this.model.detokenize(Int32Array.from(list), false));
    const near = preceding.slice(-PRECEDING);
    const before = plain(near);
    if (before === "") return plain(tokens);
    const all = plain([...near, ...tokens]);
    return all.startsWith(before) ? all.slice(before.length) : plain(tokens);
  }

  async reset(): Promise<void> {
    this.context.clear();
    this.past = 0;
  }

  async chooser(sampling: Sampling, before: readonly number[]): Promise<Chain> {
    const { vocabulary, contextSize } = this;
    try {
      const sampler = this.model.sampler(samplersOf(sampling, { vocabulary, contextSize }));
      for (const token of before) sampler.accept(token);
      return new Chain(sampler, sampling);
    } catch (error) {
      const why = (error as Error).message.trim();
      throw new BrownianError("usage", `The engine (llama.cpp) does not sample like this with ${this.name}: ${why}`, {
        cause: error,
      });
    }
  }

  async *continue(tokens: readonly number[], sampling: Sampling, chooser?: Chooser): AsyncGenerator<number, void> {
    const chain = chooser === undefined ? await this.chooser(sampling, tokens) : (chooser as Chain);
    try {
      let next = tokens;
      for (;;) {
        const token = await this.written(next, chain.sampler);
        if (token < 0) return this.nothingAllowed();
        if (!sampling.yieldEogToken && this.model.endsText(token)) return;
        yield token;
        next = [token];
      }
    } finally {
      if (chooser === undefined) chain.free();
    }
  }

  async *choose(
    tokens: readonly number[],
    pick: (logits: Float32Array) => number,
    sampling: Sampling,
  ): AsyncGenerator<number, void> {
    let next = tokens;
    for (;;) {
      await this.written(next);
      const logits = this.lastLogits();
      const chosen = pick(logits);
      if (!(Number.isInteger(chosen) && chosen >= 0 && chosen < logits.length))
        throw new BrownianError("usage", `pick must return a token, 0 to ${logits.length - 1}, but returned ${chosen}.`);
      if (!sampling.yieldEogToken && this.model.endsText(chosen)) return;
      yield chosen;
      next = [chosen];
    }
  }

  async read(tokens: readonly number[]): Promise<void> {
    for (const batch of this.batches(tokens, () => false)) this.check((await this.context.decode(batch)).status, batch, "read");
  }

  async score(
    tokens: readonly number[],
    visit: (i: number, logits: Float32Array) => void,
    between?: () => Promise<unknown>,
  ): Promise<void> {
    await this.reset();
    if (between === undefined) {
      let i = 0;
      for (const batch of this.batches(tokens, () => true)) {
        this.check((await this.context.decode(batch)).status, batch, "read");
        for (let j = 0; j < batch.tokens.length; j++) visit(i++, this.logitsOf(j));
      }
    } else {
      for (const [i, token] of tokens.entries()) {
        if (i > 0) await between();
        await this.written([token]);
        visit(i, this.lastLogits());
      }
    }
    await this.reset();
  }

  async follow(tokens: readonly number[]): Promise<Seen[]> {
    await this.reset();
    const seen: Seen[] = [];
    const read = tokens.slice(0, -1);
    for (const batch of this.batches(read, () => true)) {
      const targets = Int32Array.from(batch.tokens, (_, i) => tokens[seen.length + i + 1] as number);
      const { status, rows, largest } = await this.context.read({ ...batch, targets, betas: new Float32Array(0) });
      this.check(status, batch, "read");
      for (const [i, token] of targets.entries())
        seen.push({
          logProbability: (rows[i * COLUMNS] as number) - Math.log(rows[i * COLUMNS + 1] as number),
          likeliest: largest[i] === token,
        });
    }
    await this.reset();
    return seen;
  }

  async logits(tokens: readonly number[]): Promise<ReadonlyMap<number, number>> {
    await this.reset();
    await this.written(tokens);
    const logits = new Map(this.lastLogits().entries());
    await this.reset();
    return logits;
  }

  async dispose(): Promise<void> {
    this.context.free();
    this.model.free();
  }

  /** A grammar allows no token: at its end, if the model has none that ends texts. */
  private nothingAllowed(): void {
    const { eos, eot } = this.model.facts();
    if (eos < 0 && eot < 0) return;
    const advice = "it asks for text that the vocabulary has no token for, or logitBias forbids all that it allows";
    throw new BrownianError("usage", `The grammar lets ${this.name} write no further token, and is not at its end: ${advice}.`);
  }

  /** Computes tokens after those that there are, with an output after the last; resolves to what the sampler chooses there. */
  private async written(tokens: readonly number[], sampler?: AddonSampler): Promise<number> {
    let token = -1;
    for (const batch of this.batches(tokens, (i) => i === tokens.length - 1)) {
      const last = batch.outputs.at(-1) === 1;
      const done = await this.context.decode(last && sampler !== undefined ? { ...batch, sampler } : batch);
      this.check(done.status, batch, "wrote");
      token = done.token;
    }
    return token;
  }

  /** Tokens after those that there are, as many at a time as a batch holds. They count as read when the next is asked for. */
  private *batches(tokens: readonly number[], output: (i: number) => boolean): Generator<Batch> {
    for (let from = 0; from < tokens.length; from += this.batch) {
      const some = tokens.slice(from, from + this.batch);
      const { past } = this;
      this.past += some.length;
      yield {
        tokens: Int32Array.from(some),
        positions: Int32Array.from(some, (_, i) => past + i),
        sequences: new Int32Array(some.length),
        outputs: Uint8Array.from(some, (_, i) => (output(from + i) ? 1 : 0)),
      };
    }
  }

  private check(status: number, batch: Batch, did: string): void {
    if (status === 0) return;
    // Some of it may have been read.
    this.past = batch.positions[0] as number;
    this.context.remove(0, this.past, -1);
    this.flag.lower();
    const why = status === 1 ? "the context is full" : status === 2 ? "it was aborted" : `its code is ${status}`;
    throw new BrownianError("engine-failed", `The engine failed while it ${did} with ${this.name}: ${why}`);
  }

  private lastLogits(): Float32Array {
    return this.logitsOf(-1);
  }

  private logitsOf(i: number): Float32Array {
    this.logitsAfter ??= new Float32Array(this.vocabulary);
    return this.context.logits(i, this.logitsAfter);
  }
}

/** What chooses, in the addon's memory. */
class Chain implements Chooser {
  private readonly rolls: boolean;

  constructor(
    readonly sampler: AddonSampler,
    { temperature, mirostat }: Sampling,
  ) {
    this.rolls = temperature >= COLDEST && mirostat === undefined;
  }

  reseed(seed: number): void {
    if (this.rolls) this.sampler.replace(diceOf(seed));
  }

  free(): void {
    this.sampler.free();
  }
}
