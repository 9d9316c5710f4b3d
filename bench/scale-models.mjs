// Files that are shaped like language models of the llama family, of random weights with scales as real ones have (weights.mjs), repeated.

import { closeSync, openSync, writeSync } from "node:fs";
import { GGML_TYPES } from "../dist/files/containers/ggml-types.js";
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

const CHUNK = 1 << 24;

/** What llama.cpp's Q4_K_M has of each kind of tensor, simplified: the output and half of values and downward matrices have six bits. */
const typeOf = (type, name, layer, layers) => {
  if (type !== "Q4_K_M") return type;
  if (name === "output") return "Q6_K";
  const careful = layer < layers / 8 || layer >= (7 * layers) / 8 || layer % 3 === 2;
  return careful && (name === "attn_v" || name === "ffn_down") ? "Q6_K" : "Q4_K";
};

/** @returns how many weights the file has in blocks */
export function writeModelLike(path, { layers, width, inner, keys, vocabulary }, type) {
  const matrices = { attn_q: width, attn_k: keys, attn_v: keys, attn_output: width, ffn_gate: inner, ffn_up: inner };
  const tensors = [{ name: "token_embd.weight", columns: width, rows: vocabulary, type: typeOf(type, "token_embd", 0, layers) }];
  for (let i = 0; i < layers; i++) {
    for (const [name, rows] of Object.entries(matrices))
      tensors.push({ name: `blk.${i}.${name}.weight`, columns: width, rows, type: typeOf(type, name, i, layers) });
    tensors.push({ name: `blk.${i}.ffn_down.weight`, columns: inner, rows: width, type: typeOf(type, "ffn_down", i, layers) });
    for (const name of ["attn_norm", "ffn_norm"])
      tensors.push({ name: `blk.${i}.${name}.weight`, columns: width, rows: 1, type: "F32" });
  }
  tensors.push({ name: "output.weight", columns: width, rows: vocabulary, type: typeOf(type, "output", 0, layers) });
  write(path, tensors);
  return tensors.reduce((sum, { columns, rows, type: own }) => sum + (own === "F32" ? 0 : columns * rows), 0);
}

function write(path, tensors) {
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
  const keys = [Buffer.from("GGUF"), u32(3), u64(tensors.length), u64(1), text("general.architecture"), u32(8), text("llama")];
  const header = Buffer.concat([...keys, ...infos]);
  const chunks = new Map();
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
