// Single codes of a block: the counterpart of readCode and writeCode in src/laws/codes.ts.

import {
  BIAS,
  BYTES,
  CODE_PLANES,
  field,
  PLANE_BITS,
  PLANE_FIELDS,
  PLANE_GROUP,
  PLANE_NOTES,
  PLANE_OFFSET,
  PLANE_RUN,
  PLANE_SHIFT,
  PLANE_STRIDE,
  PLANES,
  WEIGHTS,
} from "./memory";

// Where single codes lie. All counts in the table of formats are powers of two: shifts, not divisions.
let weightsLog: i32 = 0;
let blockBytes: i32 = 0;
let planes: i32 = 0;
let bias: i32 = 0;

/** Prepares readCode and writeCode for the format. */
export function beginCodes(): void {
  weightsLog = ctz<i32>(field(WEIGHTS));
  blockBytes = field(BYTES);
  planes = field(PLANES);
  bias = field(BIAS);
  for (let plane = 0; plane < planes; plane++) {
    const f = plane * PLANE_FIELDS;
    const at = CODE_PLANES + <usize>plane * PLANE_NOTES;
    const group = field(f + PLANE_GROUP);
    const run = field(f + PLANE_RUN);
    store<i32>(at, field(f + PLANE_OFFSET));
    store<i32>(at, ctz<i32>(group), 4);
    store<i32>(at, field(f + PLANE_STRIDE), 8);
    store<i32>(at, run - 1, 12);
    store<i32>(at, group - 1, 16);
    store<i32>(at, ctz<i32>(run), 20);
    store<i32>(at, field(f + PLANE_BITS), 24);
    store<i32>(at, (1 << field(f + PLANE_BITS)) - 1, 28);
    store<i32>(at, field(f + PLANE_SHIFT), 32);
  }
}

/** Address of the byte of a plane's bit field of code e of the block at `block`; its bit goes to `fieldBit`. */
let fieldBit: i32 = 0;
// @ts-ignore: decorator
@inline
function fieldByte(block: usize, e: i32, plane: usize): usize {
  const inGroup = e & load<i32>(plane, 16);
  fieldBit = load<i32>(plane, 24) * (inGroup >> load<i32>(plane, 20));
  return block + load<i32>(plane) + (e >> load<i32>(plane, 4)) * load<i32>(plane, 8) + (inGroup & load<i32>(plane, 12));
}

/** Code i of the blocks at `data`. */
export function readCode(data: usize, i: i32): i32 {
  const block = data + (i >> weightsLog) * blockBytes;
  const e = i & ((1 << weightsLog) - 1);
  let code = 0;
  for (let p = 0; p < planes; p++) {
    const plane = CODE_PLANES + <usize>p * PLANE_NOTES;
    const byte = fieldByte(block, e, plane);
    code |= ((<i32>load<u8>(byte) >> fieldBit) & load<i32>(plane, 28)) << load<i32>(plane, 32);
  }
  return <i32>(<i8>(code - bias));
}

export function writeCode(data: usize, i: i32, code: i32): void {
  const block = data + (i >> weightsLog) * blockBytes;
  const e = i & ((1 << weightsLog) - 1);
  const raw = code + bias;
  for (let p = 0; p < planes; p++) {
    const plane = CODE_PLANES + <usize>p * PLANE_NOTES;
    const byte = fieldByte(block, e, plane);
    const mask = load<i32>(plane, 28);
    store<u8>(byte, (<i32>load<u8>(byte) & ~(mask << fieldBit)) | (((raw >> load<i32>(plane, 32)) & mask) << fieldBit));
  }
}
