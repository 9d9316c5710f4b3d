// What the commands evolve and anneal have in common: the task, the reward, what moves, how long it lasts.

import { basename } from "node:path";
import { type Command, Option } from "commander";
import { BrownianError } from "../errors.js";
import {
  CommandJudge,
  type EvolveOptions,
  type Judge,
  moduleJudge,
  REWARDS,
  type RewardName,
  type Split,
} from "../evolve/index.js";
import { readTextFile } from "../files/text.js";
import { parseTask, type Question } from "../tasks/index.js";
import { readText } from "./inputs.js";
import { parseNumber, parseSeed, parseWhole } from "./options.js";

/** What the command line says of a search. */
export interface SearchFlags {
  readonly task: string;
  readonly validation: string;
  readonly output?: string;
  readonly reward: RewardName;
  readonly rewardModule?: string;
  readonly rewardCommand?: string;
  readonly rewardSeconds: number;
  readonly maxTokens: number;
  readonly sigma: number;
  readonly scale: "rms" | "step" | "absolute";
  readonly generations: number;
  readonly batch: number;
  readonly seed: bigint;
  readonly decay: number;
  readonly kl: number;
  readonly text?: string;
  readonly textTokens: number;
  readonly validateEvery: number;
  readonly patience?: number;
  readonly maxMinutes?: number;
  readonly only?: string[];
  readonly log?: string;
  readonly context?: number;
  readonly threads?: number;
  readonly scratch?: string;
  readonly chatTemplate?: string;
  readonly json?: boolean;
}

const collect = (glob: string, before: string[] | undefined): string[] => [...(before ?? []), glob];

/** @param required whether there is nothing to do without a task */
export function addSearchOptions(command: Command, required: boolean): Command {
  const task = new Option("--task <file>", 'questions, a line of JSON each: {"prompt" or "messages", "answer"}');
  return command
    .addOption(required ? task.makeOptionMandatory() : task)
    .option("-o, --output <file>", "where the model goes; it appears whole or not at all")
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
    .option("--reward-seconds <n>", "how long the program may take for the questions of one member", parseNumber, 30)
    .option("--max-tokens <n>", "tokens that the model writes for rewards that read its text", parseWhole, 32)
    .option("-s, --sigma <number>", "how far members are from the centre, in units of --scale", parseNumber, 0.02)
    .addOption(new Option("--scale <scale>", "what sigma is relative to").choices(["rms", "step", "absolute"]).default("rms"))
    .option("--generations <n>", "how many", parseWhole, 20)
    .option("--batch <n>", "questions a generation, the same for all its members", parseWhole, 8)
    .addOption(new Option("--seed <n>", "equal seeds give equal models").argParser(parseSeed).default(0n, "0"))
    .option("--decay <share>", "of its distance from the model that each code goes back in a generation", parseNumber, 0)
    .option("--kl <number>", "nats of reward that a nat of KL to the model costs, on --text", parseNumber, 0)
    .option("--text <file>", "what has nothing to do with the task (default: fairy tales)")
    .option("--text-tokens <n>", "tokens of it that are read", parseWhole, 256)
    .option("--validate-every <n>", "generations from one look at the questions that judge to the next", parseWhole, 5)
    .option("--patience <n>", "looks without a better one after which to stop, and go back to the best", parseWhole)
    .option("--max-minutes <n>", "stop then", parseNumber)
    .option("--only <glob>", "move only tensors whose names match; may be given several times", collect)
    .option("--log <file>", "where generations are kept; a search that was ended goes on from there")
    .option("--context <n>", "tokens of context of each question (default: at most 256)", parseWhole)
    .option("--threads <n>", "engine threads (default: all physical cores but one)", parseWhole)
    .option("--chat-template <file>", "Jinja in the place of the model's own chat template")
    .option("--scratch <folder>", "where the moving copies of the model lie (default: the temporary directory)")
    .option("--json", "print one JSON document");
}

/** What a search is told, and what ends with it. */
export interface Told {
  readonly options: EvolveOptions;
  close(): void;
}

/** Reads what the flags name. @throws BrownianError usage, file-not-found, file-access, reward-failed */
export async function toldBy(flags: SearchFlags, signal: AbortSignal): Promise<Told> {
  const outside = await judgeOf(flags);
  const { task: file, validation: parted, reward: _, rewardModule, rewardCommand, rewardSeconds, output, ...rest } = flags;
  const { context: contextSize, chatTemplate: template, text: named, json: __, ...others } = rest;
  const share = Number(parted);
  const task = await taskOf(file, Number.isNaN(share) ? parted : undefined, signal);
  const text = await readText(named, signal);
  const chatTemplate = template === undefined ? undefined : await readTextFile(template, signal);
  const validation = Number.isNaN(share) ? undefined : share;
  const options = { ...others, task, validation, text, contextSize, chatTemplate, output, signal };
  const reward = outside?.judge ?? flags.reward;
  return { options: { ...options, reward, rewardName: outside?.name }, close: () => outside?.close?.() };
}

async function taskOf(file: string, judging: string | undefined, signal: AbortSignal): Promise<readonly Question[] | Split> {
  const read = async (path: string) => parseTask(await readTextFile(path, signal), path).questions;
  const train = await read(file);
  return judging === undefined ? train : { train, validation: await read(judging) };
}

async function judgeOf(flags: SearchFlags): Promise<{ judge: Judge; name: string; close?: () => void } | undefined> {
  const { rewardModule, rewardCommand, rewardSeconds } = flags;
  if (rewardModule !== undefined && rewardCommand !== undefined)
    throw new BrownianError("usage", "One of --reward-module and --reward-command is enough.");
  if (rewardModule !== undefined) return { judge: await moduleJudge(rewardModule), name: `module ${basename(rewardModule)}` };
  if (rewardCommand === undefined) return undefined;
  const command = new CommandJudge(rewardCommand, rewardSeconds);
  return { judge: command.judge, name: `command ${rewardCommand}`, close: () => command.close() };
}
