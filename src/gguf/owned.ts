// Temporary files that know their owner: removed when done, when the process exits or is interrupted, and, if it was killed outright,
// by the next process that looks into the same folder. A file whose owner lives is never touched.

import { randomBytes } from "node:crypto";
import { readFileSync, rmSync } from "node:fs";
import { readdir, rm } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { onExit } from "signal-exit";

const host = hostname()
  .replace(/[^A-Za-z0-9-]/g, "-")
  .slice(0, 40);

/**
 * When a process started, as Linux counts it, so that another process with the same number is not taken for the owner;
 * 0 where that cannot be told.
 */
function startOf(pid: number): number {
  try {
    const line = readFileSync(`/proc/${pid}/stat`, "latin1");
    // The second field is the command's name in parentheses and may hold anything; the start time is the 20th after it.
    return Number(line.slice(line.lastIndexOf(")") + 2).split(" ")[19] ?? 0);
  } catch {
    return 0;
  }
}

const held = new Set<string>();
onExit(() => {
  for (const path of held) rmSync(path, { force: true });
});

/** A path in `folder` for a file of ours: ".<label>.<host>.<pid>.<start>.<random><ending>". It is removed at exit until {@link release}d. */
export function claim(folder: string, label: string, ending: string): string {
  const owner = `${host}.${process.pid}.${startOf(process.pid)}.${randomBytes(6).toString("hex")}`;
  const path = join(folder, `.${label}.${owner}${ending}`);
  held.add(path);
  return path;
}

/** Stops caring for the file: it was renamed. */
export function release(path: string): void {
  held.delete(path);
}

/** Removes the file now. */
export async function discard(path: string): Promise<void> {
  await rm(path, { force: true });
  held.delete(path);
}

/** Removes files that dead processes of this machine left in `folder` under this label and ending. */
export async function sweep(folder: string, label: string | null, ending: string): Promise<void> {
  for (const name of await readdir(folder)) {
    const match = /^\.(.+)\.([A-Za-z0-9-]+)\.(\d+)\.(\d+)\.[0-9a-f]{12}(\.[a-z-]+)$/.exec(name);
    if (match === null) continue;
    const [, itsLabel, itsHost, pid, start, itsEnding] = match;
    if (itsEnding !== ending || itsHost !== host || (label !== null && itsLabel !== label)) continue;
    if (!isAlive(Number(pid), Number(start))) await rm(join(folder, name), { force: true });
  }
}

function isAlive(pid: number, start: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM"; // another user's
  }
  const now = startOf(pid);
  return start === 0 || now === 0 || now === start;
}
