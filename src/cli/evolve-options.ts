// What the commands evolve and anneal have in common: the task, the reward, what moves, how long it lasts.

import { basename } from "node:path";
import { type Command, InvalidArgumentError, Option } from "commander";
import { environment } from "../environment.js";
import { BrownianError } from "../errors.js";
import {
  CommandJudge,
  type EvolveOptions,
  endpointJudge,
  type Judge,
  moduleJudge,
  REWARDS,
  type RewardName,
  type Split,
  type WorkerNews,
} from "../evolve/index.js";
import { readTextFile } from "../files/text.js";
import { parseTask, type Question } from "../tasks/index.js";
import { readTemplate } from "./chat-template.js";
import { readText } from "./inputs.js";
import { parseNumber, parseSeed, parseWhole } from "./options.js";
import { remark } from "./print.js";

/** What the command line says of a task and its rewards. */
export interface TaskFlags {
  readonly task: string;
  readonly validation: string;
  readonly reward: RewardName;
  readonly rewardModule?: string;
  readonly rewardCommand?: string;
  readonly judge?: string[];
  readonly judgeModel?: string;
  readonly judgeInstruction?: string;
  readonly rewardSeconds: number;
  readonly maxTokens: number;
  readonly generations: number;
  readonly batch: number;
  readonly kl: number;
  readonly text?: string;
  readonly textTokens: number;
  readonly maxMinutes?: number;
  readonly only?: string[];
  readonly context?: number;
  readonly threads?: number;
  readonly scratch?: string;
  readonly chatTemplate?: string;
  readonly json?: boolean;
}

/** What it says of a search on codes. */
export interface SearchFlags extends TaskFlags {
  readonly output?: string;
  readonly sigma: number;
  readonly scale: "rms" | "step" | "absolute";
  readonly seed: bigint;
  readonly decay: number;
  readonly accumulate?: boolean;
  readonly floats?: boolean;
  readonly validateEvery: number;
  readonly patience?: number;
  readonly log?: string;
  readonly workers?: number | string;
  readonly queue?: string;
  readonly stall?: number;
}

function parseWorkers(text: string): number | string {
  if (/^\w+:/.test(text)) return text;
  if (/^\d+$/.test(text)) return parseWhole(text);
  throw new InvalidArgumentError("It is neither a number of processes nor an address, such as redis://localhost.");
}

const collect = (glob: string, before: string[] | undefined): string[] => [...(before ?? []), glob];

/** What all searches are told: the task, the reward, how long it lasts. @param required whether there is nothing to do without a task */
export function addTaskOptions(command: Command, required: boolean): Command {
  const task = new Option("--task <file>", 'questions, a line of JSON each: {"prompt" or "messages", "answer"}');
  return command
    .addOption(required ? task.makeOptionMandatory() : task)
    .option("--validation <share or file>", "questions that judge and are not learned from", "0.25")
    .addOption(new Option("--reward <reward>", "what an answer is worth").choices(REWARDS).default("likelihood"))
    .option(
      "--reward-module <file>",
      "a JavaScript module whose default export is a reward: ({ prompt, answer, answers, text }) => number",
    )
    .option(
      "--reward-command <command>",
      'a program that reads lines of JSON, {"prompt", "answer", "answers", "text"}, and writes {"reward"} for each',
    )
    .option("--judge <url>", "an LLM that marks answers (OpenAI's chat completions); may be given several times", collect)
    .option("--judge-model <name>", "its name there")
    .option("--judge-instruction <file>", "what it is told, with {prompt}, {answer} and {text}; it is to mark from 0 to 10")
    .option("--reward-seconds <n>", "how long the program may take for a member's questions, the judge for one", parseNumber, 30)
    .option("--max-tokens <n>", "tokens that the model writes for rewards that read its text", parseWhole, 32)
    .option("--generations <n>", "how many", parseWhole, 20)
    .option("--batch <n>", "questions a generation, the same for all its members", parseWhole, 8)
    .option("--kl <number>", "nats of reward that a nat of KL to the model costs, on --text", parseNumber, 0)
    .option("--text <file>", "what has nothing to do with the task (default: fairy tales)")
    .option("--text-tokens <n>", "tokens of it that are read", parseWhole, 256)
    .option("--max-minutes <n>", "stop then", parseNumber)
    .option("--only <glob>", "move only tensors whose names match; may be given several times", collect)
    .option("--context <n>", "tokens of context of each question (default: at most 256)", parseWhole)
    .option(
      "--threads <n>",
      "engine threads, of each worker where there are some (default: all physical cores but one)",
      parseWhole,
    )
    .option("--chat-template <file>", "Jinja in the place of the model's own chat template")
    .option("--scratch <folder>", "where the moving copies of the model lie (default: the temporary directory)")
    .option("--json", "print one JSON document");
}

