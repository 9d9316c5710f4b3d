// brownian perturb: writes a moved copy of a model file.

import { basename } from "node:path";
import chalk from "chalk";
import { Command, Option } from "commander";
import { mergeMember } from "../adapters/index.js";
import { BrownianError, visible } from "../errors.js";
import { bytes, grouped, percent } from "../report/table.js";
import { givesOther } from "../thermostat/dose.js";
import type { TensorDrawn } from "../thermostat/draw.js";
import { type FilePerturbed, perturbFile } from "../thermostat/perturb-file.js";
import type { Invocation } from "./command.js";
import { type Idle, idleLines } from "./idle.js";
import { given } from "./inputs.js";
import {
  addCarrierOptions,
  addNoiseOptions,
  type CarrierFlags,
  columnsRemark,
  type NoiseOptions,
  noiseSettings,
  parseNumber,
  parseSeed,
  parseWhole,
} from "./options.js";
import { printResult, remark } from "./print.js";
import { withProgress } from "./progress.js";
import { wordsText } from "./words.js";

interface Options extends NoiseOptions, CarrierFlags {
  readonly output: string;
  readonly sigma: number;
  readonly seed: bigint;
  readonly tick: number;
  readonly member?: number;
  readonly json?: boolean;
}

/** What is moved and looked at. */
export const MODEL = "GGUF or safetensors file, or a folder of Hugging Face";

export function perturbCommand({ signal }: Invocation): Command {
  const command = new Command("perturb")
    .description("write a copy of a model whose weights have moved; the model itself is only read")
    .addHelpText("after", () => wordsText("sigma", "RMS", "tick", "rails"))
    .argument("<model>", MODEL)
    .requiredOption(
      "-o, --output <file>",
      "where the moved copy goes (for a model in several files: several, for a folder: a folder); it appears whole or not at all",
    )
    .requiredOption("-s, --sigma <number>", "noise on the weights, in units of --scale", parseNumber)
    .addOption(new Option("--seed <n>", "equal seeds give equal files").argParser(parseSeed).default(0n, "0"))
    .option("--tick <n>", "the tick of time that the noise is drawn for", parseWhole, 0)
    .option("--json", "print one JSON document");
  addCarrierOptions(addNoiseOptions(command)).option(
    "--member <n>",
    "with --carrier adapter: which of the seed, as brownian adapter numbers them (default: 0)",
    parseWhole,
  );
  return command.action((model: string, options: Options, itself: Command) => {
    for (const line of idleLines(itself, options, IDLE)) remark(line);
    return options.carrier === "adapter" ? merge(model, options, signal) : perturb(model, options, signal);
  });
}

const IDLE: readonly Idle<Options>[] = [
  {
    names: ["scale", "rounding", "seed", "tick"],
    when: ({ sigma }) => sigma === 0,
    why: "at sigma 0, where no weight moves",
  },
  { names: ["tick"], when: ({ carrier }) => carrier === "adapter", why: "with --carrier adapter, whose draws are members" },
];

/** W + E, by a member of an adapter, in the place of W. */
async function merge(model: string, options: Options, signal: AbortSignal): Promise<void> {
  const { output, sigma, seed, rank, member } = options;
  const { rounding, ...settings } = noiseSettings(options);
  if (rounding !== "matched")
    throw new BrownianError("usage", `--carrier adapter rounds to the nearest: leave out --rounding ${rounding}.`);
  const done = await withProgress("adding the member", (onProgress) =>
    mergeMember(model, output, { ...settings, sigma, seed, ...given({ rank, member }), signal, onProgress }),
  );
  printResult(options.json, { model, output, member: member ?? 0, seed: String(seed), sigma, ...done }, () => {
    const what = `member ${member ?? 0} added to ${done.matrices} matrices (${grouped(done.weights)} weights)`;
    return `${writtenAs(output, done.files)}: ${what}, ${bytes(done.bytes)}`;
  });
  folderRemark(done);
}

const writtenAs = (output: string, files: readonly string[]): string =>
  files.length === 1 ? output : `${files[0]} to ${basename(files.at(-1) as string)}`;

/** What of a folder came along, and what did not. */
function folderRemark({ copied, leftOut }: Pick<FilePerturbed, "copied" | "leftOut">): void {
  if (copied.length > 0) remark(`copied: ${copied.join(", ")}`);
  if (leftOut.length > 0) remark(`left out, being other weights or folders: ${leftOut.join(", ")}`);
}

async function perturb(model: string, options: Options, signal: AbortSignal): Promise<void> {
  const { output, sigma, seed, tick, rank, member } = options;
  if (rank !== undefined || member !== undefined)
    throw new BrownianError("usage", "--rank and --member are of adapters: add --carrier adapter, or leave them out.");
  const done = await withProgress("moving weights", (onProgress) =>
    perturbFile(model, output, { ...noiseSettings(options), sigma, seed, tick, signal, onProgress }),
  );
  const skipped = done.skipped.map(({ tensor, reason }) => ({ name: tensor.name, type: tensor.type, reason }));
  if (options.json) {
    const tensors = done.tensors.map(({ tensor, sigma: own, dose, changed }) => ({
      name: tensor.name,
      type: tensor.type,
      weights: tensor.weights,
      sigma: own.sigma,
      asked: dose.asked,
      given: dose.given,
      law: dose.law,
      unit: own.inSteps ? "step" : "absolute",
      byColumn: own.columns !== undefined,
      changed,
    }));
    const { files, copied, leftOut, weights, changed } = done;
    const printed = { model, output, files, copied, leftOut, seed: String(seed), tick, weights, changed, tensors, skipped };
    process.stdout.write(`${JSON.stringify(printed, null, 2)}\n`);
    return;
  }
  process.stdout.write(
    `${writtenAs(output, done.files)}: ${grouped(done.changed)} of ${grouped(done.weights)} weights moved (${percent(done.changed / done.weights)})\n`,
  );
  folderRemark(done);
  const byColumn = new Map(done.tensors.map(({ tensor, sigma: own }) => [tensor.name, own.columns !== undefined]));
  process.stderr.write(chalk.dim(columnsRemark(options.scale, byColumn)));
  process.stderr.write(chalk.dim(doseRemark(done.tensors)));
  for (const { name, type, reason } of skipped)
    process.stderr.write(chalk.dim(visible(`left alone: ${name} (${type}): ${reason}\n`)));
}

/** Tensors that a remark names, at most. */
const NAMED = 4;

/** Which tensors get another sigma than was asked for; those that get the least, or the most, first. */
function doseRemark(tensors: readonly TensorDrawn[]): string {
  const distance = ({ dose }: TensorDrawn) => Math.abs(dose.given / dose.asked - 1);
  const others = tensors.filter(({ dose }) => givesOther(dose)).sort((a, b) => distance(b) - distance(a));
  if (others.length === 0) return "";
  const some = others.slice(0, NAMED).map(({ tensor, dose }) => `${visible(tensor.name)} (${percent(dose.given / dose.asked)})`);
  const more = others.length > NAMED ? ", ..." : "";
  return `${others.length} of ${tensors.length} tensors get another sigma than was asked for: ${some.join(", ")}${more}\n`;
}
