// brownian evolve-log: what is in the logs of searches, side by side; and a log cut at a generation.

import { writeFile } from "node:fs/promises";
import { Command } from "commander";
import { BrownianError } from "../errors.js";
import { type AnyLog, cutLog, readAnyLog, toldApart } from "../evolve/index.js";
import { writeWhole } from "../files/index.js";
import { table } from "../report/table.js";
import type { Invocation } from "./command.js";
import { parseWhole } from "./options.js";
import { printResult } from "./print.js";

interface Options {
  readonly cut?: number;
  readonly output?: string;
  readonly json?: boolean;
}

export function evolveLogCommand(_: Invocation): Command {
  return new Command("evolve-log")
    .description("list logs of searches side by side, or cut one at a generation")
    .argument("<logs...>", "logs that evolve, anneal or evolve-adapter has written (--log)")
    .option("--cut <n>", "of one log, keep the first n generations", parseWhole)
    .option("-o, --output <file>", "with --cut: where the shorter log goes")
    .option("--json", "print one JSON document")
    .action((paths: string[], options: Options) => run(paths, options));
}

async function run(paths: readonly string[], { cut, output, json }: Options): Promise<void> {
  const logs = await Promise.all(paths.map(async (path) => ({ path, ...(await readAnyLog(path)) })));
  if (cut === undefined)
    return printResult(
      json,
      logs.map(({ path, log }) => ({ path, ...log })),
      () => words(logs),
    );
  const [only] = logs;
  if (only === undefined || logs.length > 1 || output === undefined)
    throw new BrownianError("usage", "--cut takes one log, and -o where the shorter one goes.");
  await writeWhole(output, only.path, (partial) => writeFile(partial, cutLog(only.log, cut), { flag: "wx" }));
  printResult(
    json,
    { log: only.path, output, generations: cut },
    () => `${output} has the first ${cut} generations of ${only.path}`,
  );
}

interface Read {
  readonly path: string;
  readonly log: AnyLog;
  readonly told: Readonly<Record<string, unknown>>;
}

/** What the validation said at each look; searches in adapters take none. */
const looksOf = ({ generations }: AnyLog): number[] =>
  generations.flatMap((one) => ("measured" in one && one.measured ? [one.measured.reward] : []));

function words(logs: readonly Read[]): string {
  const rows = logs.map(({ path, log }) => {
    const { head, generations } = log;
    const looks = looksOf(log);
    return [
      path,
      head.base.file,
      head.base.sha256.slice(0, 8),
      String(head.settings.search),
      String(generations.length),
      looks.length > 0 ? Math.max(...looks).toFixed(3) : "",
      looks.at(-1)?.toFixed(3) ?? "",
    ];
  });
  const head = ["log", "base", "SHA-256", "search", "generations", "best look", "last look"];
  return [table([head, ...rows], [4, 5, 6]), ...(logs.length > 1 ? ["", differences(logs)] : [])].join("\n");
}

/** Which settings the logs do not have in common. */
function differences(logs: readonly Read[]): string {
  const apart = toldApart(logs.map(({ told }) => told));
  if (apart.length === 0) return "All were told the same.";
  return table([
    ["told", ...logs.map((_, i) => `log ${i + 1}`)],
    ...apart.map((name) => [name, ...logs.map(({ told }) => brief(JSON.stringify(told[name] ?? null)))]),
  ]);
}

/** Names of all tensors would be a page. */
const brief = (text: string): string => (text.length > 40 ? `${text.slice(0, 37)}...` : text);
