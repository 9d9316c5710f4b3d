// brownian worker: reads members for searches elsewhere, with a model that lies here.

import { Argument, Command } from "commander";
import { evolveWorker } from "../evolve/index.js";
import { readTextFile } from "../files/text.js";
import { defaultModel } from "../llama/index.js";
import type { Invocation } from "./command.js";
import { sayOfWorker } from "./evolve-options.js";
import { parseWhole } from "./options.js";

interface Options {
  readonly queue?: string;
  readonly once?: boolean;
  readonly threads?: number;
  readonly chatTemplate?: string;
  readonly scratch?: string;
}

export function workerCommand({ signal, endsFine }: Invocation): Command {
  return new Command("worker")
    .description("read members for brownian evolve --workers, by way of a Redis; ends with Ctrl-C, after the member that it has")
    .argument("<redis>", "such as redis://localhost:6379")
    .addArgument(new Argument("[model]", "GGUF model, the search's own base").default(defaultModel, "the one that ships"))
    .option("--queue <name>", "as the search has it (default: evolve)")
    .option("--once", "end after the first search")
    .option("--threads <n>", "engine threads; a search that has another number is refused (default: the search's)", parseWhole)
    .option("--chat-template <file>", "Jinja in the place of the model's own chat template, the search's own")
    .option("--scratch <folder>", "where the moving copies of the model lie (default: the temporary directory)")
    .action(async (redis: string, model: string, { chatTemplate: file, ...options }: Options) => {
      endsFine?.();
      const chatTemplate = file === undefined ? undefined : await readTextFile(file, signal);
      await evolveWorker(redis, model, { ...options, chatTemplate, signal, onNews: sayOfWorker });
    });
}
