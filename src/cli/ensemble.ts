// brownian ensemble: the same question to several draws of the weights, on servers that load adapters.

import chalk from "chalk";
import { Command, Option } from "commander";
import { askEnsemble, type EnsembleAnswers, PROTOCOLS, type ProtocolName, readManifest } from "../adapters/index.js";
import { BrownianError } from "../errors.js";
import { percent, significant } from "../report/table.js";
import { weightSigma } from "../sampling/index.js";
import type { Invocation } from "./command.js";
import { given } from "./inputs.js";
import { parseNumber, parseWhole } from "./options.js";
import { printResult, remark, written } from "./print.js";
import { profilePath, readMembersProfile, readProfile } from "./profile.js";
import { addServerOptions, each, type ServerFlags, serversBy } from "./server-options.js";

interface Options extends ServerFlags {
  readonly endpoint: string[];
  readonly adapters: string;
  readonly members?: number;
  readonly sigma?: number;
  readonly weightTemperature?: number;
  readonly model?: string;
  readonly force?: boolean;
  readonly exact?: boolean;
  readonly antithetic?: boolean;
  readonly protocol?: ProtocolName;
  readonly continue?: boolean;
  readonly system?: string;
  readonly maxTokens?: number;
  readonly temperature?: number;
  readonly seed?: number;
  readonly stop?: string[];
  readonly retries?: number;
  readonly keep?: boolean;
  readonly json?: boolean;
}

export function ensembleCommand({ signal }: Invocation): Command {
  const command = new Command("ensemble")
    .description("ask several draws of the weights the same, on servers with adapters: answers, votes, agreement")
    .argument("<question>", "what is asked; with --continue: the text to continue");
  return addServerOptions(command, {
    endpoint: "a server (llama-server, vLLM, SGLang, TGI)",
    adapters: "the members, as brownian adapter wrote them",
    request: "one answer",
    needed: true,
  })
    .option("--members <n>", "draws of the weights that answer (default: all of the folder)", parseWhole)
    .option("-s, --sigma <number>", "noise on the weights (default: the largest of the folder)", parseNumber)
    .option(
      "--weight-temperature <T>",
      "instead of sigma: as surprising as softmax at T, by the members' calibration (calibrate --endpoint) or that of --model",
      parseNumber,
    )
    .option("-m, --model <file>", "the GGUF model that was calibrated (brownian calibrate --carrier adapter)")
    .option("--force", "with --model, also where the noise breaks the model")
    .option("--exact", "refuse a sigma that there is no file of, where servers have no scales")
    .option("--antithetic", "mirror images answer as well")
    .addOption(new Option("--protocol <name>", "what the servers speak (default: found out)").choices(Object.keys(PROTOCOLS)))
    .option("--continue", "continue the text instead of answering a question")
    .option("--system <text>", "how the question is to be answered")
    .option("--max-tokens <n>", "tokens of an answer at most (default: 100)", parseWhole)
    .option("-t, --temperature <number>", "of softmax (default: 0)", parseNumber)
    .option("--seed <n>", "of the dice", parseWhole)
    .option("--stop <text>", "ends an answer; may be given several times", each)
    .option("--retries <n>", "tries that follow a failed one (default: 2)", parseWhole)
    .option("--keep", "leave members that were loaded for this on the servers")
    .option("--json", "print one JSON document")
    .action((question: string, options: Options) => run(question, options, signal));
}

async function run(question: string, options: Options, signal: AbortSignal): Promise<void> {
  const { endpoint: endpoints, system, json } = options;
  if (options.continue && system !== undefined)
    throw new BrownianError("usage", "--system says how a question is to be answered: leave it out with --continue.");
  const asked = { role: "user", content: question };
  const chat = system === undefined ? [asked] : [{ role: "system", content: system }, asked];
  const sigma = await sigmaOf(options);
  const { adapters, members, exact, antithetic, protocol, keep } = options;
  const { maxTokens, temperature, seed, stop, retries } = options;
  const who = { ...serversBy(options), ...given({ members, sigma, exact, antithetic, protocol, keep }) };
  const how = given({ maxTokens, temperature, seed, stop, retries });
  const found = await askEnsemble(options.continue ? question : chat, { endpoints, adapters, ...who, ...how, signal });
  for (const { url, gone, stayed } of found.endpoints) {
    if (gone !== undefined) remark(`left out: ${url}: ${gone}`);
    for (const { called, why } of stayed) remark(`may still be loaded on ${url}: ${called}: ${why}`);
  }
  printResult(json, { question, ...found }, () => summary(found));
}

/** By the model's calibration where one is asked for; a sigma that breaks the model is refused where that is known. */
async function sigmaOf({ sigma, weightTemperature, model, force, adapters }: Options): Promise<number | undefined> {
  if (weightTemperature !== undefined && sigma !== undefined)
    throw new BrownianError("usage", "--weight-temperature chooses sigma by a calibration: leave out --sigma.");
  if (model === undefined)
    return weightTemperature === undefined ? sigma : weightSigma(await readMembersProfile(adapters), weightTemperature, force);
  const { rank, scale, sigma: levels } = await readManifest(adapters);
  if (scale !== "rms") throw new BrownianError("usage", `A calibration is of the scale rms, these members are of ${scale}.`);
  const profile = await readProfile(profilePath(model, { carrier: "adapter", rank }), model);
  if (weightTemperature !== undefined) return weightSigma(profile, weightTemperature, force);
  const own = sigma ?? Math.max(...levels);
  const { breaking } = profile;
  if (own > breaking.sigma && !force)
    throw new BrownianError(
      "usage",
      `Sigma ${significant(own)} breaks ${model} (from ${significant(breaking.sigma)} on it costs more than ${breaking.nats} nats a token): take a smaller one, or --force.`,
    );
  return own;
}

function summary({ answers, votes, agreement, tokens, endpoints }: EnsembleAnswers): string {
  const sigmas = [...new Set(answers.map(({ sigma }) => significant(Math.abs(sigma))))].join(", ");
  const servers = endpoints.map(({ url, protocol, answers: n }) => `${url} (${protocol}): ${n}`).join(", ");
  const doubtful = tokens.reduce<(typeof tokens)[0] | undefined>(
    (most, one) => (one.disagreement > (most?.disagreement ?? 0) ? one : most),
    undefined,
  );
  return [
    ...votes.map(({ text, count }) => `${chalk.bold(`${count} of ${answers.length}`)} ${written(text)}`),
    chalk.dim(`sigma ${sigmas}; agreement ${percent(agreement)}; answers by ${servers}`),
    ...(doubtful === undefined
      ? []
      : [
          chalk.dim(
            `members part most at ${JSON.stringify(doubtful.text)}: ${percent(doubtful.disagreement)} of ${doubtful.members}`,
          ),
        ]),
  ].join("\n");
}
