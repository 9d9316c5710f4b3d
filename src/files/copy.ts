// Copying a model: by reference where the file system can, else in chunks that can be watched and stopped. The model is opened for reading only.

import { constants } from "node:fs";
import { chmod, copyFile, type FileHandle, open, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { BrownianError } from "../errors.js";
import type { FileWatch } from "../kernels/files.js";
import { asFileError } from "./file-errors.js";
import { checkRoom, isFull, type Needed, noSpace } from "./room.js";
import type { ModelPart } from "./tensor.js";
import { readFully, writeFully } from "./transfer.js";

const CHUNK = 4 << 20;
/** Permissions of what is nobody else's. */
const OURS = 0o600;

type Source = Pick<ModelPart, "path" | "size">;

/**
 * Copies the model to the new file `to`, whose folder must have room. The copy has the model's permissions, as far as the umask allows, and its
 * owner may write. What is there of `to` after an error is the caller's to remove.
 * @param ours whether the copy is for its owner alone
 * @param wayOut tells the reader what to do when there is no room
 * @throws BrownianError no-space, file-not-found, file-access, truncated-gguf; the signal's reason when aborted
 */
export async function copyModel(
  model: Source,
  to: string,
  wayOut: string,
  watch: FileWatch = {},
  { ours = false } = {},
): Promise<void> {
  watch.signal?.throwIfAborted();
  const source = await open(model.path, "r").catch((error) => {
    throw asFileError(error, model.path);
  });
  try {
    // For a copy by reference, too: it takes room as it is written to.
    const needed = { folder: dirname(to), bytes: model.size, wayOut };
    const free = await checkRoom(needed);
    const make = () =>
      (ours ? open(to, "wx", OURS) : openNew(to, source)).catch((error) => {
        throw asFileError(error, needed.folder);
      });
    let target = await make();
    try {
      if (await clone(model.path, to, target)) {
        watch.onBytes?.(model.size);
        return;
      }
      await target.close();
      target = await make();
      await copyBytes(source, model, target, { ...needed, free }, watch);
    } finally {
      await target.close();
    }
  } finally {
    await source.close();
  }
}

/** Makes a file with the permissions of another, as far as the umask allows; its owner may read and write. */
export async function openNew(to: string, like: FileHandle): Promise<FileHandle> {
  const { mode } = await like.stat();
  return open(to, "wx", (mode & 0o777) | 0o600);
}

/** Whether the empty file `made`, which lies at `to`, gave way to a copy by reference with its permissions; else nothing lies there any more. */
async function clone(from: string, to: string, made: FileHandle): Promise<boolean> {
  const { mode } = await made.stat(); // what the umask left of the model's
  await rm(to);
  try {
    await copyFile(from, to, constants.COPYFILE_FICLONE_FORCE | constants.COPYFILE_EXCL);
    await chmod(to, mode & 0o777);
    return true;
  } catch {
    await rm(to, { force: true });
    return false; // No copy by reference here: on to the bytes.
  }
}

async function copyBytes(
  source: FileHandle,
  model: Source,
  target: FileHandle,
  needed: Needed & { readonly free: number },
  watch: FileWatch,
): Promise<void> {
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
    throw isFull(error) ? noSpace(needed, needed.free, error) : asFileError(error, model.path);
  }
}
