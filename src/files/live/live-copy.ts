// The live copy of a model: the file that is moved and that an inference engine maps. It lies in a scratch folder, never beside the model
// unless asked to, and goes when it is disposed of, when the process ends, or, after a kill, when the next one begins.

import { chmod, type FileHandle, lstat, mkdir, open } from "node:fs/promises";
import { tmpdir, userInfo } from "node:os";
import { basename, join, resolve } from "node:path";
import { environment } from "../../environment.js";
import { BrownianError } from "../../errors.js";
import type { FileWatch } from "../../kernels/files.js";
import { copyModel } from "../copy.js";
import { asFileError } from "../file-errors.js";
import { claim, discard, own, sweep } from "../owned.js";
import type { ModelFile } from "../tensor.js";

const ENDING = ".brownian-live";
const ELSEWHERE = "name another folder with --scratch (or BROWNIAN_SCRATCH).";

export interface LiveCopyOptions extends FileWatch {
  /** The scratch folder; default: BROWNIAN_SCRATCH, else a folder of our own in the system's temporary directory. */
  readonly dir?: string | undefined;
}

/**
 * A live copy. On Linux it has no name once it is made, so that nobody cuts it short under the engine that has it mapped, and none is left when its
 * process ends in whatever way; it is opened by way of this process: /proc/PID/fd/N. Elsewhere it lies under its name in the scratch folder.
 *
 * @example
 * const copy = await LiveCopy.create(await readModel("model.gguf"));
 * await copy.dispose(); // removes copy.path
 */
export class LiveCopy {
  /** @throws BrownianError no-space, file-not-found, file-access; the signal's reason when aborted. No copy is left then. */
  static async create(model: ModelFile, options: LiveCopyOptions = {}): Promise<LiveCopy> {
    const folder = await scratchFolder(options.dir);
    await sweep(folder, null, ENDING);
    const path = await claim(folder, basename(model.path, ".gguf"), ENDING);
    try {
      await copyModel(model, path, `free some, or ${ELSEWHERE}`, options, { ours: true });
      await own(path);
      const unnamed = await openUnnamed(path);
      return unnamed === undefined ? new LiveCopy(path) : new LiveCopy(`/proc/${process.pid}/fd/${unnamed.fd}`, unnamed);
    } catch (error) {
      await discard(path);
      throw scratchError(error, folder, path);
    }
  }

  private constructor(
    /** Where it is opened. */
    readonly path: string,
    private readonly unnamed?: FileHandle,
  ) {}

  /** Removes the copy. Idempotent. */
  async dispose(): Promise<void> {
    if (this.unnamed === undefined) await discard(this.path);
    else await this.unnamed.close();
  }
}

/** Takes the file's name away and keeps it open, where it can be opened all the same; else undefined, and it stays as it was. */
async function openUnnamed(path: string): Promise<FileHandle | undefined> {
  if (process.platform !== "linux") return undefined;
  const handle = await open(path, "r+");
  try {
    // There may be no /proc, or no right to read there.
    await (await open(`/proc/${process.pid}/fd/${handle.fd}`, "r+")).close();
    await discard(path);
    return handle;
  } catch {
    await handle.close();
    return undefined;
  }
}

/** What is wrong with the scratch folder names the way out. */
function scratchError(error: unknown, folder: string, path: string): unknown {
  const { code, path: of } = ((error instanceof BrownianError ? error.cause : error) ?? {}) as NodeJS.ErrnoException;
  if (of !== undefined && !of.startsWith(folder)) return asFileError(error, path); // the model's
  if (code === "EROFS")
    return new BrownianError("file-access", `${folder} is read-only, so no live copy fits in it: ${ELSEWHERE}`, { cause: error });
  if (code === "EACCES" || code === "EPERM")
    return new BrownianError(
      "file-access",
      `${folder} may not be written to (${code}), so no live copy fits in it: ${ELSEWHERE}`,
      {
        cause: error,
      },
    );
  if (code === "EFBIG")
    return new BrownianError(
      "no-space",
      `A file in ${folder} may not become as large as the model's live copy (EFBIG): raise the limit (ulimit -f), or ${ELSEWHERE}`,
      { cause: error },
    );
  return asFileError(error, path);
}

/** The scratch folder that was asked for, else the one of the environment, else our own. @throws BrownianError file-access, file-not-found */
export async function scratchFolder(asked: string | undefined): Promise<string> {
  const named = asked ?? environment.scratch;
  if (!named) return ownFolder();
  const folder = resolve(named);
  try {
    // Only its last part is made: a mistyped path is not to grow into a tree.
    await mkdir(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw scratchError(error, folder, folder);
  }
  return folder;
}

/** In a directory that all users share, the name may have been taken by someone else, who could then exchange what lies in it. */
async function ownFolder(): Promise<string> {
  const uid = process.getuid?.(); // the user may have no name, as in containers
  const folder = join(tmpdir(), `brownian-${uid ?? userInfo().username}`);
  try {
    await mkdir(folder, { mode: 0o700 }).catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT")
        throw new BrownianError(
          "file-not-found",
          `There is no folder ${tmpdir()} for temporary files (TMPDIR): make it, or ${ELSEWHERE}`,
        );
      if (error.code !== "EEXIST") throw error;
    });
    const there = await lstat(folder);
    if (!there.isDirectory() || (uid !== undefined && there.uid !== uid)) {
      throw new BrownianError("file-access", `${folder} is not a folder of ours: ${ELSEWHERE}`);
    }
    if ((there.mode & 0o077) !== 0) await chmod(folder, 0o700);
  } catch (error) {
    throw scratchError(error, folder, folder);
  }
  return folder;
}
