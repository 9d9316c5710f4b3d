// The thermostat: live = pristine + noise(seed, tick), restored byte for byte; what the scales mean; files written once.
import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { readModel } from "../../src/files/index.js";
import { perturb } from "../../src/lattice/perturb.js";
import { perturbFile, Thermostat } from "../../src/thermostat/index.js";
import { scratchFolder, writeGguf } from "../support/synthetic-gguf.js";

const q8 = fileURLToPath(new URL("../../models/fairytales-3M-Q8_0.gguf", import.meta.url));
const folder = scratchFolder();
const scratch = join(folder, "scratch");
mkdirSync(scratch);
const hash = (path: string) => createHash("sha256").update(readFileSync(path)).digest("hex");
const pristine = hash(q8);

describe("Thermostat", () => {
  it("quenched: draws once, ticks cost nothing, restores exactly", async () => {
    const bath = await Thermostat.open(q8, { sigma: 0.05, seed: 7n, scratch });
    const drawn = hash(bath.livePath);
    expect(drawn).not.toBe(pristine);
    expect(bath.drawn.weights).toBe(2_885_888);
    expect(bath.drawn.changed).toBeGreaterThan(2_000_000);
    for (let t = 0; t < 3; t++) expect(await bath.tick()).toEqual(bath.drawn);
    expect(hash(bath.livePath)).toBe(drawn);
    await bath.restore();
    expect(hash(bath.livePath)).toBe(pristine);
    expect(bath.drawn.changed).toBe(0);
    await bath.draw();
    expect(hash(bath.livePath)).toBe(drawn);
    await bath.close();
    await bath.close();
    expect(readdirSync(scratch)).toEqual([]);
    expect(hash(q8)).toBe(pristine);
    await expect(bath.tick()).resolves.toBeDefined(); // quenched: nothing to do
    await expect(bath.draw()).rejects.toMatchObject({ code: "closed" });
  });

  it("white: every tick is a draw of its own, whatever came before", async () => {
    await using bath = await Thermostat.open(q8, { sigma: 0.05, seed: 7n, dynamics: "white", scratch });
    const states = [hash(bath.livePath)];
    for (let t = 1; t <= 3; t++) {
      await bath.tick();
      states.push(hash(bath.livePath));
    }
    expect(new Set(states).size).toBe(4);
    await bath.draw(2);
    expect(hash(bath.livePath)).toBe(states[2]);
    await bath.tick();
    expect(hash(bath.livePath)).toBe(states[3]);
    await bath.restore();
    expect(hash(bath.livePath)).toBe(pristine);
    await bath.tick();
    expect(hash(bath.livePath)).toBe(states[1]);
  });

  it.each(["quenched", "white", "andersen", "langevin", "wiener"] as const)(
    "%s: after the last tick of a seed comes an error that says what to do",
    async (dynamics) => {
      const path = join(folder, `last-${dynamics}.gguf`);
      writeGguf(path, [{ name: "a.weight", type: "Q8_0", shape: [64] }]);
      await using bath = await Thermostat.open(path, { sigma: 0.05, scale: "absolute", dynamics, scratch });
      await bath.draw(2 ** 32 - 2);
      await bath.tick();
      await expect(bath.tick()).rejects.toMatchObject({
        code: "usage",
        message: expect.stringContaining("last tick, 4294967295"),
      });
      await bath.start();
      await bath.tick();
    },
  );

  it("restores tensors that are no longer chosen, and takes operations in turn", async () => {
    await using bath = await Thermostat.open(q8, { sigma: 0.05, seed: 7n, scratch });
    bath.configure({ only: ["blk.0.*"] });
    await Promise.all([bath.draw(), bath.draw(5), bath.restore(), bath.draw()]);
    const alone = hash(bath.livePath);
    await bath.restore();
    await bath.draw();
    expect(hash(bath.livePath)).toBe(alone);
    const model = await readModel(q8);
    const live = readFileSync(bath.livePath);
    const original = readFileSync(q8);
    for (const t of model.tensors) {
      const same = live.subarray(t.offset, t.offset + t.bytes).equals(original.subarray(t.offset, t.offset + t.bytes));
      expect(same, t.name).toBe(!t.name.startsWith("blk.0."));
    }
  });

  it("refuses, leaving no copy", async () => {
    const cases: [object, string, RegExp][] = [
      [{ sigma: -1 }, "usage", /sigma must be .* but is -1/],
      [{ sigma: Number.NaN }, "usage", /but is NaN/],
      [
        { sigma: 1, dynamics: "brown" },
        "usage",
        /dynamics must be one of quenched, white, andersen, langevin, wiener, but is "brown"/,
      ],
      [{ sigma: 1, scale: "sqrt" }, "usage", /scale must be one of rms, absolute, step/],
      [{ sigma: 1, only: [] }, "usage", /at least one glob/],
      [{ sigma: 1, only: ["no.such"] }, "no-such-tensor", /"no\.such"/],
      [
        { sigma: 1e39, scale: "rms", only: ["blk.0.attn_norm.weight"] },
        "usage",
        /beyond float32 on tensor blk\.0\.attn_norm\.weight/,
      ],
    ];
    for (const [options, code, message] of cases) {
      const opening = Thermostat.open(q8, { scratch, ...options } as never);
      await expect(opening).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
    }
    await expect(Thermostat.open(q8, { sigma: 1, scratch, signal: AbortSignal.abort() })).rejects.toThrow(/abort/i);
    expect(readdirSync(scratch)).toEqual([]);
  });
});

