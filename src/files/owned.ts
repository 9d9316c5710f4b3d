// Temporary files that know their owner: removed when done, when the process exits or is interrupted, and, if it was killed outright,
// by the next process that looks into the same folder. A file whose owner lives, or may live where we cannot see it, is never touched.

import { type BigIntStats, lstatSync, readFileSync, readlinkSync, rmSync } from "node:fs";
import { lstat, readdir, rm } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { isMainThread } from "node:worker_threads";
import { asFileError } from "./file-errors.js";
import { patiently } from "./patience.js";

let hostKnown: string | undefined;

/**
 * Who counts processes as we do. On Linux the number of the process namespace belongs to it: containers may share a folder and a host
 * name, and the owner of a file in one is not to be seen, or is someone else, in another.
 */
function host(): string {
  hostKnown ??= `${hostname()
    .replace(/[^A-Za-z0-9-]/g, "-")
    .slice(0, 40)}-${processNamespace()}`;
  return hostKnown;
}

function processNamespace(): string {
  try {
    return readlinkSync("/proc/self/ns/pid").replace(/\D/g, "");
  } catch {
    return "0";
  }
}

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

/** Bytes of a label that go into a name: with all else it stays below the 255 that file systems allow. */
const LABEL_BYTES = 100;

function shortened(label: string): string {
  // A character cut in two would come back as U+FFFD.
  return Buffer.from(label)
    .subarray(0, LABEL_BYTES)
    .toString()
    .replace(/\uFFFD+$/, "");
}

/** What the endings of folders end in; all others are files, and a folder under the name of one is not ours to empty. */
export const FOLDER = "-folder";

/** Which file or folder each is, where that was said: others that came to lie there are not ours to remove. */
const held = new Map<string, string | undefined>();
let watching: Promise<unknown> | undefined;

/**
 * Loaded with the first file of ours, not with the library. A write beyond the size that `ulimit -f` allows ends a process that has said nothing
 * on that signal; with a listener it is an error (EFBIG) like that of a full disk. Signals are the main thread's.
 */
function watchForExit(): Promise<unknown> {
  if (isMainThread && process.platform !== "win32" && watching === undefined) process.on("SIGXFSZ", () => undefined);
  watching ??= import("signal-exit").then(({ onExit }) => onExit(removeHeld));
  return watching;
}

function removeHeld(): void {
  for (const path of held.keys()) {
    try {
      if (isOurs(path, lstatSync(path, { bigint: true }))) rmSync(path, { force: true, recursive: path.endsWith(FOLDER) });
    } catch {
      // The next process sweeps it; the others must go now.
    }
  }
}

const whichOf = ({ dev, ino }: BigIntStats): string => `${dev} ${ino}`;

/** Files go by their name; a folder only where we would have made one. */
function isOurs(path: string, there: BigIntStats): boolean {
  const which = held.get(path);
  return there.isDirectory() === path.endsWith(FOLDER) && (which === undefined || which === whichOf(there));
}

/** Who we are, as a name says it: "<host>.<pid>.<start>". */
export const thisProcess = (): string => `${host()}.${process.pid}.${startOf(process.pid)}`;

/** Whether the process that named itself so has ended for certain: it was on this machine, and is there no more. */
export function hasEnded(owner: string): boolean {
  const [, itsHost, pid, start] = /^([A-Za-z0-9-]+)\.(\d+)\.(\d+)$/.exec(owner) ?? [];
  return itsHost === host() && !isAlive(Number(pid), Number(start));
}

/** A path in `folder` for a file (or folder) of ours: ".<label>.<host>.<pid>.<start>.<random><ending>". It is removed at exit until {@link release}d. */
export async function claim(folder: string, label: string, ending: string): Promise<string> {
  await watchForExit();
  const owner = `${thisProcess()}.${Buffer.from(crypto.getRandomValues(new Uint8Array(6))).toString("hex")}`;
  const path = join(folder, `.${shortened(label)}.${owner}${ending}`);
  held.set(path, undefined);
  return path;
}

/** What lies at a claimed path now is what was made there: from now on nothing else at that path is removed. */
export async function own(path: string): Promise<void> {
  held.set(path, whichOf(await lstat(path, { bigint: true })));
}

/** Stops caring for the file: it was renamed. */
export function release(path: string): void {
  held.delete(path);
}

/** Removes the file (or folder) now, unless something else lies there. */
export async function discard(path: string): Promise<void> {
  const there = await lstat(path, { bigint: true }).catch(() => null);
  if (there !== null && isOurs(path, there)) await patiently(() => rm(path, { force: true, recursive: path.endsWith(FOLDER) }));
  held.delete(path);
}

/** Removes files that dead processes of this machine left in `folder` with this ending and, unless it is null, under this label. */
export async function sweep(folder: string, label: string | null, ending: string): Promise<void> {
  const names = await readdir(folder).catch((error) => {
    throw asFileError(error, folder);
  });
  for (const name of names) {
    const match = /^\.(.+)\.([A-Za-z0-9-]+)\.(\d+)\.(\d+)\.[0-9a-f]{12}(\.[a-z-]+)$/s.exec(name);
    if (match === null) continue;
    const [, itsLabel, itsHost, pid, start, itsEnding] = match;
    if (itsEnding !== ending || itsHost !== host() || (label !== null && itsLabel !== shortened(label))) continue;
    if (isAlive(Number(pid), Number(start))) continue;
    // In a folder that users share it may be another's, whose own next process will remove it.
    await rm(join(folder, name), { force: true, recursive: ending.endsWith(FOLDER) }).catch(() => undefined);
  }
}

function isAlive(pid: number, start: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== "ESRCH"; // EPERM: another user's
  }
  const now = startOf(pid);
  return start === 0 || now === 0 || now === start;
}
