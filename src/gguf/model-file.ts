// Where each tensor lies in a GGUF file. Metadata is read by @huggingface/gguf; what it does not check (that tensors lie within the file,
// and not on top of each other) is checked here, since later code writes at these offsets. Reads only.

import { open, stat } from "node:fs/promises";
import { resolve } from "node:path";
import { gguf } from "@huggingface/gguf";
import { BrownianError } from "../errors.js";
import { GGML_TYPES } from "./types.js";

export interface Tensor {
  readonly name: string;
  /** ggml's name of the type, such as "Q8_0"; "type 99" for one that brownian has never heard of. */
  readonly type: string;
  /** In the file's order: shape[0] is the length of a row. */
  readonly shape: readonly number[];
  readonly weights: number;
  /** First byte in the file. */
  readonly offset: number;
  readonly bytes: number;
}

export interface ModelFile {
  /** Absolute. */
  readonly path: string;
  readonly size: number;
  readonly metadata: Readonly<Record<string, unknown>>;
  /** `general.architecture`, or "unknown". */
  readonly architecture: string;
  /** In the order of the file's directory. */
  readonly tensors: readonly Tensor[];
}

const DOWNLOAD_AGAIN = "The file is damaged or was cut short: download it again.";

/**
 * Reads the directory of a GGUF file.
 * @throws BrownianError file-not-found, file-access, not-gguf, truncated-gguf, corrupt-gguf; `usage` for one part of a split model.
 */
export async function readModel(path: string): Promise<ModelFile> {
  const full = resolve(path);
  const size = await checkedSize(full, path);
  const parsed = await parse(full, path, size);
  const header = parsed.tensorInfoByteRange[1];
  if (header > size) {
    throw new BrownianError(
      "truncated-gguf",
      `${path} ends within its header (${header} bytes or more, the file has ${size}). ${DOWNLOAD_AGAIN}`,
    );
  }
  if (!parsed.littleEndian)
    throw new BrownianError("corrupt-gguf", `${path} is big-endian: only little-endian GGUF files can be moved.`);
  const metadata = parsed.metadata as unknown as Record<string, unknown>;
  const parts = Number(metadata["split.count"] ?? 1);
  if (parts > 1) {
    throw new BrownianError(
      "usage",
      `${path} is one of ${parts} parts of a split model: merge them first (llama-gguf-split --merge).`,
    );
  }
  const data = Number(parsed.tensorDataOffset);
  const tensors = parsed.tensorInfos.map((info): Tensor => {
    const shape = info.shape.map(Number);
    const weights = shape.reduce((product, n) => product * n, 1);
    const offset = data + Number(info.offset);
    const known = GGML_TYPES.get(info.dtype);
    if (known === undefined) return { name: info.name, type: `type ${info.dtype}`, shape, weights, offset, bytes: 0 };
    if ((shape[0] ?? 1) % known.weights !== 0) {
      throw new BrownianError(
        "corrupt-gguf",
        `${path}: rows of tensor ${info.name} have ${shape[0]} weights, which is no multiple of a ${known.name} block (${known.weights}). ${DOWNLOAD_AGAIN}`,
      );
    }
    return { name: info.name, type: known.name, shape, weights, offset, bytes: (weights / known.weights) * known.bytes };
  });
  checkExtents(path, size, tensors);
  return { path: full, size, metadata, architecture: String(metadata["general.architecture"] ?? "unknown"), tensors };
}

async function checkedSize(full: string, path: string): Promise<number> {
  let size: number;
  const start = Buffer.alloc(24);
  try {
    const info = await stat(full);
    if (!info.isFile()) throw new BrownianError("file-access", `${path} is a folder or a device, not a GGUF file.`);
    size = info.size;
    const file = await open(full, "r");
    try {
      await file.read(start, 0, 24, 0);
    } finally {
      await file.close();
    }
  } catch (error) {
    throw asFileError(error, path);
  }
  const magic = start.subarray(0, 4);
  if (magic.toString("latin1") !== "GGUF") {
    const found =
      size === 0 ? "it is empty" : `it begins with ${JSON.stringify(magic.subarray(0, size).toString("latin1"))}, not "GGUF"`;
    throw new BrownianError("not-gguf", `${path} is not a GGUF model: ${found}.`);
  }
  if (size < 24) throw new BrownianError("truncated-gguf", `${path} ends within its header (${size} bytes). ${DOWNLOAD_AGAIN}`);
  return size;
}

async function parse(full: string, path: string, size: number) {
  try {
    return await gguf(full, { allowLocalFile: true });
  } catch (error) {
    // The parser pads what it reads with zeros, so a file cut within its header is seen as nonsense; small ones are read in one piece.
    const why = error instanceof RangeError ? "it ends before its header does" : (error as Error).message;
    throw new BrownianError("corrupt-gguf", `The header of ${path} (${size} bytes) does not parse: ${why}. ${DOWNLOAD_AGAIN}`, {
      cause: error,
    });
  }
}

function checkExtents(path: string, size: number, tensors: readonly Tensor[]): void {
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

/** What the file system says about `path`, in words. */
export function asFileError(error: unknown, path: string): unknown {
  const code = (error as NodeJS.ErrnoException).code;
  if (code === "ENOENT" || code === "ENOTDIR")
    return new BrownianError("file-not-found", `There is no file ${path}.`, { cause: error });
  if (code === "EACCES" || code === "EPERM" || code === "EROFS") {
    return new BrownianError("file-access", `${path} may not be accessed (${code}): check its permissions.`, { cause: error });
  }
  if (code === "EISDIR") return new BrownianError("file-access", `${path} is a folder.`, { cause: error });
  return error;
}
