// Where models lie, by the names that people give them: one line a place. A name without one of these beginnings is a path.

import { BrownianError } from "../errors.js";
import type { DownloadOptions } from "./download.js";
import { fromHuggingFace } from "./hugging-face.js";
import { fromLmStudio } from "./lm-studio.js";
import { fromOllama } from "./ollama.js";
import { fromUrl } from "./url.js";

/** A model on this machine. */
export interface Found {
  readonly path: string;
  /** What people call it, where its file's name does not say so. */
  readonly name?: string | undefined;
}

interface Place {
  /** How such names begin. */
  readonly begins: RegExp;
  /** How they are written. */
  readonly form: string;
  find(name: string, options: DownloadOptions): Promise<Found>;
}

export const PLACES: readonly Place[] = [
  { begins: /^hf:/i, form: "hf:org/repo:Q4_K_M or hf:org/repo/file.gguf", find: fromHuggingFace },
  { begins: /^https?:\/\//i, form: "https://...", find: fromUrl },
  { begins: /^ollama:/i, form: "ollama:name[:tag]", find: fromOllama },
  { begins: /^lmstudio:/i, form: "lmstudio:org/repo[/file.gguf]", find: fromLmStudio },
];

/** @throws BrownianError usage, file-not-found, download-failed and what else a place has to say */
export async function find(name: string, options: DownloadOptions): Promise<Found> {
  if (typeof name !== "string" || name === "") throw new BrownianError("usage", "A model is named by a text that is not empty.");
  const place = PLACES.find(({ begins }) => begins.test(name));
  return place === undefined ? { path: name } : place.find(name, options);
}
