// What one would write without this library: Math.random, Math.log and Math.cos, a weight at a time. The peer that rates are compared with.

function gauss() {
  return Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());
}

/** Stochastic rounding of Gaussian noise. */
function move(q, s, lo, hi) {
  return Math.max(lo, Math.min(hi, q + Math.floor(s * gauss() + Math.random())));
}

export const plain = {
  uniform(out) {
    for (let i = 0; i < out.length; i++) out[i] = Math.random();
  },
  normal(out) {
    for (let i = 0; i < out.length; i++) out[i] = gauss();
  },
  int8(bytes, s) {
    const q = new Int8Array(bytes.buffer);
    for (let i = 0; i < q.length; i++) q[i] = move(q[i], s, -127, 127);
  },
  q4(blocks, s) {
    for (let b = 0; b < blocks.length; b += 18) {
      for (let i = b + 2; i < b + 18; i++) blocks[i] = move(blocks[i] & 15, s, 0, 15) | (move(blocks[i] >> 4, s, 0, 15) << 4);
    }
  },
};
