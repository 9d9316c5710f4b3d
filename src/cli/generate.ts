// brownian generate: a language model writes, with moving weights, with softmax sampling, or with both.

import { randomInt } from "node:crypto";
import chalk from "chalk";
import { Command, Option } from "commander";
import { BrownianError, checkInteger } from "../errors.js";
import { readImatrix, readModel } from "../files/index.js";
import { formatNamed } from "../lattice/formats.js";
import { type GenerateOptions, type Generation, loadModel, type Model, type UncertainToken } from "../llama/index.js";
import { type Column, sideBySide } from "../report/columns.js";
import { percent, significant } from "../report/table.js";
import { DISAGREEMENT, underlined } from "../report/underline.js";
import { weightSigma } from "../sampling/index.js";
import { DYNAMICS } from "../thermostat/dynamics/index.js";
import { exponential, linear } from "../thermostat/schedule.js";
import { checkSettings } from "../thermostat/settings.js";
import type { Invocation } from "./command.js";
import {
  addNoiseOptions,
  byColumn,
  EMBEDDED_MODEL,
  type NoiseOptions,
  noiseSettings,
  parseNumber,
  parseNumbers,
  parseSeed,
  parseWhole,
} from "./options.js";
import { profilePath, readProfile } from "./profile.js";
import { withProgress } from "./progress.js";

interface Options extends NoiseOptions {
  readonly model?: string;
  readonly sigma?: number[];
  readonly weightTemperature?: number;
  readonly force?: boolean;
  readonly dynamics: string;
  readonly tau?: number;
  readonly anneal?: "linear" | "exponential";
  readonly sigmaEnd?: number;
  readonly recompute?: boolean;
  readonly promptWeights: "moving" | "clean";
  readonly temperature?: number;
  readonly topK?: number;
  readonly topP?: number;
  readonly minP?: number;
  readonly seed?: bigint;
  readonly samples: number;
  readonly maxTokens: number;
  readonly sideBySide?: boolean;
  readonly uncertainty?: boolean;
  readonly members?: number;
  readonly threads?: number;
  readonly context?: number;
  readonly gpuLayers?: number;
  readonly scratch?: string;
  readonly json?: boolean;
}

const ANNEALING = { linear, exponential };
const DEFAULT_SIGMA = 0.05;
const UNITS = { rms: " RMS", absolute: "", step: " steps", imatrix: " RMS by column" };
/** What is put side by side unless told otherwise: about one token in ten, five and three differs (models/README.md). */
const SIDE_BY_SIDE_SIGMAS = [0.05, 0.1, 0.2];
const SIDE_BY_SIDE_TEMPERATURE = 0.8;

export function generateCommand({ signal }: Invocation): Command {
  const command = new Command("generate")
    .description("write text with moving weights (and, if asked, softmax sampling)")
    .argument("[prompt]", "the text to continue", "Once upon a time")
    .option("-m, --model <file>", "GGUF model (default: the one that ships with brownian)")
    .option(
      "-s, --sigma <numbers>",
      `noise on the weights, in units of --scale; several with commas (default: ${DEFAULT_SIGMA})`,
      parseNumbers,
    )
    .option(
      "--weight-temperature <T>",
      "instead of sigma: as surprising as softmax at T, by the model's calibration",
      parseNumber,
    )
    .option("--force", "with --weight-temperature, also where moving weights break the model")
    .addOption(
      new Option("-d, --dynamics <name>", "how the noise evolves over tokens").choices(Object.keys(DYNAMICS)).default("quenched"),
    )
    .option("--tau <tokens>", "correlation time of the noise (default: 32)", parseNumber)
    .addOption(
      new Option("--anneal <how>", "let sigma go to --sigma-end while the text is written").choices(Object.keys(ANNEALING)),
    )
    .option("--sigma-end <number>", "where --anneal ends, at --max-tokens (default: a tenth of sigma)", parseNumber)
    .option("--recompute", "evaluate the whole context anew for every token, with the weights as they are then")
    .addOption(
      new Option("--prompt-weights <which>", "the weights that read the prompt").choices(["moving", "clean"]).default("moving"),
    )
    .option("-t, --temperature <number>", "softmax temperature at the output (default: 0, greedy)", parseNumber)
    .option("--top-k <n>", "sample from the k likeliest tokens only", parseWhole)
    .option("--top-p <p>", "sample from the likeliest tokens of total probability p only", parseNumber)
    .option("--min-p <p>", "sample from tokens at least p times as likely as the likeliest only", parseNumber)
    .option("--seed <n>", "of the weights and of softmax sampling (default: another one every time)", parseSeed)
    .option("-n, --samples <n>", "texts to write for each sigma, with seeds counting up", parseWhole, 1)
    .option("--max-tokens <n>", "tokens to write at most", parseWhole, 100)
    .option("--side-by-side", "compare in columns: clean and greedy, softmax, and each sigma")
    .option(
      "--uncertainty",
      "write with the clean weights, and underline what an ensemble of moved ones disagrees about; numbers with --json",
    )
    .option("--members <n>", "with --uncertainty: draws of the weights (default: 8)", parseWhole)
    .option(
      "--threads <n>",
      "engine threads; no more than there are free cores (default: all physical cores but one)",
      parseWhole,
    )
    .option("--context <n>", "tokens of context (default: the model's, at most 4096)", parseWhole)
    .addOption(new Option("--gpu-layers <n>", "must be 0: weights on a GPU do not move").argParser(parseWhole).hideHelp())
    .option("--scratch <folder>", "where the moving copy of the model lies (default: the temporary directory)")
    .option("--json", "print one JSON document");
  return addNoiseOptions(command).action((prompt: string, options: Options) => generate(prompt, options, signal));
}

