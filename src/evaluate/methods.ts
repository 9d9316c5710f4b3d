// The table of methods: ways of getting several answers to a question. Each says what its dials are; how they are tuned is told in dials.ts.

import type { TextAsked, TogetherOptions } from "../llama/model.js";
import { DYNAMICS, type DynamicsName, dynamicsNames } from "../thermostat/dynamics/index.js";

/** How far a method is turned. */
export interface Dial {
  /** Of softmax. */
  readonly temperature?: number;
  /** Of the weights, in units of RMS. */
  readonly sigma?: number;
}

/** A way of getting several answers. */
export interface Method {
  /** What reports call it. */
  readonly label: string;
  /** One line for help texts. */
  readonly summary: string;
  /** What is tuned; a mixture has two dials, and each of them gives half of the flips. */
  readonly dials: "none" | "temperature" | "sigma" | "both";
  /** Which dynamics moves the weights, if they move. */
  readonly dynamics?: DynamicsName;
  /** Of draws that the engine adds as low-rank adapters: their rank. Sigma is tuned for each rank by itself. */
  readonly rank?: number;
  /** Draws that servers have, as members of a folder. */
  readonly served?: boolean;
  /** Softmax draws from tokens at least so many times as likely as the likeliest. */
  readonly minP?: number;
}

/** Usual for min-p (Nguyen et al. 2024). */
const MIN_P = 0.1;

function moving(dynamics: DynamicsName): Method {
  const { label, summary } = DYNAMICS[dynamics];
  return { label, summary: `${summary}, read off greedily`, dials: "sigma", dynamics };
}

function adapter(rank: number): Method {
  const label = `adapter r = ${rank}`;
  return {
    label,
    summary: `a draw of rank ${rank} on all matrices, as an adapter, read off greedily`,
    dials: "sigma",
    dynamics: "quenched",
    rank,
  };
}

const stationary = dynamicsNames.filter((name) => DYNAMICS[name].theory.stationary);

/** All of them, by name. Softmax is what the others are put beside. */
export const METHODS = {
  greedy: { label: "greedy", summary: "the likeliest token, always: one answer", dials: "none" },
  softmax: { label: "softmax", summary: "a draw from softmax at T for every token", dials: "temperature" },
  "min-p": {
    label: "min-p",
    summary: `softmax at T among tokens at least ${MIN_P} times as likely as the likeliest`,
    dials: "temperature",
    minP: MIN_P,
  },
  ...(Object.fromEntries(stationary.map((name) => [name, moving(name)])) as Record<DynamicsName, Method>),
  mixture: {
    label: "quenched + softmax",
    summary: "quenched weights and softmax together, half of the flips each",
    dials: "both",
    dynamics: "quenched",
  },
  "adapter-1": adapter(1),
  "adapter-8": adapter(8),
  members: {
    label: "members",
    summary: "with --endpoint: draws of the weights that servers have (--adapters), read off greedily",
    dials: "sigma",
    dynamics: "quenched",
    served: true,
  },
} as const satisfies Record<string, Method>;

/** The name of a method. */
export type MethodName = keyof typeof METHODS;

export const methodNames = Object.keys(METHODS) as MethodName[];

export const methodOf = (name: MethodName): Method => METHODS[name];

/** How weights move: by a thermostat in the live copy, as adapters of a rank, or on servers. Each has a sigma of its own for equal flips. */
export type Carried = "live" | `adapter-${number}` | "members";

/** How the method's weights move; undefined where they do not. */
export function carriedBy(name: MethodName): Carried | undefined {
  const { dynamics, rank, served } = methodOf(name);
  if (dynamics === undefined) return undefined;
  if (served) return "members";
  return rank === undefined ? "live" : `adapter-${rank}`;
}

/** All ways in which the weights of these methods move. */
export const carriersOf = (methods: readonly MethodName[]): Carried[] => [
  ...new Set(methods.map(carriedBy).filter((carried) => carried !== undefined)),
];

/** The same as options of a model. */
export function carrierOf(carried: Exclude<Carried, "members">): Pick<TogetherOptions, "carrier" | "rank"> {
  return carried === "live" ? {} : { carrier: "adapter", rank: Number(carried.slice("adapter-".length)) };
}

/** What all texts of one sample have in common: the weights. */
export function weightsOf(name: MethodName, { sigma }: Dial, tau: number, noiseSeed: bigint): TogetherOptions {
  const { dynamics } = methodOf(name);
  const carried = carriedBy(name);
  if (sigma === undefined || dynamics === undefined || carried === undefined || carried === "members") return {};
  return { sigma, dynamics, tau, noiseSeed, ...carrierOf(carried) };
}

/** How each of its tokens is chosen. */
export function diceOf(name: MethodName, { temperature }: Dial): Pick<TextAsked, "temperature" | "minP"> {
  const { minP } = methodOf(name);
  return { ...(temperature === undefined ? {} : { temperature }), ...(minP === undefined ? {} : { minP }) };
}
