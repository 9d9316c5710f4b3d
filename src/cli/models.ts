// brownian models: what was downloaded, and how to be rid of it; and the hook by which every command takes models by their names.

import { Command } from "commander";
import { BrownianError } from "../errors.js";
import { type CachedModel, cachedModels, damaged, find, modelsFolder, removeCached, removePartial } from "../models/index.js";
import { bytes, table } from "../report/table.js";
import type { Invocation } from "./command.js";
import { printResult, remark } from "./print.js";
import { withProgress } from "./progress.js";

interface Options {
  readonly remove?: string[];
  readonly clean?: boolean;
  readonly check?: boolean;
  readonly json?: boolean;
}

export function modelsCommand(_: Invocation): Command {
  return new Command("models")
    .description("list the models that -m downloaded, check them, and remove them (docs/guides/models.md)")
    .option("--remove <name...>", "remove these, by the names that are listed")
    .option("--clean", "remove downloads that broke off")
    .option("--check", "read every model, and compare it with the hash that it came with")
    .option("--json", "print one JSON document")
    .action(models);
}

async function models({ remove, clean, check, json }: Options): Promise<void> {
  const gone = [...(remove === undefined ? [] : await removeCached(remove)), ...(clean ? await removePartial() : [])];
  if (remove !== undefined || clean) {
    const freed = gone.reduce((sum, model) => sum + model.bytes, 0);
    printResult(json, { removed: gone }, () => `${gone.length} removed, ${bytes(freed)} free`);
    return;
  }
  const all = await cachedModels();
  const wrong = check ? await damaged(all) : [];
  printResult(json, { folder: modelsFolder(), models: all, ...(check && { damaged: wrong }) }, () => listed(all));
  if (wrong.length > 0)
    throw new BrownianError(
      "corrupt-gguf",
      `Not what came: ${wrong.map(({ name }) => name).join(", ")}. Remove it (brownian models --remove NAME), and download it again.`,
    );
}

function listed(all: readonly CachedModel[]): string {
  if (all.length === 0) return `nothing was downloaded to ${modelsFolder()}: try brownian chat -m hf:org/repo:Q4_K_M`;
  const rows = all.map(({ name, bytes: size, partial }) => [name, bytes(size), partial ? "unfinished" : ""]);
  const total = all.reduce((sum, model) => sum + model.bytes, 0);
  return `${table([...rows, ["", bytes(total), ""]], [1])}\n${modelsFolder()}`;
}

/** Before a command runs: the model that it was given, by whatever name, becomes a path. */
export async function findModel(command: Command, { signal }: Invocation): Promise<void> {
  const place = command.registeredArguments.findIndex((argument) => argument.name() === "model");
  const { model } = command.opts<{ model?: string }>();
  const name = place < 0 ? model : (command.processedArgs[place] as string | undefined);
  if (name === undefined) return;
  const onWait = () => remark(`another process downloads ${name}: waiting for it`);
  const found = await withProgress(`downloading ${name}`, (onProgress) => find(name, { signal, onProgress, onWait }));
  if (place < 0) command.setOptionValue("model", found.path);
  else command.processedArgs[place] = found.path;
  // What clients are to call it, where its file has no name that says it.
  const hasAlias = command.options.some(({ long }) => long === "--alias");
  if (hasAlias && found.name !== undefined && command.getOptionValue("alias") === undefined)
    command.setOptionValue("alias", found.name);
}
