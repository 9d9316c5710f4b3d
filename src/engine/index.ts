// The table of engines.

import { checkChoice } from "../errors.js";
import type { EngineDescription, EngineKind } from "./interface.js";
import { nodeLlamaCpp } from "./node-llama-cpp.js";

/** The engines that there are, by name. */
export const ENGINES = { "node-llama-cpp": nodeLlamaCpp } as const satisfies Record<string, EngineKind>;

/** The name of an engine, for `LoadOptions.engine`. */
export type EngineName = keyof typeof ENGINES;

/** The engine called `name`; default: node-llama-cpp. @throws BrownianError usage with the list of those that there are */
export function engineNamed(name: string = "node-llama-cpp"): EngineKind {
  return ENGINES[checkChoice("engine", name, Object.keys(ENGINES) as EngineName[])];
}

/**
 * Name, version and build of the engine, for `brownian info`.
 *
 * @throws BrownianError engine-missing, engine-failed
 * @example
 * const { name, cores } = await describeEngine(); // needs node-llama-cpp
 * console.log(name, cores);
 */
export const describeEngine: () => Promise<EngineDescription> = () => engineNamed().describe();

export type { Engine, EngineDescription, EngineKind, EngineOptions, Sampling, Seen } from "./interface.js";
export { type Probe, probe, type TensorClass } from "./probe.js";
