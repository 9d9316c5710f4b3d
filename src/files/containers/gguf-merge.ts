// Puts the parts of a split GGUF model together: the first one's metadata without what says that it is split, the tensors of all, and their bytes as
// they are. What llama-gguf-split --merge does.

import { createReadStream } from "node:fs";
import { type FileHandle, open, stat } from "node:fs/promises";
import { BrownianError } from "../../errors.js";
import { asFileError } from "../file-errors.js";
import { stampOf } from "../stamp.js";
import { BEGINNING, DOWNLOAD_AGAIN } from "./container.js";
import { gguf } from "./gguf.js";
import { type Header, readHeader } from "./gguf-header.js";

const VERSION = 3;
const ALIGNMENT = 32;
const CHUNK = 1 << 22;

interface Part {
  readonly path: string;
  readonly header: Header;
  /** Where its tensors' bytes begin. */
  readonly data: number;
  readonly size: number;
}

/**
 * Writes the whole of the parts, which are given in order, to `output`.
 * @throws BrownianError not-gguf, corrupt-gguf (they are not the parts of one model, in order), truncated-gguf, file-not-found, file-access
 */
export async function mergeParts(
  paths: readonly string[],
  output: string,
  options: {
    readonly signal?: AbortSignal | undefined;
    readonly onProgress?: ((done: number, total: number) => void) | undefined;
  },
): Promise<void> {
  const parts: Part[] = [];
  for (const [i, path] of paths.entries()) parts.push(await partAt(path, i, paths.length));
  const alignment = alignmentOf((parts[0] as Part).header);
  const total = parts.reduce((sum, { size, data }) => sum + size - data, 0);
  const file = await open(output, "wx");
  try {
    let at = await write(file, headerOf(parts, alignment), 0);
    let done = 0;
    for (const { path, data } of parts) {
      at = await write(file, Buffer.alloc(aligned(at, alignment) - at), at);
      for await (const chunk of createReadStream(path, { start: data, highWaterMark: CHUNK })) {
        options.signal?.throwIfAborted();
        at = await write(file, chunk as Buffer, at);
        done += (chunk as Buffer).length;
        options.onProgress?.(done, total);
      }
    }
    await file.sync();
  } finally {
    await file.close();
  }
}

const aligned = (n: number, alignment: number): number => Math.ceil(n / alignment) * alignment;
const alignmentOf = ({ metadata }: Header): number => Number(metadata["general.alignment"] ?? ALIGNMENT);

async function partAt(path: string, i: number, count: number): Promise<Part> {
  const info = await stat(path, { bigint: true }).catch((error) => Promise.reject(asFileError(error, path)));
  const beginning = Buffer.alloc(BEGINNING);
  const file = await open(path, "r");
  await file.read(beginning, 0, BEGINNING, 0).finally(() => file.close());
  if (!gguf.knows(beginning) || beginning.readUInt32LE(4) > VERSION)
    throw new BrownianError("not-gguf", `${path} is no part of a GGUF model. ${DOWNLOAD_AGAIN}`);
  const size = Number(info.size);
  const header = await readHeader({ path, full: path, size, stamp: stampOf(info), beginning });
  const { "split.no": number, "split.count": of } = header.metadata;
  if (Number(number) !== i || Number(of) !== count)
    throw new BrownianError(
      "corrupt-gguf",
      `${path} says that it is part ${number} of ${of}, not ${i} of ${count}. ${DOWNLOAD_AGAIN}`,
    );
  return { path, header, data: Math.min(size, aligned(header.bytes, alignmentOf(header))), size };
}

function headerOf(parts: readonly Part[], alignment: number): Buffer {
  const [first] = parts as [Part];
  const keys = first.header.entries.filter(({ key }) => !key.startsWith("split."));
  const tensors: Buffer[] = [];
  let base = 0;
  for (const { header, data, size } of parts) {
    for (const { name, shape, type, offset } of header.tensors)
      tensors.push(text(name), word(shape.length), ...shape.map(long), word(type), long(offset + BigInt(base)));
    base = aligned(base + size - data, alignment);
  }
  const count = parts.reduce((sum, { header }) => sum + header.tensors.length, 0);
  return Buffer.concat([
    Buffer.from("GGUF"),
    word(VERSION),
    long(count),
    long(keys.length),
    ...keys.flatMap(({ key, bytes }) => [text(key), bytes]),
    ...tensors,
  ]);
}

function word(n: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(n);
  return bytes;
}

function long(n: number | bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(n));
  return bytes;
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([long(bytes.length), bytes]);
}

async function write(file: FileHandle, bytes: Buffer, at: number): Promise<number> {
  if (bytes.length > 0) await file.writeFile(bytes);
  return at + bytes.length;
}
