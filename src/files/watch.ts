// How callers stop and watch long work on files; files themselves take a FileWatch, which knows no total.

import type { FileWatch } from "../kernels/files.js";
import type { Names } from "../options.js";
import { byCaller } from "./file-errors.js";

/** How long work is stopped and watched. */
export interface Watch {
  /** Stops the work when it is aborted; the promise then rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** Called with bytes done and bytes in all, now and then. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

/** The names of {@link Watch}. */
export const WATCH: Names<Watch> = { signal: true, onProgress: true };

/** A caller's watch over work on `total` bytes in all. */
export function watchOver(total: number, { signal, onProgress }: Watch): FileWatch {
  let done = 0;
  const report = onProgress === undefined ? undefined : byCaller(onProgress);
  return {
    signal,
    onBytes: (bytes) => {
      done += bytes;
      report?.(done, total);
    },
  };
}
