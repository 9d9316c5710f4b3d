// The table of engines, in order of preference.

import { checkChoice } from "../errors.js";
import type { EngineKind } from "./interface.js";
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
