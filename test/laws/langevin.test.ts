// The step of the dynamics `langevin`: the same bytes everywhere, and the law that it promises.

import { copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { jsKernels } from "../../src/kernels/js.js";
import { loadNative } from "../../src/kernels/native.js";
import type { Step } from "../../src/kernels/step.js";
import { encodedFormat, FORMATS, type Format } from "../../src/lattice/formats.js";
import type { Move } from "../../src/laws/move.js";
import { Rounding } from "../../src/laws/numbers.js";
import { relaxation } from "../../src/laws/relaxation.js";
import { fastest, native, variants } from "../support/backends.js";
import { scratchFolder } from "../support/synthetic-gguf.js";

const formats = FORMATS.map((format) => ({ name: format.name, format }));
const keepOf = (tau: number) => Math.fround(Math.exp(-1 / tau));
const same = (a: Uint8Array, b: Uint8Array) => Buffer.compare(a, b) === 0;

/** Numerical Recipes' LCG: for arguments, not the code under test. */
function wordsFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state;
  };
}

/** Random bytes with scales near 2^-6, some of them odd ones; random halves and floats are of every size, NaN and infinity among them. */
function randomBlocks(format: Format, blocks: number, seed: number): Uint8Array {
  const word = wordsFrom(seed);
  const data = new Uint8Array(blocks * format.bytes + 3).subarray(3); // at an odd address
  for (let i = 0; i < data.length; i++) data[i] = word() >>> 24;
  if (format.lattice === undefined || format.lattice.step === "external") return data;
  const odd = [0, 0x7c00, 0x7e00, 1, 0x8001];
  for (let block = 0; block < blocks; block++) {
    const scale = block % 13 === 7 ? (odd[block % odd.length] as number) : 0x2400 + (word() >>> 22);
    const at = block * format.bytes + format.lattice.stepOffset;
    if (format.lattice.step === "e8m0") data[at] = block % 13 === 7 ? 0 : 121;
    else if (format.lattice.step !== "ue4m3") data.set([scale & 255, scale >> 8], at);
  }
  return data;
}

function moveOf(format: Format, weights: number, sigma: number, tick: number, inSteps: boolean): Move {
  const external = format.lattice?.step === "external";
  const index = external ? 1001 : 1000 * format.weights;
  const steps = external ? new Float32Array(7).map((_, row) => (row === 3 ? 0 : 2 ** (row - 8))) : null;
  const rowLength = external ? Math.ceil((index + weights) / 7) : 1;
  const key = { k0: 0x12345678, k1: 0x9abcdef0 };
  return {
    format: encodedFormat(format),
    sigma: Math.fround(sigma),
    inSteps,
    steps,
    rowLength,
    rounding: Rounding.matched,
    key,
    index,
    tick,
  };
}

/** Weights of a few tiles, and a ragged end. */
const someBlocks = (format: Format) => Math.ceil(5003 / format.weights);

const others = variants.filter((v) => v.kernels !== jsKernels);

