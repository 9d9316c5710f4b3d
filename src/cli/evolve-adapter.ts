// brownian evolve-adapter: searches for an adapter by reward alone, on our own engine or before llama-servers.

import { Argument, Command, Option } from "commander";
import { ADAPTER_FORMATS, type AdapterFormatName } from "../adapters/index.js";
import { BrownianError } from "../errors.js";
import { type AdapterGeneration, type EvolvedAdapter, evolveAdapter, replayAdapter } from "../evolve/index.js";
import { defaultModel } from "../llama/index.js";
import type { Invocation } from "./command.js";
import { addTaskOptions, type TaskFlags, taskBy } from "./evolve-options.js";
import { curve, measuredTable } from "./evolve-print.js";
import { acting, type Idle, idleLines } from "./idle.js";
import { parseNumber, parseSeed, parseWhole } from "./options.js";
import { printResult, remark } from "./print.js";
import { withSteps } from "./progress.js";
import { addServerOptions, OF_SERVERS, type ServerFlags, serversBy } from "./server-options.js";

interface Options extends TaskFlags, ServerFlags {
  readonly output?: string;
  readonly format: AdapterFormatName;
  readonly directions?: number;
  readonly rank?: number;
  readonly population?: number;
  readonly sigma: number;
  readonly seed?: bigint;
  readonly log?: string;
  readonly replay?: string;
  readonly at?: number;
}

const IDLE: readonly Idle<Options>[] = [
  {
    names: ["threads", "scratch", "context", "chatTemplate", "text", "textTokens"],
    when: ({ endpoint, replay }) => endpoint !== undefined && replay === undefined,
    why: "with --endpoint, where servers read",
  },
  {
    names: OF_SERVERS,
    when: ({ endpoint, replay }) => endpoint === undefined && replay === undefined,
    why: "without --endpoint",
  },
  { names: ["format"], when: ({ output }) => output === undefined, why: "without -o" },
  { names: ["at"], when: ({ replay }) => replay === undefined, why: "without --replay" },
];

/** What a replay takes, of all that the command has. */
const OF_REPLAY = new Set(["replay", "at", "output", "format", "json"]);

export function evolveAdapterCommand({ signal }: Invocation): Command {
  const command = new Command("evolve-adapter")
    .description("search for an adapter by reward alone: a mixture of low-rank directions; no weight is written")
    .addArgument(new Argument("[model]", "GGUF model").default(defaultModel, "the one that ships with brownian"));
  addTaskOptions(command, false)
    .option("-o, --output <path>", "where the adapter goes: a file (gguf) or a folder (peft)")
    .addOption(new Option("--format <format>", "what it is written in").choices(Object.keys(ADAPTER_FORMATS)).default("gguf"))
    .option("--directions <n>", "how many are mixed (default: 16, or those of --adapters)", parseWhole)
    .option("--rank <n>", "of each direction (default: 1)", parseWhole)
    .option("--population <n>", "candidates a generation (default: 4 + 3 ln of the directions)", parseWhole)
    .option("-s, --sigma <number>", "noise on a weight of the first candidates, in RMS of its tensor", parseNumber, 0.05)
    .addOption(new Option("--seed <n>", "of the directions and the search (default: 0)").argParser(parseSeed));
  return addServerOptions(command, {
    endpoint: "a llama-server with all directions of --adapters",
    adapters: "directions that brownian adapter wrote from this model",
    request: "one request",
  })
    .option("--log <file>", "where generations are kept; a search that was ended goes on from there")
    .option("--replay <log>", "make the adapter of a log again, from the model that it is of")
    .option("--at <n>", "with --replay: as it was after so many generations", parseWhole)
    .action((model: string, options: Options, itself: Command) => {
      for (const line of idleLines(itself, options, [...IDLE, ofReplay(itself)])) remark(line);
      const told = acting(options, IDLE);
      return told.replay === undefined ? run(model, told, signal) : again(model, told.replay, told);
    });
}

/** All that a replay does not take. */
function ofReplay(command: Command): Idle<Options> {
  const names = command.options.map((option) => option.attributeName()).filter((name) => !OF_REPLAY.has(name));
  return {
    names: names as (keyof Options & string)[],
    when: ({ replay }) => replay !== undefined,
    why: "with --replay, where all is in the log",
  };
}

async function run(model: string, flags: Options, signal: AbortSignal): Promise<void> {
  const { endpoint: endpoints, apiKey: _, replay: __, at: ___, ...rest } = flags;
  if (flags.task === undefined)
    throw new BrownianError("usage", "evolve-adapter needs --task with questions, or --replay with a log.");
  if (flags.output === undefined && flags.log === undefined) remark("the adapter will not be kept: -o or --log would");
  const { options, close } = await taskBy(rest, signal, endpoints === undefined);
  const { generations } = options;
  const servers = endpoints === undefined ? {} : serversBy(flags);
  try {
    const done = await withSteps("evolving", (onProgress) =>
      evolveAdapter(model, {
        ...options,
        endpoints,
        ...servers,
        onGeneration: ({ generation, stood }) => {
          onProgress(generation + 1, generations);
          if (stood !== undefined) remark(`generation ${generation}: ${stood}; the search does not move`);
        },
      }),
    );
    if (flags.output !== undefined) remark(`${flags.output} is the adapter`);
    printResult(flags.json, done, () => report(done));
  } finally {
    close();
  }
}

async function again(model: string, log: string, { output, format, at, json }: Options): Promise<void> {
  if (output === undefined) throw new BrownianError("usage", "--replay makes an adapter: say with -o where it goes.");
  const generations = await replayAdapter(model, log, output, { format, generations: at });
  printResult(
    json,
    { model, log, output, generations },
    () => `${output} is the adapter for ${model} after ${generations} generations of ${log}`,
  );
}

function report({ before, after, scales, evaluations, seconds, history }: EvolvedAdapter): string {
  const noise = Math.sqrt(scales.reduce((sum, c) => sum + c * c, 0));
  return [
    measuredTable([
      ["before", before],
      ["after", after],
    ]),
    "",
    curve("candidates", history),
    `${history.length} generations, ${stoodFor(history)}`,
    `${evaluations} readings in ${Math.round(seconds)} s; ${scales.length} directions, together ${noise.toFixed(3)} RMS of each tensor`,
  ].join("\n");
}

function stoodFor(history: readonly AdapterGeneration[]): string {
  const stood = history.filter((one) => one.stood !== undefined).length;
  return stood === 0 ? "each of which moved the search" : `of which ${stood} did not move the search`;
}
