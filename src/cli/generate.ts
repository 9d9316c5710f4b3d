// brownian generate: a language model writes, with moving weights, with softmax sampling, or with both.

import { randomInt } from "node:crypto";
import chalk from "chalk";
import { Command } from "commander";
import { BrownianError, checkInteger } from "../errors.js";
import { readModel } from "../files/index.js";
import { readTextFile, textOf, withPlainLines } from "../files/text.js";
import { formatNamed } from "../lattice/formats.js";
import { defaultModel, loadModel, type Message, type Prompt } from "../llama/index.js";
import { significant } from "../report/table.js";
import { weightSigma } from "../sampling/index.js";
import { noiseOf } from "../thermostat/noise.js";
import { readTemplate } from "./chat-template.js";
import type { Invocation } from "./command.js";
import { engineSettings } from "./engine-options.js";
import { addGenerateOptions, IDLE, type Options } from "./generate-options.js";
import {
  type Print,
  printJson,
  printOneByOne,
  printSideBySide,
  printUncertainty,
  printUncertaintyJson,
} from "./generate-print.js";
import { comparison, samples } from "./generate-runs.js";
import { idleLines } from "./idle.js";
import { columnsRemark, noiseSettings } from "./options.js";
import { remark } from "./print.js";
import { profilePath, readProfile } from "./profile.js";
import { withProgress } from "./progress.js";
import { silentFlags, withGrammar } from "./sampling-options.js";
import { wordsText } from "./words.js";

const PROMPT = "Once upon a time";

export function generateCommand({ signal }: Invocation): Command {
  const command = new Command("generate")
    .description("write text with moving weights (and, if asked, softmax sampling)")
    .addHelpText("after", () => wordsText("sigma", "RMS", "dynamics", "tau", "tick"))
    .argument("[prompt]", `the text to continue; -: from stdin (default: "${PROMPT}")`);
  return addGenerateOptions(command).action((prompt: string | undefined, options: Options, itself: Command) => {
    const idle = idleLines(itself, options, IDLE);
    return generate(prompt, options, signal, idle);
  });
}

async function generate(text: string | undefined, asked: Options, signal: AbortSignal, idle: readonly string[]): Promise<void> {
  checkInteger("--samples", asked.samples, 1);
  const path = asked.model ?? defaultModel;
  if (asked.model === undefined && text !== undefined && /\.gguf$/i.test(text))
    throw new BrownianError("usage", `${text} looks like a model, and is where a prompt goes: generate -m ${text} [prompt]`);
  const { weightTemperature } = asked;
  const flags = await withGrammar(asked);
  const options =
    weightTemperature === undefined ? flags : { ...flags, sigma: [await asSurprising(weightTemperature, flags, path)] };
  if (options.sigmaEnd !== undefined && options.anneal === undefined)
    throw new BrownianError("usage", "--sigma-end says where --anneal ends: give --anneal linear or exponential as well.");
  checkUncertainty(options);
  const prompt = promptOf(await read(text, options.file, signal), options);
  const chatTemplate = options.chatTemplate === undefined ? undefined : await readTemplate(options.chatTemplate);
  const columns = await byColumn(options, path);
  const seed = BigInt(options.seed ?? randomInt(100_000));
  const runs = options.sideBySide ? comparison(options, seed) : samples(options, seed);
  const { maxTokens } = options;
  const model = await withProgress("copying the model", (onProgress) =>
    loadModel(path, { ...engineSettings(options), signal, onProgress, chatTemplate }),
  );
  try {
    if (!options.json) process.stderr.write(chalk.dim(columns));
    const silent = options.sideBySide ? undefined : silentFlags(options);
    for (const line of silent === undefined ? idle : [...idle, silent]) remark(line);
    if (options.seed === undefined && !options.json)
      process.stderr.write(chalk.dim(`seed ${seed} (write the same again with --seed ${seed})\n`));
    await printing(options)(model, prompt, runs, { maxTokens, signal });
  } finally {
    await model.dispose();
  }
}

/** The prompt: as it is given, or what the file says, or stdin (-). The end of its last line is the file's, not the text's. */
async function read(text: string | undefined, file: string | undefined, signal: AbortSignal): Promise<string | undefined> {
  if (file !== undefined && text !== undefined) throw new BrownianError("usage", "Give a prompt or --file, not both.");
  if (file === undefined && text !== "-") return text;
  const name = file ?? "-";
  const all = name === "-" ? await textOf(process.stdin, "stdin") : await readTextFile(name, signal);
  return withPlainLines(all).replace(/\n$/, "");
}

/** A text to continue, or a chat to answer. @throws BrownianError usage for both at once */
function promptOf(text: string | undefined, { chat, system }: Options): Prompt {
  if (chat === undefined) {
    if (system === undefined) return text ?? PROMPT;
    throw new BrownianError("usage", "--system says how a chat is to be answered: give --chat as well.");
  }
  if (text !== undefined)
    throw new BrownianError("usage", "Give a text to continue, or --chat with a question to answer, not both.");
  const question: Message = { role: "user", content: chat };
  return system === undefined ? [question] : [{ role: "system", content: system }, question];
}

function printing({ uncertainty, members, json, sideBySide }: Options): Print {
  if (uncertainty) return json ? printUncertaintyJson(members) : printUncertainty(members);
  if (json) return printJson;
  return sideBySide ? printSideBySide : printOneByOne;
}

/** The sigma that --weight-temperature means. */
async function asSurprising(temperature: number, options: Options, path: string): Promise<number> {
  if (options.sigma !== undefined || options.scale !== "rms" || options.rounding !== "matched")
    throw new BrownianError(
      "usage",
      "--weight-temperature chooses sigma, in units of RMS and with matched rounding: leave out --sigma, --scale and --rounding.",
    );
  const sigma = weightSigma(await readProfile(profilePath(path, options), path), temperature, options.force);
  process.stderr.write(chalk.dim(`sigma ${significant(sigma)} is as surprising as softmax at T = ${significant(temperature)}\n`));
  return sigma;
}

/** What of the model goes by column, if anything. Before the model is loaded: a wrong file for the scale is to cost no time. */
async function byColumn(options: Options, path: string): Promise<string> {
  const noise = noiseOf({ ...noiseSettings(options), sigma: 0 });
  if (noise.file === undefined) return "";
  const model = await readModel(path);
  const sigmaOf = await noise.open(model);
  const found = new Map<string, boolean>();
  for (const tensor of model.tensors.filter(({ type }) => formatNamed(type) !== undefined))
    found.set(tensor.name, (await sigmaOf(0, { tensor, rms: async () => 0 })).columns !== undefined);
  return columnsRemark(noise.scale, found);
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
    "--stride": options.stride,
    "--subspace": options.subspace,
    "--anneal": options.anneal,
    "--recompute": options.recompute,
    "--prompt-weights": options.promptWeights !== "moving",
    "--prompt-cache": options.promptCache,
  };
  const other = Object.entries(others).find(([, given]) => given !== undefined && given !== false);
  if (other === undefined) return;
  throw new BrownianError(
    "usage",
    `--uncertainty lets an ensemble of quenched weights read what the clean ones write: leave out ${other[0]}.`,
  );
}
