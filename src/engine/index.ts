// The table of engines, in order of preference.

import { checkChoice } from "../errors.js";
import type { EngineKind } from "./interface.js";
import { llamaC } from "./llama-c/index.js";
import { nodeLlamaCpp } from "./node-llama-cpp.js";

export const ENGINES = { "llama-c": llamaC, "node-llama-cpp": nodeLlamaCpp } as const satisfies Record<string, EngineKind>;

export type EngineName = keyof typeof ENGINES;

/**
 * The engine called `name`; default: the first that can be used here.
 * @throws BrownianError usage with the list of those that there are
 */
export function engineNamed(name?: string): EngineKind {
  if (name !== undefined) return ENGINES[checkChoice("engine", name, Object.keys(ENGINES) as EngineName[])];
  return Object.values(ENGINES).find((kind) => kind.whyNot() === undefined) ?? nodeLlamaCpp;
}

/** What the engine in use is, and why those that are preferred are not. */
export interface EngineDescription {
  readonly name: string;
  /** The release of llama.cpp, such as "v0.5.0". */
  readonly llamaCpp: string;
  readonly build: string;
  /** Physical cores. */
  readonly cores: number;
  readonly rejected: readonly { readonly name: string; readonly reason: string }[];
}

/** Name, version and build of the engine, for `brownian info`. @throws BrownianError engine-missing, engine-failed */
export async function describeEngine(): Promise<EngineDescription> {
  const rejected = [];
  for (const [name, kind] of Object.entries(ENGINES)) {
    const reason = kind.whyNot();
    if (reason === undefined) return { ...(await kind.describe()), rejected };
    rejected.push({ name, reason });
  }
  return { ...(await nodeLlamaCpp.describe()), rejected };
}

export type { Engine, EngineKind, EngineOptions, Sampling, Seen } from "./interface.js";
export { type Probe, probe, type TensorClass } from "./probe.js";
