// The normal distribution in float64: for laws that are averaged, not drawn. Only + - * / and powers of two, so that it gives the same
// numbers in every engine; absolute errors are below 1e-7 (docs/theory/dose.md).

/** ln 2 in two parts, of which the first has few bits. */
const LN2_HIGH = 0.693145751953125;
const LN2_LOW = 1.4286068203094173e-6;
/** 1 / sqrt(2 pi). */
const PEAK = 0.3989422804014327;
/** 2^-64, by which small results are scaled in steps. */
const TWO_M64 = 2 ** -64;
const TERMS = 13;

/** e^-x for x >= 0; 0 from 700 on. */
export function expOfMinus(x: number): number {
  if (!(x < 700)) return 0;
  const halvings = Math.floor(x * Math.LOG2E + 0.5);
  const rest = -(x - halvings * LN2_HIGH - halvings * LN2_LOW);
  let sum = 1;
  for (let n = TERMS; n > 0; n--) sum = 1 + (sum * rest) / n;
  let left = halvings;
  for (; left >= 64; left -= 64) sum *= TWO_M64;
  for (; left > 0; left--) sum *= 0.5;
  return sum;
}

/** The density at x. */
export const density = (x: number): number => PEAK * expOfMinus((x * x) / 2);

/** P(z >= x): Abramowitz & Stegun 26.2.17. */
export function upperTail(x: number): number {
  const t = 1 / (1 + 0.2316419 * Math.abs(x));
  const tail = density(x) * t * (0.31938153 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))));
  return x < 0 ? 1 - tail : tail;
}
