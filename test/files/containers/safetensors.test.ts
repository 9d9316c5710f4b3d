// Safetensors: where tensors lie, the folders that models are, and that every way for a header to be wrong has its own refusal.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { describe, expect, it } from "vitest";
import { BrownianError } from "../../../src/errors.js";
import { chooseTensors, readModel } from "../../../src/files/index.js";
import { scratchFolder } from "../../support/synthetic-gguf.js";
import { rawSafetensors, safetensorsOf, writeHfFolder } from "../../support/synthetic-safetensors.js";

const folder = scratchFolder();
const fresh = () => mkdtempSync(join(folder, "case-"));
const zeros = (n: number) => new Uint8Array(n);
const f32 = (...shape: number[]) => ({ dtype: "F32", shape, data: zeros(4 * shape.reduce((a, b) => a * b, 1)) });

function written(name: string, bytes: Uint8Array): string {
  const path = join(fresh(), name);
  writeFileSync(path, bytes);
  return path;
}

describe("a file", () => {
  it("has its tensors where its header says, rows first, and its config's kind of model", async () => {
    const at = fresh();
    const tensors = {
      "a.weight": f32(2, 3),
      b: { dtype: "BF16", shape: [5], data: zeros(10) },
      c: { dtype: "F8_E4M3", shape: [], data: zeros(1) },
    };
    writeHfFolder(at, [tensors], { model_type: "qwen2" });
    const model = await readModel(join(at, "model.safetensors"));
    const data = Number(readFileSync(join(at, "model.safetensors")).readBigUInt64LE(0)) + 8;
    expect(model).toMatchObject({
      container: "safetensors",
      architecture: "qwen2",
      metadata: { format: "pt", config: { model_type: "qwen2" } },
    });
    expect(
      model.tensors.map(({ name, type, shape, weights, offset, bytes }) => [name, type, shape, weights, offset, bytes]),
    ).toEqual([
      ["a.weight", "F32", [3, 2], 6, data, 24],
      ["b", "BF16", [5], 5, data + 24, 10],
      ["c", "F8_E4M3", [], 1, data + 34, 1],
    ]);
  });

  it("may have no tensors, names of all kinds, and dtypes that nobody knows here", async () => {
    expect((await readModel(written("none.safetensors", safetensorsOf({})))).tensors).toEqual([]);
    const odd = safetensorsOf({
      __proto__x: f32(1),
      'a"{b': f32(1),
      new: { dtype: "F4", shape: [3], data: zeros(2) },
      empty: f32(0),
    });
    const model = await readModel(written("odd.safetensors", odd));
    expect(model.tensors.map(({ name, type, bytes }) => [name, type, bytes])).toEqual([
      ["__proto__x", "F32", 4],
      ['a"{b', "F32", 4],
      ["new", "F4", 2],
      ["empty", "F32", 0],
    ]);
    expect(() => chooseTensors(model)).toThrow(expect.objectContaining({ code: "unsupported-type" }));
  });

  const header = (tensors: object) => JSON.stringify(tensors);
  const one = { dtype: "F32", shape: [2], data_offsets: [0, 8] };
  const broken: [string, Uint8Array, string, RegExp][] = [
    ["a header longer than any", rawSafetensors("{}", zeros(0), 2n ** 40n), "corrupt-gguf", /its header has 1099511627776 bytes/],
    [
      "a header longer than the file",
      rawSafetensors("{}", zeros(0), 3000n),
      "truncated-gguf",
      /header ends at byte 3008, and the file at 10/,
    ],
    ["no JSON", rawSafetensors("{nonsense"), "corrupt-gguf", /its header is no JSON/],
    ["more than JSON", rawSafetensors("{} {}"), "corrupt-gguf", /its header is no JSON/],
    ["a tensor that is a number", rawSafetensors(header({ a: 7 })), "corrupt-gguf", /tensor "a" with 7 in the place/],
    ["no dtype", rawSafetensors(header({ a: { ...one, dtype: 3 } }), zeros(8)), "corrupt-gguf", /tensor "a" without a dtype/],
    [
      "a shape below zero",
      rawSafetensors(header({ a: { ...one, shape: [-2] } }), zeros(8)),
      "corrupt-gguf",
      /of the shape \[-2\]|of the shape/,
    ],
    [
      "a vast shape",
      rawSafetensors(header({ a: { ...one, shape: [2 ** 40, 2 ** 40] } }), zeros(8)),
      "corrupt-gguf",
      /which no file can hold/,
    ],
    [
      "offsets the wrong way",
      rawSafetensors(header({ a: { ...one, data_offsets: [8, 0] } }), zeros(8)),
      "corrupt-gguf",
      /at the offsets/,
    ],
    [
      "offsets that are no numbers",
      rawSafetensors(header({ a: { ...one, data_offsets: ["0", "8"] } }), zeros(8)),
      "corrupt-gguf",
      /at the offsets/,
    ],
    [
      "another size than its shape",
      rawSafetensors(header({ a: { ...one, shape: [3] } }), zeros(8)),
      "corrupt-gguf",
      /of 3 F32 numbers in 8 bytes/,
    ],
    [
      "a tensor beyond the end",
      rawSafetensors(header({ a: one }), zeros(7)),
      "truncated-gguf",
      /tensors end at byte \d+, and the file at \d+.*download it again/,
    ],
    [
      "bytes after the last tensor",
      rawSafetensors(header({ a: one }), zeros(9)),
      "corrupt-gguf",
      /goes on for 1 bytes after its last tensor/,
    ],
    [
      "tensors on top of each other",
      rawSafetensors(header({ a: one, b: { ...one, data_offsets: [4, 12] } }), zeros(12)),
      "corrupt-gguf",
      /tensor "b" on top of another/,
    ],
    [
      "a gap",
      rawSafetensors(header({ a: one, b: { ...one, data_offsets: [9, 17] } }), zeros(17)),
      "corrupt-gguf",
      /1 bytes before the tensor "b"/,
    ],
    [
      "a name twice",
      rawSafetensors(`{"a":${header(one)},"\\u0061":${header({ ...one, data_offsets: [8, 16] })}}`, zeros(16)),
      "corrupt-gguf",
      /has "a" twice/,
    ],
    ["metadata that is a text", rawSafetensors(header({ __metadata__: "pt" })), "corrupt-gguf", /__metadata__ that is no object/],
  ];
  it.each(broken)("with %s is refused by what is wrong", async (_, bytes, code, message) => {
    const path = written("broken.safetensors", bytes);
    await expect(readModel(path)).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
    await expect(readModel(path)).rejects.toThrow(/broken\.safetensors/);
  });

  it("that is garbage is refused, whatever it is: a byte changed, the end cut off", async () => {
    const whole = safetensorsOf({ "a.weight": f32(4, 4), b: f32(3) }, { format: "pt" });
    const path = written("garbage.safetensors", whole);
    let state = 1;
    const below = (n: number) => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return Math.floor((state / 2 ** 32) * n);
    };
    let refused = 0;
    for (let round = 0; round < 400; round++) {
      const bytes = Buffer.from(whole.subarray(0, round % 4 === 0 ? below(whole.length) : whole.length));
      for (let changes = round % 4; changes > 0; changes--) bytes[below(Math.min(bytes.length, 200))] = below(256);
      writeFileSync(path, bytes);
      // What is still a whole file is read; all else is an error of ours.
      await readModel(path).catch((error) => {
        expect(error).toBeInstanceOf(BrownianError);
        refused++;
      });
    }
    expect(refused).toBeGreaterThan(200);
  });
});

