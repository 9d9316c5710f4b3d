// brownian chat: a conversation in the terminal. Ctrl-C ends an answer; twice, or at an empty line, it ends the chat.

import { createInterface } from "node:readline";
import chalk from "chalk";
import { Command, Option } from "commander";
import { BrownianError } from "../errors.js";
import { defaultModel, loadModel } from "../llama/index.js";
import { DYNAMICS } from "../thermostat/dynamics/index.js";
import { readTemplate } from "./chat-template.js";
import type { Invocation } from "./command.js";
import { Conversation, type Dials } from "./conversation.js";
import { costOf } from "./cost.js";
import { addEngineOptions, type EngineFlags, engineSettings } from "./engine-options.js";
import { IDLE_TAU, idleLines } from "./idle.js";
import { parseNumber, parseSeed, parseWhole } from "./options.js";
import { remark } from "./print.js";
import { withProgress } from "./progress.js";
import { schemaGrammar } from "./sampling-options.js";
import { wordsText } from "./words.js";

interface Options extends Dials, EngineFlags {
  readonly model?: string;
  readonly system?: string;
  readonly chatTemplate?: string;
  readonly seed?: bigint;
  readonly jsonSchema?: string;
}

export function chatCommand(invocation: Invocation): Command {
  const command = new Command("chat")
    .description("talk with a model whose weights move; /help lists what can be turned meanwhile")
    .addHelpText("after", () => wordsText("sigma", "dynamics", "tau"))
    .option("-m, --model <file>", "GGUF model with a chat template (the one that ships with brownian has none)")
    .option("--system <text>", "how it is to answer")
    .option("--chat-template <file>", "Jinja in the place of the model's own chat template")
    .option("-s, --sigma <number>", "noise on the weights", parseNumber, 0.05)
    .option("-t, --temperature <number>", "softmax temperature", parseNumber, 0)
    .addOption(
      new Option("-d, --dynamics <name>", "how the noise evolves over tokens").choices(Object.keys(DYNAMICS)).default("quenched"),
    )
    .option("--tau <tokens>", "correlation time of the noise (default: 32)", parseNumber)
    .option("--seed <n>", "of the first answer (default: another one every time)", parseSeed)
    .option("--max-tokens <n>", "tokens of an answer at most", parseWhole, 1000)
    .option("--json-schema <file>", "every answer is JSON that fits this schema");
  return addEngineOptions(command).action((options: Options, itself: Command) => {
    for (const line of idleLines(itself, options, [IDLE_TAU])) remark(line);
    return chat(options, invocation);
  });
}

async function chat(options: Options, { signal, endsFine }: Invocation): Promise<void> {
  const { model: path = defaultModel, system, seed } = options;
  const chatTemplate = options.chatTemplate === undefined ? undefined : await readTemplate(options.chatTemplate);
  const grammar = options.jsonSchema === undefined ? undefined : await schemaGrammar(options.jsonSchema);
  const model = await withProgress("copying the model", (onProgress) =>
    loadModel(path, { ...engineSettings(options), signal, onProgress, chatTemplate, keepPrompts: true }),
  );
  try {
    const ear = { piece: (text: string) => void process.stdout.write(text), remark };
    const conversation = new Conversation(model, { ...options, grammar }, system, seed, ear);
    remark(`${path}; /help lists commands. ${costOf(options.dynamics)}`);
    await talk(conversation, signal);
    if (!signal.aborted) endsFine?.();
  } finally {
    await model.dispose();
  }
}

/** Reads lines and lets them be heard, one after the other, until the input ends. */
async function talk(conversation: Conversation, signal: AbortSignal): Promise<void> {
  const input = createInterface({
    input: process.stdin,
    output: process.stdout,
    prompt: chalk.bold("> "),
    terminal: process.stdin.isTTY,
  });
  let answering: AbortController | undefined;
  let interrupted = false;
  input.on("SIGINT", () => {
    if (answering !== undefined && !answering.signal.aborted) return answering.abort();
    if (interrupted || answering !== undefined) return input.close();
    interrupted = true;
    remark("\nCtrl-C once more ends the chat");
    input.prompt();
  });
  const abort = () => {
    answering?.abort();
    input.close();
  };
  signal.addEventListener("abort", abort, { once: true });
  if (process.stdin.isTTY) input.prompt();
  for await (const line of input) {
    interrupted = false;
    answering = new AbortController();
    try {
      if (!(await conversation.hear(line, answering.signal))) break;
    } catch (error) {
      if (!answering.signal.aborted) {
        if (!(error instanceof BrownianError)) throw error;
        remark(error.message);
      }
    } finally {
      answering = undefined;
    }
    if (signal.aborted) break;
    if (process.stdin.isTTY) input.prompt();
  }
  signal.removeEventListener("abort", abort);
  input.close();
}
