// The header of a GGUF file (ggml/docs/gguf.md): version, metadata, directory of tensors. A live copy rests on its offsets, so it is read here and
// nowhere else. Time and memory grow with the header's bytes: they are walked once, and long lists (vocabularies) are made only when somebody looks
// at them. Says of a header only what is so: cut short, contradictory, or larger than was allowed.

import { type FileHandle, open } from "node:fs/promises";
import { setImmediate as turn } from "node:timers/promises";
import { environment } from "../../environment.js";
import { BrownianError } from "../../errors.js";
import { asFileError } from "../file-errors.js";
import { readFully } from "../transfer.js";
import { DOWNLOAD_AGAIN, type FoundFile } from "./container.js";

/** A tensor as the directory has it. */
export interface TensorInfo {
  readonly name: string;
  readonly shape: readonly bigint[];
  /** ggml's number of its type. */
  readonly type: number;
  /** From where the data begins. */
  readonly offset: bigint;
}

export interface Header {
  readonly metadata: Readonly<Record<string, unknown>>;
  /** The same as it lies there: kind and value of every key. */
  readonly entries: readonly { readonly key: string; readonly bytes: Buffer }[];
  readonly tensors: readonly TensorInfo[];
  /** Bytes: the data begins at the next multiple of the alignment. */
  readonly bytes: number;
}

const TEXT = 8;
const LIST = 9;
/** Bytes of the other kinds of values, by their numbers: u8, i8, u16, i16, u32, i32, f32, bool, -, -, u64, i64, f64. */
const SIZES: readonly (number | undefined)[] = [1, 1, 2, 2, 4, 4, 4, 1, undefined, undefined, 8, 8, 8];

function scalar(kind: number, bytes: Buffer, at: number): number | bigint | boolean {
  switch (kind) {
    case 0:
      return bytes.readUInt8(at);
    case 1:
      return bytes.readInt8(at);
    case 2:
      return bytes.readUInt16LE(at);
    case 3:
      return bytes.readInt16LE(at);
    case 4:
      return bytes.readUInt32LE(at);
    case 5:
      return bytes.readInt32LE(at);
    case 6:
      return bytes.readFloatLE(at);
    case 7:
      return bytes.readUInt8(at) !== 0;
    case 10:
      return bytes.readBigUInt64LE(at);
    case 11:
      return bytes.readBigInt64LE(at);
    default:
      return bytes.readDoubleLE(at);
  }
}

/** What is read first, and grows as it is needed. */
const FIRST = 2 ** 18;
/** Elements after which others get their turn. */
const TURN = 2 ** 20;
/** Dimensions of a tensor at most: ggml has 4. */
const MOST_DIMENSIONS = 8;
/** Magic, version, counts. */
const NEWEST_32_BIT = 1;

/** The bytes of the header as far as they were read, and a place in them. */
class Cursor {
  bytes: Buffer = Buffer.alloc(0);
  at = 0;
  private steps = 0;

  constructor(
    private readonly file: FileHandle,
    readonly found: FoundFile,
    /** Of lengths and counts: 4 in version 1, later 8. */
    private readonly width: 4 | 8,
    private readonly most: number,
  ) {}

  /** Makes sure that `more` bytes from here on are there. */
  async need(more: number): Promise<void> {
    const end = this.at + more;
    if (end <= this.bytes.length) return;
    const { path, size } = this.found;
    if (end > size) throw cutHeader(path, size);
    if (end > this.most) throw tooLarge(path, this.most);
    const grown = Buffer.allocUnsafe(Math.min(size, Math.max(end, 2 * this.bytes.length, FIRST), Math.max(end, this.most)));
    this.bytes.copy(grown);
    const had = this.bytes.length;
    const read = await readFully(this.file, grown.subarray(had), had).catch((error) => {
      throw asFileError(error, path);
    });
    if (had + read < grown.length) throw cutHeader(path, had + read);
    this.bytes = grown;
  }

