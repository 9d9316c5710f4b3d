// What motion takes beside the file: index and journal together at most 3 % of it, however rare moves are; ticks made ready are told.

import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { DYNAMICS, Thermostat } from "../../src/thermostat/index.js";
import { variants } from "../support/backends.js";
import { scratchFolder, writeGguf } from "../support/synthetic-gguf.js";

const folder = scratchFolder();
const WEIGHTS = 1 << 20;
/** A half float of 2^-6: no bits of it are codes' or scales', so that all steps are of one size. */
const HALF = [0x00, 0x24];
/** Blocks, as ggml lays them out. */
const BLOCKS = {
  Q8_0: [...HALF, ...new Array(32).fill(1)],
  Q4_0: [...HALF, ...new Array(16).fill(0x87)],
  Q4_1: [...HALF, ...HALF, ...new Array(16).fill(0x87)],
  Q4_K: [...HALF, ...HALF, ...new Array(12).fill(0x21), ...new Array(128).fill(0x77)],
  Q2_K: [...new Array(16).fill(0x11), ...new Array(64).fill(0x66), ...HALF, ...HALF],
  Q6_K: [...new Array(128).fill(0x11), ...new Array(64).fill(0x55), ...new Array(16).fill(2), ...HALF],
} as const;

const native = variants.find(({ name }) => name.startsWith("native"));

describe.skipIf(native === undefined).each(Object.keys(BLOCKS) as (keyof typeof BLOCKS)[])("a live file of %s", (type) => {
  const path = join(folder, `${type}.gguf`);
  const block = Uint8Array.from(BLOCKS[type]);
  writeGguf(path, [{ name: "a", type, shape: [256, WEIGHTS / 256], data: { repeat: block } }]);

  it.each([0.0003, 0.001, 0.003, 0.01])("is moved rarely (s2 = %f) with at most 3 %% of it as index and journal", async (s2) => {
    const settings = { sigma: Math.sqrt(s2), scale: "step", dynamics: "white", seed: 3n, scratch: folder } as const;
    const bath = await Thermostat.open(path, settings, native?.kernels);
    for (let tick = 0; tick < 4; tick++) {
      const { changed } = await bath.tick();
      // Moves are of one step, with probability s2 each: five standard errors, but where codes at rails stay.
      expect(Math.abs(changed - s2 * WEIGHTS)).toBeLessThan(5 * Math.sqrt(s2 * WEIGHTS) + 0.02 * s2 * WEIGHTS);
    }
    const { file, index, journal, ready } = bath.memory();
    expect(index).toBeGreaterThan(0);
    expect(ready).toBe(0);
    if (s2 === 0.0003) expect(journal).toBeGreaterThan(s2 * WEIGHTS * 4);
    expect((index + journal) / file, `${index} + ${journal} of ${file}`).toBeLessThan(0.03);
    await bath.restore();
    expect(await bath.difference()).toBe(0);
    await bath.close();
    expect(() => bath.memory()).toThrow(/closed/);
  });
});

it.skipIf(native === undefined)("ticks made ready are told, and go", async () => {
  const settings = { sigma: 0.05, dynamics: "andersen", tau: 4, seed: 3n, scratch: folder } as const;
  const bath = await Thermostat.open(join(folder, "Q8_0.gguf"), settings, native?.kernels);
  await bath.tick();
  const deadline = Date.now() + 60_000;
  while (bath.memory().ready === 0 && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 5));
  const { index, journal, ready } = bath.memory();
  expect([index, journal]).toEqual([0, 0]);
  expect(ready).toBeGreaterThan(0);
  await bath.close();
});

it.skipIf(native === undefined).each(["andersen", "langevin", "wiener"] as const)(
  "ticks of %s that were made ready leave their memory to those that follow",
  async (dynamics) => {
    const settings = { sigma: 0.05, dynamics, tau: 4, seed: 3n, scratch: folder } as const;
    const bath = await Thermostat.open(join(folder, "Q8_0.gguf"), settings, native?.kernels);
    let most = 0;
    for (let tick = 0; tick < 240; tick++) {
      await bath.tick();
      await new Promise((resolve) => setTimeout(resolve, 3));
      most = Math.max(most, bath.memory().ready);
    }
    const { file } = bath.memory();
    await bath.close();
    // Of eight ticks that are ready, and as many that were, each has its share of the file. If nothing were used again, there would be 240 of them.
    expect(most).toBeGreaterThan(0);
    expect(most).toBeLessThan(40 * DYNAMICS[dynamics].cost.share(settings.tau) * file);
  },
);
