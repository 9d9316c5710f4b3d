// What other rooms take of engines, and which one is in use.

import { ENGINES } from "./engines.js";
import type { EngineDescription } from "./interface.js";
import { nodeLlamaCpp } from "./node-llama-cpp.js";

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

export { type EngineName, engineNamed, sayIfSecond } from "./engines.js";
export { type Asked, type Expectation, type Kept, NoNumbers } from "./expectation.js";
export { firstLoad } from "./first-load.js";
export type {
  Adapter,
  Chooser,
  Engine,
  EngineDescription,
  EngineKind,
  EngineOptions,
  Followed,
  Sampling,
  Seen,
  Sequence,
} from "./interface.js";
export { type Probe, probe, type TensorClass } from "./probe.js";
export { engineThreads, mostThreads, physicalCores } from "./threads.js";
