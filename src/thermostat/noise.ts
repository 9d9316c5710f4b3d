// The noise on the weights as one value: how strong, on which tensors, how it is put on the grid and how it evolves.
// Options are checked here, once, where they enter; from then on the value travels whole. It never changes.

import { BrownianError, checkChoice, checkInteger, checkObject, shown } from "../errors.js";
import type { ModelFile } from "../files/index.js";
import { MOST_STRIDE, Rounding } from "../laws/numbers.js";
import { type Seed, seed64 } from "../noise/index.js";
import type { Names } from "../options.js";
import { type Dynamics, type DynamicsName, dynamicsNamed } from "./dynamics/index.js";
import {
  SCALE_OPTIONS,
  SCALES,
  type Scale,
  type ScaleOptions,
  type ScaleRule,
  type SigmaOf,
  scaleFile,
  scaleOptions,
} from "./scales/index.js";
import { type Schedule, sigmaAt } from "./schedule.js";

/** The noise on the weights of a model: how strong, relative to what, from which seed, and on which tensors. */
export interface NoiseSettings extends ScaleOptions {
  /** Standard deviation of the noise on a weight, in units of `scale`; at least 0. */
  readonly sigma: number;
  /**
   * What sigma is relative to: "rms" (default), the tensor's root mean square; "absolute", weight units; "step", the
   * step of each block; "imatrix", the RMS again, shared among a tensor's input columns by how much activation comes
   * through them; "fragility", the RMS again, shared among tensors by how much noise each bears.
   */
  readonly scale?: Scale | undefined;
  /** How a move is put on the grid of codes; default "matched". */
  readonly rounding?: Rounding | undefined;
  /** Any whole number, taken modulo 2^64; equal seeds give equal noise. Default 0. */
  readonly seed?: Seed | undefined;
  /** Globs of tensor names; default all. */
  readonly only?: readonly string[] | undefined;
  /** Leave tensors of unsupported types alone instead of refusing; they are reported. */
  readonly skipUnsupported?: boolean | undefined;
}

/** What brings the noise to the engine: codes that move in a live copy ("live"), or low-rank additions ("adapter"). */
export type CarrierName = "live" | "adapter";

/** How the noise reaches the engine, where it is not by moves in the live copy. */
export interface CarrierOptions {
  /**
   * "live" (default): codes move in the copy that the engine maps, with all dynamics and full rank. "adapter": low-rank noise is added by the engine,
   * which may then rearrange weights; dynamics quenched and langevin, on the matrices of blocks.
   */
  readonly carrier?: CarrierName | undefined;
  /** Of the noise on each matrix, with carrier "adapter"; default 1. */
  readonly rank?: number | undefined;
  /** Which member of the seed, with carrier "adapter"; default 0. The same as that of `brownian adapter`. */
  readonly member?: number | undefined;
  /** With carrier "adapter" and dynamics langevin: members whose mixture moves, from `member` on; default 4. */
  readonly subspace?: number | undefined;
}

/** {@link CarrierOptions} of the carrier "adapter", checked. */
export interface Carrier {
  /** Of the noise on each matrix. */
  readonly rank: number;
  /** Which member of the seed. */
  readonly member: number;
  /** Members whose mixture moves, with langevin. */
  readonly subspace: number;
}

/** The noise on the weights of a model, and how it evolves over ticks. */
export interface ThermostatSettings extends Omit<NoiseSettings, "sigma"> {
  /** Standard deviation of the noise on a weight, in units of `scale`, at least 0: a number, or a function of the tick. */
  readonly sigma: number | Schedule;
  /** How the noise evolves over ticks; default "quenched". */
  readonly dynamics?: DynamicsName | undefined;
  /** Correlation time in ticks, above 0; default 32. */
  readonly tau?: number | undefined;
  /**
   * Of `langevin` and `wiener`: ticks from one visit of a weight to the next, 1 to 65536; default tau/2, from 1 to 64. 1 moves every weight at
   * every tick. Variances are those of stride 1 at any; the correlation of `wiener` too, that of `langevin` at multiples of the stride (between
   * them it is at most (stride/tau)^2/8 too large).
   */
  readonly stride?: number | undefined;
}

/** The names of {@link NoiseSettings}. */
export const NOISE: Names<NoiseSettings> = {
  ...SCALE_OPTIONS,
  sigma: true,
  scale: true,
  rounding: true,
  seed: true,
  only: true,
  skipUnsupported: true,
};

/** The names of {@link ThermostatSettings}. */
export const THERMOSTAT: Names<ThermostatSettings> = { ...NOISE, dynamics: true, tau: true, stride: true };

/** The names of {@link CarrierOptions}. */
export const CARRIER: Names<CarrierOptions> = { carrier: true, rank: true, member: true, subspace: true };

/** The most that a member of an adapter has: far more than noise needs. */
export const MOST_RANK = 1024;
/** Members of a seed. */
export const MOST_MEMBER = 2 ** 32 - 1;
const MOST_SUBSPACE = 64;
/** What brings the noise to the engine. */
export const CARRIERS: readonly CarrierName[] = ["live", "adapter"];
/** Dynamics that adapters have. */
const OF_ADAPTERS: readonly string[] = ["quenched", "langevin"];

