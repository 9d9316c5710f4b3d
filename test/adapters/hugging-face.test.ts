// Members of a model in safetensors are those of its GGUF, in all formats; and what is merged is W + E, in the rows' own order.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { mergeMember, writeAdapters } from "../../src/adapters/index.js";
import { decode } from "../../src/lattice/decode.js";
import { halfOf } from "../../src/laws/halves.js";
import { Kind } from "../../src/laws/numbers.js";
import { product, readGgufTensors, readSafetensors } from "../support/adapters.js";
import { scratchFolder, writeGguf } from "../support/synthetic-gguf.js";
import { type RawTensor, writeHfFolder } from "../support/synthetic-safetensors.js";

const folder = scratchFolder();
const HEADS = { q: 4, k: 2 };
const RANK = 2;
const OPTIONS = { sigma: 0.1, rank: RANK, seed: 7n } as const;
/** By GGUF's names: rows of how many, how many rows, and Hugging Face's name. */
const PARTS: Record<string, [number, number, string]> = {
  attn_q: [32, 32, "self_attn.q_proj"],
  attn_k: [32, 16, "self_attn.k_proj"],
  attn_v: [32, 16, "self_attn.v_proj"],
  attn_output: [32, 32, "self_attn.o_proj"],
  ffn_gate: [32, 64, "mlp.gate_proj"],
  ffn_up: [32, 64, "mlp.up_proj"],
  ffn_down: [64, 32, "mlp.down_proj"],
};
const BLOCKS = [0, 1];
const hfName = (block: number, part: string) => `model.layers.${block}.${PARTS[part]?.[2]}.weight`;
const ggufName = (block: number, part: string) => `blk.${block}.${part}.weight`;

/** Row of Hugging Face's q or k that is row `i` of GGUF's (convert_hf_to_gguf.py: reshape(heads, 2, half, columns).swapaxes(1, 2)). */
function hfRow(i: number, rows: number, part: string): number {
  const heads = part === "attn_q" ? HEADS.q : part === "attn_k" ? HEADS.k : 0;
  if (heads === 0) return i;
  const size = rows / heads;
  const [head, within] = [Math.floor(i / size), i % size];
  return head * size + (within % 2) * (size / 2) + Math.floor(within / 2);
}

/** BF16 numbers that are those of no other row. */
const weight = (block: number, part: string, row: number, column: number): number =>
  ((block * 7 + part.length * 3 + row * 5 + column) % 13) / 16 - 0.375;
const bf16 = (values: readonly number[]) => new Uint8Array(Uint16Array.from(values, (w) => halfOf(w, Kind.bf16, null)).buffer);

const config = { model_type: "llama", num_attention_heads: HEADS.q, num_key_value_heads: HEADS.k, num_hidden_layers: 2 };
const hf = join(folder, "hf");
const gguf = join(folder, "model.gguf");

beforeAll(() => {
  const theirs: Record<string, RawTensor>[] = BLOCKS.map((block) => {
    const tensors: Record<string, RawTensor> = {};
    for (const [part, [columns, rows]] of Object.entries(PARTS)) {
      const values: number[] = new Array(rows * columns);
      for (let i = 0; i < rows; i++)
        for (let j = 0; j < columns; j++) values[hfRow(i, rows, part) * columns + j] = weight(block, part, i, j);
      tensors[hfName(block, part)] = { dtype: "BF16", shape: [rows, columns], data: bf16(values) };
    }
    return tensors;
  });
  const norm: RawTensor = { dtype: "BF16", shape: [32], data: bf16(new Array(32).fill(1)) };
  writeHfFolder(hf, [...theirs, { "model.norm.weight": norm, "model.embed_tokens.weight": { ...norm, shape: [4, 8] } }], config);
  const ours = BLOCKS.flatMap((block) =>
    Object.entries(PARTS).map(([part, [columns, rows]]) => ({
      name: ggufName(block, part),
      type: "BF16",
      shape: [columns, rows],
      data: bf16(Array.from({ length: rows * columns }, (_, k) => weight(block, part, Math.floor(k / columns), k % columns))),
    })),
  );
  const metadata = {
    "general.architecture": "llama",
    "llama.block_count": 2,
    "llama.attention.head_count": HEADS.q,
    "llama.attention.head_count_kv": HEADS.k,
  };
  writeGguf(gguf, ours, { metadata });
});

