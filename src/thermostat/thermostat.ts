// A model in motion: the live copy of a model file and the dynamics that moves it. Owns the copy and removes it; never writes the model.
// Invariants: live = pristine + noise(seed, tick) after a draw; live = pristine, byte for byte, after a restore.

import { BrownianError, checkInteger } from "../errors.js";
import { LiveCopy, type ModelFile, type Mover, openMover, readModel, type Skipped, type Tensor } from "../gguf/index.js";
import { selection } from "../kernels/select.js";
import { choose, drawTensors, RmsCache } from "./draw.js";
import { type Drawn, type Dynamics, dynamicsNamed } from "./dynamics/index.js";
import { type CheckedSettings, checkSettings, type NoiseSettings, type Watch } from "./settings.js";

export interface ThermostatSettings extends NoiseSettings {
  /** How the noise evolves over ticks; default "quenched". */
  readonly dynamics?: string;
}

export interface ThermostatOptions extends ThermostatSettings, Watch {
  /** Folder of the live copy; default: BROWNIAN_SCRATCH, or a folder of our own in the system's temporary directory. */
  readonly scratch?: string;
}

/**
 * Opens a model file, makes its live copy and moves it.
 *
 * @example
 * const bath = await Thermostat.open("model.gguf", { sigma: 0.03, seed: 42n }); // sigma in units of each tensor's RMS
 * await bath.close(); // removes bath.livePath
 */
export class Thermostat {
  /**
   * Makes the live copy and draws tick 0 (nothing is drawn at sigma 0).
   * @throws BrownianError for anything wrong with the file, the settings or the disk; no copy is left then.
   */
  static async open(path: string, options: ThermostatOptions): Promise<Thermostat> {
    const settings = checkSettings(options);
    const dynamics = dynamicsNamed(options.dynamics ?? "quenched");
    const model = await readModel(path);
    const { chosen, skipped } = choose(model, settings);
    const copy = await LiveCopy.create(model, {
      ...(options.scratch !== undefined && { dir: options.scratch }),
      ...(options.signal !== undefined && { signal: options.signal }),
      ...(options.onProgress !== undefined && { onProgress: options.onProgress }),
    });
    let mover: Mover | undefined;
    try {
      mover = await openMover(copy.path, model.path, selection().kernels);
      const bath = new Thermostat(model, copy, mover, options, settings, dynamics, chosen, skipped);
      if (settings.sigma > 0) await bath.draw(0, options);
      return bath;
    } catch (error) {
      await mover?.close();
      await copy.dispose();
      throw error;
    }
  }

  private readonly rms: RmsCache;
  /** Tensors whose live bytes may differ from the pristine ones. */
  private readonly moved = new Set<Tensor>();
  /** The tick that the live weights are at. */
  private now = 0;
  private last: Drawn = { weights: 0, changed: 0 };
  private closed = false;
  /** The end of the last operation: one writes at a time. */
  private turn: Promise<unknown> = Promise.resolve();

  private constructor(
    readonly model: ModelFile,
    private readonly copy: LiveCopy,
    private readonly mover: Mover,
    private options: ThermostatSettings,
    private settings: CheckedSettings,
    private rule: Dynamics,
    private chosen: readonly Tensor[],
    private leftAlone: readonly Skipped[],
  ) {
    this.rms = new RmsCache(mover);
  }

  /** The file that moves; what an engine is to map. */
  get livePath(): string {
    return this.copy.path;
  }

  /** The tensors that move. */
  get tensors(): readonly Tensor[] {
    return this.chosen;
  }

  /** The tensors that are left alone, with the reason. */
  get skipped(): readonly Skipped[] {
    return this.leftAlone;
  }

  /** What the last draw did; nothing after a restore. */
  get drawn(): Drawn {
    return this.last;
  }

  /** How the noise evolves over ticks. */
  get dynamics(): Dynamics {
    return this.rule;
  }

  /** Sets the dials for the draws and ticks that follow; nothing is written. Settings not given stay. */
  configure(settings: Partial<ThermostatSettings>): void {
    const options = { ...this.options, ...settings };
    const checked = checkSettings(options);
    const rule = dynamicsNamed(options.dynamics ?? "quenched");
    const { chosen, skipped } = choose(this.model, checked);
    this.options = options;
    this.settings = checked;
    this.rule = rule;
    this.chosen = chosen;
    this.leftAlone = skipped;
  }

  /**
   * live := pristine + noise(sigma, seed, tick) on the chosen tensors, pristine on all others. Depends on the settings and `tick` alone,
   * not on what was drawn before. An aborted draw leaves the live copy half moved: draw again or restore.
   */
  draw(tick = 0, watch: Watch = {}): Promise<Drawn> {
    checkInteger("tick", tick, 0, 2 ** 32 - 1);
    return this.exclusively(async () => {
      this.now = tick;
      for (const tensor of [...this.moved]) {
        if (this.chosen.includes(tensor)) continue;
        await this.mover.restore(tensor);
        this.moved.delete(tensor);
      }
      let weights = 0;
      let changed = 0;
      for (const tensor of this.chosen) this.moved.add(tensor);
      for await (const drawn of drawTensors(this.mover, this.chosen, this.settings, tick, this.rms, watch)) {
        weights += drawn.tensor.weights;
        changed += drawn.changed;
      }
      this.last = { weights, changed };
      return this.last;
    });
  }

  /** One step of time. */
  async tick(): Promise<Drawn> {
    const next = this.now + 1;
    const drawn = await this.rule.step({ draw: (tick) => this.draw(tick), drawn: this.last }, next);
    this.now = next;
    return drawn;
  }

  /** live := pristine, byte for byte. The next draw or tick starts from there. */
  restore(): Promise<void> {
    return this.exclusively(async () => {
      for (const tensor of [...this.moved]) {
        await this.mover.restore(tensor);
        this.moved.delete(tensor);
      }
      this.now = 0;
      this.last = { weights: 0, changed: 0 };
    });
  }

  /** Waits for what is under way, then removes the live copy. Idempotent. */
  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    await this.turn.catch(() => undefined);
    await this.mover.close();
    await this.copy.dispose();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  private exclusively<T>(work: () => Promise<T>): Promise<T> {
    if (this.closed) return Promise.reject(new BrownianError("closed", `The thermostat of ${this.model.path} is closed.`));
    const result = this.turn.catch(() => undefined).then(work);
    this.turn = result;
    return result;
  }
}