/** What searches on codes are told. */
export function addSearchOptions(command: Command, required: boolean): Command {
  return addTaskOptions(command, required)
    .option("-o, --output <file>", "where the model goes; it appears whole or not at all")
    .option("-s, --sigma <number>", "how far members are from the centre, in units of --scale", parseNumber, 0.02)
    .addOption(new Option("--scale <scale>", "what sigma is relative to").choices(["rms", "step", "absolute"]).default("rms"))
    .addOption(new Option("--seed <n>", "equal seeds give equal models").argParser(parseSeed).default(0n, "0"))
    .option("--decay <share>", "of its distance from the model that each code goes back in a generation", parseNumber, 0)
    .option("--accumulate", "keep what rounding leaves of updates (two bytes a weight) instead of rounding by chance")
    .option("--floats", "norms and other float tensors evolve too (with --only '*norm*': alone)")
    .option("--validate-every <n>", "generations from one look at the questions that judge to the next", parseWhole, 5)
    .option("--patience <n>", "looks without a better one after which to stop, and go back to the best", parseWhole)
    .option("--log <file>", "where generations are kept; a search that was ended goes on from there")
    .option("--workers <n or url>", "who reads: so many child processes, or the workers of a Redis (redis://...)", parseWorkers)
    .option("--queue <name>", "on that Redis (default: evolve)")
    .option("--stall <seconds>", "without a sign of life, a worker's member goes to another (default: 30)", parseNumber);
}

/** What a search is told, and what ends with it. */
export interface Told<Options = EvolveOptions> {
  readonly options: Options;
  close(): void;
}

/** Says what became of a worker. */
export const sayOfWorker = ({ worker, state, why }: WorkerNews): void =>
  remark(`${worker}: ${state}${why === undefined ? "" : ` (${why})`}`);

/** Reads what the flags name. @throws BrownianError usage, file-not-found, file-access, reward-failed */
export async function toldBy(flags: SearchFlags, signal: AbortSignal): Promise<Told> {
  const { options, close } = await taskBy(flags, signal);
  return { options: { ...options, onWorker: sayOfWorker }, close };
}

/** The same of what all searches have; all other flags as they are. @param other whether there is text that has nothing to do with the task */
export async function taskBy<Flags extends TaskFlags>(flags: Flags, signal: AbortSignal, other = true) {
  const outside = await judgeOf(flags, signal);
  const { task: file, validation: parted, reward: _, rewardModule, rewardCommand, rewardSeconds, ...rest } = flags;
  const { judge: __, judgeModel, judgeInstruction, ...told } = rest;
  const { context: contextSize, chatTemplate: template, text: named, json: ___, ...others } = told;
  const share = Number(parted);
  const task = await taskOf(file, Number.isNaN(share) ? parted : undefined, signal);
  const text = other || named !== undefined ? await readText(named, signal) : undefined;
  const chatTemplate = template === undefined ? undefined : await readTemplate(template, signal);
  const validation = Number.isNaN(share) ? undefined : share;
  const reward = outside?.judge ?? flags.reward;
  const options = { ...others, task, validation, text, contextSize, chatTemplate, signal, reward, rewardName: outside?.name };
  return { options, close: () => outside?.close?.() };
}

async function taskOf(file: string, judging: string | undefined, signal: AbortSignal): Promise<readonly Question[] | Split> {
  const read = async (path: string) => parseTask(await readTextFile(path, signal), path).questions;
  const train = await read(file);
  return judging === undefined ? train : { train, validation: await read(judging) };
}

interface Outside {
  readonly judge: Judge;
  readonly name: string;
  readonly close?: () => void;
}

async function judgeOf(flags: TaskFlags, signal: AbortSignal): Promise<Outside | undefined> {
  const { rewardModule, rewardCommand, rewardSeconds, judge: endpoints, judgeModel: model, judgeInstruction: file } = flags;
  if ([rewardModule, rewardCommand, endpoints].filter((one) => one !== undefined).length > 1)
    throw new BrownianError("usage", "One of --reward-module, --reward-command and --judge is enough.");
  if (rewardModule !== undefined) return { judge: await moduleJudge(rewardModule), name: `module ${basename(rewardModule)}` };
  if (endpoints !== undefined) {
    const instruction = file === undefined ? undefined : await readTextFile(file, signal);
    const judge = endpointJudge({ endpoints, model, instruction, apiKey: environment.apiKey, deadline: rewardSeconds });
    return { judge, name: `judge ${model ?? endpoints.join(" ")}` };
  }
  if (rewardCommand === undefined) return undefined;
  const command = new CommandJudge(rewardCommand, rewardSeconds);
  return { judge: command.judge, name: `command ${rewardCommand}`, close: () => command.close() };
}
