// Whether a file is still what it was when it was opened. Others may write over it, cut it short, or put another in its place; what is computed of
// it then would be of two files. An open file stays itself when its name goes to another one: that does no harm.

import { type BigIntStats, fstatSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { BrownianError } from "../errors.js";
import { asFileError } from "./file-errors.js";

/** Which file it is, how long, and when it was last written to. */
export function stampOf({ dev, ino, size, mtimeNs }: BigIntStats): string {
  return [dev, ino, size, mtimeNs].join(" ");
}

/** A file that is read for a while. */
export class Watched {
  /**
   * @param expected its stamp when it was looked at before, if it was; null for a file of our own, which we write to ourselves
   * @throws BrownianError file-not-found, file-access, file-changed
   */
  static async open(path: string, expected?: string | null): Promise<Watched> {
    const handle = await open(path, "r").catch((error) => {
      throw asFileError(error, path);
    });
    try {
      const now = await handle.stat({ bigint: true });
      const watched = new Watched(path, handle, expected === null ? null : (expected ?? stampOf(now)), Number(now.size));
      watched.check();
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

  /** A few microseconds: ticks are to take no time. @throws BrownianError file-changed */
  check(): void {
    const now = fstatSync(this.handle.fd, { bigint: true });
    if (this.stamp === null ? now.size >= this.size : stampOf(now) === this.stamp) return;
    const how =
      now.size < this.size ? `became shorter (${now.size} of ${this.size} bytes are left)` : "was written to or exchanged";
    throw new BrownianError(
      "file-changed",
      `${this.path} ${how} while it was in use: what was computed since is of no one file. Leave it alone meanwhile, and begin again.`,
    );
  }

  async close(): Promise<void> {
    await this.handle.close();
  }
}