/** One text to write. */
interface Run {
  readonly label: string;
  /** At the beginning. */
  readonly sigma: number;
  readonly options: GenerateOptions;
}

async function generate(prompt: string, options: Options, signal: AbortSignal): Promise<void> {
  checkInteger("--samples", options.samples, 1);
  const { weightTemperature } = options;
  if (weightTemperature !== undefined) {
    if (options.sigma !== undefined || options.scale !== "rms" || options.rounding !== "matched")
      throw new BrownianError(
        "usage",
        "--weight-temperature chooses sigma, in units of RMS and with matched rounding: leave out --sigma, --scale and --rounding.",
      );
    const path = options.model ?? EMBEDDED_MODEL;
    const sigma = weightSigma(await readProfile(profilePath(path), path), weightTemperature, options.force);
    process.stderr.write(
      chalk.dim(`sigma ${significant(sigma)} is as surprising as softmax at T = ${significant(weightTemperature)}\n`),
    );
    await generate(prompt, withSigma(options, sigma), signal);
    return;
  }
  if (options.sigmaEnd !== undefined && options.anneal === undefined)
    throw new BrownianError("usage", "--sigma-end says where --anneal ends: give --anneal linear or exponential as well.");
  checkUncertainty(options);
  const importance = await readImportance(options);
  const seed = options.seed ?? randomInt(100_000);
  const runs = options.sideBySide ? comparison(options, BigInt(seed)) : samples(options, BigInt(seed));
  const common = { maxTokens: options.maxTokens, signal };
  const model = await withProgress("copying the model", (onProgress) =>
    loadModel(options.model ?? EMBEDDED_MODEL, {
      signal,
      onProgress,
      ...(options.threads !== undefined && { threads: options.threads }),
      ...(options.context !== undefined && { contextSize: options.context }),
      ...(options.gpuLayers !== undefined && { gpuLayers: options.gpuLayers }),
      ...(options.scratch !== undefined && { scratch: options.scratch }),
    }),
  );
  try {
    if (importance !== undefined && !options.json) process.stderr.write(chalk.dim(importance));
    if (options.seed === undefined && !options.json)
      process.stderr.write(chalk.dim(`seed ${seed} (write the same again with --seed ${seed})\n`));
    if (options.uncertainty) await printUncertainty(model, prompt, runs, { ...common, members: options.members }, options.json);
    else if (options.json) await printJson(model, prompt, runs, common);
    else if (options.sideBySide) await printSideBySide(model, prompt, runs, common);
    else await printOneByOne(model, prompt, runs, common);
  } finally {
    await model.dispose();
  }
}

/** What of the model goes by column, if anything. Before the model is loaded: a wrong importance matrix is to cost no time. */
async function readImportance(options: Options): Promise<string | undefined> {
  const { imatrix } = checkSettings({ ...noiseSettings(options), sigma: 0 });
  if (imatrix === undefined) return undefined;
  const model = await readModel(options.model ?? EMBEDDED_MODEL);
  const importance = await readImatrix(imatrix, model);
  const movable = model.tensors.filter((tensor) => formatNamed(tensor.type) !== undefined).map((tensor) => tensor.name);
  return byColumn(
    movable.length,
    movable.filter((name) => !importance.has(name)),
  );
}

