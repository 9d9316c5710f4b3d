// Copying a model: by reference where the file system can, else in pieces that can be watched and stopped.

import { constants } from "node:fs";
import { copyFile, type FileHandle, open, statfs } from "node:fs/promises";
import { BrownianError } from "../errors.js";
import { asFileError } from "./model-file.js";

export interface Watch {
  readonly signal?: AbortSignal;
  /** Called with bytes done and bytes in all. */
  readonly onProgress?: (done: number, total: number) => void;
}

const PIECE = 4 << 20;

/**
 * Copies `size` bytes of `from` to the new file `to`, in `folder`, which must have room. `wayOut` tells the reader what to do when it has not.
 * @throws BrownianError no-space, file-access, aborted
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
  try {
    await copyFile(from, to, constants.COPYFILE_FICLONE_FORCE | constants.COPYFILE_EXCL);
    watch.onProgress?.(size, size);
    return;
  } catch {
    // No copy by reference here: on to the bytes.
  }
  const { bavail, bsize } = await statfs(folder);
  const free = Number(bavail) * Number(bsize);
  if (free < size) throw noSpace(folder, size, free, wayOut);
  let source: FileHandle | undefined;
  let target: FileHandle | undefined;
  try {
    source = await open(from, "r");
    target = await open(to, "w", 0o600);
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
    if ((error as NodeJS.ErrnoException).code === "ENOSPC" || (error as NodeJS.ErrnoException).code === "EDQUOT") {
      throw noSpace(folder, size, free, wayOut);
    }
    throw asFileError(error, to);
  } finally {
    await source?.close();
    await target?.close();
  }
}

/** Writes all `length` bytes at `position`, however many calls that takes. */
export async function writeFully(file: FileHandle, bytes: Uint8Array, length: number, position: number): Promise<void> {
  for (let done = 0; done < length; ) done += (await file.write(bytes, done, length - done, position + done)).bytesWritten;
}

function noSpace(folder: string, needed: number, free: number, wayOut: string): BrownianError {
  return new BrownianError("no-space", `${folder} has no room for ${needed} bytes (${free} are free): ${wayOut}`);
}
