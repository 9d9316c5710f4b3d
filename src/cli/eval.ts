// brownian eval: ways of getting several answers, side by side on a task; a folder with a page and its numbers. What is finished is kept in a file
// beside it until the folder is there, so that an interrupted evaluation can go on.

import { basename, join } from "node:path";
import { Argument, Command, Option } from "commander";
import { BrownianError } from "../errors.js";
import {
  type EvaluateOptions,
  evaluate,
  evaluationNumbers,
  evaluationSettings,
  METHODS,
  methodNames,
  powerOf,
  QUICK,
  respondent,
  type ServedMembers,
  servedMembers,
} from "../evaluate/index.js";
import { evaluationPage, evaluationTable, powerSaid } from "../evaluate/page/index.js";
import { checkOutputFolder } from "../files/index.js";
import { readTextFile } from "../files/text.js";
import { Unfinished } from "../files/unfinished.js";
import { defaultModel, type Model } from "../llama/index.js";
import { loadPlot } from "../report/page.js";
import { table } from "../report/table.js";
import { MAKERS, makeTask, parseTask, type Task } from "../tasks/index.js";
import { DEFAULT_TAU } from "../thermostat/noise.js";
import type { Invocation } from "./command.js";
import { type Idle, idleLines } from "./idle.js";
import { given, readText, withModel } from "./inputs.js";
import { parseNumber, parseNumbers, parseSeed, parseWhole } from "./options.js";
import { printResult, remark } from "./print.js";
import { withSteps } from "./progress.js";
import { orKept, REPORT_FILES, writeReport } from "./report-folder.js";
import { addServerOptions, each, OF_SERVERS, type ServerFlags, serversBy } from "./server-options.js";

/** Texts that are answered at once, and tokens of context of each: more would take memory that short answers do not need. */
const PARALLEL = 32;
const CONTEXT = 256;

interface Options extends ServerFlags {
  readonly task: string;
  readonly from?: string;
  readonly output: string;
  readonly methods?: string[];
  readonly levels?: number[];
  readonly equal?: "flips" | "accuracy";
  readonly samples?: number;
  readonly questions?: number;
  readonly tuneQuestions?: number;
  readonly maxTokens?: number;
  readonly stop?: string[];
  readonly tau?: number;
  readonly sigmas?: number[];
  readonly draws?: number;
  readonly uncertainty?: boolean;
  readonly seed?: bigint;
  readonly quick?: boolean;
  readonly resume?: boolean;
  readonly parallel: number;
  readonly context: number;
  readonly threads?: number;
  readonly scratch?: string;
  readonly json?: boolean;
}

const IDLE: readonly Idle<Options>[] = [
  {
    names: ["parallel", "context", "threads", "scratch", "tau"],
    when: ({ endpoint }) => endpoint !== undefined,
    why: "with --endpoint, where servers answer",
  },
  {
    names: ["adapters", ...OF_SERVERS],
    when: ({ endpoint }) => endpoint === undefined,
    why: "without --endpoint",
  },
];

export function evalCommand({ signal }: Invocation): Command {
  const command = new Command("eval")
    .description(
      "put ways of getting several answers side by side on a task: accuracy, votes, pass@k and their cost, with intervals",
    )
    .addArgument(new Argument("[model]", "GGUF model").default(defaultModel, "the one that ships with brownian"))
    .option(
      "--task <file>",
      `JSON lines of questions and answers, or one of ${Object.keys(MAKERS).join(", ")}, made from the seed`,
      "cloze",
    )
    .option("--from <file>", "what questions are made from (cloze: a text; countries: countries.json of world-countries)")
    .option("-o, --output <folder>", "where the report goes", "brownian-evaluation")
    .option(
      "--methods <names>",
      "which to put beside softmax, with commas (default: quenched; of servers: members)",
      (names: string) => names.split(","),
    )
    .option("--levels <T,...>", "temperatures of softmax that the others are tuned to (default: 0.3,0.6,1)", parseNumbers)
    .addOption(
      new Option("--equal <what>", "what is made equal at each level, on the tuning half (default: flips)").choices([
        "flips",
        "accuracy",
      ]),
    )
    .option("-n, --samples <n>", "answers for each question, method and level (default: 8)", parseWhole)
    .option("--questions <n>", "test questions at most (default: all of that half)", parseWhole)
    .option("--tune-questions <n>", "tuning questions at most (default: 48)", parseWhole)
    .option("--max-tokens <n>", "tokens of an answer at most (default: 16)", parseWhole)
    .option("--stop <text>", "what ends an answer; may be given several times (default: an end of line)", each)
    .option("--tau <tokens>", `correlation time, of dynamics that have one (default: ${DEFAULT_TAU})`, parseNumber)
    .option(
      "--sigmas <numbers>",
      "sigmas at which weights are measured, rising (default: 0.01 to 0.32 by doubling)",
      parseNumbers,
    )
    .option("--draws <n>", "draws of the weights at each of these (default: 2)", parseWhole)
    .option("--uncertainty", "how well answers know that they are right, too; about twice the time")
    .option("--seed <n>", "equal seeds give equal numbers (default: 0)", parseSeed)
    .option("--quick", "a first look: 2 levels, 4 answers, 24 test and 16 tuning questions")
    .option("--resume", "go on with an evaluation that was interrupted")
    .option("--parallel <n>", "texts that are answered at once", parseWhole, PARALLEL)
    .option("--context <n>", "tokens of context of each of them", parseWhole, CONTEXT)
    .option("--threads <n>", "engine threads (default: all physical cores but one)", parseWhole)
    .option("--scratch <folder>", "where the moving copy of the model lies (default: the temporary directory)");
  return addServerOptions(command, {
    endpoint: "servers with members answer (llama-server, vLLM, SGLang, TGI)",
    adapters: "with --endpoint: the members, as brownian adapter wrote them from the model",
    request: "one answer",
  })
    .option("--json", "print the numbers as JSON")
    .addHelpText("after", () => `\nMethods:\n${table(methodNames.map((name) => [`  ${name}`, METHODS[name].summary]))}`)
    .action((model: string, options: Options, itself: Command) => {
      for (const line of idleLines(itself, options, IDLE)) remark(line);
      if (options.endpoint !== undefined && itself.args.length > 0)
        throw new BrownianError("usage", "With --endpoint the model is that of the servers and of --adapters: leave it out.");
      return run(model, options, signal);
    });
}

