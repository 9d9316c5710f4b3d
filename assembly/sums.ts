// The sum of squares of one leaf, in the order of src/kernels/contract.ts.

import { halfToFloat, readStep, unpack } from "./codes";
import {
  BYTES,
  CODES,
  EXTERNAL,
  F16_KIND,
  F32_KIND,
  field,
  GROUP,
  KIND,
  LANES,
  LATTICE,
  STAGE,
  STEP,
  STEPS,
  TILE,
  WEIGHTS,
} from "./memory";

function squareCodes(from: i32, to: i32, step: f32): f64 {
  let squares = 0;
  let i = from;
  if (ASC_FEATURE_SIMD) {
    let sums = i32x4.splat(0);
    for (; i + 8 <= to; i += 8) {
      const q = v128.load_ext<i8>(CODES + i);
      sums = i32x4.add(sums, i32x4.dot_i16x8_s(q, q));
    }
    squares =
      i32x4.extract_lane(sums, 0) + i32x4.extract_lane(sums, 1) + i32x4.extract_lane(sums, 2) + i32x4.extract_lane(sums, 3);
  }
  for (; i < to; i++) squares += <i32>load<i8>(CODES + i) * <i32>load<i8>(CODES + i);
  return <f64>squares * (<f64>step * <f64>step);
}

function latticeLeaf(n: i32, rowLeft: i32, rowLength: i32): f64 {
  const weights = field(WEIGHTS);
  const bytes = field(BYTES);
  const group = field(GROUP);
  let row = STEPS;
  let sum: f64 = 0;
  for (let tile = 0; tile < n; tile += TILE) {
    const count = min<i32>(TILE, n - tile);
    const data = STAGE + (tile / weights) * bytes;
    unpack(data, count / weights);
    if (field(STEP) == EXTERNAL) {
      for (let start = 0; start < count; ) {
        const end = min<i32>(count, start + rowLeft);
        sum += squareCodes(start, end, load<f32>(row));
        rowLeft -= end - start;
        if (rowLeft == 0) {
          rowLeft = rowLength;
          row += 4;
        }
        start = end;
      }
    } else {
      for (let start = 0, g = 0; start < count; start += group, g++) sum += squareCodes(start, start + group, readStep(data, g));
    }
  }
  return sum;
}

function floatLeaf(n: i32): f64 {
  const kind = field(KIND);
  memory.fill(LANES, 0, 128);
  for (let i = 0; i < n; i++) {
    let w: f64;
    if (kind == F32_KIND) w = <f64>load<f32>(STAGE + (<usize>i << 2));
    else {
      const h = <u32>load<u16>(STAGE + (<usize>i << 1));
      w = <f64>(kind == F16_KIND ? halfToFloat(h) : reinterpret<f32>(h << 16));
    }
    const lane = LANES + (<usize>(i & 15) << 3);
    store<f64>(lane, load<f64>(lane) + w * w);
  }
  for (let apart = 8; apart > 0; apart >>= 1) {
    for (let i = 0; i < apart; i++) {
      const lane = LANES + (<usize>i << 3);
      store<f64>(lane, load<f64>(lane) + load<f64>(lane + (<usize>apart << 3)));
    }
  }
  return load<f64>(LANES);
}

/** Of the weights in the first `bytes` bytes of the stage, at most one leaf; rows as in `perturb`. */
export function sumSquares(bytes: i32, rowLeft: i32, rowLength: i32): f64 {
  const n = (bytes / field(BYTES)) * field(WEIGHTS);
  return field(KIND) == LATTICE ? latticeLeaf(n, rowLeft, rowLength) : floatLeaf(n);
}
