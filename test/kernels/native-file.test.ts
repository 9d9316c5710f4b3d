// Files that the addon maps: work on large tensors goes in chunks, and what a live file remembers of one tensor is not taken for another's.
import { copyFileSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it, vi } from "vitest";
import { readModel, type Tensor } from "../../src/files/index.js";
import { type AddonFile, loadAddon } from "../../src/kernels/addon.js";
import type { FileKernels, TensorMove } from "../../src/kernels/files.js";
import type { Step } from "../../src/kernels/step.js";
import { collisionThreshold } from "../../src/lattice/collide.js";
import { makeMove, supportedFormat } from "../../src/lattice/perturb.js";
import { relaxation } from "../../src/laws/relaxation.js";
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

  it("plan and step with turns of the event loop in between, whatever a clock says", async () => {
    vi.spyOn(performance, "now").mockReturnValue(0);
    // In a plan 64 tensors, of which 131 thousand weights collide: that is brief, but not what eight of them do.
    const EACH = 2 ** 16;
    const SHARE = 1 / 32;
    const most = { tensors: 0, weights: 0 };
    const turn = { tensors: 0, weights: 0 };
    const add = (what: keyof typeof turn, n: number) => {
      turn[what] += n;
      most[what] = Math.max(most[what], turn[what]);
    };
    const MappedFile = (loadAddon().MappedFile as unknown as { prototype: AddonFile }).prototype;
    const { planCollide, run } = MappedFile;
    vi.spyOn(MappedFile, "planCollide").mockImplementation(function (this: AddonFile, source, list, threshold) {
      add("tensors", list.length);
      return planCollide.call(this, source, list, threshold);
    });
    vi.spyOn(MappedFile, "run").mockImplementation(function (this: AddonFile, plan, tick) {
      const done = run.call(this, plan, tick);
      if (typeof done === "number") add("weights", EACH * SHARE * 64);
      return done;
    });
    let on = true;
    const look = () => {
      turn.tensors = 0;
      turn.weights = 0;
      if (on) setImmediate(look);
    };
    const { tensors, live, close } = await opened(
      "many",
      Array.from({ length: 512 }, (_, i) => ({ name: `${i}`, type: "TQ2_0", shape: [256, EACH / 256] })),
    );
    const moves = tensors.map((tensor) => ({ tensor, move: moveOf(tensor, 0.1) }));
    look();
    expect(await live.step(moves, 1, { verb: "collide", threshold: collisionThreshold(SHARE) })).toBe(0);
    on = false;
    expect(most.tensors).toBe(64);
    expect(most.weights).toBeGreaterThan(0);
    expect(most.weights).toBeLessThanOrEqual(2 ** 19 + 64 * EACH * SHARE);
    vi.restoreAllMocks();
    await close();
  });

  const steps: Record<string, Step> = {
    collide: { verb: "collide", threshold: collisionThreshold(0.6) },
    evolve: { verb: "evolve", law: relaxation, strength: Math.fround(0.9), stride: 1 },
  };
  it.each(Object.entries(steps))("write what is ready of %s in pieces, to the bytes of a step at once", async (name, step) => {
    const WEIGHTS = 2 ** 18;
    const data = { repeat: Uint8Array.from({ length: 34 * 64 }, (_, i) => [0, 0x2c][i % 34] ?? (i * 73) & 255) };
    const six = Array.from({ length: 6 }, (_, i) => ({ name: `${i}`, type: "Q8_0", shape: [256, WEIGHTS / 256], data }));
    const atOnce = await opened(`${name}-once`, six);
    const inPieces = await opened(`${name}-pieces`, six);
    const moves = inPieces.tensors.map((tensor) => ({ tensor, move: moveOf(tensor, 0.4) }));
    const MappedFile = (loadAddon().MappedFile as unknown as { prototype: AddonFile }).prototype;
    const write = vi.spyOn(MappedFile, "write");
    const kindOf = ({ value }: { value: unknown }) => typeof value;
    // What is not made in time goes to a thread: on a loaded machine several ticks may.
    let pieces = 0;
    for (let tick = 1; tick <= 200 && pieces === 0; tick++) {
      const prepared = await inPieces.live.prepare(moves, tick, step);
      for (let ready = -1; inPieces.live.memory().ready > ready || ready <= 0; ) {
        ready = inPieces.live.memory().ready;
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
      write.mockClear();
      let turns = 0;
      let on = true;
      const look = () => {
        turns++;
        if (on) setImmediate(look);
      };
      setImmediate(look);
      const changed = await prepared?.write();
      on = false;
      const calls = write.mock.results.map(kindOf);
      expect(changed).toBe(await atOnce.live.step(moves, tick, step));
      expect(changed).toBeGreaterThan(0);
      expect(readFileSync(inPieces.livePath).equals(readFileSync(atOnce.livePath))).toBe(true);
      if (calls[0] !== "undefined") continue;
      pieces = calls.length;
      expect(calls.slice(0, -1)).toEqual(new Array(pieces - 1).fill("undefined"));
      expect(turns).toBeGreaterThanOrEqual(pieces - 1);
    }
    vi.restoreAllMocks();
    expect(pieces).toBeGreaterThan(1);
    await atOnce.close();
    await inPieces.close();
  });

  it.skipIf(process.platform !== "linux")("are not in memory any more when they are closed, though their plans are", async () => {
    const data = Uint8Array.from({ length: 34 * 900 }, (_, i) => [0, 0x2c][i % 34] ?? (i * 73) & 255);
    const { tensors, live, livePath, close } = await opened("closed", [{ name: "a", type: "Q8_0", shape: [32, 900], data }]);
    const moves = tensors.map((tensor) => ({ tensor, move: moveOf(tensor, 0.1) }));
    const step: Step = { verb: "collide", threshold: collisionThreshold(0.5) };
    const mapped = () =>
      readFileSync("/proc/self/maps", "utf8")
        .split("\n")
        .filter((line) => /closed(-live)?\.gguf/.test(line));
    await live.step(moves, 1, step);
    const prepared = await live.prepare(moves, 2, step);
    expect(mapped().length).toBe(2);
    await close();
    expect(mapped()).toEqual([]);
    await expect(prepared?.write()).rejects.toThrow(/closed/);
    await expect(live.step(moves, 3, step)).rejects.toThrow(/closed/);
    expect(livePath).toMatch(/closed-live/);
  });
});