async function run(path: string, options: Options, signal: AbortSignal): Promise<void> {
  const { output } = options;
  // All that can be wrong, before minutes of work.
  await loadPlot();
  await checkOutputFolder(output, REPORT_FILES);
  const task = await readTask(options, signal);
  evaluationNumbers(task, { ...(options.quick ? QUICK : {}), ...chosen(options) });
  const unfinished = new Unfinished(`${output.replace(/[/\\]+$/, "")}.unfinished.jsonl`, "brownian-evaluation-unfinished");
  const measuring = withAnswering(path, options, signal, async (model) => {
    const by = respondent(model);
    const quick = options.quick ? { ...QUICK, ...(by.served?.levels ? { sigmas: undefined } : {}) } : {};
    const asked: EvaluateOptions = { ...given(quick), ...chosen(options) };
    const settings = evaluationSettings(by, task, asked);
    await unfinished.begin({ settings, model: (await by.identity()).sha256, task: task.sha256 }, options.resume ?? false);
    remark(powerSaid(powerOf(settings)));
    return withSteps("evaluating", (onProgress) =>
      evaluate(model, task, {
        ...asked,
        signal,
        finished: unfinished.finished,
        onFinished: (name, outcome) => unfinished.add(name, outcome),
        onProgress,
      }),
    );
  });
  const evaluation = await orKept(measuring, unfinished, "steps");
  await writeReport(output, evaluationPage(evaluation), evaluation, unfinished);
  remark(`${join(output, "report.html")} shows this with plots and answers`);
  printResult(options.json, evaluation, () => evaluationTable(evaluation));
}

/** Our own engine with the model, or servers with the members, for as long as `work` takes. */
async function withAnswering<T>(
  path: string,
  options: Options,
  signal: AbortSignal,
  work: (model: Model | ServedMembers) => Promise<T>,
): Promise<T> {
  const { endpoint: endpoints, adapters, context: contextSize } = options;
  if (endpoints === undefined) return withModel(path, { ...options, contextSize }, signal, work);
  if (adapters === undefined)
    throw new BrownianError("usage", "--endpoint needs the members that the servers have: --adapters FOLDER.");
  const onGone = (url: string, why: string) => remark(`left out: ${url}: ${why}`);
  const served = await servedMembers({ endpoints, adapters, ...serversBy(options), onGone, signal });
  try {
    return await work(served);
  } finally {
    for (const sentence of await served.close()) remark(sentence);
  }
}

/** The task of a file, or one that is made. */
async function readTask({ task, from, seed, questions, tuneQuestions }: Options, signal: AbortSignal): Promise<Task> {
  if (!Object.hasOwn(MAKERS, task)) return parseTask(await readTextFile(task, signal), basename(task));
  const text = from === undefined && task !== "cloze" ? undefined : await readText(from, signal);
  const wanted = questions === undefined ? {} : { questions: 4 * Math.max(questions, tuneQuestions ?? 48) };
  return parseTask(makeTask(task, { text, ...given({ seed }), ...(task === "countries" ? {} : wanted) }), task);
}

/** What of the settings was given on the command line. */
function chosen(options: Options): EvaluateOptions {
  const { methods, levels, equal, samples, questions, tuneQuestions, maxTokens, stop, tau, sigmas, draws, uncertainty, seed } =
    options;
  return given({
    methods,
    levels,
    equal,
    samples,
    questions,
    tuneQuestions,
    maxTokens,
    stop,
    tau,
    sigmas,
    draws,
    uncertainty,
    seed,
  });
}