describe("relax equals js everywhere", () => {
  it.each(formats)("$name", ({ format }) => {
    const blocks = someBlocks(format);
    const pristine = randomBlocks(format, blocks, 1);
    const expected = pristine.slice();
    const lives = others.map(() => pristine.slice());
    let tick = 0;
    const step = (sigma: number, keep: number, inSteps: boolean) => {
      const move = moveOf(format, blocks * format.weights, sigma, tick++, inSteps);
      const changed = jsKernels.evolve(expected, pristine, move, relaxation, keep);
      for (const [i, { name, kernels }] of others.entries()) {
        const live = lives[i] as Uint8Array;
        expect(kernels.evolve(live, pristine, move, relaxation, keep), `${name}: changed, sigma ${sigma}, keep ${keep}`).toBe(
          changed,
        );
        expect(same(live, expected), `${name}: bytes, sigma ${sigma}, keep ${keep}`).toBe(true);
      }
    };
    for (const keep of [0, keepOf(0.5), keepOf(4), keepOf(1000)]) {
      for (const sigma of [0.01, 0.3, 1.4, 2.5, 10, 100, 1e5, 0]) step(sigma, keep, true);
      for (const sigma of [1e-4, 0.01, 3, 1e30]) step(sigma, keep, false);
    }
  });

  it.each(formats.filter(({ name }) => ["I8", "Q6_K", "F32"].includes(name)))("$name, several leaves", ({ format }) => {
    const blocks = Math.ceil(100_003 / format.weights);
    const pristine = randomBlocks(format, blocks, 5);
    const move = moveOf(format, blocks * format.weights, 1.1, 5, true);
    const expected = pristine.slice();
    const changed = jsKernels.evolve(expected, pristine, move, relaxation, keepOf(3));
    for (const { name, kernels } of others) {
      const live = pristine.slice();
      expect(kernels.evolve(live, pristine, move, relaxation, keepOf(3)), name).toBe(changed);
      expect(same(live, expected), name).toBe(true);
    }
  });

  it.each(formats)("$name, from anything, in chunks", ({ format }) => {
    const blocks = someBlocks(format);
    const pristine = randomBlocks(format, blocks, 1);
    const anything = randomBlocks(format, blocks, 2);
    const move = moveOf(format, blocks * format.weights, 0.7, 9, true);
    const expected = anything.slice();
    const changed = jsKernels.evolve(expected, pristine, move, relaxation, keepOf(3));
    for (const { name, kernels } of variants) {
      const live = anything.slice();
      let sum = 0;
      for (let block = 0, round = 1; block < blocks; round++) {
        const count = Math.min(blocks - block, Math.ceil((600 * round) / format.weights));
        const range = [block * format.bytes, (block + count) * format.bytes] as const;
        const chunk = { ...move, index: move.index + block * format.weights };
        sum += kernels.evolve(live.subarray(...range), pristine.subarray(...range), chunk, relaxation, keepOf(3));
        block += count;
      }
      expect(sum, name).toBe(changed);
      expect(same(live, expected), name).toBe(true);
    }
  });
});

describe.each(variants)("relax on $name", ({ kernels }) => {
  // F32 comes nearer by a factor each tick, until it is there.
  it.each(formats)("without noise leads back to every pristine byte of $name", ({ format }) => {
    const blocks = Math.ceil(512 / format.weights);
    const pristine = randomBlocks(format, blocks, 3);
    const live = pristine.slice();
    const move = (sigma: number, tick: number) => moveOf(format, blocks * format.weights, sigma, tick, true);
    expect(kernels.evolve(live, pristine, move(0.8, 0), relaxation, keepOf(8))).toBeGreaterThan(0);
    expect(same(live, pristine)).toBe(false);
    for (let tick = 1; tick < 20; tick++) kernels.evolve(live, pristine, move(0, tick), relaxation, keepOf(0.3));
    expect(same(live, pristine)).toBe(true);
  });
});

describe.each(native)("relax of a mapped file on $name", ({ name }) => {
  const folder = scratchFolder();
  it("has the same bytes for every count of threads", async () => {
    const format = FORMATS.find((f) => f.name === "Q4_K") as Format;
    const blocks = 3000; // several threads' shares
    const pristine = randomBlocks(format, blocks, 4);
    const path = join(folder, "pristine");
    writeFileSync(path, Buffer.concat([new Uint8Array(5), pristine]));
    const move = { ...moveOf(format, blocks * format.weights, 0.4, 3, true), index: 0 };
    const expected = pristine.slice();
    const changed = fastest.evolve(expected, pristine, move, relaxation, keepOf(5));
    for (const threads of [1, 2, 3]) {
      const { files } = loadNative(name.split(" ")[1], threads);
      if (files === undefined) throw new Error("native maps files");
      const live = join(folder, `live-${threads}`);
      copyFileSync(path, live);
      const source = files.map(path);
      const file = files.mapLive(live, source);
      const tensor = { offset: 5, bytes: pristine.length };
      const step: Step = { verb: "evolve", law: relaxation, strength: keepOf(5), stride: 1 };
      expect(await file.step([{ tensor, move }], move.tick, step)).toBe(changed);
      expect(same(readFileSync(live).subarray(5), expected)).toBe(true);
      const beyond = [{ tensor: { ...tensor, offset: 6 }, move }];
      await expect(file.step(beyond, move.tick, step)).rejects.toThrow(/beyond the end/);
      await file.close();
      await source.close();
    }
  });
});

