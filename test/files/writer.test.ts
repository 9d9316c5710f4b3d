// A new file made in one pass: the bytes and the counts that memory gives, on every backend; stopped and failed passes leave what they say.
import { readFileSync, truncateSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { type ModelFile, openWriter, readModel, type Tensor, type TensorMove } from "../../src/files/index.js";
import { makeMove, supportedFormat } from "../../src/lattice/perturb.js";
import { streamKey } from "../../src/noise/index.js";
import { fastest, variants } from "../support/backends.js";
import { scratchFolder, writeGguf } from "../support/synthetic-gguf.js";

const folder = scratchFolder();
const pristine = join(folder, "pristine.gguf");

/** Of these, only the first moves. It is more than two of the largest chunks of a writer, 4.2 million weights each. */
const tensors = [
  { name: "moves", type: "Q4_0", shape: [32, 300_001] },
  { name: "rests", type: "F32", shape: [1000] },
];
const block = Uint8Array.from({ length: 18 * 113 }, (_, i) => [0, 0x2c][i % 18] ?? (i * 73) & 255);
let model: ModelFile;
let before: Buffer;

beforeAll(async () => {
  writeGguf(
    pristine,
    tensors.map((tensor) => ({ ...tensor, data: { repeat: block } })),
  );
  model = await readModel(pristine);
  before = readFileSync(pristine);
});

function moveOf({ type, name }: Tensor): TensorMove {
  return makeMove(supportedFormat(type), {
    sigma: Math.fround(0.3),
    inSteps: true,
    key: streamKey(1n, name),
    tick: 3,
    rounding: "matched",
    index: 0,
    steps: null,
    rowLength: 1,
  });
}

describe.each(variants)("writing on $name", ({ name, kernels }) => {
  it("gives the bytes of a move in memory, counts every code it changed, and tells of every byte once", async () => {
    const out = join(folder, `out ${name}.gguf`);
    const tensor = model.tensors[0] as Tensor;
    const expected = Buffer.from(before);
    const bytes = expected.subarray(tensor.offset, tensor.offset + tensor.bytes);
    const changed = fastest.perturb(bytes, { ...moveOf(tensor), index: 0 });
    let done = 0;
    const watch = { onBytes: (n: number) => (done += n) };
    const writer = await openWriter([out], model, kernels);
    await writer.copyRest([tensor], watch);
    expect(await writer.perturb(tensor, moveOf(tensor), watch)).toBe(changed);
    await writer.close();
    expect(readFileSync(out).equals(expected)).toBe(true);
    expect(done).toBe(before.length);
  });
});

describe("a writer", () => {
  it("copies what does not move, byte for byte", async () => {
    const out = join(folder, "copy.gguf");
    const writer = await openWriter([out], model, fastest);
    const tensor = model.tensors[0] as Tensor;
    await writer.copyRest([tensor]);
    await writer.restore(tensor);
    await writer.close();
    expect(readFileSync(out).equals(before)).toBe(true);
  });

  it("stops when it is told to, and writes over no file that is there", async () => {
    const out = join(folder, "stopped.gguf");
    const writer = await openWriter([out], model, fastest);
    const reason = new Error("enough");
    await expect(writer.copyRest([], { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    await writer.close();
    await expect(openWriter([out], model, fastest)).rejects.toMatchObject({ code: "file-access" });
  });

  it("names a model that was cut meanwhile", async () => {
    const path = join(folder, "cut.gguf");
    writeGguf(path, [{ name: "w", type: "F32", shape: [1000] }]);
    const cut = await readModel(path);
    const writer = await openWriter([join(folder, "of-cut.gguf")], cut, fastest);
    truncateSync(path, cut.size - 100);
    await expect(writer.copyRest([])).rejects.toMatchObject({
      code: "truncated-gguf",
      message: expect.stringMatching(/cut\.gguf became shorter while it was read: write it anew/),
    });
    await writer.close();
  });
});
