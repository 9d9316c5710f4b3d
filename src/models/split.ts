// Models that lie in several files: put together once, in the cache, since what moves is one file.

import { createHash } from "node:crypto";
import { mkdir, stat } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { mergeParts } from "../files/containers/gguf-merge.js";
import { asFileError } from "../files/file-errors.js";
import { writeWhole } from "../files/index.js";
import { checkRoom } from "../files/room.js";
import { isFile, modelsFolder } from "./cache.js";
import { partsOf, wholeOf } from "./choose.js";
import type { DownloadOptions } from "./download.js";
import { locked } from "./lock.js";

const DIGITS = 16;

/** The path of a model as one file: `path` itself, unless it is the first of several. @throws BrownianError file-not-found, corrupt-gguf, no-space */
export async function inOneFile(path: string, options: DownloadOptions): Promise<string> {
  const parts = partsOf(basename(path)).map((name) => join(dirname(resolve(path)), name));
  if (parts.length === 1) return path;
  const hash = createHash("sha256");
  let bytes = 0;
  for (const part of parts) {
    const { size, mtimeMs } = await stat(part).catch((error) => Promise.reject(asFileError(error, part)));
    hash.update(`${part} ${size} ${mtimeMs}\n`);
    bytes += size;
  }
  const target = join(modelsFolder(), "merged", hash.digest("hex").slice(0, DIGITS), wholeOf(basename(path)));
  if (await isFile(target)) return target;
  await mkdir(dirname(target), { recursive: true });
  const wayOut = "the parts are put together there. Free some, or set BROWNIAN_CACHE to a folder that has room.";
  await checkRoom({ folder: dirname(target), bytes, wayOut });
  await locked(
    `${target}.lock`,
    async () => {
      if (!(await isFile(target))) await writeWhole(target, parts[0] as string, (partial) => mergeParts(parts, partial, options));
    },
    options,
  );
  return target;
}
