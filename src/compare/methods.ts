// The ways of making texts different that a comparison knows: three that leave the weights alone, and one for every dynamics of the table.

import { DYNAMICS, type DynamicsName, dynamicsNames } from "../thermostat/dynamics/index.js";

/** A way of making texts different. */
export interface Method {
  /** What reports call it. */
  readonly label: string;
  /** One line for help texts. */
  readonly summary: string;
  /** What its one dial is; greedy has none. */
  readonly dial: "none" | "temperature" | "sigma of the logits" | "sigma of the weights";
  /** Which dynamics moves the weights, if they move. */
  readonly dynamics?: DynamicsName;
  /** Roughly the milliseconds that a token takes, for the time left. */
  cost(tau: number): number;
}

/** The name of a way of making texts different: its own, or that of its dynamics. */
export type MethodName = "greedy" | "softmax" | "logits" | DynamicsName;

/** Milliseconds, roughly: a token of the embedded model, and a draw of all its weights. */
const TOKEN = 1;
const DRAW = 17;

/** Milliseconds of a tick, roughly. */
export function tickCost(dynamics: DynamicsName, tau: number): number {
  const { share, pace } = DYNAMICS[dynamics].cost;
  return DRAW * pace * share(tau);
}

function moving(dynamics: DynamicsName): Method {
  const { label, summary } = DYNAMICS[dynamics];
  return { label, summary, dial: "sigma of the weights", dynamics, cost: (tau) => TOKEN + tickCost(dynamics, tau) };
}

/** All of them, by name. */
export const METHODS: Readonly<Record<MethodName, Method>> = {
  greedy: { label: "greedy", summary: "the likeliest token, always", dial: "none", cost: () => TOKEN },
  softmax: { label: "softmax", summary: "a draw from softmax at T for every token", dial: "temperature", cost: () => TOKEN },
  logits: {
    label: "logit noise",
    summary: "the likeliest token after Gaussian noise on every logit",
    dial: "sigma of the logits",
    cost: () => 3 * TOKEN,
  },
  ...(Object.fromEntries(dynamicsNames.map((name) => [name, moving(name)])) as Record<DynamicsName, Method>),
};

/** Those that can be compared at equal flip rates: where the variance grows, no one rate belongs to a sigma. */
export const methodNames: readonly MethodName[] = (Object.keys(METHODS) as MethodName[]).filter((name) => {
  const { dynamics } = METHODS[name];
  return dynamics === undefined || DYNAMICS[dynamics].theory.stationary;
});

/** Dynamics whose memory is put beside theory: all that move. */
export const remembering: readonly DynamicsName[] = dynamicsNames.filter((name) => DYNAMICS[name].moves);
