// A model in motion: the live copy of a model file and the dynamics that moves it. Owns the copy and removes it; never writes the model.
// Invariants: live = pristine + noise(seed, tick) after a draw; live = pristine, byte for byte, after a restore.

import { BrownianError, checkInteger } from "../errors.js";
import {
  LiveCopy,
  type ModelFile,
  type Mover,
  openMover,
  readImatrix,
  readModel,
  type Skipped,
  type Tensor,
} from "../files/index.js";
import type { Kernels } from "../kernels/contract.js";
import { selection } from "../kernels/select.js";
import { collisionThreshold } from "../lattice/collide.js";
import { choose, Measures, type PlannedMove, planMove, watchOver } from "./draw.js";
import { type Bath, type Drawn, type Dynamics, dynamicsNamed } from "./dynamics/index.js";
import { type Schedule, sigmaAt } from "./schedule.js";
import { type CheckedSettings, checkSettings, type NoiseSettings, type Watch } from "./settings.js";

export interface ThermostatSettings extends Omit<NoiseSettings, "sigma"> {
  /** Standard deviation of the noise on a weight, in units of `scale`, at least 0: a number, or a function of the tick. */
  readonly sigma: number | Schedule;
  /** How the noise evolves over ticks; default "quenched". */
  readonly dynamics?: string;
  /** Correlation time in ticks, above 0; default 32. */
  readonly tau?: number;
}

