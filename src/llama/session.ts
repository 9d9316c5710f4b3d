// A live file, the engine that maps it, and the state that a text begins with. Texts take turns (turns.ts), but for those whose weights are the
// same and at rest; the engine never computes while the thermostat writes, and what it does not see live is loaded again.

import {
  type Engine,
  type EngineKind,
  engineNamed,
  firstLoad,
  NoNumbers,
  type Probe,
  probe,
  type Sequence,
  sayIfSecond,
} from "../engine/index.js";
import { BrownianError, checkInteger } from "../errors.js";
import { checkOptions } from "../options.js";
import { type CheckedNoise, noiseOf } from "../thermostat/noise.js";
import { Thermostat, type ThermostatMemory } from "../thermostat/thermostat.js";
import { Carried } from "./carried.js";
import { type ChatOptions, ChatTemplate, isChat, type Prompt } from "./chat.js";
import { checkEngine, checkRepack, LOAD, type LoadOptions, type Repack, type SessionOptions } from "./load-options.js";
import { cachedBy, keepCached, takeCached } from "./prompt-cache.js";
import { Turns } from "./turns.js";
import { refuseUnseen, unseenAmong } from "./unseen.js";

/** How a text is to begin. */
export interface Beginning {
  /** Default: nothing, for texts that are given as tokens later. */
  readonly prompt?: Prompt;
  /** Which weights read the prompt; default "moving". */
  readonly promptWeights?: "moving" | "clean";
  readonly signal?: AbortSignal | undefined;
}

/** How it began. */
export interface Begun {
  /** Of the prompt. */
  readonly tokens: number[];
  /** How many of them the engine has read. */
  readonly read: number;
  /** Whether the engine had to load the file again. */
  readonly reloaded: boolean;
}

/** What the engine computes with in the tensors that it does not see live: the pristine file, or one moved by this noise. */
const PRISTINE = "pristine";

/** Weights at rest. */
export const CLEAN = noiseOf({ sigma: 0, skipUnsupported: true });

export class Session {
  static async open(path: string, options: LoadOptions, inside: Pick<SessionOptions, "oneCache"> = {}): Promise<Session> {
    const kind = engineNamed(checkOptions("loadModel", options, LOAD).engine);
    const engineOptions = { ...checkEngine(kind, options), ...inside };
    const { scratch, signal, onProgress } = options;
    const bath = await Thermostat.open(path, { sigma: 0, skipUnsupported: true, scratch, signal, onProgress });
    try {
      const chat = await ChatTemplate.of(bath.model.metadata, options.chatTemplate, path);
      const repack = checkRepack(kind, options);
      const repacks = { on: [true], off: [false], auto: kind.choosesRepacking ? [true, false] : [true] }[repack];
      await firstLoad(bath.model, path, kind, { ...engineOptions, repacks, signal });
      const engine = await kind.load(bath.livePath, path, { ...engineOptions, repack: repack !== "off", signal });
      if (options.engine === undefined) sayIfSecond(kind);
      return new Session(path, bath, engine, kind, { ...engineOptions, scratch }, { repack, chat });
    } catch (error) {
      await bath.close();
      throw error;
    }
  }

  /** What was seen with weights rearranged, and without. */
  private readonly probed = new Map<boolean, Probe>();
  /** Whether the engine may have rearranged weights. */
  private repacked: boolean;
  /** Whether it may for the text that is prepared. */
  private wanted = true;
  /** Which weights the engine loaded, for the classes that are dead; undefined when loading failed. */
  private loaded: string | undefined = PRISTINE;
  /** The noise that weights were prepared with; undefined while they are not what a text may begin with. */
  private present: CheckedNoise | undefined;
  /** Preparing, one after the other. */
  private preparing: Promise<unknown> = Promise.resolve();
  /** The steps under way of engine or bath; they never reject. */
  private readonly steps = new Set<Promise<unknown>>();
  private readonly turns: Turns;
  /** Noise that the engine adds by itself. */
  private readonly carried: Carried;
  private readonly repack: Repack;
  /** How the model reads chats. */
  readonly chat: ChatTemplate;
  private disposing: Promise<void> | undefined;

