// A live file, the engine that maps it, and the state that a text begins with. One text at a time; the engine never
// computes while the thermostat writes, and what it does not see live is loaded again.

import {
  type Engine,
  type EngineKind,
  type EngineName,
  type EngineOptions,
  engineNamed,
  firstLoad,
  type Probe,
  probe,
} from "../engine/index.js";
import { environment } from "../environment.js";
import { BrownianError, checkChoice, checkInteger } from "../errors.js";
import type { Tensor, Watch } from "../files/index.js";
import { type CheckedNoise, noiseOf } from "../thermostat/noise.js";
import { Thermostat } from "../thermostat/thermostat.js";

/** How `loadModel` opens a model: the engine, its context and threads, and where the live copy lies. */
export interface LoadOptions extends Watch {
  /** Engine threads; default BROWNIAN_THREADS, or all physical cores but one. Never more than are free: they spin. */
  readonly threads?: number | undefined;
  /** Tokens of context; default: what the model was trained on, at most 4096. */
  readonly contextSize?: number | undefined;
  /** Folder of the live copy; default: BROWNIAN_SCRATCH, or a folder of our own in the system's temporary directory. */
  readonly scratch?: string | undefined;
  /** Only 0: weights on a GPU are copies that no write reaches. */
  readonly gpuLayers?: number | undefined;
  /** Default: llama.cpp by its C API ("llama-c") where its release is known, else "node-llama-cpp". */
  readonly engine?: EngineName | undefined;
  /**
   * Whether llama.cpp may rearrange weights for speed: "on", "off", or "auto" (default): where weights move that it would then not see, it may
   * not. The two ways of multiplying round differently, so that each has its own clean text. Engine "llama-c" only.
   */
  readonly repack?: Repack | undefined;
}

