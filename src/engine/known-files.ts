// Which files the engine has loaded well before, remembered from one process to the next in the user's cache folder. Only hashes are kept. A
// folder that cannot be used, or that another user owns, is the same as none: never an error.

import { lstat, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { environment } from "../environment.js";
import { cacheFolder } from "../files/cache-folder.js";

const FOLDER = "first-loads";
/** So many files are remembered; then all are forgotten, which costs one child each. */
const MOST = 1000;

/** The folder, of ours and private. @throws where it is not */
async function folder(): Promise<string> {
  const own = cacheFolder();
  // Of a folder that was named only the last part is made: a mistyped path is not to grow into a tree.
  if (environment.cache === undefined) await mkdir(dirname(own), { recursive: true, mode: 0o700 });
  const path = join(own, FOLDER);
  for (const each of [own, path]) {
    await mkdir(each, { mode: 0o700 }).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "EEXIST") throw error;
    });
    const there = await lstat(each);
    const uid = process.getuid?.();
    if (!there.isDirectory() || (uid !== undefined && there.uid !== uid)) throw new Error(`${each} is not a folder of ours`);
  }
  return path;
}

/** Whether `key`, a name of letters and digits, was remembered. */
export async function isKnown(key: string): Promise<boolean> {
  try {
    return (await readFile(join(await folder(), key), "utf8")) === key;
  } catch {
    return false;
  }
}

/** Remembers `key`; resolves to whether that was possible. */
export async function makeKnown(key: string): Promise<boolean> {
  try {
    const path = await folder();
    const names = await readdir(path);
    if (names.length >= MOST) await Promise.all(names.map((name) => rm(join(path, name), { force: true })));
    await writeFile(join(path, key), key, { mode: 0o600 });
    return true;
  } catch {
    return false;
  }
}
