// The table of containers, and the one way to read a model's directory: by how its file begins. What no container need check for itself is
// checked here (tensors lie within the file, and not on top of each other), since later code writes at these offsets. Reads only.

import { open, stat } from "node:fs/promises";
import { resolve } from "node:path";
import { BrownianError, checkText, shown } from "../../errors.js";
import { asFileError } from "../file-errors.js";
import { stampOf } from "../stamp.js";
import type { ModelFile } from "../tensor.js";
import { BEGINNING, type Container, type Contents, DOWNLOAD_AGAIN, type FoundFile } from "./container.js";
import { gguf } from "./gguf.js";
import { safetensors } from "./safetensors.js";

const CONTAINERS: readonly Container[] = [gguf, safetensors];

/** Of a file that no container knows, what a message shows. */
const SHOWN = 4;

/**
 * Reads the directory of a model in one or several files; `path` leads to the first one, or to the folder that is the model (as of Hugging Face).
 * @throws BrownianError file-not-found (also a further part), file-access, not-gguf (no container knows it), truncated-gguf, corrupt-gguf (also
 * parts that are not of one model); `usage` for a part that is not the first
 *
 * @example
 * const { tensors } = await readModel("model.gguf");
 * console.log(tensors[0].name, tensors[0].type, tensors[0].offset); // token_embd.weight Q8_0 41984
 */
export async function readModel(path: string): Promise<ModelFile> {
  const file = await find(await firstOf(path));
  const container = containerOf(file);
  const first = { file, contents: await readPart(container, file) };
  const parts = [first];
  for (const other of (await container.others?.(first)) ?? []) {
    const further = await find(other).catch((error) => {
      throw incomplete(error, path);
    });
    if (containerOf(further) !== container)
      throw new BrownianError("corrupt-gguf", `${other} is no ${container.name} file as the first part, ${path}, is.`);
    parts.push({ file: further, contents: await readPart(container, further) });
  }
  await container.checkParts?.(parts);
  return {
    path: file.full,
    container: container.name,
    size: parts.reduce((sum, { file: { size } }) => sum + size, 0),
    parts: parts.map(({ file: { full, size, stamp }, contents: { header } }) => ({ path: full, size, stamp, header })),
    metadata: first.contents.metadata,
    architecture: first.contents.architecture,
    tensors: parts.flatMap(({ contents }, part) => contents.tensors.map((tensor) => ({ ...tensor, part }))),
  };
}

/** The first file of a folder that is a model; what is no folder, as it is. */
async function firstOf(path: string): Promise<string> {
  const isFolder = typeof path === "string" && !path.includes("\0") && (await stat(path).catch(() => null))?.isDirectory();
  const container = isFolder ? CONTAINERS.find(({ first }) => first !== undefined) : undefined;
  return container?.first === undefined
    ? path
    : container.first(path).catch((error) => {
        throw asFileError(error, path);
      });
}

function containerOf({ path, size, beginning }: FoundFile): Container {
  const container = CONTAINERS.find(({ knows }) => knows(beginning));
  if (container !== undefined) return container;
  const shown = JSON.stringify(beginning.toString("latin1", 0, SHOWN));
  const found = size === 0 ? "it is empty" : `it begins with ${shown}, not ${each("begins")}`;
  throw new BrownianError("not-gguf", `${path} is not a ${each("name")} model: ${found}.`);
}

async function readPart(container: Container, file: FoundFile): Promise<Contents> {
  const contents = await container.read(file);
  checkExtents(file, contents.tensors);
  return contents;
}

/** A further part that is not there is more than a file that is not there. */
function incomplete(error: unknown, first: string): unknown {
  if (!(error instanceof BrownianError) || error.code !== "file-not-found") return error;
  const all = `The model ${first} is in several files, which belong into one folder`;
  return new BrownianError("file-not-found", `${error.message} ${all}: download it, too.`, { cause: error });
}

function each(what: "name" | "begins"): string {
  return CONTAINERS.map((container) => container[what]).join(" or ");
}

async function find(path: string): Promise<FoundFile> {
  if (checkText("The path of a model", path) === "" || path.includes("\0"))
    throw new BrownianError("usage", `${shown(path)} is no path of a model.`);
  const full = resolve(path);
  try {
    const info = await stat(full, { bigint: true });
    if (!info.isFile()) throw new BrownianError("file-access", `${path} is a folder or a device, not a ${each("name")} file.`);
    const file = await open(full, "r");
    try {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(BEGINNING), 0, BEGINNING, 0);
      return { path, full, size: Number(info.size), stamp: stampOf(info), beginning: buffer.subarray(0, bytesRead) };
    } finally {
      await file.close();
    }
  } catch (error) {
    throw asFileError(error, path);
  }
}

function checkExtents({ path, size }: FoundFile, tensors: Contents["tensors"]): void {
  const names = new Set<string>();
  for (const t of tensors) {
    if (names.has(t.name)) throw new BrownianError("corrupt-gguf", `${path} has two tensors called ${t.name}. ${DOWNLOAD_AGAIN}`);
    names.add(t.name);
    if (!Number.isSafeInteger(t.offset + t.bytes) || t.offset + t.bytes > size) {
      throw new BrownianError(
        "truncated-gguf",
        `${path}: tensor ${t.name} (${t.type}) lies at bytes ${t.offset} to ${t.offset + t.bytes}, but the file ends at ${size}. ${DOWNLOAD_AGAIN}`,
      );
    }
  }
  const inOrder = [...tensors].sort((a, b) => a.offset - b.offset);
  inOrder.forEach((t, i) => {
    const before = inOrder[i - 1];
    if (before !== undefined && before.offset + before.bytes > t.offset) {
      throw new BrownianError(
        "corrupt-gguf",
        `${path}: tensors ${before.name} and ${t.name} overlap at byte ${t.offset}. ${DOWNLOAD_AGAIN}`,
      );
    }
  });
}
