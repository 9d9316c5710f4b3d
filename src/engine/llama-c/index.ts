// llama.cpp held by its own C API: every logit is read where it lies, repacking is a choice, and loading can be ended. The
// library is the one that node-llama-cpp's npm packages bring; computing runs on threads outside the event loop.

import { BrownianError } from "../../errors.js";
import { contextSizeOf } from "../context.js";
import { type Asked, type Expectation, type Kept, Reading } from "../expectation.js";
import type {
  Adapter,
  Along,
  Chooser,
  Engine,
  EngineKind,
  EngineOptions,
  Followed,
  Sampling,
  Seen,
  Sequence,
} from "../interface.js";
import { engineThreads, physicalCores } from "../threads.js";
import { Adapters } from "./adapters.js";
import { type AddonModel, engineAddon } from "./addon.js";
import { Chain } from "./chain.js";
import { Decoder } from "./decoder.js";
import { embed } from "./embed.js";
import { followAll } from "./follow.js";
import { findGpu } from "./gpu.js";
import { installedLibrary, type Library, parameters, placeOf } from "./library.js";
import { type Part, readParts, type Said } from "./parts.js";
import { samplersOf } from "./samplers.js";
import { CELLS, roomFor, ShortWindows } from "./short-windows.js";

/** Tokens that are computed at once at most, and the least; in between as many as have so many bytes of logits. */
const BATCH = 512;
const SMALLEST_BATCH = 32;
const LOGIT_BYTES = 2 ** 27;
/** llama_load_mode: mapped into memory, which is what writes to the file reach. */
const MAPPED = 1;
/** Tokens before those that are written out: as many as the tokenizer may look back. */
const PRECEDING = 3;

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
  ownsContext: true,
  choosesRepacking: true,
  exchangesAdapters: true,
  offloads: true,

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
    const { paths, release, name: known } = sharedLibrary();
    const { signal, gpuLayers = 0 } = options;
    signal?.throwIfAborted();
    const addon = engineAddon();
    const flag = new addon.Flag();
    const raise = () => flag.raise();
    signal?.addEventListener("abort", raise, { once: true });
    let model: AddonModel | undefined;
    try {
      if (gpuLayers > 0) await findGpu(paths, known);
      const values = { n_gpu_layers: gpuLayers, load_mode: MAPPED, lazy_mode: 0, use_extra_bufts: options.repack ?? true };
      const places = {
        progress: placeOf(release.model, "progress_callback"),
        progressData: placeOf(release.model, "progress_callback_user_data"),
      };
      model = await addon.load(paths, path, parameters(release.model, values), places, flag);
      const contextSize = contextSizeOf(model.facts().trainedContext, name, options.contextSize);
      const decoder = (length: number, how: DecoderOptions) =>
        newDecoder(name, model as AddonModel, release.context, length, how);
      const first = await decoder(contextSize, options);
      return new Loaded(name, model, first, contextSize, (texts, batch) =>
        decoder(CELLS, { ...options, parallel: texts, oneCache: false, batch }),
      );
    } catch (error) {
      model?.free();
      if (error instanceof BrownianError) throw error;
      signal?.throwIfAborted();
      const lines = (error as Error).message.trim().split("\n");
      // What reads the file says more than what asked it to.
      const said = (what: string) => lines.find((line) => line.includes(what));
      const why = said("gguf_init") ?? said("error loading model") ?? (lines[0] || "it gives no reason");
      throw new BrownianError("engine-failed", `The engine (llama.cpp) does not load ${name}: ${why}`, { cause: error });
    } finally {
      signal?.removeEventListener("abort", raise);
    }
  },
};

/** `batch`: fewer tokens at once than usual. */
type DecoderOptions = EngineOptions & { readonly batch?: number };

async function newDecoder(
  name: string,
  model: AddonModel,
  layout: Library["release"]["context"],
  length: number,
  { threads, threadsPrompt, parallel = 1, oneCache = false, gpuLayers = 0, batch: most = BATCH }: DecoderOptions,
): Promise<Decoder> {
  const count = threads ?? engineThreads(physicalCores());
  const { vocabulary } = model.facts();
  const batch = Math.max(SMALLEST_BATCH, Math.min(most, Math.floor(LOGIT_BYTES / (4 * vocabulary))));
  const values = {
    n_ctx: length * parallel,
    n_batch: batch,
    n_ubatch: batch,
    n_seq_max: parallel,
    n_threads: count,
    n_threads_batch: threadsPrompt ?? count,
    no_perf: true,
    swa_full: false,
    kv_unified: oneCache,
    // A GPU that is there (Macs have one in the library) is not used where it was not asked for.
    offload_kqv: gpuLayers > 0,
    op_offload: gpuLayers > 0,
  };
  const flag = new (engineAddon().Flag)();
  const places = { abort: placeOf(layout, "abort_callback"), abortData: placeOf(layout, "abort_callback_data") };
  return new Decoder(name, await model.context(parameters(layout, values), places, flag), flag, vocabulary);
}

