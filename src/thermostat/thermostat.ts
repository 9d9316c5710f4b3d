// A model in motion: the live copy of a model file and the dynamics that moves it. Owns the copy and removes it; never
// writes the model. Invariants: live = pristine + noise(seed, tick) after a draw; live = pristine, byte for byte, after
// a restore.

import { BrownianError, checkInteger } from "../errors.js";
import {
  LiveCopy,
  type LiveMemory,
  type LiveTensors,
  type ModelFile,
  openLiveModel,
  readModel,
  type Skipped,
  type Tensor,
  WATCH,
  type Watch,
  watchOver,
} from "../files/index.js";
import type { Kernels } from "../kernels/contract.js";
import { selection } from "../kernels/select.js";
import { type Step, sameStep } from "../kernels/step.js";
import { collisionThreshold } from "../lattice/collide.js";
import { checkOptions, type Names } from "../options.js";
import { Ahead, type Stepping } from "./ahead.js";
import type { Dose } from "./dose.js";
import { choose, Measures, type PlannedMove, planMoves } from "./draw.js";
import type { Bath, Drawn, Dynamics } from "./dynamics/index.js";
import { CheckedNoise, noiseOf, THERMOSTAT, type ThermostatSettings } from "./noise.js";

/** What {@link Thermostat.open} is told: the noise and its dynamics, where the live copy lies, and how the copying is stopped and watched. */
export interface ThermostatOptions extends ThermostatSettings, Watch {
  /** Folder of the live copy; default: BROWNIAN_SCRATCH, or a folder of our own in the system's temporary directory. */
  readonly scratch?: string | undefined;
}

/** What {@link Thermostat.memory} tells, in bytes. */
export interface ThermostatMemory extends LiveMemory {
  /** The live copy itself: a file, which the page cache holds. */
  readonly file: number;
}

/** Of a seed: the tick is one word of every random number's counter. */
const LAST_TICK = 2 ** 32 - 1;

const NAMES: Names<ThermostatOptions> = { ...THERMOSTAT, ...WATCH, scratch: true };

/**
 * Opens a model file, makes its live copy and moves it.
 *
 * @example
 * const bath = await Thermostat.open("model.gguf", { sigma: 0.03, seed: 42n }); // sigma in units of each tensor's RMS
 * await bath.close(); // removes bath.livePath
 */
export class Thermostat {
  /**
   * Makes the live copy and takes it to tick 0 (nothing is drawn at sigma 0).
   * @param kernels who computes; default: this process's backend
   * @throws BrownianError for anything wrong with the file, the settings or the disk; no copy is left then.
   */
  static async open(path: string, options: ThermostatOptions, kernels: Kernels = selection().kernels): Promise<Thermostat> {
    const noise = noiseOf(checkOptions("Thermostat.open", options, NAMES));
    refuseCarrier(noise);
    const { scratch, signal, onProgress } = options;
    const model = await readModel(path);
    choose(model, noise); // before the work of a copy, as what the scale's file says
    await noise.open(model);
    const copy = await LiveCopy.create(model, { dir: scratch, ...watchOver(model.size, { signal, onProgress }) });
    let liveTensors: LiveTensors | undefined;
    try {
      liveTensors = await openLiveModel(copy.parts, model, kernels);
      const bath = new Thermostat(model, copy, liveTensors, noise);
      if (noise.at(0) > 0) await bath.start({ signal, onProgress });
      return bath;
    } catch (error) {
      await liveTensors?.close();
      await copy.dispose();
      throw error;
    }
  }

  private readonly measures: Measures;
  /** Tensors whose live bytes may differ from the pristine ones. */
  private readonly moved = new Set<Tensor>();
  /** The tick that the live weights are at. */
  private now = 0;
  private last: Drawn = { weights: 0, changed: 0 };
  /** The live weights are no draw: how many differ has to be counted. */
  private free = false;
  private readonly ahead: Ahead;
  private planned: { noise: CheckedNoise; sigma: number; step: Step; moves: Promise<readonly PlannedMove[]> } | undefined;
  private chosen: readonly Tensor[];
  /** Of the chosen. */
  private weights = 0;
  private bytes = 0;
  private leftAlone: readonly Skipped[];
  private closed = false;
  /** The end of the last operation: one writes at a time. */
  private turn: Promise<unknown> = Promise.resolve();

  private constructor(
    /** The model file, which is never written. */
    readonly model: ModelFile,
    private readonly copy: LiveCopy,
    private readonly liveTensors: LiveTensors,
    private noise: CheckedNoise,
  ) {
    if (!(copy instanceof LiveCopy)) throw new BrownianError("usage", "Thermostats are made by Thermostat.open.");
    this.measures = new Measures(liveTensors, model);
    this.ahead = new Ahead(liveTensors);
    const { chosen, skipped } = choose(model, noise);
    this.chosen = chosen;
    this.leftAlone = skipped;
    this.count();
  }

