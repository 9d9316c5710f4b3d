// Whether there is room for a file in its folder: asked before work begins, and said when it ran out on the way. Knows nothing of models.

import { statfs } from "node:fs/promises";
import { BrownianError } from "../errors.js";
import { isCallers } from "./file-errors.js";

/** What is to be written, and where. */
export interface Needed {
  readonly folder: string;
  readonly bytes: number;
  /** What whoever reads of it can do when there is no room. */
  readonly wayOut: string;
}

/** How many bytes are free. @throws BrownianError no-space when that is less than needed */
export async function checkRoom(needed: Needed): Promise<number> {
  const { bavail, bsize } = await statfs(needed.folder);
  const free = bavail * bsize;
  if (free < needed.bytes) throw noSpace(needed, free);
  return free;
}

export function noSpace({ folder, bytes, wayOut }: Needed, free: number, cause?: unknown): BrownianError {
  return new BrownianError("no-space", `${folder} has no room for ${bytes} bytes (${free} are free): ${wayOut}`, { cause });
}

/** Whether that is what went wrong. */
export function isFull(error: unknown): boolean {
  if (isCallers(error)) return false;
  const { code } = error as NodeJS.ErrnoException;
  return code === "ENOSPC" || code === "EDQUOT";
}
