// Between a block's bytes and its codes, by the planes of the format in memory; the counterpart of src/laws/codes.ts.

import {
  BIAS,
  BYTES,
  CODES,
  field,
  PLANE_BITS,
  PLANE_FIELDS,
  PLANE_GROUP,
  PLANE_OFFSET,
  PLANE_RUN,
  PLANE_SHIFT,
  PLANE_STRIDE,
  PLANES,
  SCALES_OFFSET,
  STEP,
  STEP_E8M0,
  STEP_F16,
  STEP_F16_ORIGIN,
  STEP_IQ4,
  STEP_K2,
  STEP_K3,
  STEP_K4,
  STEP_K6,
  STEP_OFFSET,
  WEIGHTS,
} from "./memory";

/** Blocks of one byte that is one code: no need to go block by block. */
// @ts-ignore: decorator
@inline
function bareBytes(): bool {
  return field(WEIGHTS) == 1 && field(BYTES) == 1;
}

/** Reads the codes of `blocks` blocks at `data` into CODES. */
export function unpack(data: usize, blocks: i32): void {
  if (bareBytes()) {
    memory.copy(CODES, data, blocks);
    return;
  }
  const weights = field(WEIGHTS);
  const bytes = field(BYTES);
  const bias = field(BIAS);
  for (let plane = 0; plane < field(PLANES); plane++) {
    const f = plane * PLANE_FIELDS;
    const group = field(f + PLANE_GROUP);
    const run = field(f + PLANE_RUN);
    const bits = field(f + PLANE_BITS);
    const shift = field(f + PLANE_SHIFT);
    const offset = field(f + PLANE_OFFSET);
    const stride = field(f + PLANE_STRIDE);
    const mask: u32 = (1 << bits) - 1;
    for (let block = 0; block < blocks; block++) {
      for (let g = 0; g < weights; g += group) {
        const from = data + block * bytes + offset + (g / group) * stride;
        let to = CODES + block * weights + g;
        for (let r = 0, bit = 0; r < group; r += run, bit += bits, to += run) {
          let i = 0;
          if (ASC_FEATURE_SIMD) {
            if (plane == 0 && shift == 0) {
              // Shifted by pairs of bytes, which is cheaper: what crosses over from the neighbour lies outside the mask.
              const lanes = i8x16.splat(<i8>mask);
              for (; i + 16 <= run; i += 16) {
                v128.store(to + i, v128.and(i16x8.shr_u(v128.load(from + i), bit), lanes));
              }
            }
          }
          for (; i < run; i++) {
            const value = ((<u32>load<u8>(from + i) >> bit) & mask) << shift;
            store<u8>(to + i, plane == 0 ? value : load<u8>(to + i) | value);
          }
        }
      }
    }
  }
  if (bias != 0) {
    const n = blocks * weights;
    let i = 0;
    if (ASC_FEATURE_SIMD) {
      const b = i8x16.splat(<i8>bias);
      for (; i + 16 <= n; i += 16) v128.store(CODES + i, i8x16.sub(v128.load(CODES + i), b));
    }
    for (; i < n; i++) store<i8>(CODES + i, <i8>(load<i8>(CODES + i) - bias));
  }
}

/** Writes CODES back to `blocks` blocks at `data`; every bit that is not a code stays as it is. */
export function pack(data: usize, blocks: i32): void {
  if (bareBytes()) {
    memory.copy(data, CODES, blocks);
    return;
  }
  const weights = field(WEIGHTS);
  const bytes = field(BYTES);
  const bias = field(BIAS);
  for (let plane = 0; plane < field(PLANES); plane++) {
    const f = plane * PLANE_FIELDS;
    const group = field(f + PLANE_GROUP);
    const run = field(f + PLANE_RUN);
    const bits = field(f + PLANE_BITS);
    const shift = field(f + PLANE_SHIFT);
    const offset = field(f + PLANE_OFFSET);
    const stride = field(f + PLANE_STRIDE);
    const mask: u32 = (1 << bits) - 1;
    for (let block = 0; block < blocks; block++) {
      for (let g = 0; g < weights; g += group) {
        const to = data + block * bytes + offset + (g / group) * stride;
        let from = CODES + block * weights + g;
        for (let r = 0, bit = 0; r < group; r += run, bit += bits, from += run) {
          let i = 0;
          if (ASC_FEATURE_SIMD) {
            if (shift == 0) {
              const lanes = i8x16.splat(<i8>(mask << bit));
              const b = i8x16.splat(<i8>bias);
              for (; i + 16 <= run; i += 16) {
                const value = i16x8.shl(i8x16.add(v128.load(from + i), b), bit);
                v128.store(to + i, v128.bitselect(value, v128.load(to + i), lanes));
              }
            }
          }
          for (; i < run; i++) {
            const value = (<u32>(load<i8>(from + i) + bias) >> shift) & mask;
            store<u8>(to + i, (<u32>load<u8>(to + i) & ~(mask << bit)) | (value << bit));
          }
        }
      }
    }
  }
}

