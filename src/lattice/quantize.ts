// From weights to blocks: the inverse of decode.ts, for the 8-bit formats, so that networks that do not come
// from a GGUF file can be moved. Speed does not matter here.

import { BrownianError, shown } from "../errors.js";
import { magnitudeBits } from "../laws/floats.js";
import { Kind } from "../laws/numbers.js";
import { checkArray } from "../memory.js";

const WEIGHTS = 32; // a block of Q8_0
const BYTES = 34;
const MAX_CODE = 127;
const MAX_F16 = 65504;

/**
 * Float weights as Q8_0 blocks, with the bytes that ggml's quantize_row_q8_0_ref makes of them.
 *
 * Of 32 weights each: d = max |w| / 127 as a float16, codes round(w / d), halves away from 0. No weight moves by more than about
 * d / 2 = max |w| / 254.
 *
 * @param weights a whole number of blocks of 32: pad every row with zeros
 * @returns 34 bytes a block: d, then 32 codes
 * @throws BrownianError `usage` for another kind of array or number of weights, and for weights that are not finite or beyond 8.3e6 (d would not
 * fit)
 * @example
 * const bytes = quantizeQ8_0(new Float32Array(32).fill(0.5)); // 34 bytes
 * perturb(bytes, { type: "Q8_0", sigma: 0.01, seed: 1n });
 */
export function quantizeQ8_0(weights: Float32Array): Uint8Array {
  checkArray("weights", weights, "Float32Array");
  if (weights.length % WEIGHTS !== 0)
    throw new BrownianError(
      "usage",
      `Q8_0 holds whole blocks of ${WEIGHTS} weights, but there are ${weights.length}: pad every row with zeros.`,
    );
  const out = new Uint8Array((weights.length / WEIGHTS) * BYTES);
  for (let block = 0; block * WEIGHTS < weights.length; block++) {
    const w = weights.subarray(block * WEIGHTS, (block + 1) * WEIGHTS);
    const d = Math.fround(largest(w, block * WEIGHTS) / MAX_CODE);
    if (d > MAX_F16)
      throw new BrownianError("usage", `Weights near ${block * WEIGHTS} are too large for Q8_0: its scales end at ${MAX_F16}.`);
    const half = magnitudeBits(d, Kind.f16, null);
    const at = block * BYTES;
    out[at] = half & 255;
    out[at + 1] = half >> 8;
    const inverse = d === 0 ? 0 : Math.fround(1 / d);
    for (let i = 0; i < WEIGHTS; i++) out[at + 2 + i] = roundAway(Math.fround((w[i] as number) * inverse));
  }
  return out;
}

/**
 * Float weights as bare bytes with one step a row: what `perturb` takes as type "I8" with `step`.
 *
 * Of each row: step = max |w| / 127, codes round(w / step), halves away from 0; a row of zeros has step 0, and never moves.
 *
 * @param weights rows of equal length, one after the other
 * @param rows how many; they divide the weights. Default 1
 * @returns `codes`, an int8 a weight, and `steps`, in weight units, one a row
 * @throws BrownianError `usage` for another kind of array, rows that do not divide the weights, and weights that are not finite
 * @example
 * const { codes, steps } = quantizeI8(Float32Array.of(1, -0.5, 0.25, 0), 2); // steps 1/127 and 0.25/127
 * perturb(codes, { type: "I8", step: steps, sigma: 0.01, seed: 1n });
 */
export function quantizeI8(
  weights: Float32Array,
  rows = 1,
): {
  /** A signed byte a weight, -127 to 127, rows one after the other. */
  readonly codes: Uint8Array;
  /** Weight units a code, one a row, at least 0. */
  readonly steps: Float32Array;
} {
  checkArray("weights", weights, "Float32Array");
  const length = typeof rows === "number" ? weights.length / rows : Number.NaN;
  if (!(Number.isInteger(rows) && rows > 0 && Number.isInteger(length)))
    throw new BrownianError("usage", `${weights.length} weights are no ${shown(rows)} rows of equal length.`);
  const codes = new Int8Array(weights.length);
  const steps = new Float32Array(rows);
  for (let row = 0; row < rows; row++) {
    const w = weights.subarray(row * length, (row + 1) * length);
    const step = Math.fround(largest(w, row * length) / MAX_CODE);
    steps[row] = step;
    if (step > 0)
      codes.set(
        Array.from(w, (x) => roundAway(x / step)),
        row * length,
      );
  }
  return { codes: new Uint8Array(codes.buffer), steps };
}

function largest(weights: Float32Array, first: number): number {
  let max = 0;
  weights.forEach((w, i) => {
    if (!Number.isFinite(w))
      throw new BrownianError("usage", `Weight ${first + i} is ${w}: a network that computes no numbers has no blocks.`);
    max = Math.max(max, Math.abs(w));
  });
  return max;
}

/** C's roundf, kept within the codes: a step that was rounded down may ask for 128. */
function roundAway(x: number): number {
  return Math.sign(x) * Math.min(MAX_CODE, Math.floor(Math.abs(x) + 0.5));
}
