// What a module exports: addresses of the places that JavaScript fills, and the kernels. src/kernels/wasm-stage.ts has the
// other side's types. Kernels of evolutions (src/laws/evolution.ts) are exported beside, one file of evolutions/ each: evolve_ and
// the name of its law.

import { ALIAS, FORMAT, HITS, LAW, PARAMETERS, PRISTINE_STAGE, STAGE, STEPS, ACCEPTED } from "./memory";
import { fill } from "./noise";
import { acceptedHits } from "./rare-rows";

export { perturb } from "./lattice";
export { addLogits, beginLogits, totalOfLogits } from "./logits";
export { forgetHits } from "./rare-rows";
export { sumSquares } from "./sums";

export function stage(): usize {
  return STAGE;
}
export function pristineStage(): usize {
  return PRISTINE_STAGE;
}
export function parameters(): usize {
  return PARAMETERS;
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
export function alias(): usize {
  return ALIAS;
}
export function accepted(): usize {
  return ACCEPTED;
}

/** {@link acceptedHits} with whole numbers as JavaScript has them. */
export function hitsOfTile(rareClass: i32, tile: f64, from: f64, to: f64, share: u32, k0: u32, k1: u32, tick: u32): i32 {
  return acceptedHits(rareClass, <u64>tile, <u64>from, <u64>to, share, k0, k1, tick);
}

/** Blocks of noise to the stage, as bits (0), uniforms (1) or normals (2). */
export function noise(as: i32, blocks: i32, k0: u32, k1: u32, blockLo: u32, blockHi: u32, tick: u32, purpose: u32): void {
  fill(as, STAGE, blocks, k0, k1, (<u64>blockHi << 32) | <u64>blockLo, tick, purpose);
}
