// A moved copy of a folder of Hugging Face: moves by the tensors' own names, all else as it was, whole or not at all.
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { readModel } from "../../src/files/index.js";
import { decode } from "../../src/lattice/decode.js";
import { perturb } from "../../src/lattice/perturb.js";
import { perturbFile } from "../../src/thermostat/index.js";
import { scratchFolder } from "../support/synthetic-gguf.js";
import { type RawTensor, safetensorsOf, writeHfFolder } from "../support/synthetic-safetensors.js";

const folder = scratchFolder();
const fresh = () => mkdtempSync(join(folder, "case-"));
const N = 4096;
/** Weights of every kind that moves here: no infinities, no NaNs. */
const TYPES: Record<string, number> = { F32: 4, F16: 2, BF16: 2, F8_E4M3: 1, F8_E5M2: 1 };
function weights(type: string): RawTensor {
  const data = new Uint8Array(N * (TYPES[type] as number)).map((_, i) => (i * 37 + (i >> 8) * 11) & 0xff);
  const size = TYPES[type] as number;
  // Exponents near one's.
  for (let i = size - 1; i < data.length; i += size) data[i] = 0x2f + ((data[i] as number) & 0x8b);
  return { dtype: type, shape: [64, N / 64], data };
}
const shards = (): Record<string, RawTensor>[] => [
  { "a.F32": weights("F32"), "ids.I64": { dtype: "I64", shape: [2], data: new Uint8Array(16).fill(3) } },
  { "b.F16": weights("F16"), "c.BF16": weights("BF16") },
  { "d.F8_E4M3": weights("F8_E4M3"), "e.F8_E5M2": weights("F8_E5M2") },
];
const everything = (at: string): Record<string, string> =>
  Object.fromEntries(
    readdirSync(at, { withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map(({ name }) => [name, readFileSync(join(at, name)).toString("base64")]),
  );

describe("a folder", () => {
  it("is moved tensor by tensor, and what belongs to it comes along", async () => {
    const model = join(fresh(), "model");
    writeHfFolder(model, shards(), { model_type: "llama" }, { "tokenizer.json": "{}", "README.md": "words" });
    writeFileSync(join(model, "pytorch_model.bin"), "other weights");
    mkdirSync(join(model, "onnx"));
    writeFileSync(join(model, "old.safetensors"), safetensorsOf({}));
    const before = everything(model);
    const moved = join(fresh(), "moved");
    const done = await perturbFile(model, moved, { sigma: 0.05, seed: 7n, tick: 2 });
    expect(done.copied).toEqual(["README.md", "config.json", "model.safetensors.index.json", "tokenizer.json"]);
    expect(done.leftOut).toEqual(["old.safetensors", "onnx", "pytorch_model.bin"]);
    expect(done.skipped.map(({ tensor }) => tensor.name)).toEqual(["ids.I64"]);
    expect(everything(model)).toEqual(before);
    expect(readdirSync(moved).sort()).toEqual([...done.copied, ...done.files.map((file) => file.slice(moved.length + 1))].sort());
    const { tensors, parts } = await readModel(moved);
    for (const { name, type, part, offset, bytes } of tensors) {
      const file = readFileSync(parts[part]?.path as string);
      const now = Uint8Array.from(file.subarray(offset, offset + bytes));
      const pristine = Object.assign({}, ...shards())[name] as RawTensor;
      const expected = pristine.data.slice();
      const sigma = done.tensors.find(({ tensor }) => tensor.name === name)?.sigma.sigma;
      if (sigma !== undefined) {
        // Sigma is RMS's share.
        const w = decode(type, expected);
        expect(sigma).toBeCloseTo(0.05 * Math.sqrt(w.reduce((sum, x) => sum + x * x, 0) / N), 6);
        perturb(expected, { type, sigma, seed: 7n, name, tick: 2 });
      }
      expect(Buffer.from(now).equals(Buffer.from(expected)), name).toBe(true);
    }
    for (const name of done.copied) expect(readFileSync(join(moved, name)).equals(readFileSync(join(model, name)))).toBe(true);
  });

  it("is never written to, nor replaces a folder with something else in it, and nothing is left of what was broken off", async () => {
    const at = fresh();
    const model = join(at, "model");
    writeHfFolder(model, shards());
    const before = everything(model);
    const options = { sigma: 0.05 };
    for (const output of [model, `${model}/`, join(model, "moved")])
      await expect(perturbFile(model, output, options)).rejects.toMatchObject({ code: "output-exists" });
    const other = join(at, "other");
    mkdirSync(other);
    writeFileSync(join(other, "diary.txt"), "dear");
    await expect(perturbFile(model, other, options)).rejects.toMatchObject({ code: "output-exists" });
    const abort = new AbortController();
    const onProgress = () => abort.abort(new Error("enough"));
    await expect(perturbFile(model, join(at, "moved"), { ...options, signal: abort.signal, onProgress })).rejects.toThrow(
      "enough",
    );
    expect(readdirSync(at).sort()).toEqual(["model", "other"]);
    expect(everything(model)).toEqual(before);
  });

  it("of one file is moved as that file is", async () => {
    const at = fresh();
    const model = join(at, "model");
    writeHfFolder(model, [{ "a.weight": weights("BF16") }]);
    await perturbFile(model, join(at, "moved"), { sigma: 0.1, seed: 1n });
    await perturbFile(join(model, "model.safetensors"), join(at, "moved.safetensors"), { sigma: 0.1, seed: 1n });
    expect(readFileSync(join(at, "moved/model.safetensors")).equals(readFileSync(join(at, "moved.safetensors")))).toBe(true);
  });
});
