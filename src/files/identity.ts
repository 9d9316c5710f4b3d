// Which file a model is: what results that are kept on disk say of the model that they are of.

import { createReadStream } from "node:fs";
import { basename } from "node:path";
import { readModel } from "./containers/index.js";
import { sha256 } from "./sha256.js";

/** A model by what is in it. */
export interface FileIdentity {
  /** The name of its first file. */
  readonly file: string;
  readonly bytes: number;
  /** In hexadecimal digits. */
  readonly sha256: string;
}

/** Name, size and SHA-256 of a model, with all its files one after the other; the whole of it is read. */
export async function identity(path: string): Promise<FileIdentity> {
  const { parts, size } = await readModel(path);
  const hash = await sha256();
  for (const part of parts)
    for await (const chunk of createReadStream(part.path, { highWaterMark: 1 << 20 })) hash.update(chunk as Buffer);
  return { file: basename(path), bytes: size, sha256: hash.digest("hex") };
}