/** The float16 with these bits, exactly. */
export function halfToFloat(h: u32): f32 {
  const sign = (h & 0x8000) << 16;
  const magnitude = h & 0x7fff;
  if (magnitude < 0x0400) return reinterpret<f32>(reinterpret<u32>(<f32>magnitude * <f32>5.9604644775390625e-8) | sign);
  if (magnitude >= 0x7c00) return reinterpret<f32>(sign | 0x7f800000 | ((magnitude & 0x3ff) << 13));
  return reinterpret<f32>(sign | ((magnitude << 13) + (112 << 23)));
}

export function readHalf(at: usize): f32 {
  return halfToFloat(<u32>load<u16>(at));
}

/** Origin of the group that {@link readStep} read last: a weight is step * level + origin. */
export let origin: f32 = 0;

/** The step of group `g` of the block at `block`, and its origin: formulas and order of operations of ggml's dequantize_row_*. */
export function readStep(block: usize, g: i32): f32 {
  const d = block + field(STEP_OFFSET);
  const scales = block + field(SCALES_OFFSET);
  origin = 0;
  switch (field(STEP)) {
    case STEP_F16:
      return readHalf(d);
    case STEP_F16_ORIGIN:
      origin = readHalf(d + 2);
      return readHalf(d);
    case STEP_K2: {
      const scale = <i32>load<u8>(scales + g);
      origin = -(readHalf(d + 2) * <f32>(scale >> 4));
      return readHalf(d) * <f32>(scale & 15);
    }
    case STEP_K3: {
      const low = g < 8 ? <i32>load<u8>(scales + g) & 15 : <i32>load<u8>(scales + g - 8) >> 4;
      const high = (<i32>load<u8>(scales + 8 + (g & 3)) >> (2 * (g >> 2))) & 3;
      return readHalf(d) * <f32>((low | (high << 4)) - 32);
    }
    case STEP_K4: {
      let scale = <i32>load<u8>(scales + g);
      let min = <i32>load<u8>(scales + g + 4);
      if (g < 4) {
        scale &= 63;
        min &= 63;
      } else {
        const top = scale;
        scale = (min & 15) | ((<i32>load<u8>(scales + g - 4) >> 6) << 4);
        min = (min >> 4) | ((top >> 6) << 4);
      }
      origin = -(readHalf(d + 2) * <f32>min);
      return readHalf(d) * <f32>scale;
    }
    case STEP_K6:
      return readHalf(d) * <f32>load<i8>(scales + g);
    case STEP_IQ4: {
      const low = (<i32>load<u8>(scales + (g >> 1)) >> (4 * (g & 1))) & 15;
      const high = (<i32>load<u16>(d + 2) >> (2 * g)) & 3;
      return readHalf(d) * <f32>((low | (high << 4)) - 32);
    }
    case STEP_E8M0: {
      const e = <u32>load<u8>(d);
      return reinterpret<f32>(e < 2 ? (0x00200000 << e) : (e - 1) << 23);
    }
    default: {
      const x = <i32>load<u8>(d + g) & 0x7f;
      const exponent = x >> 3;
      if (x == 0x7f) return 0;
      const size =
        exponent == 0 ? <f32>(x & 7) * <f32>0.001953125 : reinterpret<f32>((exponent + 120) << 23) * (<f32>1 + <f32>(x & 7) * <f32>0.125);
      return size * <f32>0.5;
    }
  }
}

/** The step that codes move on, a magnitude; zero where they have none. */
export function stepSize(step: f32): f32 {
  const size = abs<f32>(step);
  return size < <f32>Infinity ? size : 0;
}
