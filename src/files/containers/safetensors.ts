// Safetensors, the container of Hugging Face (https://huggingface.co/docs/safetensors#format): eight bytes of length, a header in JSON, and the
// tensors one after the other without a gap. It knows no model by itself: what kind it is and how it is quantized is in config.json beside it. A
// header is read with suspicion, as strictly as the format's own reader does, and no more: what that refuses is refused here by what is wrong.

import { open, readdir, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { BrownianError, shown } from "../../errors.js";
import { asFileError } from "../file-errors.js";
import { sha256 } from "../sha256.js";
import { readTextFile } from "../text.js";
import { readFully } from "../transfer.js";
import { type Container, type Contents, DOWNLOAD_AGAIN, type FoundFile, type ReadFile } from "./container.js";

/** Length of the header. */
const START = 8;
const BRACE = "{".charCodeAt(0);
/** Bytes of a header at most, as its own reader has it. */
const MOST_HEADER = 100_000_000;
const METADATA = "__metadata__";
const INDEX = ".safetensors.index.json";
const CONFIG = "config.json";
const NUMBERED = /-\d{5}-of-(\d{5})\.safetensors$/;
const FIRST = "00001";

/** Bits of a number, by the format's names. */
const BITS: Readonly<Record<string, number>> = {
  BOOL: 8,
  U8: 8,
  I8: 8,
  F8_E4M3: 8,
  F8_E5M2: 8,
  F8_E8M0: 8,
  U16: 16,
  I16: 16,
  F16: 16,
  BF16: 16,
  U32: 32,
  I32: 32,
  F32: 32,
  U64: 64,
  I64: 64,
  F64: 64,
};
/** Numbers that several codes are packed into, where a model is quantized. */
const WHOLE = new Set(["U8", "I8", "I16", "I32", "U32", "I64"]);
/** How the tensor is called that has the codes. */
const CODES = /(?:^|\.)(?:qweight|weight_packed|weight)$|_blocks$/;

type Entry = Omit<Contents["tensors"][number], "weights"> & { readonly weights: number };

export const safetensors: Container = {
  name: "safetensors",
  begins: 'a length and "{"',
  knows: (beginning) => beginning.length > START && beginning[START] === BRACE,

  async read(file) {
    const { text, bytes, sha256: hash } = await headerOf(file);
    const { metadata, tensors } = parsed(file, text, bytes);
    const config = await jsonBeside(file.full, CONFIG);
    const { model_type: architecture, quantization_config: quantized } = config;
    return {
      metadata: { ...metadata, config },
      architecture: typeof architecture === "string" ? architecture : "unknown",
      tensors: named(tensors, quantized),
      header: { bytes, sha256: hash },
    };
  },

  async first(folder) {
    const names = await readdir(folder);
    const index = names.filter((name) => name.endsWith(INDEX)).sort()[0];
    if (index !== undefined) return join(folder, (await shardsOf(join(folder, index)))[0] as string);
    const files = names.filter((name) => name.endsWith(".safetensors")).sort();
    const [file] = files;
    if (file === undefined || files.length > 1) {
      const found = file === undefined ? "no .safetensors file" : `${files.length} .safetensors files, and no index of them`;
      throw new BrownianError("usage", `${folder} has ${found}: name a model file.`);
    }
    return join(folder, file);
  },

  async others(first) {
    const { path, full } = first.file;
    const name = basename(full);
    const index = await indexOf(full);
    if (index !== undefined) {
      const [one, ...others] = await shardsOf(index);
      if (one !== name)
        throw new BrownianError(
          "usage",
          `${path} is one of the ${others.length + 1} parts of a model: give the first one, ${one}.`,
        );
      return others.map((other) => join(dirname(full), other));
    }
    const count = NUMBERED.exec(name)?.[1];
    if (count === undefined || Number(count) < 2) return [];
    if (!name.endsWith(`-${FIRST}-of-${count}.safetensors`))
      throw new BrownianError("usage", `${path} is one of the ${Number(count)} parts of a model: give the first one.`);
    const stem = full.slice(0, -`${FIRST}-of-${count}.safetensors`.length);
    const five = (n: number) => String(n).padStart(5, "0");
    return Array.from({ length: Number(count) - 1 }, (_, i) => `${stem}${five(i + 2)}-of-${count}.safetensors`);
  },

  async checkParts(parts) {
    const names = new Map<string, string>();
    for (const { file, contents } of parts)
      for (const { name } of contents.tensors) {
        const before = names.get(name);
        if (before !== undefined)
          throw new BrownianError(
            "corrupt-gguf",
            `${file.path} has the tensor ${shown(name)}, which is also in ${before}: a part is another model's.`,
          );
        names.set(name, file.path);
      }
    await checkIndex(parts, names);
  },
};

/** The index that has this file among its parts: that of its name, as Hugging Face's tools write it. */
async function indexOf(full: string): Promise<string | undefined> {
  const path = full.replace(NUMBERED, "").replace(/\.safetensors$/, "") + INDEX;
  return (await stat(path).catch(() => null))?.isFile() ? path : undefined;
}

/** Which file each tensor is in, by the index. @throws BrownianError corrupt-gguf */
async function weightMap(index: string): Promise<Map<string, string>> {
  const { weight_map: map } = await json(index);
  const entries = typeof map === "object" && map !== null ? Object.entries(map) : [];
  // Names of files in this folder, and nothing else.
  if (entries.length > 0 && entries.every(([, file]) => typeof file === "string" && file !== ".." && basename(file) === file))
    return new Map(entries as [string, string][]);
  throw new BrownianError("corrupt-gguf", `${index} does not say which file each tensor is in (weight_map). ${DOWNLOAD_AGAIN}`);
}

/** The files of a model, the first one first. */
const shardsOf = async (index: string): Promise<string[]> => [...new Set((await weightMap(index)).values())].sort();

/** @throws BrownianError corrupt-gguf where the index promises what is not there */
async function checkIndex(parts: readonly ReadFile[], names: ReadonlyMap<string, string>): Promise<void> {
  const [first] = parts as readonly [ReadFile];
  const index = await indexOf(first.file.full);
  if (index === undefined) return;
  const paths = new Map(parts.map(({ file }) => [basename(file.full), file.path]));
  for (const [name, file] of await weightMap(index))
    if (names.get(name) !== paths.get(file))
      throw new BrownianError(
        "corrupt-gguf",
        `${index} has the tensor ${shown(name)} in ${file}, and that file has it not: a part is damaged, or another model's. Download all of them again.`,
      );
}

async function headerOf(file: FoundFile): Promise<{ text: string; bytes: number; sha256: string }> {
  const { path, full, size, beginning } = file;
  const length = beginning.readBigUInt64LE(0);
  if (length > MOST_HEADER) throw damaged(path, `says that its header has ${length} bytes, more than any has`);
  const bytes = START + Number(length);
  if (bytes > size) throw cut(path, `its header ends at byte ${bytes}, and the file at ${size}`);
  const header = Buffer.allocUnsafe(bytes);
  const handle = await open(full, "r").catch((error) => {
    throw asFileError(error, path);
  });
  try {
    const read = await readFully(handle, header, 0);
    if (read < bytes) throw cut(path, `its header ends at byte ${bytes}, and the file at ${read}`);
  } finally {
    await handle.close();
  }
  const hash = (await sha256()).update(header).digest("hex");
  return { text: header.toString("utf8", START), bytes, sha256: hash };
}

/** What a header says, checked. `data` is where the first tensor begins. */
function parsed(
  { path, size }: FoundFile,
  text: string,
  data: number,
): { metadata: Record<string, unknown>; tensors: readonly Entry[] } {
  const header = objectOf(path, text);
  const twice = repeatedKey(text);
  if (twice !== undefined) throw damaged(path, `has ${shown(twice)} twice in its header`);
  const metadata: Record<string, unknown> = {};
  const tensors: Entry[] = [];
  for (const [name, value] of Object.entries(header)) {
    if (name !== METADATA) tensors.push(tensorOf(path, name, value, data));
    else if (isObject(value)) Object.assign(metadata, value);
    else throw damaged(path, `has a ${METADATA} that is no object`);
  }
  let end = data;
  for (const { name, offset, bytes } of [...tensors].sort((a, b) => a.offset - b.offset || a.bytes - b.bytes)) {
    if (offset < end) throw damaged(path, `has the tensor ${shown(name)} on top of another, at byte ${offset}`);
    if (offset > end) throw damaged(path, `has ${offset - end} bytes before the tensor ${shown(name)} that are no tensor's`);
    end = offset + bytes;
  }
  if (end > size) throw cut(path, `its tensors end at byte ${end}, and the file at ${size}`);
  if (end < size) throw damaged(path, `goes on for ${size - end} bytes after its last tensor`);
  return { metadata, tensors };
}

function tensorOf(path: string, name: string, value: unknown, data: number): Entry {
  const wrong = (what: string) => damaged(path, `has the tensor ${shown(name)} ${what}`);
  if (!isObject(value)) throw wrong(`with ${shown(value)} in the place of what it is`);
  const { dtype, shape, data_offsets: offsets } = value;
  if (typeof dtype !== "string") throw wrong("without a dtype");
  if (!Array.isArray(shape) || !shape.every(isCount)) throw wrong(`of the shape ${shown(shape)}`);
  if (
    !Array.isArray(offsets) ||
    offsets.length !== 2 ||
    !offsets.every(isCount) ||
    (offsets[0] as number) > (offsets[1] as number)
  )
    throw wrong(`at the offsets ${shown(offsets)}`);
  const [begin, end] = offsets as [number, number];
  const weights = shape.reduce((product: number, n: number) => product * n, 1);
  if (!isCount(weights)) throw wrong(`of the shape ${shape.join(" x ")}, which no file can hold`);
  const bits = Object.hasOwn(BITS, dtype) ? (BITS[dtype] as number) : undefined;
  if (bits !== undefined && weights * bits !== (end - begin) * 8)
    throw wrong(`of ${weights} ${dtype} numbers in ${end - begin} bytes`);
  // Rows are what varies fastest: the last number of a shape here, the first of ours.
  return { name, type: dtype, shape: [...shape].reverse(), weights, offset: data + begin, bytes: end - begin };
}

/** Codes that are packed into other numbers are of no type by themselves, and what they are scaled with is none of weights: called so. */
function named(tensors: readonly Entry[], quantized: unknown): readonly Entry[] {
  const method = isObject(quantized) ? String(quantized.quant_method ?? "quantized") : undefined;
  const packed = new Set<string>();
  for (const { name, type } of tensors)
    if (WHOLE.has(type) && CODES.test(name) && (method !== undefined || name.endsWith("qweight"))) packed.add(moduleOf(name));
  if (packed.size === 0) return tensors;
  return tensors.map((each) =>
    packed.has(moduleOf(each.name)) ? { ...each, type: `${method ?? "packed"} ${each.type}` } : each,
  );
}

/** What a tensor belongs to: "a.b" of a.b.qweight and a.b.scales; "a.b" of a.b_blocks and a.b_scales. */
const moduleOf = (name: string): string =>
  /_(?:blocks|scales)$/.test(name) ? name.replace(/_[^_]*$/, "") : name.replace(/\.[^.]*$/, "");

/**
 * A key that an object has twice: JSON.parse keeps the last one and says nothing. The text is known to be JSON.
 */
function repeatedKey(text: string): string | undefined {
  const open: (Set<string> | undefined)[] = [];
  const tokens = /"(?:[^"\\]|\\.)*"(\s*:)?|[{}[\]]/g;
  for (let found = tokens.exec(text); found !== null; found = tokens.exec(text)) {
    const [token, colon] = found;
    if (token === "{") open.push(new Set());
    else if (token === "[") open.push(undefined);
    else if (token === "}" || token === "]") open.pop();
    else if (colon !== undefined) {
      const key = JSON.parse(token.slice(0, token.length - colon.length)) as string;
      const keys = open.at(-1);
      if (keys?.has(key)) return key;
      keys?.add(key);
    }
  }
  return undefined;
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

/** @throws BrownianError corrupt-gguf for what is no object in JSON */
function objectOf(path: string, text: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new BrownianError("corrupt-gguf", `${path}: its header is no JSON. ${DOWNLOAD_AGAIN}`, { cause: error });
  }
  if (isObject(value)) return value;
  throw damaged(path, "has a header that is no object");
}

async function json(path: string): Promise<Record<string, unknown>> {
  const text = await readTextFile(path);
  try {
    const value: unknown = JSON.parse(text);
    if (isObject(value)) return value;
  } catch {
    // said below
  }
  throw new BrownianError("corrupt-gguf", `${path} is no object in JSON. ${DOWNLOAD_AGAIN}`);
}

/** A file of the same folder; nothing where there is none. */
async function jsonBeside(full: string, name: string): Promise<Record<string, unknown>> {
  const path = join(dirname(full), name);
  return (await stat(path).catch(() => null))?.isFile() ? json(path) : {};
}

const damaged = (path: string, what: string) => new BrownianError("corrupt-gguf", `${path} ${what}. ${DOWNLOAD_AGAIN}`);
const cut = (path: string, what: string) =>
  new BrownianError("truncated-gguf", `${path} is cut short: ${what}. ${DOWNLOAD_AGAIN}`);
