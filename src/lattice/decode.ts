// From blocks to weights, with the bits of ggml's own decoding: what tests, inspection and plots look at. Speed does not
// matter here.

import { BrownianError } from "../errors.js";
import { stepSize, unpack } from "../laws/codes.js";
import { ulp } from "../laws/floats.js";
import { isByteFloat, widen } from "../laws/halves.js";
import { levelOfCode, levelsOf, meanGap } from "../laws/levels.js";
import { Field, Kind, Levels } from "../laws/numbers.js";
import { eachGroup } from "../laws/runs.js";
import { checkArray } from "../memory.js";
import { encodedFormat, type Format, formatOrNamed } from "./formats.js";

const f = Math.fround;

/**
 * The weights that are stored in `data`, as float32: step * level + origin, in ggml's order of operations (dequantize_row_* of
 * ggml-quants.c).
 *
 * @param type one of {@link FORMATS}, or its name, that has scales of its own
 * @param bytes whole blocks
 * @returns one number a weight, in weight units; infinities and NaNs where the data has them
 * @throws BrownianError `unsupported-type` for what is no format; `usage` for another kind of array, for what is not whole blocks, and for
 * I8, which has no scale
 * @example
 * const weights = decode("Q8_0", new Uint8Array(34)); // 32 zeros
 */
export function decode(type: Format | string, bytes: Uint8Array): Float32Array {
  const format = formatOrNamed(type);
  const data = wholeBlocks(format, bytes);
  if (format.lattice === undefined) return decodeFloats(format, data);
  const encoded = encodedFormat(format);
  const blocks = data.length / format.bytes;
  const codes = new Int8Array(blocks * format.weights);
  unpack(codes, data, 0, blocks, encoded);
  const levels = encoded[Field.levels] as number;
  const values = levels === Levels.uniform ? null : levelsOf(levels);
  const out = new Float32Array(codes.length);
  eachGroup(data, 0, blocks, encoded, (start, end, step, origin) => {
    for (let i = start; i < end; i++) {
      const q = values === null ? (codes[i] as number) : (values[levelOfCode(levels, codes[i] as number)] as number);
      out[i] = f(step * q) + origin;
    }
  });
  return out;
}

/**
 * The distance between neighbouring codes, one a group for lattice formats (of tables: the mean distance), one a weight for
 * floats.
 *
 * @param bytes whole blocks
 * @returns steps in weight units; 0 for groups that cannot move
 * @throws BrownianError as {@link decode}
 */
export function stepsOf(format: Format, bytes: Uint8Array): Float32Array {
  const data = wholeBlocks(format, bytes);
  if (format.lattice === undefined) return decodeFloats(format, data).map((w) => ulp(w, Kind[format.kind]));
  const encoded = encodedFormat(format);
  const levels = encoded[Field.levels] as number;
  const gap = levels === Levels.uniform ? 1 : meanGap(levels);
  const steps: number[] = [];
  eachGroup(data, 0, data.length / format.bytes, encoded, (_start, _end, step) => steps.push(stepSize(step) * gap));
  return Float32Array.from(steps);
}

function wholeBlocks({ name, bytes: block, lattice }: Format, bytes: Uint8Array): Uint8Array {
  if (lattice?.step === "external")
    throw new BrownianError("usage", `${name} has no scale of its own: multiply its codes with the steps that you have.`);
  const data = checkArray("data", bytes, "Uint8Array");
  if (data.length % block === 0) return data;
  throw new BrownianError("usage", `data has ${data.length} bytes, which is no multiple of a ${name} block (${block} bytes).`);
}

function decodeFloats(format: Format, data: Uint8Array): Float32Array {
  const bytes = new Uint8Array(data); // a copy at an aligned address (Buffer.slice would be a view)
  if (format.kind === "f32") return new Float32Array(bytes.buffer);
  const kind = Kind[format.kind];
  if (isByteFloat(kind)) return Float32Array.from(bytes, (b) => widen((b & 0x7f) | ((b & 0x80) << 8), kind));
  return Float32Array.from(new Uint16Array(bytes.buffer), (h) => widen(h, kind));
}
