// Hashes of files, as bytes come. What makes them is loaded with the first: it takes milliseconds, and most programs that load the library need none.

import type { Hash } from "node:crypto";

/** A SHA-256 on its way. */
export async function sha256(): Promise<Hash> {
  const { createHash } = await import("node:crypto");
  return createHash("sha256");
}
