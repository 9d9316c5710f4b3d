// The probe against engines of our own making, which see exactly what they are told to see; and against the real one.
import { createHash } from "node:crypto";
import { copyFile, mkdtemp, open, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Engine } from "../../src/engine/interface.js";
import { probe } from "../../src/engine/probe.js";
import { readModel, type Tensor } from "../../src/files/index.js";
import { loadModel } from "../../src/llama/index.js";
import { Thermostat } from "../../src/thermostat/index.js";
import { writeGguf } from "../support/synthetic-gguf.js";

const file = (type: string) => `models/fairytales-3M-${type}.gguf`;
const names = (classes: readonly { name: string }[]) => classes.map(({ name }) => name);

let scratch: string;
beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), "brownian-test-"));
});
afterAll(() => rm(scratch, { recursive: true }));

/** An engine whose logits are checksums of the live bytes that `reads` gives it. */
function engineThat(
  reads: (live: Buffer, tensors: ReadonlyMap<string, Tensor>, context: readonly number[]) => Buffer[],
  bath: Thermostat,
) {
  const tensors = new Map(bath.model.tensors.map((tensor) => [tensor.name, tensor]));
  const engine: Pick<Engine, "name" | "tokenize" | "logits"> = {
    name: "a model",
    tokenize: () => [1, 5, 6, 7, 8],
    logits: async (context) =>
      new Map(reads(await readFile(bath.livePath), tensors, context).map((bytes, i) => [i, checksum(bytes)])),
  };
  return engine as Engine;
}
const checksum = (bytes: Buffer) => createHash("md5").update(bytes).digest().readUInt32LE();
/** Whether the live file is the model, byte for byte. */
const pristine = async (bath: Thermostat) => (await readFile(bath.livePath)).equals(await readFile(bath.model.path));
const part = (live: Buffer, { offset, bytes }: Tensor) => live.subarray(offset, offset + bytes);

async function probing(path: string, reads: Parameters<typeof engineThat>[0]) {
  const bath = await Thermostat.open(path, { sigma: 0, scratch, skipUnsupported: true });
  try {
    const result = await probe(engineThat(reads, bath), bath, bath.tensors);
    expect(await pristine(bath)).toBe(true);
    return { live: names(result.live), dead: names(result.dead), unused: names(result.unused) };
  } finally {
    await bath.close();
  }
}

describe("probe", () => {
  it("tells apart what an engine sees from what it does not", async () => {
    const { live, dead } = await probing(file("Q8_0"), (bytes, tensors) => [part(bytes, tensors.get("blk.0.attn_q.weight")!)]);
    expect(live).toEqual(["Q8_0 blk.*.attn_q.weight"]);
    expect(dead).toHaveLength(10);
  });

  it("does not call dead what no logit depends on, and sees what only chooses", async () => {
    const path = join(scratch, "heads.gguf");
    const tensors = [
      "token_embd.weight",
      "blk.0.a.weight",
      "blk.0.exp_probs_b.bias",
      "blk.1.a.weight",
      "blk.1.nextn.b.weight",
      "cls.output.weight",
    ];
    writeGguf(
      path,
      tensors.map((name) => ({ name, type: "F32", shape: [32, 8], data: { repeat: Buffer.from(Float32Array.of(1).buffer) } })),
      { metadata: { "llama.block_count": 2, "llama.nextn_predict_layers": 1 } },
    );
    const { live, dead, unused } = await probing(path, (bytes, all) => {
      const bias = part(bytes, all.get("blk.0.exp_probs_b.bias")!);
      // A router that chooses otherwise only where a bias is far from what it was.
      const other = [...new Float32Array(bias.buffer.slice(bias.byteOffset, bias.byteOffset + bias.length))].some(
        (x) => Math.abs(x) > 8,
      );
      return [part(bytes, all.get("blk.0.a.weight")!), part(bytes, all.get("token_embd.weight")!), Buffer.of(Number(other))];
    });
    expect(live).toContain("F32 blk.*.exp_probs_b.bias");
    expect(dead).toEqual([]);
    expect(unused.sort()).toEqual(["F32 blk.*.nextn.b.weight", "F32 cls.output.weight"]);
  });

  it("moves tensors with weights that are NaN by themselves", async () => {
    const path = join(scratch, "nan.gguf");
    const block = (scale: number) => Buffer.concat([Buffer.of(scale & 255, scale >> 8), Buffer.alloc(32, 5)]);
    writeGguf(path, [
      { name: "blk.0.a.weight", type: "Q8_0", shape: [64], data: Buffer.concat([block(0x2c00), block(0x7e00)]) },
      { name: "blk.0.b.weight", type: "Q8_0", shape: [64], data: Buffer.concat([block(0x2c00), block(0x2c00)]) },
    ]);
    const { live, dead } = await probing(path, (bytes) => [bytes]);
    expect([live.length, dead]).toEqual([2, []]);
  });

  it("tries all tensors of a class before it calls it dead", async () => {
    const { live } = await probing(file("Q8_0"), (bytes, tensors) => [part(bytes, tensors.get("blk.3.ffn_up.weight")!)]);
    expect(live).toEqual(["Q8_0 blk.*.ffn_up.weight"]);
  });

  it("wants a tied embedding seen in both its places", async () => {
    const rows = (bytes: Buffer, tensor: Tensor, which: (row: number) => boolean) => {
      const length = tensor.bytes / tensor.shape[1]!;
      const all = Array.from({ length: tensor.shape[1]! }, (_, i) => part(bytes, tensor).subarray(i * length, (i + 1) * length));
      return [Buffer.concat(all.filter((_, i) => which(i)))];
    };
    const embedding = "token_embd.weight";
    const lookup = await probing(file("Q8_0"), (b, t, context) => rows(b, t.get(embedding)!, (row) => context.includes(row)));
    const output = await probing(file("Q8_0"), (b, t, context) => rows(b, t.get(embedding)!, (row) => !context.includes(row)));
    const both = await probing(file("Q8_0"), (b, t) => rows(b, t.get(embedding)!, () => true));
    expect([lookup.live, output.live, both.live]).toEqual([[], [], [`Q8_0 ${embedding}`]]);
  });

  it("moves tensors of zeros, which have no RMS, all the same", async () => {
    const zeros = join(scratch, "zeros.gguf");
    await copyFile(file("Q8_0"), zeros);
    const { tensors } = await readModel(zeros);
    const handle = await open(zeros, "r+");
    for (const { offset, bytes } of tensors.filter(({ name }) => name.endsWith("ffn_norm.weight")))
      await handle.write(Buffer.alloc(bytes), 0, bytes, offset);
    await handle.close();
    const { live } = await probing(zeros, (bytes, t) => [part(bytes, t.get("blk.0.ffn_norm.weight")!)]);
    expect(live).toEqual(["F32 blk.*.ffn_norm.weight"]);
  });

  it("refuses an engine whose logits are not reproducible", async () => {
    let calls = 0;
    await expect(probing(file("Q8_0"), () => [Buffer.of(calls++)])).rejects.toMatchObject({ code: "engine-failed" });
  });

  it("restores the live file when it is aborted", async () => {
    const bath = await Thermostat.open(file("Q8_0"), { sigma: 0, scratch });
    const controller = new AbortController();
    let calls = 0;
    const engine = engineThat(() => {
      if (++calls === 4) controller.abort();
      return [Buffer.of(1)];
    }, bath);
    await expect(probe(engine, bath, bath.tensors, controller.signal)).rejects.toThrow("aborted");
    expect(calls).toBe(4);
    expect(await pristine(bath)).toBe(true);
    await bath.close();
  });
});

