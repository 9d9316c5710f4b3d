// Copying a model, in chunks that can be watched and stopped. Never by reference, though file systems could: a copy that shares its room with the
// model takes more at every write to it, and none was kept for that. The model is opened for reading only.

import { type FileHandle, open } from "node:fs/promises";
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
    const needed = { folder: dirname(to), bytes: model.size, wayOut };
    const free = await checkRoom(needed);
    const made = ours ? open(to, "wx", OURS) : openNew(to, source);
    const target = await made.catch((error) => {
      throw asFileError(error, needed.folder);
    });
    try {
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
