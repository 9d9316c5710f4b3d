// How `relax` pulls codes on an even grid whose runs have one kick each, and what that kick is: the counterpart of src/laws/pulls.ts,
// which holds the formulas.

import { pullWords, refineWord, stayBytes } from "./draws";
import { CODES, field, HI, LO, PRISTINE_CODES } from "./memory";
import { scaleInSteps } from "./moves";

const LIGHT: f32 = 0.5;
const HEAVY: f32 = 0.265625;

/** Whether moves are the kicks of `relax`, and a, 1 - a^2. */
let kicking: bool = false;
let keep: f32 = 0;
let loss: f32 = 0;

export function beginPulls(keep_: f32, loss_: f32): void {
  keep = keep_;
  loss = loss_;
}

/** The moves that follow are kicks, until it is said that they are not. */
export function beginKicks(kicking_: bool): void {
  kicking = kicking_;
}

export function areKicks(): bool {
  return kicking;
}

/** Whether a run with noise of s steps is light, or heavy. */
export function isLight(s: f32): bool {
  return s * s < LIGHT;
}
export function isHeavy(s: f32): bool {
  return loss * (s * s) >= HEAVY;
}

/** The noise of a run in steps, or, of kicks, that of the kick. */
// @ts-ignore: decorator
@inline
export function noiseInSteps(step: f32): f32 {
  const s = scaleInSteps(step);
  if (!kicking) return s;
  const square = s * s;
  const lost = loss * square;
  if (square < LIGHT) return sqrt<f32>((<f32>1 - keep) * square);
  return lost >= HEAVY ? sqrt<f32>(lost - <f32>0.25) : 0;
}

/** Codes that stay with probability a, else are pristine again; returns how many changed. */
export function forget(from: i32, to: i32): i32 {
  const threshold = <f32>256 * keep;
  const high = <u32>threshold;
  const low = <u32>((threshold - <f32>high) * <f32>4294967296);
  const bytes = stayBytes();
  let changed = 0;
  let i = from;
  if (ASC_FEATURE_SIMD) {
    const most = i8x16.splat(<i8>high);
    for (; i + 16 <= to; i += 16) {
      const codes = v128.load(CODES + i);
      const pristine = v128.load(PRISTINE_CODES + i);
      const byte = v128.load(bytes + i);
      const moved = i8x16.ne(codes, pristine);
      const gone = v128.and(moved, i8x16.gt_u(byte, most));
      v128.store(CODES + i, v128.bitselect(pristine, codes, gone));
      changed += popcnt<i32>(i8x16.bitmask(gone));
      let open = i8x16.bitmask(v128.and(moved, i8x16.eq(byte, most)));
      for (; open != 0; open &= open - 1) {
        const j = i + ctz<i32>(open);
        if (refineWord(j) < low) continue;
        store<u8>(CODES + j, load<u8>(PRISTINE_CODES + j));
        changed++;
      }
    }
  }
  for (; i < to; i++) {
    const code = load<u8>(PRISTINE_CODES + i);
    if (load<u8>(CODES + i) == code) continue;
    const byte = <u32>load<u8>(bytes + i);
    if (byte < high || (byte == high && refineWord(i) < low)) continue;
    store<u8>(CODES + i, code);
    changed++;
  }
  return changed;
}

/** Codes pulled by a and dithered; rounded stochastically where rails are too near for it. Returns how many changed. */
export function dither(from: i32, to: i32): i32 {
  const lo = field(LO);
  const hi = field(HI);
  const words = pullWords();
  let changed = 0;
  for (let i = from; i < to; i++) {
    const p = <i32>load<i8>(PRISTINE_CODES + i);
    const q = <i32>load<i8>(CODES + i);
    const k = q - p;
    const x = keep * <f32>abs<i32>(k);
    const word = load<u32>(words + (<usize>i << 2));
    let pulled: i32;
    if (<f32>min<i32>(p - lo, hi - p) >= x + <f32>1.5) {
      const y = x + <f32>(<i32>(word >> 16) - <i32>(word & 0xffff)) * <f32>1.52587890625e-5;
      const size = <i32>(abs<f32>(y) + <f32>0.5);
      pulled = y < 0 ? -size : size;
    } else {
      pulled = <i32>x;
      if (<f32>(word >> 8) * <f32>5.9604644775390625e-8 < x - <f32>pulled) pulled++;
    }
    const code = p + (k < 0 ? -pulled : pulled);
    store<i8>(CODES + i, <i8>code);
    changed += <i32>(code != q);
  }
  return changed;
}
