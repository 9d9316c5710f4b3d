// brownian serve: a server that speaks OpenAI's protocol, in front of a model whose weights move.

import { basename } from "node:path";
import { Command, Option } from "commander";
import { Upstream } from "../adapters/index.js";
import { environment } from "../environment.js";
import { BrownianError, checkInteger } from "../errors.js";
import { defaultModel, loadModel, type Model } from "../llama/index.js";
import { weightSigma } from "../sampling/index.js";
import type { Defaults, Writer } from "../serve/index.js";
import type { Profile } from "../statistics/calibration.js";
import { DYNAMICS } from "../thermostat/dynamics/index.js";
import { readTemplate } from "./chat-template.js";
import type { Invocation } from "./command.js";
import { costOf } from "./cost.js";
import { addEngineOptions, type EngineFlags, engineSettings } from "./engine-options.js";
import { type Idle, idleLines } from "./idle.js";
import { given } from "./inputs.js";
import { parseNumber, parseWhole } from "./options.js";
import { remark } from "./print.js";
import { profilePath, readMembersProfile, readProfile } from "./profile.js";
import { withProgress } from "./progress.js";
import { wordsText } from "./words.js";

interface Options extends Omit<Defaults, "weightTemperature">, EngineFlags {
  readonly model?: string;
  readonly alias?: string;
  readonly port: number;
  readonly host: string;
  readonly apiKey?: string;
  readonly insecure?: boolean;
  readonly cors?: string;
  readonly parallel: number;
  readonly keepPrompts?: boolean;
  readonly queue: number;
  readonly grace: number;
  readonly chatTemplate?: string;
  readonly weightTemperature?: number;
  readonly upstream?: string[];
  readonly adapters?: string;
  readonly membersPath?: string;
  readonly upstreamKey?: string;
}

export function serveCommand(invocation: Invocation): Command {
  const command = new Command("serve")
    .description("serve a model to every program that speaks OpenAI's protocol (docs/guides/serving.md)")
    .addHelpText("after", () => wordsText("sigma", "dynamics", "tau"))
    .optionsGroup("Server:")
    .option("-m, --model <file>", "GGUF model (default: the one that ships with brownian)")
    .option("--alias <name>", "the model's name for clients (default: the file's)")
    .option("-p, --port <n>", "where it listens; 0: any that is free", parseWhole, 8080)
    .option("--host <address>", "from where it can be reached; any but this machine needs --api-key or --insecure", "127.0.0.1")
    .option("--api-key <key>", "answer only those who name it (better: BROWNIAN_API_KEY, which no list of processes shows)")
    .option("--insecure", "answer other machines without a key")
    .option("--cors <sites>", "sites whose pages may ask, with commas; *: all")
    .option(
      "--parallel <n>",
      "texts with the same weights that are written at once, each with a context of its own",
      parseWhole,
      4,
    )
    .option("--queue <n>", "texts that may wait; more are told to come back (429)", parseWhole, 64)
    .option("--keep-prompts", "go on from what was read of the last chat (default: unless --parallel is 1)")
    .option("--no-keep-prompts", "read every prompt from its beginning")
    .option("--grace <seconds>", "time for texts under way when the server ends", parseNumber, 10)
    .option("--chat-template <file>", "Jinja in the place of the model's own chat template")
    .optionsGroup("In front of other servers (docs/guides/llama-server.md):")
    .option("--upstream <url>", "a server that writes in the place of a model here; may be given several times", several)
    .option("--adapters <folder>", "with --upstream: the members that it has, as brownian adapter wrote them")
    .option("--members-path <folder>", "with --upstream: the same folder as it sees it")
    .option("--upstream-key <key>", "with --upstream: its API key")
    .optionsGroup("What texts are written with unless a request says otherwise:")
    .option("-s, --sigma <number>", "noise on the weights (default: 0)", parseNumber)
    .option(
      "--weight-temperature <T>",
      "instead of sigma: as surprising as softmax at T, by the model's calibration",
      parseNumber,
    )
    .addOption(new Option("-d, --dynamics <name>", "how the noise evolves over tokens").choices(Object.keys(DYNAMICS)))
    .option("--tau <tokens>", "correlation time of the noise (default: 32)", parseNumber)
    .option("-t, --temperature <number>", "of softmax (default: 1, and 0 where weights move)", parseNumber)
    .option("--max-tokens <n>", "no answer is longer (default: what the context has room for)", parseWhole)
    .optionsGroup("Engine:");
  return addEngineOptions(command)
    .optionsGroup("Options:")
    .action((options: Options, itself: Command) => {
      for (const line of idleLines(itself, options, IDLE)) remark(line);
      return run(options, invocation);
    });
}

const IDLE: readonly Idle<Options>[] = [
  {
    names: ["insecure"],
    when: ({ apiKey = environment.apiKey }) => apiKey !== undefined,
    why: "with a key, which everybody has to name",
  },
];

const several = (value: string, before: string[] | undefined): string[] => [...(before ?? []), value];

