// Short windows are read several at a time: every number is what it is alone, in its place, whatever stands beside it.
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import type { Kept } from "../../src/engine/index.js";
import { llamaC } from "../../src/engine/llama-c/index.js";
import { roomFor } from "../../src/engine/llama-c/short-windows.js";
import { loadModel, type Model } from "../../src/llama/index.js";
import type { Expected, ScoreOptions } from "../../src/llama/read.js";
import { sameBits } from "../support/bits.js";
import { scratchFolder } from "../support/synthetic-gguf.js";

const why = llamaC.whyNot();
if (why !== undefined) console.warn(`SKIPPED short windows at once: ${why}`);

const scratch = scratchFolder();
const TEXT = readFileSync("models/fairytales-heldout.txt", "utf8").slice(0, 4000);
/** Tokens of each window: more short ones in a row than are read at once, two that are too long for that, and some without anything to expect. */
const LENGTHS = [7, 3, 32, 2, 12, 1, 9, 64, ...Array.from({ length: 18 }, (_, i) => 2 + (i % 5)), 1, 33, 5];

/** Consecutive parts of the text. */
function windowsOf(model: Model): number[][] {
  const tokens = model.tokenize(TEXT);
  const ends = LENGTHS.map((_, i) => LENGTHS.slice(0, i + 1).reduce((sum, length) => sum + length));
  return ends.map((end, i) => tokens.slice(end - (LENGTHS[i] as number), end));
}

interface Row
  extends Pick<Expected, "position" | "window" | "token" | "likeliest" | "logProbability" | "entropy" | "divergence"> {
  readonly stays: readonly number[];
  /** Of the logits. */
  readonly sum: number;
}

async function read(model: Model, windows: readonly number[][], options: ScoreOptions): Promise<{ rows: Row[]; kept: Kept[] }> {
  const rows: Row[] = [];
  const kept: Kept[] = [];
  const keep = (one: Kept, window: number) => {
    kept[window] = one;
  };
  const tokens = await model.score(windows, { temperatures: [0.5], ...options, keep }, (expected) => {
    const { position, window, token, likeliest, logProbability, entropy, divergence, stays, logits } = expected;
    const sum = logits.reduce((all, z) => all + z, 0);
    rows.push({ position, window, token, likeliest, logProbability, entropy, divergence, stays: [...stays], sum });
  });
  expect(tokens).toBe(rows.length);
  return { rows, kept };
}

/** The same, each window in a call of its own; with a reference every third alone. */
async function readAlone(model: Model, windows: readonly number[][], options: ScoreOptions, reference?: readonly Kept[]) {
  const rows: Row[] = [];
  const kept: Kept[] = [];
  for (const [number, window] of windows.entries()) {
    if (window.length === 1) continue;
    if (reference !== undefined && number % 3 !== 0) continue;
    const own = reference === undefined ? {} : { reference: [reference[number]] };
    const one = await read(model, [window], { ...options, ...own });
    for (const row of one.rows) rows.push({ ...row, window: number, position: rows.length });
    kept[number] = one.kept[0] as Kept;
  }
  return { rows, kept };
}

describe.skipIf(why !== undefined)("windows that are read together", () => {
  it.each(["Q8_0", "Q4_0", "Q6_K", "Q4_K_M"])("of %s have the bits that they have alone, clean and moved", async (type) => {
    const model = await loadModel(`models/fairytales-3M-${type}.gguf`, { threads: 1, repack: "off", scratch });
    try {
      const windows = windowsOf(model);
      const clean = await read(model, windows, {});
      const alone = await readAlone(model, windows, {});
      expect(clean.rows).toHaveLength(LENGTHS.reduce((sum, length) => sum + length - 1, 0));
      expect(clean.rows).toEqual(alone.rows);
      for (const [i, window] of windows.entries())
        if (window.length > 1) expect(sameBits(clean.kept[i]?.logits, alone.kept[i]?.logits), `window ${i}`).toBe(true);
      const moved = { sigma: 0.1, seed: 5n };
      const together = await read(model, windows, { ...moved, reference: clean.kept });
      const third = together.rows.filter(({ window }) => window % 3 === 0).map((row, position) => ({ ...row, position }));
      expect(third.length).toBeGreaterThan(60);
      expect(third).toEqual((await readAlone(model, windows, moved, clean.kept)).rows);
      expect(Math.min(...together.rows.map(({ divergence }) => divergence))).toBeGreaterThan(0);
    } finally {
      await model.dispose();
    }
  });

  it("are near to what they are alone where the engine rounds by the shape of its batch", async () => {
    const model = await loadModel("models/fairytales-3M-F16.gguf", { threads: 1, scratch });
    try {
      const windows = windowsOf(model).slice(0, 12);
      const noise: ScoreOptions = { sigma: 0.05, carrier: "adapter", dynamics: "quenched", seed: 3n };
      for (const options of [{}, noise]) {
        const [together, alone] = [await read(model, windows, options), await readAlone(model, windows, options)];
        for (const [i, row] of together.rows.entries()) {
          const { logProbability, token, window } = alone.rows[i] as Row;
          expect([row.token, row.window]).toEqual([token, window]);
          // The largest difference that was seen is 0.004 nats; another window's are apart by nats.
          expect(Math.abs(row.logProbability - logProbability)).toBeLessThan(0.05);
        }
      }
      const [clean, noisy] = [await read(model, windows, {}), await read(model, windows, noise)];
      expect(
        noisy.rows.filter((row, i) => Math.abs(row.logProbability - (clean.rows[i] as Row).logProbability) > 0.1).length,
      ).toBeGreaterThan(3);
    } finally {
      await model.dispose();
    }
  });

  it("end at a signal, refuse references of other windows, and leave nothing to the next", async () => {
    const model = await loadModel("models/fairytales-3M-Q8_0.gguf", { threads: 1, scratch });
    try {
      const windows = windowsOf(model);
      const { rows, kept } = await read(model, windows, {});
      const controller = new AbortController();
      const stopped = model.score(windows, { signal: controller.signal }, ({ position }) => {
        if (position === 20) controller.abort();
      });
      await expect(stopped).rejects.toThrow(/abort/);
      const wrong = read(model, windows, { reference: [kept[1], kept[0]] as Kept[] });
      await expect(wrong).rejects.toMatchObject({ code: "usage", message: expect.stringMatching(/another length/) });
      expect((await read(model, windows, {})).rows).toEqual(rows);
    } finally {
      await model.dispose();
    }
  });

  it("have as many caches as memory was promised for", () => {
    const facts = { layers: 6, width: 256, vocabulary: 2048, recurrent: false, hybrid: false };
    const room = (other: object) => roomFor({ ...facts, ...other } as Parameters<typeof roomFor>[0]);
    expect(room({}).texts).toBe(16);
    expect(room({ layers: 30, width: 576, vocabulary: 49_152 })).toEqual({ texts: 7, batch: 341 });
    expect(room({ layers: 32, width: 4096, vocabulary: 152_000 })).toEqual({ texts: 1, batch: 110 });
    expect(room({ recurrent: true }).texts).toBe(0);
  });
});
