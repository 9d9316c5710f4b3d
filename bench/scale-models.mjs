// Files that are shaped like language models of the llama family, of random weights with scales as real ones have (weights.mjs), repeated. One
// of them writes (nonsense), with the vocabulary of the embedded model.

import { closeSync, openSync, writeSync } from "node:fs";
import { GGML_TYPES } from "../dist/files/containers/ggml-types.js";
import { ggufMetadata, metadataOf } from "../dist/files/containers/gguf-writer.js";
import { readModel } from "../dist/files/index.js";
import { realisticWeights } from "./weights.mjs";

const shape = (layers, width, inner, keys, vocabulary, large = false) => {
  const layer = 2 * width * width + 2 * width * keys + 3 * width * inner;
  return { layers, width, inner, keys, vocabulary, large, weights: layers * layer + 2 * vocabulary * width };
};

/** The tensors' sizes are those of models that exist, or nearly. */
export const SIZES = {
  "3M": shape(4, 256, 512, 256, 2048),
  "135M": shape(16, 768, 1536, 768, 16_384),
  "1.1B": shape(22, 2048, 5632, 256, 32_000),
  "8B": shape(32, 4096, 14_336, 1024, 128_256, true),
};

/** A model that writes: 135 million weights, of a width that K-quants divide. */
const WRITER = shape(16, 768, 2560, 768, 2048);
const WRITER_HEADS = 12;

const CHUNK = 1 << 24;

/** What llama.cpp's Q4_K_M has of each kind of tensor, simplified: the output and half of values and downward matrices have six bits. */
const typeOf = (type, name, layer, layers) => {
  if (type !== "Q4_K_M") return type;
  if (name === "output") return "Q6_K";
  const careful = layer < layers / 8 || layer >= (7 * layers) / 8 || layer % 3 === 2;
  return careful && (name === "attn_v" || name === "ffn_down") ? "Q6_K" : "Q4_K";
};

/** @returns how many weights the file has in blocks */
export function writeModelLike(path, size, type) {
  return writeLike(path, size, type, ggufMetadata({ "general.architecture": { text: "llama" } }));
}

/** A model that writes, of 135 million weights in this type. @param vocabulary the model whose vocabulary it has, of as many tokens */
export async function writeWriter(path, type, vocabulary) {
  const metadata = await metadataOf(await readModel(vocabulary));
  const bytes = Buffer.from(metadata.bytes);
  const numbers = {
    "llama.context_length": 2048,
    "llama.embedding_length": WRITER.width,
    "llama.block_count": WRITER.layers,
    "llama.feed_forward_length": WRITER.inner,
    "llama.rope.dimension_count": WRITER.width / WRITER_HEADS,
    "llama.attention.head_count": WRITER_HEADS,
    "llama.attention.head_count_kv": WRITER_HEADS,
  };
  for (const [key, value] of Object.entries(numbers)) {
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(key.length));
    bytes.writeUInt32LE(value, bytes.indexOf(Buffer.concat([length, Buffer.from(key)])) + 8 + key.length + 4); // after the value's type
  }
  return writeLike(path, WRITER, type, { ...metadata, bytes });
}

function writeLike(path, { layers, width, inner, keys, vocabulary }, type, metadata) {
  const matrices = { attn_q: width, attn_k: keys, attn_v: keys, attn_output: width, ffn_gate: inner, ffn_up: inner };
  const tensors = [{ name: "token_embd.weight", columns: width, rows: vocabulary, type: typeOf(type, "token_embd", 0, layers) }];
  for (let i = 0; i < layers; i++) {
    for (const [name, rows] of Object.entries(matrices))
      tensors.push({ name: `blk.${i}.${name}.weight`, columns: width, rows, type: typeOf(type, name, i, layers) });
    tensors.push({ name: `blk.${i}.ffn_down.weight`, columns: inner, rows: width, type: typeOf(type, "ffn_down", i, layers) });
    for (const name of ["attn_norm", "ffn_norm"])
      tensors.push({ name: `blk.${i}.${name}.weight`, columns: width, rows: 1, type: "F32" });
  }
  tensors.push({ name: "output_norm.weight", columns: width, rows: 1, type: "F32" });
  tensors.push({ name: "output.weight", columns: width, rows: vocabulary, type: typeOf(type, "output", 0, layers) });
  write(path, tensors, metadata);
  return tensors.reduce((sum, { columns, rows, type: own }) => sum + (own === "F32" ? 0 : columns * rows), 0);
}

function write(path, tensors, metadata) {
  const u32 = (n) => Buffer.from(Uint32Array.of(n).buffer);
  const u64 = (n) => Buffer.from(BigUint64Array.of(BigInt(n)).buffer);
  const text = (s) => Buffer.concat([u64(Buffer.byteLength(s)), Buffer.from(s)]);
  const ids = new Map([...GGML_TYPES].map(([id, { name }]) => [name, id]));
  let offset = 0;
  const infos = tensors.map((tensor) => {
    const { weights, bytes } = GGML_TYPES.get(ids.get(tensor.type));
    tensor.bytes = ((tensor.columns * tensor.rows) / weights) * bytes;
    const info = [text(tensor.name), u32(2), u64(tensor.columns), u64(tensor.rows), u32(ids.get(tensor.type)), u64(offset)];
    offset += Math.ceil(tensor.bytes / 32) * 32;
    return Buffer.concat(info);
  });
  const header = Buffer.concat([Buffer.from("GGUF"), u32(3), u64(tensors.length), u64(metadata.keys), metadata.bytes, ...infos]);
  const chunks = new Map([["F32", new Uint8Array(new Float32Array(1 << 14).fill(1).buffer)]]); // norms
  const file = openSync(path, "w");
  try {
    writeSync(file, Buffer.concat([header, Buffer.alloc((32 - (header.length % 32)) % 32)]));
    for (const { type, bytes } of tensors) {
      if (!chunks.has(type)) chunks.set(type, realisticWeights(type, CHUNK).data);
      const chunk = chunks.get(type);
      for (let left = bytes; left > 0; left -= chunk.length) writeSync(file, chunk, 0, Math.min(left, chunk.length));
      writeSync(file, Buffer.alloc((32 - (bytes % 32)) % 32));
    }
  } finally {
    closeSync(file);
  }
}
