// Numbers that llama.cpp takes for something else than they say.

/** Below this temperature sampling is greedy: logits divided by it would leave the numbers that llama.cpp computes with. */
export const COLDEST = 2 ** -100;

/** llama.cpp's LLAMA_DEFAULT_SEED: it takes this for "draw one yourself". */
const DRAW_ONE = 0xffffffff;

/** A seed of 32 bits as llama.cpp takes it: each means dice of its own, but for the last, which has those of the one before it. */
export function engineSeed(seed: number): number {
  const whole = seed >>> 0;
  return whole === DRAW_ONE ? DRAW_ONE - 1 : whole;
}
