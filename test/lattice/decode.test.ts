// The table of formats against ggml's own file: decoded weights have ggml's bits, and codes survive unpacking and packing.
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { readModel } from "../../src/files/index.js";
import { decode } from "../../src/lattice/decode.js";
import { encodedFormat, FORMATS, formatNamed } from "../../src/lattice/formats.js";
import { pack, unpack } from "../../src/laws/codes.js";
import { Field } from "../../src/laws/numbers.js";

const path = new URL("../fixtures/ggml-types.gguf", import.meta.url).pathname;
const truth = new Float32Array(readFileSync(new URL("../fixtures/ggml-types.f32", import.meta.url)).buffer.slice(0));
const file = readFileSync(path);
const model = await readModel(path);

describe("formats", () => {
  const rows = model.tensors.map((tensor, i) => ({
    tensor,
    type: tensor.type,
    expected: truth.subarray(i * 4096, (i + 1) * 4096),
  }));

  it("cover every type of ggml's file that is a lattice or a float", () => {
    const missing = rows.filter(({ type }) => formatNamed(type) === undefined).map(({ type }) => type);
    expect(missing).toEqual(["TQ1_0", "Q1_0", "Q2_0", "IQ3_S"]);
    expect(FORMATS.filter(({ ggml }) => ggml !== null)).toHaveLength(19);
  });

  it.each(rows.filter(({ type }) => formatNamed(type) !== undefined))("$type decodes to ggml's bits", ({ tensor, expected }) => {
    const format = formatNamed(tensor.type)!;
    const data = file.subarray(tensor.offset, tensor.offset + tensor.bytes);
    const decoded = decode(format, data);
    expect(decoded).toHaveLength(4096);
    const wrong = decoded.findIndex((w, i) => w !== expected[i]);
    expect(wrong, `weight ${wrong}: ${decoded[wrong]} instead of ${expected[wrong]}`).toBe(-1);
  });

  it.each(FORMATS.filter((f) => f.lattice !== undefined))("$name: all codes survive, and no other bit is touched", (format) => {
    const encoded = encodedFormat(format);
    const blocks = 4;
    const data = new Uint8Array(blocks * format.bytes).map((_, i) => (i * 101 + 7) & 255);
    const codes = new Int8Array(blocks * format.weights);
    unpack(codes, data, 0, blocks, encoded);
    const copy = data.slice();
    pack(codes, copy, 0, blocks, encoded);
    expect(copy).toEqual(data);
    // Every code is independent: filling all with one value leaves the bits that are no codes, and reads back as that value.
    const { lo, hi, levels } = format.lattice!;
    for (const value of [lo, hi]) {
      codes.fill(value);
      pack(codes, copy, 0, blocks, encoded);
      const back = new Int8Array(codes.length);
      unpack(back, copy, 0, blocks, encoded);
      expect(back.every((q) => q === value)).toBe(true);
    }
    expect(encoded[Field.planes]).toBe(format.lattice!.planes.length);
    expect(levels).toMatch(/uniform|iq4nl|e2m1/);
  });
});
