// brownian calibrate: measures which sigma is as surprising as which softmax temperature, and keeps the answer beside the model.

import { constants } from "node:fs";
import { access, writeFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { Argument, Command, Option } from "commander";
import { MANIFEST, MEMBERS_CALIBRATION } from "../adapters/index.js";
import { environment } from "../environment.js";
import { BrownianError } from "../errors.js";
import { asFileError } from "../files/file-errors.js";
import { checkOutput, writeTogether } from "../files/index.js";
import { calibrationNumbers } from "../llama/calibrate.js";
import { calibrate, calibrateEndpoint, defaultModel } from "../llama/index.js";
import { percent, significant, table } from "../report/table.js";
import { type Profile, weightSigma, weightSigmaInterval } from "../statistics/calibration.js";
import type { Invocation } from "./command.js";
import { type Idle, idleLines } from "./idle.js";
import { given, readText, withModel } from "./inputs.js";
import { addCarrierOptions, type CarrierFlags, parseNumber, parseNumbers, parseSeed, parseWhole } from "./options.js";
import { printResult, remark } from "./print.js";
import { profilePath, writeProfile } from "./profile.js";
import { withSteps } from "./progress.js";
import { wordsText } from "./words.js";

/** The temperatures whose sigmas are printed. */
const SHOWN = [0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 1];

interface Options extends CarrierFlags {
  readonly text?: string;
  readonly output?: string;
  readonly sigmas?: number[];
  readonly draws: number;
  readonly precision: number;
  readonly maxTokens: number;
  readonly breakingNats: number;
  readonly seed: bigint;
  readonly threads?: number;
  readonly scratch?: string;
  readonly endpoint?: string;
  readonly adapters?: string;
  readonly membersPath?: string;
  readonly members?: number;
  readonly apiKey?: string;
  readonly json?: boolean;
}

export function calibrateCommand({ signal }: Invocation): Command {
  const command = new Command("calibrate")
    .description("measure which sigma is as surprising as which softmax temperature, for generate --weight-temperature")
    .addHelpText("after", () => wordsText("sigma", "RMS"))
    .addArgument(new Argument("[model]", "GGUF model").default(defaultModel, "the one that ships with brownian"))
    .option("--text <file>", "what the model reads meanwhile (default: fairy tales that the embedded model has not seen)")
    .option("-o, --output <file>", "where the calibration goes (default: beside the model)")
    .option(
      "--sigmas <numbers>",
      "the sigmas to measure at, in units of RMS (default: six that matter for this model)",
      parseNumbers,
    )
    .option("--draws <n>", "the most draws of the weights for each sigma, at least 2", parseWhole, 14)
    .option("--precision <share>", "enough is read where sigma is known within this share of it (95 %)", parseNumber, 0.1)
    .option("--max-tokens <n>", "tokens of the text to read", parseWhole, 1024)
    .option(
      "--breaking-nats <n>",
      "nats a token that moving weights may cost the model before they count as breaking it",
      parseNumber,
      0.25,
    )
    .addOption(new Option("--seed <n>", "equal seeds give equal calibrations").argParser(parseSeed).default(0n, "0"))
    .option("--threads <n>", "engine threads (default: all physical cores but one)", parseWhole)
    .option("--scratch <folder>", "where the moving copy of the model lies (default: the temporary directory)")
    .option("--endpoint <url>", "measure members on this server instead (llama-server, vLLM, SGLang); goes with --adapters")
    .option("--adapters <folder>", "with --endpoint: the members, as brownian adapter wrote them; the calibration goes there")
    .option("--members-path <folder>", "with --endpoint: the same folder as the server sees it")
    .option("--members <n>", "with --endpoint: how many read the text (default: all of the folder)", parseWhole)
    .option("--api-key <key>", "of the server (better: BROWNIAN_API_KEY, which no list of processes shows)")
    .option("--json", "print the calibration as JSON");
  return addCarrierOptions(command).action((model: string, options: Options, itself: Command) => {
    for (const line of idleLines(itself, options, IDLE)) remark(line);
    return options.endpoint === undefined ? run(model, options, signal) : onServer(options.endpoint, options, signal);
  });
}

const IDLE: readonly Idle<Options>[] = [
  {
    names: ["adapters", "membersPath", "members", "apiKey"],
    when: ({ endpoint }) => endpoint === undefined,
    why: "without --endpoint",
  },
  {
    names: ["draws", "precision", "seed", "threads", "scratch", "carrier", "rank"],
    when: ({ endpoint }) => endpoint !== undefined,
    why: "with --endpoint, where the members of the folder read",
  },
];

/** The calibration of members, measured where they are served. */
async function onServer(endpoint: string, options: Options, signal: AbortSignal): Promise<void> {
  const { adapters, membersPath, members, sigmas, maxTokens, breakingNats, apiKey = environment.apiKey } = options;
  if (adapters === undefined)
    throw new BrownianError("usage", "--endpoint needs the members that the server is to have: --adapters FOLDER.");
  const text = await readText(options.text, signal);
  const output = options.output ?? join(adapters, MEMBERS_CALIBRATION);
  await checkOutput(output, join(adapters, MANIFEST));
  const asked = { endpoint, adapters, maxTokens, breakingNats, signal, ...given({ membersPath, members, sigmas, apiKey }) };
  const profile = await withSteps("reading", (onProgress) => calibrateEndpoint(text, { ...asked, onProgress }));
  const json = `${JSON.stringify(profile, null, 2)}\n`;
  await writeTogether([output], [join(adapters, MANIFEST)], ([partial]) => writeFile(partial as string, json));
  remark(`${output} keeps this for ensemble and serve --upstream with a weight temperature`);
  printResult(options.json, profile, () => summary(profile));
}

async function run(path: string, options: Options, signal: AbortSignal): Promise<void> {
  const { carrier, rank, sigmas, draws, precision, maxTokens, breakingNats, seed } = options;
  const text = await readText(options.text, signal);
  const output = options.output ?? profilePath(path, options);
  const folder = dirname(resolve(output));
  // Before minutes of work, not after.
  await access(folder, constants.W_OK).catch((error) => Promise.reject(asFileError(error, folder)));
  const asked = { draws, precision, maxTokens, breakingNats, seed, signal, ...given({ sigmas, carrier, rank }) };
  calibrationNumbers(asked); // before the model is loaded
  const profile = await withModel(path, options, signal, (model) =>
    withSteps("reading", (onProgress) => calibrate(model, text, { ...asked, onProgress })),
  );
  await writeProfile(profile, output, path);
  remark(`${output} keeps this for generate --weight-temperature${carrier === "adapter" ? " --carrier adapter" : ""}`);
  printResult(options.json, profile, () => summary(profile));
}

function summary(profile: Profile): string {
  const { breaking } = profile;
  const rows = profile.noise.map((p) => [
    significant(p.sigma),
    percent(p.flipRate),
    `${percent(p.low)} to ${percent(p.high)}`,
    percent(p.smoothed),
    String(p.draws ?? profile.settings.draws),
    p.kl.toFixed(3),
    (p.nll - profile.nll).toFixed(3),
  ]);
  const map = SHOWN.filter((temperature) => temperature <= breaking.temperature).map((temperature) => [
    significant(temperature),
    significant(weightSigma(profile, temperature)),
    weightSigmaInterval(profile, temperature).map(significant).join(" to "),
  ]);
  const { sigma, nats } = breaking;
  const reached = `sigma ${significant(sigma)} (T = ${significant(breaking.temperature)})`;
  return [
    `${profile.text.tokens} tokens; the clean model: ${profile.nll.toFixed(3)} nats a token`,
    "",
    table([["sigma", "flips", "95 %", "smoothed", "draws", "KL", "NLL more"], ...rows], [0, 1, 2, 3, 4, 5, 6]),
    "",
    table([["T", "sigma as surprising", "95 %"], ...map], [0, 1, 2]),
    "",
    sigma < (profile.noise.at(-1)?.sigma ?? 0)
      ? `From ${reached} on, moving weights cost more than ${nats} nats a token.`
      : `Up to ${reached}, the largest measured, moving weights cost no more than ${nats} nats a token.`,
  ].join("\n");
}
