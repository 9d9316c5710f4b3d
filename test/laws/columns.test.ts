// Moves whose sigma goes by column: mean and variance of every column against what was asked for, the law against its closed form, and the
// same bytes on every backend, split anywhere.

import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import type { Kernels } from "../../src/kernels/contract.js";
import { jsKernels } from "../../src/kernels/js.js";
import { decode } from "../../src/lattice/decode.js";
import { encodedFormat, FORMATS, type Format, formatNamed } from "../../src/lattice/formats.js";
import type { Columns, Move } from "../../src/laws/move.js";
import { Rounding } from "../../src/laws/numbers.js";
import { relaxation } from "../../src/laws/relaxation.js";
import { streamKey } from "../../src/noise/index.js";
import { fastest, native, variants } from "../support/backends.js";
import { upperTail } from "../support/statistics.js";

/** Of what "are frozen" draws: changes only with a major version. */
const FROZEN = "69fd659b9cd5ad434b2d04452d921bf7";

const movable = FORMATS.filter((format) => format.lattice?.step !== "external").map((format) => ({ name: format.name, format }));

function moveOf(format: Format, columns: Columns, more: Partial<Move>): Move {
  return {
    format: encodedFormat(format),
    sigma: 1,
    inSteps: false,
    steps: null,
    rowLength: 1,
    rounding: Rounding.matched,
    key: streamKey(7n, "blk.0.ffn_up.weight"),
    index: 0,
    tick: 0,
    columns,
    ...more,
  };
}

/** A generator of its own for data (Numerical Recipes' LCG). */
function words(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state;
  };
}

/** Blocks of random codes; scales are ordinary ones, and now and then zero, infinite, NaN, subnormal or negative. */
function randomBlocks(format: Format, blocks: number, word: () => number): Uint8Array {
  const data = new Uint8Array(blocks * format.bytes).map(() => word() >>> 24);
  if (!["f16", "f16Origin"].includes(format.lattice?.step ?? "")) return data;
  const odd = [0, 0x7c00, 0xfc00, 0x7e00, 1, 0x8001, 0x03ff];
  for (let at = format.lattice?.stepOffset ?? 0; at < data.length; at += format.bytes) {
    const scale = word() % 8 === 0 ? (odd[word() % odd.length] as number) : 0x2000 + (word() >>> 20) + ((word() >>> 16) & 0x8000);
    data[at] = scale & 255;
    data[at + 1] = scale >> 8;
  }
  return data;
}

const same = (a: Uint8Array, b: Uint8Array) => Buffer.compare(a, b) === 0;

/** A move, and what follows it, with what plain JavaScript makes of them. */
interface Case {
  readonly move: Move;
  readonly pristine: Uint8Array;
  readonly moved: Made;
  readonly relaxed: readonly (Made & { readonly keep: number; readonly next: Move })[];
}
interface Made {
  readonly changed: number;
  readonly bytes: Uint8Array;
}

const KEEPS = [0.9, 0.999, 0].map(Math.fround);
const known = new Map<string, Case[]>();
/** Made once for all that are compared with JavaScript. */
function casesOf(format: Format): Case[] {
  const cases = known.get(format.name) ?? makeCases(format);
  known.set(format.name, cases);
  return cases;
}

function makeCases(format: Format): Case[] {
  const cases: Case[] = [];
  const word = words(3);
  for (const scale of [1e-6, 1e-3, 0.03, 0.3, 10]) {
    for (const inSteps of [false, true]) {
      const width = format.weights * (1 + (word() % 5));
      const matrix = width * 3;
      // Factors over four powers of ten, and none at all.
      const factors = new Float32Array(2 * width).map(() => (word() % 16 === 0 ? 0 : 10 ** ((word() % 400) / 100 - 2)));
      const rows = 6;
      const index = width * (word() % 3);
      const blocks = (width * rows - index) / format.weights;
      const tick = word();
      const move = moveOf(format, { factors, width, matrix }, { sigma: Math.fround(scale), inSteps, tick, index });
      const pristine = randomBlocks(format, blocks, word);
      const live = pristine.slice();
      const moved = { changed: jsKernels.perturb(live, move), bytes: live.slice() };
      const next = { ...move, tick: tick ^ 1 };
      const relaxed = KEEPS.map((keep) => {
        const changed = jsKernels.evolve(live, pristine, next, relaxation, keep);
        return { keep, next, changed, bytes: live.slice() };
      });
      cases.push({ move, pristine, moved, relaxed });
    }
  }
  return cases;
}

