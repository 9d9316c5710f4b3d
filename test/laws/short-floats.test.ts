// Floats of eight bits: their values are those of the OCP specification, they round as it says, and moves under every law have mean 0 and the
// variance that the law of moves and the rounding into coarser binades make together.
import { describe, expect, it } from "vitest";
import { decode } from "../../src/lattice/decode.js";
import { perturb } from "../../src/lattice/perturb.js";
import { magnitudeBits } from "../../src/laws/floats.js";
import { Kind } from "../../src/laws/numbers.js";
import { fastest, variants } from "../support/backends.js";
import { matchedLaw } from "../support/statistics.js";

/** OCP 8-bit Floating Point Specification (OFP8), revision 1.0, tables 1 and 2; `nan` and `infinity` are magnitudes. */
const FORMATS = [
  { type: "F8_E4M3", kind: Kind.e4m3, mantissa: 3, bias: 7, most: 0x7e, infinity: null, nan: [0x7f] },
  { type: "F8_E5M2", kind: Kind.e5m2, mantissa: 2, bias: 15, most: 0x7b, infinity: 0x7c, nan: [0x7d, 0x7e, 0x7f] },
] as const;

/** The published extremes: least and largest subnormal, least and largest normal number. */
const PUBLISHED: Record<string, Record<number, number>> = {
  F8_E4M3: { 0: 0, 1: 2 ** -9, 7: 0.875 * 2 ** -6, 8: 2 ** -6, 56: 1, 126: 448 },
  F8_E5M2: { 0: 0, 1: 2 ** -16, 3: 0.75 * 2 ** -14, 4: 2 ** -14, 60: 1, 123: 57344 },
};

const ALL = Uint8Array.from({ length: 256 }, (_, code) => code);

describe.each(FORMATS)("$type", ({ type, kind, mantissa, bias, most, infinity, nan }) => {
  const values = decode(type, ALL);
  const finite = Array.from({ length: most + 1 }, (_, code) => values[code] as number);

  it("has the values of the specification", () => {
    for (const [code, value] of Object.entries(PUBLISHED[type]!)) {
      expect(values[Number(code)], code).toBe(value);
      expect(values[Number(code) | 0x80], code).toBe(-value);
    }
    for (const code of ALL) {
      const magnitude = code & 0x7f;
      const sign = code & 0x80 ? -1 : 1;
      const [exponent, fraction] = [magnitude >> mantissa, (magnitude & ((1 << mantissa) - 1)) / (1 << mantissa)];
      const value = exponent === 0 ? fraction * 2 ** (1 - bias) : (1 + fraction) * 2 ** (exponent - bias);
      if ((nan as readonly number[]).includes(magnitude)) expect(values[code]).toBeNaN();
      else expect(values[code], String(code)).toBe(sign * (magnitude === infinity ? Number.POSITIVE_INFINITY : value));
    }
  });

  it("is rounded to the nearest, ties to even, and up or down in proportion", () => {
    for (let code = 0; code < most; code++) {
      const [a, b] = [finite[code] as number, finite[code + 1] as number];
      expect(magnitudeBits(a, kind, null)).toBe(code);
      expect(magnitudeBits((a + b) / 2, kind, null)).toBe(code + (code & 1));
      expect(magnitudeBits(a + 0.49 * (b - a), kind, null)).toBe(code);
      expect(magnitudeBits(-(a + 0.51 * (b - a)), kind, null)).toBe(code + 1);
      // A quarter of all words take a quarter of the way up.
      const words = Array.from({ length: 64 }, (_, i) => Math.imul(i, 0x04000000) >>> 0).map((w) => w ^ (w >>> 11));
      const up = words.filter((word) => magnitudeBits(a + (b - a) / 4, kind, word) === code + 1).length;
      expect(up, String(code)).toBe(16);
    }
  });

  it.each([0.3, 1, 1.5])("moves by %d steps: mean 0, and the variance of the law and of the rounding", (s) => {
    const each = 1 << 11;
    const data = new Uint8Array(each * most * 2);
    for (let code = 1; code <= most; code++)
      for (const sign of [0, 0x80])
        data.fill(code | sign, each * 2 * (code - 1) + (sign ? each : 0), each * 2 * (code - 1) + each * (sign ? 2 : 1));
    const before = decode(type, data);
    perturb(data, { type, sigma: s, scale: "step", seed: 5n, name: `${type} ${s}` }, fastest);
    const after = decode(type, data);
    const { tails } = matchedLaw(s);
    const chance = (k: number) =>
      k === 0 ? 1 - (tails[0] ?? 0) : ((tails[Math.abs(k) - 1] ?? 0) - (tails[Math.abs(k)] ?? 0)) / 2;
    let [mean, square, expected, fourth] = [0, 0, 0, 0];
    for (let code = 1; code <= most; code++) {
      const w = finite[code] as number;
      const step = code < most ? (finite[code + 1] as number) - w : w - (finite[code - 1] as number);
      const reach = (finite[most] as number) - w;
      for (let k = -tails.length; k <= tails.length; k++) {
        const y = w + Math.max(-reach, Math.min(reach, k * step));
        const lower = lastBelow(finite, Math.abs(y));
        const [a, b] = [finite[lower] as number, (finite[lower + 1] ?? finite[lower]) as number];
        const rounding = b > a ? (Math.abs(y) - a) * (b - Math.abs(y)) : 0;
        const d2 = ((y - w) ** 2 + rounding) / step ** 2;
        expected += (chance(k) * d2) / most;
        fourth += (chance(k) * d2 ** 2) / most;
      }
      for (let i = each * 2 * (code - 1); i < each * 2 * code; i++) {
        const d = ((after[i] as number) - (before[i] as number)) / step;
        mean += d / data.length;
        square += d ** 2 / data.length;
      }
    }
    // Five standard errors: of a mean of n numbers of variance v, and of a mean of their squares (whose own variance is less than the fourth moment,
    // to which rounding adds less than a third).
    expect(Math.abs(mean)).toBeLessThan(5 * Math.sqrt(expected / data.length));
    expect(Math.abs(square - expected)).toBeLessThan(5 * Math.sqrt((1.4 * fourth) / data.length));
    // What rounding adds to the variance is small; at the rail some is lost.
    expect(expected).toBeLessThan(1.08 * s ** 2);
    expect(expected).toBeGreaterThan(0.97 * s ** 2);
  });

  it("never makes an infinity or a NaN, and leaves those that there are", () => {
    for (const { kernels } of variants)
      for (const rounding of ["nearest", "stochastic", "matched"] as const) {
        const data = Uint8Array.from({ length: 4096 }, (_, i) => i & 255);
        perturb(data, { type, sigma: 1e4, seed: 1n, rounding }, kernels);
        const right = (byte: number, i: number) => ((i & 0x7f) > most ? byte === (i & 255) : (byte & 0x7f) <= most);
        expect([...data.entries()].filter(([i, byte]) => !right(byte, i))).toEqual([]);
      }
  });
});

/** The last of rising values that is at most y. */
function lastBelow(values: readonly number[], y: number): number {
  let level = 0;
  while (level < values.length - 1 && y >= (values[level + 1] as number)) level++;
  return level;
}
