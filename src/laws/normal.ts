// Standard normals by Box-Muller in float32 (Box & Muller 1958), the same bits on every backend: only +, -, *, square root,
// conversions and integer operations, each rounded to float32, no library functions. The polynomials are our own minimax fits
// (relative errors: ln 3e-8, sin 3e-9, cos 5e-11; below the float32 rounding of the results).
//
//   u = (floor(w0 / 2) + 1/2) / 2^31,  r = sqrt(-2 ln u),  angle = w1 / 2^32 turns,  z = (r cos, r sin)
//
// u >= 2^-32, so |z| reaches 6.66. The angle's quadrant comes from its top bits, so -z is exactly as likely as z.

const f = Math.fround;

const SQRT_HALF_BITS = 0x3f3504f3;
const LN2 = f(Math.LN2);
// ln(1 + x) = x + x^2 (L0 + L1 x + ...), x in [sqrt(1/2) - 1, sqrt(2) - 1]
const L0 = f(-0.49999991059303284);
const L1 = f(0.33333951234817505);
const L2 = f(-0.25001755356788635);
const L3 = f(0.19962072372436523);
const L4 = f(-0.16570508480072021);
const L5 = f(0.14917972683906555);
const L6 = f(-0.14307522773742676);
const L7 = f(0.08734844624996185);
// sin(pi/2 y) = y (S0 + S1 y^2 + ...), cos(pi/2 y) = 1 + C1 y^2 + ..., |y| <= 1/2
const S0 = f(1.5707963705062866);
const S1 = f(-0.6459634900093079);
const S2 = f(0.07968022674322128);
const S3 = f(-0.004602177068591118);
const C1 = f(-1.2337005138397217);
const C2 = f(0.25366920232772827);
const C3 = f(-0.02086007222533226);
const C4 = f(0.0009036316769197583);
const TWO_M30 = f(2 ** -30);

/**
 * Pairs a pass. Chains of float32 operations wait for each other: cut into passes over a tile, more of them are under way at a
 * time. What lies between passes is scratch of one call, shared by all: to make it would take longer (60 us) than many calls.
 */
const PAIRS = 256;
const u = new Float32Array(PAIRS); // then the mantissa of u, in [sqrt(1/2), sqrt(2))
const uBits = new Int32Array(u.buffer);
const lnTwoPower = new Float32Array(PAIRS);
const x = new Float64Array(PAIRS); // float32 values; kept as float64 since V8 computes in float64 and would convert each time
const p = new Float32Array(PAIRS);
const r = new Float32Array(PAIRS);
const y = new Float64Array(PAIRS);
const square = new Float64Array(PAIRS);
const cos = new Float32Array(PAIRS);
const sin = new Float32Array(PAIRS);
const trig = new Float32Array(2 * PAIRS); // cos, sin
// By quadrant: the signs of cos and sin of the whole angle, once sin and cos of its rest have changed places in odd ones.
const COS_SIGN = Float32Array.of(1, -1, -1, 1);
const SIN_SIGN = Float32Array.of(1, 1, -1, -1);

/** Turns `count` words of whole blocks (count even) into as many normals: out[to + i] from words[from + i] and its neighbour. */
export function normalsFromWords(out: Float32Array, to: number, words: Uint32Array, from: number, count: number): void {
  for (let done = 0; done < count; done += 2 * PAIRS) {
    const pairs = Math.min(PAIRS, (count - done) >> 1);
    radii(words, from + done, pairs);
    turn(out, to + done, words, from + done, pairs);
  }
}

/** r[i] = sqrt(-2 ln u) from the even words. */
function radii(words: Uint32Array, from: number, pairs: number): void {
  for (let i = 0; i < pairs; i++) u[i] = f((words[from + 2 * i] as number) >>> 1) + 0.5;
  for (let i = 0; i < pairs; i++) {
    const bits = uBits[i] as number;
    const exponent = (bits - SQRT_HALF_BITS) >> 23;
    uBits[i] = bits - (exponent << 23);
    lnTwoPower[i] = (exponent - 31) * LN2;
  }
  for (let i = 0; i < pairs; i++) {
    const xi = (u[i] as number) - 1; // exact
    x[i] = xi;
    const q = f(f(L7 * xi) + L6);
    p[i] = f(f(f(q * xi) + L5) * xi) + L4;
  }
  for (let i = 0; i < pairs; i++) {
    const xi = x[i] as number;
    const q = f(f((p[i] as number) * xi) + L3);
    p[i] = f(f(f(q * xi) + L2) * xi) + L1;
  }
  for (let i = 0; i < pairs; i++) {
    const xi = x[i] as number;
    const q = f(f((p[i] as number) * xi) + L0);
    const ln = f(f(f(f(xi * xi) * q) + xi) + (lnTwoPower[i] as number));
    r[i] = Math.sqrt(-2 * ln);
  }
}

/** Normals from r and the angles in the odd words. */
function turn(out: Float32Array, to: number, words: Uint32Array, from: number, pairs: number): void {
  for (let i = 0; i < pairs; i++) {
    const yi = f(angle(words[from + 2 * i + 1] as number)) * TWO_M30;
    const yy = f(yi * yi);
    y[i] = yi;
    square[i] = yy;
    cos[i] = f(f(f(C4 * yy) + C3) * yy) + C2;
    sin[i] = f(f(f(S3 * yy) + S2) * yy) + S1;
  }
  for (let i = 0; i < pairs; i++) {
    const yy = square[i] as number;
    trig[2 * i] = f(f(f((cos[i] as number) * yy) + C1) * yy) + 1;
    trig[2 * i + 1] = f(f((sin[i] as number) * yy) + S0) * (y[i] as number);
  }
  for (let i = 0; i < 2 * pairs; i += 2) {
    const quadrant = ((words[from + i + 1] as number) + 0x20000000) >>> 30;
    const odd = quadrant & 1;
    const radius = r[i >> 1] as number;
    out[to + i] = radius * (trig[i + odd] as number) * (COS_SIGN[quadrant] as number);
    out[to + i + 1] = radius * (trig[i + 1 - odd] as number) * (SIN_SIGN[quadrant] as number);
  }
}

/** The angle within its quadrant: signed 30 bits. */
const angle = (word: number) => (word << 2) >> 2;
