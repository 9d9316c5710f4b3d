// What a command line does, as a function of it: the commands, what is said of errors, and the exit code. Results go to stdout, progress and
// remarks to stderr. Signals and the end of the process are main.ts's.

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

/** The exit code of a command that was ended by a signal. */
export const INTERRUPTED = 130;

function program(invocation: Invocation): Command {
  const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as { version: string };
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

/**
 * Runs a command line, without the names of Node and of the program.
 *
 * @returns the exit code: 0 fine, 1 failed, 2 misused, 130 interrupted
 */
export async function runCommandLine(args: readonly string[], signal: AbortSignal): Promise<number> {
  /** Whether the command that was interrupted is one that ends so. */
  let fine = false;
  try {
    await program({ signal, endsFine: () => (fine = true) }).parseAsync(args, { from: "user" });
    return signal.aborted && !fine ? INTERRUPTED : 0;
  } catch (thrown) {
    const error = asDenied(thrown) ?? thrown;
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2; // Commander has said what is wrong
    if (signal.aborted) return INTERRUPTED;
    const known = error instanceof BrownianError;
    const text = known ? error.message : ((error as Error).stack ?? String(error));
    process.stderr.write(`${chalk.red("error:")} ${visible(text)}\n`);
    return known && error.code === "usage" ? 2 : 1;
  }
}
