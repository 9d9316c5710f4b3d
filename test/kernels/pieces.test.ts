// Moves of bytes in memory on the addon's threads, in pieces: the bytes of one call, whatever the memory and the threads; and who goes through a gate.
import { describe, expect, it } from "vitest";
import { loadAddon } from "../../src/kernels/addon.js";
import { loadNative, nativeTargets } from "../../src/kernels/native.js";
import { Pieces } from "../../src/kernels/native-pieces.js";
import { Gate } from "../../src/kernels/under-way.js";
import { encodedFormat, formatNamed } from "../../src/lattice/formats.js";
import type { Move } from "../../src/laws/move.js";
import { Rounding, SUM_LEAF } from "../../src/laws/numbers.js";

/** Three pieces of one thread, and a part of a fourth. */
const WEIGHTS = 3 * 16 * SUM_LEAF + 5 * SUM_LEAF + 3 * 256;

function moveOf(type: string, rowLength = 1000): Move {
  const rows = Math.ceil((WEIGHTS + 256 * 99) / rowLength);
  return {
    format: encodedFormat(formatNamed(type)!),
    sigma: Math.fround(0.4),
    inSteps: true,
    steps: type === "I8" ? new Float32Array(rows).map((_, row) => 0.01 * (1 + (row % 7))) : null,
    rowLength,
    rounding: Rounding.matched,
    key: { k0: 7, k1: 8 },
    index: 256 * 99,
    tick: 3,
  };
}

function blocks(type: string): Uint8Array {
  const { bytes, weights } = formatNamed(type)!;
  return Uint8Array.from({ length: (WEIGHTS / weights) * bytes }, (_, i) => (Math.imul(i + 1, 0x9e3779b1) >>> 9) & 63);
}

function shared(data: Uint8Array): Uint8Array {
  const copy = new Uint8Array(new SharedArrayBuffer(data.length + 64), 32, data.length);
  copy.set(data);
  return copy;
}

describe.skipIf(!nativeTargets().some(({ runs }) => runs))("perturbAsync, native", () => {
  // Steps of rows: some thousands go with every piece; of more than a million all bytes are one piece.
  it.each([
    ["Q4_K", moveOf("Q4_K")],
    ["I8", moveOf("I8")],
    ["I8", moveOf("I8", 2)],
  ])("has the bytes and the count of one call: %s", async (type, move) => {
    const before = blocks(type);
    const expected = before.slice();
    const changed = loadNative(undefined, 1).perturb(expected, move);
    for (const threads of [1, 2, 5, 9]) {
      const kernels = loadNative(undefined, threads);
      for (const data of [before.slice(), shared(before)]) {
        expect(await kernels.perturbAsync?.(data, move)).toBe(changed);
        expect(Buffer.compare(data, expected)).toBe(0);
      }
    }
  });

  it.each([
    [1, 1],
    [2, 2],
    [3, 3],
    [9, 2],
  ])("of several calls at a time has no more at work than of one: %i threads, %i pieces", async (threads, pieces) => {
    const addon = loadAddon();
    const target = addon.targets().findIndex(({ runs }) => runs);
    const seen = { now: 0, most: 0 };
    const counted = Object.assign(Object.create(addon) as typeof addon, {
      perturbAsync: async (...args: Parameters<typeof addon.perturbAsync>) => {
        seen.most = Math.max(seen.most, ++seen.now);
        const changed = await addon.perturbAsync(...args);
        seen.now--;
        return changed;
      },
    });
    const all = new Pieces(counted, { target, threads });
    const [plain, inPlace] = [blocks("Q4_0"), shared(blocks("Q4_0"))];
    const counts = await Promise.all([plain, inPlace].map((data) => all.perturb(data, moveOf("Q4_0"))));
    expect(counts[0]).toBe(counts[1]);
    expect(Buffer.compare(plain, inPlace)).toBe(0);
    expect(seen.most).toBe(pieces);
  });

  it("ends between two pieces when it is aborted", async () => {
    const before = blocks("Q4_0");
    const data = before.slice();
    const move = moveOf("Q4_0");
    const stop = new AbortController();
    const running = loadNative(undefined, 1).perturbAsync?.(data, move, stop.signal);
    stop.abort(new Error("enough"));
    await expect(running).rejects.toThrow("enough");
    const moved = before.slice();
    loadNative(undefined, 1).perturb(moved, move);
    const piece = ((16 * SUM_LEAF) / 32) * 18;
    expect(Buffer.compare(data.subarray(0, piece), moved.subarray(0, piece))).toBe(0);
    expect(Buffer.compare(data.subarray(-piece), before.subarray(-piece))).toBe(0);
  });
});

describe("a gate", () => {
  it("lets so many through at a time, in their order, and goes on after errors", async () => {
    const gate = new Gate(2);
    const order: number[] = [];
    let inside = 0;
    let most = 0;
    const one = (i: number) =>
      gate.through(async () => {
        order.push(i);
        most = Math.max(most, ++inside);
        await new Promise((resolve) => setImmediate(resolve));
        inside--;
        if (i % 3 === 0) throw new Error(`${i}`);
        return i;
      });
    const all = await Promise.allSettled([0, 1, 2, 3, 4, 5, 6].map(one));
    expect(order).toEqual([0, 1, 2, 3, 4, 5, 6]);
    expect(most).toBe(2);
    expect(all.map(({ status }) => status === "fulfilled")).toEqual([false, true, true, false, true, true, false]);
  });
});
