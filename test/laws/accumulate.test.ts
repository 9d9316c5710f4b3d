// The update with an accumulator: what it keeps is what rounding left, so that the sum of many updates arrives, however small each is.
import { describe, expect, it } from "vitest";
import { jsKernels } from "../../src/kernels/js.js";
import { encodedFormat, FORMATS, type Format } from "../../src/lattice/formats.js";
import { accumulate } from "../../src/laws/accumulate.js";
import { unpack } from "../../src/laws/codes.js";
import { levelOfCode, levelsOf } from "../../src/laws/levels.js";
import type { Move } from "../../src/laws/move.js";
import { Field, Levels, Rounding } from "../../src/laws/numbers.js";
import { fastest } from "../support/backends.js";

const lattices = FORMATS.filter(({ lattice }) => lattice !== undefined).map((format) => ({ name: format.name, format }));
const WEIGHTS = 4608; // more than a tile

/** Blocks of random codes (Numerical Recipes' LCG), with steps of 2^-6 where those are float16. */
function blocksOf(format: Format): Uint8Array {
  let state = 1;
  const data = Uint8Array.from({ length: (WEIGHTS / format.weights) * format.bytes }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state >>> 24;
  });
  if (format.lattice?.step === "f16")
    for (let at = format.lattice.stepOffset; at < data.length; at += format.bytes) data.set([0, 0x24], at);
  return data;
}

const moveOf = (format: Format, tick: number): Move => ({
  format: encodedFormat(format),
  sigma: 0.6,
  inSteps: true,
  steps: format.lattice?.step === "external" ? new Float32Array(3).fill(0.125) : null,
  rowLength: format.lattice?.step === "external" ? WEIGHTS / 3 : 1,
  rounding: Rounding.matched,
  key: { k0: 1, k1: 2 },
  index: 0,
  tick,
});

/** Values of codes, in steps. */
function valuesOf(data: Uint8Array, format: Format): number[] {
  const encoded = encodedFormat(format);
  const codes = new Int8Array(WEIGHTS);
  unpack(codes, data, 0, WEIGHTS / format.weights, encoded);
  const levels = encoded[Field.levels] as number;
  return Array.from(codes, (code) =>
    levels === Levels.uniform ? code : (levelsOf(levels)[levelOfCode(levels, code)] as number),
  );
}

const perturb = (data: Uint8Array, move: Move) => jsKernels.perturb(data, move);
const fast = (data: Uint8Array, move: Move) => fastest.perturb(data, move);

describe.each(lattices)("accumulate on $name", ({ format }) => {
  const table = encodedFormat(format)[Field.levels] !== Levels.uniform;
  const [unit, halfGap] = table ? [2 ** -11, 12] : [2 ** -15, 0.5];

  it("comes within half a gap of the sum of all updates, where no rail is met; and its parts are the whole", () => {
    const pristine = blocksOf(format);
    const live = pristine.slice();
    const kept = new Int16Array(WEIGHTS);
    const rest = valuesOf(pristine, format);
    const sums = [...rest];
    const rails = new Set([Math.min(...sums), Math.max(...sums)]);
    const free = sums.map((value) => !rails.has(value));
    const feedback = { weights: [0.05, 0, -0.03], decay: 0.01 };
    const updates = 30;
    let changed = 0;
    let at = rest;
    for (let n = 0; n < updates; n++) {
      const move = moveOf(format, 10 * n);
      for (const [i, weight] of feedback.weights.entries()) {
        const moved = live.slice();
        fast(moved, { ...move, tick: move.tick + i });
        for (const [j, value] of valuesOf(moved, format).entries())
          sums[j] = (sums[j] as number) + weight * (value - (at[j] as number));
      }
      for (const [j, value] of rest.entries()) sums[j] = (sums[j] as number) + feedback.decay * (value - (at[j] as number));
      if (n === 7) {
        const half = live.length / 2;
        const [whole, parts] = [live.slice(), live.slice()];
        accumulate(whole, pristine, kept.slice(), move, feedback, perturb);
        for (const from of [0, half]) {
          const here = { ...move, index: (WEIGHTS / 2) * (from / half) };
          const [some, base] = [parts.subarray(from, from + half), pristine.subarray(from, from + half)];
          accumulate(some, base, kept.slice(here.index, here.index + WEIGHTS / 2), here, feedback, fast);
        }
        expect(parts).toEqual(whole);
      }
      changed += accumulate(live, pristine, kept, move, feedback, fast);
      at = valuesOf(live, format);
      for (const [j, value] of at.entries()) if (rails.has(value)) free[j] = false;
    }
    expect(changed).toBeGreaterThan(0);
    // Each update rounds what is kept to its unit, and float32 sums of values up to 128 to 2^-17.
    const most = halfGap + updates * (unit / 2 + 2 ** -15);
    const far = at.map((value, j) => (free[j] ? Math.abs(value - (sums[j] as number)) : 0));
    expect(Math.max(...far)).toBeLessThanOrEqual(most);
  });
});
