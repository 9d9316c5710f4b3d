// How commands print: results on stdout, as JSON or in words; remarks dimly on stderr.

import chalk from "chalk";
import { visible } from "../errors.js";

/** One document of JSON for machines, or what is said to people. `words` is made only where it is printed. */
export function printResult(json: boolean | undefined, document: unknown, words: () => string): void {
  process.stdout.write(`${json ? JSON.stringify(document, null, 2) : words()}\n`);
}

/** A line beside the results. */
export function remark(line: string): void {
  process.stderr.write(chalk.dim(`${visible(line)}\n`));
}

/** A text that a model wrote, for whoever reads it: a terminal is not to obey it. In a file or a pipe it is what it is. */
export function written(text: string): string {
  return process.stdout.isTTY ? visible(text) : text;
}
