// A language model whose weights move: one live file, one engine that maps it, and text that comes out. The engine never computes
// while the thermostat writes; equal arguments give equal texts.

import { EngineModel, type EngineOptions, type Sampling, type Seen } from "../engine/node-llama-cpp.js";
import { type Probe, probe } from "../engine/probe.js";
import { environment } from "../environment.js";
import { BrownianError, checkChoice, checkInteger, checkNumber } from "../errors.js";
import type { Tensor } from "../files/index.js";
import { type Seed, seed64 } from "../noise/index.js";
import { Ensemble, type EnsembleEntropy, softmax } from "../sampling/index.js";
import { dynamicsNamed } from "../thermostat/dynamics/index.js";
import type { Schedule } from "../thermostat/schedule.js";
import type { NoiseSettings, Watch } from "../thermostat/settings.js";
import { DEFAULT_TAU, Thermostat } from "../thermostat/thermostat.js";
import { TextStream } from "./text-stream.js";

export interface LoadOptions extends Watch {
  /** Engine threads; default BROWNIAN_THREADS, or all physical cores but one. Never more than are free: they spin. */
  readonly threads?: number;
  /** Tokens of context; default: what the model was trained on, at most 4096. */
  readonly contextSize?: number;
  /** Folder of the live copy. */
  readonly scratch?: string;
  /** Only 0: weights on a GPU are copies that no write reaches. */
  readonly gpuLayers?: number;
}

export interface GenerateOptions extends Omit<Partial<NoiseSettings>, "sigma"> {
  /** Noise on the weights in units of `scale`; default 0. A number, or a function of the token that is written (annealing). */
  readonly sigma?: number | Schedule;
  /** How the noise evolves over tokens, by name (DYNAMICS); default "quenched": drawn once a text. */
  readonly dynamics?: string;
  /** Correlation time in tokens; default 32. */
  readonly tau?: number;
  /**
   * Evaluates the whole context anew for every token, with the weights as they are then. Without it, the engine's key/value cache keeps what
   * earlier weights computed. Takes time in proportion to the text's length, a token.
   */
  readonly recompute?: boolean;
  /** Which weights read the prompt: the moving ones of tick 0 (default), or the pristine ones. */
  readonly promptWeights?: "moving" | "clean";
  /** Softmax temperature of the engine; default 0, greedy. Combines with moving weights. */
  readonly temperature?: number;
  /** Softmax samples from the k likeliest tokens only; default 0, all of them. */
  readonly topK?: number;
  /** Softmax samples from the likeliest tokens of total probability p only; default 1, all of them. */
  readonly topP?: number;
  /** Softmax samples from tokens at least p times as likely as the likeliest only; default 0, all of them. */
  readonly minP?: number;
  /**
   * Chooses every token instead of the engine, given the logits of the whole vocabulary (the array is used again for the next token) and how
   * many tokens there are already. Slower: the logits have to be handed over.
   * @example
   * const stream = new Noise(7n).stream("dice"); // noise on the logits
   * await model.complete("Once upon a time", { pick: (logits, tick) => gaussianMax(logits, stream, { tick }, 0.5) });
   */
  readonly pick?: (logits: Float32Array, index: number) => number;
  /** A token that ends texts is written like any other, so that all texts have `maxTokens`; default false. */
  readonly endless?: boolean;
  /** Of the weights and of softmax sampling; default 0. */
  readonly seed?: Seed;
  /** Default 100. */
  readonly maxTokens?: number;
  /** Ends the text between two tokens; what is written by then is kept (`stop: "aborted"`). */
  readonly signal?: AbortSignal;
}

export interface Generation {
  /** The continuation, without the prompt. */
  readonly text: string;
  readonly tokens: number;
  /** The continuation as the model's own tokens. */
  readonly ids: readonly number[];
  /** Seconds spent on all tokens but the first (which includes the prompt), moving weights included. */
  readonly seconds: number;
  readonly tokensPerSecond: number;
  /** Weights that could move, and those that differed from the pristine model's at the end. */
  readonly weights: number;
  readonly changed: number;
  /** The engine does not see writes to some of the moved tensors, so it loaded the moved file. */
  readonly reloaded: boolean;
  readonly stop: "eos" | "length" | "context" | "aborted";
}

