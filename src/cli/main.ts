#!/usr/bin/env node
// The command line: one file a command. Results go to stdout, progress and remarks to stderr; exit codes: 0 fine, 1 failed, 2 misused,
// 130 interrupted. Ctrl-C stops the work and cleans up; a second one stops at once.

import { readFileSync } from "node:fs";
import chalk from "chalk";
import { Command, CommanderError } from "commander";
import { BrownianError, visible } from "../errors.js";
import { asDenied } from "../files/file-errors.js";
import { adapterCommand } from "./adapter.js";
import { annealCommand } from "./anneal.js";
import { auditCommand } from "./audit.js";
import { buildNativeCommand } from "./build-native.js";
import { calibrateCommand } from "./calibrate.js";
import { chatCommand } from "./chat.js";
import type { Invocation } from "./command.js";
import { compareCommand } from "./compare.js";
import { ensembleCommand } from "./ensemble.js";
import { evalCommand } from "./eval.js";
import { evolveCommand } from "./evolve.js";
import { evolveAdapterCommand } from "./evolve-adapter.js";
import { evolveLogCommand } from "./evolve-log.js";
import { generateCommand } from "./generate.js";
import { infoCommand } from "./info.js";
import { inspectCommand } from "./inspect.js";
import { findModel, modelsCommand } from "./models.js";
import { perturbCommand } from "./perturb.js";
import { serveCommand } from "./serve.js";
import { tasksCommand } from "./tasks.js";
import { workerCommand } from "./worker.js";

const interrupted = new AbortController();
/** Whether the command that was interrupted is one that ends so. */
let fine = false;

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.on(signal, () => {
    if (interrupted.signal.aborted) process.exit(130);
    interrupted.abort();
  });
}

const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as { version: string };

function program(): Command {
  const invocation: Invocation = { signal: interrupted.signal, endsFine: () => (fine = true) };
  const root = new Command("brownian")
    .description("Temperature as Brownian motion: language models whose weights move.")
    .version(version)
    .configureHelp({ helpWidth: 110 })
    .exitOverride();
  const commands = [
    generateCommand,
    chatCommand,
    serveCommand,
    perturbCommand,
    adapterCommand,
    ensembleCommand,
    calibrateCommand,
    compareCommand,
    evalCommand,
    auditCommand,
    tasksCommand,
    evolveCommand,
    annealCommand,
    evolveAdapterCommand,
    evolveLogCommand,
    workerCommand,
    inspectCommand,
    modelsCommand,
    infoCommand,
    buildNativeCommand,
  ];
  for (const command of commands) root.addCommand(withModelNames(command(invocation), invocation).copyInheritedSettings(root));
  return root;
}

/** Commands that read no model. */
const WITHOUT_MODEL: readonly string[] = ["info", "models", "build-native", "tasks", "evolve-log"];

/** Models go by all their names; the limit goes to all that reads a header, child processes too. */
function withModelNames(command: Command, invocation: Invocation): Command {
  if (WITHOUT_MODEL.includes(command.name())) return command;
  return command
    .option("--max-header <MiB>", "how large the header of a model may be (default: 1024)")
    .hook("preAction", async (_, action) => {
      const { maxHeader } = action.opts<{ maxHeader?: string }>();
      if (maxHeader !== undefined) process.env.BROWNIAN_MAX_HEADER = maxHeader;
      await findModel(action, invocation);
    });
}

async function main(): Promise<number> {
  try {
    await program().parseAsync();
    return interrupted.signal.aborted && !fine ? 130 : 0;
  } catch (thrown) {
    const error = asDenied(thrown) ?? thrown;
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2; // Commander has said what is wrong
    if (interrupted.signal.aborted) return 130;
    const known = error instanceof BrownianError;
    const text = known ? error.message : ((error as Error).stack ?? String(error));
    process.stderr.write(`${chalk.red("error:")} ${visible(text)}\n`);
    return known && error.code === "usage" ? 2 : 1;
  }
}

// Pipes that close early (brownian ... | head) are no failure of ours. A result that could not be written is one.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(0);
  const why = error.code === "ENOSPC" ? "the disk that it goes to is full (ENOSPC)" : error.message;
  process.stderr.write(`${chalk.red("error:")} The result cannot be written to stdout: ${why}.\n`, () => process.exit(1));
});
// Remarks that nobody can read are dropped; the result is what counts.
process.stderr.on("error", () => undefined);
const code = await main();
if (interrupted.signal.aborted && !fine) process.stderr.write(`${chalk.yellow("interrupted")}\n`);
process.exitCode = code;
