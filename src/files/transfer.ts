// Reads and writes at a position, of all the bytes that were asked for, however many calls that takes. Errors are the file system's own.

import { readSync, writeSync } from "node:fs";
import type { FileHandle } from "node:fs/promises";

/** Bytes of one call, at most: from 2 GiB on Node ends the process or refuses. */
const AT_ONCE = 2 ** 30;

/** Fills `bytes` from `position` on. Returns how many there were: fewer where the file ends before. */
export async function readFully(file: FileHandle, bytes: Uint8Array, position: number): Promise<number> {
  let done = 0;
  while (done < bytes.length) {
    const { bytesRead } = await file.read(bytes, done, Math.min(AT_ONCE, bytes.length - done), position + done);
    if (bytesRead === 0) break;
    done += bytesRead;
  }
  return done;
}

export async function writeFully(file: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    done += (await file.write(bytes, done, Math.min(AT_ONCE, bytes.length - done), position + done)).bytesWritten;
  }
}

/**
 * Bytes that are sooner copied from and to the system's memory than a thread is asked for them and answers: a hundredth of a millisecond. Others have no
 * turn of the event loop meanwhile.
 */
export const BRIEF = 2 ** 16;

/** As `readFully`, at once: for `BRIEF` bytes at most. */
export function readAtOnce(file: FileHandle, bytes: Uint8Array, position: number): number {
  let done = 0;
  while (done < bytes.length) {
    const read = readSync(file.fd, bytes, done, bytes.length - done, position + done);
    if (read === 0) break;
    done += read;
  }
  return done;
}

/** As `writeFully`, at once: for `BRIEF` bytes at most. */
export function writeAtOnce(file: FileHandle, bytes: Uint8Array, position: number): void {
  for (let done = 0; done < bytes.length; ) done += writeSync(file.fd, bytes, done, bytes.length - done, position + done);
}
