// The sum of squares of one leaf, in the order of src/laws/sums.ts.

import { halfToFloat, origin, readStep, unpack } from "./codes";
import { levelOfCode, valueAt } from "./levels";
import {
  BYTES,
  CODES,
  F16_KIND,
  F32_KIND,
  field,
  GROUP,
  KIND,
  LANES,
  LATTICE_KIND,
  LEVELS,
  STAGE,
  STEP,
  STEP_EXTERNAL,
  STEPS,
  SUM_CUT,
  UNIFORM,
  WEIGHTS,
} from "./memory";

/** Sum of (step * q + origin)^2 of a group of codes. */
function squareGroup(from: i32, to: i32, step: f64, start: f64, levels: i32): f64 {
  let squares = 0;
  let plain = 0;
  let i = from;
  if (ASC_FEATURE_SIMD) {
    if (levels == UNIFORM) {
      let sums = i32x4.splat(0);
      let codes = i32x4.splat(0);
      const ones = i16x8.splat(1);
      for (; i + 8 <= to; i += 8) {
        const q = v128.load_ext<i8>(CODES + i);
        sums = i32x4.add(sums, i32x4.dot_i16x8_s(q, q));
        codes = i32x4.add(codes, i32x4.dot_i16x8_s(q, ones));
      }
      squares = i32x4.extract_lane(sums, 0) + i32x4.extract_lane(sums, 1) + i32x4.extract_lane(sums, 2) + i32x4.extract_lane(sums, 3);
      plain = i32x4.extract_lane(codes, 0) + i32x4.extract_lane(codes, 1) + i32x4.extract_lane(codes, 2) + i32x4.extract_lane(codes, 3);
    }
  }
  for (; i < to; i++) {
    const code = <i32>load<i8>(CODES + i);
    const q = levels == UNIFORM ? code : valueAt(levels, levelOfCode(levels, code));
    squares += q * q;
    plain += q;
  }
  return <f64>squares * (step * step) + <f64>plain * (2 * step * start) + <f64>(to - from) * (start * start);
}

function latticeLeaf(n: i32, rowLeft: i32, rowLength: i32): f64 {
  const weights = field(WEIGHTS);
  const bytes = field(BYTES);
  const group = field(GROUP);
  const levels = field(LEVELS);
  let row = STEPS;
  let sum: f64 = 0;
  for (let cut = 0; cut < n; cut += SUM_CUT) {
    const count = min<i32>(SUM_CUT, n - cut);
    const data = STAGE + (cut / weights) * bytes;
    unpack(data, count / weights);
    if (field(STEP) == STEP_EXTERNAL) {
      for (let start = 0; start < count; ) {
        const end = min<i32>(count, start + rowLeft);
        sum += squareGroup(start, end, <f64>load<f32>(row), 0, UNIFORM);
        rowLeft -= end - start;
        if (rowLeft == 0) {
          rowLeft = rowLength;
          row += 4;
        }
        start = end;
      }
    } else {
      for (let start = 0, block = data; start < count; block += bytes) {
        for (let g = 0; g * group < weights; g++, start += group) {
          const step = <f64>readStep(block, g);
          sum += squareGroup(start, start + group, step, <f64>origin, levels);
        }
      }
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
  return field(KIND) == LATTICE_KIND ? latticeLeaf(n, rowLeft, rowLength) : floatLeaf(n);
}