export interface ScoreOptions
  extends Omit<GenerateOptions, "recompute" | "promptWeights" | "temperature" | "topK" | "topP" | "minP" | "pick" | "endless"> {
  /** Tokens of the text to read; default all. */
  readonly maxTokens?: number;
  /**
   * Lets the dynamics go on from token to token, as while a text is written, from tick 0 at the beginning of every window. Token by token, which
   * takes longer; by default the whole text is read with the weights of tick 0.
   */
  readonly ticks?: boolean;
}

/** What a model expected at one token of a text. */
export interface Expected {
  /** Counts the tokens visited. */
  readonly position: number;
  readonly window: number;
  /** The one that came. */
  readonly token: number;
  /** Of the whole vocabulary; valid until the next is visited. */
  readonly logits: Float32Array;
}

export interface UncertaintyOptions
  extends Pick<
    GenerateOptions,
    | "scale"
    | "imatrix"
    | "rounding"
    | "seed"
    | "only"
    | "skipUnsupported"
    | "maxTokens"
    | "signal"
    | "temperature"
    | "topK"
    | "topP"
    | "minP"
  > {
  /** Draws of the weights; default 8. */
  readonly members?: number;
  /** Noise on the weights in units of `scale`; default 0.05. */
  readonly sigma?: number;
  /** What follows the prompt; default: what the clean model writes. */
  readonly text?: string;
  /** Called with members that have read the text, and members in all. */
  readonly onProgress?: (done: number, total: number) => void;
}

/** A token of a text, and how sure an ensemble of moved weights was that it would come; entropies in nats. */
export interface UncertainToken extends EnsembleEntropy {
  readonly token: number;
  /** As it reads on; empty for a part of a character, whose last token has it. */
  readonly text: string;
  /** Of this token, by the mean prediction. */
  readonly probability: number;
}

export interface Uncertainty {
  /** The text, without the prompt. */
  readonly text: string;
  readonly tokens: readonly UncertainToken[];
  readonly members: number;
}

const DEFAULT_ENSEMBLE = { members: 8, sigma: 0.05 };

/** Of the draws of an ensemble: the first has the seed itself. */
const memberSeed = (seed: bigint, member: number): bigint => BigInt.asUintN(64, seed + BigInt(member) * 0x9e3779b97f4a7c15n);

const WAY_OUT =
  "Use the dynamics quenched (the engine loads the moved file once a text), a Q8_0, Q6_K, F16 or F32 model, --only with tensors that are live, " +
  'or an engine built once with cmakeOptions: { GGML_CPU_REPACK: "OFF" }, which sees them all.';

/**
 * Opens a GGUF model for writing with moving weights.
 *
 * @throws BrownianError for a file that is no model, a full disk, a missing engine (`npm install node-llama-cpp`)
 * @example
 * const model = await loadModel("model.gguf");
 * for await (const piece of model.generate("Once upon a time", { sigma: 0.05, seed: 7n })) process.stdout.write(piece);
 */
export async function loadModel(path: string, options: LoadOptions = {}): Promise<Model> {
  const engine = engineOptions(options);
  const bath = await Thermostat.open(path, { ...options, sigma: 0, skipUnsupported: true });
  try {
    const loaded = await EngineModel.load(bath.livePath, path, { ...engine, ...(options.signal && { signal: options.signal }) });
    return new Model(path, bath, loaded, engine);
  } catch (error) {
    await bath.close();
    throw error;
  }
}

/** What holds whenever the engine loads the file; the signal is of the first time only. */
function engineOptions({ threads, contextSize, gpuLayers }: LoadOptions): EngineOptions {
  if (gpuLayers !== undefined && gpuLayers !== 0) {
    throw new BrownianError(
      "usage",
      `gpuLayers must be 0, but is ${gpuLayers}: weights on a GPU are copies, which no move in the file reaches.`,
    );
  }
  const count = threads ?? environment.threads;
  return {
    ...(count !== undefined && { threads: checkInteger("threads", count, 1, 1024) }),
    ...(contextSize !== undefined && { contextSize: checkInteger("contextSize", contextSize, 8) }),
  };
}