const IQ4NL = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];
const nibbles = (bytes: number, value: (code: number) => number) => (data: Uint8Array, i: number) => {
  const byte = data[Math.floor(i / 32) * bytes + 2 + (i % 16)] as number;
  return value(i % 32 < 16 ? byte & 15 : byte >> 4);
};

/** A format with all weights at one place far from rails, its step 1 (2^-10 for F16), and displacements in steps. */
const cases = [
  {
    type: "Q8_0",
    step: 1,
    block: [0, 0x3c],
    fill: 0,
    read: (d: Uint8Array, i: number) => ((d[34 * (i >> 5) + 2 + (i & 31)] as number) << 24) >> 24,
  },
  { type: "Q4_0", step: 1, block: [0, 0x3c], fill: 0x88, read: nibbles(18, (code) => code - 8) },
  {
    type: "F16",
    step: 2 ** -10,
    block: [0, 0x3e],
    fill: 0,
    read: (d: Uint8Array, i: number) => ((d[2 * i] as number) | ((d[2 * i + 1] as number) << 8)) - 0x3e00,
  },
  { type: "IQ4_NL", step: 1, block: [0, 0x3c], fill: 0x88, read: nibbles(18, (code) => (IQ4NL[code] as number) - 1) },
];
const laws = cases.flatMap((of) =>
  (of.type === "IQ4_NL" ? [4, 10] : of.type === "Q4_0" ? [0.1, 0.5, 1.4] : [0.1, 0.5, 1.4, 5]).flatMap((s) =>
    // So many weights tell a variance that is off by 3 to 6 %, by 10 to 14 % at a tenth of a step, and by 7 to 15 % on a table.
    [2, 32].map((tau) => ({ ...of, s, tau, n: 2 ** ((s < 0.5 ? 18 : of.type === "IQ4_NL" ? 15 : 17) - (tau > 2 ? 1 : 0)) })),
  ),
);

