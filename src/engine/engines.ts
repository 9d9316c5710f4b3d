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

const said = new Set<string>();

/** Says once, as a warning of the process, that `kind` is used though another one is preferred, and why. */
export function sayIfSecond(kind: EngineKind, preferred: EngineKind = llamaC): void {
  const why = kind === preferred ? undefined : preferred.whyNot();
  if (why === undefined || said.has(why)) return;
  said.add(why);
  process.emitWarning(
    `${why} So node-llama-cpp's public interface is used: it cannot keep llama.cpp from rearranging weights, nor compute several texts at once.`,
    {
      type: "BrownianWarning",
      code: "BROWNIAN_SECOND_ENGINE",
    },
  );
}
