// Between a block's bytes and its codes: a tile of blocks is unpacked into one int8 a weight (bias removed) and one step a group,
// and packed again after the moves. Walks the planes of the encoded format; knows no format by name.

import { type EncodedFormat, Field, PLANE_FIELDS, StepKind } from "../contract.js";

/** Reads the codes of `blocks` blocks at data[from] into `codes`. */
export function unpack(codes: Int8Array, data: Uint8Array, from: number, blocks: number, format: EncodedFormat): void {
  const weights = format[Field.weights] as number;
  const planes = format[Field.planes] as number;
  const bias = format[Field.bias] as number;
  for (let plane = 0; plane < planes; plane++) {
    eachRun(format, plane, blocks, (byte, bit, code, run, mask, shift) => {
      for (let r = 0; r < run; r++) {
        const field = (((data[from + byte + r] as number) >>> bit) & mask) << shift;
        codes[code + r] = plane === 0 ? field : (codes[code + r] as number) | field;
      }
    });
  }
  if (bias !== 0) for (let i = 0, n = blocks * weights; i < n; i++) codes[i] = (codes[i] as number) - bias;
}

/** Writes the codes back; every bit that is not a code stays as it is. */
export function pack(codes: Int8Array, data: Uint8Array, from: number, blocks: number, format: EncodedFormat): void {
  const planes = format[Field.planes] as number;
  const bias = format[Field.bias] as number;
  for (let plane = 0; plane < planes; plane++) {
    eachRun(format, plane, blocks, (byte, bit, code, run, mask, shift) => {
      for (let r = 0; r < run; r++) {
        const field = (((codes[code + r] as number) + bias) >>> shift) & mask;
        data[from + byte + r] = ((data[from + byte + r] as number) & ~(mask << bit)) | (field << bit);
      }
    });
  }
}

/** Calls `use` for every run of codes of a plane that lie in consecutive bytes at one bit position. */
function eachRun(
  format: EncodedFormat,
  plane: number,
  blocks: number,
  use: (byte: number, bit: number, code: number, run: number, mask: number, shift: number) => void,
): void {
  const field = (which: number) => format[which + plane * PLANE_FIELDS] as number;
  const weights = format[Field.weights] as number;
  const bytes = format[Field.bytes] as number;
  const offset = field(Field.planeOffset);
  const bits = field(Field.planeBits);
  const shift = field(Field.planeShift);
  const group = field(Field.planeGroup);
  const stride = field(Field.planeStride);
  const run = field(Field.planeRun);
  const mask = (1 << bits) - 1;
  for (let block = 0; block < blocks; block++) {
    for (let g = 0; g < weights; g += group) {
      const byte = block * bytes + offset + (g / group) * stride;
      for (let r = 0, bit = 0; r < group; r += run, bit += bits) use(byte, bit, block * weights + g + r, run, mask, shift);
    }
  }
}

const half = new Float32Array(1);
const halfBits = new Int32Array(half.buffer);

/** The float16 with these bits, exactly. */
export function halfToFloat(h: number): number {
  const sign = (h & 0x8000) << 16;
  const magnitude = h & 0x7fff;
  if (magnitude < 0x0400) {
    const value = magnitude * 2 ** -24;
    return sign !== 0 ? -value : value;
  }
  halfBits[0] = sign | (magnitude >= 0x7c00 ? 0x7f800000 | ((magnitude & 0x3ff) << 13) : (magnitude << 13) + (112 << 23));
  return half[0] as number;
}

/**
 * The step of each group of `blocks` blocks, one float32 a group, as a magnitude. Zero where the group has none that codes could move on
 * (zero, infinite or NaN scales).
 */
export function readSteps(steps: Float32Array, data: Uint8Array, from: number, blocks: number, format: EncodedFormat): void {
  const bytes = format[Field.bytes] as number;
  const offset = format[Field.stepOffset] as number;
  if (format[Field.step] !== StepKind.f16) throw new RangeError(`Unknown kind of step ${format[Field.step]}.`);
  for (let block = 0; block < blocks; block++) {
    const at = from + block * bytes + offset;
    const step = Math.abs(halfToFloat((data[at] as number) | ((data[at + 1] as number) << 8)));
    steps[block] = step < Number.POSITIVE_INFINITY ? step : 0;
  }
}