function withSigma({ weightTemperature: _, ...options }: Options, sigma: number): Options {
  return { ...options, sigma: [sigma] };
}

/** The texts of a plain run: each sigma with each seed. */
function samples(options: Options, seed: bigint): Run[] {
  const sigmas = options.sigma ?? [DEFAULT_SIGMA];
  return sigmas.flatMap((sigma) => seeds(seed, options.samples).map((one) => moving(options, sigma, one, samplingOf(options))));
}

/** The texts of a side-by-side run: without noise, with dice at the output, with moving weights. */
function comparison(options: Options, seed: bigint): Run[] {
  const temperature = options.temperature ?? SIDE_BY_SIDE_TEMPERATURE;
  const clean: Run = { label: "greedy", sigma: 0, options: { seed } };
  const softmax = seeds(seed, options.samples).map(
    (one): Run => ({
      label: `T = ${significant(temperature)}, seed ${one}`,
      sigma: 0,
      options: { ...samplingOf(options), temperature, seed: one },
    }),
  );
  const sigmas = options.sigma ?? SIDE_BY_SIDE_SIGMAS;
  const weights = sigmas.flatMap((sigma, i) =>
    seeds(seed + BigInt(i * options.samples), options.samples).map((one) => moving(options, sigma, one, {})),
  );
  return [clean, ...softmax, ...weights];
}

function moving(options: Options, sigma: number, seed: bigint, sampling: GenerateOptions): Run {
  const unit = UNITS[options.scale];
  const tau = options.tau === undefined ? "" : `(${significant(options.tau)})`;
  const how = options.dynamics === "quenched" ? "" : `, ${options.dynamics}${tau}`;
  const end = options.sigmaEnd ?? sigma / 10;
  const anneal = options.anneal && ANNEALING[options.anneal](sigma, end, options.maxTokens);
  const dice = sampling.temperature ? `, T = ${significant(sampling.temperature)}` : "";
  return {
    label: `σ = ${significant(sigma)}${anneal ? ` to ${significant(end)}` : ""}${unit}${how}${dice}, seed ${seed}`,
    sigma,
    options: {
      ...sampling,
      ...noiseSettings(options),
      sigma: anneal ?? sigma,
      dynamics: options.dynamics,
      promptWeights: options.promptWeights,
      ...(options.tau !== undefined && { tau: options.tau }),
      ...(options.recompute !== undefined && { recompute: options.recompute }),
      seed,
    },
  };
}

function samplingOf({ temperature, topK, topP, minP }: Options): GenerateOptions {
  return {
    ...(temperature !== undefined && { temperature }),
    ...(topK !== undefined && { topK }),
    ...(topP !== undefined && { topP }),
    ...(minP !== undefined && { minP }),
  };
}

function seeds(first: bigint, count: number): bigint[] {
  return Array.from({ length: count }, (_, i) => first + BigInt(i));
}

type Common = Pick<GenerateOptions, "maxTokens"> & { readonly signal: AbortSignal };

function summary({ tokens, tokensPerSecond, weights, changed, reloaded, stop }: Generation): string {
  const speed = tokens > 1 ? `${Math.round(tokensPerSecond)} tokens/s` : `${tokens} token`;
  const moved =
    changed > 0 ? `${percent(changed / weights)} of ${significant(weights / 1e6)} M weights moved` : "no weight moved";
  return [
    speed,
    moved,
    ...(reloaded && changed > 0 ? ["model loaded again"] : []),
    ...(stop === "context" ? ["context full"] : []),
  ].join(", ");
}

async function printOneByOne(model: Model, prompt: string, runs: readonly Run[], common: Common): Promise<void> {
  for (const run of runs) {
    if (common.signal.aborted) return;
    if (runs.length > 1) process.stderr.write(`${chalk.bold(run.label)}\n`);
    const pieces = model.generate(prompt, { ...run.options, ...common });
    let next = await pieces.next(); // refusals come before the prompt is printed
    process.stdout.write(chalk.dim(prompt));
    for (; !next.done; next = await pieces.next()) process.stdout.write(next.value);
    process.stdout.write("\n");
    process.stderr.write(chalk.dim(`${summary(next.value)}\n${runs.length > 1 ? "\n" : ""}`));
  }
}

