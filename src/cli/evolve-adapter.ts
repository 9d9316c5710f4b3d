// brownian evolve-adapter: searches for an adapter by reward alone, on our own engine or before llama-servers.

import { Argument, Command, Option } from "commander";
import { ADAPTER_FORMATS, type AdapterFormatName } from "../adapters/index.js";
import { environment } from "../environment.js";
import { type EvolvedAdapter, evolveAdapter } from "../evolve/index.js";
import { defaultModel } from "../llama/index.js";
import type { Invocation } from "./command.js";
import { addTaskOptions, type TaskFlags, taskBy } from "./evolve-options.js";
import { measuredTable } from "./evolve-print.js";
import { parseNumber, parseSeed, parseWhole } from "./options.js";
import { printResult, remark } from "./print.js";
import { withSteps } from "./progress.js";

interface Options extends TaskFlags {
  readonly output?: string;
  readonly format: AdapterFormatName;
  readonly directions?: number;
  readonly rank?: number;
  readonly population?: number;
  readonly sigma: number;
  readonly seed?: bigint;
  readonly endpoint?: string[];
  readonly adapters?: string;
  readonly membersPath?: string;
  readonly concurrency?: number;
  readonly deadline?: number;
}

const each = (url: string, before: string[] | undefined): string[] => [...(before ?? []), url];

export function evolveAdapterCommand({ signal }: Invocation): Command {
  const command = new Command("evolve-adapter")
    .description("search for an adapter by reward alone: a mixture of low-rank directions; no weight is written")
    .addArgument(new Argument("[model]", "GGUF model").default(defaultModel, "the one that ships with brownian"));
  return addTaskOptions(command, true)
    .option("-o, --output <path>", "where the adapter goes: a file (gguf) or a folder (peft)")
    .addOption(new Option("--format <format>", "what it is written in").choices(Object.keys(ADAPTER_FORMATS)).default("gguf"))
    .option("--directions <n>", "how many are mixed (default: 16, or those of --adapters)", parseWhole)
    .option("--rank <n>", "of each direction (default: 1)", parseWhole)
    .option("--population <n>", "candidates a generation (default: 4 + 3 ln of the directions)", parseWhole)
    .option("-s, --sigma <number>", "noise on a weight of the first candidates, in RMS of its tensor", parseNumber, 0.05)
    .addOption(new Option("--seed <n>", "of the directions and the search (default: 0)").argParser(parseSeed))
    .option("--endpoint <url>", "a llama-server with all directions of --adapters; may be given several times", each)
    .option("--adapters <folder>", "directions that brownian adapter wrote from this model")
    .option("--members-path <folder>", "the same folder as the servers see it")
    .option("--concurrency <n>", "requests to one server at a time (default: 4)", parseWhole)
    .option("--deadline <seconds>", "that one request may take (default: 120)", parseNumber)
    .action((model: string, options: Options) => run(model, options, signal));
}

async function run(model: string, flags: Options, signal: AbortSignal): Promise<void> {
  const { endpoint: endpoints, ...rest } = flags;
  const { options, close } = await taskBy(rest, signal, endpoints === undefined);
  const { rewardName: _, generations, ...told } = options;
  const apiKey = endpoints === undefined ? undefined : environment.apiKey;
  try {
    const done = await withSteps("evolving", (onProgress) =>
      evolveAdapter(model, {
        ...told,
        generations,
        endpoints,
        apiKey,
        onGeneration: ({ generation }) => onProgress(generation + 1, generations),
      }),
    );
    if (flags.output !== undefined) remark(`${flags.output} is the adapter`);
    else remark("the adapter is not kept: -o would");
    printResult(flags.json, done, () => report(done));
  } finally {
    close();
  }
}

function report({ before, after, scales, evaluations, seconds }: EvolvedAdapter): string {
  const noise = Math.sqrt(scales.reduce((sum, c) => sum + c * c, 0));
  return [
    measuredTable([
      ["before", before],
      ["after", after],
    ]),
    "",
    `${evaluations} readings in ${Math.round(seconds)} s; ${scales.length} directions, together ${noise.toFixed(3)} RMS of each tensor`,
  ].join("\n");
}