  async word(): Promise<number> {
    await this.need(4);
    this.at += 4;
    return this.bytes.readUInt32LE(this.at - 4);
  }

  async long(): Promise<bigint> {
    await this.need(8);
    this.at += 8;
    return this.bytes.readBigUInt64LE(this.at - 8);
  }

  /** A length or a count. What is more than the file has bytes is a sign that it was cut. */
  async count(): Promise<number> {
    await this.need(this.width);
    return this.countHere();
  }

  /** The same where its bytes are there. */
  private countHere(): number {
    const { bytes, at, width } = this;
    this.at += width;
    const n = bytes.readUInt32LE(at) + (width === 4 ? 0 : bytes.readUInt32LE(at + 4) * 2 ** 32);
    if (n > this.found.size) throw cutHeader(this.found.path, this.found.size);
    return n;
  }

  async text(): Promise<string> {
    const length = await this.count();
    await this.need(length);
    this.at += length;
    return this.bytes.toString("utf8", this.at - length, this.at);
  }

  /** Goes beyond a value of this kind. Lists within lists are walked without recursion: a file may have millions. */
  async skip(kind: number, key: string): Promise<void> {
    const lists: { kind: number; left: number }[] = [{ kind, left: 1 }];
    for (let top = lists.at(-1); top !== undefined; top = lists.at(-1)) {
      if (top.left === 0) lists.pop();
      else if (top.kind === TEXT) {
        await this.skipTexts(top.left);
        top.left = 0;
      } else if (top.kind === LIST) {
        top.left--;
        // As with texts: a promise for each of millions of lists would take longer than all the rest.
        if (this.at + 12 > this.bytes.length) await this.need(4 + this.width);
        const inner = this.bytes.readUInt32LE(this.at);
        this.at += 4;
        lists.push({ kind: inner, left: this.countHere() });
        if (++this.steps % TURN === 0) await turn();
      } else {
        const bytes = SIZES[top.kind];
        if (bytes === undefined)
          throw corrupt(this.found.path, `${shownKey(key)} has a value of kind ${top.kind}, which GGUF has not`);
        const all = top.left * bytes;
        if (this.at + all > this.bytes.length) await this.need(all);
        this.at += all;
        top.left = 0;
      }
    }
  }

  private async skipTexts(n: number): Promise<void> {
    for (let i = 0; i < n; i++) {
      const { bytes, at, width } = this;
      // The usual case without a promise: a vocabulary has hundreds of thousands.
      if (at + width <= bytes.length && (width === 4 || bytes.readUInt32LE(at + 4) === 0)) {
        const end = at + width + bytes.readUInt32LE(at);
        if (end <= bytes.length) {
          this.at = end;
          if ((i & (TURN - 1)) === TURN - 1) await turn();
          continue;
        }
      }
      const length = await this.count();
      await this.need(length);
      this.at += length;
    }
  }

  /** One step of work that has no end in sight: others get their turn now and then. */
  async step(): Promise<void> {
    if (++this.steps % TURN === 0) await turn();
  }
}

/** The value of this kind at `at`; of lists within lists, too, without recursion. */
function value(kind: number, bytes: Buffer, from: number, width: 4 | 8): unknown {
  let at = from;
  const count = () => {
    at += width;
    return width === 4 ? bytes.readUInt32LE(at - 4) : Number(bytes.readBigUInt64LE(at - 8));
  };
  const one: unknown[] = [];
  const lists = [{ kind, left: 1, into: one }];
  for (let top = lists.at(-1); top !== undefined; top = lists.at(-1)) {
    if (top.left === 0) {
      lists.pop();
      continue;
    }
    top.left--;
    if (top.kind === TEXT) {
      const length = count();
      top.into.push(bytes.toString("utf8", at, at + length));
      at += length;
    } else if (top.kind === LIST) {
      const inner: unknown[] = [];
      top.into.push(inner);
      at += 4;
      lists.push({ kind: bytes.readUInt32LE(at - 4), left: count(), into: inner });
    } else {
      top.into.push(scalar(top.kind, bytes, at));
      at += SIZES[top.kind] as number;
    }
  }
  return one[0];
}

