// The table of dynamics.

import { BrownianError } from "../../errors.js";
import { andersen } from "./andersen.js";
import type { Dynamics } from "./dynamics.js";
import { langevin } from "./langevin.js";
import { quenched } from "./quenched.js";
import { white } from "./white.js";
import { wiener } from "./wiener.js";

export const DYNAMICS = { quenched, white, andersen, langevin, wiener } as const satisfies Record<string, Dynamics>;

export type DynamicsName = keyof typeof DYNAMICS;

/** The dynamics called `name`; throws `usage` with the list of those that there are. */
export function dynamicsNamed(name: string): Dynamics {
  if (Object.hasOwn(DYNAMICS, name)) return DYNAMICS[name as DynamicsName];
  throw new BrownianError("usage", `dynamics must be one of ${Object.keys(DYNAMICS).join(", ")}, but is "${name}".`);
}

export type { Bath, Drawn, Dynamics } from "./dynamics.js";
