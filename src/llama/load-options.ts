// How a model is opened: what users may ask for, and what of that holds whenever the engine loads the file.

import { type EngineKind, type EngineName, type EngineOptions, mostThreads } from "../engine/index.js";
import { environment } from "../environment.js";
import { BrownianError, checkChoice, checkInteger } from "../errors.js";
import { WATCH, type Watch } from "../files/index.js";
import type { Names } from "../options.js";

/** How `loadModel` opens a model: the engine, its context and threads, and where the live copy lies. */
export interface LoadOptions extends Watch {
  /** Engine threads, no more than processors; default BROWNIAN_THREADS, or all physical cores but one. Never more than are free: they spin. */
  readonly threads?: number | undefined;
  /** Engine threads to read prompts and texts; default `threads`. */
  readonly threadsPrompt?: number | undefined;
  /**
   * Texts with the same weights at rest that are written at once, each with a context of its own; default 1: all take turns. Rows of a batch may be
   * rounded otherwise than a row alone, so a text may differ at a near-tie from the one that it is alone (docs/guides/engine.md). Engine "llama-c".
   */
  readonly parallel?: number | undefined;
  /**
   * Whether a text goes on from what the last one with the same weights has read of the same prompt; default false. With formats and processors that
   * round batches of different shapes differently, a text may then depend, at a near-tie, on those before it.
   */
  readonly keepPrompts?: boolean | undefined;
  /** Tokens of context; default: what the model was trained on, at most 4096. */
  readonly contextSize?: number | undefined;
  /** Folder of the live copy; default: BROWNIAN_SCRATCH, or a folder of our own in the system's temporary directory. */
  readonly scratch?: string | undefined;
  /** Jinja in the place of the model's own chat template, for models that have none or a wrong one. */
  readonly chatTemplate?: string | undefined;
  /**
   * Layers whose weights are copied to a GPU; default 0. No write to the file reaches those: noise goes there as adapters (carrier "adapter"), or
   * once a text by loading the moved file (quenched). Engine llama-c, with a package of node-llama-cpp's for the GPU.
   */
  readonly gpuLayers?: number | undefined;
  /** Default: llama.cpp by its C API ("llama-c") where its release is known, else "node-llama-cpp". */
  readonly engine?: EngineName | undefined;
  /**
   * Whether llama.cpp may rearrange weights for speed: "on", "off", or "auto" (default): where weights move that it would then not see, it may
   * not. The two ways of multiplying round differently, so that each has its own clean text. Engine "llama-c" only.
   */
  readonly repack?: Repack | undefined;
}

/** The names of {@link LoadOptions}. */
export const LOAD: Names<LoadOptions> = {
  ...WATCH,
  threads: true,
  threadsPrompt: true,
  parallel: true,
  keepPrompts: true,
  contextSize: true,
  scratch: true,
  chatTemplate: true,
  gpuLayers: true,
  engine: true,
  repack: true,
};

/** As many sequences as llama.cpp has in one context. */
const MOST_PARALLEL = 256;
/** More layers than a model has: all of them. */
const MOST_LAYERS = 100_000;

/** What holds whenever the engine loads the file, and how texts take turns. */
export type SessionOptions = EngineOptions & Pick<LoadOptions, "keepPrompts">;

/** Whether llama.cpp may rearrange weights. */
export const REPACK = ["auto", "on", "off"] as const;
/** One of {@link REPACK}. */
export type Repack = (typeof REPACK)[number];

/** What holds whenever the engine loads the file. @throws BrownianError usage */
export function checkEngine(kind: EngineKind, options: LoadOptions): SessionOptions {
  const { threads, threadsPrompt, contextSize, gpuLayers, parallel, keepPrompts } = options;
  const most = checkInteger("parallel", parallel ?? 1, 1, MOST_PARALLEL);
  if (most > 1 && !kind.ownsContext)
    throw new BrownianError("usage", "parallel needs the engine llama-c: brownian info says why it does not run here.");
  const offloaded = gpuLayers === undefined ? 0 : checkInteger("gpuLayers", gpuLayers, 0, MOST_LAYERS);
  if (offloaded > 0 && !kind.offloads)
    throw new BrownianError("usage", "gpuLayers needs the engine llama-c: brownian info says why it does not run here.");
  if (threadsPrompt !== undefined && !kind.ownsContext)
    throw new BrownianError("usage", "threadsPrompt needs the engine llama-c: brownian info says why it does not run here.");
  const processors = mostThreads();
  // The environment speaks of the work on files, too, which may have more.
  const fromEnvironment = environment.threads === undefined ? undefined : Math.min(environment.threads, processors);
  return {
    threads: threads === undefined ? fromEnvironment : checkThreads("threads", threads, processors),
    threadsPrompt: threadsPrompt === undefined ? undefined : checkThreads("threadsPrompt", threadsPrompt, processors),
    parallel: most,
    gpuLayers: offloaded,
    keepPrompts,
    contextSize: contextSize === undefined ? undefined : checkInteger("contextSize", contextSize, 8),
  };
}

function checkThreads(what: string, value: number, processors: number): number {
  const threads = checkInteger(what, value, 1);
  if (threads <= processors) return threads;
  throw new BrownianError(
    "usage",
    `${what} must be at most ${processors}, the processors that this process may use, but is ${threads}: the engine's threads wait for each other without rest, so that one too many makes it slower ten times and more.`,
  );
}

/** Whether weights are rearranged. @throws BrownianError usage where the engine leaves no choice */
export function checkRepack(kind: EngineKind, options: LoadOptions): Repack {
  const repack = checkChoice("repack", options.repack ?? "auto", REPACK);
  if (repack === "off" && !kind.choosesRepacking)
    throw new BrownianError("usage", 'repack "off" needs the engine llama-c: brownian info says why it does not run here.');
  return repack;
}
