// Windows lets nobody rename or remove a file that someone has open, if only a virus scanner for a moment: such work is tried again for a while.

const BUSY: readonly (string | undefined)[] = ["EBUSY", "EPERM", "EACCES"];
/** Milliseconds before each further attempt: a second and a half in all. */
const WAITS: readonly number[] = [10, 30, 100, 300, 1000];

/**
 * What `work` gives, tried again where the file is in use.
 * @throws what the last attempt throws
 */
export async function patiently<T>(work: () => Promise<T>, platform: string = process.platform): Promise<T> {
  for (const wait of platform === "win32" ? WAITS : []) {
    try {
      return await work();
    } catch (error) {
      if (!BUSY.includes((error as NodeJS.ErrnoException).code)) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, wait));
  }
  return work();
}
