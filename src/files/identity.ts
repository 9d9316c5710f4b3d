// Which file a model is: what results that are kept on disk say of the model that they are of.

import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { basename } from "node:path";

/** A file by what is in it. */
export interface FileIdentity {
  readonly file: string;
  readonly bytes: number;
  /** In hexadecimal digits. */
  readonly sha256: string;
}

/** Name, size and SHA-256 of a file; the whole of it is read. */
export async function identity(path: string): Promise<FileIdentity> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(chunk as Buffer);
  return { file: basename(path), bytes: (await stat(path)).size, sha256: hash.digest("hex") };
}
