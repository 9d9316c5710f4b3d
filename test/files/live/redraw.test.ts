// Redraws of tensors whose moves are rare: through an index of their steps, at the cost of the moves; the same bytes as a draw on a fresh copy.
import { copyFileSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { openLiveTensors, readModel, type Tensor, type TensorMove } from "../../../src/files/index.js";
import { loadAddon } from "../../../src/kernels/addon.js";
import { jsKernels } from "../../../src/kernels/js.js";
import { FORMATS } from "../../../src/lattice/formats.js";
import { makeMove, supportedFormat } from "../../../src/lattice/perturb.js";
import type { Rounding } from "../../../src/laws/numbers.js";
import { streamKey } from "../../../src/noise/index.js";
import { native } from "../../support/backends.js";
import { scratchFolder, writeGguf } from "../../support/synthetic-gguf.js";

const folder = scratchFolder();
const types = ["Q8_0", "Q4_0", "Q5_1", "Q2_K", "Q3_K", "Q4_K", "Q6_K", "TQ2_0"];

/** Random blocks: scales between 1/32 and 1/16, here and there none, a tiny, a huge or an infinite one. */
function blocks(type: string, count: number): Uint8Array {
  const format = FORMATS.find((f) => f.name === type);
  const at = format?.lattice?.stepOffset ?? 0;
  const bytes = format?.bytes ?? 1;
  const data = new Uint8Array(bytes * count);
  let x = 1;
  for (let i = 0; i < data.length; i++) {
    x = (Math.imul(x, 1664525) + 1013904223) >>> 0;
    data[i] = x >>> 24;
  }
  const odd = [0x0000, 0x0001, 0x7bff, 0x7c00, 0x8400];
  for (let block = 0; block < count; block++) {
    const scale = block % 997 === 5 ? (odd[block % odd.length] as number) : 0x2800 + (data[block * bytes + 1] as number) * 4;
    data[block * bytes + at] = scale & 255;
    data[block * bytes + at + 1] = scale >> 8;
  }
  return data;
}

const path = join(folder, "pristine.gguf");
writeGguf(
  path,
  types.map((type) => {
    const weights = FORMATS.find((f) => f.name === type)?.weights ?? 1;
    const count = Math.ceil(300_001 / weights); // more than a thread's share, and no multiple of a tile
    return { name: type, type, shape: [weights, count], data: blocks(type, count) };
  }),
);
const before = readFileSync(path);

function moveOf(tensor: Tensor, sigma: number, tick: number, rounding: Rounding = "matched"): TensorMove {
  return makeMove(supportedFormat(tensor.type), {
    sigma: Math.fround(sigma),
    inSteps: tick % 4 === 3,
    key: streamKey(BigInt(tick >> 1), tensor.name),
    tick,
    rounding,
    index: 0,
    steps: null,
    rowLength: 1,
  });
}

/** Redraws that the addon was asked for. */
let redraws = 0;

beforeAll(() => {
  if (native.length === 0) return;
  const addon = loadAddon() as { MappedFile: new (...of: unknown[]) => { redraw(...of: unknown[]): unknown } };
  addon.MappedFile = class extends addon.MappedFile {
    override redraw(...of: unknown[]) {
      redraws++;
      return super.redraw(...of);
    }
  };
});

describe.each(native)("on $name", ({ name, kernels }) => {
  it.each(types)("%s has the bytes of a fresh draw, whatever the draw before was", async (type) => {
    const live = join(folder, `${name}-${type}.gguf`);
    copyFileSync(path, live);
    redraws = 0;
    const liveTensors = await openLiveTensors(live, path, kernels);
    const { tensors } = await readModel(path);
    const tensor = tensors.find((t) => t.name === type) as Tensor;
    const range = [tensor.offset, tensor.offset + tensor.bytes] as const;
    const same = (expected: Uint8Array) =>
      expect(
        readFileSync(live)
          .subarray(...range)
          .equals(expected),
      ).toBe(true);
    // Rare, rarer, hardly ever, never, dense, rare again, with roundings that know no rare moves in between; in weight units, every fourth in steps.
    const sigmas = [1e-4, 1e-4, 3e-5, 1e-4, 1e-6, 1e-12, 0.02, 2e-4, 1e-4, 1e-5, 1e-4, 1e-4, 1e-4];
    const roundings: Record<number, Rounding> = { 8: "nearest", 10: "stochastic" };
    for (const [tick, sigma] of sigmas.entries()) {
      const move = moveOf(tensor, sigma, tick, roundings[tick]);
      const expected = Buffer.from(before.subarray(...range));
      const changed = jsKernels.perturb(expected, { ...move, index: 0 });
      expect(await liveTensors.perturb(tensor, move)).toBe(changed);
      same(expected);
    }
    expect(redraws).toBeGreaterThan(sigmas.length / 2);
    await liveTensors.restore(tensor);
    same(before.subarray(...range));
    await liveTensors.close();
  });

  it("all tensors at once have the bytes of a fresh draw, in one call where moves are rare", async () => {
    const live = join(folder, `${name}-all.gguf`);
    copyFileSync(path, live);
    const liveTensors = await openLiveTensors(live, path, kernels);
    const { tensors } = await readModel(path);
    // Fresh, with indices that are made then, with these, without moves of the even ones, rare again, dense, and rare after that.
    const ticks = [1e-4, 1e-4, 1e-4, 0, 3e-5, 0.02, 1e-4, 1e-4];
    for (const [tick, sigma] of ticks.entries()) {
      const moves = tensors.map((tensor, i) => ({ tensor, move: moveOf(tensor, sigma || (i % 2) * 1e-4, tick) }));
      const expected = Buffer.from(before);
      let changed = 0;
      for (const { tensor, move } of moves) {
        const bytes = expected.subarray(tensor.offset, tensor.offset + tensor.bytes);
        if (move.sigma > 0) changed += jsKernels.perturb(bytes, { ...move, index: 0 });
      }
      redraws = 0;
      let done = 0;
      const watch = { onBytes: (n: number) => { done += n; } }; // biome-ignore format: one line
      expect(await liveTensors.draw(moves, tick, watch)).toBe(changed);
      expect(readFileSync(live).equals(expected)).toBe(true);
      expect(done).toBe(tensors.reduce((sum, { bytes }) => sum + bytes, 0));
      if (tick === 2) expect(redraws).toBe(1);
    }
    await liveTensors.close();
  });

  it("a draw that was stopped leaves nothing known", async () => {
    const live = join(folder, `${name}-stopped.gguf`);
    copyFileSync(path, live);
    const liveTensors = await openLiveTensors(live, path, kernels);
    const { tensors } = await readModel(path);
    const tensor = tensors[0] as Tensor;
    await liveTensors.perturb(tensor, moveOf(tensor, 1e-4, 0));
    await expect(liveTensors.perturb(tensor, moveOf(tensor, 1e-4, 1), { signal: AbortSignal.abort() })).rejects.toThrow();
    await liveTensors.perturb(tensor, moveOf(tensor, 1e-4, 2));
    const expected = Buffer.from(before);
    jsKernels.perturb(expected.subarray(tensor.offset, tensor.offset + tensor.bytes), { ...moveOf(tensor, 1e-4, 2), index: 0 });
    expect(readFileSync(live).equals(expected)).toBe(true);
    await liveTensors.close();
  });
});
