// Codes that stand for the entries of a table: values and their order. The counterpart of src/laws/levels.ts; how they move is
// in table-moves.ts.

import { E2M1, SMALL_DOWN, SMALL_FALL, SMALL_MOST, SMALL_RISE, SMALL_UP } from "./memory";

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

/**
 * A little below 2^16, by 2^-21 of it: a threshold's whole part is that of `neighbour` (table-moves.ts), which divides, or one
 * less.
 */
const JUST_BELOW: f32 = 65536 - 0.03125;

/**
 * Writes down what the law of small moves needs of each code: thresholds are v times SMALL_RISE or SMALL_FALL, as long as v <=
 * SMALL_MOST = up down, and the bits that change. Returns the least of SMALL_MOST.
 */
export function setSmallLaw(levels: i32): f32 {
  const last = lastLevel(levels);
  let least: f32 = f32.MAX_VALUE;
  for (let code = 0; code < 16; code++) {
    const level = levelOfCode(levels, code);
    const inside = level > 0 && level < last;
    const up = inside ? valueAt(levels, level + 1) - valueAt(levels, level) : 1;
    const down = inside ? valueAt(levels, level) - valueAt(levels, level - 1) : 1;
    const at = <usize>code << 2;
    store<f32>(SMALL_RISE + at, inside ? JUST_BELOW / <f32>(up * (up + down)) : 0);
    store<f32>(SMALL_FALL + at, inside ? JUST_BELOW / <f32>(down * (up + down)) : 0);
    store<f32>(SMALL_MOST + at, inside ? <f32>(up * down) : f32.MAX_VALUE);
    store<u8>(SMALL_UP + code, inside ? code ^ codeOfLevel(levels, level + 1) : 0);
    store<u8>(SMALL_DOWN + code, inside ? code ^ codeOfLevel(levels, level - 1) : 0);
    if (inside) least = min<f32>(least, <f32>(up * down));
  }
  return least;
}
