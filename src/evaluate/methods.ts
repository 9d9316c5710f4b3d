// The table of methods: ways of getting several answers to a question. Each says what its dials are; how they are tuned is told in dials.ts.

import type { GenerateOptions } from "../llama/model.js";
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
  /** Softmax draws from tokens at least so many times as likely as the likeliest. */
  readonly minP?: number;
}

/** Usual for min-p (Nguyen et al. 2024). */
const MIN_P = 0.1;

function moving(dynamics: DynamicsName): Method {
  const { label, summary } = DYNAMICS[dynamics];
  return { label, summary: `${summary}, read off greedily`, dials: "sigma", dynamics };
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
  // Draws of the weights as adapters are one line here: { label: "adapter r = 1", dials: "sigma", ... }, once an engine of ours takes them.
} as const satisfies Record<string, Method>;

/** The name of a method. */
export type MethodName = keyof typeof METHODS;

export const methodNames = Object.keys(METHODS) as MethodName[];

export const methodOf = (name: MethodName): Method => METHODS[name];

/** Seeds of one answer: of the weights, and of the dice. */
export interface Seeds {
  readonly weights: bigint;
  readonly dice: bigint;
}

/** How the method writes, dial and seeds given. */
export function writing(name: MethodName, { sigma, temperature }: Dial, tau: number, { weights, dice }: Seeds): GenerateOptions {
  const { dynamics, minP } = methodOf(name);
  return {
    seed: dice,
    ...(temperature === undefined ? {} : { temperature }),
    ...(minP === undefined ? {} : { minP }),
    ...(sigma === undefined || dynamics === undefined ? {} : { sigma, dynamics, tau, noiseSeed: weights }),
  };
}

/** Whether all questions are answered by the same weights, so that they share batches. */
export function sharesWeights(name: MethodName): boolean {
  const { dynamics } = methodOf(name);
  return dynamics === undefined || !DYNAMICS[dynamics].moves;
}
