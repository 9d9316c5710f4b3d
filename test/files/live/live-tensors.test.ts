// Moving tensors in files: mapped and positioned, against the same bytes moved in memory; faults; memory.
import { spawnSync } from "node:child_process";
import { copyFileSync, linkSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, it } from "vitest";
import {
  type ModelFile,
  openLiveTensors,
  openReader,
  readModel,
  type Tensor,
  type TensorMove,
  tensorRms,
} from "../../../src/files/index.js";
import { PositionedTensors } from "../../../src/files/live/positioned.js";
import type { Kernels } from "../../../src/kernels/contract.js";
import type { FileKernels, FileWatch, LiveFile, MappedFile, RangeMove, TensorRange } from "../../../src/kernels/files.js";
import { jsKernels } from "../../../src/kernels/js.js";
import type { Step } from "../../../src/kernels/step.js";
import { collide, collisionThreshold } from "../../../src/lattice/collide.js";
import { makeMove, supportedFormat } from "../../../src/lattice/perturb.js";
import type { EncodedFormat, Move } from "../../../src/laws/move.js";
import { Field } from "../../../src/laws/numbers.js";
import { relaxation } from "../../../src/laws/relaxation.js";
import { visited } from "../../../src/laws/visits.js";
import { streamKey } from "../../../src/noise/index.js";
import { native } from "../../support/backends.js";
import { scratchFolder, writeGguf } from "../../support/synthetic-gguf.js";

const folder = scratchFolder();
const file = (name: string) => join(folder, name);
const root = fileURLToPath(new URL("../../..", import.meta.url));

/** A mapped file without an addon: a buffer that is written back when it is closed. */
class BufferFile implements MappedFile {
  readonly bytes: Buffer;
  constructor(protected readonly path: string) {
    this.bytes = readFileSync(path);
  }
  get size() {
    return this.bytes.length;
  }
  async sumSquares(tensor: TensorRange, format: EncodedFormat) {
    return jsKernels.sumSquares(this.of(tensor), format, null, 1, 0, 0);
  }
  of({ offset, bytes }: TensorRange) {
    return this.bytes.subarray(offset, offset + bytes);
  }
  async close() {}
}

/** A step of a whole tensor in memory. */
function stepped(live: Uint8Array, pristine: Uint8Array, move: Move, step: Step): number {
  if (step.verb === "collide") return collide(live, pristine, move, step.threshold, jsKernels);
  if (step.verb === "draw") live.set(pristine);
  if (step.verb === "draw") return jsKernels.perturb(live, move);
  const [weights, bytes] = [move.format[Field.weights] as number, move.format[Field.bytes] as number];
  const { from, to } = visited((live.length / bytes) * weights, move, step.stride);
  const part = (all: Uint8Array) => all.subarray((from / weights) * bytes, (to / weights) * bytes);
  if (step.verb === "diffuse")
    return jsKernels.perturb(part(live), { ...move, index: from, sigma: Math.fround(move.sigma * step.factor) });
  return jsKernels.evolve(part(live), part(pristine), { ...move, index: from }, step.law, step.strength);
}

class LiveBuffer extends BufferFile implements LiveFile {
  constructor(
    path: string,
    private readonly pristine: BufferFile,
  ) {
    super(path);
  }
  async perturb(tensor: TensorRange, move: TensorMove, watch?: FileWatch) {
    await this.restore(tensor, move.format, watch);
    return jsKernels.perturb(this.of(tensor), { ...move, index: 0 });
  }
  async step(moves: readonly RangeMove[], tick: number, step: Step) {
    let changed = 0;
    for (const { tensor, move } of moves)
      changed += stepped(this.of(tensor), this.pristine.of(tensor), { ...move, index: 0, tick }, step);
    return changed;
  }
  async prepare() {
    return undefined;
  }
  async draw(moves: readonly RangeMove[], tick: number) {
    return this.step(moves, tick, { verb: "draw" });
  }
  memory() {
    return { index: 0, journal: 0, ready: 0 };
  }
  async difference(tensor: TensorRange, format: EncodedFormat) {
    return jsKernels.difference(this.of(tensor), this.pristine.of(tensor), format);
  }
  async restore(tensor: TensorRange, _: EncodedFormat, watch?: FileWatch) {
    watch?.signal?.throwIfAborted();
    this.of(tensor).set(this.pristine.of(tensor));
    watch?.onBytes?.(tensor.bytes);
  }
  override async close() {
    writeFileSync(this.path, this.bytes);
  }
}

