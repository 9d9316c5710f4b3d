// The facade of `perturb`: what it leaves alone, what it gives back, and what it refuses, by name.
import { describe, expect, it } from "vitest";
import { BrownianError } from "../../src/errors.js";
import { FORMATS } from "../../src/lattice/formats.js";
import { type PerturbOptions, perturb } from "../../src/lattice/perturb.js";
import { perturbAsync } from "../../src/lattice/perturb-async.js";
import { variants } from "../support/backends.js";

const base: PerturbOptions = { type: "Q8_0", sigma: 0.01, seed: 1n };

function blocks(type: string, count: number, scale = 0x2c00): Uint8Array {
  const format = FORMATS.find((f) => f.name === type)!;
  const data = new Uint8Array(count * format.bytes);
  for (let i = 0; i < data.length; i++) data[i] = (i * 37) & 255;
  if (format.lattice?.step === "f16") {
    for (let b = 0; b < count; b++) {
      data[b * format.bytes] = scale & 255;
      data[b * format.bytes + 1] = scale >> 8;
    }
  }
  return data;
}

describe.each(variants)("perturb on $name", ({ kernels }) => {
  it("moves codes and nothing else", () => {
    for (const type of ["Q8_0", "Q4_0"]) {
      const data = blocks(type, 64);
      const before = data.slice();
      const { weights, changed } = perturb(data, { ...base, type, sigma: 0.5 }, kernels);
      expect(weights).toBe(2048);
      expect(changed).toBeGreaterThan(1000);
      const bytes = data.length / 64;
      data.forEach((byte, i) => {
        if (i % bytes < 2) expect(byte, `scale byte ${i}`).toBe(before[i]);
      });
    }
  });

  it("moves nothing at sigma 0, on blocks without a scale, and in empty data", () => {
    for (const { name } of FORMATS) {
      const data = blocks(name, 32);
      const before = data.slice();
      const step = name === "I8" ? { step: 1 } : {};
      expect(perturb(data, { ...base, ...step, type: name, sigma: 0 }, kernels).changed).toBe(0);
      expect(data).toEqual(before);
      expect(perturb(new Uint8Array(0), { ...base, ...step, type: name }, kernels)).toEqual({ weights: 0, changed: 0 });
    }
    for (const scale of [0, 0x8000, 0x7c00, 0xfc00, 0x7e00]) {
      expect(perturb(blocks("Q8_0", 8, scale), { ...base, sigma: 1 }, kernels).changed, `scale ${scale.toString(16)}`).toBe(0);
    }
    expect(perturb(blocks("I8", 8), { ...base, type: "I8", step: 0 }, kernels).changed).toBe(0);
  });

  it("keeps 8-bit codes within ±127 and never touches -128", () => {
    const data = new Uint8Array(new Int8Array(4096).map((_, i) => [-128, -127, 127, 0][i % 4] as number).buffer);
    perturb(data, { ...base, type: "I8", step: 1, sigma: 1000 }, kernels);
    new Int8Array(data.buffer).forEach((q, i) => {
      if (i % 4 === 3) expect(Math.abs(q)).toBeLessThanOrEqual(127);
      else expect(q).toBe([-128, -127, 127][i % 4]);
    });
  });

  it("takes one step a row", () => {
    const data = new Uint8Array(4 * 1000);
    perturb(data, { ...base, type: "I8", step: Float32Array.of(1, 0, 10, 0.1), sigma: 1 }, kernels);
    const q = new Int8Array(data.buffer);
    const variance = (row: number) => q.subarray(row * 1000, (row + 1) * 1000).reduce((sum, x) => sum + x * x, 0) / 1000;
    // Variances 1, 0 (no step), 0.01, 100; five standard errors each: sqrt(2/1000) of the value, sqrt(0.01/1000) for the third.
    expect(Math.abs(variance(0) - 1)).toBeLessThan(5 * Math.sqrt(3 / 1000));
    expect(variance(1)).toBe(0);
    expect(Math.abs(variance(2) - 0.01)).toBeLessThan(5 * Math.sqrt(0.01 / 1000));
    expect(Math.abs(variance(3) / 100 - 1)).toBeLessThan(5 * Math.sqrt(2 / 1000));
  });

  it("gives the bytes back through undo, also from a SharedArrayBuffer", () => {
    const data = new Uint8Array(new SharedArrayBuffer(34 * 8));
    data.set(blocks("Q8_0", 8));
    const before = data.slice();
    const undo = new Uint8Array(data.length);
    expect(perturb(data, { ...base, sigma: 1, undo }, kernels).changed).toBeGreaterThan(0);
    expect(undo).toEqual(before);
  });

  it("depends on seed, name and tick", () => {
    const result = (options: Partial<PerturbOptions>) => {
      const data = blocks("Q8_0", 8);
      perturb(data, { ...base, sigma: 0.2, ...options }, kernels);
      return Buffer.from(data).toString("hex");
    };
    const texts = new Set([
      result({}),
      result({ seed: 2n }),
      result({ name: "other" }),
      result({ tick: 1 }),
      result({ rounding: "stochastic" }),
    ]);
    expect(texts.size).toBe(5);
    expect(result({ seed: 1, name: "", tick: 0, rounding: "matched" })).toBe(result({}));
  });
});

