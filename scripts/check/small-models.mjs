// Small language models with random weights, for trials of the engine: a transformer in any of the types that ggml multiplies with, and a
// recurrent network. Written from the format's specification (ggml/docs/gguf.md) and from the names of tensors in llama.cpp; the blocks of each
// type are ggml's own (test/fixtures/ggml-types.gguf). Needs nothing that setup builds.
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { gguf } from "@huggingface/gguf";

const FIXTURE = fileURLToPath(new URL("../../test/fixtures/ggml-types.gguf", import.meta.url));
/** Weights of a tensor there; the second half of it has standard deviations, .02 to .16, that suit matrices of this width. */
const FIXTURE_WEIGHTS = 4096;

/**
 * Of every type: weights and bytes of a block, the bytes of it that are codes, and how many of those belong together. The others are scales,
 * which are left as ggml has them.
 */
// biome-ignore format: one line a type
const BLOCKS = {
  F32: [1, 4, 0, 4, 4], F16: [1, 2, 0, 2, 2], BF16: [1, 2, 0, 2, 2],
  Q8_0: [32, 34, 2, 34, 1], Q4_0: [32, 18, 2, 18, 1], Q4_1: [32, 20, 4, 20, 1], Q5_0: [32, 22, 2, 22, 1], Q5_1: [32, 24, 4, 24, 1],
  Q2_K: [256, 84, 16, 80, 1], Q3_K: [256, 110, 0, 96, 1], Q4_K: [256, 144, 16, 144, 1], Q5_K: [256, 176, 16, 176, 1],
  Q6_K: [256, 210, 0, 192, 1], TQ2_0: [256, 66, 0, 64, 1], IQ4_NL: [32, 18, 2, 18, 1], IQ4_XS: [256, 136, 8, 136, 1],
  MXFP4: [32, 17, 1, 17, 1], NVFP4: [64, 36, 4, 36, 1],
};
/** The types that matrices can be of here: all that can be moved and that ggml multiplies with. */
export const TYPES = Object.keys(BLOCKS);

const ALIGNMENT = 32;
const F32 = 0;

const integer = (bytes) => (value) => {
  const buffer = Buffer.alloc(bytes);
  buffer.writeUIntLE(value, 0, Math.min(bytes, 6));
  return buffer;
};
const u32 = integer(4);
const u64 = integer(8);
const text = (value) => Buffer.concat([u64(Buffer.byteLength(value)), Buffer.from(value)]);
const f32 = (value) => Buffer.from(Float32Array.of(value).buffer);

/** By GGUF's number of each kind of value. */
const KINDS = { u32: [4, u32], i32: [5, u32], f32: [6, f32], bool: [7, integer(1)], text: [8, text] };

function typed(kind, value) {
  const [id, bytes] = KINDS[kind];
  if (!Array.isArray(value)) return [u32(id), bytes(value)];
  return [u32(9), u32(id), u64(value.length), Buffer.concat(value.map(bytes))];
}

/** Writes a GGUF file of [key, kind, value] and { name, type (ggml's number), shape, data }. */
export function writeModel(path, metadata, tensors) {
  const parts = [Buffer.from("GGUF"), u32(3), u64(tensors.length), u64(metadata.length)];
  for (const [key, kind, value] of metadata) parts.push(text(key), ...typed(kind, value));
  const padding = (length) => Buffer.alloc((ALIGNMENT - (length % ALIGNMENT)) % ALIGNMENT);
  const data = [];
  let offset = 0;
  for (const { name, type, shape, data: bytes } of tensors) {
    parts.push(text(name), u32(shape.length), ...shape.map(u64), u32(type), u64(offset));
    data.push(bytes, padding(bytes.length));
    offset += bytes.length + padding(bytes.length).length;
  }
  const header = Buffer.concat(parts);
  writeFileSync(path, Buffer.concat([header, padding(header.length), ...data]));
}

/** Random words, the same for the same seed (xorshift32: neighbours need be no better than that). */
function randomWords(seed) {
  let state = (seed * 2654435761 + 1) >>> 0 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state;
  };
}

const count = (shape) => shape.reduce((a, b) => a * b, 1);

let fixture;
/** What ggml's own blocks are; read once. */
const readFixture = async () => ({
  ...(await gguf(FIXTURE, { allowLocalFile: true })),
  bytes: readFileSync(FIXTURE),
});

