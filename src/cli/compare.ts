// brownian compare: moving weights beside softmax and others, at equal flip rates and along the whole frontier; a folder with a page and its
// numbers. What is finished is kept in a file beside it until the folder is there, so that an interrupted comparison can go on.

import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Argument, Command } from "commander";
import {
  type CompareOptions,
  compare,
  comparisonSettings,
  METHODS,
  type MethodName,
  methodNames,
  optionsOf,
  subjectOf,
  Unfinished,
} from "../compare/index.js";
import { comparisonFigure, comparisonPage, comparisonTable } from "../compare/page/index.js";
import { BrownianError } from "../errors.js";
import { checkOutputFolder, writeFolderWhole } from "../files/index.js";
import { defaultModel } from "../llama/index.js";
import { loadPlot, renderFigure, renderPage } from "../report/page.js";
import { table } from "../report/table.js";
import { DYNAMICS, dynamicsNames, hasCorrelationTime } from "../thermostat/dynamics/index.js";
import { DEFAULT_TAU } from "../thermostat/noise.js";
import type { Invocation } from "./command.js";
import { given, readText, withModel } from "./inputs.js";
import { parseNumber, parseNumbers, parseSeed, parseWhole } from "./options.js";
import { printResult, remark } from "./print.js";
import { profilePath, readProfile } from "./profile.js";
import { withSteps } from "./progress.js";
import { wordsText } from "./words.js";

/** What the folder holds. */
const FILES = ["report.html", "results.json", "frontier.svg"];

interface Options {
  readonly output: string;
  readonly text?: string;
  readonly calibration?: string;
  readonly methods?: MethodName[];
  readonly levels?: number[];
  readonly beyond?: number[];
  readonly prompt?: string[];
  readonly samples?: number;
  readonly maxTokens?: number;
  readonly tuneTokens?: number;
  readonly tau?: number;
  readonly seed?: bigint;
  readonly quick?: boolean;
  readonly resume?: boolean;
  readonly threads?: number;
  readonly scratch?: string;
  readonly json?: boolean;
}

export function compareCommand({ signal }: Invocation): Command {
  const remembering = dynamicsNames.filter((name) => hasCorrelationTime(DYNAMICS[name]));
  return new Command("compare")
    .description("put moving weights beside softmax at equal flip rates: quality and diversity with intervals, and a report")
    .addHelpText("after", () => wordsText("sigma", "dynamics", "tau"))
    .addArgument(new Argument("[model]", "GGUF model").default(defaultModel, "the one that ships with brownian"))
    .option("-o, --output <folder>", "where the report goes", "brownian-comparison")
    .option("--text <file>", "what dials are tuned and checked on (default: fairy tales that the embedded model has not seen)")
    .option("--calibration <file>", "the model's calibration (default: beside the model)")
    .option(
      "--methods <names>",
      `which to compare with softmax, with commas (default: ${methodNames.join(",")})`,
      (names: string) => names.split(",") as MethodName[], // which the library checks
    )
    .option(
      "--levels <T,...>",
      "temperatures of softmax whose flip rates all are tuned to (default: four up to the breaking point)",
      parseNumbers,
    )
    .option("--beyond <T,...>", "further temperatures, beyond the breaking point (default: 0.7,1)", parseNumbers)
    .option("--prompt <text>", "what texts begin with; may be given several times", (text: string, before: string[] = []) => [
      ...before,
      text,
    ])
    .option("-n, --samples <n>", "texts for each prompt, method and temperature (default: 12)", parseWhole)
    .option("--max-tokens <n>", "tokens of every text (default: 64)", parseWhole)
    .option(
      "--tune-tokens <n>",
      "tokens of the text to tune dials on; twice as many are read to check them (default: 512)",
      parseWhole,
    )
    .option("--tau <tokens>", `correlation time of ${remembering.join(" and ")} (default: ${DEFAULT_TAU})`, parseNumber)
    .option("--seed <n>", "equal seeds give equal numbers (default: 0)", parseSeed)
    .option("--quick", "a first look in minutes: two levels, 4 texts of 32 tokens each, 128 tokens to tune on")
    .option("--resume", "go on with a comparison that was interrupted")
    .option("--threads <n>", "engine threads (default: all physical cores but one)", parseWhole)
    .option("--scratch <folder>", "where moving copies of the model lie (default: the temporary directory)")
    .option("--json", "print the numbers as JSON")
    .addHelpText("after", () => `\nMethods:\n${methodLines()}`)
    .action((model: string, options: Options) => run(model, options, signal));
}

/** What each method is, and what its dynamics costs a token. */
function methodLines(): string {
  const rows = methodNames.map((name) => {
    const { summary, dynamics } = METHODS[name];
    return [`  ${name}`, dynamics === undefined ? summary : `${summary}; a tick costs ${DYNAMICS[dynamics].cost.words}`];
  });
  return table(rows);
}

async function run(path: string, options: Options, signal: AbortSignal): Promise<void> {
  const { output } = options;
  // All that can be wrong, before minutes of work.
  await loadPlot();
  await checkOutputFolder(output, FILES);
  const text = await readText(options.text, signal);
  const profile = await readProfile(options.calibration ?? profilePath(path), path);
  const unfinished = new Unfinished(`${output.replace(/[/\\]+$/, "")}.unfinished.json`, path);
  const former = await unfinished.read();
  if (former !== undefined && !options.resume)
    throw new BrownianError(
      "usage",
      `${unfinished.path} has what an interrupted comparison had finished: go on with --resume, or remove it, or give another --output.`,
    );
  if (former === undefined && options.resume)
    throw new BrownianError(
      "usage",
      `There is no ${unfinished.path} to go on with: leave out --resume, or say which --output it was.`,
    );

  const comparison = await withModel(path, options, signal, async (model) => {
    const asked: CompareOptions = { ...(former && optionsOf(former.settings)), ...chosen(options), profile };
    await unfinished.begin(subjectOf(comparisonSettings(model, text, asked), text, profile), former);
    return withSteps("comparing", (onProgress) =>
      compare(model, text, {
        ...asked,
        ...given({ scratch: options.scratch }),
        signal,
        finished: unfinished.finished,
        onFinished: (name, outcome) => unfinished.add(name, outcome),
        onProgress,
      }),
    );
  }).catch((error) => {
    if (unfinished.finished.size > 0)
      process.stderr.write(
        `${unfinished.texts} texts are finished and kept in ${unfinished.path}: go on with --resume and the same model, text and --output.\n`,
      );
    throw error;
  });
  const page = comparisonPage(comparison);
  await writeFolderWhole(output, FILES, async (folder) => {
    await writeFile(join(folder, "report.html"), await renderPage(page));
    await writeFile(join(folder, "results.json"), `${JSON.stringify(comparison, null, 1)}\n`);
    await writeFile(join(folder, "frontier.svg"), await renderFigure(comparisonFigure(comparison)));
  });
  await unfinished.remove();
  remark(`${join(output, "report.html")} shows this with plots and texts`);
  printResult(options.json, comparison, () => comparisonTable(comparison));
}

/** What of the settings was given on the command line. */
function chosen(options: Options): Omit<CompareOptions, "profile"> {
  const { methods, levels, beyond, prompt: prompts, samples, maxTokens, tuneTokens, tau, quick, seed } = options;
  return given({ methods, levels, beyond, prompts, samples, maxTokens, tuneTokens, tau, quick, seed });
}
