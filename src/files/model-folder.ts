// Where a changed copy of a model goes, whole or not at all: to a file, to as many as the model has, or, of a model that is a folder (of Hugging
// Face), to a folder with what belongs to it. The model is only read.

import { copyFile, readdir, stat } from "node:fs/promises";
import { basename, extname, join, resolve, sep } from "node:path";
import { BrownianError } from "../errors.js";
import { writeFolderWhole, writeTogether } from "./output.js";
import { outputParts } from "./part-names.js";
import type { ModelFile } from "./tensor.js";

/** Weights in other files: they would be as they were, and whoever loads the copy might take them. */
const WEIGHTS = new Set([".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".gguf", ".h5", ".msgpack", ".onnx", ".npz"]);

/** What was written of a model. */
export interface ModelWritten<T> {
  /** As many as the model has. */
  readonly files: readonly string[];
  /** Of a folder: what else was copied (config, tokenizer), by name. */
  readonly copied: readonly string[];
  /** Of a folder: what was left out, since it would be as it was: other weights, and folders. */
  readonly leftOut: readonly string[];
  /** What the work gave. */
  readonly result: T;
}

/**
 * Writes a copy of the model `input` to `output`, a folder where `input` is one: `work` makes its files at the paths that it is given, where there
 * are none.
 * @throws BrownianError usage, file-not-found, file-access, output-exists (the model itself, or a folder with something else in it), no-space
 */
export async function writeModel<T>(
  input: string,
  output: string,
  model: ModelFile,
  work: (files: readonly string[]) => Promise<T>,
): Promise<ModelWritten<T>> {
  if (!(await isFolder(input))) {
    const files = outputParts(output, model);
    const inputs = model.parts.map(({ path }) => path);
    return { files, copied: [], leftOut: [], result: await writeTogether(files, inputs, work) };
  }
  await checkApart(output, input);
  const { files: copied, others: leftOut } = await companionsOf(input, model);
  const names = model.parts.map(({ path }) => basename(path));
  const result = await writeFolderWhole(output, [...names, ...copied], async (folder) => {
    const done = await work(names.map((name) => join(folder, name)));
    for (const name of copied) await copyFile(join(input, name), join(folder, name));
    return done;
  });
  return { files: names.map((name) => join(output, name)), copied, leftOut, result };
}

/** What lies in a model's folder, apart from the model. */
interface Companions {
  /** Config, tokenizer and the like, by name. */
  readonly files: readonly string[];
  /** Other weights, and folders. */
  readonly others: readonly string[];
}

/** Whether there is a folder of this name. */
async function isFolder(path: string): Promise<boolean> {
  if (typeof path !== "string" || path.includes("\0")) return false;
  return (await stat(path).catch(() => null))?.isDirectory() ?? false;
}

/** What lies beside the model in its folder. Links are what they lead to: caches of downloads have nothing else. */
async function companionsOf(folder: string, { parts }: Pick<ModelFile, "parts">): Promise<Companions> {
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
async function checkApart(output: string, folder: string): Promise<void> {
  const [there, own] = [await stat(output).catch(() => null), await stat(folder)];
  const same = there !== null && there.dev === own.dev && there.ino === own.ino;
  if (same || resolve(output).startsWith(resolve(folder) + sep))
    throw new BrownianError(
      "output-exists",
      `${output} is the model's own folder, or in it, which is never written to: give the output another name.`,
    );
}
