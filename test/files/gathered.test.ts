// Small tensors are looked at many at a time: what is found out of them is what the file's own reader finds.
import { join } from "node:path";
import { expect, it } from "vitest";
import { Gathered, runsOf } from "../../src/files/gathered.js";
import { openModel, readModel, type Tensor } from "../../src/files/index.js";
import { TensorBytes } from "../../src/files/tensor-bytes.js";
import { variants } from "../support/backends.js";
import { scratchFolder, writeGguf } from "../support/synthetic-gguf.js";

const folder = scratchFolder();
const path = join(folder, "many.gguf");
const types = ["Q8_0", "Q4_K", "F32", "Q6_K", "TQ2_0"];
/** No step or float of these bytes is infinite. */
const data = { repeat: Uint8Array.from({ length: 1009 }, (_, i) => (i * 37) & 0x3b) };
writeGguf(path, [
  ...Array.from({ length: 1500 }, (_, i) => ({
    name: `blk.${i}.w`,
    type: types[i % types.length] as string,
    shape: [256, 1 + (i % 3)],
    data,
  })),
  { name: "large.weight", type: "Q8_0", shape: [4096, 64], data },
  { name: "last.weight", type: "Q8_0", shape: [32], data },
]);

it("runs hold every tensor once, in the file's order; large ones are alone", async () => {
  const model = await readModel(path);
  const runs = [...runsOf(model)];
  expect(runs.flat()).toEqual(model.tensors);
  expect(runs.length).toBeLessThan(6);
  expect(runs.filter((run) => run.some(({ name }) => name === "large.weight"))).toEqual([
    [expect.objectContaining({ name: "large.weight" })],
  ]);
  // Tensors that lie in another order than they are listed in, or in another file, or far away, are not read as one.
  const [a, b] = model.tensors as [Tensor, Tensor];
  for (const other of [a, { ...b, part: 1 }, { ...b, offset: b.offset + 2 ** 23 }]) {
    expect([...runsOf({ tensors: [b, other] })]).toHaveLength(2);
  }
});

it.each(variants)("$name: sums, censuses and bytes of a run are those of the file", async ({ kernels }) => {
  const model = await readModel(path);
  const [run] = [...runsOf(model)] as [readonly Tensor[]];
  const file = await TensorBytes.open([path]);
  const reader = await openModel(model, kernels);
  try {
    const inMemory = await Gathered.read(model, run, file, kernels);
    for (const tensor of run.filter((_, i) => i % 97 === 0)) {
      expect(await inMemory.sumSquares(tensor)).toBe(await reader.sumSquares(tensor));
      if (tensor.type !== "F32") expect(await inMemory.census(tensor)).toEqual(await reader.census(tensor));
      const [own, files] = [new Uint8Array(tensor.bytes - 3), new Uint8Array(tensor.bytes - 3)];
      await inMemory.read(tensor, own, 3);
      await file.read(tensor, files, 3);
      expect(own).toEqual(files);
    }
  } finally {
    await file.close();
    await reader.close();
  }
});
