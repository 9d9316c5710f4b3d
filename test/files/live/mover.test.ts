// Moving tensors in files: mapped and positioned movers against the same bytes moved in memory; faults; memory.
import { spawnSync } from "node:child_process";
import { copyFileSync, linkSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, it } from "vitest";
import {
  type ModelFile,
  openMover,
  openReader,
  readModel,
  type Tensor,
  type TensorMove,
  tensorRms,
} from "../../../src/files/index.js";
import type { Kernels, MappedFile } from "../../../src/kernels/contract.js";
import { jsKernels } from "../../../src/kernels/js.js";
import { makeMove, supportedFormat } from "../../../src/lattice/perturb.js";
import type { Move } from "../../../src/laws/move.js";
import { SUM_LEAF } from "../../../src/laws/numbers.js";
import { streamKey } from "../../../src/noise/index.js";
import { native } from "../../support/backends.js";
import { scratchFolder, writeGguf } from "../../support/synthetic-gguf.js";

const folder = scratchFolder();
const file = (name: string) => join(folder, name);
const root = fileURLToPath(new URL("../../..", import.meta.url));

/** A mapped file without an addon: a buffer that is written back when it is closed. */
class BufferFile implements MappedFile {
  private readonly bytes: Buffer;
  constructor(
    private readonly path: string,
    private readonly writable: boolean,
  ) {
    this.bytes = readFileSync(path);
  }
  get size() {
    return this.bytes.length;
  }
  async perturb(offset: number, length: number, move: Move, source: MappedFile | null) {
    if (source !== null) await this.copyFrom(source, offset, length);
    return jsKernels.perturb(this.bytes.subarray(offset, offset + length), move);
  }
  async indexSteps() {
    return new Uint8Array();
  }
  redraw(offset: number, length: number, move: Move, source: MappedFile) {
    return this.perturb(offset, length, move, source);
  }
  async copyFrom(source: MappedFile, offset: number, length: number) {
    if (!this.writable) throw new Error("not writable");
    (source as BufferFile).bytes.copy(this.bytes, offset, offset, offset + length);
  }
  async sumSquares(
    offset: number,
    length: number,
    ...[format, steps, row]: Parameters<MappedFile["sumSquares"]> extends [number, number, ...infer R] ? R : never
  ) {
    return jsKernels.sumSquares(this.bytes.subarray(offset, offset + length), format, steps, row, 0, 0);
  }
  close() {
    if (this.writable) writeFileSync(this.path, this.bytes);
  }
}

const withMap = (map: NonNullable<Kernels["map"]>): Kernels => ({ ...jsKernels, map });
const kinds = [
  { name: "positioned reads and writes", kernels: jsKernels },
  { name: "a map", kernels: withMap((path, writable) => new BufferFile(path, writable)) },
  ...native.slice(-1),
];

function moveOf(tensor: Tensor): TensorMove {
  return makeMove(supportedFormat(tensor.type), {
    sigma: Math.fround(0.05),
    inSteps: false,
    key: streamKey(1n, tensor.name),
    tick: 3,
    rounding: "matched",
    index: 0,
    steps: null,
    rowLength: 1,
  });
}

/** Bytes of blocks whose float16 scale is 1/16 and whose codes differ. */
function blocks(count: number, bytes: number): Uint8Array {
  return Uint8Array.from({ length: count * bytes }, (_, i) =>
    i % bytes === 0 ? 0 : i % bytes === 1 ? 0x2c : (i * 73 + (i >> 8)) & 255,
  );
}

const pristine = file("pristine.gguf");
let model: ModelFile;
let before: Buffer;

