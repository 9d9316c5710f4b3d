// What a module exports: addresses of the places that JavaScript fills, and the kernels. src/kernels/wasm.ts is the only caller.

import { FORMAT, HITS, LAW, STAGE, STEPS } from "./memory";
import { fill } from "./noise";

export { perturb } from "./moves";
export { sumSquares } from "./sums";

export function stage(): usize {
  return STAGE;
}
export function steps(): usize {
  return STEPS;
}
export function format(): usize {
  return FORMAT;
}
export function law(): usize {
  return LAW;
}
export function hits(): usize {
  return HITS;
}

/** Blocks of noise to the stage, as bits (0), uniforms (1) or normals (2). */
export function noise(as: i32, blocks: i32, k0: u32, k1: u32, blockLo: u32, blockHi: u32, tick: u32, purpose: u32): void {
  fill(as, STAGE, blocks, k0, k1, (<u64>blockHi << 32) | <u64>blockLo, tick, purpose);
}
