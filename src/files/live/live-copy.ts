// The live copy of a model: the file that is moved and that an inference engine maps. It lies in a scratch folder, never beside the model
// unless asked to, and goes when it is disposed of, when the process ends, or, after a kill, when the next one begins.

import { chmod, lstat, mkdir } from "node:fs/promises";
import { tmpdir, userInfo } from "node:os";
import { basename, join, resolve } from "node:path";
import { environment } from "../../environment.js";
import { BrownianError } from "../../errors.js";
import type { FileWatch } from "../../kernels/files.js";
import { copyModel } from "../copy.js";
import { asFileError } from "../file-errors.js";
import { claim, discard, sweep } from "../owned.js";
import type { ModelFile } from "../tensor.js";

const ENDING = ".brownian-live";
const ELSEWHERE = "name another folder with --scratch (or BROWNIAN_SCRATCH).";

export interface LiveCopyOptions extends FileWatch {
  /** The scratch folder; default: BROWNIAN_SCRATCH, else a folder of our own in the system's temporary directory. */
  readonly dir?: string | undefined;
}

/**
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
      await copyModel(model, path, `free some, or ${ELSEWHERE}`, options);
      await chmod(path, 0o600);
    } catch (error) {
      await discard(path);
      throw asFileError(error, path);
    }
    return new LiveCopy(path);
  }

  private constructor(readonly path: string) {}

  /** Removes the copy. Idempotent. */
  async dispose(): Promise<void> {
    await discard(this.path);
  }
}

async function scratchFolder(asked: string | undefined): Promise<string> {
  const named = asked ?? environment.scratch;
  if (!named) return ownFolder();
  const folder = resolve(named);
  try {
    // Only its last part is made: a mistyped path is not to grow into a tree.
    await mkdir(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw asFileError(error, folder);
  }
  return folder;
}

/** In a directory that all users share, the name may have been taken by someone else, who could then exchange what lies in it. */
async function ownFolder(): Promise<string> {
  const uid = process.getuid?.(); // the user may have no name, as in containers
  const folder = join(tmpdir(), `brownian-${uid ?? userInfo().username}`);
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const there = await lstat(folder);
    if (!there.isDirectory() || (uid !== undefined && there.uid !== uid)) {
      throw new BrownianError("file-access", `${folder} is not a folder of ours: ${ELSEWHERE}`);
    }
    if ((there.mode & 0o077) !== 0) await chmod(folder, 0o700);
  } catch (error) {
    throw asFileError(error, folder);
  }
  return folder;
}
