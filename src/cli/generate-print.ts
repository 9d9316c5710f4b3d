// How the texts of brownian generate are printed: one after the other as they are written, side by side, underlined, or as JSON.

import chalk from "chalk";
import { BrownianError } from "../errors.js";
import type { GenerateOptions, Generation, Model, Prompt, UncertainToken, UncertaintyOptions } from "../llama/index.js";
import { type Column, sideBySide } from "../report/columns.js";
import { percent, significant } from "../report/table.js";
import { legend, underlined } from "../report/underline.js";
import { scaleOptions } from "../thermostat/scales/index.js";
import type { Run } from "./generate-runs.js";
import { written } from "./print.js";

/** What all texts have in common. */
export type Common = Pick<GenerateOptions, "maxTokens"> & { readonly signal: AbortSignal };

/** Writes the texts and prints them. */
export type Print = (model: Model, prompt: Prompt, runs: readonly Run[], common: Common) => Promise<void>;

/** What is printed before an answer: a text reads on, a chat does not. */
const shown = (prompt: Prompt): string => (typeof prompt === "string" ? prompt : "");

function summary(run: Run, { tokens, tokensPerSecond, weights, changed, reloaded, stop, stopString }: Generation): string {
  const speed = tokens > 1 ? `${Math.round(tokensPerSecond)} tokens/s` : `${tokens} token`;
  const added = run.options.carrier === "adapter" && weights > 0;
  const moved = added
    ? `noise of rank ${run.options.rank ?? 1} on ${significant(weights / 1e6)} M weights`
    : changed > 0
      ? `${percent(changed / weights)} of ${significant(weights / 1e6)} M weights moved`
      : "no weight moved";
  return [
    speed,
    moved,
    ...(reloaded && changed > 0 ? ["model loaded again"] : []),
    ...(stop === "context" ? ["context full"] : []),
    ...(stop === "stop" ? [`stopped before ${JSON.stringify(stopString)}`] : []),
  ].join(", ");
}

export const printOneByOne: Print = async (model, prompt, runs, common) => {
  for (const run of runs) {
    if (common.signal.aborted) return;
    if (runs.length > 1) process.stderr.write(`${chalk.bold(run.label)}\n`);
    const pieces = model.generate(prompt, { ...run.options, ...common });
    let next = await pieces.next(); // refusals come before the prompt is printed
    process.stdout.write(chalk.dim(written(shown(prompt))));
    for (; !next.done; next = await pieces.next()) process.stdout.write(written(next.value));
    process.stdout.write("\n");
    process.stderr.write(chalk.dim(`${summary(run, next.value)}\n${runs.length > 1 ? "\n" : ""}`));
  }
};

export const printSideBySide: Print = async (model, prompt, runs, common) => {
  const columns: Column[] = [];
  for (const run of runs) {
    if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${chalk.dim(`writing: ${run.label}`)}`);
    const generation = await model.complete(prompt, { ...run.options, ...common });
    if (common.signal.aborted) break;
    columns.push({
      head: chalk.bold(run.label),
      body: chalk.dim(written(shown(prompt))) + written(generation.text),
      foot: chalk.cyan(summary(run, generation)),
    });
  }
  if (process.stderr.isTTY) process.stderr.write("\r\x1b[K");
  process.stdout.write(`${sideBySide(columns, process.stdout.columns ?? 150)}\n`);
};

export const printJson: Print = async (model, prompt, runs, common) => {
  const texts = [];
  for (const run of runs) {
    if (common.signal.aborted) break;
    const generation = await model.complete(prompt, { ...run.options, ...common });
    const { sigma, label } = run;
    const { scale, rounding, dynamics, tau, stride, temperature = 0, seed } = run.options;
    const { carrier, rank, member, subspace } = run.options;
    const by = { carrier, rank, member, subspace };
    const noise = { label, sigma, scale, ...scaleOptions(run.options), rounding, dynamics, tau, stride, ...by };
    texts.push({ ...noise, temperature, seed: String(seed), ...generation, memory: model.memory() });
  }
  process.stdout.write(`${JSON.stringify({ model: model.path, prompt, texts }, null, 2)}\n`);
  if (texts.length === 0) throw new BrownianError("aborted", "Interrupted before the first text.");
};

/** Options of a text that is written which say nothing where one is read. */
const OF_WRITING: readonly string[] = ["dynamics", "tau", "stride", "recompute", "promptWeights", "promptCache"];

const ofReading = (options: GenerateOptions): UncertaintyOptions =>
  Object.fromEntries(Object.entries(options).filter(([name]) => !OF_WRITING.includes(name)));

/** The clean model's texts, with what `members` moved ones disagree about underlined. */
export function printUncertainty(members: number | undefined): Print {
  return async (model, prompt, runs, common) => {
    for (const { label, sigma, options } of runs) {
      const { members: drawn, tokens } = await model.uncertainty(prompt, { ...ofReading(options), sigma, members, ...common });
      if (runs.length > 1) process.stderr.write(`${chalk.bold(label)}\n`);
      process.stdout.write(`${chalk.dim(shown(prompt))}${underlined(tokens)}\n`);
      const nats = (of: (token: UncertainToken) => number) =>
        significant(tokens.reduce((sum, token) => sum + of(token), 0) / Math.max(1, tokens.length));
      const most = tokens.reduce<UncertainToken | undefined>((a, b) => (a && a.information >= b.information ? a : b), undefined);
      process.stderr.write(
        chalk.dim(
          `${drawn} weight draws. Mean uncertainty ${nats((t) => t.total)} nats a token, of which ${nats((t) => t.information)} comes from the weights` +
            `${most ? ` (most at "${most.text.trim()}": ${significant(most.information)})` : ""}.\n`,
        ),
      );
      process.stderr.write(`${chalk.dim(legend())}\n`);
    }
  };
}

/** The same in numbers. */
export function printUncertaintyJson(members: number | undefined): Print {
  return async (model, prompt, runs, common) => {
    const texts = [];
    for (const { label, sigma, options } of runs) {
      const read = await model.uncertainty(prompt, { ...ofReading(options), sigma, members, ...common });
      const { scale, rounding, temperature = 0, seed } = options;
      const noise = { label, sigma, scale, ...scaleOptions(options), rounding };
      texts.push({ ...noise, temperature, seed: String(seed), ...read });
    }
    process.stdout.write(`${JSON.stringify({ model: model.path, prompt, texts }, null, 2)}\n`);
  };
}
