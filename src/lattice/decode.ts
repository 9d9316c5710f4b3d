// From blocks to weights, with the bits of ggml's own decoding: what tests, inspection and plots look at. Not a hot path.

import { type Group, halfToFloat, readGroup, stepSize, unpack } from "../laws/codes.js";
import { ulp } from "../laws/floats.js";
import { levelOfCode, levelsOf } from "../laws/levels.js";
import { Field, Kind } from "../laws/numbers.js";
import { encodedFormat, type Format } from "./formats.js";

const f = Math.fround;

/**
 * The weights in `data`, whole blocks of a format with scales of its own, as float32: step * q + origin, each operation rounded.
 * @throws RangeError for I8, which has no scale.
 */
export function decode(format: Format, data: Uint8Array): Float32Array {
  if (format.lattice === undefined) return decodeFloats(format, data);
  const encoded = encodedFormat(format);
  const codes = new Int8Array((data.length / format.bytes) * format.weights);
  unpack(codes, data, 0, data.length / format.bytes, encoded);
  const levels = encoded[Field.levels] as number;
  const table = format.lattice.levels === "uniform" ? null : levelsOf(levels);
  const out = new Float32Array(codes.length);
  eachGroup(format, data, ({ step, origin }, start, end) => {
    for (let i = start; i < end; i++) {
      const q = table === null ? (codes[i] as number) : (table[levelOfCode(levels, codes[i] as number)] as number);
      out[i] = f(step * q) + origin;
    }
  });
  return out;
}

/**
 * The distance between neighbouring codes, one a group for lattice formats (of tables: the mean distance), one a weight for floats.
 * @param data whole blocks. @returns steps in weight units; 0 for groups that cannot move.
 */
export function stepsOf(format: Format, data: Uint8Array): Float32Array {
  const { lattice } = format;
  if (lattice === undefined) {
    const kind = Kind[format.kind];
    return decodeFloats(format, data).map((w) => ulp(w, kind));
  }
  const table = lattice.levels === "uniform" ? null : levelsOf(encodedFormat(format)[Field.levels] as number);
  const gap = table === null ? 1 : ((table[table.length - 1] as number) - (table[0] as number)) / (table.length - 1);
  const steps: number[] = [];
  eachGroup(format, data, ({ step }) => steps.push(stepSize(step) * gap));
  return Float32Array.from(steps);
}

function eachGroup(format: Format, data: Uint8Array, use: (group: Group, start: number, end: number) => void): void {
  const encoded = encodedFormat(format);
  const length = encoded[Field.group] as number;
  const group: Group = { step: 0, origin: 0 };
  for (let block = 0; block < data.length / format.bytes; block++) {
    for (let g = 0; g * length < format.weights; g++) {
      readGroup(group, data, block * format.bytes, g, encoded);
      const start = block * format.weights + g * length;
      use(group, start, start + length);
    }
  }
}

function decodeFloats(format: Format, data: Uint8Array): Float32Array {
  const bytes = new Uint8Array(data); // a copy at an aligned address (Buffer.slice would be a view)
  if (format.kind === "f32") return new Float32Array(bytes.buffer);
  const halves = new Uint16Array(bytes.buffer);
  if (format.kind === "f16") return Float32Array.from(halves, halfToFloat);
  return new Float32Array(Uint32Array.from(halves, (h) => h << 16).buffer);
}
