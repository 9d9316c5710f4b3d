// brownian evolve-log: what is in the logs of searches, side by side; and a log cut at a generation.

import { writeFile } from "node:fs/promises";
import { Command } from "commander";
import { BrownianError } from "../errors.js";
import { cutLog, type EvolutionLog, readLog } from "../evolve/index.js";
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
    .description("list logs of brownian evolve side by side, or cut one at a generation")
    .argument("<logs...>", "logs that evolve --log has written")
    .option("--cut <n>", "of one log, keep the first n generations", parseWhole)
    .option("-o, --output <file>", "with --cut: where the shorter log goes")
    .option("--json", "print one JSON document")
    .action((paths: string[], options: Options) => run(paths, options));
}

async function run(paths: readonly string[], { cut, output, json }: Options): Promise<void> {
  const logs = await Promise.all(paths.map(async (path) => ({ path, log: await readLog(path) })));
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

function words(logs: readonly { readonly path: string; readonly log: EvolutionLog }[]): string {
  const rows = logs.map(({ path, log: { head, generations } }) => {
    const looks = generations.flatMap(({ measured }) => (measured ? [measured.reward] : []));
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
function differences(logs: readonly { readonly log: EvolutionLog }[]): string {
  const told = logs.map(({ log: { head } }): Record<string, unknown> => ({ ...head.moves, ...head.settings }));
  const names = [...new Set(told.flatMap((one) => Object.keys(one)))];
  const apart = names.filter((name) => new Set(told.map((one) => JSON.stringify(one[name]))).size > 1);
  if (apart.length === 0) return "All were told the same.";
  return table([
    ["told", ...logs.map((_, i) => `log ${i + 1}`)],
    ...apart.map((name) => [name, ...told.map((one) => JSON.stringify(one[name] ?? null))]),
  ]);
}
