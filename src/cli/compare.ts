// brownian compare: moving weights beside softmax and others, at equal flip rates and along the whole frontier; a folder with a page and its
// numbers. What is finished is kept in a file beside it until the folder is there, so that an interrupted comparison can go on.

import { createHash } from "node:crypto";
import { readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import chalk from "chalk";
import { Argument, Command } from "commander";
import { type Comparison, type ComparisonSettings, METHODS } from "../compare/comparison.js";
import { comparisonFigure, comparisonPage, comparisonTable } from "../compare/page.js";
import { type CompareOptions, compare, comparisonSettings } from "../compare/run.js";
import { BrownianError } from "../errors.js";
import { asFileError } from "../files/file-errors.js";
import { checkOutputFolder, writeFolderWhole, writeWhole } from "../files/index.js";
import { loadModel } from "../llama/index.js";
import { loadPlot, renderFigure, renderPage } from "../report/page.js";
import type { Profile } from "../sampling/index.js";
import type { Invocation } from "./main.js";
import { EMBEDDED_MODEL, parseNumber, parseNumbers, parseSeed, parseWhole } from "./options.js";
import { profilePath, readProfile } from "./profile.js";
import { withSteps } from "./progress.js";

/** A text that the embedded model has not seen. */
const TEXT = fileURLToPath(new URL("../../models/fairytales-heldout.txt", import.meta.url));
/** What the folder holds. */
const FILES = ["report.html", "results.json", "frontier.svg"];

interface Options {
  readonly output: string;
  readonly text?: string;
  readonly calibration?: string;
  readonly methods?: string[];
  readonly levels?: number[];
  readonly beyond?: number[];
  readonly prompt?: string[];
  readonly samples?: number;
  readonly maxTokens?: number;
  readonly tuneTokens?: number;
  readonly tau?: number;
  readonly seed?: bigint;
  readonly resume?: boolean;
  readonly threads?: number;
  readonly scratch?: string;
  readonly json?: boolean;
}

export function compareCommand({ signal }: Invocation): Command {
  return new Command("compare")
    .description("put moving weights beside softmax at equal flip rates: quality and diversity with intervals, and a report")
    .addArgument(new Argument("[model]", "GGUF model").default(EMBEDDED_MODEL, "the one that ships with brownian"))
    .option("-o, --output <folder>", "where the report goes", "brownian-comparison")
    .option("--text <file>", "what dials are tuned and checked on (default: fairy tales that the embedded model has not seen)")
    .option("--calibration <file>", "the model's calibration (default: beside the model)")
    .option(
      "--methods <names>",
      `which to compare with softmax, with commas (default: ${Object.keys(METHODS).join(",")})`,
      (names: string) => names.split(","),
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
    .option("--tau <tokens>", "correlation time of andersen and langevin (default: 32)", parseNumber)
    .option("--seed <n>", "equal seeds give equal numbers (default: 0)", parseSeed)
    .option("--resume", "go on with a comparison that was interrupted")
    .option("--threads <n>", "engine threads (default: all physical cores but one)", parseWhole)
    .option("--scratch <folder>", "where moving copies of the model lie (default: the temporary directory)")
    .option("--json", "print the numbers as JSON")
    .action((model: string, options: Options) => run(model, options, signal));
}

async function run(path: string, options: Options, signal: AbortSignal): Promise<void> {
  const { output, threads, scratch } = options;
  // All that can be wrong, before minutes of work.
  await loadPlot();
  await checkOutputFolder(output, FILES);
  const source = options.text ?? TEXT;
  const text = await readFile(source, "utf8").catch((error) => Promise.reject(asFileError(error, source)));
  const profile = await readProfile(options.calibration ?? profilePath(path), path);
  const kept = new Kept(`${output}.unfinished.json`, path);
  const former = await kept.read();
  if (former !== undefined && !options.resume)
    throw new BrownianError(
      "usage",
      `${kept.path} has what an interrupted comparison had finished: go on with --resume, or remove it, or give another --output.`,
    );
  if (former === undefined && options.resume)
    throw new BrownianError("usage", `There is no ${kept.path} to go on with: leave out --resume, or say which --output it was.`);

  const model = await loadModel(path, {
    signal,
    ...(threads !== undefined && { threads }),
    ...(scratch !== undefined && { scratch }),
  });
  let comparison: Comparison;
  try {
    const asked: CompareOptions = { ...given(options, former?.settings), profile };
    const settings = comparisonSettings(model, text, asked);
    await kept.begin({ settings, ...subject(text, profile) }, former);
    comparison = await withSteps("comparing", (onProgress) =>
      compare(model, text, {
        ...asked,
        signal,
        finished: kept.finished,
        onFinished: (name, outcome) => kept.add(name, outcome),
        onProgress,
        ...(scratch !== undefined && { scratch }),
      }),
    );
  } catch (error) {
    if (kept.finished.size > 0)
      process.stderr.write(
        `${kept.texts} texts are finished and kept in ${kept.path}: go on with --resume and the same model, text and --output.\n`,
      );
    throw error;
  } finally {
    await model.dispose();
  }
  const page = comparisonPage(comparison);
  await writeFolderWhole(output, FILES, async (folder) => {
    await writeFile(join(folder, "report.html"), await renderPage(page));
    await writeFile(join(folder, "results.json"), `${JSON.stringify(comparison, null, 1)}\n`);
    await writeFile(join(folder, "frontier.svg"), await renderFigure(comparisonFigure(comparison)));
  });
  await kept.remove();
  process.stderr.write(chalk.dim(`${join(output, "report.html")} shows this with plots and texts\n`));
  process.stdout.write(options.json ? `${JSON.stringify(comparison, null, 2)}\n` : `${comparisonTable(comparison)}\n`);
}

/** What was given on the command line; what was not, of an interrupted comparison as it was then. */
function given(options: Options, former: ComparisonSettings | undefined): Omit<CompareOptions, "profile"> {
  const { methods, levels, beyond, prompt, samples, maxTokens, tuneTokens, tau, seed } = options;
  const before = former && {
    ...former,
    tuneTokens: former.tuneWindows * former.maxTokens,
    seed: BigInt(former.seed),
  };
  const chosen = {
    methods: methods ?? before?.methods,
    levels: levels ?? before?.levels,
    beyond: beyond ?? before?.beyond,
    prompts: prompt ?? before?.prompts,
    samples: samples ?? before?.samples,
    maxTokens: maxTokens ?? before?.maxTokens,
    tuneTokens: tuneTokens ?? before?.tuneTokens,
    tau: tau ?? before?.tau,
    seed: seed ?? before?.seed,
  };
  return Object.fromEntries(Object.entries(chosen).filter(([, value]) => value !== undefined));
}

/** What a comparison is of, and how. */
interface Subject {
  readonly settings: ComparisonSettings;
  readonly model: string;
  readonly text: string;
  readonly calibration: string;
}

function subject(text: string, profile: Profile): Omit<Subject, "settings"> {
  const hash = (of: string) => createHash("sha256").update(of).digest("hex");
  return { model: profile.model.sha256, text: hash(text), calibration: hash(JSON.stringify(profile)) };
}

interface Unfinished extends Subject {
  readonly format: "brownian-comparison-unfinished";
  readonly version: 1;
  readonly finished: Readonly<Record<string, unknown>>;
}

/** What a comparison has finished so far, on disk: written whole after every step. */
class Kept {
  readonly finished = new Map<string, unknown>();
  /** As JSON, so that a step costs the writing of its file and no more. */
  private readonly lines: string[] = [];
  private head = "";

  constructor(
    readonly path: string,
    private readonly model: string,
  ) {}

  get texts(): number {
    return [...this.finished.keys()].filter((name) => name.startsWith("text ")).length;
  }

  /** What an earlier run left, if there is something. */
  async read(): Promise<Unfinished | undefined> {
    if ((await stat(this.path).catch(() => null)) === null) return undefined;
    const text = await readFile(this.path, "utf8").catch((error) => Promise.reject(asFileError(error, this.path)));
    try {
      const all = JSON.parse(text) as Unfinished;
      if (all.format === "brownian-comparison-unfinished" && all.version === 1 && typeof all.finished === "object") return all;
    } catch {
      // said below
    }
    throw new BrownianError(
      "usage",
      `${this.path} is no comparison that this version goes on with: remove it, or give another --output.`,
    );
  }

  /** Takes over what `former` had finished, which must be of the same kind, and writes the file for the first time. */
  async begin(now: Subject, former: Unfinished | undefined): Promise<void> {
    this.head = JSON.stringify({ format: "brownian-comparison-unfinished", version: 1, ...now }).slice(0, -1);
    if (former !== undefined) {
      for (const key of ["model", "text", "calibration"] as const)
        if (former[key] !== now[key])
          throw new BrownianError(
            "usage",
            `${this.path} was begun with another ${key}: go on with the same, or give another --output.`,
          );
      const differing = Object.entries(now.settings).filter(
        ([name, value]) => JSON.stringify(value) !== JSON.stringify(Reflect.get(former.settings, name)),
      );
      if (differing.length > 0)
        throw new BrownianError(
          "usage",
          `${this.path} was begun with other ${differing.map(([name]) => name).join(", ")}: leave those options out, or give another --output.`,
        );
      for (const [name, outcome] of Object.entries(former.finished)) this.take(name, outcome);
    }
    await this.write();
  }

  async add(name: string, outcome: unknown): Promise<void> {
    this.take(name, outcome);
    await this.write();
  }

  async remove(): Promise<void> {
    await rm(this.path, { force: true });
  }

  private take(name: string, outcome: unknown): void {
    this.finished.set(name, outcome);
    this.lines.push(`${JSON.stringify(name)}: ${JSON.stringify(outcome)}`);
  }

  private async write(): Promise<void> {
    const all = `${this.head},\n"finished": {\n${this.lines.join(",\n")}\n}}\n`;
    await writeWhole(this.path, this.model, (partial) => writeFile(partial, all));
  }
}
