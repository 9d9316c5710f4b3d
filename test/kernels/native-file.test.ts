// Files that the addon maps: work on large tensors goes in chunks, and what a live file remembers of one tensor is not taken for another's.
import { copyFileSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { readModel, type Tensor } from "../../src/files/index.js";
import type { FileKernels, TensorMove } from "../../src/kernels/files.js";
import type { Step } from "../../src/kernels/step.js";
import { collisionThreshold } from "../../src/lattice/collide.js";
import { makeMove, supportedFormat } from "../../src/lattice/perturb.js";
import { streamKey } from "../../src/noise/index.js";
import { native } from "../support/backends.js";
import { scratchFolder, writeGguf } from "../support/synthetic-gguf.js";

const folder = scratchFolder();

function moveOf({ type, name }: Tensor, sigma: number): TensorMove {
  return makeMove(supportedFormat(type), {
    sigma: Math.fround(sigma),
    inSteps: true,
    key: streamKey(1n, name),
    tick: 3,
    rounding: "matched",
    index: 0,
    steps: null,
    rowLength: 1,
  });
}

describe.each(native.slice(-1))("live files on $name", ({ kernels }) => {
  const files = kernels.files as FileKernels;

  /** A file with these tensors, and a live one. */
  async function opened(name: string, tensors: Parameters<typeof writeGguf>[1]) {
    const path = join(folder, `${name}.gguf`);
    const livePath = join(folder, `${name}-live.gguf`);
    writeGguf(path, tensors);
    copyFileSync(path, livePath);
    const pristine = files.map(path);
    const live = files.mapLive(livePath, pristine);
    const close = async () => {
      await live.close();
      await pristine.close();
    };
    return { tensors: (await readModel(path)).tensors, before: readFileSync(path), livePath, live, close };
  }

  it("go through a tensor in chunks, to the bytes of one call on all of it, and stop between them", async () => {
    // 41.6 million weights: two chunks of 2^24, and one that is not full.
    const block = Uint8Array.from({ length: 18 * 113 }, (_, i) => [0, 0x2c][i % 18] ?? (i * 73) & 255);
    const shape = [32, 1_300_001];
    const { tensors, before, livePath, live, close } = await opened("large", [
      { name: "large", type: "Q4_0", shape, data: { repeat: block } },
    ]);
    const tensor = tensors[0] as Tensor;
    const move = moveOf(tensor, 0.3);
    const part = (all: Buffer, from = 0, to = tensor.bytes) => all.subarray(tensor.offset + from, tensor.offset + to);
    const expected = Buffer.from(before);
    const changed = kernels.perturb(part(expected), { ...move, index: 0 });
    const done: number[] = [];
    expect(await live.perturb(tensor, move, { onBytes: (bytes) => done.push(bytes) })).toBe(changed);
    const chunk = (2 ** 24 / 32) * 18;
    expect(done).toEqual([chunk, chunk, tensor.bytes - 2 * chunk]);
    expect(readFileSync(livePath).equals(expected)).toBe(true);

    const control = new AbortController();
    const stopped = live.restore(tensor, move.format, { signal: control.signal, onBytes: () => control.abort() });
    await expect(stopped).rejects.toThrow(/abort/);
    const half = readFileSync(livePath);
    expect(part(half, 0, chunk).equals(part(before, 0, chunk))).toBe(true);
    expect(part(half, chunk).equals(part(expected, chunk))).toBe(true);
    await close();
  });

  it("tell a tensor from one without weights that begins where it does", async () => {
    const data = Uint8Array.from({ length: 34 * 9000 }, (_, i) => [0, 0x2c][i % 34] ?? (i * 73) & 255);
    const { tensors, before, livePath, live, close } = await opened("empty", [
      { name: "none", type: "Q8_0", shape: [0] },
      { name: "some", type: "Q8_0", shape: [32, 9000], data },
    ]);
    const [none, some] = tensors as [Tensor, Tensor];
    expect(none.offset).toBe(some.offset);
    for (const sigma of [0.02, 0.03, 0.01]) {
      const expected = Buffer.from(before);
      const bytes = expected.subarray(some.offset, some.offset + some.bytes);
      const changed = kernels.perturb(bytes, { ...moveOf(some, sigma), index: 0 });
      expect(await live.perturb(some, moveOf(some, sigma))).toBe(changed);
      expect(await live.perturb(none, moveOf(none, sigma))).toBe(0);
      expect(readFileSync(livePath).equals(expected)).toBe(true);
    }
    await close();
  });

  it("step more than 64 million weights in several calls, between which they stop; too many are not made ready", async () => {
    // 67 million weights each, in a hole of the file: scales of 0, so that nothing moves.
    const vast = ["a", "b"].map((name) => ({ name, type: "TQ2_0", shape: [256, 2 ** 18] }));
    const { tensors, live, close } = await opened("vast", vast);
    const moves = tensors.map((tensor) => ({ tensor, move: moveOf(tensor, 0.1) }));
    const step: Step = { verb: "collide", threshold: collisionThreshold(0.01) };
    const all = tensors.map(({ bytes }) => bytes);
    const done: number[] = [];
    expect(await live.step(moves, 1, step, { onBytes: (bytes) => done.push(bytes) })).toBe(0);
    expect(done).toEqual(all);
    expect(await (await live.prepare(moves, 2, step))?.write({ onBytes: (bytes) => done.push(bytes) })).toBe(0);
    expect(done).toEqual([...all, ...all]);
    const control = new AbortController();
    const watch = { signal: control.signal, onBytes: () => control.abort() };
    await expect(live.step(moves, 3, step, watch)).rejects.toThrow(/abort/);
    const again = new AbortController();
    const prepared = await live.prepare(moves, 3, step);
    await expect(prepared?.write({ signal: again.signal, onBytes: () => again.abort() })).rejects.toThrow(/abort/);
    // Sixteen tensors of 17 million bytes each.
    const eight = Array.from({ length: 8 }, () => moves).flat();
    expect(await live.prepare(eight, 4, { verb: "collide", threshold: collisionThreshold(1) })).toBeUndefined();
    await close();
  });
});
