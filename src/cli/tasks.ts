// brownian tasks: questions with right answers, made from a seed or a text, as JSON lines on stdout: for eval, and for whoever else reads them.

import { Argument, Command } from "commander";
import { readTextFile } from "../files/text.js";
import { table } from "../report/table.js";
import { MAKERS, makeTask } from "../tasks/index.js";
import type { Invocation } from "./command.js";
import { given, readText } from "./inputs.js";
import { parseSeed, parseWhole } from "./options.js";

interface Options {
  readonly from?: string;
  readonly questions?: number;
  readonly seed?: bigint;
  readonly chat?: boolean;
}

export function tasksCommand({ signal }: Invocation): Command {
  return new Command("tasks")
    .description("make questions with right answers, one a line of JSON, for eval")
    .addArgument(new Argument("<kind>", "what is asked").choices(Object.keys(MAKERS)))
    .option("--from <file>", "what questions are made from (cloze: a text; countries: countries.json of world-countries)")
    .option("--questions <n>", "how many (default: 200; of countries all)", parseWhole)
    .option("--seed <n>", "equal seeds make equal questions (default: 0)", parseSeed)
    .option("--chat", "ask as a chat does; without, texts go on, as models without a chat template can")
    .addHelpText("after", () => `\nKinds:\n${table(Object.entries(MAKERS).map(([name, { summary }]) => [`  ${name}`, summary]))}`)
    .action(async (kind: string, { from, questions, seed, chat }: Options) => {
      const text =
        kind === "cloze" ? await readText(from, signal) : from === undefined ? undefined : await readTextFile(from, signal);
      process.stdout.write(makeTask(kind, given({ text, questions, seed, chat })));
    });
}
