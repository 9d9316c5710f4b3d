// Backends that move weights on the event loop's thread do so in pieces, with turns of the event loop in between: told by counting, with a clock of the
// test's own, by which every piece takes as long as a slice may. That the bytes are those of whole chunks: threads.test.ts, and whatever compares backends.
import { copyFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, it, vi } from "vitest";
import { openLiveTensors, readModel } from "../../../src/files/index.js";
import { jsKernels } from "../../../src/kernels/js.js";
import { Spare } from "../../../src/kernels/spare.js";
import type { Step } from "../../../src/kernels/step.js";
import { loadWasm } from "../../../src/kernels/wasm.js";
import { makeMove, supportedFormat } from "../../../src/lattice/perturb.js";
import { relaxation } from "../../../src/laws/relaxation.js";
import { streamKey } from "../../../src/noise/index.js";
import { scratchFolder, writeGguf } from "../../support/synthetic-gguf.js";

const folder = scratchFolder();
const PIECE = 2 ** 14;
/** One chunk of every backend: between two there is a read, which gives others their turn as well. */
const BLOCKS = (3 * PIECE) / 32 + 3;
const STEPS: Step[] = [
  { verb: "draw" },
  { verb: "diffuse", factor: 0.3, stride: 1 },
  { verb: "evolve", law: relaxation, strength: 0.9, stride: 1 },
];

afterEach(() => {
  vi.restoreAllMocks();
});

describe.each([jsKernels, loadWasm("simd128", 1)])("$backend", (kernels) => {
  it.each(STEPS)("has a turn after every piece of $verb", async (step) => {
    const [pristine, path] = ["pristine.gguf", "live.gguf"].map((name) => join(folder, name)) as [string, string];
    const data = Uint8Array.from({ length: BLOCKS * 34 }, (_, i) => (Math.imul(i + 1, 0x9e3779b1) >>> 9) & 63);
    writeGguf(pristine, [{ name: "a", type: "Q8_0", shape: [32, BLOCKS], data }]);
    copyFileSync(pristine, path);
    const tensor = (await readModel(pristine)).tensors[0]!;
    const settings = { sigma: 0.5, inSteps: true, tick: 3, rounding: "matched", index: 0, steps: null, rowLength: 1 } as const;
    const move = makeMove(supportedFormat("Q8_0"), { ...settings, key: streamKey(1n, "a") });

    const seen = { now: 0, most: 0, all: 0 };
    const count = ({ length }: Uint8Array) => {
      seen.now += (length / 34) * 32;
      seen.all += (length / 34) * 32;
      seen.most = Math.max(seen.most, seen.now);
    };
    const counted = Object.assign(Object.create(kernels) as typeof kernels, {
      perturb: (...args: Parameters<typeof kernels.perturb>) => {
        count(args[0]);
        return kernels.perturb(...args);
      },
      evolve: (...args: Parameters<typeof kernels.evolve>) => {
        count(args[0]);
        return kernels.evolve(...args);
      },
    });
    let on = true;
    const look = () => {
      seen.now = 0;
      if (on) setImmediate(look);
    };
    let now = 0;
    vi.spyOn(performance, "now").mockImplementation(() => {
      now += 1000;
      return now;
    });
    const live = await openLiveTensors(path, pristine, counted);
    setImmediate(look);
    await live.step([{ tensor, move }], 7, step);
    on = false;
    await live.close();
    expect(seen).toMatchObject({ most: PIECE, all: BLOCKS * 32 });
  });

  it.each(STEPS)("allocates no buffers for later ticks of $verb: collecting them would hold the event loop", async (step) => {
    const [pristine, path] = ["several.gguf", "live-several.gguf"].map((name) => join(folder, name)) as [string, string];
    const data = (blocks: number) =>
      Uint8Array.from({ length: blocks * 34 }, (_, i) => (Math.imul(i + 1, 0x9e3779b1) >>> 9) & 63);
    const sizes = { small: 3, large: BLOCKS, middle: BLOCKS / 2 - 0.5 };
    const tensors = Object.entries(sizes).map(([name, n]) => ({ name, type: "Q8_0", shape: [32, n], data: data(n) }));
    writeGguf(pristine, tensors);
    copyFileSync(pristine, path);
    const settings = { sigma: 0.5, inSteps: true, tick: 3, rounding: "matched", index: 0, steps: null, rowLength: 1 } as const;
    const moves = (await readModel(pristine)).tensors.map((tensor) => ({
      tensor,
      move: makeMove(supportedFormat("Q8_0"), { ...settings, key: streamKey(1n, tensor.name) }),
    }));
    const live = await openLiveTensors(path, pristine, kernels);
    const taken = vi.spyOn(Spare.prototype, "take");
    const ofTick = async (tick: number) => {
      taken.mockClear();
      await live.step(moves, tick, step);
      return new Set(taken.mock.results.map(({ value }) => value));
    };
    for (const tick of [1, 2]) await ofTick(tick);
    const [before, after] = [await ofTick(3), await ofTick(4)];
    await live.close();
    expect(before.size).toBeGreaterThan(0);
    expect(after).toEqual(before);
    for (const buffer of after) expect(before).toContain(buffer); // the same ones, not equal ones
  });
});