  /** Once for all ticks that follow. */
  private count(): void {
    this.weights = this.chosen.reduce((sum, tensor) => sum + tensor.weights, 0);
    this.bytes = this.chosen.reduce((sum, tensor) => sum + tensor.bytes, 0);
  }

  /** The file that moves, or the first of several; what an engine is to map. */
  get livePath(): string {
    return this.copy.path;
  }

  /** All files that move, in the order of the model's: several where it lies in several. */
  get liveParts(): readonly string[] {
    return this.copy.parts;
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
    return this.noise.dynamics;
  }

  /** Sets the parameters for the draws and ticks that follow; nothing is written. Settings not given stay. */
  configure(settings: CheckedNoise | Partial<ThermostatSettings>): void {
    const noise = settings instanceof CheckedNoise ? settings : this.noise.with(checkOptions("configure", settings, THERMOSTAT));
    refuseCarrier(noise);
    const { chosen, skipped } = choose(this.model, noise);
    this.noise = noise;
    this.chosen = chosen;
    this.leftAlone = skipped;
    this.count();
  }

  /**
   * live := pristine + noise(sigma, seed, tick) on the chosen tensors, pristine on all others. Depends on the settings
   * and `tick` alone, not on what was drawn before. An aborted draw leaves the live copy half moved: draw again or
   * restore.
   */
  draw(tick = 0, watch: Watch = {}): Promise<Drawn> {
    checkInteger("tick", tick, 0, LAST_TICK);
    return this.drawAt(tick, checkOptions("draw", watch, WATCH), false);
  }

  /** @param another whether the next tick is likely to be another draw */
  private drawAt(tick: number, watch: Watch, another: boolean): Promise<Drawn> {
    return this.exclusively(async () => {
      this.now = tick;
      const stepping: Stepping = { step: DRAW, noise: this.noise };
      const prepared = await this.ahead.take(tick, stepping);
      for (const tensor of [...this.moved]) {
        if (this.chosen.includes(tensor)) continue;
        await this.liveTensors.restore(tensor);
        this.moved.delete(tensor);
      }
      for (const tensor of this.chosen) this.moved.add(tensor);
      const moves = await this.plan(tick, DRAW);
      const over = watchOver(this.bytes, watch);
      const changed = await (prepared === undefined ? this.liveTensors.draw(moves, tick, over) : prepared.write(over));
      this.free = false;
      this.last = { weights: this.weights, changed };
      // Rare moves take less time than what is made ahead of them to write.
      if (another && changed > this.weights * RARE)
        this.ahead.goOn(tick, stepping, this.weights, (next) => this.plan(next, DRAW));
      return this.last;
    });
  }

  /** Takes the bath to tick 0, by its dynamics. */
  async start(watch: Watch = {}): Promise<void> {
    await this.noise.dynamics.start(this.bath(checkOptions("start", watch, WATCH)));
    this.now = 0;
  }

  /**
   * One step of time, by the dynamics. After an aborted one, start anew or restore.
   * @throws BrownianError usage after tick 2^32 - 1, the last one
   */
  async tick(watch: Watch = {}): Promise<Drawn> {
    checkOptions("tick", watch, WATCH);
    const next = this.now + 1;
    if (next > LAST_TICK)
      throw new BrownianError(
        "usage",
        `This thermostat is at its last tick, ${LAST_TICK}: begin anew with start(), or another seed, or go on from an earlier one with draw().`,
      );
    const drawn = await this.noise.dynamics.step(this.bath(watch), next, this.noise.tau, this.noise.visits);
    this.now = next;
    return drawn;
  }

  /**
   * The doses of the tensors that move, at the tick that the weights are at: what was asked for, and what they get. Of draws; after a tick, of
   * what its dynamics does.
   */
  doses(): Promise<readonly { readonly tensor: Tensor; readonly dose: Dose }[]> {
    return this.exclusively(async () => {
      const step = this.planned?.noise === this.noise ? this.planned.step : DRAW;
      return (await this.plan(this.now, step)).map(({ tensor, dose }) => ({ tensor, dose }));
    });
  }

  /** How many codes (or floats) of the tensors that move differ from the pristine model's now. */
  difference(): Promise<number> {
    if (!this.free) return Promise.resolve(this.last.changed);
    return this.exclusively(async () => {
      let different = 0;
      for (const tensor of this.moved) different += await this.liveTensors.difference(tensor);
      return different;
    });
  }