/** Correlation time in ticks, unless told otherwise. */
export const DEFAULT_TAU = 32;

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
   * Makes the live copy and takes it to tick 0 (nothing is drawn at sigma 0).
   * @param kernels who computes; default: this process's backend
   * @throws BrownianError for anything wrong with the file, the settings or the disk; no copy is left then.
   */
  static async open(path: string, options: ThermostatOptions, kernels: Kernels = selection().kernels): Promise<Thermostat> {
    const { settings, rule } = checked(options);
    const model = await readModel(path);
    const { chosen, skipped } = choose(model, settings);
    if (settings.imatrix !== undefined) await readImatrix(settings.imatrix, model); // before the work of a copy
    const copy = await LiveCopy.create(model, { dir: options.scratch, ...watchOver(model.size, options) });
    let mover: Mover | undefined;
    try {
      mover = await openMover(copy.path, model.path, kernels);
      const bath = new Thermostat(model, copy, mover, options, settings, rule, chosen, skipped);
      if (settings.sigma > 0) await bath.start(options);
      return bath;
    } catch (error) {
      await mover?.close();
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
  /** Ticks that are being made ready, in their order. */
  private ahead: Ahead[] = [];
  private planned: { settings: CheckedSettings; sigma: number; moves: readonly PlannedMove[] } | undefined;
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
    this.measures = new Measures(mover, model);
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
    const { settings: checkedNow, rule } = checked(options);
    const { chosen, skipped } = choose(this.model, checkedNow);
    this.options = options;
    this.settings = checkedNow;
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
      for (const tensor of this.chosen) this.moved.add(tensor);
      const moves = await this.plan(tick);
      const over = watchOver(this.bytes, watch);
      const changed = await changesIn(moves, watch, async ({ tensor, move }) => {
        if (move.sigma > 0) return this.mover.perturb(tensor, { ...move, tick }, over);
        await this.mover.restore(tensor, over);
        return 0;
      });
      this.free = false;
      this.last = { weights: this.weights, changed };
      return this.last;
    });
  }

  /** Takes the bath to tick 0, by its dynamics. */
  async start(watch: Watch = {}): Promise<void> {
    await this.rule.start(this.bath(watch));
    this.now = 0;
  }

  /** One step of time, by the dynamics. After an aborted one, start anew or restore. */
  async tick(watch: Watch = {}): Promise<Drawn> {
    const next = this.now + 1;
    const drawn = await this.rule.step(this.bath(watch), next, this.options.tau ?? DEFAULT_TAU);
    this.now = next;
    return drawn;
  }

  /** How many there are to move. */
  private get weights(): number {
    return this.chosen.reduce((sum, tensor) => sum + tensor.weights, 0);
  }

  private get bytes(): number {
    return this.chosen.reduce((sum, tensor) => sum + tensor.bytes, 0);
  }

  /** How many codes (or floats) of the tensors that move differ from the pristine model's now. */
  difference(): Promise<number> {
    if (!this.free) return Promise.resolve(this.last.changed);
    return this.exclusively(async () => {
      let different = 0;
      for (const tensor of this.moved) different += await this.mover.difference(tensor);
      return different;
    });
  }

  /** What a dynamics can do with this bath. */
  private bath(watch: Watch): Bath {
    return {
      draw: (tick) => this.draw(tick, watch),
      collide: (tick, probability) =>
        this.step(tick, async (moves) => {
          const threshold = collisionThreshold(probability);
          const apply = await this.takeAhead(tick, threshold);
          const changed = apply?.() ?? (await this.mover.collide(moves, tick, threshold, watchOver(this.bytes, watch)));
          this.prepare(tick, threshold);
          return changed;
        }),
      diffuse: (tick, factor) =>
        this.step(tick, async (moves) => {
          const over = watchOver(this.bytes, watch);
          return changesIn(moves, watch, async ({ tensor, move }) => {
            const sigma = Math.fround(move.sigma * factor);
            return sigma > 0 ? this.mover.diffuse(tensor, { ...move, sigma, tick }, over) : 0;
          });
        }),
      evolve: (tick, law, strength) =>
        this.step(tick, async (moves) => {
          if (this.settings.rounding !== "matched")
            throw new BrownianError(
              "usage",
              `The dynamics ${this.rule.name} has its own rounding: leave out rounding ${this.settings.rounding}.`,
            );
          const over = watchOver(this.bytes, watch);
          return changesIn(moves, watch, ({ tensor, move }) => this.mover.evolve(tensor, { ...move, tick }, law, strength, over));
        }),
      restore: () => this.restore(),
      drawn: this.last,
    };
  }

  /** Changes the live weights, which `work` counts, by the moves of this tick. */
  private step(tick: number, work: (moves: readonly PlannedMove[]) => Promise<number>): Promise<Drawn> {
    return this.exclusively(async () => {
      const moves = await this.plan(tick);
      for (const tensor of this.chosen) this.moved.add(tensor);
      this.free = true;
      this.last = { weights: this.weights, changed: await work(moves) };
      return this.last;
    });
  }

  /** Has the collisions of the ticks after `tick` made ready while whoever looks at the weights is busy with these. */
  private prepare(tick: number, threshold: number): void {
    if (this.mover.prepareCollide === undefined) return;
    const { settings } = this;
    const colliding = (this.weights * threshold) / 2 ** 32;
    const most = typeof this.options.sigma === "function" || colliding > FEW_WEIGHTS ? 1 : TICKS_AHEAD;
    if (this.ahead.length > most / 2) return; // several at a time: to wake the background takes time too
    for (let next = (this.ahead.at(-1)?.tick ?? tick) + 1; next <= tick + most; next++) {
      const ready = this.plan(next).then((moves) => this.mover.prepareCollide?.(moves, next, threshold));
      ready.catch(() => undefined); // said when it is asked for, if it is
      this.ahead.push({ tick: next, threshold, settings, ready });
    }
  }

  /** What was made ready for this tick, if it was. */
  private async takeAhead(tick: number, threshold: number): Promise<(() => number | undefined) | undefined> {
    const next = this.ahead.shift();
    if (next?.tick === tick && next.threshold === threshold && next.settings === this.settings) return next.ready;
    this.ahead = []; // of another time, or by other dials
    return undefined;
  }

  /** The moves of a tick, but for the tick. Made anew only when sigma or the settings changed: ticks are to take no time. */
  private async plan(tick: number): Promise<readonly PlannedMove[]> {
    const sigma = sigmaAt(this.options.sigma, tick);
    if (this.planned?.settings !== this.settings || this.planned.sigma !== sigma) {
      const settings = { ...this.settings, sigma };
      const moves = await Promise.all(this.chosen.map((tensor) => planMove(tensor, settings, tick, this.measures)));
      this.planned = { settings: this.settings, sigma, moves };
    }
    return this.planned.moves;
  }

  /** live := pristine, byte for byte. The next draw or tick starts from there. */
  restore(): Promise<void> {
    return this.exclusively(async () => {
      for (const tensor of [...this.moved]) {
        await this.mover.restore(tensor);
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
    for (const { ready } of this.ahead) await ready.catch(() => undefined);
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

/** Weights of tensors that are moved side by side: one small tensor after the other would leave threads without work. */
const SIDE_BY_SIDE = 2 ** 22;

/** The sum of what `work` changes in each tensor. Where one fails, the others are waited for. */
async function changesIn(
  moves: readonly PlannedMove[],
  { signal }: Watch,
  work: (move: PlannedMove) => Promise<number>,
): Promise<number> {
  let changed = 0;
  for (let i = 0; i < moves.length; ) {
    signal?.throwIfAborted();
    const first = i;
    let weights = 0;
    do weights += (moves[i++] as PlannedMove).tensor.weights;
    while (i < moves.length && weights + (moves[i] as PlannedMove).tensor.weights <= SIDE_BY_SIDE);
    for (const done of await Promise.allSettled(moves.slice(first, i).map(work))) {
      if (done.status === "rejected") throw done.reason;
      changed += done.value;
    }
  }
  return changed;
}

/** A tick whose collisions are being made ready, by these dials; `ready` resolves when that has begun. */
interface Ahead {
  readonly tick: number;
  readonly threshold: number;
  readonly settings: CheckedSettings;
  readonly ready: Promise<(() => number | undefined) | undefined>;
}

/** Ticks that are made ready ahead where little collides in each: an engine's next token may come sooner than one of them is done. */
const TICKS_AHEAD = 8;
const FEW_WEIGHTS = 1e6;

/** The settings at tick 0, and the dynamics. @throws BrownianError usage */
function checked(options: ThermostatSettings): { settings: CheckedSettings; rule: Dynamics } {
  const { tau } = options;
  if (tau !== undefined && !(typeof tau === "number" && tau > 0 && tau <= Number.MAX_VALUE))
    throw new BrownianError("usage", `tau must be a number of ticks above 0, but is ${String(tau)}.`);
  const settings = checkSettings({ ...options, sigma: sigmaAt(options.sigma, 0) });
  return { settings, rule: dynamicsNamed(options.dynamics ?? "quenched") };
}