/** How a text begins. */
interface Prepared {
  readonly tokens: number[];
  /** How many of them the engine has read. */
  readonly read: number;
  /** Whether weights move. */
  readonly moved: boolean;
  /** Whether the engine had to load the file again. */
  readonly reloaded: boolean;
}

/** What the engine computes with in the tensors that it does not see live: the pristine file, or one moved by these settings. */
const PRISTINE = "pristine";

export class Model {
  private probed: Probe | undefined;
  /** Which weights the engine loaded, for the classes that are dead; undefined when loading failed. */
  private loaded: string | undefined = PRISTINE;
  private busy = false;
  /** The step under way of engine or bath; never rejects. */
  private step: Promise<unknown> = Promise.resolve();
  private disposing: Promise<void> | undefined;

  /** @param options what the engine is loaded with, now and again */
  constructor(
    /** As it was given to {@link loadModel}. */
    readonly path: string,
    private readonly bath: Thermostat,
    private engine: EngineModel,
    private readonly options: EngineOptions,
  ) {}

  /** Tokens of context. */
  get contextSize(): number {
    return this.engine.contextSize;
  }

  /**
   * Continues `prompt`. Yields text as it is written: prompt and pieces read as one text. Greedy and clean by default; `sigma` lets the
   * weights move, `temperature` rolls dice at the output, both combine. The return value tells what happened. Breaking off is fine.
   *
   * @throws BrownianError usage, no-such-tensor, unsupported-type, closed, engine-failed; not-live where the dynamics moves tensors that
   * the engine does not see
   */
  async *generate(prompt: string, options: GenerateOptions = {}): AsyncGenerator<string, Generation> {
    this.begin();
    try {
      return yield* this.write(prompt, options);
    } finally {
      this.busy = false;
    }
  }

  /** {@link generate}, in one piece. */
  async complete(prompt: string, options: GenerateOptions = {}): Promise<Generation> {
    const pieces = this.generate(prompt, options);
    for (;;) {
      const next = await pieces.next();
      if (next.done) return next.value;
    }
  }

  /**
   * Reads `text` and tells what the model expected at every token, with its weights as `options` moves them (tick 0 of the dynamics).
   * The text is cut into windows of the context's size, each read for itself from its beginning on; windows may be given instead, as
   * {@link windows} makes them. Resolves to the number of tokens visited.
   *
   * @throws BrownianError usage for an empty text, and as `generate`; the signal's reason when aborted
   * @example
   * let nll = 0; // nats
   * await model.score("Once upon a time there was a king.", { sigma: 0.05 }, ({ token, logits }) => (nll -= logSoftmax(logits)[token]));
   */
  async score(
    text: string | readonly (readonly number[])[],
    options: ScoreOptions,
    visit: (expected: Expected) => void,
  ): Promise<number> {
    this.begin();
    try {
      const windows = typeof text === "string" ? this.windows(text, { maxTokens: options.maxTokens }) : text;
      const { moved } = await this.alone(() => this.prepare(() => [], options));
      const ticking = moved && options.ticks === true && this.bath.dynamics.moves;
      let position = 0;
      for (const [number, window] of windows.entries()) {
        options.signal?.throwIfAborted();
        if (ticking && number > 0) await this.alone(() => this.bath.start({ signal: options.signal }));
        await this.alone(() =>
          this.engine.score(
            window,
            (i, logits) => {
              const token = window[i + 1];
              if (token !== undefined) visit({ position: position++, window: number, token, logits });
            },
            ticking ? () => this.bath.tick() : undefined,
          ),
        );
      }
      return position;
    } finally {
      this.busy = false;
    }
  }

