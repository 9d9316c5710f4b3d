// brownian audit: how a model answers to noise on all of its weights, and tensor by tensor; a folder with a page and its numbers, which the scale
// fragility reads.

import { createHash } from "node:crypto";
import { basename, join } from "node:path";
import { Argument, Command } from "commander";
import { type AuditOptions, audit, auditNumbers, auditSettings } from "../evaluate/audit/index.js";
import { auditPage, auditTable } from "../evaluate/audit/page.js";
import { identity } from "../files/identity.js";
import { checkOutputFolder } from "../files/index.js";
import { readTextFile } from "../files/text.js";
import { Unfinished } from "../files/unfinished.js";
import { defaultModel } from "../llama/index.js";
import { loadPlot } from "../report/page.js";
import { parseTask } from "../tasks/index.js";
import type { Invocation } from "./command.js";
import { given, readText, withModel } from "./inputs.js";
import { parseNumber, parseNumbers, parseSeed, parseWhole } from "./options.js";
import { printResult, remark } from "./print.js";
import { withSteps } from "./progress.js";
import { orKept, REPORT_FILES, writeReport } from "./report-folder.js";

/** What the folder holds. */
/** Questions that are answered at once, and tokens of context of each. */
const PARALLEL = 8;
const CONTEXT = 256;

interface Options {
  readonly text?: string;
  readonly task?: string;
  readonly output: string;
  readonly maxTokens?: number;
  readonly sigmas?: number[];
  readonly draws?: number;
  readonly sigma?: number;
  readonly seeds?: number;
  readonly each?: boolean;
  readonly only?: string[];
  readonly breakingNats?: number;
  readonly questions?: number;
  readonly seed?: bigint;
  readonly resume?: boolean;
  readonly threads?: number;
  readonly scratch?: string;
  readonly json?: boolean;
}

export function auditCommand({ signal }: Invocation): Command {
  return new Command("audit")
    .description("how a model answers to noise: KL, NLL and accuracy against sigma, and which tensors are the frailest")
    .addArgument(new Argument("[model]", "GGUF model").default(defaultModel, "the one that ships with brownian"))
    .option("-o, --output <folder>", "where the report goes", "brownian-audit")
    .option("--text <file>", "what the model reads (default: fairy tales that the embedded model has not seen)")
    .option("--task <file>", "questions (as for eval) that are answered at every sigma, of their test half")
    .option("--questions <n>", "how many of them at most (default: 48)", parseWhole)
    .option("--max-tokens <n>", "tokens of the text to read (default: 512)", parseWhole)
    .option("--sigmas <numbers>", "sigmas for all weights, rising (default: 0.01 to 0.32 by doubling)", parseNumbers)
    .option("--draws <n>", "draws of the weights at each (default: 2)", parseWhole)
    .option("--sigma <number>", "noise on groups that are moved alone (default: where the whole model breaks)", parseNumber)
    .option("--seeds <n>", "draws of each group; with two, their rank correlation is told (default: 1)", parseWhole)
    .option("--each", "every matrix by itself, instead of kind by kind in each layer")
    .option(
      "--only <glob>",
      "only tensors whose names match; may be given several times",
      (glob: string, before: string[] = []) => [...before, glob],
    )
    .option("--breaking-nats <n>", "nats a token from which on the model counts as broken (default: 0.25)", parseNumber)
    .option("--seed <n>", "equal seeds give equal numbers (default: 0)", parseSeed)
    .option("--resume", "go on with an audit that was interrupted")
    .option("--threads <n>", "engine threads (default: all physical cores but one)", parseWhole)
    .option("--scratch <folder>", "where the moving copy of the model lies (default: the temporary directory)")
    .option("--json", "print the numbers as JSON")
    .action((model: string, options: Options) => run(model, options, signal));
}

async function run(path: string, options: Options, signal: AbortSignal): Promise<void> {
  const { output } = options;
  await loadPlot();
  await checkOutputFolder(output, REPORT_FILES);
  const text = await readText(options.text, signal);
  const task =
    options.task === undefined ? undefined : parseTask(await readTextFile(options.task, signal), basename(options.task));
  const asked: AuditOptions = { ...chosen(options), ...given({ task }) };
  auditNumbers(asked); // before the model is loaded
  const unfinished = new Unfinished(`${output.replace(/[/\\]+$/, "")}.unfinished.jsonl`, "brownian-audit-unfinished");
  const engine = { ...options, ...(task === undefined ? {} : { parallel: PARALLEL, contextSize: CONTEXT, keepPrompts: true }) };
  const measuring = withModel(path, engine, signal, async (model) => {
    const settings = auditSettings(model, text, asked);
    const hash = createHash("sha256").update(text).digest("hex");
    await unfinished.begin(
      { settings, model: (await identity(path)).sha256, text: hash, task: task?.sha256 ?? null },
      options.resume ?? false,
    );
    return withSteps("auditing", (onProgress) =>
      audit(model, text, {
        ...asked,
        signal,
        finished: unfinished.finished,
        onFinished: (name, outcome) => unfinished.add(name, outcome),
        onProgress,
      }),
    );
  });
  const result = await orKept(measuring, unfinished, "readings");
  await writeReport(output, auditPage(result), result, unfinished);
  remark(
    `${join(output, "report.html")} shows this with plots; --scale fragility --audit ${join(output, "results.json")} uses it`,
  );
  printResult(options.json, result, () => auditTable(result));
}

/** What of the settings was given on the command line. */
function chosen(options: Options): AuditOptions {
  const { maxTokens, sigmas, draws, sigma, seeds, each, only, breakingNats, questions, seed } = options;
  return given({ maxTokens, sigmas, draws, sigma, seeds, each, only, breakingNats, questions, seed });
}