/** Lists are made when they are first looked at. */
function define(metadata: Record<string, unknown>, key: string, kind: number, bytes: Buffer, width: 4 | 8): void {
  if (kind !== LIST) {
    Object.defineProperty(metadata, key, { value: value(kind, bytes, 0, width), enumerable: true, configurable: true });
    return;
  }
  let made: unknown;
  Object.defineProperty(metadata, key, {
    get: () => {
      made ??= value(kind, bytes, 0, width);
      return made;
    },
    enumerable: true,
    configurable: true,
  });
}

/**
 * Reads the header of a GGUF file whose beginning was looked at.
 * @throws BrownianError truncated-gguf, corrupt-gguf, file-access; usage where it is larger than `most` bytes (BROWNIAN_MAX_HEADER)
 */
export async function readHeader(found: FoundFile, most = environment.maxHeader): Promise<Header> {
  const file = await open(found.full, "r").catch((error) => {
    throw asFileError(error, found.path);
  });
  try {
    const version = found.beginning.readUInt32LE(4);
    const width = version <= NEWEST_32_BIT ? 4 : 8;
    const cursor = new Cursor(file, found, width, most);
    cursor.at = 8;
    const tensorCount = await cursor.count();
    const keys = await cursor.count();
    const metadata: Record<string, unknown> = {};
    const entries: { key: string; bytes: Buffer }[] = [];
    for (let i = 0; i < keys; i++) {
      const key = await cursor.text();
      const kind = await cursor.word();
      const from = cursor.at;
      await cursor.skip(kind, key);
      define(metadata, key, kind, cursor.bytes.subarray(from, cursor.at), width);
      entries.push({ key, bytes: cursor.bytes.subarray(from - 4, cursor.at) });
      await cursor.step();
    }
    const tensors: TensorInfo[] = [];
    for (let i = 0; i < tensorCount; i++) {
      const name = await cursor.text();
      const dimensions = await cursor.word();
      if (dimensions > MOST_DIMENSIONS)
        throw corrupt(
          found.path,
          `tensor ${shownKey(name)} has ${dimensions} dimensions, but GGUF has no more than ${MOST_DIMENSIONS}`,
        );
      const shape: bigint[] = [];
      for (let d = 0; d < dimensions; d++) shape.push(width === 4 ? BigInt(await cursor.word()) : await cursor.long());
      tensors.push({ name, shape, type: await cursor.word(), offset: await cursor.long() });
    }
    return { metadata, entries, tensors, bytes: cursor.at };
  } finally {
    await file.close();
  }
}

const SHOWN = 80;

/** A name as a message shows it: not longer than a line. */
export function shownKey(name: string): string {
  return name.length > SHOWN ? `${name.slice(0, SHOWN)}...` : name;
}

function corrupt(path: string, what: string): BrownianError {
  return new BrownianError("corrupt-gguf", `The header of ${path} is damaged: ${what}. ${DOWNLOAD_AGAIN}`);
}

/** @param needed bytes that a whole one takes at least */
export function cutHeader(path: string, size: number, needed = size + 1): BrownianError {
  return new BrownianError(
    "truncated-gguf",
    `${path} ends within its header (${size} bytes): a whole one takes at least ${needed}. ${DOWNLOAD_AGAIN}`,
  );
}

function tooLarge(path: string, most: number): BrownianError {
  return new BrownianError(
    "usage",
    `The header of ${path} is larger than ${most / 2 ** 20} MiB, which is a limit of brownian's, not of the file's: allow more with --max-header (or BROWNIAN_MAX_HEADER), in MiB.`,
  );
}