  /**
   * How sure the model is of every token of a text, and how far that is a matter of its weights: an ensemble of moved weights reads the text,
   * each member once, teacher-forced. Of the mean prediction's entropy, `information` is what members disagree about (Ensemble).
   * The text is `options.text`, or what the clean model writes after the prompt: greedily, or by softmax where a temperature is given.
   *
   * @throws BrownianError usage (nothing to read, or more than the context holds), and as `generate`; the signal's reason when aborted
   * @example
   * const { tokens } = await model.uncertainty("Once upon a time", { members: 8, sigma: 0.05, maxTokens: 40 });
   * console.log(tokens[0].text, tokens[0].information); // " there" 0.02 (nats)
   */
  async uncertainty(prompt: string, options: UncertaintyOptions = {}): Promise<Uncertainty> {
    const { signal, onProgress, sigma = DEFAULT_ENSEMBLE.sigma } = options;
    const members = checkInteger("members", options.members ?? DEFAULT_ENSEMBLE.members, 1, 10_000);
    const seed = seed64(options.seed ?? 0);
    const most = checkInteger("maxTokens", options.maxTokens ?? 100, 1);
    const sampling = checkSampling(options);
    checkNumber("sigma", sigma, 0);
    this.begin();
    try {
      const { only, skipUnsupported } = options;
      const clean = { only, skipUnsupported: skipUnsupported ?? false, ...(signal && { signal }) };
      const { tokens, start } = await this.alone(async () => {
        const { text } = options;
        if (text !== undefined) return this.given(prompt, text, most, () => this.prepare(() => [], clean));
        return this.written((await this.prepare(() => this.promptTokens(prompt), clean)).tokens, most, sampling, signal);
      });
      if (tokens.length === start) return { text: "", tokens: [], members };
      const stream = new TextStream(this.engine, tokens.slice(0, start));
      const ensembles: Ensemble[] = [];
      // Members without noise are one and the same.
      const different = sigma === 0 ? 1 : members;
      for (let member = 0; member < different; member++) {
        signal?.throwIfAborted();
        const { scale, imatrix, rounding } = options;
        const moved = {
          ...clean,
          sigma,
          seed: memberSeed(seed, member),
          imatrix,
          ...(scale !== undefined && { scale }),
          ...(rounding !== undefined && { rounding }),
        };
        await this.alone(async () => {
          await this.prepare(() => [], moved);
          await this.engine.score(tokens.slice(0, -1), (i, logits) => {
            if (i < start - 1) return;
            ensembles[i] ??= new Ensemble(logits.length);
            ensembles[i].add(softmax(logits));
          });
        });
        onProgress?.(member + 1, different);
      }
      return await this.alone(async () => {
        const read = tokens.slice(start).map((token, i): UncertainToken => {
          const ensemble = ensembles[start - 1 + i] as Ensemble;
          return { token, text: stream.push(token), probability: ensemble.mean()[token] as number, ...ensemble.entropy() };
        });
        const last = read.at(-1);
        if (last !== undefined) read[read.length - 1] = { ...last, text: last.text + stream.flush() };
        return { text: read.map((token) => token.text).join(""), tokens: read, members };
      });
    } finally {
      this.busy = false;
    }
  }

  /** The tokens of prompt and text, and where the text's begin. */
  private async given(prompt: string, text: string, most: number, prepare: () => Promise<unknown>) {
    const before = this.engine.tokenize(prompt);
    const all = this.engine.tokenize(prompt + text);
    // Where the tokenizer draws the last token of the prompt and the first of the text into one, that counts as the text's.
    let start = 0;
    while (start < before.length && before[start] === all[start]) start++;
    start = Math.max(start, 1);
    const tokens = all.slice(0, start + most);
    if (tokens.length <= start) throw new BrownianError("usage", "The text has no token to be expected: give a longer one.");
    if (tokens.length > this.contextSize)
      throw new BrownianError(
        "usage",
        `Prompt and text have ${tokens.length} tokens, but the context holds ${this.contextSize}: shorten them, or read fewer (maxTokens).`,
      );
    await prepare();
    return { tokens, start };
  }

  /** What the weights that are loaded write after `prompt`. */
  private async written(prompt: readonly number[], most: number, sampling: Sampling, signal: AbortSignal | undefined) {
    const tokens = [...prompt];
    const written = this.engine.continue(prompt, sampling);
    const room = Math.min(most, this.contextSize - prompt.length);
    try {
      while (tokens.length < prompt.length + room) {
        signal?.throwIfAborted();
        const next = await written.next();
        if (next.done) break;
        tokens.push(next.value);
      }
    } finally {
      await written.return();
    }
    return { tokens, start: prompt.length };
  }