describe.each(variants.filter((v) => v.kernels !== jsKernels))("$name equals js", ({ kernels }) => {
  it.each(movable)("on $name", ({ format }) => {
    for (const { move, pristine, moved, relaxed } of casesOf(format)) {
      const actual = pristine.slice();
      expect(kernels.perturb(actual, move)).toBe(moved.changed);
      expect(same(actual, moved.bytes), `perturb, ${move.sigma}`).toBe(true);
      for (const { keep, next, changed, bytes } of relaxed) {
        expect(kernels.evolve(actual, pristine, next, relaxation, keep)).toBe(changed);
        expect(same(actual, bytes), `relax, ${move.sigma}, ${keep}`).toBe(true);
      }
    }
  });
});

describe("moves by column", () => {
  it.each(movable)("of $name may be split anywhere", ({ format }) => {
    const word = words(5);
    const width = format.weights * 3;
    const factors = new Float32Array(width).map(() => (word() % 100) / 50);
    const whole = randomBlocks(format, 120, word);
    const parts = whole.slice();
    const move = moveOf(format, { factors, width, matrix: width * 40 }, { sigma: 0.02 });
    const changed = fastest.perturb(whole, move);
    let changedInParts = 0;
    for (const [from, to] of [
      [0, 7],
      [7, 64],
      [64, 120],
    ] as const)
      changedInParts += fastest.perturb(parts.subarray(from * format.bytes, to * format.bytes), {
        ...move,
        index: from * format.weights,
      });
    expect(changedInParts).toBe(changed);
    expect(same(parts, whole)).toBe(true);
  });

  it("are frozen", () => {
    const hash = createHash("sha256");
    // Of those of 8 bits the other tests speak; frozen.json has their moves.
    for (const { format } of movable.filter((each) => each.format.ggml !== null)) {
      const word = words(11);
      const width = Math.max(16, format.weights);
      const factors = new Float32Array(width).map((_, j) => 0.25 + (j % 8) / 4);
      const pristine = randomBlocks(format, 1024 / format.weights, word);
      const data = pristine.slice();
      for (const sigma of [0.003, 0.1]) {
        const move = moveOf(format, { factors, width, matrix: 1024 }, { sigma: Math.fround(sigma) });
        fastest.perturb(data, move);
        fastest.evolve(data, pristine, { ...move, tick: 1 }, relaxation, Math.fround(0.9));
      }
      hash.update(data);
    }
    expect(hash.digest("hex").slice(0, 32)).toBe(FROZEN);
  });

  it.each(native)("are refused on $name where there are too few factors", ({ kernels }) => {
    const format = formatNamed("Q8_0") as Format;
    const columns = { factors: new Float32Array(32), width: 32, matrix: 64 };
    const move = moveOf(format, columns, {});
    expect(() => kernels.perturb(new Uint8Array(34 * 3), move)).toThrow(/too few/);
    expect(() => kernels.evolve(new Uint8Array(34 * 3), new Uint8Array(34 * 3), move, relaxation, 0.5)).toThrow(/too few/);
  });
});

