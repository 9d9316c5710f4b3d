// One process at a time, by a file that names its owner. The lock of a process that has ended is taken over; one of another machine, of which nobody
// here can tell, is waited for.

import { randomUUID } from "node:crypto";
import { link, readFile, rename, rm, writeFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { BrownianError } from "../errors.js";
import { hasEnded, thisProcess } from "../files/owned.js";

/** Milliseconds between two looks at a lock that another has. */
const LOOK = 200;

/** Runs `work` while nobody else has the lock at `path`. `onWait` is told once if it has to wait. @throws BrownianError aborted */
export async function locked<T>(
  path: string,
  work: () => Promise<T>,
  { signal, onWait }: { readonly signal?: AbortSignal | undefined; readonly onWait?: (() => void) | undefined },
): Promise<T> {
  const own = `${thisProcess()} ${randomUUID()}`;
  let waits = false;
  while (!(await taken(path, own))) {
    if (signal?.aborted) throw new BrownianError("aborted", "The download was aborted.");
    if (!waits) onWait?.();
    waits = true;
    await sleep(LOOK);
  }
  try {
    return await work();
  } finally {
    await rm(path, { force: true });
  }
}

/** Takes the lock if nobody has it. Made under another name first, so that nobody reads half an owner. */
async function taken(path: string, own: string): Promise<boolean> {
  const made = `${path}.${randomUUID()}`;
  await writeFile(made, own);
  try {
    await link(made, path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    await breakIfLeft(path);
    return false;
  } finally {
    await rm(made, { force: true });
  }
}

/** Removes the lock of a process that has ended. Of two that do so, one takes away what it did not read, and puts it back. */
async function breakIfLeft(path: string): Promise<void> {
  const there = await readFile(path, "utf8").catch(() => undefined);
  if (there === undefined || !hasEnded(there.split(" ")[0] as string)) return;
  const away = `${path}.${randomUUID()}`;
  await rename(path, away).catch(() => undefined);
  if ((await readFile(away, "utf8").catch(() => there)) !== there) await link(away, path).catch(() => undefined);
  await rm(away, { force: true });
}