/** How a text is to begin. */
export interface Beginning {
  /** Default: nothing, for texts that are given as tokens later. */
  readonly prompt?: string;
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

/** Whether llama.cpp may rearrange weights. */
export const REPACK = ["auto", "on", "off"] as const;
/** One of {@link REPACK}. */
export type Repack = (typeof REPACK)[number];

/** What the engine computes with in the tensors that it does not see live: the pristine file, or one moved by this noise. */
const PRISTINE = "pristine";

/** Weights at rest. */
export const CLEAN = noiseOf({ sigma: 0, skipUnsupported: true });

const WAY_OUT =
  "Use the dynamics quenched (the engine loads the moved file once a text), a Q8_0, Q6_K, F16 or F32 model, --only with tensors that are live, " +
  'or let llama.cpp keep weights as they are (repack: "auto" or "off"), which needs the engine llama-c: brownian info says whether it runs here.';

export class Session {
  static async open(path: string, options: LoadOptions): Promise<Session> {
    const kind = engineNamed(options.engine);
    const engineOptions = checkEngine(options);
    const { scratch, signal, onProgress } = options;
    const bath = await Thermostat.open(path, { sigma: 0, skipUnsupported: true, scratch, signal, onProgress });
    try {
      const repack = checkChoice("repack", options.repack ?? "auto", REPACK);
      if (repack === "off" && !kind.choosesRepacking)
        throw new BrownianError("usage", 'repack "off" needs the engine llama-c: brownian info says why it does not run here.');
      const repacks = { on: [true], off: [false], auto: kind.choosesRepacking ? [true, false] : [true] }[repack];
      await firstLoad(bath.model, path, kind, { ...engineOptions, repacks, signal });
      const engine = await kind.load(bath.livePath, path, { ...engineOptions, repack: repack !== "off", signal });
      return new Session(path, bath, engine, kind, engineOptions, repack);
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
  private busy = false;
  /** The step under way of engine or bath; never rejects. */
  private step: Promise<unknown> = Promise.resolve();
  private disposing: Promise<void> | undefined;

  private constructor(
    readonly path: string,
    readonly bath: Thermostat,
    private current: Engine,
    private readonly kind: EngineKind,
    private readonly options: EngineOptions,
    private readonly repack: Repack,
  ) {
    this.repacked = repack !== "off";
  }

  /** The engine as it is loaded now. */
  get engine(): Engine {
    return this.current;
  }

  get contextSize(): number {
    return this.current.contextSize;
  }

  /** Begins a text. @throws BrownianError usage while another one is written; closed */
  begin(): void {
    this.refuseDisposed();
    if (this.busy)
      throw new BrownianError("usage", `${this.path} is writing a text: let it finish first, or load the model once more.`);
    this.busy = true;
  }

  end(): void {
    this.busy = false;
  }

  /** Runs `work` from {@link begin} to {@link end}. */
  async during<T>(work: () => Promise<T>): Promise<T> {
    this.begin();
    try {
      return await work();
    } finally {
      this.end();
    }
  }

  /** Runs one step of engine or bath, which dispose() waits for. */
  alone<T>(work: () => Promise<T>): Promise<T> {
    this.refuseDisposed();
    const step = work();
    this.step = step.catch(() => undefined);
    return step;
  }

  refuseDisposed(): void {
    if (this.disposing !== undefined) throw new BrownianError("closed", `The model ${this.path} was disposed of.`);
  }

  /** Waits for the step under way, frees the engine's memory and removes the live copy. Idempotent. */
  dispose(): Promise<void> {
    this.disposing ??= this.step.then(async () => {
      try {
        await this.current.dispose();
      } finally {
        await this.bath.close();
      }
    });
    return this.disposing;
  }

  /** The tokens of a prompt. @throws BrownianError usage where there is none, or they fill the context */
  promptTokens(prompt: string): number[] {
    const tokens = this.current.tokenize(prompt);
    if (tokens.length === 0)
      throw new BrownianError("usage", "The prompt is empty, and this model has no token to begin a text with: give it a word.");
    if (tokens.length >= this.contextSize)
      throw new BrownianError(
        "usage",
        `The prompt has ${tokens.length} tokens, but the context holds ${this.contextSize}, of which one is to be written: shorten it.`,
      );
    return tokens;
  }

  /**
   * Brings live file and engine into the state that a text begins with: at tick 0 of the noise.
   * @throws BrownianError usage, no-such-tensor, unsupported-type, engine-failed; not-live where tensors are to move
   * that the engine does not see
   */
  async prepare(noise: CheckedNoise, { prompt, promptWeights = "moving", signal }: Beginning = {}): Promise<Begun> {
    signal?.throwIfAborted();
    // Where nothing moves there is nothing to refuse.
    const moving = noise.off ? noise.with({ skipUnsupported: true }) : noise;
    this.bath.configure(moving); // refuses before any work
    if (this.loaded === undefined) await this.loadPristine();
    const tokens = prompt === undefined ? [] : this.promptTokens(prompt);
    if (noise.off) return { tokens, read: 0, reloaded: await this.loadPristine() };
    let { dead } = await this.probe(signal);
    this.bath.configure(moving);
    let unseen = deadAmong(this.bath.tensors, dead);
    const within = noise.dynamics.moves || promptWeights === "clean"; // weights move while the engine has them
    if (unseen.length > 0 && within && this.repack === "auto" && this.kind.choosesRepacking) {
      ({ dead } = await this.probe(signal, false));
      this.bath.configure(moving);
      unseen = deadAmong(this.bath.tensors, dead);
      this.wanted = false;
    } else {
      this.wanted = this.repack !== "off";
    }
    if (unseen.length > 0) this.refuseUnseen(noise, promptWeights, unseen, dead);
    let read = 0;
    if (promptWeights === "clean") {
      // All but the last token, which is the first that moving weights compute.
      await this.bath.restore();
      await this.load(PRISTINE);
      read = tokens.length - 1;
      if (read > 0) await this.current.read(tokens.slice(0, read));
    }
    await this.bath.start({ signal });
    if (promptWeights === "clean") return { tokens, read, reloaded: false };
    const weights = unseen.length === 0 ? PRISTINE : `${noise.key} ${unseen.map((tensor) => tensor.name)}`;
    return { tokens, read, reloaded: await this.load(weights) };
  }

  /** Which tensors the engine sees moving. Measured once; the bath's noise is the caller's to set again. */
  async probe(signal: AbortSignal | undefined, repacked = this.repack !== "off"): Promise<Probe> {
    let found = this.probed.get(repacked);
    if (found === undefined) {
      this.bath.configure(CLEAN);
      this.wanted = repacked;
      await this.bath.restore();
      await this.load(PRISTINE);
      found = await probe(this.current, this.bath, this.bath.tensors, signal);
      this.probed.set(repacked, found);
    }
    return found;
  }

  /** @throws BrownianError not-live where the engine would miss moves of these tensors */
  private refuseUnseen({ dynamics }: CheckedNoise, promptWeights: string, unseen: readonly Tensor[], dead: Probe["dead"]): void {
    const names = unseen.map((tensor) => tensor.name);
    const refuse = (why: string, which: readonly string[]) => {
      throw new BrownianError(
        "not-live",
        `${why}, but the engine does not see writes to ${unseen.length} of the moved tensors of ${this.path} (${which.join(", ")}). ${WAY_OUT}`,
      );
    };
    if (dynamics.moves) {
      const classes = dead.filter((group) => group.tensors.some((tensor) => names.includes(tensor.name)));
      refuse(
        `The dynamics ${dynamics.name} moves weights while the text is written`,
        classes.map((group) => group.name),
      );
    }
    if (promptWeights === "clean") refuse('promptWeights "clean" moves the weights between the prompt and the text', names);
  }

  /** Clean weights, rearranged where that is allowed at all: there is one clean text a model and `repack`. */
  private async loadPristine(): Promise<boolean> {
    this.wanted = this.repack !== "off";
    await this.bath.restore();
    return this.load(PRISTINE);
  }

  /**
   * Lets the engine forget the last text, and load the live file unless it has these weights in the tensors that it
   * does not see.
   */
  private async load(weights: string): Promise<boolean> {
    if (this.loaded === weights && this.repacked === this.wanted) {
      await this.current.reset();
      return false;
    }
    this.loaded = undefined;
    await this.current.dispose();
    const options = { ...this.options, contextSize: this.contextSize, repack: this.wanted };
    this.current = await this.kind.load(this.bath.livePath, this.path, options);
    this.repacked = this.wanted;
    this.loaded = weights;
    return true;
  }
}

/** What holds whenever the engine loads the file. @throws BrownianError usage */
function checkEngine({ threads, contextSize, gpuLayers }: LoadOptions): EngineOptions {
  if (gpuLayers !== undefined && gpuLayers !== 0) {
    throw new BrownianError(
      "usage",
      `gpuLayers must be 0, but is ${gpuLayers}: weights on a GPU are copies, which no move in the file reaches.`,
    );
  }
  const count = threads ?? environment.threads;
  return {
    threads: count === undefined ? undefined : checkInteger("threads", count, 1, 1024),
    contextSize: contextSize === undefined ? undefined : checkInteger("contextSize", contextSize, 8),
  };
}

function deadAmong(tensors: readonly Tensor[], dead: Probe["dead"]): Tensor[] {
  const names = new Set(dead.flatMap((group) => group.tensors.map((tensor) => tensor.name)));
  return tensors.filter((tensor) => names.has(tensor.name));
}
