// brownian compare: moving weights beside softmax and others, at equal flip rates and along the whole frontier; a folder with a page and its
// numbers. What is finished is kept in a file beside it until the folder is there, so that an interrupted comparison can go on.

import { createHash } from "node:crypto";
import { join } from "node:path";
import { Argument, Command } from "commander";
import {
  type CompareOptions,
  type ComparisonSettings,
  compare,
  comparisonNumbers,
  comparisonSettings,
  METHODS,
  type MethodName,
  methodNames,
  optionsOf,
} from "../compare/index.js";
import { comparisonFigure, comparisonPage, comparisonTable } from "../compare/page/index.js";
import { checkOutputFolder } from "../files/index.js";
import { Unfinished } from "../files/unfinished.js";
import { defaultModel } from "../llama/index.js";
import { loadPlot, renderFigure } from "../report/page.js";
import { table } from "../report/table.js";
import { DYNAMICS, dynamicsNames, hasCorrelationTime } from "../thermostat/dynamics/index.js";
import { DEFAULT_TAU } from "../thermostat/noise.js";
import type { Invocation } from "./command.js";
import { given, readText, withModel } from "./inputs.js";
import { parseNumber, parseNumbers, parseSeed, parseWhole } from "./options.js";
import { printResult, remark } from "./print.js";
import { profilePath, readProfile } from "./profile.js";
import { withSteps } from "./progress.js";
import { orKept, REPORT_FILES, writeReport } from "./report-folder.js";
import { wordsText } from "./words.js";

/** What the folder holds. */
const FILES = [...REPORT_FILES, "frontier.svg"];

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
  readonly precision?: number;
  readonly precisionNats?: number;
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
    .option("-n, --samples <n>", "texts for each prompt, method and temperature, at most (default: 12)", parseWhole)
    .option("--max-tokens <n>", "tokens of every text (default: 64)", parseWhole)
    .option(
      "--tune-tokens <n>",
      "tokens of the text to tune dials on, at most; twice as many are read to check them (default: 512)",
      parseWhole,
    )
    .option(
      "--precision <share>",
      "enough is read where flip rates, minus softmax's, are known within this share of it (95 %) (default: 0.15)",
      parseNumber,
    )
    .option(
      "--precision-nats <nats>",
      "enough is written where NLL, minus softmax's, is known within as many nats a token (default: 0.05)",
      parseNumber,
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
  const unfinished = new Unfinished(`${output.replace(/[/\\]+$/, "")}.unfinished.jsonl`, "brownian-comparison-unfinished");
  const resume = options.resume ?? false;
  const former = await unfinished.former(resume);

  const before = former === undefined ? {} : optionsOf(former.settings as ComparisonSettings);
  const asked: CompareOptions = { ...before, ...chosen(options), profile };
  comparisonNumbers(text, asked); // before the model is loaded

  const measuring = withModel(path, options, signal, async (model) => {
    const [hash, calibration] = [text, JSON.stringify(profile)].map((of) => createHash("sha256").update(of).digest("hex"));
    const settings = comparisonSettings(model, text, asked);
    await unfinished.begin({ settings, model: profile.model.sha256, text: hash, calibration }, resume);
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
  });
  const comparison = await orKept(measuring, unfinished, "steps");
  const figures = { "frontier.svg": await renderFigure(comparisonFigure(comparison)) };
  await writeReport(output, comparisonPage(comparison), comparison, unfinished, figures);
  remark(`${join(output, "report.html")} shows this with plots and texts`);
  printResult(options.json, comparison, () => comparisonTable(comparison));
}

/** What of the settings was given on the command line. */
function chosen(options: Options): Omit<CompareOptions, "profile"> {
  const { methods, levels, beyond, prompt: prompts, samples, maxTokens, tuneTokens } = options;
  const { precision, precisionNats, tau, quick, seed } = options;
  return given({ methods, levels, beyond, prompts, samples, maxTokens, tuneTokens, precision, precisionNats, tau, quick, seed });
}
