// Copying a model: by reference where the file system can, else in pieces that can be watched and stopped. The model is opened for reading only.

import { constants } from "node:fs";
import { chmod, copyFile, type FileHandle, open, statfs } from "node:fs/promises";
import { BrownianError } from "../errors.js";
import { asFileError } from "./file-errors.js";

/** How long work is watched and stopped. */
export interface Watch {
  readonly signal?: AbortSignal | undefined;
  /** Called with bytes done and bytes in all, now and then. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

const PIECE = 4 << 20;

/**
 * Copies `size` bytes of `from` to the new file `to`, in `folder`, which must have room. The copy has the model's permissions, and its owner
 * may write. `wayOut` tells the reader what to do when there is no room. What is there of `to` after an error is the caller's to remove.
 * @throws BrownianError no-space, file-not-found, file-access, truncated-gguf; the signal's reason when aborted
 */
export async function copyModel(
  from: string,
  to: string,
  size: number,
  folder: string,
  wayOut: string,
  watch: Watch,
): Promise<void> {
  watch.signal?.throwIfAborted();
  const source = await open(from, "r").catch((error) => {
    throw asFileError(error, from);
  });
  try {
    if (await clone(from, to)) watch.onProgress?.(size, size);
    else await copyBytes(source, from, to, size, folder, wayOut, watch);
    const { mode } = await source.stat();
    await chmod(to, (mode & 0o777) | 0o600);
  } finally {
    await source.close();
  }
}

async function clone(from: string, to: string): Promise<boolean> {
  try {
    await copyFile(from, to, constants.COPYFILE_FICLONE_FORCE | constants.COPYFILE_EXCL);
    return true;
  } catch {
    return false; // No copy by reference here: on to the bytes.
  }
}

async function copyBytes(
  source: FileHandle,
  from: string,
  to: string,
  size: number,
  folder: string,
  wayOut: string,
  watch: Watch,
): Promise<void> {
  const free = await checkRoom(folder, size, wayOut);
  const target = await open(to, "wx", 0o600).catch((error) => {
    throw asFileError(error, folder);
  });
  try {
    const piece = Buffer.allocUnsafe(Math.min(PIECE, size));
    for (let done = 0; done < size; ) {
      watch.signal?.throwIfAborted();
      const { bytesRead } = await source.read(piece, 0, Math.min(piece.length, size - done), done);
      if (bytesRead === 0) throw new BrownianError("truncated-gguf", `${from} became shorter while it was copied.`);
      await writeFully(target, piece, bytesRead, done);
      done += bytesRead;
      watch.onProgress?.(done, size);
    }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw code === "ENOSPC" || code === "EDQUOT" ? noSpace(folder, size, free, wayOut, error) : asFileError(error, from);
  } finally {
    await target.close();
  }
}

/** How many bytes are free in `folder`; throws `no-space` when that is less than `size`. */
export async function checkRoom(folder: string, size: number, wayOut: string): Promise<number> {
  const { bavail, bsize } = await statfs(folder);
  const free = bavail * bsize;
  if (free < size) throw noSpace(folder, size, free, wayOut);
  return free;
}

/** Writes all `length` bytes at `position`, however many calls that takes. */
export async function writeFully(file: FileHandle, bytes: Uint8Array, length: number, position: number): Promise<void> {
  for (let done = 0; done < length; ) done += (await file.write(bytes, done, length - done, position + done)).bytesWritten;
}

export function noSpace(folder: string, needed: number, free: number, wayOut: string, cause?: unknown): BrownianError {
  return new BrownianError("no-space", `${folder} has no room for ${needed} bytes (${free} are free): ${wayOut}`, { cause });
}
