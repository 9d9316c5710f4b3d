// Outputs appear whole or not at all: written under another name beside their place, then renamed. Never replaces the input or a device.

import { access, constants, mkdir, readdir, rename, stat } from "node:fs/promises";
import { basename, dirname, resolve } from "node:path";
import { BrownianError } from "../errors.js";
import { asFileError } from "./file-errors.js";
import { claim, discard, FOLDER, release, sweep } from "./owned.js";
import { patiently } from "./patience.js";

const ENDING = ".brownian-partial";

/**
 * Runs `work` on the path of a partial file in the folder of `output`, then gives it its name. When `work` fails or the process is
 * interrupted, nothing is left; after a kill, the next call for the same output clears up.
 * @param input a file that the output must not be, under whatever name.
 * @throws BrownianError file-not-found (no such folder), file-access, output-exists (output is the input), no-space; what `work` throws
 *
 * @example
 * await writeWhole("moved.gguf", "model.gguf", (partial) => copyFile("model.gguf", partial));
 */
export async function writeWhole<T>(output: string, input: string, work: (partial: string) => Promise<T>): Promise<T> {
  return writeTogether([output], [input], ([partial]) => work(partial as string));
}

/**
 * {@link writeWhole} for several files in one folder. They get their names when all are complete, the first one last: whoever finds that one finds
 * the others.
 * @param inputs files that no output must be
 * @throws BrownianError as `writeWhole`
 *
 * @example
 * await writeTogether(["a.gguf", "b.gguf"], [], ([a, b]) => Promise.all([writeFile(a, "1"), writeFile(b, "2")]));
 */
export async function writeTogether<T>(
  outputs: readonly string[],
  inputs: readonly string[],
  work: (partials: readonly string[]) => Promise<T>,
): Promise<T> {
  const [output] = outputs as readonly [string];
  const targets = outputs.map((path) => resolve(path));
  const folder = dirname(targets[0] as string);
  await checkFolder(folder, output);
  for (const [i, target] of targets.entries()) await checkTarget(target, inputs, outputs[i] as string);
  const partials: string[] = [];
  for (const target of targets) {
    await sweep(folder, basename(target), ENDING);
    partials.push(await claim(folder, basename(target), ENDING));
  }
  try {
    const result = await work(partials);
    for (const [i, partial] of [...partials.entries()].reverse()) {
      await patiently(() => rename(partial, targets[i] as string));
      release(partial);
    }
    return result;
  } catch (error) {
    for (const partial of partials) await discard(partial);
    // Errors of writing name the partial file, or none; those of other files are not the output's.
    const { path } = error as NodeJS.ErrnoException;
    const which = path === undefined ? 0 : partials.indexOf(path);
    throw which >= 0 ? asFileError(error, outputs[which] as string) : error;
  }
}

/**
 * Whether {@link writeWhole} can be asked for this file: to be known before long work begins.
 * @throws BrownianError file-not-found (no such folder), file-access, output-exists (output is the input)
 */
export async function checkOutput(output: string, input: string): Promise<void> {
  const target = resolve(output);
  await checkFolder(dirname(target), output);
  await checkTarget(target, [input], output);
}

/**
 * {@link writeWhole} for a folder: `work` fills an empty one. A former folder gives way only if it has nothing but files of these names.
 * @throws BrownianError as {@link checkOutputFolder}; what `work` throws
 *
 * @example
 * await writeFolderWhole("report", ["report.html"], (folder) => writeFile(join(folder, "report.html"), html));
 */
export async function writeFolderWhole<T>(
  output: string,
  names: readonly string[],
  work: (folder: string) => Promise<T>,
): Promise<T> {
  const target = resolve(output);
  const folder = dirname(target);
  const label = basename(target);
  await checkOutputFolder(output, names);
  await sweep(folder, label, ENDING + FOLDER);
  const partial = await claim(folder, label, ENDING + FOLDER);
  try {
    await mkdir(partial);
    const result = await work(partial);
    if (await exists(target)) {
      const former = await claim(folder, label, ENDING + FOLDER);
      await patiently(() => rename(target, former));
      await patiently(() => rename(partial, target));
      await discard(former);
    } else await patiently(() => rename(partial, target));
    release(partial);
    return result;
  } catch (error) {
    await discard(partial);
    throw asFileError(error, output);
  }
}

/**
 * Whether {@link writeFolderWhole} can be asked for this folder: to be known before work begins.
 * @throws BrownianError file-not-found, file-access (no right to write there, or no folder), output-exists (there is something else in it)
 */
export async function checkOutputFolder(output: string, names: readonly string[]): Promise<void> {
  const target = resolve(output);
  await checkFolder(dirname(target), output);
  const there = await stat(target).catch(() => null);
  if (there === null) return;
  if (!there.isDirectory()) throw new BrownianError("file-access", `${output} is a file: give the folder another name.`);
  const others = (await readdir(target)).filter((name) => !names.includes(name));
  if (others.length > 0)
    throw new BrownianError(
      "output-exists",
      `${output} has other files in it (${others.slice(0, 3).join(", ")}): give the folder another name.`,
    );
}

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => null)) !== null;
}

async function checkFolder(folder: string, output: string): Promise<void> {
  try {
    if (!(await stat(folder)).isDirectory())
      throw new BrownianError("file-access", `${folder} is no folder: ${output} cannot be written.`);
    await access(folder, constants.W_OK);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") {
      throw new BrownianError("file-not-found", `The folder of ${output} does not exist: make ${folder} first.`);
    }
    throw asFileError(error, folder);
  }
}

async function checkTarget(target: string, inputs: readonly string[], output: string): Promise<void> {
  const there = await stat(target).catch(() => null);
  if (there === null) return;
  if (!there.isFile()) {
    throw new BrownianError("file-access", `${output} is a folder or a device: give the output the name of a file.`);
  }
  for (const input of inputs) {
    const source = await stat(input).catch((error) => {
      throw asFileError(error, input);
    });
    if (there.dev !== source.dev || there.ino !== source.ino) continue;
    throw new BrownianError(
      "output-exists",
      `${output} is the input itself, which is never written to: give the output another name.`,
    );
  }
}
