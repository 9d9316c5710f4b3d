// A model that is a folder (of Hugging Face): what lies beside its weights, and which of that belongs to a moved copy. Reads only.

import { readdir, stat } from "node:fs/promises";
import { basename, extname, join, resolve, sep } from "node:path";
import { BrownianError } from "../errors.js";
import type { ModelFile } from "./tensor.js";

/** Weights in other files: they would be as they were, and whoever loads the copy might take them. */
const WEIGHTS = new Set([".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".gguf", ".h5", ".msgpack", ".onnx", ".npz"]);

/** What lies in a model's folder, apart from the model. */
export interface Companions {
  /** Config, tokenizer and the like, by name. */
  readonly files: readonly string[];
  /** Other weights, and folders. */
  readonly others: readonly string[];
}

/** Whether there is a folder of this name. */
export async function isFolder(path: string): Promise<boolean> {
  if (typeof path !== "string" || path.includes("\0")) return false;
  return (await stat(path).catch(() => null))?.isDirectory() ?? false;
}

/** What lies beside the model in its folder. Links are what they lead to: caches of downloads have nothing else. */
export async function companionsOf(folder: string, { parts }: Pick<ModelFile, "parts">): Promise<Companions> {
  const own = new Set(parts.map(({ path }) => basename(path)));
  const names = (await readdir(folder)).filter((name) => !own.has(name)).sort();
  const files: string[] = [];
  const others: string[] = [];
  for (const name of names) {
    const found = await stat(join(folder, name)).catch(() => null);
    const copied = found?.isFile() && !WEIGHTS.has(extname(name).toLowerCase());
    (copied ? files : others).push(name);
  }
  return { files, others };
}

/** @throws BrownianError output-exists where the output is the model's folder, or lies in it */
export async function checkApart(output: string, folder: string): Promise<void> {
  const [there, own] = [await stat(output).catch(() => null), await stat(folder)];
  const same = there !== null && there.dev === own.dev && there.ino === own.ino;
  if (same || resolve(output).startsWith(resolve(folder) + sep))
    throw new BrownianError(
      "output-exists",
      `${output} is the model's own folder, or in it, which is never written to: give the output another name.`,
    );
}