/** @throws BrownianError usage for what does not go together */
function checkUncertainty(options: Options): void {
  if (!options.uncertainty) {
    if (options.members === undefined) return;
    throw new BrownianError("usage", "--members says how many draws --uncertainty takes: give that as well.");
  }
  const others = {
    "--side-by-side": options.sideBySide,
    "--dynamics": options.dynamics !== "quenched",
    "--tau": options.tau,
    "--anneal": options.anneal,
    "--recompute": options.recompute,
    "--prompt-weights": options.promptWeights !== "moving",
  };
  const other = Object.entries(others).find(([, given]) => given !== undefined && given !== false);
  if (other === undefined) return;
  throw new BrownianError(
    "usage",
    `--uncertainty lets an ensemble of quenched weights read what the clean ones write: leave out ${other[0]}.`,
  );
}

async function printUncertainty(
  model: Model,
  prompt: string,
  runs: readonly Run[],
  { members, ...common }: Common & { readonly members: number | undefined },
  json = false,
): Promise<void> {
  const texts = [];
  for (const { label, sigma, options } of runs) {
    const { seed, scale, imatrix, rounding, only, skipUnsupported, temperature, topK, topP, minP } = options;
    const noise = { sigma, imatrix, only, ...(members !== undefined && { members }) };
    const rest = { seed, scale, rounding, skipUnsupported, temperature, topK, topP, minP };
    const given = Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined));
    const read = await model.uncertainty(prompt, { ...noise, ...given, ...common });
    const { tokens } = read;
    if (json) {
      texts.push({ label, sigma, scale, imatrix, rounding, temperature: temperature ?? 0, seed: String(seed), ...read });
      continue;
    }
    if (runs.length > 1) process.stderr.write(`${chalk.bold(label)}\n`);
    process.stdout.write(`${chalk.dim(prompt)}${underlined(tokens)}\n`);
    const nats = (of: (token: UncertainToken) => number) =>
      significant(tokens.reduce((sum, token) => sum + of(token), 0) / Math.max(1, tokens.length));
    const most = tokens.reduce<UncertainToken | undefined>((a, b) => (a && a.information >= b.information ? a : b), undefined);
    process.stderr.write(
      chalk.dim(
        `${read.members} members, a token: ${nats((t) => t.information)} nats of disagreement within ${nats((t) => t.total)} of uncertainty` +
          `${most ? `; most at "${most.text.trim()}" (${significant(most.information)})` : ""}; underlined from ${DISAGREEMENT.more} times the mean on\n`,
      ),
    );
  }
  if (json) process.stdout.write(`${JSON.stringify({ model: model.path, prompt, texts }, null, 2)}\n`);
}

async function printSideBySide(model: Model, prompt: string, runs: readonly Run[], common: Common): Promise<void> {
  const columns: Column[] = [];
  for (const run of runs) {
    if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${chalk.dim(`writing: ${run.label}`)}`);
    const generation = await model.complete(prompt, { ...run.options, ...common });
    if (common.signal.aborted) break;
    columns.push({
      head: chalk.bold(run.label),
      body: chalk.dim(prompt) + generation.text,
      foot: chalk.cyan(summary(generation)),
    });
  }
  if (process.stderr.isTTY) process.stderr.write("\r\x1b[K");
  process.stdout.write(`${sideBySide(columns, process.stdout.columns ?? 150)}\n`);
}

async function printJson(model: Model, prompt: string, runs: readonly Run[], common: Common): Promise<void> {
  const texts = [];
  for (const run of runs) {
    if (common.signal.aborted) break;
    const { ids: _, ...generation } = await model.complete(prompt, { ...run.options, ...common });
    const { sigma, label } = run;
    const { scale, imatrix, rounding, dynamics, tau, temperature = 0, seed } = run.options;
    texts.push({ label, sigma, scale, imatrix, rounding, dynamics, tau, temperature, seed: String(seed), ...generation });
  }
  process.stdout.write(`${JSON.stringify({ model: model.path, prompt, texts }, null, 2)}\n`);
  if (texts.length === 0) throw new BrownianError("aborted", "Interrupted before the first text.");
}
