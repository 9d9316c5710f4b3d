// The live copy of a model: the file that is moved and that an inference engine maps. It lies in a scratch folder, never beside the model
// unless asked to, and goes when it is disposed of, when the process ends, or, after a kill, when the next one begins.

import { chmod, type FileHandle, lstat, mkdir, open, rm, symlink } from "node:fs/promises";
import { tmpdir, userInfo } from "node:os";
import { basename, join, resolve } from "node:path";
import { environment } from "../../environment.js";
import { BrownianError, checkText, shown } from "../../errors.js";
import type { FileWatch } from "../../kernels/files.js";
import { copyModel } from "../copy.js";
import { asDenied, asFileError } from "../file-errors.js";
import { claim, discard, FOLDER, own, sweep } from "../owned.js";
import { checkRoom } from "../room.js";
import type { ModelFile } from "../tensor.js";

const ENDING = ".brownian-live";
const ELSEWHERE = "name another folder with --scratch (or BROWNIAN_SCRATCH).";
const WAY_OUT = `free some, or ${ELSEWHERE}`;

export interface LiveCopyOptions extends FileWatch {
  /** The scratch folder; default: BROWNIAN_SCRATCH, else a folder of our own in the system's temporary directory. */
  readonly dir?: string | undefined;
}

/**
 * A live copy. On Linux it has no name once it is made, so that nobody cuts it short under the engine that has it mapped, and none is left when its
 * process ends in whatever way; it is opened by way of this process: /proc/PID/fd/N. Elsewhere it lies under its name in the scratch folder.
 *
 * Of a model in several files, engines find the others by the name of the first. So the copies have the files' own names, in a folder; on Linux
 * these are links to what has no name.
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
    await sweep(folder, null, ENDING + FOLDER);
    const inFolder = model.parts.length > 1;
    const path = await claim(folder, basename(model.path, ".gguf"), inFolder ? ENDING + FOLDER : ENDING);
    const unnamed: FileHandle[] = [];
    try {
      if (!inFolder) await copyModel(model, path, WAY_OUT, options, { ours: true });
      else {
        await checkRoom({ folder, bytes: model.size, wayOut: WAY_OUT });
        await mkdir(path, { mode: 0o700 });
        for (const part of model.parts) await copyModel(part, join(path, basename(part.path)), WAY_OUT, options, { ours: true });
      }
      await own(path);
      const parts = inFolder ? model.parts.map((part) => join(path, basename(part.path))) : [path];
      for (const part of parts) {
        const handle = await openUnnamed(part);
        if (handle !== undefined) unnamed.push(handle);
      }
      const without = unnamed.map(({ fd }) => `/proc/${process.pid}/fd/${fd}`);
      if (without.length < parts.length) return new LiveCopy(parts, path, unnamed);
      if (!inFolder) {
        await discard(path);
        return new LiveCopy(without, undefined, unnamed);
      }
      for (const [i, part] of parts.entries()) {
        await rm(part);
        await symlink(without[i] as string, part);
      }
      return new LiveCopy(parts, path, unnamed);
    } catch (error) {
      await release(unnamed);
      await discard(path);
      throw scratchError(error, folder, path);
    }
  }

  private constructor(
    /** Where its files are opened, in the order of the model's. */
    readonly parts: readonly string[],
    /** What of it has a name in the scratch folder: the file, or the folder of several. */
    private readonly named: string | undefined,
    private readonly unnamed: readonly FileHandle[],
  ) {}

  /** Where it is opened: its first file, where there are several. */
  get path(): string {
    return this.parts[0] as string;
  }

  /** Removes the copy. Idempotent. */
  async dispose(): Promise<void> {
    await release(this.unnamed);
    if (this.named !== undefined) await discard(this.named);
  }
}

/**
 * Files without a name, until their copies are disposed of. A copy whose path alone is kept stays, as one with a name would: Node closes open files
 * that nobody refers to any more, and the next file to be opened has their number, and so that path.
 */
const held = new Set<FileHandle>();

async function release(handles: readonly FileHandle[]): Promise<void> {
  for (const handle of handles) {
    await handle.close();
    held.delete(handle);
  }
}

/** Opens a file so that it can be opened again by way of this process, whether it has a name or not; undefined where that is not possible. */
async function openUnnamed(path: string): Promise<FileHandle | undefined> {
  if (process.platform !== "linux") return undefined;
  const handle = await open(path, "r+");
  try {
    // There may be no /proc, or no right to read there.
    await (await open(`/proc/${process.pid}/fd/${handle.fd}`, "r+")).close();
    held.add(handle);
    return handle;
  } catch {
    await handle.close();
    return undefined;
  }
}

/** What is wrong with the scratch folder names the way out. */
function scratchError(error: unknown, folder: string, path: string): unknown {
  if (asFileError(error, path) === error && !(error instanceof BrownianError)) return error; // none of the file system's
  if (asDenied(error) !== undefined) return asDenied(error);
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
  if (named === undefined || checkText("scratch", named) === "") return ownFolder();
  if (named.includes("\0")) throw new BrownianError("usage", `scratch must be the path of a folder, but is ${shown(named)}.`);
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
