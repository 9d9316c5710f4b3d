// A disk that fills up at the n-th write, whoever writes.
import { type FileHandle, open } from "node:fs/promises";
import { vi } from "vitest";

/** Makes the n-th write to any file from now on fail as on a full disk, until mocks are restored. */
export async function fillDiskAt(n: number): Promise<void> {
  const handle = await open(process.execPath, "r");
  const prototype = Object.getPrototypeOf(handle) as FileHandle;
  await handle.close();
  const write = prototype.write;
  let calls = 0;
  vi.spyOn(prototype, "write").mockImplementation(async function (this: FileHandle, ...args: unknown[]) {
    if (++calls === n) throw Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC", errno: -28 });
    return Reflect.apply(write, this, args);
  } as FileHandle["write"]);
}