  /**
   * The tokens of a prompt, with the one that begins every text where the model has one.
   * @throws BrownianError usage where there is none, or they fill the context
   */
  tokens(prompt: string): readonly number[] {
    this.refuseDisposed();
    return this.promptTokens(prompt);
  }

  /** Tokens of a text that `score` reads at a time. */
  get windowLength(): number {
    return this.contextSize - (this.engine.beginning === null ? 0 : 1);
  }

  /**
   * A text's tokens in windows of `length` tokens (default {@link windowLength}), each begun as texts are.
   * @throws BrownianError usage for a text with nothing to be expected, or windows that do not fit the context
   */
  windows(text: string, options: { length?: number | undefined; maxTokens?: number | undefined } = {}): number[][] {
    const most = checkInteger("maxTokens", options.maxTokens ?? Number.MAX_SAFE_INTEGER, 1);
    const begin = this.engine.beginning;
    const skip = begin === null ? 0 : 1;
    const all = this.engine.tokenize(text).slice(skip, skip + most);
    const length = checkInteger("length", options.length ?? this.windowLength, 1, this.windowLength);
    const windows: number[][] = [];
    for (let at = 0; at < all.length; at += length)
      windows.push([...(begin === null ? [] : [begin]), ...all.slice(at, at + length)]);
    if (!windows.some((window) => window.length > 1))
      throw new BrownianError("usage", "The text has no token to be expected: give a longer one.");
    return windows;
  }

  /**
   * What the clean model thinks of the continuation `ids` of `prompt`: ln p of each token given the text before it, and whether it was the
   * likeliest. The tokens of a text that was written are `Generation.ids`: its letters may be tokens in several ways.
   * @throws BrownianError as `generate`; usage where prompt and continuation do not fit the context
   * @example
   * const { ids } = await model.complete("Once upon a time", { sigma: 0.1 });
   * const seen = await model.follow("Once upon a time", ids); // seen[0].logProbability
   */
  async follow(prompt: string, ids: readonly number[]): Promise<Seen[]> {
    this.begin();
    try {
      const { tokens } = await this.alone(() => this.prepare(() => this.promptTokens(prompt), {}));
      const all = [...tokens, ...ids];
      if (all.length > this.contextSize)
        throw new BrownianError(
          "usage",
          `Prompt and continuation have ${all.length} tokens, but the context holds ${this.contextSize}: shorten them.`,
        );
      return (await this.alone(() => this.engine.follow(all))).slice(tokens.length - 1);
    } finally {
      this.busy = false;
    }
  }

  /** Which tensors that can move the engine sees moving. Measured once, on first use; see {@link Probe}. */
  async probe(signal?: AbortSignal): Promise<Probe> {
    this.begin();
    try {
      return await this.alone(() => this.measured(signal));
    } finally {
      this.busy = false;
    }
  }

  /** Waits for the token under way, frees the engine's memory and removes the live copy. Idempotent. */
  dispose(): Promise<void> {
    this.disposing ??= this.step.then(async () => {
      try {
        await this.engine.dispose();
      } finally {
        await this.bath.close();
      }
    });
    return this.disposing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.dispose();
  }

  private begin(): void {
    this.refuseDisposed();
    if (this.busy)
      throw new BrownianError("usage", `${this.path} is writing a text: let it finish first, or load the model once more.`);
    this.busy = true;
  }

  private refuseDisposed(): void {
    if (this.disposing !== undefined) throw new BrownianError("closed", `The model ${this.path} was disposed of.`);
  }

  /** Runs one step of engine or bath, which dispose() waits for. */
  private alone<T>(work: () => Promise<T>): Promise<T> {
    this.refuseDisposed();
    const step = work();
    this.step = step.catch(() => undefined);
    return step;
  }

