// GGUF files made for tests, whole or broken on purpose, from the format's specification (ggml/docs/gguf.md, version 3).
import { closeSync, ftruncateSync, mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll } from "vitest";
import { GGML_TYPES } from "../src/gguf/types.js";

export interface SyntheticTensor {
  readonly name: string;
  readonly type: string;
  readonly shape: readonly number[];
  /** Bytes of the tensor; default zeros (a hole in the file). */
  readonly data?: Uint8Array;
  /** Puts it somewhere else than where it belongs. */
  readonly offset?: number;
}

export interface SyntheticOptions {
  readonly metadata?: Record<string, string | number>;
  readonly magic?: string;
}

const align = (n: number) => Math.ceil(n / 32) * 32;

function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(bytes.length));
  return Buffer.concat([length, bytes]);
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function u64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}

/** Writes a GGUF file; tensors without data take no disk space. Returns the header's length. */
export function writeGguf(path: string, tensors: readonly SyntheticTensor[], options: SyntheticOptions = {}): number {
  const metadata = Object.entries({ "general.architecture": "llama", ...options.metadata });
  const parts: Buffer[] = [Buffer.from(options.magic ?? "GGUF"), u32(3), u64(tensors.length), u64(metadata.length)];
  for (const [key, value] of metadata) {
    parts.push(text(key), typeof value === "string" ? Buffer.concat([u32(8), text(value)]) : Buffer.concat([u32(4), u32(value)]));
  }
  let offset = 0;
  const placed = tensors.map((tensor) => {
    const [id, type] = [...GGML_TYPES].find(([, t]) => t.name === tensor.type) ?? [Number(tensor.type), { weights: 1, bytes: 1 }];
    const bytes = Math.ceil(tensor.shape.reduce((a, b) => a * b, 1) / type.weights) * type.bytes;
    const at = tensor.offset ?? offset;
    offset = align(at + bytes);
    parts.push(text(tensor.name), u32(tensor.shape.length), ...tensor.shape.map(u64), u32(id), u64(at));
    return { ...tensor, at, bytes };
  });
  const header = Buffer.concat(parts);
  const start = align(header.length);
  const file = openSync(path, "w");
  writeSync(file, header);
  for (const { at, data } of placed) if (data !== undefined) writeSync(file, data, 0, data.length, start + at);
  const end = Math.max(start, ...placed.map(({ at, bytes }) => start + at + bytes));
  ftruncateSync(file, end);
  closeSync(file);
  return header.length;
}

/** A folder for one test file, removed when its tests are done. */
export function scratchFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "brownian-test-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
