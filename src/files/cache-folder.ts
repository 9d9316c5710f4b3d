// Where what is kept from one process to the next lies: BROWNIAN_CACHE, else a folder of ours where the platform keeps such. Makes nothing.

import { homedir } from "node:os";
import { isAbsolute, join, resolve } from "node:path";
import { environment } from "../environment.js";

/** The folder, whether it is there or not. */
export function cacheFolder(): string {
  if (environment.cache !== undefined) return resolve(environment.cache);
  const { caches } = environment;
  if (caches !== undefined && isAbsolute(caches)) return join(caches, "brownian");
  return join(homedir(), process.platform === "darwin" ? join("Library", "Caches") : ".cache", "brownian");
}