  private async *write(prompt: string, options: GenerateOptions): AsyncGenerator<string, Generation> {
    const { signal } = options;
    const maxTokens = checkInteger("maxTokens", options.maxTokens ?? 100, 1);
    const sampling = checkSampling(options);
    const recompute = options.recompute ?? false;
    let prepared: Prepared;
    try {
      prepared = await this.alone(() => this.prepare(() => this.promptTokens(prompt), options));
    } catch (error) {
      if (signal === undefined || error !== signal.reason) throw error;
      return {
        text: "",
        tokens: 0,
        ids: [],
        seconds: 0,
        tokensPerSecond: 0,
        weights: 0,
        changed: 0,
        reloaded: false,
        stop: "aborted",
      };
    }
    const { tokens, read, reloaded, moved } = prepared;
    const room = this.contextSize - tokens.length;
    const stream = new TextStream(this.engine, tokens);
    const context = [...tokens];
    let count = 0;
    const { pick } = options;
    const continued = (from: readonly number[], how: Sampling) =>
      pick === undefined ? this.engine.continue(from, how) : this.engine.choose(from, (logits) => pick(logits, count), how);
    let written = continued(tokens.slice(read), sampling);
    const moves = this.bath.dynamics.moves && moved;
    let seconds = 0;
    let text = "";
    let stop: Generation["stop"] | undefined;
    try {
      while (stop === undefined) {
        const before = performance.now();
        const piece = await this.alone(async () => {
          if (moves && count > 0) await this.bath.tick();
          if (moves && count > 0 && recompute) {
            await written.return();
            await this.engine.reset();
            written = continued(context, { ...sampling, seed: (sampling.seed + count) >>> 0 });
          }
          const next = await written.next();
          if (next.done) return undefined;
          context.push(next.value);
          return stream.push(next.value);
        });
        if (piece === undefined) {
          stop = "eos";
          break;
        }
        if (count > 0) seconds += (performance.now() - before) / 1000;
        count++;
        text += piece;
        if (piece !== "") yield piece;
        if (signal?.aborted) stop = "aborted";
        else if (count >= maxTokens) stop = "length";
        else if (count >= room) stop = "context";
      }
    } finally {
      await written.return();
    }
    const rest = await this.alone(async () => stream.flush());
    text += rest;
    if (rest !== "") yield rest;
    if (text === "" && moved) await this.alone(() => this.refuseNonsense(tokens, options.sigma ?? 0));
    const tokensPerSecond = seconds > 0 ? (count - 1) / seconds : 0;
    const { weights } = this.bath.drawn;
    const changed = await this.alone(() => this.bath.difference());
    return { text, tokens: count, ids: context.slice(tokens.length), seconds, tokensPerSecond, weights, changed, reloaded, stop };
  }

  /** Nothing was written: an end of text at once is fine, logits that are no numbers are not. */
  private async refuseNonsense(tokens: readonly number[], sigma: number | Schedule): Promise<void> {
    for (const logit of (await this.engine.logits(tokens)).values()) {
      if (Number.isFinite(logit)) continue;
      throw new BrownianError(
        "usage",
        `At ${typeof sigma === "function" ? "this schedule of sigma" : `sigma ${sigma}`} ${this.path} computes no numbers any more (its logits are ${logit}): take a smaller one.`,
      );
    }
  }

  private promptTokens(prompt: string): number[] {
    const tokens = this.engine.tokenize(prompt);
    if (tokens.length === 0)
      throw new BrownianError("usage", "The prompt is empty, and this model has no token to begin a text with: give it a word.");
    if (tokens.length >= this.contextSize)
      throw new BrownianError(
        "usage",
        `The prompt has ${tokens.length} tokens, but the context holds ${this.contextSize}, of which one is to be written: shorten it.`,
      );
    return tokens;
  }