/** One text. */
class Text implements Sequence {
  constructor(
    private readonly model: AddonModel,
    private readonly decoder: Decoder,
    private readonly name: string,
    private readonly contextSize: number,
    private readonly number: number,
  ) {}

  get tokens(): readonly number[] {
    return this.decoder.texts[this.number] as number[];
  }

  async chooser(sampling: Sampling, before: readonly number[]): Promise<Chain> {
    const { vocabulary } = this.model.facts();
    try {
      const sampler = this.model.sampler(samplersOf(sampling, { vocabulary, contextSize: this.contextSize }));
      for (const token of before) sampler.accept(token);
      return new Chain(sampler, sampling);
    } catch (error) {
      const why = (error as Error).message.trim();
      throw new BrownianError("usage", `The engine (llama.cpp) does not sample like this with ${this.name}: ${why}`, {
        cause: error,
      });
    }
  }

  async *continue(tokens: readonly number[], sampling: Sampling, along: Along = {}): AsyncGenerator<number, void> {
    const { chooser, logits, signal } = along;
    const chain = chooser === undefined ? await this.chooser(sampling, tokens) : (chooser as Chain);
    try {
      let next = tokens;
      for (;;) {
        const token = await this.decoder.submit({ sequence: this.number, tokens: next, sampler: chain.sampler, logits, signal });
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
    signal?: AbortSignal,
  ): AsyncGenerator<number, void> {
    const logits = new Float32Array(this.model.facts().vocabulary);
    let next = tokens;
    for (;;) {
      await this.decoder.submit({ sequence: this.number, tokens: next, logits, signal });
      const chosen = pick(logits);
      if (!(Number.isInteger(chosen) && chosen >= 0 && chosen < logits.length))
        throw new BrownianError("usage", `pick must return a token, 0 to ${logits.length - 1}, but returned ${chosen}.`);
      if (!sampling.yieldEogToken && this.model.endsText(chosen)) return;
      yield chosen;
      next = [chosen];
    }
  }

  /** A grammar allows no token: at its end, if the model has none that ends texts. */
  private nothingAllowed(): void {
    const { eos, eot } = this.model.facts();
    if (eos < 0 && eot < 0) return;
    const advice = "it asks for text that the vocabulary has no token for, or logitBias forbids all that it allows";
    throw new BrownianError("usage", `The grammar lets ${this.name} write no further token, and is not at its end: ${advice}.`);
  }

  async read(tokens: readonly number[], signal?: AbortSignal): Promise<void> {
    if (tokens.length > 0) await this.decoder.submit({ sequence: this.number, tokens, signal });
  }

  async reset(): Promise<void> {
    await this.decoder.exclusive(() => this.decoder.cut(this.number, 0));
  }

  async keep(tokens: readonly number[]): Promise<number> {
    let same = 0;
    while (same < tokens.length - 1 && this.tokens[same] === tokens[same]) same++;
    return same < this.tokens.length ? this.decoder.exclusive(() => this.decoder.cut(this.number, same)) : same;
  }

  async take(other: Sequence): Promise<boolean> {
    const { decoder, number } = this;
    if (!(other instanceof Text) || other.decoder !== decoder) return false;
    await decoder.exclusive(() => decoder.copy(other.number, number));
    return true;
  }

  save(): Promise<Uint8Array> {
    return this.decoder.exclusive(() => this.decoder.context.save(this.number));
  }

  async restore(state: Uint8Array, tokens: readonly number[]): Promise<boolean> {
    const { decoder, number } = this;
    return decoder.exclusive(async () => {
      decoder.cut(number, 0);
      const taken = await decoder.context.restore(number, state).catch(() => false);
      if (taken) decoder.texts[number]?.push(...tokens);
      else decoder.cut(number, 0);
      return taken;
    });
  }
}

class Loaded implements Engine {
  readonly sequences: readonly Sequence[];
  readonly beginning: number | null;
  readonly vocabulary: number;
  readonly shortTexts: ShortWindows;
  private readonly bos: number;
  private logitsAfter: Float32Array | undefined;
  private readonly adapters: Adapters;

  constructor(
    readonly name: string,
    private readonly model: AddonModel,
    private readonly decoder: Decoder,
    readonly contextSize: number,
    forShort: (texts: number, batch: number) => Promise<Decoder>,
  ) {
    const { bos, beginsWithBos, vocabulary } = model.facts();
    this.adapters = new Adapters(name, model, decoder);
    const room = roomFor(model.facts());
    this.shortTexts = new ShortWindows(room, vocabulary, async () => {
      const own = await forShort(room.texts, room.batch);
      await this.adapters.join(own);
      return own;
    });
    this.sequences = decoder.texts.map((_, number) => new Text(model, decoder, name, contextSize, number));
    this.vocabulary = vocabulary;
    this.bos = bos;
    this.beginning = beginsWithBos && bos >= 0 ? bos : null;
  }

  tokenize(text: string): number[] {
    const tokens = this.tokensOf(text, false);
    return this.bos >= 0 && (this.beginning !== null || tokens.length === 0) ? [this.bos, ...tokens] : tokens;
  }

  tokensOf(text: string, special: boolean): number[] {
    if (text === "") return [];
    try {
      return [...this.model.tokenize(text, false, special)];
    } catch (cause) {
      const why = "its vocabulary has no tokens for some of its letters";
      throw new BrownianError("engine-failed", `The tokenizer of ${this.name} cannot read this text: ${why}.`, { cause });
    }
  }

  nameOf(token: number): string {
    return this.model.detokenize(Int32Array.of(token), true);
  }

  text(tokens: readonly number[], preceding: readonly number[]): string {
    const plain = (list: readonly number[]) => (list.length === 0 ? "" : this.model.detokenize(Int32Array.from(list), false));
    const near = preceding.slice(-PRECEDING);
    const before = plain(near);
    if (before === "") return plain(tokens);
    const all = plain([...near, ...tokens]);
    return all.startsWith(before) ? all.slice(before.length) : plain(tokens);
  }

  chooser(sampling: Sampling, before: readonly number[]): Promise<Chooser> {
    return (this.sequences[0] as Text).chooser(sampling, before);
  }

  async score(
    tokens: readonly number[],
    asked: Asked,
    visit: (i: number, expected: Expectation) => void,
    between?: () => Promise<unknown>,
    signal?: AbortSignal,
  ): Promise<Kept | undefined> {
    const { decoder } = this;
    const from = asked.from ?? 0;
    const end = tokens.length - 1;
    const reading = new Reading(asked, Math.max(0, end - from), this.vocabulary);
    const tell = (_: Part, at: number, { numbers, likeliest, place }: Said) =>
      visit(
        at,
        reading.expectation(at - from, numbers, likeliest, () => this.logitsOf(place)),
      );
    const step = between === undefined ? end : 1;
    const read = async () => {
      decoder.cut(0, 0);
      for (let at = 0; at < end; at += step) {
        if (at > 0) await between?.();
        const part = { tokens, sequence: 0, first: at, end: at + step, from };
        await readParts(decoder, [part], reading.wanted(Math.max(0, at - from)), tell, signal);
      }
      decoder.cut(0, 0);
    };
    await decoder.exclusive(() => decoder.interruptible(read, signal));
    return reading.kept;
  }

  followAll(texts: readonly Followed[], signal?: AbortSignal): Promise<Seen[][]> {
    return followAll(this.decoder, texts, signal);
  }

  async logits(tokens: readonly number[]): Promise<ReadonlyMap<number, number>> {
    const logits = new Float32Array(this.vocabulary);
    const [sequence] = this.sequences as readonly [Sequence];
    await sequence.reset();
    await this.decoder.submit({ sequence: 0, tokens, logits, unchecked: true });
    await sequence.reset();
    return new Map(logits.entries());
  }

  embed(tokens: readonly number[], signal?: AbortSignal): Promise<Float64Array> {
    return embed(this.decoder, tokens, signal);
  }

  loadAdapter(path: string): Promise<Adapter> {
    return this.adapters.load(path);
  }

  adapt(adapters: readonly Adapter[], scales: readonly number[]): Promise<void> {
    return this.adapters.set(adapters, scales);
  }

  async dispose(): Promise<void> {
    this.adapters.free();
    await this.shortTexts.dispose();
    this.decoder.context.free();
    this.model.free();
  }

  private logitsOf(i: number): Float32Array {
    this.logitsAfter ??= new Float32Array(this.vocabulary);
    return this.decoder.context.logits(i, this.logitsAfter);
  }
}
