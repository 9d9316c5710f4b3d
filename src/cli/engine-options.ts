// Options of the engine, which every command that writes texts has.

import { type Command, Option } from "commander";
import { type LoadOptions, REPACK, type Repack } from "../llama/index.js";
import { parseWhole } from "./options.js";

/** What the command line says of the engine. */
export interface EngineFlags {
  readonly context?: number;
  readonly threads?: number;
  readonly threadsPrompt?: number;
  readonly repack?: Repack;
  readonly gpuLayers?: number;
  readonly scratch?: string;
}

export function addEngineOptions(command: Command): Command {
  return command
    .option(
      "--threads <n>",
      "engine threads; no more than there are free cores (default: all physical cores but one)",
      parseWhole,
    )
    .option("--threads-prompt <n>", "engine threads to read prompts (default: as --threads)", parseWhole)
    .option("--context <n>", "tokens of context of each text (default: the model's, at most 4096)", parseWhole)
    .addOption(
      new Option(
        "--repack <when>",
        "whether llama.cpp may rearrange weights for speed; it does not see those move (default: auto)",
      ).choices(REPACK),
    )
    .option(
      "--gpu-layers <n>",
      "layers on a GPU (default: 0); weights do not move there, adapters do (--carrier adapter)",
      parseWhole,
    )
    .option("--scratch <folder>", "where the moving copy of the model lies (default: the temporary directory)");
}

/** What the library is told of them. */
export function engineSettings({
  context: contextSize,
  threads,
  threadsPrompt,
  repack,
  gpuLayers,
  scratch,
}: EngineFlags): LoadOptions {
  return { contextSize, threads, threadsPrompt, repack, gpuLayers, scratch };
}