  /** Brings live file and engine into the state that the text begins with. */
  private async prepare(tokensOf: () => number[], options: GenerateOptions): Promise<Prepared> {
    const {
      signal,
      dynamics = "quenched",
      sigma = 0,
      scale = "rms",
      imatrix,
      rounding = "matched",
      seed = 0,
      only,
      skipUnsupported = false,
      tau = DEFAULT_TAU,
    } = options;
    const promptWeights = checkChoice("promptWeights", options.promptWeights ?? "moving", ["moving", "clean"]);
    signal?.throwIfAborted();
    const rule = dynamicsNamed(dynamics);
    const settings = {
      sigma,
      scale,
      imatrix,
      rounding,
      seed,
      only,
      dynamics,
      tau,
      skipUnsupported: skipUnsupported || sigma === 0,
    };
    this.bath.configure(settings); // checks them before any work
    if (this.loaded === undefined) {
      await this.bath.restore();
      await this.load(PRISTINE);
    }
    const tokens = tokensOf();
    if (sigma === 0) {
      await this.bath.restore();
      return { tokens, read: 0, moved: false, reloaded: await this.load(PRISTINE) };
    }
    const { dead } = await this.measured(signal);
    this.bath.configure(settings);
    const unseen = deadAmong(this.bath.tensors, dead);
    if (rule.moves && unseen.length > 0) {
      const names = new Set(unseen.map((tensor) => tensor.name));
      const classes = dead.filter((group) => group.tensors.some((tensor) => names.has(tensor.name))).map((group) => group.name);
      throw new BrownianError(
        "not-live",
        `The dynamics ${rule.name} moves weights while the text is written, but the engine does not see writes to ${unseen.length} of the moved tensors of ${this.path} (${classes.join(", ")}). ${WAY_OUT}`,
      );
    }
    if (promptWeights === "clean") {
      if (unseen.length > 0) {
        const names = unseen.map((tensor) => tensor.name).join(", ");
        throw new BrownianError(
          "not-live",
          `promptWeights "clean" moves the weights between the prompt and the text, but the engine does not see writes to ${unseen.length} of the moved tensors of ${this.path} (${names}). ${WAY_OUT}`,
        );
      }
      // All but the last token, which is the first that moving weights compute.
      await this.bath.restore();
      await this.load(PRISTINE);
      const read = tokens.length - 1;
      if (read > 0) await this.engine.read(tokens.slice(0, read));
      await this.bath.start({ signal });
      return { tokens, read, moved: true, reloaded: false };
    }
    await this.bath.start({ signal });
    const weights = [
      typeof sigma === "function" ? sigma(0) : sigma,
      scale,
      imatrix,
      rounding,
      seed64(seed),
      unseen.map((tensor) => tensor.name),
    ].join(" ");
    return { tokens, read: 0, moved: true, reloaded: await this.load(unseen.length === 0 ? PRISTINE : weights) };
  }

  private async measured(signal: AbortSignal | undefined): Promise<Probe> {
    if (this.probed === undefined) {
      this.bath.configure({ sigma: 0, only: undefined, skipUnsupported: true });
      await this.bath.restore();
      await this.load(PRISTINE);
      this.probed = await probe(this.engine, this.bath, this.bath.tensors, signal);
    }
    return this.probed;
  }

  /** Lets the engine forget the last text, and load the live file unless it has these weights in the tensors that it does not see. */
  private async load(weights: string): Promise<boolean> {
    if (this.loaded === weights) {
      await this.engine.reset();
      return false;
    }
    this.loaded = undefined;
    await this.engine.dispose();
    this.engine = await EngineModel.load(this.bath.livePath, this.path, { ...this.options, contextSize: this.contextSize });
    this.loaded = weights;
    return true;
  }
}

function deadAmong(tensors: readonly Tensor[], dead: Probe["dead"]): Tensor[] {
  const names = new Set(dead.flatMap((group) => group.tensors.map((tensor) => tensor.name)));
  return tensors.filter((tensor) => names.has(tensor.name));
}

function checkSampling({ endless, pick, ...options }: GenerateOptions): Sampling {
  const { temperature = 0, topK = 0, topP = 1, minP = 0, seed = 0 } = options;
  const whole = seed64(seed);
  if (pick !== undefined && (temperature !== 0 || topK !== 0 || topP !== 1 || minP !== 0))
    throw new BrownianError("usage", "Give pick, or temperature, topK, topP and minP: pick chooses instead of them.");
  return {
    yieldEogToken: endless ?? false,
    temperature: checkNumber("temperature", temperature, 0, 1e6),
    topK: checkInteger("topK", topK, 0, 2 ** 31 - 1),
    topP: checkNumber("topP", topP, 0, 1),
    minP: checkNumber("minP", minP, 0, 1),
    seed: Number(BigInt.asUintN(32, whole ^ (whole >> 32n))),
  };
}
