// Whether a file is still what it was when it was opened. Others may write over it, cut it short, or put another in its place; what is computed of
// it then would be of two files. An open file stays itself when its name goes to another one: that does no harm.

import { type BigIntStats, fstatSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { BrownianError } from "../errors.js";
import { asFileError } from "./file-errors.js";
import { sha256 } from "./sha256.js";
import type { FileMark } from "./tensor.js";

/** Which file it is, how long, and when it was last written to. */
export function stampOf({ dev, ino, size, mtimeNs }: BigIntStats): string {
  return [dev, ino, size, mtimeNs].join(" ");
}

/** Whether an open file begins with the header that was read of a model. A header that is not known is any. */
export async function hasHeader(handle: FileHandle, { header }: FileMark): Promise<boolean> {
  if (header === undefined) return true;
  const hash = await sha256();
  if (header.bytes > 0)
    for await (const chunk of handle.createReadStream({ start: 0, end: header.bytes - 1, autoClose: false }))
      hash.update(chunk as Buffer);
  return hash.digest("hex") === header.sha256;
}

/** A file that is read for a while. */
export class Watched {
  /**
   * @param expected what it was when it was looked at before, if it was; null for a file of our own, which we write to ourselves
   * @throws BrownianError file-not-found, file-access, file-changed
   */
  static async open(path: string, expected: FileMark | null = {}): Promise<Watched> {
    const handle = await open(path, "r").catch((error) => {
      throw asFileError(error, path);
    });
    try {
      const now = await handle.stat({ bigint: true });
      const stamp = expected === null ? null : (expected.stamp ?? stampOf(now));
      const watched = new Watched(path, handle, stamp, Number(now.size));
      watched.check();
      if (expected !== null && !(await hasHeader(handle, expected))) throw changed(path, "was written to or exchanged");
      return watched;
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  private constructor(
    readonly path: string,
    readonly handle: FileHandle,
    private readonly stamp: string | null,
    private readonly size: number,
  ) {}

  /** What it was found to be, when it was what it should be: to compare this takes no text. */
  private good: BigIntStats | undefined;

  /** A few microseconds: ticks are to take no time. @throws BrownianError file-changed */
  check(): void {
    const now = fstatSync(this.handle.fd, { bigint: true });
    const { good } = this;
    if (good?.mtimeNs === now.mtimeNs && good.size === now.size && good.ino === now.ino && good.dev === now.dev) return;
    if (this.stamp === null ? now.size >= this.size : stampOf(now) === this.stamp) {
      this.good = now;
      return;
    }
    const how =
      now.size < this.size ? `became shorter (${now.size} of ${this.size} bytes are left)` : "was written to or exchanged";
    throw changed(this.path, how);
  }

  async close(): Promise<void> {
    await this.handle.close();
  }
}

function changed(path: string, how: string): BrownianError {
  return new BrownianError(
    "file-changed",
    `${path} ${how} while it was in use: what was computed since is of no one file. Leave it alone meanwhile, and begin again.`,
  );
}
