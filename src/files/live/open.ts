// Opens model files for sums, and live files for moves: mapped into memory where the backend can (native), else by positioned reads and writes.
// The pristine file is opened for reading only.

import { type FileHandle, open, stat } from "node:fs/promises";
import { BrownianError } from "../../errors.js";
import type { Kernels } from "../../kernels/contract.js";
import { asFileError } from "../file-errors.js";
import type { LiveTensors, Reader } from "./live-tensors.js";
import { MappedReader, MappedTensors } from "./mapped.js";
import { PositionedReader, PositionedTensors } from "./positioned.js";

/**
 * Opens a model file for sums only: nothing is written.
 * @throws BrownianError file-not-found, file-access
 *
 * @example
 * const reader = await openReader(model.path, kernels);
 * await tensorRms(reader, model.tensors[0]);
 */
export async function openReader(path: string, kernels: Kernels): Promise<Reader> {
  const { files } = kernels;
  if (files === undefined) return new PositionedReader(await opened(path, "r"), path, kernels);
  await identity(path);
  return new MappedReader(
    mapped(path, () => files.map(path)),
    path,
  );
}

/**
 * Opens a live file and the pristine one that it is a copy of.
 * @throws BrownianError file-not-found, file-access, output-exists (both are one file), corrupt-gguf (no copy of it)
 *
 * @example
 * const liveTensors = await openLiveTensors(copy.path, model.path, kernels);
 * await liveTensors.restore(model.tensors[0]);
 */
export async function openLiveTensors(livePath: string, pristinePath: string, kernels: Kernels): Promise<LiveTensors> {
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
  const { files } = kernels;
  if (files !== undefined) {
    const source = mapped(pristinePath, () => files.map(pristinePath));
    try {
      return new MappedTensors(
        mapped(livePath, () => files.mapLive(livePath, source)),
        source,
        pristinePath,
      );
    } catch (error) {
      source.close();
      throw error;
    }
  }
  const source = await opened(pristinePath, "r");
  try {
    return new PositionedTensors(await opened(livePath, "r+"), livePath, source, pristinePath, kernels);
  } catch (error) {
    await source.close();
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

function mapped<T>(path: string, map: () => T): T {
  try {
    return map();
  } catch (error) {
    const why = (error as Error).message;
    throw new BrownianError("file-access", `${path} cannot be mapped into memory: ${why}.`, { cause: error });
  }
}
