// brownian perturb: writes a moved copy of a model file.

import { basename } from "node:path";
import chalk from "chalk";
import { Command, Option } from "commander";
import { visible } from "../errors.js";
import { grouped, percent } from "../report/table.js";
import { givesOther } from "../thermostat/dose.js";
import type { TensorDrawn } from "../thermostat/draw.js";
import { perturbFile } from "../thermostat/perturb-file.js";
import type { Invocation } from "./command.js";
import { type Idle, idleLines } from "./idle.js";
import {
  addNoiseOptions,
  columnsRemark,
  type NoiseOptions,
  noiseSettings,
  parseNumber,
  parseSeed,
  parseWhole,
} from "./options.js";
import { remark } from "./print.js";
import { withProgress } from "./progress.js";
import { wordsText } from "./words.js";

interface Options extends NoiseOptions {
  readonly output: string;
  readonly sigma: number;
  readonly seed: bigint;
  readonly tick: number;
  readonly json?: boolean;
}

export function perturbCommand({ signal }: Invocation): Command {
  const command = new Command("perturb")
    .description("write a copy of a model whose weights have moved; the model itself is only read")
    .addHelpText("after", () => wordsText("sigma", "RMS", "tick", "rails"))
    .argument("<model>", "GGUF model")
    .requiredOption(
      "-o, --output <file>",
      "where the moved copy goes (for a model in several files: several); it appears whole or not at all",
    )
    .requiredOption("-s, --sigma <number>", "noise on the weights, in units of --scale", parseNumber)
    .addOption(new Option("--seed <n>", "equal seeds give equal files").argParser(parseSeed).default(0n, "0"))
    .option("--tick <n>", "the tick of time that the noise is drawn for", parseWhole, 0)
    .option("--json", "print one JSON document");
  return addNoiseOptions(command).action((model: string, options: Options, itself: Command) => {
    for (const line of idleLines(itself, options, IDLE)) remark(line);
    return perturb(model, options, signal);
  });
}

const IDLE: readonly Idle<Options>[] = [
  {
    names: ["scale", "rounding", "seed", "tick"],
    when: ({ sigma }) => sigma === 0,
    why: "at sigma 0, where no weight moves",
  },
];

async function perturb(model: string, options: Options, signal: AbortSignal): Promise<void> {
  const { output, sigma, seed, tick } = options;
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
    const { files, weights, changed } = done;
    process.stdout.write(
      `${JSON.stringify({ model, output, files, seed: String(seed), tick, weights, changed, tensors, skipped }, null, 2)}\n`,
    );
    return;
  }
  const written = done.files.length === 1 ? output : `${done.files[0]} to ${basename(done.files.at(-1) as string)}`;
  process.stdout.write(
    `${written}: ${grouped(done.changed)} of ${grouped(done.weights)} weights moved (${percent(done.changed / done.weights)})\n`,
  );
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
