// What the file system refuses, in words for the person at the keyboard. Knows nothing of models.

import { BrownianError } from "../errors.js";

/** What functions of the caller's have thrown: theirs, whatever it looks like. */
const callers = new WeakSet<object>();

/** A function of the caller's, whose exceptions come back to the caller as they are. */
export function byCaller<A extends readonly unknown[], R>(f: (...args: A) => R): (...args: A) => R {
  return (...args) => {
    try {
      return f(...args);
    } catch (error) {
      if (error instanceof Object) callers.add(error);
      throw error;
    }
  };
}

/** Whether a function of the caller's has thrown this. */
export const isCallers = (error: unknown): boolean => error instanceof Object && callers.has(error);

/** What to type for each right that Node's permission model may have withheld. */
const RIGHTS: Readonly<Record<string, string>> = {
  FileSystemRead: "--allow-fs-read=PATH",
  FileSystemWrite: "--allow-fs-write=PATH",
  ChildProcess: "--allow-child-process",
  WorkerThreads: "--allow-worker",
};

/** Node's permission model refused (`node --permission`): the error says which flag allows it; undefined for another error. */
export function asDenied(error: unknown): BrownianError | undefined {
  const { code, permission = "", resource = "" } = (error ?? {}) as { code?: string; permission?: string; resource?: string };
  if (code !== "ERR_ACCESS_DENIED" || isCallers(error)) return undefined;
  const flag = (RIGHTS[permission] ?? "").replace("PATH", resource || "PATH");
  const what = [permission, resource].filter((part) => part !== "").join(" of ");
  return new BrownianError(
    "file-access",
    `Node's permission model does not allow this process ${what || "that"}${flag && `: node --permission ${flag} allows it`}.`,
    { cause: error },
  );
}

/** `error` as a BrownianError about `path`, when it is the file system's; anything else comes back as it is. */
export function asFileError(error: unknown, path: string): unknown {
  if (!(error instanceof Object) || isCallers(error)) return error;
  const denied = asDenied(error);
  if (denied !== undefined) return denied;
  const { code, errno, message } = error as NodeJS.ErrnoException;
  if (errno === undefined || code === undefined) return error;
  const cause = { cause: error };
  switch (code) {
    case "ENOENT":
      return new BrownianError("file-not-found", `There is no file ${path}.`, cause);
    case "ENOTDIR":
      return new BrownianError("file-not-found", `There is no file ${path}: a part of that path is no folder.`, cause);
    case "EROFS":
      return new BrownianError("file-access", `${path} is on a file system that is read-only (EROFS).`, cause);
    case "EBUSY":
      return new BrownianError("file-access", `${path} is in use by another program (EBUSY): end that, then try again.`, cause);
    case "EFBIG":
      return new BrownianError(
        "no-space",
        `${path} may not become that large (EFBIG): raise the limit of this process (ulimit -f), or write to another file system.`,
        cause,
      );
    case "EACCES":
    case "EPERM":
      return new BrownianError("file-access", `${path} may not be accessed (${code}): check its permissions.`, cause);
    case "EISDIR":
      return new BrownianError("file-access", `${path} is a folder.`, cause);
    case "ENOSPC":
    case "EDQUOT":
      return new BrownianError(
        "no-space",
        `There is no room left to write ${path} (${code}): free some, or write elsewhere.`,
        cause,
      );
    default:
      return new BrownianError("file-access", `${path} cannot be used: ${message}.`, cause);
  }
}
