// Live copies that there are: those that lie in a scratch folder, and, on Linux, those without a name that a process has open.
import { readdirSync, readlinkSync } from "node:fs";
import { join } from "node:path";

/** Where a process's live copies lie, or lay when they had names, in this folder. */
export function liveCopies(folder: string, pid = process.pid): string[] {
  const ours = (path: string) => path.startsWith(folder) && path.includes("brownian-live");
  const found = new Set(
    readdirSync(folder)
      .map((name) => join(folder, name))
      .filter(ours),
  );
  if (process.platform === "linux")
    for (const fd of readdirSync(`/proc/${pid}/fd`)) {
      try {
        const path = readlinkSync(`/proc/${pid}/fd/${fd}`);
        if (ours(path)) found.add(path);
      } catch {
        // closed meanwhile
      }
    }
  return [...found];
}