/** Blocks whose weights are all in the middle of their grid, of step 2^-4 (floats: the weight 1). */
function middle(format: Format, weights: number): Uint8Array {
  const data = new Uint8Array((weights / format.weights) * format.bytes);
  const put = (block: Uint8Array) => {
    for (let at = 0; at < data.length; at += block.length) data.set(block, at);
  };
  if (format.name === "F32") put(new Uint8Array(Float32Array.of(1).buffer));
  else if (format.name === "F16")
    put(Uint8Array.of(0x00, 0x3e)); // 1.5
  else if (format.name === "BF16")
    put(Uint8Array.of(0xc0, 0x3f)); // 1.5
  else if (format.name === "Q8_0") put(Uint8Array.of(0x00, 0x2c, ...new Array(32).fill(0)));
  else put(Uint8Array.of(0x00, 0x2c, ...new Array(16).fill(0x88))); // Q4_0
  return data;
}

/** Of every column: mean and variance of the weights' moves. */
function byColumn(before: Float32Array, after: Float32Array, width: number) {
  const rows = before.length / width;
  return Array.from({ length: width }, (_, j) => {
    let sum = 0;
    let squares = 0;
    for (let i = j; i < before.length; i += width) {
      const d = (after[i] as number) - (before[i] as number);
      sum += d;
      squares += d * d;
    }
    return { mean: sum / rows, variance: squares / rows };
  });
}

/** E[k^4] of the law at variance v, from its definition: single steps, or round(s' z + d), d triangular. Each v is reckoned once. */
function fourthMoment(v: number): number {
  if (v < 0.25) return v;
  const known = fourthMoments.get(v);
  if (known !== undefined) return known;
  const s = Math.sqrt(v - 0.25);
  // P(|k| >= j) = 2 P(s z + d >= j - 1/2), averaged over d by the trapezoidal rule; sum over j of (j^4 - (j-1)^4) P(|k| >= j).
  const steps = 400;
  let sum = 0;
  for (let j = 1; j < 10 * s + 4; j++) {
    let tail = 0;
    for (let n = 1; n < steps; n++) {
      const d = -1 + (2 * n) / steps;
      const x = j - 0.5 - d;
      tail += ((1 - Math.abs(d)) * 2 * (s > 1e-9 ? upperTail(x / s) : x < 0 ? 1 : 0)) / steps;
    }
    sum += (j ** 4 - (j - 1) ** 4) * 2 * tail;
  }
  fourthMoments.set(v, sum);
  return sum;
}
const fourthMoments = new Map<number, number>();

const WIDTH = 64;
const ROWS = 1 << 13;
// Noise from a hundredth of a step to eight steps, in no order.
const FACTORS = new Float32Array(WIDTH).map((_, j) => 0.01 * 2 ** (((j * 29) % WIDTH) / 6.7));

