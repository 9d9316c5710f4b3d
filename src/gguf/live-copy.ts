// The live copy of a model: the file that is moved and that an inference engine maps. It lies in a scratch folder, never beside the model
// unless asked to, and goes when it is disposed of, when the process ends, or, after a kill, when the next one begins.

import { chmod, mkdir } from "node:fs/promises";
import { tmpdir, userInfo } from "node:os";
import { basename, join, resolve } from "node:path";
import { copyModel, type Watch } from "./copy.js";
import { asFileError, type ModelFile } from "./model-file.js";
import { claim, discard, sweep } from "./owned.js";

const ENDING = ".brownian-live";

export interface LiveCopyOptions extends Watch {
  /** The scratch folder; default: BROWNIAN_SCRATCH, else a folder of our own in the system's temporary directory. */
  readonly dir?: string;
}

export class LiveCopy {
  /** @throws BrownianError no-space, file-access, aborted; no copy is left then. */
  static async create(model: ModelFile, options: LiveCopyOptions = {}): Promise<LiveCopy> {
    const folder = await scratchFolder(options.dir);
    await sweep(folder, null, ENDING);
    const path = claim(
      folder,
      basename(model.path)
        .replace(/\.gguf$/, "")
        .slice(0, 80),
      ENDING,
    );
    try {
      await copyModel(
        model.path,
        path,
        model.size,
        folder,
        "free some, or name another folder with --scratch (or BROWNIAN_SCRATCH).",
        options,
      );
      await chmod(path, 0o600); // a copy by reference has the mode of a model that may be read-only
    } catch (error) {
      await discard(path);
      throw error;
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
  const named = asked ?? process.env.BROWNIAN_SCRATCH;
  const folder = named ? resolve(named) : join(tmpdir(), `brownian-${userInfo().username}`);
  try {
    // A folder that the user names must be there: a mistyped one is not to be made.
    if (named) await mkdir(folder, { recursive: false }).catch(ignoreExisting);
    else await mkdir(folder, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw asFileError(error, folder);
  }
  return folder;
}

function ignoreExisting(error: NodeJS.ErrnoException): void {
  if (error.code !== "EEXIST") throw error;
}