/** Of a type: ggml's number of it, and a function that makes so many weights, blocks whose codes were dealt anew among them. */
async function typeNamed(name, word) {
  const [weights, length, from, to, together] = BLOCKS[name];
  fixture ??= readFixture();
  const { tensorInfos, tensorInfoByteRange, bytes: whole } = await fixture;
  const { dtype, offset } = tensorInfos.find((tensor) => tensor.name === `blk.0.${name}.weight`);
  const start = Math.ceil(tensorInfoByteRange[1] / ALIGNMENT) * ALIGNMENT + Number(offset);
  const bytes = (FIXTURE_WEIGHTS / weights) * length;
  const pool = whole.subarray(start + bytes / 2, start + bytes);
  const blocks = pool.length / length;
  const place = () => (word() % blocks) * length;
  const make = (n) => {
    const data = Buffer.alloc((n / weights) * length);
    for (let at = 0; at < data.length; at += length) {
      const scales = place();
      pool.copy(data, at, scales, scales + length);
      for (let i = from; i < to; i += together) {
        const codes = place() + i;
        for (let byte = 0; byte < together; byte++) data[at + i + byte] = pool[codes + byte];
      }
    }
    return data;
  };
  return { number: dtype, make };
}

/** A vocabulary of bytes, letters and some words, as SentencePiece writes it; longer ones are filled up with words that no text has. */
function vocabulary(size) {
  const bytes = Array.from({ length: 256 }, (_, i) => `<0x${i.toString(16).toUpperCase().padStart(2, "0")}>`);
  const letters = [..."abcdefghijklmnopqrstuvwxyz,.▁"];
  const words = ["▁a", "▁t", "he", "▁the", "on", "ce", "▁up", "ime", "▁ti", "me", "▁time", "On", "Once", "▁upon"];
  const tokens = ["<unk>", "<s>", "</s>", ...bytes, ...letters, ...words];
  const types = [2, 3, 3, ...bytes.map(() => 6), ...letters.map(() => 1), ...words.map(() => 1)];
  while (tokens.length < size) {
    tokens.push(`▁w${tokens.length}`);
    types.push(1);
  }
  return [
    ["tokenizer.ggml.model", "text", "llama"],
    ["tokenizer.ggml.tokens", "text", tokens.slice(0, size)],
    ["tokenizer.ggml.scores", "f32", tokens.slice(0, size).map((_, i) => -i)],
    ["tokenizer.ggml.token_type", "i32", types.slice(0, size)],
    ["tokenizer.ggml.bos_token_id", "u32", 1],
    ["tokenizer.ggml.eos_token_id", "u32", 2],
    ["tokenizer.ggml.unknown_token_id", "u32", 0],
  ];
}

const ones = (name, length) => ({ name, type: F32, shape: [length], data: Buffer.from(new Float32Array(length).fill(1).buffer) });

const LAYERS = 2;
const WIDTH = 256;
const HEADS = 4;
const KEY_HEADS = 2;
const FEED = 512;
/** The least vocabulary that has all that is needed, a multiple of 32. */
export const VOCABULARY = 320;

/** Writes a transformer of two layers, 256 wide, all of whose matrices are of this type ("Q4_K"). `change` may alter its metadata. */
export async function writeTransformer(
  path,
  { type = "Q8_0", tokens = VOCABULARY, context = 256, seed = 1, change = (m) => m } = {},
) {
  const metadata = [
    ["general.architecture", "text", "llama"],
    ["llama.context_length", "u32", context],
    ["llama.embedding_length", "u32", WIDTH],
    ["llama.block_count", "u32", LAYERS],
    ["llama.feed_forward_length", "u32", FEED],
    ["llama.attention.head_count", "u32", HEADS],
    ["llama.attention.head_count_kv", "u32", KEY_HEADS],
    ["llama.attention.layer_norm_rms_epsilon", "f32", 1e-5],
    ["llama.rope.dimension_count", "u32", WIDTH / HEADS],
    ["llama.vocab_size", "u32", tokens],
    ...vocabulary(tokens),
  ];
  writeModel(path, change(metadata), await tensorsOf(type, tokens, seed));
}

/** The weights of the last model that was written: the next one may have the same, under another header. */
let last;

