// brownian evolve: lets the codes of a model evolve by reward alone, or makes the model of a log again.

import { writeFile } from "node:fs/promises";
import { basename } from "node:path";
import { Argument, Command, Option } from "commander";
import { BrownianError } from "../errors.js";
import { type Evolved, type EvolveOptions, evolutionPage, evolve, replay, SHAPINGS, type Shaping } from "../evolve/index.js";
import { checkOutput, writeWhole } from "../files/index.js";
import { defaultModel } from "../llama/index.js";
import { loadPlot } from "../report/page.js";
import type { Invocation } from "./command.js";
import { addSearchOptions, type SearchFlags, toldBy } from "./evolve-options.js";
import { report, watcher } from "./evolve-print.js";
import { parseNumber, parseWhole } from "./options.js";
import { printResult, remark } from "./print.js";
import { withSteps } from "./progress.js";

interface Options extends SearchFlags {
  readonly population: number;
  readonly rate: number;
  readonly shaping: Shaping;
  readonly antithetic: boolean;
  readonly best?: boolean;
  readonly shuffled?: boolean;
  readonly controls?: boolean;
  readonly replay?: string;
  readonly at?: number;
  readonly report?: string;
}

export function evolveCommand({ signal }: Invocation): Command {
  const command = new Command("evolve")
    .description("let the codes of a quantized model evolve by reward alone; the model itself is only read")
    .addArgument(new Argument("[model]", "GGUF model").default(defaultModel, "the one that ships with brownian"));
  return addSearchOptions(command, false)
    .option("--population <n>", "members a generation", parseWhole, 16)
    .option("--rate <number>", "how far the model goes along its members, in the update rate/n sum z k", parseNumber, 1)
    .addOption(
      new Option("--shaping <how>", "how rewards are brought on one scale").choices(Object.keys(SHAPINGS)).default("scores"),
    )
    .option("--no-antithetic", "members that are draws of their own, instead of pairs of mirror images")
    .option("--best", "no search: the best of as many draws")
    .option("--shuffled", "a control: rewards change places among the members by chance")
    .option("--controls", "run both of these too, as long again each, and put them into the report")
    .option("--report <file>", "an HTML page with curves, those of the controls among them")
    .option("--replay <log>", "make the model of a log again, from the model that it began with")
    .option("--at <n>", "with --replay: so many generations of it", parseWhole)
    .action((model: string, options: Options) => run(model, options, signal));
}

async function run(model: string, flags: Options, signal: AbortSignal): Promise<void> {
  if (flags.replay !== undefined) return again(model, flags.replay, flags, signal);
  const { population, rate, shaping, antithetic, best, shuffled, controls, report: page, replay: _, at: __, ...rest } = flags;
  if (flags.task === undefined) throw new BrownianError("usage", "evolve needs --task with questions, or --replay with a log.");
  if (flags.output === undefined && flags.log === undefined) remark("nothing will be kept but the report: -o or --log would");
  if (page !== undefined) {
    await checkOutput(page, model);
    await loadPlot();
  }
  const told = await toldBy(rest, signal);
  const search = best ? ("best" as const) : ("evolve" as const);
  const options = { ...told.options, population, rate, shaping, antithetic, search, shuffled };
  try {
    const done = await withGenerations("evolving", options, (onGeneration) => evolve(model, { ...options, onGeneration }));
    const others: [string, Evolved][] = [];
    if (controls) {
      const alone = { ...options, log: undefined, output: undefined };
      for (const [name, control] of [
        ["rewards shuffled", { ...alone, shuffled: true }],
        ["best of as many", { ...alone, search: "best" as const }],
      ] as const)
        others.push([name, await withGenerations(name, control, (onGeneration) => evolve(model, { ...control, onGeneration }))]);
    }
    if (flags.output !== undefined) remark(`${flags.output} is the model`);
    if (page !== undefined) {
      const html = await evolutionPage(basename(model, ".gguf"), [[search, done], ...others]);
      await writeWhole(page, model, (partial) => writeFile(partial, html, { flag: "wx" }));
      remark(`${page} has the curves`);
    }
    printResult(flags.json, { ...done, controls: Object.fromEntries(others) }, () => report(done, others));
  } finally {
    told.close();
  }
}

/** Runs a search with a bar of its generations and lines between. */
export function withGenerations(
  label: string,
  { generations = 0 }: EvolveOptions,
  work: (onGeneration: ReturnType<typeof watcher>) => Promise<Evolved>,
): Promise<Evolved> {
  const say = watcher(generations);
  return withSteps(label, (onProgress) =>
    work((generation) => {
      onProgress(generation.generation + 1, generations);
      say(generation);
    }),
  );
}

async function again(
  model: string,
  log: string,
  { output, at, scratch, json }: Pick<Options, "output" | "at" | "scratch" | "json">,
  signal: AbortSignal,
): Promise<void> {
  if (output === undefined) throw new BrownianError("usage", "--replay makes a model: say with -o where it goes.");
  const generations = await replay(model, log, output, { generations: at, scratch, signal });
  printResult(
    json,
    { model, log, output, generations },
    () => `${output} is ${model} after ${generations} generations of ${log}`,
  );
}