describe("a member of a folder of Hugging Face", () => {
  it("is the member of its GGUF, in both formats, but for the last bit of its RMS", async () => {
    for (const [name, input] of [
      ["of-hf", hf],
      ["of-gguf", gguf],
    ] as const)
      await writeAdapters(input, join(folder, name), { ...OPTIONS, members: 2, format: "both" });
    for (const file of ["m01.gguf", "m01-s0.1/adapter_model.safetensors"]) {
      const [a, b] = ["of-hf", "of-gguf"].map((name) => readFileSync(join(folder, name, file)));
      // Sums of squares go by rows, whose order differs: the unit may differ in its last bit.
      const [x, y] = [a, b].map((bytes) => bytes?.toString("latin1").slice(0, 300));
      expect(x).toBe(y);
      expect(a?.length).toBe(b?.length);
    }
    const [a, b] = [
      await readGgufTensors(join(folder, "of-hf/m01.gguf")),
      await readGgufTensors(join(folder, "of-gguf/m01.gguf")),
    ];
    for (const [name, { values }] of a) {
      const other = b.get(name)?.values as Float32Array;
      values.forEach((x, i) => void expect(Math.abs(x - (other[i] as number)), name).toBeLessThanOrEqual(Math.abs(x) * 2 ** -22));
    }
  });

  it("is the same noise as PEFT and as GGUF, rows of q and k in their order", async () => {
    await writeAdapters(hf, join(folder, "both"), { ...OPTIONS, members: 1, format: "both" });
    const ggml = await readGgufTensors(join(folder, "both/m00.gguf"));
    const peft = readSafetensors(join(folder, "both/m00-s0.1/adapter_model.safetensors"));
    for (const block of BLOCKS)
      for (const part of Object.keys(PARTS)) {
        const of = (name: string) => ggml.get(`${ggufName(block, part)}.lora_${name}`)?.values as Float32Array;
        const theirs = (name: string) =>
          peft.get(`base_model.model.${hfName(block, part).replace(/weight$/, "")}lora_${name}.weight`)?.values as Float32Array;
        const [ours, hfs] = [product(of("b"), of("a"), RANK), product(theirs("B"), theirs("A"), RANK)];
        ours.forEach((row, i) => void expect(hfs[hfRow(i, ours.length, part)], part).toEqual(row));
      }
  });

  it("is W + E where it is merged, rounded to the nearest, and all else comes along as it is", async () => {
    const moved = join(folder, "merged");
    writeFileSync(join(hf, "old.bin"), "weights of another kind");
    const done = await mergeMember(hf, moved, { ...OPTIONS, member: 1 });
    expect(done).toMatchObject({
      matrices: 14,
      copied: ["config.json", "model.safetensors.index.json", "tokenizer.json"],
      leftOut: ["old.bin"],
    });
    expect(readdirSync(moved).sort()).toEqual(
      readdirSync(hf)
        .filter((name) => name !== "old.bin")
        .sort(),
    );
    await writeAdapters(hf, join(folder, "merged-of"), { ...OPTIONS, members: 2, format: "peft" });
    const e = readSafetensors(join(folder, "merged-of/m01-s0.1/adapter_model.safetensors"));
    for (const block of BLOCKS) {
      const file = `model-0000${block + 1}-of-00003.safetensors`;
      const [before, after] = [hf, moved].map((at) => raw(join(at, file)));
      for (const [part, [columns]] of Object.entries(PARTS)) {
        const name = hfName(block, part);
        const of = (one: string) =>
          e.get(`base_model.model.${name.replace(/weight$/, "")}lora_${one}.weight`)?.values as Float32Array;
        const noise = product(of("B"), of("A"), RANK);
        const [w, sum] = [before?.get(name) as Float32Array, after?.get(name) as Float32Array];
        w.forEach((x, i) => {
          const expected = Math.fround(x + (noise[Math.floor(i / columns)]?.[i % columns] as number));
          expect(sum[i]).toBe(decode("BF16", bf16([expected]))[0]);
        });
      }
    }
    const last = "model-00003-of-00003.safetensors";
    expect(readFileSync(join(moved, last)).equals(readFileSync(join(hf, last)))).toBe(true);
  });

  it("is refused where it would miss: other kinds of models, weights with scales beside them", async () => {
    const other = join(folder, "other");
    const tensor: RawTensor = { dtype: "BF16", shape: [4, 4], data: bf16(new Array(16).fill(1)) };
    writeHfFolder(other, [{ "model.layers.0.mlp.up_proj.weight": tensor }], { model_type: "phi3" });
    await expect(writeAdapters(other, join(folder, "none"), OPTIONS)).rejects.toMatchObject({
      code: "unsupported-type",
      message: expect.stringMatching(/is a phi3 model: .* known for llama, qwen2/),
    });
    const scaled = join(folder, "scaled");
    const name = "model.layers.0.mlp.up_proj.weight";
    const byte: RawTensor = { dtype: "F8_E4M3", shape: [4, 4], data: new Uint8Array(16).fill(0x38) };
    const scale: RawTensor = { dtype: "F32", shape: [1], data: new Uint8Array(4) };
    writeHfFolder(scaled, [{ [name]: byte, [`${name}_scale_inv`]: scale }], config);
    await expect(writeAdapters(scaled, join(folder, "none"), OPTIONS)).rejects.toThrow(/stored without its scale/);
  });
});

/** BF16 tensors of a file, by name. */
function raw(path: string): Map<string, Float32Array> {
  const bytes = readFileSync(path);
  const start = 8 + Number(bytes.readBigUInt64LE());
  const header = JSON.parse(bytes.toString("utf8", 8, start)) as Record<string, { data_offsets: [number, number] }>;
  return new Map(
    Object.entries(header).flatMap(([name, { data_offsets: offsets }]) =>
      name === "__metadata__"
        ? []
        : [[name, decode("BF16", Uint8Array.from(bytes.subarray(start + offsets[0], start + offsets[1])))]],
    ),
  );
}
