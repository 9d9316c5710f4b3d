// Where each tensor lies in a GGUF file. Metadata is read by @huggingface/gguf; what it does not check (that tensors lie within the file,
// and not on top of each other) is checked here, since later code writes at these offsets. Reads only.

import { open, stat } from "node:fs/promises";
import { resolve } from "node:path";
import { BrownianError } from "../../errors.js";
import { asFileError } from "../file-errors.js";
import { GGML_TYPES } from "./ggml-types.js";

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
/** Magic, version, number of tensors, number of metadata keys. */
const START = 24;
/** Bytes that the smallest possible entry takes: a tensor without name or dimensions, a key without name whose value is a byte. */
const LEAST_TENSOR = 24n;
const LEAST_KEY = 13n;
const PLAUSIBLE = 10_000_000n;
const NEWEST_VERSION = 3;
const DEFAULT_ALIGNMENT = 32;
const PARSER_CHUNK = 2_000_000;

/**
 * Reads the directory of a GGUF file.
 * @throws BrownianError file-not-found, file-access, not-gguf, truncated-gguf, corrupt-gguf; `usage` for one part of a split model.
 *
 * @example
 * const { tensors } = await readModel("model.gguf");
 * console.log(tensors[0].name, tensors[0].type, tensors[0].offset); // token_embd.weight Q8_0 41984
 */
export async function readModel(path: string): Promise<ModelFile> {
  const full = resolve(path);
  const size = await checkedSize(full, path);
  const parsed = await parse(full, path, size);
  const header = parsed.tensorInfoByteRange[1];
  if (header > size) throw cutHeader(path, size, header);
  const metadata = parsed.metadata as unknown as Record<string, unknown>;
  const parts = Number(metadata["split.count"] ?? 1);
  if (parts > 1) {
    throw new BrownianError(
      "usage",
      `${path} is one of ${parts} parts of a split model: merge them first (llama-gguf-split --merge).`,
    );
  }
  const alignment = metadata["general.alignment"] ?? DEFAULT_ALIGNMENT;
  if (typeof alignment !== "number" || !Number.isInteger(Math.log2(alignment)) || alignment < 1) {
    throw new BrownianError(
      "corrupt-gguf",
      `${path}: general.alignment is ${alignment}, which is no power of two. ${DOWNLOAD_AGAIN}`,
    );
  }
  const data = Math.ceil(header / alignment) * alignment;
  const tensors = parsed.tensorInfos.map((info): Tensor => {
    const shape = info.shape.map(Number);
    const weights = shape.reduce((product, n) => product * n, 1);
    const offset = data + Number(info.offset);
    const wrong = (what: string) => new BrownianError("corrupt-gguf", `${path}: tensor ${info.name} ${what}. ${DOWNLOAD_AGAIN}`);
    if (!Number.isSafeInteger(weights)) throw wrong(`has the shape ${shape.join(" x ")}, which no file can hold`);
    if (info.offset % BigInt(alignment) !== 0n) throw wrong(`begins at ${info.offset}, which is no multiple of ${alignment}`);
    const known = GGML_TYPES.get(info.dtype);
    if (known === undefined) return { name: info.name, type: `type ${info.dtype}`, shape, weights, offset, bytes: 0 };
    const row = shape[0] ?? 1;
    if (row % known.weights !== 0) {
      throw wrong(`has rows of ${row} weights, which is no multiple of a ${known.name} block (${known.weights})`);
    }
    return { name: info.name, type: known.name, shape, weights, offset, bytes: (weights / known.weights) * known.bytes };
  });
  checkExtents(path, size, tensors);
  return { path: full, size, metadata, architecture: String(metadata["general.architecture"] ?? "unknown"), tensors };
}

async function checkedSize(full: string, path: string): Promise<number> {
  let size: number;
  const start = Buffer.alloc(START);
  try {
    const info = await stat(full);
    if (!info.isFile()) throw new BrownianError("file-access", `${path} is a folder or a device, not a GGUF file.`);
    size = info.size;
    const file = await open(full, "r");
    try {
      await file.read(start, 0, START, 0);
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
  if (size < START) throw cutHeader(path, size, START);
  const version = start.readUInt32LE(4);
  // A small number whose bytes are the other way round.
  if (version !== 0 && (version & 0xffff) === 0) {
    throw new BrownianError("corrupt-gguf", `${path} is big-endian: only little-endian GGUF files can be moved.`);
  }
  if (version > NEWEST_VERSION) {
    throw new BrownianError(
      "corrupt-gguf",
      `${path} has GGUF version ${version}; brownian reads versions up to ${NEWEST_VERSION}. The file is damaged, or newer than this program.`,
    );
  }
  const tensors = start.readBigUInt64LE(8);
  const keys = start.readBigUInt64LE(16);
  const needed = BigInt(START) + tensors * LEAST_TENSOR + keys * LEAST_KEY;
  // Counts beyond belief are damage, which the parser refuses at once.
  if (version > 1 && tensors <= PLAUSIBLE && keys <= PLAUSIBLE && needed > size) throw cutHeader(path, size, Number(needed));
  return size;
}

async function parse(full: string, path: string, size: number) {
  // Loaded here, not above: it takes longer to load than all the rest, and programs that only move bytes never need it.
  const { gguf } = await import("@huggingface/gguf");
  try {
    return await gguf(full, { allowLocalFile: true });
  } catch (error) {
    // The parser reads at least PARSER_CHUNK, padded with zeros: what lies beyond that lies beyond the end of a smaller file.
    if (error instanceof RangeError && size <= PARSER_CHUNK) throw cutHeader(path, size);
    const why = error instanceof RangeError ? "it goes on beyond what could be read" : (error as Error).message;
    throw new BrownianError("corrupt-gguf", `The header of ${path} (${size} bytes) does not parse: ${why}. ${DOWNLOAD_AGAIN}`, {
      cause: error,
    });
  }
}

function cutHeader(path: string, size: number, needed = size + 1): BrownianError {
  return new BrownianError(
    "truncated-gguf",
    `${path} ends within its header (${size} bytes): a whole one takes at least ${needed}. ${DOWNLOAD_AGAIN}`,
  );
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