describe("the real engine", () => {
  const probed = async (path: string) => {
    const model = await loadModel(path, { threads: 1, scratch });
    try {
      return await model.probe();
    } finally {
      await model.dispose();
    }
  };

  it.each(["F32", "F16", "Q8_0", "Q6_K"])("sees every tensor of the %s model that can move", async (type) => {
    const { live, dead } = await probed(file(type));
    expect(names(dead)).toEqual([]);
    expect(names(live)).toContain("F32 output_norm.weight");
  });

  it("does not see Q4_0 matrices, not even those of a tied embedding that it also looks up", async () => {
    const { live, dead } = await probed(file("Q4_0"));
    expect(names(dead).sort()).toEqual(
      ["attn_k", "attn_output", "attn_q", "attn_v", "ffn_down", "ffn_gate", "ffn_up"].map((role) => `Q4_0 blk.*.${role}.weight`),
    );
    expect(names(live)).toContain("F32 blk.*.attn_norm.weight");
    const tied = await probed(await withQ4Embedding(join(scratch, "tied.gguf")));
    expect(names(tied.dead)).toEqual(["Q4_0 token_embd.weight"]);
    expect(tied.live).toHaveLength(10);
  });
});

/** The F32 model with its (tied) embedding coarsely rounded to Q4_0; the tensors behind it move up. */
async function withQ4Embedding(path: string): Promise<string> {
  const { tensors } = await readModel(file("F32"));
  const whole = await readFile(file("F32"));
  const embedding = tensors.find(({ name }) => name === "token_embd.weight")!;
  const data = Math.min(...tensors.map(({ offset }) => offset));
  const step = 2 ** -6; // 0x2400 in half precision
  const rounded = Buffer.alloc((embedding.weights / 32) * 18); // a multiple of the 32 bytes that tensors are aligned to
  for (let block = 0; block < embedding.weights / 32; block++) {
    const code = (i: number) =>
      Math.min(15, Math.max(0, Math.round(whole.readFloatLE(embedding.offset + (block * 32 + i) * 4) / step) + 8));
    rounded.writeUInt16LE(0x2400, block * 18);
    for (let i = 0; i < 16; i++) rounded[block * 18 + 2 + i] = code(i) | (code(i + 16) << 4);
  }
  const header = Buffer.from(whole.subarray(0, data));
  for (const { name, offset, shape } of tensors) {
    // A tensor's entry: length of the name, name, dimensions, shape, type, offset.
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(name.length));
    const type = header.lastIndexOf(Buffer.concat([length, Buffer.from(name)])) + 8 + name.length + 4 + 8 * shape.length;
    if (name === embedding.name) header.writeUInt32LE(2, type);
    else if (offset > embedding.offset)
      header.writeBigUInt64LE(BigInt(offset - data - embedding.bytes + rounded.length), type + 4);
  }
  const before = whole.subarray(data, embedding.offset);
  await writeFile(path, Buffer.concat([header, before, rounded, whole.subarray(embedding.offset + embedding.bytes)]));
  return path;
}
