// Closed formulas that tests compare with: written from the textbook, not from the code under test.

/** Upper tail of the standard normal, relative error below 1e-12: power series near 0, continued fraction in the tail. */
export function upperTail(x: number): number {
  if (x < 0) return 1 - upperTail(-x);
  const density = Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI);
  if (x < 3) {
    let term = x;
    let sum = x;
    for (let n = 1; Math.abs(term) > 1e-17; n++) {
      term *= (x * x) / (2 * n + 1);
      sum += term;
    }
    return 0.5 - density * sum;
  }
  let fraction = x;
  for (let n = 300; n > 0; n--) fraction = x + n / fraction;
  return density / fraction;
}

/** The law of a symmetric integer move: sizes[j - 1] = P(|k| >= j). */
export interface MoveLaw {
  readonly tails: readonly number[];
}

/** floor(s |z| + u) with the sign of z: P(|k| >= j) = E[clip(s |z| - j + 1, 0, 1)], by E(s|z| - a)+ = 2 (s phi(a/s) - a Q(a/s)). */
export function stochasticLaw(s: number): MoveLaw {
  const excess = (a: number) => 2 * ((s * Math.exp((-a * a) / (2 * s * s))) / Math.sqrt(2 * Math.PI) - a * upperTail(a / s));
  return tailsUntilNothing((j) => excess(j - 1) - excess(j));
}

/** round(s z). */
export function nearestLaw(s: number): MoveLaw {
  return tailsUntilNothing((j) => 2 * upperTail((j - 0.5) / s));
}

/** The difference of two Poisson numbers of mean v/2 each (Skellam): what rare moves are. P(|k| >= j) from the Poisson series. */
export function skellamLaw(v: number): MoveLaw {
  const poisson = (n: number) => {
    let p = Math.exp(-v / 2);
    for (let i = 1; i <= n; i++) p *= v / 2 / i;
    return p;
  };
  const exactly = (k: number) => {
    let p = 0;
    for (let n = 0; n < 20; n++) p += poisson(n + k) * poisson(n);
    return p;
  };
  return tailsUntilNothing((j) => {
    let tail = 0;
    for (let k = j; k < j + 10; k++) tail += 2 * exactly(k);
    return tail;
  });
}

/** k = -1, 0, 1 with variance v. */
export function threePointLaw(v: number): MoveLaw {
  return { tails: [v] };
}

function tailsUntilNothing(tail: (j: number) => number): MoveLaw {
  const tails: number[] = [];
  for (let j = 1; j < 1000; j++) {
    const p = tail(j);
    if (!(p > 1e-13)) break;
    tails.push(p);
  }
  return { tails };
}

/** E[k^2] and E[k^4] of min(|k|, room): sums over j of (j^m - (j-1)^m) P(|k| >= j). */
export function moments({ tails }: MoveLaw, room = Number.POSITIVE_INFINITY): { m2: number; m4: number } {
  let m2 = 0;
  let m4 = 0;
  tails.forEach((p, i) => {
    const j = i + 1;
    if (j > room) return;
    m2 += (j ** 2 - i ** 2) * p;
    m4 += (j ** 4 - i ** 4) * p;
  });
  return { m2, m4 };
}

/** What `matched` says it is, at s^2 below 1/4, at the variances of its table (multiples of 1/4 up to 4), and above. */
export function matchedLaw(s: number): MoveLaw {
  const v = s * s;
  if (v < 1 / 64) return skellamLaw(v); // rare moves
  if (v <= 0.25) return threePointLaw(v);
  if (v > 4 && v <= 1066.5) return coarseLaw(v);
  // floor(s' |z| + u) with total variance v: by bisection, since the variance grows with s'.
  let [lo, hi] = [0, s];
  for (let i = 0; i < 60; i++) {
    const mid = (lo + hi) / 2;
    if (moments(stochasticLaw(mid)).m2 < v) lo = mid;
    else hi = mid;
  }
  return stochasticLaw(lo);
}

/** 2^b k1 + A - B: k1 a mixture of `matched` at the two neighbouring multiples of 1/4, A and B uniform in 0 ... 2^b - 1. */
function coarseLaw(v: number): MoveLaw {
  let b = 1;
  while (v > 4 * 4 ** b + (4 ** b - 1) / 6) b++;
  const grid = 2 ** b;
  const v1 = (v - (4 ** b - 1) / 6) / 4 ** b;
  const lower = Math.min(Math.floor(v1 * 4), 15) / 4;
  const rows = [lower, lower + 0.25].map((row) => matchedLaw(Math.sqrt(row)).tails);
  const weight = (v1 - lower) * 4;
  const tail = (j: number) => (j === 0 ? 1 : (1 - weight) * (rows[0]?.[j - 1] ?? 0) + weight * (rows[1]?.[j - 1] ?? 0));
  const exactly = new Map<number, number>();
  for (let k = -20; k <= 20; k++) {
    const p = k === 0 ? 1 - tail(1) : (tail(Math.abs(k)) - tail(Math.abs(k) + 1)) / 2;
    for (let d = 1 - grid; d < grid; d++) {
      const at = grid * k + d;
      exactly.set(at, (exactly.get(at) ?? 0) + (p * (grid - Math.abs(d))) / grid ** 2);
    }
  }
  return tailsUntilNothing((j) => {
    let sum = 0;
    for (const [k, p] of exactly) if (Math.abs(k) >= j) sum += p;
    return sum;
  });
}

/** How often each value occurs, by its bits: of bytes 256 counts, of 16-bit words 65,536. A Map would take most of a test's time. */
export function histogramOf(values: Uint8Array | Int8Array | Uint16Array): Float64Array {
  const counts = new Float64Array(values.BYTES_PER_ELEMENT === 1 ? 256 : 65_536);
  const mask = counts.length - 1;
  for (let i = 0; i < values.length; i++) counts[(values[i] as number) & mask]!++;
  return counts;
}
