// From weights to 8-bit blocks: the bytes of llama.cpp's own quantizer on a whole model, errors of half a step at most, and what is refused.
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { readModel } from "../../src/files/index.js";
import { decode } from "../../src/lattice/decode.js";
import { formatNamed } from "../../src/lattice/formats.js";
import { quantizeI8, quantizeQ8_0 } from "../../src/lattice/quantize.js";
import { Noise } from "../../src/noise/index.js";

describe("Q8_0", () => {
  it("has the bytes that llama.cpp made of the same weights", async () => {
    const paths = ["models/fairytales-3M-F32.gguf", "models/fairytales-3M-Q8_0.gguf"] as const;
    const [from, to] = [await readModel(paths[0]), await readModel(paths[1])];
    const [source, target] = [readFileSync(paths[0]), readFileSync(paths[1])];
    let compared = 0;
    for (const quantized of to.tensors.filter((t) => t.type === "Q8_0").slice(0, 6)) {
      const tensor = from.tensors.find((t) => t.name === quantized.name)!;
      const floats = new Float32Array(new Uint8Array(source.subarray(tensor.offset, tensor.offset + tensor.bytes)).buffer);
      const expected = target.subarray(quantized.offset, quantized.offset + quantized.bytes);
      expect(Buffer.compare(quantizeQ8_0(floats), expected), quantized.name).toBe(0);
      compared += floats.length;
    }
    expect(compared).toBeGreaterThan(500_000);
  });

  it("is off by half a step at most, and zeros stay zeros", () => {
    const weights = new Noise(1n).stream("w").normal(new Float32Array(3200));
    weights.fill(0, 32, 64);
    const back = decode(formatNamed("Q8_0")!, quantizeQ8_0(weights));
    for (let block = 0; block < 100; block++) {
      const max = Math.max(...weights.subarray(block * 32, block * 32 + 32).map(Math.abs));
      // Half a step, and what F16 takes from the step: 2^-11 of it, up to 127 times.
      const most = (max / 127) * (0.5 + 127 * 2 ** -11) * (1 + 1e-6);
      for (let i = block * 32; i < block * 32 + 32; i++) expect(Math.abs(back[i]! - weights[i]!)).toBeLessThanOrEqual(most);
    }
    expect(back.subarray(32, 64).every((w) => w === 0)).toBe(true);
  });

  it("refuses parts of blocks and what is no number", () => {
    expect(() => quantizeQ8_0(new Float32Array(33))).toThrow(/whole blocks of 32 weights, but there are 33: pad/);
    expect(() => quantizeQ8_0(new Float32Array(64).fill(Number.NaN, 40, 41))).toThrow(/Weight 40 is NaN/);
    expect(() => quantizeQ8_0(new Float32Array(32).fill(1e8))).toThrow(/too large for Q8_0/);
  });
});

describe("I8", () => {
  it("has a step a row", () => {
    const { codes, steps } = quantizeI8(Float32Array.of(1, -0.5, 0.25, 0, 0, 0, 0, 0), 4);
    expect([...steps]).toEqual([1, 0.25, 0, 0].map((max) => Math.fround(max / 127)));
    expect([...new Int8Array(codes.buffer)]).toEqual([127, -64, 127, 0, 0, 0, 0, 0]);
    expect(() => quantizeI8(new Float32Array(8), 3)).toThrow(/8 weights are no 3 rows/);
    expect(() => quantizeI8(Float32Array.of(Infinity))).toThrow(/Weight 0 is Infinity/);
  });
});
