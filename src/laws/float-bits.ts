// A float32 and its bits. The scratch that this goes through holds nothing between calls.

const floats = new Float32Array(1);
const words = new Uint32Array(floats.buffer);

/** The bits of a float32. */
export function bitsOf(x: number): number {
  floats[0] = x;
  return words[0] as number;
}

/** The float32 with these bits. */
export function floatOf(bits: number): number {
  words[0] = bits;
  return floats[0] as number;
}
