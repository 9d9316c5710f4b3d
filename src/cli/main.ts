#!/usr/bin/env node
// The command line as a program. Ctrl-C stops the work and cleans up; a second one stops at once.

import chalk from "chalk";
import { INTERRUPTED, runCommandLine } from "./program.js";

const interrupted = new AbortController();

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.on(signal, () => {
    if (interrupted.signal.aborted) process.exit(INTERRUPTED);
    interrupted.abort();
  });
}

// Pipes that close early (brownian ... | head) are no failure of ours. A result that could not be written is one.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(0);
  const why = error.code === "ENOSPC" ? "the disk that it goes to is full (ENOSPC)" : error.message;
  process.stderr.write(`${chalk.red("error:")} The result cannot be written to stdout: ${why}.\n`, () => process.exit(1));
});
// Remarks that nobody can read are dropped; the result is what counts.
process.stderr.on("error", () => undefined);
const code = await runCommandLine(process.argv.slice(2), interrupted.signal);
if (code === INTERRUPTED) process.stderr.write(`${chalk.yellow("interrupted")}\n`);
process.exitCode = code;
