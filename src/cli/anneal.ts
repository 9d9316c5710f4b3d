// brownian anneal: Metropolis on the codes of a model, cooled from a hot beginning to a cold end.

import { Argument, Command } from "commander";
import { evolve } from "../evolve/index.js";
import { defaultModel } from "../llama/index.js";
import type { Invocation } from "./command.js";
import { withGenerations } from "./evolve.js";
import { addSearchOptions, type SearchFlags, toldBy } from "./evolve-options.js";
import { report } from "./evolve-print.js";
import { parseNumber } from "./options.js";
import { printResult, remark } from "./print.js";

interface Options extends SearchFlags {
  readonly hot: number;
  readonly cold: number;
}

export function annealCommand({ signal }: Invocation): Command {
  const command = new Command("anneal")
    .description("move the codes of a model one proposal at a time, taken by reward and temperature (Metropolis)")
    .addArgument(new Argument("[model]", "GGUF model").default(defaultModel, "the one that ships with brownian"));
  return addSearchOptions(command, true)
    .option("--hot <number>", "temperature of the first proposal, in units of the reward", parseNumber, 0.02)
    .option("--cold <number>", "temperature of the last", parseNumber, 0.002)
    .action((model: string, options: Options) => run(model, options, signal));
}

async function run(model: string, { hot, cold, ...flags }: Options, signal: AbortSignal): Promise<void> {
  const told = await toldBy(flags, signal);
  const options = { ...told.options, search: "anneal" as const, temperatures: [hot, cold] as const };
  try {
    const done = await withGenerations("annealing", options, (onGeneration) => evolve(model, { ...options, onGeneration }));
    if (flags.output !== undefined) remark(`${flags.output} is the model`);
    printResult(flags.json, done, () => report(done, []));
  } finally {
    told.close();
  }
}