describe.each(variants)("perturbAsync on $name", ({ kernels }) => {
  it("gives the bytes of perturb, over several chunks, and lets events through", async () => {
    const data = blocks("Q4_0", 5000);
    const expected = data.slice();
    const options = { ...base, type: "Q4_0", sigma: 0.3 };
    const moved = perturb(expected, options, kernels);
    const seen: number[] = [];
    let events = 0;
    const timer = setInterval(() => events++, 0);
    expect(await perturbAsync(data, { ...options, onProgress: (done) => seen.push(done) }, kernels)).toEqual(moved);
    clearInterval(timer);
    expect(Buffer.compare(data, expected)).toBe(0);
    expect(seen.at(-1)).toBe(160_000);
    if (kernels.perturbAsync === undefined) expect(events).toBeGreaterThan(0);
  });

  it("stops between chunks, and undo brings the bytes back", async () => {
    const data = blocks("Q8_0", 5000);
    const before = data.slice();
    const undo = new Uint8Array(data.length);
    const controller = new AbortController();
    controller.abort();
    await expect(perturbAsync(data, { ...base, sigma: 1, undo, signal: controller.signal }, kernels)).rejects.toThrow(/abort/i);
    data.set(undo);
    expect(Buffer.compare(data, before)).toBe(0);
    await expect(perturbAsync(data, { ...base, sigma: -1 }, kernels)).rejects.toMatchObject({ code: "usage" });
  });
});

describe("perturb refuses", () => {
  const data = blocks("Q8_0", 2);
  const cases: [string, Partial<PerturbOptions>, RegExp, string][] = [
    ["an unknown type", { type: "IQ3_S" }, /type IQ3_S cannot be moved: brownian moves F32, F16/, "unsupported-type"],
    ["a negative sigma", { sigma: -1 }, /sigma must be a number from 0 to .*, but is -1/, "usage"],
    ["a sigma that is no number", { sigma: Number.NaN }, /sigma must be .*, but is NaN/, "usage"],
    ["a sigma that is text", { sigma: "0.1" as never }, /sigma must be .*, but is "0.1"/, "usage"],
    ["an infinite sigma", { sigma: Infinity }, /but is Infinity/, "usage"],
    ["an index inside a block", { index: 5 }, /multiple of a Q8_0 block \(32 weights\), but is 5/, "usage"],
    ["a fractional tick", { tick: 0.5 }, /tick must be a whole number, but is 0.5/, "usage"],
    [
      "an unknown rounding",
      { rounding: "up" as never },
      /rounding must be one of nearest, stochastic, matched, but is "up"/,
      "usage",
    ],
    ["a step for a format with scales", { step: 1 }, /step is for I8 only: Q8_0 has scales/, "usage"],
    ["I8 without a step", { type: "I8" }, /I8 has no scale of its own: give step/, "usage"],
    ["a NaN step", { type: "I8", step: Number.NaN }, /step must be finite and at least 0, but is NaN in row 0/, "usage"],
    [
      "rows that do not divide the weights",
      { type: "I8", step: new Float32Array(3).fill(1) },
      /rowLength .* must be a whole number/,
      "usage",
    ],
    ["an undo of another length", { undo: new Uint8Array(3) }, /undo must be as long as data \(68 bytes\), but has 3/, "usage"],
  ];
  it.each(cases)("%s", (_, options, message, code) => {
    const before = data.slice();
    const call = () => perturb(data, { ...base, ...options });
    expect(call).toThrow(message);
    expect(call).toThrow(expect.objectContaining({ name: "BrownianError", code }));
    expect(data).toEqual(before);
  });

  it("data that is no whole number of blocks, no Uint8Array, or detached", () => {
    expect(() => perturb(new Uint8Array(35), base)).toThrow(/35 bytes, which is no multiple of a Q8_0 block \(34 bytes\)/);
    expect(() => perturb([1, 2] as never, base)).toThrow(BrownianError);
    const gone = new Uint8Array(34);
    structuredClone(gone.buffer, { transfer: [gone.buffer] });
    expect(() => perturb(gone, base)).toThrow(/detached/);
  });
});
