// Noise: published vectors on every backend, the streams' keys, and the laws of uniforms and normals.
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { BrownianError } from "../../src/errors.js";
import { fnv1a, Noise, streamKey } from "../../src/noise/index.js";
import { fastest, variants } from "../support/backends.js";
import { upperTail } from "../support/statistics.js";

const hex = (words: Iterable<number>) => [...words].map((w) => w.toString(16).padStart(8, "0"));
const kat = JSON.parse(readFileSync(new URL("../fixtures/philox-kat.json", import.meta.url), "utf8")) as {
  vectors: { counter: string[]; key: string[]; words: string[] }[];
};

describe.each(variants)("Philox4x32-10 on $name", ({ kernels }) => {
  it.each(kat.vectors)("known answer for counter $counter.0...", ({ counter, key, words }) => {
    const [blockLo, blockHi, tick, purpose] = counter.map((w) => Number.parseInt(w, 16)) as [number, number, number, number];
    const [k0, k1] = key.map((w) => Number.parseInt(w, 16)) as [number, number];
    const out = new Uint32Array(4);
    kernels.bits(out, { k0, k1 }, { blockLo, blockHi, skip: 0, tick, purpose });
    expect(hex(out)).toEqual(words);
  });
});

describe("streams", () => {
  it("hash names by FNV-1a (vectors of the FNV reference: '', 'a', 'foobar')", () => {
    expect(fnv1a("")).toBe(0xcbf29ce484222325n);
    expect(fnv1a("a")).toBe(0xaf63dc4c8601ec8cn);
    expect(fnv1a("foobar")).toBe(0x85944171f73967e8n);
  });

  it("differ in every pair of seed and name, and tell seeds modulo 2^64", () => {
    const keys = new Set<string>();
    for (const seed of [0n, 1n, 2n ** 32n, -1n])
      for (const name of ["", "a", "b", "blk.0.attn_q.weight"]) {
        const { k0, k1 } = streamKey(seed, name);
        keys.add(`${k0} ${k1}`);
      }
    expect(keys.size).toBe(16);
    expect(streamKey(-1n, "a")).toEqual(streamKey(2n ** 64n - 1n, "a"));
    expect(streamKey(7, "a")).toEqual(streamKey(7n, "a"));
  });

  it("give the same element wherever reading begins", () => {
    const stream = new Noise(42n).stream("w");
    const whole = stream.normal(new Float32Array(64), { index: 100, tick: 3 });
    for (let start = 0; start < 16; start++) {
      expect(stream.normal(new Float32Array(7), { index: 100 + start, tick: 3 })).toEqual(whole.slice(start, start + 7));
    }
  });

  it("refuse indices and ticks that are none", () => {
    const stream = new Noise(1).stream("w");
    const out = new Float32Array(1);
    for (const at of [{ index: -1 }, { index: 0.5 }, { tick: 2 ** 32 }, { tick: -1 }, { index: Number.NaN }]) {
      expect(() => stream.normal(out, at)).toThrow(BrownianError);
    }
    expect(() => new Noise(0.5)).toThrow(/seed must be a whole number, but is 0.5/);
  });
});

