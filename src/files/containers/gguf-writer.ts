// The header of a new GGUF file (ggml/docs/gguf.md, version 3): metadata and a directory of tensors that lie one after the other behind it.
// Metadata of another file goes over byte by byte. Writes nothing itself.

import { type FileHandle, open } from "node:fs/promises";
import { BrownianError } from "../../errors.js";
import { asFileError } from "../file-errors.js";
import type { ModelFile } from "../tensor.js";
import { readFully } from "../transfer.js";
import { BEGINNING } from "./container.js";
import { GGML_TYPES } from "./ggml-types.js";
import { readHeader } from "./gguf-header.js";

const VERSION = 3;
const ALIGNMENT = 32;
/** Magic, version, counts. */
const START = 24;

/** A metadata value with the kind that the file gives it. */
export type GgufValue =
  | { readonly text: string }
  | { readonly u32: number }
  | { readonly u64: bigint }
  | { readonly f32: number };

/** A tensor of a file that is to be written. */
export interface GgufTensor {
  readonly name: string;
  /** ggml's name of the type. */
  readonly type: string;
  /** shape[0] is the length of a row. */
  readonly shape: readonly number[];
}

/** Where what of a new file goes. */
export interface GgufLayout {
  /** All bytes before the first tensor. */
  readonly header: Uint8Array;
  /** Of each tensor, in the file. */
  readonly offsets: readonly number[];
  readonly bytes: readonly number[];
  /** Of the file. */
  readonly size: number;
}

const numbers = new Map([...GGML_TYPES].map(([number, type]) => [type.name, { number, ...type }]));

/** Metadata as bytes, and how many keys it has. */
export interface GgufMetadata {
  readonly bytes: Uint8Array;
  readonly keys: number;
  /** What offsets of tensors are multiples of. */
  readonly alignment: number;
}

/** These keys. */
export function ggufMetadata(entries: Readonly<Record<string, GgufValue>>): GgufMetadata {
  const parts = Object.entries(entries).flatMap(([key, value]) => [text(key), ...typed(value)]);
  return { bytes: Buffer.concat(parts), keys: Object.keys(entries).length, alignment: ALIGNMENT };
}

/** The metadata of a model, as its file has it. @throws BrownianError usage for GGUF version 1; as `readModel` */
export async function metadataOf({ path, size, metadata }: ModelFile): Promise<GgufMetadata> {
  const file = await open(path, "r").catch((error) => {
    throw asFileError(error, path);
  });
  try {
    const beginning = await bytesAt(file, path, 0, Math.min(BEGINNING, size));
    if (beginning.readUInt32LE(4) < 2)
      throw new BrownianError("usage", `${path} has GGUF version 1, which is not written anew: convert it first.`);
    const { tensors, bytes } = await readHeader({ path, full: path, size, stamp: "", beginning });
    const directory = tensors.reduce((sum, t) => sum + Buffer.byteLength(t.name) + 8 + 4 + 8 * t.shape.length + 4 + 8, 0);
    const keys = Number(beginning.readBigUInt64LE(16));
    const alignment = Number(metadata["general.alignment"] ?? ALIGNMENT);
    return { bytes: await bytesAt(file, path, START, bytes - directory - START), keys, alignment };
  } finally {
    await file.close();
  }
}

async function bytesAt(file: FileHandle, path: string, position: number, length: number): Promise<Buffer> {
  const bytes = Buffer.alloc(length);
  const read = await readFully(file, bytes, position).catch((error) => {
    throw asFileError(error, path);
  });
  if (read < length) throw new BrownianError("truncated-gguf", `${path} became shorter while it was read: write it anew.`);
  return bytes;
}

/** The header of a file with this metadata and these tensors. */
export function ggufLayout(metadata: GgufMetadata, tensors: readonly GgufTensor[]): GgufLayout {
  const { alignment } = metadata;
  const up = (n: number) => Math.ceil(n / alignment) * alignment;
  const bytes = tensors.map(({ type, shape }) => {
    const known = numbers.get(type);
    if (known === undefined) throw new Error(`there is no type ${type}`);
    return (shape.reduce((product, n) => product * n, 1) / known.weights) * known.bytes;
  });
  const start = Buffer.alloc(START);
  start.write("GGUF", "latin1");
  start.writeUInt32LE(VERSION, 4);
  start.writeBigUInt64LE(BigInt(tensors.length), 8);
  start.writeBigUInt64LE(BigInt(metadata.keys), 16);
  const offsets: number[] = [];
  const infos: Uint8Array[] = [];
  let end = 0;
  for (const [i, { name, type, shape }] of tensors.entries()) {
    offsets.push(end);
    infos.push(text(name), u32(shape.length), ...shape.map(u64), u32(numbers.get(type)?.number as number), u64(end));
    end = up(end + (bytes[i] as number));
  }
  const head = Buffer.concat([start, metadata.bytes, ...infos]);
  const header = Buffer.concat([head, Buffer.alloc(up(head.length) - head.length)]);
  return { header, offsets: offsets.map((offset) => header.length + offset), bytes, size: header.length + end };
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function u64(value: number | bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}

function f32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeFloatLE(value);
  return bytes;
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([u64(bytes.length), bytes]);
}

/** Kind and value: u32 4, f32 6, text 8, u64 10. */
function typed(value: GgufValue): Buffer[] {
  if ("text" in value) return [u32(8), text(value.text)];
  if ("u32" in value) return [u32(4), u32(value.u32)];
  if ("u64" in value) return [u32(10), u64(value.u64)];
  return [u32(6), f32(value.f32)];
}
