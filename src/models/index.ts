// Where models lie, by the names that people give them.

import type { DownloadOptions } from "./download.js";
import { type Found, find } from "./places.js";

export { type CachedModel, cachedModels, damaged, modelsFolder, removeCached, removePartial } from "./cache.js";
export type { DownloadOptions } from "./download.js";
export { type Found, find, PLACES } from "./places.js";

/**
 * The path of a model by its name, which is downloaded unless it is there: `hf:org/repo:Q4_K_M`, `hf:org/repo/file.gguf`, an address, `ollama:name`,
 * `lmstudio:org/repo`, or a path, which comes back as it is. Of a model in several files it is that of the first. Downloads are kept in BROWNIAN_CACHE (`brownian models` lists them), go on where they
 * broke off, and are checked by the hash that the server names. HF_ENDPOINT, HF_TOKEN and OLLAMA_MODELS are kept to.
 *
 * @throws BrownianError `usage` for a name of no such form; `download-failed`; `file-not-found` for what a store has not; `no-space`; `aborted`
 *
 * @example
 * const path = await resolveModel("hf:bartowski/SmolLM2-135M-Instruct-GGUF:Q4_K_M");
 * const model = await loadModel(path);
 */
export async function resolveModel(name: string, options: DownloadOptions = {}): Promise<string> {
  const { path }: Found = await find(name, options);
  return path;
}
