// GGUF files made for tests, whole or broken on purpose, from the format's specification (ggml/docs/gguf.md, version 3).
// Written in chunks: a file of gigabytes takes no more memory than its header.
import { closeSync, ftruncateSync, mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll } from "vitest";
import { GGML_TYPES } from "../../src/files/containers/ggml-types.js";

export interface SyntheticTensor {
  readonly name: string;
  /** ggml's name of the type, or a number that no type has. */
  readonly type: string;
  readonly shape: readonly number[];
  /** Bytes of the tensor, or bytes that are repeated to its end; default zeros (a hole in the file). */
  readonly data?: Uint8Array | { readonly repeat: Uint8Array };
  /** Puts it somewhere else than where it belongs. */
  readonly offset?: number | bigint;
}

export interface SyntheticOptions {
  /** Texts, unsigned 32-bit numbers, or lists of texts. */
  readonly metadata?: Record<string, string | number | readonly string[]>;
  readonly magic?: string;
  readonly version?: number;
  /** What the header says there are, when that is a lie. */
  readonly tensorCount?: bigint;
  readonly keyCount?: bigint;
  /** Where the file ends; default: behind its last tensor. */
  readonly size?: number;
}

const CHUNK = 1 << 20;

const aligned = (n: number, alignment: number) => Math.ceil(n / alignment) * alignment;

function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([u64(bytes.length), bytes]);
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

/** A metadata value with its type before it. */
function typedValue(value: string | number | readonly string[]): Buffer {
  if (typeof value === "string") return Buffer.concat([u32(8), text(value)]);
  if (typeof value === "number") return Buffer.concat([u32(4), u32(value)]);
  return Buffer.concat([u32(9), u32(8), u64(value.length), ...value.map(text)]);
}

function writeRepeated(file: number, pattern: Uint8Array, bytes: number, position: number): void {
  const chunk = Buffer.alloc(Math.min(bytes, aligned(CHUNK, pattern.length)), pattern);
  for (let done = 0; done < bytes; ) done += writeSync(file, chunk, 0, Math.min(chunk.length, bytes - done), position + done);
}

/** Writes a GGUF file; tensors without data take no disk space. Returns the header's length. */
export function writeGguf(path: string, tensors: readonly SyntheticTensor[], options: SyntheticOptions = {}): number {
  const metadata = Object.entries({ "general.architecture": "llama", ...options.metadata });
  const alignment = Number(options.metadata?.["general.alignment"]) || 32;
  const parts: Buffer[] = [
    Buffer.from(options.magic ?? "GGUF"),
    u32(options.version ?? 3),
    u64(options.tensorCount ?? tensors.length),
    u64(options.keyCount ?? metadata.length),
  ];
  for (const [key, value] of metadata) parts.push(text(key), typedValue(value));
  let offset = 0;
  const placed = tensors.map(({ name, type: typeName, shape, data, offset: elsewhere }) => {
    const [id, type] = [...GGML_TYPES].find(([, t]) => t.name === typeName) ?? [Number(typeName), { weights: 1, bytes: 1 }];
    const bytes = Math.ceil(shape.reduce((a, b) => a * b, 1) / type.weights) * type.bytes;
    const at = elsewhere ?? offset;
    offset = aligned(Number(at) + bytes, alignment);
    parts.push(text(name), u32(shape.length), ...shape.map(u64), u32(id), u64(at));
    return { data, at: Number(at), bytes };
  });
  const header = Buffer.concat(parts);
  const start = aligned(header.length, alignment);
  const file = openSync(path, "w");
  writeSync(file, header);
  for (const { at, data, bytes } of placed) {
    if (data === undefined) continue;
    if ("repeat" in data) writeRepeated(file, data.repeat, bytes, start + at);
    else writeSync(file, data, 0, data.length, start + at);
  }
  ftruncateSync(file, options.size ?? Math.max(start, ...placed.map(({ at, bytes }) => start + at + bytes)));
  closeSync(file);
  return header.length;
}

/** A folder for one test file, removed when its tests are done. */
export function scratchFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "brownian-test-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
