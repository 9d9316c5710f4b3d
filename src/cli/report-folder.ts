// What long measurements leave: a folder with a report and its numbers, or, where they were stopped, what was finished by then.

import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { writeFolderWhole } from "../files/index.js";
import type { Unfinished } from "../files/unfinished.js";
import { type Page, renderPage } from "../report/page.js";

/** All that such a folder holds. */
export const REPORT_FILES = ["report.html", "results.json"] as const;

/** Waits for a measurement; where it fails, says how to go on with what is kept of it, before the error. @param what steps are called */
export function orKept<T>(measuring: Promise<T>, unfinished: Unfinished, what: string): Promise<T> {
  return measuring.catch((error) => {
    if (unfinished.finished.size > 0)
      process.stderr.write(
        `${unfinished.finished.size} ${what} are finished and kept in ${unfinished.path}: go on with --resume and the same options.\n`,
      );
    throw error;
  });
}

/** Writes the folder, whole or not at all; what was kept of the measurement goes then. @param figures by the names of their files */
export async function writeReport(
  output: string,
  page: Page,
  results: object,
  unfinished: Unfinished,
  figures: Readonly<Record<string, string>> = {},
): Promise<void> {
  await writeFolderWhole(output, [...REPORT_FILES, ...Object.keys(figures)], async (folder) => {
    await writeFile(join(folder, "report.html"), await renderPage(page));
    await writeFile(join(folder, "results.json"), `${JSON.stringify(results, null, 1)}\n`);
    for (const [name, figure] of Object.entries(figures)) await writeFile(join(folder, name), figure);
  });
  await unfinished.remove();
}