  /**
   * What the motion takes now, in bytes: the live copy, and the memory of this process beside it. Index and journal are there where moves are
   * rare, and are at most 3 % of the file.
   *
   * @throws BrownianError closed
   * @example
   * const bath = await Thermostat.open("model.gguf", { sigma: 0.002, dynamics: "white" });
   * await bath.tick();
   * const { file, index, journal } = bath.memory();
   * console.log((index + journal) / file);
   */
  memory(): ThermostatMemory {
    if (this.closed) throw this.gone();
    return { file: this.model.size, ...this.liveTensors.memory() };
  }

  /** What a dynamics can do with this bath. */
  private bath(watch: Watch): Bath {
    return {
      draw: (tick) => this.drawAt(tick, watch, tick > 0), // tick 0 is the start of any dynamics, later ones of one that draws at every tick
      collide: (tick, probability) => this.along(tick, { verb: "collide", threshold: collisionThreshold(probability) }, watch),
      diffuse: (tick, factor, stride) => this.along(tick, { verb: "diffuse", factor, stride }, watch),
      evolve: (tick, law, strength, stride) => {
        const { rounding, dynamics } = this.noise;
        if (rounding !== "matched")
          throw new BrownianError("usage", `The dynamics ${dynamics.name} has its own rounding: leave out rounding ${rounding}.`);
        return this.along(tick, { verb: "evolve", law, strength, stride }, watch);
      },
      restore: () => this.restore(),
      drawn: this.last,
    };
  }

  /** A step of all tensors; the next ones are made ready then, while somebody looks at the weights. */
  private along(tick: number, step: Step, watch: Watch): Promise<Drawn> {
    return this.step(tick, step, async (moves) => {
      const stepping = { step, noise: this.noise };
      const over = watchOver(this.bytes, watch);
      const prepared = await this.ahead.take(tick, stepping);
      const changed = await (prepared === undefined ? this.liveTensors.step(moves, tick, step, over) : prepared.write(over));
      this.ahead.goOn(tick, stepping, this.weights, (next) => this.plan(next, step));
      return changed;
    });
  }

  /** Changes the live weights, which `work` counts, by the moves of this tick. */
  private step(tick: number, step: Step, work: (moves: readonly PlannedMove[]) => Promise<number>): Promise<Drawn> {
    return this.exclusively(async () => {
      const moves = await this.plan(tick, step);
      for (const tensor of this.chosen) this.moved.add(tensor);
      this.free = true;
      this.last = { weights: this.weights, changed: await work(moves) };
      return this.last;
    });
  }

  /** The moves of a tick, but for the tick. Made anew only when sigma or the noise changed: ticks are to take no time. */
  private async plan(tick: number, step: Step): Promise<readonly PlannedMove[]> {
    const { noise } = this;
    const sigma = noise.at(tick);
    let { planned } = this;
    if (planned?.noise !== noise || planned.sigma !== sigma || !sameStep(planned.step, step)) {
      const moves = planMoves(this.chosen, noise, sigma, tick, this.measures, step);
      const begun = { noise, sigma, step, moves };
      moves.catch(() => {
        if (this.planned === begun) this.planned = undefined; // tried again next time
      });
      this.planned = planned = begun;
    }
    return planned.moves;
  }

  /** live := pristine, byte for byte. The next draw or tick starts from there. Where it is aborted, some tensors are left as they were: do it again. */
  restore(watch: Pick<Watch, "signal"> = {}): Promise<void> {
    const { signal } = checkOptions("restore", watch, { signal: true });
    return this.exclusively(async () => {
      await this.ahead.drop();
      for (const tensor of [...this.moved]) {
        signal?.throwIfAborted();
        await this.liveTensors.restore(tensor);
        this.moved.delete(tensor);
      }
      this.now = 0;
      this.free = false;
      this.last = { weights: 0, changed: 0 };
    });
  }

  /** Waits for what is under way, then removes the live copy. Idempotent. */
  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    await this.turn.catch(() => undefined);
    await this.ahead.drop();
    await this.liveTensors.close();
    await this.copy.dispose();
  }

  /** As {@link close}, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  private gone(): BrownianError {
    return new BrownianError("closed", `The thermostat of ${this.model.path} is closed.`);
  }

  private exclusively<T>(work: () => Promise<T>): Promise<T> {
    if (this.closed) return Promise.reject(this.gone());
    const result = this.turn.catch(() => undefined).then(work);
    this.turn = result;
    return result;
  }
}

const DRAW: Step = { verb: "draw" };
/** A thermostat moves codes. @throws BrownianError usage */
function refuseCarrier({ carrier }: CheckedNoise): void {
  if (carrier !== undefined)
    throw new BrownianError("usage", "A thermostat moves the live copy: the carrier adapter is for engines (brownian/llama).");
}

/** Below this share of changed codes moves are rare: a draw undoes the last one and finds new ones without a look at the rest. */
const RARE = 1 / 64;
