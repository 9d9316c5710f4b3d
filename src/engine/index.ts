// The table of engines, in order of preference.

import { checkChoice } from "../errors.js";
import type { EngineDescription, EngineKind } from "./interface.js";
import { llamaC } from "./llama-c/index.js";
import { nodeLlamaCpp } from "./node-llama-cpp.js";

/** The engines that there are, by name. */
export const ENGINES = { "llama-c": llamaC, "node-llama-cpp": nodeLlamaCpp } as const satisfies Record<string, EngineKind>;

/** The name of an engine, for `LoadOptions.engine`. */
export type EngineName = keyof typeof ENGINES;

/**
 * The engine called `name`; default: the first that can be used here.
 * @throws BrownianError usage with the list of those that there are
 */
export function engineNamed(name?: string): EngineKind {
  if (name !== undefined) return ENGINES[checkChoice("engine", name, Object.keys(ENGINES) as EngineName[])];
  return Object.values(ENGINES).find((kind) => kind.whyNot() === undefined) ?? nodeLlamaCpp;
}

/** The engine in use, and why those that are preferred are not. */
export interface EngineInUse extends EngineDescription {
  /** Engines that come before it in the table. */
  readonly rejected: readonly {
    /** As in the table. */
    readonly name: string;
    /** Why it is not used here. */
    readonly reason: string;
  }[];
}

/**
 * Name, version and build of the engine in use, for `brownian info`.
 *
 * @throws BrownianError engine-missing, engine-failed
 * @example
 * const { name, cores } = await describeEngine(); // needs node-llama-cpp
 * console.log(name, cores);
 */
export async function describeEngine(): Promise<EngineInUse> {
  const rejected = [];
  for (const [name, kind] of Object.entries(ENGINES)) {
    const reason = kind.whyNot();
    if (reason === undefined) return { ...(await kind.describe()), rejected };
    rejected.push({ name, reason });
  }
  return { ...(await nodeLlamaCpp.describe()), rejected };
}

export { type Asked, type Expectation, type Kept, NoNumbers } from "./expectation.js";
export type { Engine, EngineDescription, EngineKind, EngineOptions, Sampling, Seen, Sequence } from "./interface.js";
export { type Probe, probe, type TensorClass } from "./probe.js";