beforeAll(async () => {
  const rows = 9000; // 288,000 weights: more than a piece of the positioned mover, and the last one is not full
  writeGguf(pristine, [
    { name: "a", type: "Q8_0", shape: [32, rows], data: blocks(rows, 34) },
    { name: "still", type: "F16", shape: [64], data: new Uint8Array(128).fill(0x30) },
    { name: "b", type: "Q4_0", shape: [32, rows], data: blocks(rows, 18) },
    { name: "c", type: "F32", shape: [100], data: new Uint8Array(Float32Array.from({ length: 100 }, (_, i) => i / 64).buffer) },
    { name: "empty", type: "F32", shape: [0] },
  ]);
  model = await readModel(pristine);
  before = readFileSync(pristine);
});

const tensor = (name: string) => model.tensors.find((t) => t.name === name) as Tensor;
const moving = () => ["a", "b", "c"].map(tensor);

describe.each(kinds)("through $name", ({ name, kernels }) => {
  const live = file(`live-${name}.gguf`);
  const open = async () => {
    copyFileSync(pristine, live);
    return openMover(live, pristine, kernels);
  };

  it("moves what memory would, whatever was there before, and no other byte", async () => {
    const expected = Buffer.from(before);
    const mover = await open();
    for (const t of moving()) {
      const changed = jsKernels.perturb(expected.subarray(t.offset, t.offset + t.bytes), { ...moveOf(t), index: 0 });
      let seen = 0;
      expect(changed).toBeGreaterThan(0);
      expect(await mover.perturb(t, moveOf(t), { onBytes: (bytes) => (seen += bytes) })).toBe(changed);
      expect(await mover.perturb(t, moveOf(t))).toBe(changed);
      expect(seen).toBe(t.bytes);
    }
    await mover.close();
    expect(readFileSync(live).equals(expected)).toBe(true);
    expect(readFileSync(pristine).equals(before)).toBe(true);
  });

  it("restores every byte, also tensors side by side", async () => {
    const mover = await open();
    for (const t of moving()) await mover.perturb(t, moveOf(t));
    await Promise.all(moving().map((t) => mover.restore(t)));
    await mover.close();
    expect(readFileSync(live).equals(before)).toBe(true);
  });

  it("sums as one call over the whole tensor would, bit for bit", async () => {
    const mover = await open();
    const reader = await openReader(pristine, kernels);
    for (const t of moving()) {
      const { format } = moveOf(t);
      const sum = jsKernels.sumSquares(before.subarray(t.offset, t.offset + t.bytes), format, null, 1, 0, 0);
      let seen = 0;
      await mover.perturb(t, moveOf(t)); // sums are the pristine file's
      expect(await mover.sumSquares(t, { onBytes: (bytes) => (seen += bytes) })).toBe(sum);
      expect(await reader.sumSquares(t)).toBe(sum);
      expect(seen).toBe(t.bytes);
    }
    // 0, 1/64 ... 99/64: sum of squares n (n + 1) (2n + 1) / 6 at n = 99.
    expect(await tensorRms(reader, tensor("c"))).toBeCloseTo(Math.sqrt((99 * 100 * 199) / 6 / 100) / 64, 14);
    expect(await tensorRms(reader, tensor("empty"))).toBe(0);
    await reader.close();
    await mover.close();
  });

  it.each([
    ["NaN", 0x7e],
    ["infinite", 0x7c],
  ])("names the tensor that holds %s weights", async (_, high) => {
    const path = file(`bad-${name}-${high}.gguf`);
    const data = Uint8Array.from({ length: 64 }, (_, i) => (i === 41 ? high : 0));
    writeGguf(path, [{ name: "bad", type: "F16", shape: [32], data }]);
    const reader = await openReader(path, kernels);
    const bad = (await readModel(path)).tensors[0] as Tensor;
    await expect(tensorRms(reader, bad)).rejects.toMatchObject({
      code: "corrupt-gguf",
      message: expect.stringMatching(/Tensor bad \(F16\) holds infinite or NaN weights/),
    });
    await reader.close();
  });

  it("stops when it is told to", async () => {
    const mover = await open();
    const reason = new Error("enough");
    const watch = { signal: AbortSignal.abort(reason) };
    await expect(mover.perturb(tensor("a"), moveOf(tensor("a")), watch)).rejects.toBe(reason);
    await expect(mover.restore(tensor("a"), watch)).rejects.toBe(reason);
    await expect(mover.sumSquares(tensor("a"), watch)).rejects.toBe(reason);
    await mover.close();
    expect(readFileSync(live).equals(before)).toBe(true);
  });

  it("refuses the model itself under any name, what is no copy, and what is not there", async () => {
    const copy = file(`copy-${name}.gguf`);
    const same = file(`same-${name}.gguf`);
    copyFileSync(pristine, copy);
    linkSync(copy, same);
    for (const path of [copy, same]) {
      const message = expect.stringMatching(/is the model .* itself, which is never written to/);
      await expect(openMover(path, copy, kernels)).rejects.toMatchObject({ code: "output-exists", message });
    }
    truncateSync(same, before.length - 1);
    await expect(openMover(copy, pristine, kernels)).rejects.toMatchObject({
      code: "corrupt-gguf",
      message: expect.stringContaining(copy),
    });
    const none = file("none.gguf");
    for (const opening of [
      () => openMover(none, pristine, kernels),
      () => openMover(copy, none, kernels),
      () => openReader(none, kernels),
    ]) {
      await expect(opening()).rejects.toMatchObject({ code: "file-not-found", message: expect.stringContaining(none) });
    }
  });

  it("names the file that no longer holds the tensor", async () => {
    const short = file(`short-${name}.gguf`);
    copyFileSync(pristine, short);
    truncateSync(short, tensor("b").offset + 100);
    const reader = await openReader(short, kernels);
    const message = expect.stringMatching(/short-.*became shorter than its tensor b needs/);
    await expect(reader.sumSquares(tensor("b"))).rejects.toMatchObject({ code: "truncated-gguf", message });
    await reader.close();
  });
});