const buffers: FileKernels = {
  ready: async () => undefined,
  map: (path) => new BufferFile(path),
  mapLive: (path, pristine) => new LiveBuffer(path, pristine as BufferFile),
};
const withFiles = (files: FileKernels): Kernels => ({ ...jsKernels, files });
const kinds = [
  { name: "positioned reads and writes", kernels: jsKernels },
  { name: "a map", kernels: withFiles(buffers) },
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
  const rows = 9000; // 288,000 weights: more than a chunk of the positioned tensors, and the last one is not full
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
    return openLiveTensors(live, pristine, kernels);
  };

  it("moves what memory would, whatever was there before, and no other byte", async () => {
    const expected = Buffer.from(before);
    const liveTensors = await open();
    for (const t of moving()) {
      const changed = jsKernels.perturb(expected.subarray(t.offset, t.offset + t.bytes), { ...moveOf(t), index: 0 });
      let seen = 0;
      expect(changed).toBeGreaterThan(0);
      expect(await liveTensors.perturb(t, moveOf(t), { onBytes: (bytes) => (seen += bytes) })).toBe(changed);
      expect(await liveTensors.perturb(t, moveOf(t))).toBe(changed);
      expect(seen).toBe(t.bytes);
    }
    await liveTensors.close();
    expect(readFileSync(live).equals(expected)).toBe(true);
    expect(readFileSync(pristine).equals(before)).toBe(true);
  });

  it("restores every byte, also tensors side by side", async () => {
    const liveTensors = await open();
    for (const t of moving()) await liveTensors.perturb(t, moveOf(t));
    await Promise.all(moving().map((t) => liveTensors.restore(t)));
    await liveTensors.close();
    expect(readFileSync(live).equals(before)).toBe(true);
  });

  it("diffuses, evolves and collides as memory would, and counts what differs", async () => {
    const liveTensors = await open();
    const diffusing: Step = { verb: "diffuse", factor: 0.75, stride: 3 };
    const colliding: Step = { verb: "collide", threshold: collisionThreshold(0.2) };
    const evolving: Step = { verb: "evolve", law: relaxation, strength: 0.9, stride: 3 };
    const moves = moving().map((tensor) => ({ tensor, move: moveOf(tensor) }));
    const expected = Buffer.from(before);
    let diffused = 0;
    let evolved = 0;
    let changed = 0;
    let different = 0;
    for (const { tensor: t, move } of moves) {
      const [bytes, still] = [expected, before].map((all) => all.subarray(t.offset, t.offset + t.bytes)) as [Buffer, Buffer];
      diffused += stepped(bytes, still, { ...move, index: 0, tick: 3 }, diffusing);
      evolved += stepped(bytes, still, { ...move, index: 0, tick: 4 }, evolving);
      changed += stepped(bytes, still, { ...move, index: 0, tick: 5 }, colliding);
      different += jsKernels.difference(bytes, still, move.format);
    }
    expect(await liveTensors.step(moves, 3, diffusing)).toBe(diffused);
    expect(await liveTensors.step(moves, 4, evolving)).toBe(evolved);
    expect(await liveTensors.step(moves, 5, colliding)).toBe(changed);
    let seen = 0;
    for (const { tensor: t } of moves) seen += await liveTensors.difference(t);
    expect(seen).toBe(different);
    await liveTensors.close();
    expect(readFileSync(live).equals(expected)).toBe(true);
  });

  it("sums as one call over the whole tensor would, bit for bit", async () => {
    const liveTensors = await open();
    const reader = await openReader(pristine, kernels);
    for (const t of moving()) {
      const { format } = moveOf(t);
      const sum = jsKernels.sumSquares(before.subarray(t.offset, t.offset + t.bytes), format, null, 1, 0, 0);
      let seen = 0;
      await liveTensors.perturb(t, moveOf(t)); // sums are the pristine file's
      expect(await liveTensors.sumSquares(t, { onBytes: (bytes) => (seen += bytes) })).toBe(sum);
      expect(await reader.sumSquares(t)).toBe(sum);
      expect(seen).toBe(t.bytes);
    }
    // 0, 1/64 ... 99/64: sum of squares n (n + 1) (2n + 1) / 6 at n = 99.
    expect(await tensorRms(reader, tensor("c"))).toBeCloseTo(Math.sqrt((99 * 100 * 199) / 6 / 100) / 64, 14);
    expect(await tensorRms(reader, tensor("empty"))).toBe(0);
    await reader.close();
    await liveTensors.close();
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
    const liveTensors = await open();
    const reason = new Error("enough");
    const watch = { signal: AbortSignal.abort(reason) };
    await expect(liveTensors.perturb(tensor("a"), moveOf(tensor("a")), watch)).rejects.toBe(reason);
    await expect(liveTensors.restore(tensor("a"), watch)).rejects.toBe(reason);
    await expect(liveTensors.sumSquares(tensor("a"), watch)).rejects.toBe(reason);
    await liveTensors.close();
    expect(readFileSync(live).equals(before)).toBe(true);
  });

  it("refuses the model itself under any name, what is no copy, and what is not there", async () => {
    const copy = file(`copy-${name}.gguf`);
    const same = file(`same-${name}.gguf`);
    copyFileSync(pristine, copy);
    linkSync(copy, same);
    for (const path of [copy, same]) {
      const message = expect.stringMatching(/is the model .* itself, which is never written to/);
      await expect(openLiveTensors(path, copy, kernels)).rejects.toMatchObject({ code: "output-exists", message });
    }
    truncateSync(same, before.length - 1);
    await expect(openLiveTensors(copy, pristine, kernels)).rejects.toMatchObject({
      code: "corrupt-gguf",
      message: expect.stringContaining(copy),
    });
    const none = file("none.gguf");
    for (const opening of [
      () => openLiveTensors(none, pristine, kernels),
      () => openLiveTensors(copy, none, kernels),
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

describe("mapped live tensors", () => {
  it("lets go of one file when the other cannot be mapped, and reads and writes both instead", async () => {
    let open = 0;
    const other = file("other.gguf");
    const kernels = withFiles({
      ...buffers,
      map: (path) => {
        open++;
        return Object.assign(new BufferFile(path), { close: async () => void open-- });
      },
      mapLive: () => {
        throw new Error("mmap: Cannot allocate memory");
      },
    });
    copyFileSync(pristine, other);
    const liveTensors = await openLiveTensors(other, pristine, kernels);
    expect(open).toBe(0);
    const expected = file("mapped.gguf");
    copyFileSync(pristine, expected);
    const mapped = await openLiveTensors(expected, pristine, jsKernels);
    for (const tensors of [liveTensors, mapped]) {
      expect(await tensors.perturb(tensor("b"), moveOf(tensor("b")))).toBeGreaterThan(0);
      await tensors.close();
    }
    expect(readFileSync(other).equals(readFileSync(expected))).toBe(true);
    // A reader of a file that cannot be mapped gives the same sums.
    const unmappable = withFiles({
      ...buffers,
      map: () => {
        throw new Error("mmap: No such device");
      },
    });
    const sums = await Promise.all([unmappable, jsKernels].map((each) => openReader(pristine, each)));
    const [one, two] = await Promise.all(sums.map((reader) => reader.sumSquares(tensor("b"))));
    expect(one).toBe(two);
    for (const reader of sums) await reader.close();
  });
});

describe("positioned live tensors", () => {
  it.skipIf(process.platform !== "linux")("says that the disk is full", async () => {
    const handle = await open("/dev/full", "r+");
    await handle.close();
    const live = file("full.gguf");
    copyFileSync(pristine, live);
    const liveTensors = await openLiveTensors(live, pristine, jsKernels);
    const prototype = Object.getPrototypeOf(handle);
    const write = prototype.write;
    prototype.write = async () => {
      const full = await open("/dev/full", "r+");
      return write.call(full, Buffer.alloc(8), 0, 8, 0).finally(() => full.close());
    };
    try {
      await expect(liveTensors.restore(tensor("a"))).rejects.toMatchObject({
        code: "no-space",
        message: expect.stringContaining(live),
      });
    } finally {
      prototype.write = write;
      await liveTensors.close();
    }
  });

  it.skipIf(process.platform !== "linux")("says so, too, where little is written", async () => {
    const live = file("full-small.gguf");
    copyFileSync(pristine, live);
    const full = await open("/dev/full", "r+");
    const source = { handle: await open(pristine), path: pristine, check: () => undefined, close: () => source.handle.close() };
    const liveTensors = new PositionedTensors(full, live, source as never, jsKernels);
    const message = expect.stringContaining(live);
    await expect(liveTensors.restore(tensor("c"))).rejects.toMatchObject({ code: "no-space", message });
    await liveTensors.close();
  });

  it("let others have their turns of the event loop amid many small tensors", async () => {
    const [path, live] = [file("small.gguf"), file("small-live.gguf")];
    const [count, weights] = [200, 8192];
    const data = { repeat: blocks(1, 34) };
    writeGguf(
      path,
      Array.from({ length: count }, (_, i) => ({ name: `t${i}`, type: "Q8_0", shape: [32, weights / 32], data })),
    );
    copyFileSync(path, live);
    const { tensors } = await readModel(path);
    const liveTensors = await openLiveTensors(live, path, jsKernels);
    let [turns, done] = [0, false];
    const others = () => {
      turns++;
      if (!done) setImmediate(others);
    };
    setImmediate(others);
    const changed = await liveTensors.draw(
      tensors.map((one) => ({ tensor: one, move: moveOf(one) })),
      0,
    );
    done = true;
    await liveTensors.close();
    expect(changed).toBeGreaterThan((count * weights) / 10);
    // One at the least for 65,536 weights.
    expect(turns).toBeGreaterThanOrEqual((count * weights) / 65536);
  });

  it("names the live file when it is that one that was cut", async () => {
    const live = file("cut-live.gguf");
    copyFileSync(pristine, live);
    const liveTensors = await openLiveTensors(live, pristine, jsKernels);
    truncateSync(live, tensor("b").offset + 100);
    const message = expect.stringMatching(/cut-live.*became shorter than its tensor b needs/);
    await expect(liveTensors.difference(tensor("b"))).rejects.toMatchObject({ code: "truncated-gguf", message });
    await liveTensors.close();
  });

  it("takes memory that does not grow with the tensor", () => {
    const module = (path: string) => JSON.stringify(new URL(`../../../dist/${path}`, import.meta.url).href);
    // Kernels that do next to nothing: what is measured are the live tensors.
    const program = `
      import { copyFileSync } from "node:fs";
      const { openLiveTensors, readModel } = await import(${module("files/index.js")});
      const { jsKernels } = await import(${module("kernels/js.js")});
      const [path, live] = process.argv.slice(1);
      const kernels = { ...jsKernels, perturb: (data) => (data[0] ^= 1, data.length), sumSquares: (data, f, s, r, i, total) => total + data.length };
      copyFileSync(path, live);
      const { tensors: [tensor] } = await readModel(path);
      const liveTensors = await openLiveTensors(live, path, kernels);
      const move = { format: null };
      if ((await liveTensors.sumSquares(tensor)) !== tensor.bytes) throw new Error("not all was summed");
      if ((await liveTensors.perturb(tensor, move)) !== tensor.bytes) throw new Error("not all was moved");
      await liveTensors.restore(tensor);
      await liveTensors.close();
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