describe("laws of noise", () => {
  it("uniforms are in [0, 1), with mean 1/2 and variance 1/12, and all 256 bins equally full", () => {
    const n = 1 << 22;
    const u = new Noise(1n, fastest).stream("uniform").uniform(new Float32Array(n));
    const bins = new Float64Array(256);
    let sum = 0;
    let squares = 0;
    for (const x of u) {
      if (!(x >= 0 && x < 1)) throw new Error(`${x} is outside [0, 1)`);
      sum += x;
      squares += (x - 0.5) ** 2;
      bins[Math.floor(x * 256)] = (bins[Math.floor(x * 256)] as number) + 1;
    }
    // Standard errors: sqrt(1/12/n) of the mean, sqrt(1/180/n) of the variance; chi-square has 255 degrees, deviation sqrt(510).
    expect(Math.abs(sum / n - 0.5)).toBeLessThan(5 * Math.sqrt(1 / 12 / n));
    expect(Math.abs(squares / n - 1 / 12)).toBeLessThan(5 * Math.sqrt(1 / 180 / n));
    const expected = n / 256;
    const chi2 = bins.reduce((total, count) => total + (count - expected) ** 2 / expected, 0);
    expect(Math.abs(chi2 - 255)).toBeLessThan(5 * Math.sqrt(510));
  });

  it("normals pass Kolmogorov-Smirnov", () => {
    const n = 1_000_000;
    const z = new Noise(2n, fastest).stream("ks").normal(new Float32Array(n)).sort();
    let distance = 0;
    z.forEach((x, i) => {
      const below = 1 - upperTail(x);
      distance = Math.max(distance, Math.abs(below - i / n), Math.abs(below - (i + 1) / n));
    });
    // P(sqrt(n) D > 2.225) = 1e-4 for the right law.
    expect(Math.sqrt(n) * distance).toBeLessThan(2.225);
  });

  it("normals have the first four moments, and neighbours are uncorrelated", () => {
    const n = 1 << 24;
    const z = new Noise(3n, fastest).stream("moments").normal(new Float32Array(n));
    let [first, second, third, fourth, lag] = [0, 0, 0, 0, 0];
    for (let i = 0; i < n; i++) {
      const x = z[i] as number;
      const square = x * x;
      first += x;
      second += square;
      third += square * x;
      fourth += square * square;
      lag += x * (z[i ^ 1] as number);
    }
    const power = [first, second, third, fourth];
    // Variances of z, z^2, z^3, z^4, z z': 1, 2, 15, 96, 1 (each pair counted twice: 2).
    [0, 1, 0, 3].forEach((expected, m) => {
      const deviation = [1, 2, 15, 96][m] as number;
      expect(Math.abs((power[m] as number) / n - expected), `moment ${m + 1}`).toBeLessThan(5 * Math.sqrt(deviation / n));
    });
    expect(Math.abs(lag / n)).toBeLessThan(5 * Math.sqrt(2 / n));
  });

  it("normals have the right tails beyond 4, 5 and 5.5 sigma, both sides alike", () => {
    const chunk = new Float32Array(1 << 22);
    const stream = new Noise(4n, fastest).stream("tails");
    const limits = [4, 5, 5.5];
    const above = [0, 0, 0];
    const below = [0, 0, 0];
    const chunks = 24;
    for (let c = 0; c < chunks; c++) {
      stream.normal(chunk, { index: c * chunk.length });
      for (let i = 0; i < chunk.length; i++) {
        const x = chunk[i] as number;
        if (x < 4 && x > -4) continue;
        limits.forEach((limit, l) => {
          if (x > limit) above[l] = (above[l] as number) + 1;
          if (x < -limit) below[l] = (below[l] as number) + 1;
        });
      }
    }
    limits.forEach((limit, l) => {
      const expected = chunks * chunk.length * upperTail(limit);
      for (const count of [above[l] as number, below[l] as number]) {
        // Poisson: deviation sqrt(expected); 3188, 29 and 1.9 expected: that none is beyond 5 sigma would be seen.
        expect(Math.abs(count - expected), `${limit} sigma: ${count} of ${expected}`).toBeLessThan(5 * Math.sqrt(expected));
      }
    });
  });

  it("normals are finite and reach beyond 6 sigma at the extreme words", () => {
    // The largest |z| that Box-Muller can make here: r at the smallest u = 2^-32.
    expect(Math.sqrt(-2 * Math.log(2 ** -32))).toBeGreaterThan(6.6);
    const z = new Noise(5n, fastest).stream("extreme").normal(new Float32Array(1 << 22));
    expect(z.every((x) => Math.abs(x) < 6.67)).toBe(true);
  });
});
