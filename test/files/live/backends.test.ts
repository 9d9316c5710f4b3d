// Moving in place on every backend: the bytes that memory gives, restored exactly, everything else left alone.
import { createHash } from "node:crypto";
import { copyFileSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { openLiveTensors, readModel, tensorRms } from "../../../src/files/index.js";
import { makeMove, supportedFormat } from "../../../src/lattice/perturb.js";
import { Rounding } from "../../../src/laws/numbers.js";
import { streamKey } from "../../../src/noise/index.js";
import { js, variants } from "../../support/backends.js";
import { scratchFolder, writeGguf } from "../../support/synthetic-gguf.js";

const folder = scratchFolder();
const file = (name: string) => join(folder, name);
const hash = (path: string) => createHash("sha256").update(readFileSync(path)).digest("hex");

describe.each(variants)("moving in place on $name", ({ name, kernels }) => {
  const pristine = file("moving.gguf");
  const live = file(`live ${name}.gguf`);

  beforeAll(() => {
    // Larger than a chunk of either kind of live tensors, and with an end that fills no whole chunk.
    const random = (n: number, scale: (i: number) => number | undefined) =>
      Uint8Array.from({ length: n }, (_, i) => scale(i) ?? (i * 73 + (i >> 8)) & 255);
    const rows = 9000;
    writeGguf(pristine, [
      {
        name: "a",
        type: "Q8_0",
        shape: [32, rows],
        data: random(rows * 34, (i) => (i % 34 === 0 ? 0 : i % 34 === 1 ? 0x2c : undefined)),
      },
      {
        name: "b",
        type: "Q4_0",
        shape: [32, rows],
        data: random(rows * 18, (i) => (i % 18 === 0 ? 0 : i % 18 === 1 ? 0x2c : undefined)),
      },
      { name: "c", type: "F16", shape: [32, 100], data: random(6400, (i) => (i % 2 === 1 ? 0x28 + (i & 0x87) : undefined)) },
    ]);
    copyFileSync(pristine, live);
  });

  it("moves the codes that memory would, restores them, and leaves all other bytes and the pristine file alone", async () => {
    const before = hash(pristine);
    const model = await readModel(pristine);
    const liveTensors = await openLiveTensors(live, pristine, kernels);
    const expected = readFileSync(pristine);
    let onBytes = 0;
    for (const tensor of model.tensors) {
      const move = makeMove(supportedFormat(tensor.type), {
        sigma: Math.fround(0.05),
        inSteps: false,
        key: streamKey(1n, tensor.name),
        tick: 3,
        rounding: "matched",
        index: 0,
        steps: null,
        rowLength: 1,
      });
      const inMemory = expected.subarray(tensor.offset, tensor.offset + tensor.bytes);
      const changed = js.kernels.perturb(inMemory, move);
      expect(changed).toBeGreaterThan(0);
      expect(move.rounding).toBe(Rounding.matched);
      // Twice: the result depends on the pristine bytes, not on what was there.
      expect(await liveTensors.perturb(tensor, move, { onBytes: (bytes) => (onBytes += bytes) })).toBe(changed);
      expect(await liveTensors.perturb(tensor, move)).toBe(changed);
    }
    expect(onBytes).toBe(model.tensors.reduce((sum, t) => sum + t.bytes, 0));
    expect(readFileSync(live).equals(expected)).toBe(true);
    for (const tensor of model.tensors) await liveTensors.restore(tensor);
    expect(hash(live)).toBe(before);
    expect(hash(pristine)).toBe(before);
    await liveTensors.close();
  });

  it("gives the same RMS as memory does", async () => {
    const model = await readModel(pristine);
    const liveTensors = await openLiveTensors(live, pristine, kernels);
    const a = model.tensors[0]!;
    const bytes = readFileSync(pristine).subarray(a.offset, a.offset + a.bytes);
    // Straight from the format: float16 0x2c00 is 1/16.
    let squares = 0;
    bytes.forEach((byte, i) => {
      if (i % 34 > 1) squares += (((byte << 24) >> 24) / 16) ** 2;
    });
    expect(await tensorRms(liveTensors, a)).toBeCloseTo(Math.sqrt(squares / a.weights), 12);
    await liveTensors.close();
  });

  it("names the tensor whose RMS is no number", async () => {
    writeGguf(file("nan.gguf"), [{ name: "bad", type: "F16", shape: [32], data: new Uint8Array(64).fill(0x7e) }]);
    copyFileSync(file("nan.gguf"), file("nan-live.gguf"));
    const liveTensors = await openLiveTensors(file("nan-live.gguf"), file("nan.gguf"), kernels);
    const model = await readModel(file("nan.gguf"));
    await expect(tensorRms(liveTensors, model.tensors[0]!)).rejects.toThrow(/Tensor bad \(F16\) holds infinite or NaN weights/);
    await liveTensors.close();
  });

  it("stops between chunks", async () => {
    const model = await readModel(pristine);
    const liveTensors = await openLiveTensors(live, pristine, kernels);
    await expect(liveTensors.restore(model.tensors[0]!, { signal: AbortSignal.abort() })).rejects.toThrow(/abort/i);
    await liveTensors.close();
  });
});