describe("the variance of every column is what was asked for", () => {
  // Of 64 columns and four laws, each is within 5.5 standard errors of the variance (n = 8,192 weights): a chance of 1e-5 that one is not.
  const within = (measured: number, expected: number, fourth: number) =>
    Math.abs(measured - expected) < 5.5 * Math.sqrt((fourth - expected ** 2) / ROWS);

  it.each(["Q8_0", "F16", "BF16", "F32"])("on %s", (name) => {
    const format = formatNamed(name) as Format;
    const pristine = middle(format, WIDTH * ROWS);
    const data = pristine.slice();
    const step = name === "Q8_0" ? 2 ** -4 : name === "F16" ? 2 ** -10 : name === "BF16" ? 2 ** -7 : 1e-3;
    const move = moveOf(format, { factors: FACTORS, width: WIDTH, matrix: WIDTH * ROWS }, { sigma: step });
    fastest.perturb(data, move);
    const before = decode(format, pristine);
    byColumn(before, decode(format, data), WIDTH).forEach(({ mean, variance }, j) => {
      const v = (FACTORS[j] as number) ** 2; // in steps
      // F32 adds a normal, E[z^4] = 3, but for float32's own rounding near 1: 2^-24.
      const fourth = name === "F32" ? 3 * v * v : fourthMoment(v);
      const slack = name === "F32" ? 1e-4 * v + 1e-8 : 0;
      expect(Math.abs(mean / step), `mean of column ${j}`).toBeLessThan(5.5 * Math.sqrt(v / ROWS) + slack);
      const spread = variance / step ** 2;
      expect(within(spread, v, fourth) || Math.abs(spread - v) < slack, `variance of column ${j}: ${spread} for ${v}`).toBe(true);
    });
  });

  it("on Q4_0, where noise stays within the rails", () => {
    const format = formatNamed("Q4_0") as Format;
    const pristine = middle(format, WIDTH * ROWS);
    const factors = FACTORS.map((x) => Math.min(x, 1.2)); // rails are 7 steps away: six sigma
    const data = pristine.slice();
    fastest.perturb(data, moveOf(format, { factors, width: WIDTH, matrix: WIDTH * ROWS }, { sigma: 2 ** -4 }));
    byColumn(decode(format, pristine), decode(format, data), WIDTH).forEach(({ mean, variance }, j) => {
      const v = (factors[j] as number) ** 2;
      expect(Math.abs(mean * 16)).toBeLessThan(5.5 * Math.sqrt(v / ROWS));
      expect(within(variance * 256, v, fourthMoment(v)), `column ${j}`).toBe(true);
    });
  });

  it("and langevin keeps it there", () => {
    const format = formatNamed("Q8_0") as Format;
    const pristine = middle(format, WIDTH * ROWS);
    const data = pristine.slice();
    const move = moveOf(format, { factors: FACTORS, width: WIDTH, matrix: WIDTH * ROWS }, { sigma: 2 ** -4 });
    fastest.perturb(data, move);
    const keep = Math.fround(Math.exp(-1 / 4));
    const start = decode(format, data);
    for (let tick = 1; tick <= 12; tick++) {
      fastest.evolve(data, pristine, { ...move, tick }, relaxation, keep);
      if (tick !== 4) continue;
      // e^-1 after tau; all columns together: correlation in units of each one's variance, where k k' has a variance below 10 v^2 at v >= 1/4.
      const now = decode(format, data);
      let sum = 0;
      let n = 0;
      for (let i = 0; i < now.length; i++) {
        const v = (FACTORS[i % WIDTH] as number) ** 2;
        if (v < 0.25) continue;
        sum += ((start[i] as number) * (now[i] as number) * 256) / v;
        n++;
      }
      expect(Math.abs(sum / n - Math.exp(-1))).toBeLessThan(5 * Math.sqrt(10 / n));
    }
    byColumn(decode(format, pristine), decode(format, data), WIDTH).forEach(({ variance }, j) => {
      const v = (FACTORS[j] as number) ** 2;
      // The stationary law is not that of one draw: its fourth moment is no more than a normal's, or single steps'.
      expect(within(variance * 256, v, 3 * v * v + v), `column ${j}`).toBe(true);
    });
  });
});

describe("the law", () => {
  it.each([1e-4, 0.1, 0.2499, 0.25, 0.3, 1, 4, 30])("at variance %f is its closed form", (v) => {
    const format = formatNamed("Q8_0") as Format;
    const n = 1 << 19;
    const data = middle(format, n);
    const columns = { factors: Float32Array.of(...new Array(32).fill(1)), width: 32, matrix: n };
    const draw: Kernels = fastest;
    draw.perturb(data, moveOf(format, columns, { sigma: Math.fround(Math.sqrt(v)), inSteps: true, tick: 3 }));
    let second = 0;
    let fourth = 0;
    for (let i = 0; i < n; i++) {
      const k = ((data[Math.floor(i / 32) * 34 + 2 + (i % 32)] as number) << 24) >> 24;
      second += k * k;
      fourth += k ** 4;
    }
    // Five standard errors; of the fourth moment, whose own variance is below E[k^8] <= 105 v^4 + v.
    expect(Math.abs(second / n - v)).toBeLessThan(5 * Math.sqrt((fourthMoment(v) - v * v) / n));
    expect(Math.abs(fourth / n - fourthMoment(v))).toBeLessThan(5 * Math.sqrt((300 * v ** 4 + 300 * v) / n));
  });
});
