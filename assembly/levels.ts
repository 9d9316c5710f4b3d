// Codes that stand for the entries of a table: values and their order. The counterpart of src/kernels/js/levels.ts; how they move is in moves.ts.

import { E2M1 } from "./memory";

const IQ4NL_VALUES = memory.data<i16>([-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113]);
const E2M1_VALUES = memory.data<i16>([-12, -8, -6, -4, -3, -2, -1, 0, 1, 2, 3, 4, 6, 8, 12]);

export function valueAt(levels: i32, level: i32): i32 {
  return <i32>load<i16>((levels == E2M1 ? E2M1_VALUES : IQ4NL_VALUES) + (<usize>level << 1));
}

export function lastLevel(levels: i32): i32 {
  return levels == E2M1 ? 14 : 15;
}

export function meanGap(levels: i32): f32 {
  return levels == E2M1 ? <f32>(12.0 / 7.0) : 16;
}

export function levelOfCode(levels: i32, code: i32): i32 {
  if (levels != E2M1) return code;
  return code < 8 ? 7 + code : 15 - code;
}

export function codeOfLevel(levels: i32, level: i32): i32 {
  if (levels != E2M1) return level;
  return level >= 7 ? level - 7 : 15 - level;
}
