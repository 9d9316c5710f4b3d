// What a row of logits says: against closed forms in float64, and the same bits on every backend and ISA.
import { describe, expect, it } from "vitest";
import { jsKernels } from "../../src/kernels/js.js";
import { LogitColumn } from "../../src/laws/numbers.js";
import { Noise } from "../../src/noise/index.js";
import { entropy, kl, softmax } from "../../src/sampling/index.js";
import { variants } from "../support/backends.js";

/** Lengths around rounds of lanes, and around the stage of WebAssembly. */
const LENGTHS = [1, 2, 15, 16, 17, 31, 33, 2048, 32767, 32768, 32769, 49_152, 70_001];
const NONE = new Float32Array(0);

/** Normal logits of this spread. */
function row(length: number, name: string, spread = 3): Float32Array {
  return new Noise(9n)
    .stream(name)
    .normal(new Float32Array(length))
    .map((z) => spread * z);
}

function read(kernels: typeof jsKernels, logits: Float32Array, target = 0, betas = NONE, reference: Float32Array | null = null) {
  const out = new Float64Array(LogitColumn.head + betas.length);
  return { token: kernels.readLogits(logits, { target, betas, reference }, out), out };
}

describe.each(variants)("$name", ({ kernels }) => {
  it.each(LENGTHS)("says of %d logits what JavaScript says, bit for bit", (length) => {
    const logits = row(length, "own");
    const reference = row(length, "other");
    if (length > 2) logits[1] = -Infinity;
    if (length > 20) reference[17] = -Infinity;
    const betas = Float32Array.of(0, 0.5, 1, 20);
    const mine = read(kernels, logits, length - 1, betas, reference);
    const specified = read(jsKernels, logits, length - 1, betas, reference);
    expect(mine.token).toBe(specified.token);
    expect([...mine.out]).toEqual([...specified.out]);
  });

  it("says what the closed forms say", () => {
    const [logits, reference] = [row(5000, "own"), row(5000, "other")];
    const betas = Float32Array.of(2, 0.25);
    const { token, out } = read(kernels, logits, 77, betas, reference);
    const p = softmax(logits);
    expect(token).toBe(p.indexOf(Math.max(...p)));
    // e^x is good to 2^-22: each sum is, and logarithms and means of them to as much, times their size.
    const weight = out[LogitColumn.weight] as number;
    expect((out[LogitColumn.below] as number) - Math.log(weight)).toBeCloseTo(Math.log(p[77] as number), 5);
    expect(Math.log(weight) - (out[LogitColumn.moment] as number) / weight).toBeCloseTo(entropy(p), 5);
    for (const [i, beta] of betas.entries())
      expect(1 / (out[LogitColumn.head + i] as number)).toBeCloseTo(Math.max(...softmax(logits, { beta })), 5);
    const there = read(kernels, reference).out;
    const theirs = there[LogitColumn.weight] as number;
    const own = (there[LogitColumn.moment] as number) / theirs - Math.log(theirs);
    const cross = (out[LogitColumn.cross] as number) / theirs - Math.log(weight);
    expect(own - cross).toBeCloseTo(kl(softmax(reference), p), 4);
  });

  it.each([Number.NaN, Infinity])("says that a logit is %d", (bad) => {
    for (const length of [3, 16, 40_000]) {
      const logits = row(length, "own");
      logits[length - 1] = bad;
      expect(read(kernels, logits).token).toBe(-1);
    }
    expect(read(kernels, new Float32Array(4).fill(-Infinity)).token).toBe(-1);
  });

  it("takes the first of the likeliest", () => {
    expect(read(kernels, Float32Array.of(0, 3, 3, 1)).token).toBe(1);
  });
});