describe("a mapped mover", () => {
  const large: Tensor = {
    name: "large",
    type: "Q4_0",
    shape: [32, 1_300_001],
    weights: 41_600_032,
    offset: 64,
    bytes: 23_400_018,
  };

  /** A file of any size that only notes what is asked of it. */
  const noted = (calls: [number, number, number][]): MappedFile => ({
    size: 1e9,
    perturb: async (offset, length, { index }) => calls.push([offset, length, index]) && 1,
    indexSteps: async () => new Uint8Array(),
    redraw: async (offset, length, { index }) => calls.push([offset, length, index]) && 1,
    copyFrom: async (_, offset, length) => void calls.push([offset, length, -1]),
    sumSquares: async () => 0,
    close: () => undefined,
  });
  const other = file("other.gguf");
  const opened = (calls: [number, number, number][]) => {
    copyFileSync(pristine, other);
    return openMover(
      other,
      pristine,
      withMap(() => noted(calls)),
    );
  };

  it("goes through a tensor in whole leaves, without gaps, and stops between them", async () => {
    const calls: [number, number, number][] = [];
    const mover = await opened(calls);
    expect(await mover.perturb(large, moveOf(large))).toBe(calls.length);
    expect(calls.length).toBeGreaterThan(2);
    let next = large.offset;
    for (const [offset, length, index] of calls) {
      expect(offset).toBe(next);
      expect(index).toBe(((offset - large.offset) / 18) * 32);
      expect(index % SUM_LEAF).toBe(0);
      next += length;
    }
    expect(next).toBe(large.offset + large.bytes);
    const control = new AbortController();
    const stopped = mover.restore(large, { signal: control.signal, onBytes: () => control.abort() });
    await expect(stopped).rejects.toThrow(/abort/);
    expect(calls.filter(([, , index]) => index === -1)).toHaveLength(1);
  });

  it("lets go of one file when the other cannot be mapped, and names that one", async () => {
    let open = 0;
    const kernels = withMap((_, writable) => {
      if (writable) throw new Error("mmap: Cannot allocate memory");
      open++;
      return { ...noted([]), close: () => void open-- };
    });
    copyFileSync(pristine, other);
    await expect(openMover(other, pristine, kernels)).rejects.toMatchObject({
      code: "file-access",
      message: `${other} cannot be mapped into memory: mmap: Cannot allocate memory.`,
    });
    expect(open).toBe(0);
  });
});