/** @throws BrownianError usage for what does not go together */
function carrierOf(
  { carrier = "live", rank, member, subspace }: CarrierOptions,
  dynamics: Dynamics,
  rounding: Rounding,
): Carrier | undefined {
  if (checkChoice("carrier", carrier, CARRIERS) === "live") {
    const given = Object.entries({ rank, member, subspace }).find(([, value]) => value !== undefined);
    if (given === undefined) return undefined;
    throw new BrownianError(
      "usage",
      `${given[0]} is of the carrier adapter: choose that (carrier: "adapter", --carrier adapter).`,
    );
  }
  if (!OF_ADAPTERS.includes(dynamics.name))
    throw new BrownianError(
      "usage",
      `The carrier adapter has the dynamics ${OF_ADAPTERS.join(" and ")}: for ${dynamics.name} take the carrier live.`,
    );
  if (rounding !== "matched")
    throw new BrownianError("usage", `The carrier adapter rounds nothing: leave out rounding ${rounding}.`);
  return {
    rank: checkInteger("rank", rank ?? 1, 1, MOST_RANK),
    member: checkInteger("member", member ?? 0, 0, MOST_MEMBER),
    subspace: checkInteger("subspace", subspace ?? 4, 1, MOST_SUBSPACE),
  };
}

/** Correlation time in ticks, unless told otherwise. */
export const DEFAULT_TAU = 32;

/** The noise that these options ask for: defaults filled in, everything checked. @throws BrownianError usage */
export function noiseOf(options: ThermostatSettings & CarrierOptions): CheckedNoise {
  return new CheckedNoise(options);
}

/** Settings of noise that were checked, with every default filled in. It never changes. */
export class CheckedNoise {
  /** Standard deviation of the noise on a weight, in units of `scale`, at least 0: a number, or a function of the tick. */
  readonly sigma: number | Schedule;
  /** What sigma is relative to. */
  readonly scale: Scale;
  /** What the scale rests on, if on a file. */
  readonly file: string | undefined;
  /** How a move is put on the grid of codes. */
  readonly rounding: Rounding;
  /** 0 to 2^64 - 1. */
  readonly seed: bigint;
  /** Globs of tensor names; undefined: all. */
  readonly only: readonly string[] | undefined;
  /** Whether tensors of unsupported types are left alone instead of refused. */
  readonly skipUnsupported: boolean;
  /** How the noise evolves over ticks. */
  readonly dynamics: Dynamics;
  /** Correlation time in ticks, above 0. */
  readonly tau: number;
  /** Ticks from one visit of a weight to the next; undefined: the dynamics' own. */
  readonly stride: number | undefined;
  /** Undefined: moves in the live copy. */
  readonly carrier: Carrier | undefined;
  private readonly files: ScaleOptions;

  /** @internal settings are given as they are; noiseOf makes these */
  constructor(options: ThermostatSettings & CarrierOptions) {
    const { only, tau = DEFAULT_TAU } = checkObject("The settings of the noise", options);
    if (!(typeof tau === "number" && tau > 0 && tau <= Number.MAX_VALUE))
      throw new BrownianError("usage", `tau must be a number of ticks above 0, but is ${shown(tau)}.`);
    if (only !== undefined && (!Array.isArray(only) || only.length === 0))
      throw new BrownianError("usage", "only must be a list of at least one glob; leave it out to move every tensor.");
    this.scale = checkChoice("scale", options.scale ?? "rms", Object.keys(SCALES) as Scale[]);
    this.rounding = checkChoice("rounding", options.rounding ?? "matched", Object.keys(Rounding) as Rounding[]);
    this.files = scaleOptions(options);
    this.file = scaleFile(this.scale, this.files);
    this.rule.check?.(this.rounding);
    sigmaAt(options.sigma, 0); // what is no sigma is refused now
    this.sigma = options.sigma;
    this.seed = seed64(options.seed ?? 0);
    this.only = only && [...only];
    this.skipUnsupported = options.skipUnsupported ?? false;
    this.dynamics = dynamicsNamed(options.dynamics ?? "quenched");
    this.tau = tau;
    this.stride = options.stride === undefined ? undefined : checkInteger("stride", options.stride, 1, MOST_STRIDE);
    this.carrier = carrierOf(options, this.dynamics, this.rounding);
    Object.freeze(this);
  }

  /** There is none: weights stay where they are. */
  get off(): boolean {
    return this.sigma === 0;
  }

  /** Ticks from one visit of a weight to the next. */
  get visits(): number {
    return this.stride ?? this.dynamics.stride?.(this.tau) ?? 1;
  }

  /** Sigma at a tick. @throws BrownianError usage where a schedule gives what is no sigma */
  at(tick: number): number {
    return sigmaAt(this.sigma, tick);
  }

  /** Equal where the draws of tick 0 are, on equal tensors. */
  get key(): string {
    const { carrier } = this;
    const by = carrier === undefined ? [] : ["adapter", carrier.rank, carrier.member];
    return [this.at(0), this.scale, this.file, this.rounding, this.seed, ...by].join(" ");
  }

  /**
   * How sigma becomes a tensor's; reads the file that the scale rests on.
   * @internal thermostats call it
   * @throws BrownianError where that is wrong, or another model's
   */
  open(model: ModelFile): Promise<SigmaOf> {
    return this.rule.open(model, this.file ?? "");
  }

  /** This noise but for what is given. @throws BrownianError usage */
  with(changes: Partial<ThermostatSettings & CarrierOptions>): CheckedNoise {
    const own = changes.carrier === "live" ? undefined : this.carrier;
    const carrier: CarrierOptions = { carrier: "live", ...(own && { ...own, carrier: "adapter" }) };
    const dynamics = this.dynamics.name as DynamicsName;
    return new CheckedNoise({ ...this, ...this.files, ...carrier, dynamics, ...changes });
  }

  private get rule(): ScaleRule {
    return SCALES[this.scale];
  }
}
