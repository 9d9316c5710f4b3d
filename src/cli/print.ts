// How commands print: results on stdout, as JSON or in words; remarks dimly on stderr.

import chalk from "chalk";

/** One document of JSON for machines, or what is said to people. `words` is made only where it is printed. */
export function printResult(json: boolean | undefined, document: unknown, words: () => string): void {
  process.stdout.write(`${json ? JSON.stringify(document, null, 2) : words()}\n`);
}

/** A line beside the results. */
export function remark(line: string): void {
  process.stderr.write(chalk.dim(`${line}\n`));
}