describe("a positioned mover", () => {
  it.skipIf(process.platform !== "linux")("says that the disk is full", async () => {
    const handle = await open("/dev/full", "r+");
    await handle.close();
    const live = file("full.gguf");
    copyFileSync(pristine, live);
    const mover = await openMover(live, pristine, jsKernels);
    const prototype = Object.getPrototypeOf(handle);
    const write = prototype.write;
    prototype.write = async () => {
      const full = await open("/dev/full", "r+");
      return write.call(full, Buffer.alloc(8), 0, 8, 0).finally(() => full.close());
    };
    try {
      await expect(mover.restore(tensor("a"))).rejects.toMatchObject({
        code: "no-space",
        message: expect.stringContaining(live),
      });
    } finally {
      prototype.write = write;
      await mover.close();
    }
  });

  it("takes memory that does not grow with the tensor", () => {
    const module = (path: string) => JSON.stringify(new URL(`../../../dist/${path}`, import.meta.url).href);
    // Kernels that do next to nothing: what is measured is the mover.
    const program = `
      import { copyFileSync } from "node:fs";
      const { openMover, readModel } = await import(${module("files/index.js")});
      const { jsKernels } = await import(${module("kernels/js.js")});
      const [path, live] = process.argv.slice(1);
      const kernels = { ...jsKernels, perturb: (data) => (data[0] ^= 1, 1), sumSquares: (data, f, s, r, i, total) => total + data.length };
      copyFileSync(path, live);
      const { tensors: [tensor] } = await readModel(path);
      const mover = await openMover(live, path, kernels);
      const move = { format: null };
      if ((await mover.sumSquares(tensor)) !== tensor.bytes) throw new Error("not all was summed");
      if ((await mover.perturb(tensor, move)) !== Math.ceil(tensor.bytes / 2 ** 18)) throw new Error("not all was moved");
      await mover.restore(tensor);
      await mover.close();
      console.log(process.resourceUsage().maxRSS / 1024);`;
    const peak = (megabytes: number) => {
      const path = file(`${megabytes}.gguf`);
      writeGguf(path, [{ name: "w", type: "F32", shape: [2 ** 18, megabytes] }]);
      const args = ["--input-type=module", "-e", program, "--", path, file(`${megabytes}-live.gguf`)];
      const child = spawnSync(process.execPath, args, { encoding: "utf8" });
      expect(child.stderr).toBe("");
      return Number(child.stdout);
    };
    const small = peak(16);
    // Garbage collection moves the peak by some MB; eight times the file, kept in memory, would move it by 112.
    expect(peak(128) - small).toBeLessThan(40);
  });
});

it("embedded models have tensors with the RMS that their quantization allows", async () => {
  // Q8_0 rounds to 1/127 of a block's largest weight: the RMS of a tensor moves by far less than a percent.
  const exact = await readModel(join(root, "models/fairytales-3M-F32.gguf"));
  const rounded = await readModel(join(root, "models/fairytales-3M-Q8_0.gguf"));
  const [a, b] = [await openReader(exact.path, jsKernels), await openReader(rounded.path, jsKernels)];
  for (const t of rounded.tensors) {
    const same = exact.tensors.find((e) => e.name === t.name) as Tensor;
    expect((await tensorRms(b, t)) / (await tensorRms(a, same)), t.name).toBeCloseTo(1, 2);
  }
  await a.close();
  await b.close();
});