describe("a folder", () => {
  const parts = () => [{ "a.weight": f32(4, 4) }, { "b.weight": f32(2, 2) }, { c: f32(1) }];

  it("is read by its index, part by part, also where its files are links", async () => {
    const at = fresh();
    writeHfFolder(at, parts());
    const model = await readModel(at);
    expect(model.path).toBe(join(at, "model-00001-of-00003.safetensors"));
    expect(model.tensors.map(({ name, part }) => [name, part])).toEqual([
      ["a.weight", 0],
      ["b.weight", 1],
      ["c", 2],
    ]);
    expect(await readModel(join(at, "model-00001-of-00003.safetensors"))).toEqual(model);
    const links = fresh();
    for (const name of ["config.json", "model.safetensors.index.json", ...model.parts.map(({ path }) => basename(path))])
      symlinkSync(join(at, name), join(links, name));
    expect((await readModel(links)).tensors).toEqual(model.tensors);
  });

  it("is read by its files' numbers where there is no index", async () => {
    const at = fresh();
    writeHfFolder(at, parts());
    rmSync(join(at, "model.safetensors.index.json"));
    const model = await readModel(join(at, "model-00001-of-00003.safetensors"));
    expect(model.parts).toHaveLength(3);
  });

  /** The model in three parts, with one file as it should not be; null: not there. */
  const spoiled = (at: string, name: string, content: string | Uint8Array | null): string => {
    writeHfFolder(at, parts());
    if (content === null) rmSync(join(at, name));
    else writeFileSync(join(at, name), content);
    return at;
  };
  const INDEX = "model.safetensors.index.json";
  const SECOND = "model-00002-of-00003.safetensors";
  const wrong: [string, (at: string) => string, string, RegExp][] = [
    ["nothing in it", (at) => at, "usage", /has no \.safetensors file: name a model file/],
    [
      "two files and no index",
      (at) => {
        for (const name of ["a", "b"]) writeFileSync(join(at, `${name}.safetensors`), safetensorsOf({}));
        return at;
      },
      "usage",
      /2 \.safetensors files, and no index/,
    ],
    ["an index that is no JSON", (at) => spoiled(at, INDEX, "{"), "corrupt-gguf", /index\.json is no object in JSON/],
    [
      "an index that leads elsewhere",
      (at) => spoiled(at, INDEX, '{"weight_map":{"a":"../b.safetensors"}}'),
      "corrupt-gguf",
      /does not say which file/,
    ],
    ["a part missing", (at) => spoiled(at, SECOND, null), "file-not-found", /is in several files/],
    [
      "another part named",
      (at) => join(spoiled(at, "a.txt", ""), SECOND),
      "usage",
      /one of the 3 parts of a model: give the first one, model-00001/,
    ],
    [
      "a part of another model",
      (at) => spoiled(at, SECOND, safetensorsOf({ x: f32(1) })),
      "corrupt-gguf",
      /tensor "b\.weight" in model-00002.*has it not/,
    ],
    [
      "a tensor in two parts",
      (at) => spoiled(at, SECOND, safetensorsOf({ "a.weight": f32(1) })),
      "corrupt-gguf",
      /which is also in/,
    ],
    ["a config that is no JSON", (at) => spoiled(at, "config.json", "[]"), "corrupt-gguf", /config\.json is no object/],
  ];
  it.each(wrong)("with %s is refused by what is wrong", async (_, make, code, message) => {
    const at = join(fresh(), "model");
    mkdirSync(at);
    await expect(readModel(make(at))).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
  });
});

