// Copying a model: by reference where the file system can, else in chunks that can be watched and stopped. The model is opened for reading only.

import { constants } from "node:fs";
import { chmod, copyFile, type FileHandle, open } from "node:fs/promises";
import { dirname } from "node:path";
import { BrownianError } from "../errors.js";
import type { FileWatch } from "../kernels/files.js";
import { asFileError } from "./file-errors.js";
import { checkRoom, isFull, noSpace } from "./room.js";
import type { ModelFile } from "./tensor.js";
import { readFully, writeFully } from "./transfer.js";

const CHUNK = 4 << 20;

type Source = Pick<ModelFile, "path" | "size">;

/**
 * Copies the model to the new file `to`, whose folder must have room. The copy has the model's permissions, and its owner may write.
 * What is there of `to` after an error is the caller's to remove.
 * @param wayOut tells the reader what to do when there is no room
 * @throws BrownianError no-space, file-not-found, file-access, truncated-gguf; the signal's reason when aborted
 */
export async function copyModel(model: Source, to: string, wayOut: string, watch: FileWatch = {}): Promise<void> {
  watch.signal?.throwIfAborted();
  const source = await open(model.path, "r").catch((error) => {
    throw asFileError(error, model.path);
  });
  try {
    if (await clone(model.path, to)) watch.onBytes?.(model.size);
    else await copyBytes(source, model, to, wayOut, watch);
    await takePermissions(source, to);
  } finally {
    await source.close();
  }
}

/** Gives a file the permissions of another; its owner may read and write. */
export async function takePermissions(source: FileHandle, path: string): Promise<void> {
  const { mode } = await source.stat();
  await chmod(path, (mode & 0o777) | 0o600);
}

async function clone(from: string, to: string): Promise<boolean> {
  try {
    await copyFile(from, to, constants.COPYFILE_FICLONE_FORCE | constants.COPYFILE_EXCL);
    return true;
  } catch {
    return false; // No copy by reference here: on to the bytes.
  }
}

async function copyBytes(source: FileHandle, model: Source, to: string, wayOut: string, watch: FileWatch): Promise<void> {
  const needed = { folder: dirname(to), bytes: model.size, wayOut };
  const free = await checkRoom(needed);
  const target = await open(to, "wx", 0o600).catch((error) => {
    throw asFileError(error, needed.folder);
  });
  try {
    const buffer = Buffer.allocUnsafe(Math.min(CHUNK, model.size));
    for (let done = 0; done < model.size; done += CHUNK) {
      watch.signal?.throwIfAborted();
      const chunk = buffer.subarray(0, model.size - done);
      if ((await readFully(source, chunk, done)) < chunk.length)
        throw new BrownianError("truncated-gguf", `${model.path} became shorter while it was copied.`);
      await writeFully(target, chunk, done);
      watch.onBytes?.(chunk.length);
    }
  } catch (error) {
    throw isFull(error) ? noSpace(needed, free, error) : asFileError(error, model.path);
  } finally {
    await target.close();
  }
}