  private constructor(
    readonly path: string,
    readonly bath: Thermostat,
    private current: Engine,
    private readonly kind: EngineKind,
    private readonly options: SessionOptions & Pick<LoadOptions, "scratch">,
    { repack, chat }: { readonly repack: Repack; readonly chat: ChatTemplate },
  ) {
    this.repack = repack;
    this.chat = chat;
    this.repacked = this.repack !== "off";
    this.turns = new Turns(options.parallel ?? 1);
    this.carried = new Carried(bath.model, () => this.current, options.scratch);
  }

  /** The engine as it is loaded now. */
  get engine(): Engine {
    return this.current;
  }

  /** The text of whoever has the model to itself. */
  get text(): Sequence {
    return this.current.sequences[0] as Sequence;
  }

  get contextSize(): number {
    return this.current.contextSize;
  }

  /**
   * Waits for the turn of a text; resolves to the number of its sequence.
   * @param shared what it may share with others: weights at rest
   * @throws BrownianError closed; the signal's reason
   */
  async begin(shared: string | undefined, signal: AbortSignal | undefined): Promise<number> {
    this.refuseDisposed();
    return this.turns.enter(shared, signal);
  }

  end(place: number): void {
    this.turns.leave(place);
  }

  /** Runs `work` when nobody else has the model. */
  async during<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    const place = await this.begin(undefined, signal);
    try {
      return await work();
    } finally {
      this.end(place);
    }
  }

  /** Runs one step of engine or bath, which dispose() waits for. */
  async alone<T>(work: () => Promise<T>): Promise<T> {
    this.refuseDisposed();
    const step = work();
    const ended = step.catch(() => undefined);
    this.steps.add(ended);
    try {
      return await step;
    } catch (error) {
      throw this.explained(error);
    } finally {
      this.steps.delete(ended);
    }
  }

  /** Logits that are no numbers are the doing of the noise, where there is some. */
  private explained(error: unknown): unknown {
    const { present } = this;
    if (!(error instanceof NoNumbers) || present === undefined || present.off) return error;
    const { sigma } = present;
    return new BrownianError(
      "usage",
      `At ${typeof sigma === "function" ? "this schedule of sigma" : `sigma ${sigma}`} ${this.path} computes no numbers any more (its logits are NaN or infinite): take a smaller one.`,
      { cause: error },
    );
  }

  refuseDisposed(): void {
    if (this.disposing !== undefined) throw new BrownianError("closed", `The model ${this.path} was disposed of.`);
  }

  /** Waits for the steps under way, frees the engine's memory and removes the live copy. Idempotent. */
  dispose(): Promise<void> {
    this.disposing ??= Promise.all(this.steps).then(async () => {
      this.turns.close(new BrownianError("closed", `The model ${this.path} was disposed of.`));
      try {
        await this.current.dispose();
      } finally {
        await this.bath.close();
      }
    });
    return this.disposing;
  }

  /** The tokens of a prompt. @throws BrownianError usage where there is none, or they fill the context */
  promptTokens(prompt: Prompt, options: ChatOptions = {}): number[] {
    const tokens = this.tokensOf(prompt, options);
    if (tokens.length === 0)
      throw new BrownianError("usage", "The prompt is empty, and this model has no token to begin a text with: give it a word.");
    if (tokens.length >= this.contextSize)
      throw new BrownianError(
        "usage",
        `The prompt has ${tokens.length} tokens, but the context holds ${this.contextSize}, of which one is to be written: shorten it.`,
      );
    return tokens;
  }

  private tokensOf(prompt: Prompt, options: ChatOptions): number[] {
    if (typeof prompt === "string") return this.current.tokenize(prompt);
    if (isChat(prompt)) return this.chat.tokens(prompt, this.current, options);
    return (prompt as readonly number[]).map((token) =>
      checkInteger("A token of the prompt", token, 0, this.current.vocabulary - 1),
    );
  }

  /**
   * What a text with this noise may share with others, if it may: weights that are at rest while it is written, and not moved after its prompt.
   */
  sharedBy(noise: CheckedNoise, { promptWeights = "moving" }: Beginning): string | undefined {
    if (noise.off) return PRISTINE;
    return noise.dynamics.moves || promptWeights === "clean" ? undefined : JSON.stringify([noise.key, noise.only]);
  }

  /**
   * {@link prepare} for the text of sequence `place`, which may share its weights: where others have prepared them already, nothing is done. Its
   * sequence has the beginning of the prompt that is kept, and no more.
   */
  async prepareFor(place: number, noise: CheckedNoise, beginning: Beginning): Promise<Begun> {
    const shared = this.sharedBy(noise, beginning);
    const { prompt, signal } = beginning;
    const earlier = this.preparing;
    const begun = (async () => {
      await earlier.catch(() => undefined);
      signal?.throwIfAborted();
      const same = this.present !== undefined && shared !== undefined && this.sharedBy(this.present, {}) === shared;
      if (!(same && (this.turns.count > 1 || this.options.keepPrompts))) return this.prepare(noise, beginning);
      return { tokens: prompt === undefined ? [] : this.promptTokens(prompt), read: 0, reloaded: false };
    })();
    this.preparing = begun;
    const { tokens, read, reloaded } = await begun;
    const sequence = this.current.sequences[place] as Sequence;
    if (read > 0) return { tokens, read, reloaded };
    if (this.options.keepPrompts && shared !== undefined) return { tokens, read: await sequence.keep(tokens), reloaded };
    await sequence.reset();
    return { tokens, read: 0, reloaded };
  }

  /**
   * Brings live file and engine into the state that a text begins with: at tick 0 of the noise. Whoever calls it has the model alone.
   * @throws BrownianError usage, no-such-tensor, unsupported-type, engine-failed; not-live where tensors are to move
   * that the engine does not see
   */
  async prepare(noise: CheckedNoise, beginning: Beginning = {}): Promise<Begun> {
    this.present = undefined;
    const begun = await this.prepared(noise, beginning);
    this.present = noise;
    return begun;
  }

  private async prepared(noise: CheckedNoise, beginning: Beginning): Promise<Begun> {
    const { prompt, promptWeights = "moving", signal } = beginning;
    signal?.throwIfAborted();
    if (noise.carrier !== undefined && !noise.off) return this.preparedByAdapters(noise, beginning);
    await this.carried.clear();
    // Where nothing moves there is nothing to refuse.
    const moving = noise.off ? noise.with({ skipUnsupported: true, carrier: "live" }) : noise;
    this.bath.configure(moving); // refuses before any work
    if (this.loaded === undefined) await this.loadPristine(signal);
    const tokens = prompt === undefined ? [] : this.promptTokens(prompt);
    if (noise.off) return { tokens, read: 0, reloaded: await this.loadPristine(signal) };
    let { dead } = await this.probe(signal);
    this.bath.configure(moving);
    let unseen = unseenAmong(this.bath.tensors, dead);
    const within = noise.dynamics.moves || promptWeights === "clean"; // weights move while the engine has them
    if (unseen.length > 0 && within && this.repack === "auto" && this.kind.choosesRepacking) {
      ({ dead } = await this.probe(signal, false));
      this.bath.configure(moving);
      unseen = unseenAmong(this.bath.tensors, dead);
      this.wanted = false;
    } else {
      this.wanted = this.repack !== "off";
    }
    if (unseen.length > 0) refuseUnseen(this.path, noise, promptWeights, unseen, dead);
    let read = 0;
    if (promptWeights === "clean") {
      // All but the last token, which is the first that moving weights compute.
      await this.bath.restore({ signal });
      await this.load(PRISTINE);
      read = tokens.length - 1;
      if (read > 0) await this.text.read(tokens.slice(0, read), signal);
    }
    await this.bath.start({ signal });
    if (promptWeights === "clean") return { tokens, read, reloaded: false };
    const weights = unseen.length === 0 ? PRISTINE : `${noise.key} ${unseen.map((tensor) => tensor.name)}`;
    return { tokens, read, reloaded: await this.load(weights) };
  }

  /** The same where the engine adds the noise by itself: the live file stays as it is, and weights may be rearranged. */
  private async preparedByAdapters(noise: CheckedNoise, { prompt, promptWeights, signal }: Beginning): Promise<Begun> {
    if (!this.kind.exchangesAdapters)
      throw new BrownianError(
        "usage",
        "The carrier adapter needs the engine llama-c: brownian info says why it does not run here.",
      );
    const tokens = prompt === undefined ? [] : this.promptTokens(prompt);
    this.bath.configure(CLEAN);
    const clean = promptWeights === "clean";
    if (clean) await this.carried.clear();
    const reloaded = await this.loadPristine(signal);
    const read = clean ? tokens.length - 1 : 0;
    if (read > 0) await this.text.read(tokens.slice(0, read), signal);
    await this.carried.start(noise);
    return { tokens, read, reloaded };
  }

  /** Takes the weights to tick 0 of the noise that they were prepared with. */
  start(signal: AbortSignal | undefined): Promise<void> {
    return this.present?.carrier === undefined ? this.bath.start({ signal }) : this.carried.start(this.present);
  }

  /** One step of time. */
  async tick(): Promise<void> {
    await (this.present?.carrier === undefined ? this.bath.tick() : this.carried.tick());
  }

  /** What the motion takes, in bytes. */
  memory(): ThermostatMemory {
    return this.bath.memory();
  }

  /** Weights that could move. */
  get movable(): number {
    return this.carried.weights || this.bath.drawn.weights;
  }

  /** The file at `path` as the cache of a sequence's prompt, with the present weights. */
  async promptCache(path: string, weights: string | undefined, sequence: Sequence) {
    if (!this.kind.ownsContext)
      throw new BrownianError("usage", "promptCache needs the engine llama-c: brownian info says why it does not run here.");
    const files = this.bath.model.parts.map((part) => part.path);
    const by = await cachedBy(files, this.kind, [weights, this.repacked, this.contextSize]);
    return {
      take: (tokens: readonly number[]) => takeCached(path, by, sequence, tokens),
      keep: () => keepCached(path, by, sequence, files),
    };
  }

  /** Which tensors the engine sees moving. Measured once; the bath's noise is the caller's to set again. */
  async probe(signal: AbortSignal | undefined, repacked = this.repack !== "off"): Promise<Probe> {
    let found = this.probed.get(repacked);
    if (found === undefined) {
      this.present = undefined;
      await this.carried.clear();
      this.bath.configure(CLEAN);
      this.wanted = repacked;
      await this.bath.restore({ signal });
      await this.load(PRISTINE);
      found = await probe(this.current, this.bath, this.bath.tensors, signal);
      this.probed.set(repacked, found);
    }
    return found;
  }

  /** Clean weights, rearranged where that is allowed at all: there is one clean text a model and `repack`. */
  private async loadPristine(signal: AbortSignal | undefined): Promise<boolean> {
    this.wanted = this.repack !== "off";
    await this.bath.restore({ signal });
    return this.load(PRISTINE);
  }

  /**
   * Lets the engine forget the last text, and load the live file unless it has these weights in the tensors that it
   * does not see.
   */
  private async load(weights: string): Promise<boolean> {
    if (this.loaded === weights && this.repacked === this.wanted) {
      // What they have was computed with other weights.
      for (const sequence of this.current.sequences) await sequence.reset();
      return false;
    }
    this.loaded = undefined;
    this.carried.forget();
    await this.current.dispose();
    const options = { ...this.options, contextSize: this.contextSize, repack: this.wanted };
    this.current = await this.kind.load(this.bath.livePath, this.path, options);
    this.repacked = this.wanted;
    this.loaded = weights;
    return true;
  }
}