async function run(options: Options, { signal, endsFine }: Invocation): Promise<void> {
  const path = options.model ?? defaultModel;
  if (options.sigma !== undefined && options.weightTemperature !== undefined)
    throw new BrownianError("usage", "--weight-temperature chooses sigma: leave out one of the two.");
  const parallel = checkInteger("--parallel", options.parallel, 1, 256);
  const { apiKey = environment.apiKey, port, host, insecure, queue, grace } = options;
  const cors = options.cors?.split(",").map((site) => site.trim());
  const doors = { port, host, apiKey, insecure, cors, queue, grace };
  // Loaded only here: other commands have no use for a server's packages.
  const { checkServe, serve } = await import("../serve/index.js");
  checkServe(doors);
  const { writer, sigmaOf, remarks } = await (options.upstream === undefined
    ? localWriter(path, options, parallel, signal)
    : upstreamWriter(path, options, parallel, signal));
  const { name } = writer;
  const { sigma, weightTemperature, dynamics, tau, temperature, maxTokens } = options;
  const defaults = { sigma, weightTemperature, dynamics, tau, temperature, maxTokens };
  try {
    if (weightTemperature !== undefined) await sigmaOf(weightTemperature);
    const server = await serve(writer, { ...doors, defaults });
    process.stderr.write(`${name} at ${server.url}/v1\n`);
    remark(`up to ${writer.parallel} texts at once, ${queue} may wait; ${remarks}`);
    if (apiKey === undefined) remark(insecure ? "whoever reaches it may ask" : "this machine alone may ask");
    if (options.upstream === undefined) remark(costOf(dynamics ?? "quenched"));
    await new Promise<void>((resolve) => {
      if (signal.aborted) resolve();
      signal.addEventListener("abort", () => resolve(), { once: true });
    });
    remark(`closing: texts under way have ${grace} s; once more to end at once`);
    await server.close();
    endsFine?.();
  } finally {
    await writer.close();
  }
}

/** Who writes, which sigma a weight temperature is to it, and what is said of it. */
interface Opened {
  readonly writer: Writer;
  readonly sigmaOf: (temperature: number) => Promise<number>;
  readonly remarks: string;
}

async function localWriter(path: string, options: Options, parallel: number, signal: AbortSignal): Promise<Opened> {
  const others = Object.entries(
    given({ adapters: options.adapters, membersPath: options.membersPath, upstreamKey: options.upstreamKey }),
  );
  if (others.length > 0) throw new BrownianError("usage", "--adapters, --members-path and --upstream-key go with --upstream.");
  const { LocalWriter } = await import("../serve/index.js");
  const model = await opened(path, options, parallel, signal);
  const name = options.alias ?? basename(path).replace(/\.gguf$/i, "");
  const sigmaOf = calibrated(() => readProfile(profilePath(path), path));
  const remarks =
    model.chatTemplate === undefined ? "no chat template (--chat-template FILE gives one)" : "chats by the model's template";
  return { writer: new LocalWriter(model, { name, parallel, weightSigma: sigmaOf }), sigmaOf, remarks };
}

/** Tokens that prompt and answer may have where no server says so. */
const UPSTREAM_CONTEXT = 4096;

async function upstreamWriter(path: string, options: Options, parallel: number, signal: AbortSignal): Promise<Opened> {
  const { upstream: endpoints = [], adapters, membersPath, upstreamKey: apiKey, alias, model } = options;
  if (adapters === undefined)
    throw new BrownianError("usage", "--upstream needs the members that the server has: --adapters FOLDER.");
  const { UpstreamWriter } = await import("../serve/index.js");
  const upstream = await Upstream.open({ endpoints, adapters, signal, ...given({ membersPath, apiKey }) });
  const { rank, model: base } = upstream.manifest;
  const ofModel = () => readProfile(profilePath(path, { carrier: "adapter", rank }), path);
  const sigmaOf = calibrated(model === undefined ? () => readMembersProfile(adapters) : ofModel);
  const writer = new UpstreamWriter(upstream, {
    name: alias ?? base.file.replace(/\.gguf$/i, ""),
    parallel: parallel * upstream.servers,
    contextSize: options.context ?? (await upstream.contextSize(signal)) ?? UPSTREAM_CONTEXT,
    weightSigma: sigmaOf,
  });
  return { writer, sigmaOf, remarks: `${upstream.members} members of rank ${rank} on ${endpoints.join(", ")}` };
}

async function opened(path: string, options: Options, parallel: number, signal: AbortSignal): Promise<Model> {
  const { keepPrompts = parallel > 1 } = options;
  const chatTemplate = options.chatTemplate === undefined ? undefined : await readTemplate(options.chatTemplate);
  const engine = { ...engineSettings(options), parallel, keepPrompts, chatTemplate };
  return withProgress("copying the model", (onProgress) => loadModel(path, { ...engine, signal, onProgress }));
}

/** Which sigma a weight temperature is, by a calibration, which is read when it is needed first. */
function calibrated(read: () => Promise<Profile>): (temperature: number) => Promise<number> {
  let profile: Promise<Profile> | undefined;
  return async (temperature) => {
    profile ??= read();
    profile.catch(() => {
      profile = undefined; // it may be calibrated meanwhile
    });
    return weightSigma(await profile, temperature);
  };
}