describe("the law of relax", () => {
  it.each(laws)(
    "$type, s = $s, tau = $tau: mean 0, variance s^2, autocorrelation a^t",
    ({ type, step, block, fill, read, s, tau, n }) => {
      const format = FORMATS.find((f) => f.name === type) as Format;
      const pristine = new Uint8Array((n / format.weights) * format.bytes).fill(fill);
      for (let at = 0; at < pristine.length; at += format.bytes) pristine.set(block, at);
      const live = pristine.slice();
      const keep = keepOf(tau);
      let tick = 0;
      const run = (ticks: number) => {
        for (let i = 0; i < ticks; i++) {
          const move = { ...moveOf(format, n, s * step, tick++, false), index: 0 };
          fastest.evolve(live, pristine, move, relaxation, keep);
        }
      };
      run(5 * tau); // of the variance, e^-10 is still missing
      const start = Float64Array.from({ length: n }, (_, i) => read(live, i));
      const mean = start.reduce((sum, k) => sum + k, 0) / n;
      const variance = start.reduce((sum, k) => sum + k * k, 0) / n;
      // Of a law between a Gaussian and a difference of Poisson numbers (on a table: between neighbours `gap` apart) the fourth moment is at
      // most 3 s^4 + gap^2 s^2; of kicks since a weight was pristine last, a geometric number of them, 6 s^4 + s^2. Five standard errors.
      const gap = type === "IQ4_NL" ? 12 : 1;
      const error = Math.sqrt((5 + (gap / s) ** 2) / n);
      expect(Math.abs(mean / s)).toBeLessThan(5 / Math.sqrt(n));
      expect(Math.abs(variance / s ** 2 - 1)).toBeLessThan(5 * error + Math.exp(-10));
      let passed = 0;
      for (const lag of [1, tau / 2, tau, 2 * tau]) {
        run(lag - passed);
        passed = lag;
        let covariance = 0;
        for (let i = 0; i < n; i++) covariance += (start[i] as number) * read(live, i);
        expect(Math.abs(covariance / n / s ** 2 - keep ** lag), `lag ${lag}`).toBeLessThan(5 * error);
      }
    },
  );

  it.each([
    { s: 0.5, reach: 1 },
    { s: 0.65, reach: 2 },
    { s: 1.4, reach: 2 },
    { s: 5, reach: 7 },
  ])("keeps the mean near rails: noise of $s steps, $reach steps from one", ({ s, reach }) => {
    const format = FORMATS.find((f) => f.name === "Q8_0") as Format;
    const n = 2 ** 17;
    for (const [k0, keep] of [keepOf(2), keepOf(32)].entries()) {
      const pristine = new Uint8Array((n / 32) * 34).fill(127 - reach);
      for (let at = 0; at < pristine.length; at += 34) pristine.set([0, 0x3c], at);
      const live = pristine.slice();
      for (let tick = 0; tick < 40; tick++) {
        const move = { ...moveOf(format, n, s, tick, false), index: 0, key: { k0, k1: reach } };
        fastest.evolve(live, pristine, move, relaxation, keep);
      }
      let mean = 0;
      for (let i = 0; i < live.length; i++) {
        if (i % 34 < 2) continue;
        const code = ((live[i] as number) << 24) >> 24;
        mean += (code - (127 - reach)) / n;
      }
      expect(Math.abs(mean)).toBeLessThan((5 * s) / Math.sqrt(n));
    }
  });

  it("pulls every displacement by exactly a, and leaves the variance that makes s^2 stationary", () => {
    const format = FORMATS.find((f) => f.name === "Q8_0") as Format;
    const n = 2 ** 18;
    const pristine = new Uint8Array((n / 32) * 34);
    for (let at = 0; at < pristine.length; at += 34) pristine[at + 1] = 0x3c;
    const keep = keepOf(6);
    const s = 0.6;
    const moments = [0, 1, 2, 5].map((k, tick) => {
      const live = pristine.slice();
      for (let i = 0; i < live.length; i++) if (i % 34 > 1) live[i] = k;
      fastest.evolve(live, pristine, { ...moveOf(format, n, s, tick, false), index: 0 }, relaxation, keep);
      let mean = 0;
      let square = 0;
      for (let i = 0; i < live.length; i++) {
        if (i % 34 < 2) continue;
        const q = ((live[i] as number) << 24) >> 24;
        mean += q / n;
        square += (q - keep * k) ** 2 / n;
      }
      expect(Math.abs(mean - keep * k), `mean from ${k}`).toBeLessThan(5 * Math.sqrt(square / n));
      return { k, variance: square };
    });
    // Var = alpha + beta k^2: a parabola with one beta, and alpha + beta s^2 = (1 - a^2) s^2.
    const [alpha, atOne] = [moments[0]?.variance as number, moments[1]?.variance as number];
    const beta = atOne - alpha;
    expect(alpha + beta * s * s).toBeCloseTo((1 - keep * keep) * s * s, 2);
    for (const { k, variance } of moments)
      expect(Math.abs(variance / (alpha + beta * k * k) - 1), `variance from ${k}`).toBeLessThan(0.05);
  });
});