describe("scales", () => {
  const model = join(folder, "scales.gguf");
  // Two Q8_0 tensors whose weights are all 64 steps: RMS 64 / 16 and 64 / 1024.
  const codes = (exponent: number) =>
    Uint8Array.from({ length: 34 * 4096 }, (_, i) => (i % 34 === 0 ? 0 : i % 34 === 1 ? exponent : 64));
  writeGguf(model, [
    { name: "coarse", type: "Q8_0", shape: [32, 4096], data: codes(0x2c) },
    { name: "fine", type: "Q8_0", shape: [32, 4096], data: codes(0x14) },
  ]);

  /** Standard deviation of the moves of each tensor, in steps. */
  async function deviations(sigma: number, scale: "rms" | "absolute" | "step") {
    await using bath = await Thermostat.open(model, { sigma, scale, seed: 5n, scratch });
    const live = readFileSync(bath.livePath);
    return bath.tensors.map((t) => {
      let squares = 0;
      live.subarray(t.offset, t.offset + t.bytes).forEach((byte, i) => {
        if (i % 34 > 1) squares += (((byte << 24) >> 24) - 64) ** 2;
      });
      return Math.sqrt(squares / t.weights);
    });
  }

  it("rms: the same share of each tensor's size; absolute: the same in weight units; step: the same in steps", async () => {
    // 131,072 weights: standard error of a standard deviation sqrt(1/2n) = 0.2 %, five of them 1 %.
    for (const d of await deviations(0.05, "rms")) expect(d / (0.05 * 64)).toBeCloseTo(1, 1.7);
    const [coarse, fine] = await deviations(2 / 16, "absolute");
    expect(coarse! / 2).toBeCloseTo(1, 1.7);
    expect(fine! / 2).toBeGreaterThan(10); // 128 steps, cut at the rails
    for (const d of await deviations(1.5, "step")) expect(d / 1.5).toBeCloseTo(1, 1.7);
  });
});

describe("perturbFile", () => {
  it("changes codes only, the same for the same seed, and reads its input only", async () => {
    const [a, b, c] = ["a", "b", "c"].map((name) => join(folder, `${name}.gguf`)) as [string, string, string];
    const before = statSync(q8).mtimeMs;
    const done = await perturbFile(q8, a, { sigma: 0.05, seed: 7n });
    await perturbFile(q8, b, { sigma: 0.05, seed: 7n });
    await perturbFile(q8, c, { sigma: 0.05, seed: 8n });
    expect(hash(a)).toBe(hash(b));
    expect(hash(a)).not.toBe(hash(c));
    expect(hash(q8)).toBe(pristine);
    expect(statSync(q8).mtimeMs).toBe(before);
    const [original, moved] = [readFileSync(q8), readFileSync(a)];
    const { tensors } = await readModel(q8);
    const codeBytes = new Uint8Array(original.length);
    for (const t of tensors) {
      for (let i = 0; i < t.bytes; i++) codeBytes[t.offset + i] = t.type === "Q8_0" && i % 34 < 2 ? 0 : 1;
    }
    let changed = 0;
    original.forEach((byte, i) => {
      if (byte !== moved[i]) {
        changed++;
        if (codeBytes[i] === 0) throw new Error(`byte ${i}, which is no code, changed`);
      }
    });
    expect(changed).toBeGreaterThan(0);
    expect(done.changed).toBe(done.tensors.reduce((sum, t) => sum + t.changed, 0));
  });

  it("gives the bytes that `perturb` in memory gives", async () => {
    const out = join(folder, "memory.gguf");
    const name = "blk.1.ffn_up.weight";
    const done = await perturbFile(q8, out, {
      sigma: 0.01,
      scale: "absolute",
      seed: 3n,
      tick: 9,
      only: [name],
      rounding: "stochastic",
    });
    const tensor = done.tensors[0]!.tensor;
    const bytes = readFileSync(q8).subarray(tensor.offset, tensor.offset + tensor.bytes);
    const { changed } = perturb(bytes, { type: "Q8_0", sigma: 0.01, seed: 3n, name, tick: 9, rounding: "stochastic" });
    expect(changed).toBe(done.changed);
    expect(
      readFileSync(out)
        .subarray(tensor.offset, tensor.offset + tensor.bytes)
        .equals(bytes),
    ).toBe(true);
  });

  it("leaves nothing when it is stopped or refused", async () => {
    const target = join(folder, "target");
    mkdirSync(target);
    const out = join(target, "out.gguf");
    const controller = new AbortController();
    const stopped = perturbFile(q8, out, { sigma: 0.05, signal: controller.signal, onProgress: () => controller.abort() });
    await expect(stopped).rejects.toThrow(/abort/i);
    await expect(perturbFile(q8, q8, { sigma: 0.05 })).rejects.toMatchObject({ code: "output-exists" });
    await expect(perturbFile(q8, out, { sigma: 0.05, tick: -1 })).rejects.toMatchObject({ code: "usage" });
    expect(readdirSync(target)).toEqual([]);
  });
});
