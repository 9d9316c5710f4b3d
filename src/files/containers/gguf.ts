// GGUF, the container of llama.cpp (ggml/docs/gguf.md): what its header (gguf-header.ts) says of tensors, checked.

import { BrownianError } from "../../errors.js";
import type { Tensor } from "../tensor.js";
import { type Container, DOWNLOAD_AGAIN, type FoundFile } from "./container.js";
import { GGML_TYPES } from "./ggml-types.js";
import { cutHeader, readHeader, shownKey, type TensorInfo } from "./gguf-header.js";

const MAGIC = "GGUF";
/** Magic, version, number of tensors, number of metadata keys. */
const START = 24;
/** Bytes that the smallest possible entry takes: a tensor without name or dimensions, a key without name whose value is a byte. */
const LEAST_TENSOR = 24n;
const LEAST_KEY = 13n;
const PLAUSIBLE = 10_000_000n;
const NEWEST_VERSION = 3;
const DEFAULT_ALIGNMENT = 32;

export const gguf: Container = {
  name: "GGUF",
  begins: JSON.stringify(MAGIC),
  knows: (beginning) => beginning.toString("latin1", 0, MAGIC.length) === MAGIC,

  async read(file) {
    const { path } = file;
    checkStart(file);
    const { metadata, tensors, bytes: header } = await readHeader(file);
    const parts = Number(metadata["split.count"] ?? 1);
    if (parts > 1) {
      throw new BrownianError(
        "usage",
        `${path} is one of ${parts} parts of a split model: give the first one to resolveModel or -m, under the name it was made with (...-00001-of-0000N.gguf).`,
      );
    }
    const alignment = alignmentOf(path, metadata);
    const { "general.architecture": architecture } = metadata;
    const data = Math.ceil(header / alignment) * alignment;
    return {
      metadata,
      architecture: typeof architecture === "string" ? architecture : "unknown",
      tensors: tensors.map((info) => placed(path, info, data, alignment)),
    };
  },
};

function alignmentOf(path: string, metadata: Readonly<Record<string, unknown>>): number {
  const alignment = metadata["general.alignment"] ?? DEFAULT_ALIGNMENT;
  if (typeof alignment === "number" && Number.isInteger(Math.log2(alignment)) && alignment >= 1) return alignment;
  throw new BrownianError(
    "corrupt-gguf",
    `${path}: general.alignment is ${alignment}, which is no power of two. ${DOWNLOAD_AGAIN}`,
  );
}

/** Where a tensor of the directory lies; `data` is where the first one may begin. */
function placed(
  path: string,
  { name, shape: lengths, type: number, offset: from }: TensorInfo,
  data: number,
  alignment: number,
): Tensor {
  const shape = lengths.map(Number);
  const weights = shape.reduce((product, n) => product * n, 1);
  const offset = data + Number(from);
  const wrong = (what: string) =>
    new BrownianError("corrupt-gguf", `${path}: tensor ${shownKey(name)} ${what}. ${DOWNLOAD_AGAIN}`);
  if (!Number.isSafeInteger(weights)) throw wrong(`has the shape ${shape.join(" x ")}, which no file can hold`);
  if (from % BigInt(alignment) !== 0n) throw wrong(`begins at ${from}, which is no multiple of ${alignment}`);
  const type = GGML_TYPES.get(number);
  if (type === undefined) return { name, type: `type ${number}`, shape, weights, offset, bytes: 0 };
  const row = shape[0] ?? 1;
  if (row % type.weights !== 0) {
    throw wrong(`has rows of ${row} weights, which is no multiple of a ${type.name} block (${type.weights})`);
  }
  return { name, type: type.name, shape, weights, offset, bytes: (weights / type.weights) * type.bytes };
}

/** What can be said of a header before it is parsed. */
function checkStart({ path, size, beginning }: FoundFile): void {
  if (beginning.length < START) throw cutHeader(path, size, START);
  const version = beginning.readUInt32LE(4);
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
  const tensors = beginning.readBigUInt64LE(8);
  const keys = beginning.readBigUInt64LE(16);
  const needed = BigInt(START) + tensors * LEAST_TENSOR + keys * LEAST_KEY;
  if (version <= 1 || needed <= size) return;
  if (tensors <= PLAUSIBLE && keys <= PLAUSIBLE) throw cutHeader(path, size, Number(needed));
  const [what, count] = tensors > PLAUSIBLE ? ["Tensor count", tensors] : ["Key count", keys];
  throw new BrownianError(
    "corrupt-gguf",
    `${path} is damaged: ${what} ${count} is more than its ${size} bytes hold. ${DOWNLOAD_AGAIN}`,
  );
}
