// Opens model files for sums, and live files for moves: mapped into memory where the backend can (native) and the file system lets it, else by
// positioned reads and writes. The pristine file is opened for reading only.

import { type FileHandle, open, stat } from "node:fs/promises";
import { BrownianError } from "../../errors.js";
import type { Kernels } from "../../kernels/contract.js";
import type { LiveFile, MappedFile } from "../../kernels/files.js";
import { asFileError } from "../file-errors.js";
import { Watched } from "../stamp.js";
import type { FileMark, ModelFile, ModelPart } from "../tensor.js";
import type { LiveTensors, Reader } from "./live-tensors.js";
import { MappedReader, MappedTensors } from "./mapped.js";
import { PartedReader, PartedTensors } from "./parted.js";
import { PositionedReader, PositionedTensors } from "./positioned.js";

/**
 * Opens a model file for sums only: nothing is written.
 * @param mark which file it must be
 * @throws BrownianError file-not-found, file-access, file-changed
 *
 * @example
 * const reader = await openReader(model.path, kernels);
 * await tensorRms(reader, model.tensors[0]);
 */
export async function openReader(path: string, kernels: Kernels, mark?: FileMark): Promise<Reader> {
  const source = await Watched.open(path, mark);
  await kernels.files?.ready();
  const mapped = attempt(() => kernels.files?.map(path));
  return mapped === undefined ? new PositionedReader(source, kernels) : new MappedReader(mapped, source);
}

/**
 * Opens a live file and the pristine one that it is a copy of.
 * @param mark which file the pristine one must be; null where it is a copy of our own that goes on between calls: then only `step` and `restore` may
 * be called, which remember nothing of it
 * @throws BrownianError file-not-found, file-access, output-exists (both are one file), corrupt-gguf (no copy of it), file-changed
 *
 * @example
 * const liveTensors = await openLiveTensors(copy.path, model.path, kernels);
 * await liveTensors.restore(model.tensors[0]);
 */
export async function openLiveTensors(
  livePath: string,
  pristinePath: string,
  kernels: Kernels,
  mark?: FileMark | null,
): Promise<LiveTensors> {
  const live = await identity(livePath);
  const pristine = await identity(pristinePath);
  if (live.dev === pristine.dev && live.ino === pristine.ino) {
    throw new BrownianError(
      "output-exists",
      `${livePath} is the model ${pristinePath} itself, which is never written to: move a copy.`,
    );
  }
  if (live.size !== pristine.size) {
    throw new BrownianError(
      "corrupt-gguf",
      `${livePath} (${live.size} bytes) is no copy of ${pristinePath} (${pristine.size} bytes): copy it anew.`,
    );
  }
  const source = await Watched.open(pristinePath, mark);
  try {
    await kernels.files?.ready();
    const mapped = attempt(() => mapBoth(livePath, pristinePath, kernels));
    if (mapped !== undefined) return new MappedTensors(mapped.live, livePath, mapped.pristine, source);
    return new PositionedTensors(await opened(livePath, "r+"), livePath, source, kernels);
  } catch (error) {
    await source.close();
    throw error;
  }
}

/**
 * {@link openReader} for a model in one or several files.
 * @throws BrownianError as there
 *
 * @example
 * const reader = await openModel(await readModel("model.gguf"), kernels);
 */
export async function openModel({ parts }: ModelFile, kernels: Kernels): Promise<Reader> {
  const [first, ...others] = await openAll(parts, (part) => openReader(part.path, kernels, part));
  return others.length === 0 ? (first as Reader) : new PartedReader([first as Reader, ...others]);
}

/**
 * {@link openLiveTensors} for a model in one or several files, of which `live` are the copies.
 * @throws BrownianError as there
 *
 * @example
 * const liveTensors = await openLiveModel(copy.parts, model, kernels);
 */
export async function openLiveModel(live: readonly string[], { parts }: ModelFile, kernels: Kernels): Promise<LiveTensors> {
  const all = await openAll(parts, (part, i) => openLiveTensors(live[i] as string, part.path, kernels, part));
  const [first, ...others] = all;
  return others.length === 0 ? (first as LiveTensors) : new PartedTensors(all);
}

/** One for each part; where one fails, those before it are closed. */
async function openAll<T extends Reader>(
  parts: readonly ModelPart[],
  opens: (part: ModelPart, i: number) => Promise<T>,
): Promise<T[]> {
  const all: T[] = [];
  try {
    for (const [i, part] of parts.entries()) all.push(await opens(part, i));
    return all;
  } catch (error) {
    for (const one of all) await one.close();
    throw error;
  }
}

/** Undefined where a file cannot be mapped: not every file system can, nor has every process room for it. */
function attempt<T>(map: () => T | undefined): T | undefined {
  try {
    return map();
  } catch {
    return undefined;
  }
}

function mapBoth(
  livePath: string,
  pristinePath: string,
  { files }: Kernels,
): { live: LiveFile; pristine: MappedFile } | undefined {
  const pristine = files?.map(pristinePath);
  if (files === undefined || pristine === undefined) return undefined;
  try {
    return { live: files.mapLive(livePath, pristine), pristine };
  } catch (error) {
    void pristine.close(); // nobody waits for a file that is not used
    throw error;
  }
}

/** Which file a path leads to, and how long it is. */
async function identity(path: string): Promise<{ dev: number; ino: number; size: number }> {
  try {
    return await stat(path);
  } catch (error) {
    throw asFileError(error, path);
  }
}

async function opened(path: string, mode: "r" | "r+"): Promise<FileHandle> {
  try {
    return await open(path, mode);
  } catch (error) {
    throw asFileError(error, path);
  }
}
