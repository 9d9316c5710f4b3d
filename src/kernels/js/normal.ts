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

const asFloat = new Float32Array(1);
const asInt = new Int32Array(asFloat.buffer);

/** Turns `count` words of whole blocks (count even) into as many normals: out[i] from words[from + i] and its neighbour. */
export function normalsFromWords(out: Float32Array, words: Uint32Array, from: number, count: number): void {
  for (let i = 0; i < count; i += 2) {
    const w0 = words[from + i] as number;
    const w1 = words[from + i + 1] as number;

    asFloat[0] = f(w0 >>> 1) + 0.5;
    const bits = asInt[0] as number;
    const exponent = (bits - SQRT_HALF_BITS) >> 23;
    asInt[0] = bits - (exponent << 23);
    const x = f((asFloat[0] as number) - 1);
    let p = f(f(L7 * x) + L6);
    p = f(f(p * x) + L5);
    p = f(f(p * x) + L4);
    p = f(f(p * x) + L3);
    p = f(f(p * x) + L2);
    p = f(f(p * x) + L1);
    p = f(f(p * x) + L0);
    const ln = f(f(f(f(x * x) * p) + x) + f(f(exponent - 31) * LN2));
    const r = f(Math.sqrt(f(-2 * ln)));

    const rest = (w1 << 2) >> 2; // the angle within its quadrant: signed 30 bits
    const quadrant = (w1 - rest) >>> 30;
    const y = f(f(rest) * TWO_M30);
    const yy = f(y * y);
    let s = f(f(S3 * yy) + S2);
    s = f(f(s * yy) + S1);
    s = f(f(f(s * yy) + S0) * y);
    let c = f(f(C4 * yy) + C3);
    c = f(f(c * yy) + C2);
    c = f(f(c * yy) + C1);
    c = f(f(c * yy) + 1);

    const odd = (quadrant & 1) !== 0;
    const a = f(r * (odd ? s : c));
    const b = f(r * (odd ? c : s));
    out[i] = ((quadrant + 1) & 2) !== 0 ? -a : a;
    out[i + 1] = (quadrant & 2) !== 0 ? -b : b;
  }
}
