// Between a block's bytes and its codes: a tile of blocks is unpacked into one int8 a weight (bias removed) and one step a group,
// and packed again after the moves. Walks the planes of the encoded format; knows no format by name.

import { floatOf } from "./float-bits.js";
import type { EncodedFormat } from "./move.js";
import { Field, PLANE_FIELDS, StepKind } from "./numbers.js";

/** Reads the codes of `blocks` blocks at data[from] into `codes`. */
export function unpack(codes: Int8Array, data: Uint8Array, from: number, blocks: number, format: EncodedFormat): void {
  const weights = format[Field.weights] as number;
  const planes = format[Field.planes] as number;
  const bias = format[Field.bias] as number;
  if (isBareBytes(format)) {
    for (let i = 0; i < blocks; i++) codes[i] = data[from + i] as number;
    return;
  }
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
  if (isBareBytes(format)) {
    for (let i = 0; i < blocks; i++) data[from + i] = codes[i] as number;
    return;
  }
  for (let plane = 0; plane < planes; plane++) {
    eachRun(format, plane, blocks, (byte, bit, code, run, mask, shift) => {
      for (let r = 0; r < run; r++) {
        const field = (((codes[code + r] as number) + bias) >>> shift) & mask;
        data[from + byte + r] = ((data[from + byte + r] as number) & ~(mask << bit)) | (field << bit);
      }
    });
  }
}

/** Blocks of one byte that is one code: no need to go block by block. */
const isBareBytes = (format: EncodedFormat): boolean => format[Field.weights] === 1 && format[Field.bytes] === 1;

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

/** Code number i of the blocks at data[from], after the bias. */
export function readCode(data: Uint8Array, from: number, i: number, format: EncodedFormat): number {
  let code = 0;
  eachField(from, i, format, (byte, bit, mask, shift) => {
    code |= (((data[byte] as number) >>> bit) & mask) << shift;
  });
  const bias = format[Field.bias] as number;
  return bias === 0 && format[Field.planeBits] === 8 ? (code << 24) >> 24 : code - bias;
}

export function writeCode(data: Uint8Array, from: number, i: number, format: EncodedFormat, code: number): void {
  const raw = code + (format[Field.bias] as number);
  eachField(from, i, format, (byte, bit, mask, shift) => {
    data[byte] = ((data[byte] as number) & ~(mask << bit)) | (((raw >>> shift) & mask) << bit);
  });
}

/** The bit fields of one code: see Plane in lattice/formats.ts. */
function eachField(
  from: number,
  i: number,
  format: EncodedFormat,
  use: (byte: number, bit: number, mask: number, shift: number) => void,
): void {
  const weights = format[Field.weights] as number;
  const e = i % weights;
  const base = from + ((i - e) / weights) * (format[Field.bytes] as number);
  for (let plane = 0; plane < (format[Field.planes] as number); plane++) {
    const field = (which: number) => format[which + plane * PLANE_FIELDS] as number;
    const group = field(Field.planeGroup);
    const run = field(Field.planeRun);
    const bits = field(Field.planeBits);
    const inGroup = e % group;
    const byte = base + field(Field.planeOffset) + Math.floor(e / group) * field(Field.planeStride) + (inGroup % run);
    use(byte, bits * Math.floor(inGroup / run), (1 << bits) - 1, field(Field.planeShift));
  }
}

const f = Math.fround;

/** The float16 with these bits, exactly. */
export function halfToFloat(h: number): number {
  const sign = (h & 0x8000) << 16;
  const magnitude = h & 0x7fff;
  if (magnitude < 0x0400) {
    const value = magnitude * 2 ** -24;
    return sign !== 0 ? -value : value;
  }
  return floatOf(sign | (magnitude >= 0x7c00 ? 0x7f800000 | ((magnitude & 0x3ff) << 13) : (magnitude << 13) + (112 << 23)));
}

const readHalf = (data: Uint8Array, at: number): number => halfToFloat((data[at] as number) | ((data[at + 1] as number) << 8));

/** Step and origin of a group of codes: a weight is step * level + origin, in float32. Filled by {@link readGroup}. */
export interface Group {
  step: number;
  origin: number;
}

/**
 * Reads step and origin of group `g` of the block at data[at]. The formulas and their order of operations are those of ggml's
 * `dequantize_row_*`, so that decoded weights have ggml's bits.
 */
export function readGroup(group: Group, data: Uint8Array, at: number, g: number, format: EncodedFormat): void {
  const d = at + (format[Field.stepOffset] as number);
  const scales = at + (format[Field.scalesOffset] as number);
  const byte = (i: number) => data[i] as number;
  group.origin = 0;
  switch (format[Field.step]) {
    case StepKind.f16:
      group.step = readHalf(data, d);
      return;
    case StepKind.f16Origin:
      group.step = readHalf(data, d);
      group.origin = readHalf(data, d + 2);
      return;
    case StepKind.k2:
      group.step = f(readHalf(data, d) * (byte(scales + g) & 15));
      group.origin = -f(readHalf(data, d + 2) * (byte(scales + g) >> 4));
      return;
    case StepKind.k3: {
      const low = g < 8 ? byte(scales + g) & 15 : byte(scales + g - 8) >> 4;
      const high = (byte(scales + 8 + (g & 3)) >> (2 * (g >> 2))) & 3;
      group.step = f(readHalf(data, d) * ((low | (high << 4)) - 32));
      return;
    }
    case StepKind.k4: {
      const scale = g < 4 ? byte(scales + g) & 63 : (byte(scales + g + 4) & 15) | ((byte(scales + g - 4) >> 6) << 4);
      const min = g < 4 ? byte(scales + g + 4) & 63 : (byte(scales + g + 4) >> 4) | ((byte(scales + g) >> 6) << 4);
      group.step = f(readHalf(data, d) * scale);
      group.origin = -f(readHalf(data, d + 2) * min);
      return;
    }
    case StepKind.k6:
      group.step = f(readHalf(data, d) * ((byte(scales + g) << 24) >> 24));
      return;
    case StepKind.iq4: {
      const low = (byte(scales + (g >> 1)) >> (4 * (g & 1))) & 15;
      const high = ((byte(d + 2) | (byte(d + 3) << 8)) >> (2 * g)) & 3;
      group.step = f(readHalf(data, d) * ((low | (high << 4)) - 32));
      return;
    }
    case StepKind.e8m0:
      group.step = floatOf(byte(d) < 2 ? 0x00200000 << byte(d) : (byte(d) - 1) << 23);
      return;
    case StepKind.ue4m3: {
      const x = byte(d + g) & 0x7f;
      const exponent = x >> 3;
      const size = exponent === 0 ? (x & 7) * 2 ** -9 : (1 + (x & 7) / 8) * 2 ** (exponent - 7);
      group.step = x === 0x7f ? 0 : size / 2;
      return;
    }
    default:
      throw new RangeError(`Unknown kind of step ${format[Field.step]}.`);
  }
}

/** The step that codes of a group move on, a magnitude; zero where they have none (zero, infinite or NaN scales). */
export function stepSize(step: number): number {
  const size = Math.abs(step);
  return size < Number.POSITIVE_INFINITY ? size : 0;
}