describe("a quantized model", () => {
  const packed = {
    "l.q_proj.qweight": { dtype: "I32", shape: [2, 2], data: zeros(16) },
    "l.q_proj.qzeros": { dtype: "I32", shape: [1], data: zeros(4) },
    "l.q_proj.scales": { dtype: "F16", shape: [2], data: zeros(4) },
    "l.q_proj.g_idx": { dtype: "I32", shape: [2], data: zeros(8) },
    "l.norm.weight": f32(2),
  };

  it.each(["gptq", "awq"])("by %s is refused by its name, and none of its scales is taken for weights", async (quant_method) => {
    const at = fresh();
    writeHfFolder(at, [packed], { quantization_config: { quant_method } });
    const model = await readModel(at);
    expect(() => chooseTensors(model)).toThrow(
      expect.objectContaining({ code: "unsupported-type", message: expect.stringContaining(`${quant_method} I32`) }),
    );
    expect(chooseTensors(model, { skipUnsupported: true }).chosen.map(({ name }) => name)).toEqual(["l.norm.weight"]);
  });

  it("in eight-bit floats moves, and its scales do not", async () => {
    const at = fresh();
    const byte = (...shape: number[]) => ({ dtype: "F8_E4M3", shape, data: zeros(shape.reduce((a, b) => a * b, 1)) });
    const tensors = {
      "l.weight": byte(2, 2),
      "l.weight_scale_inv": f32(1),
      "l.input_scale": f32(1),
      "m.weight": byte(1),
      "m.weight_scale": f32(1),
    };
    writeHfFolder(at, [tensors], { quantization_config: { quant_method: "fp8" } });
    expect(chooseTensors(await readModel(at)).chosen.map(({ name }) => name)).toEqual(["l.weight", "m.weight"]);
  });

  it("in experts' blocks is refused, though blocks and scales have one stem", async () => {
    const at = fresh();
    const bytes = { dtype: "U8", shape: [4], data: zeros(4) };
    writeHfFolder(at, [{ "e.up_proj_blocks": bytes, "e.up_proj_scales": bytes }], {
      quantization_config: { quant_method: "mxfp4" },
    });
    const model = await readModel(at);
    expect(model.tensors.map(({ type }) => type)).toEqual(["mxfp4 U8", "mxfp4 U8"]);
  });
});
