// A file in the scratch folder for as long as somebody reads it: what engines take by name only. Gone after, and after a kill with the next one.

import { scratchFolder } from "./live/live-copy.js";
import { claim, discard, sweep } from "./owned.js";

const ENDING = ".brownian-scratch";

/**
 * Runs `use` on the path of a file that `write` makes there, and removes it.
 * @param dir the scratch folder; default: BROWNIAN_SCRATCH, else a folder of our own in the system's temporary directory
 * @throws BrownianError file-access, file-not-found; what `write` and `use` throw
 */
export async function withScratchFile<T>(
  dir: string | undefined,
  label: string,
  write: (path: string) => Promise<void>,
  use: (path: string) => Promise<T>,
): Promise<T> {
  const folder = await scratchFolder(dir);
  await sweep(folder, null, ENDING);
  const path = await claim(folder, label, ENDING);
  try {
    await write(path);
    return await use(path);
  } finally {
    await discard(path);
  }
}