async function tensorsOf(type, tokens, seed) {
  const key = JSON.stringify([type, tokens, seed]);
  if (last?.key === key) return last.tensors;
  const { number, make } = await typeNamed(type, randomWords(seed));
  const matrix = (name, ...shape) => ({ name, type: number, shape, data: make(count(shape)) });
  const half = (WIDTH / HEADS) * KEY_HEADS;
  const layer = (i) => [
    ones(`blk.${i}.attn_norm.weight`, WIDTH),
    matrix(`blk.${i}.attn_q.weight`, WIDTH, WIDTH),
    matrix(`blk.${i}.attn_k.weight`, WIDTH, half),
    matrix(`blk.${i}.attn_v.weight`, WIDTH, half),
    matrix(`blk.${i}.attn_output.weight`, WIDTH, WIDTH),
    ones(`blk.${i}.ffn_norm.weight`, WIDTH),
    matrix(`blk.${i}.ffn_gate.weight`, WIDTH, FEED),
    matrix(`blk.${i}.ffn_up.weight`, WIDTH, FEED),
    matrix(`blk.${i}.ffn_down.weight`, FEED, WIDTH),
  ];
  const tensors = [
    matrix("token_embd.weight", WIDTH, tokens),
    matrix("output.weight", WIDTH, tokens),
    ones("output_norm.weight", WIDTH),
    ...Array.from({ length: LAYERS }, (_, i) => layer(i)).flat(),
  ];
  last = { key, tensors };
  return tensors;
}

/** Writes a recurrent network (Mamba) of two layers, 128 wide, in float32. Its state is all that it knows of earlier tokens. */
export function writeMamba(path, { seed = 1 } = {}) {
  const [width, inner, state, rank, kernel] = [128, 256, 16, 8, 4];
  const word = randomWords(seed);
  const uniform = () => word() / 2 ** 31 - 1;
  /** Uniform, of this standard deviation. */
  const random = (name, deviation, ...shape) => {
    const data = Float32Array.from({ length: count(shape) }, () => uniform() * deviation * Math.sqrt(3));
    return { name, type: F32, shape, data: Buffer.from(data.buffer) };
  };
  const decay = Float32Array.from({ length: state * inner }, (_, i) => -((i % state) + 1));
  const layer = (i) => [
    ones(`blk.${i}.attn_norm.weight`, width),
    random(`blk.${i}.ssm_in.weight`, width ** -0.5, width, 2 * inner),
    random(`blk.${i}.ssm_conv1d.weight`, 0.5, kernel, inner),
    random(`blk.${i}.ssm_conv1d.bias`, 0.1, inner),
    random(`blk.${i}.ssm_x.weight`, inner ** -0.5, inner, rank + 2 * state),
    random(`blk.${i}.ssm_dt.weight`, rank ** -0.5, rank, inner),
    random(`blk.${i}.ssm_dt.bias`, 0.1, inner),
    { name: `blk.${i}.ssm_a`, type: F32, shape: [state, inner], data: Buffer.from(decay.buffer) },
    ones(`blk.${i}.ssm_d`, inner),
    random(`blk.${i}.ssm_out.weight`, inner ** -0.5, inner, width),
  ];
  const metadata = [
    ["general.architecture", "text", "mamba"],
    ["mamba.context_length", "u32", 4096],
    ["mamba.embedding_length", "u32", width],
    ["mamba.block_count", "u32", LAYERS],
    ["mamba.feed_forward_length", "u32", 0],
    ["mamba.attention.head_count", "u32", 0],
    ["mamba.ssm.conv_kernel", "u32", kernel],
    ["mamba.ssm.inner_size", "u32", inner],
    ["mamba.ssm.state_size", "u32", state],
    ["mamba.ssm.time_step_rank", "u32", rank],
    ["mamba.attention.layer_norm_rms_epsilon", "f32", 1e-5],
    ["mamba.vocab_size", "u32", VOCABULARY],
    ...vocabulary(VOCABULARY),
  ];
  const tensors = [
    random("token_embd.weight", 1, width, VOCABULARY),
    random("output.weight", width ** -0.5, width, VOCABULARY),
    ones("output_norm.weight", width),
    ...Array.from({ length: LAYERS }, (_, i) => layer(i)).flat(),
  ];
  writeModel(path, metadata, tensors);
}
