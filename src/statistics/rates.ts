// Statistics of rates that were measured several times at each of several settings: an interval for each, and a smooth curve through all of
// them, which knows more than any one point. Pure functions.

/** The two-sided 95 % points of Student's t for 1 to 10 degrees of freedom. */
const STUDENT = [12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.306, 2.2622, 2.2281];
/** The same of the normal distribution. */
export const NORMAL_95 = 1.959964;
const NORMAL_99 = 2.326348;

/** t with P(|t| > it) = 5 %, by the expansion of Abramowitz & Stegun 26.7.5 where the table ends. */
export function student95(dof: number): number {
  const z = NORMAL_95;
  const known = STUDENT[dof - 1];
  if (known !== undefined) return known;
  const third = (3 * z ** 7 + 19 * z ** 5 + 17 * z ** 3 - 15 * z) / 384;
  return z + (z ** 3 + z) / (4 * dof) + (5 * z ** 5 + 16 * z ** 3 + 3 * z) / (96 * dof ** 2) + third / dof ** 3;
}

/** The arithmetic mean; NaN of nothing. */
export function average(values: readonly number[]): number {
  return values.reduce((sum, x) => sum + x, 0) / values.length;
}

/** The mean of independent measurements and its 95 % interval, by Student's t. At least two of them. */
export function meanInterval(values: readonly number[]): { mean: number; low: number; high: number } {
  const mean = average(values);
  const half = halfInterval(values);
  return { mean, low: Math.max(0, mean - half), high: Math.min(1, mean + half) };
}

/** Half the 95 % interval of the mean of independent measurements, whose variance is taken for no less than `least`. At least two of them. */
export function halfInterval(values: readonly number[], least = 0): number {
  return student95(values.length - 1) * Math.sqrt(Math.max(spread(values), least) / values.length);
}

/** The unbiased variance. */
export function spread(values: readonly number[]): number {
  const mean = average(values);
  return values.reduce((sum, x) => sum + (x - mean) ** 2, 0) / (values.length - 1);
}

/** Of one point: the curve's value, and the standard error of its logarithm. */
export interface Smoothed {
  readonly rate: number;
  readonly error: number;
}

/**
 * A smooth curve through rates: ln p is a polynomial in ln x, cubic or, where the misfit of that is larger than chance makes it (99 %), of the
 * next degree that will do; by least squares with weights n p / (1 - p). Lower degrees would pass such a test with a bias as large as the error.
 * Points where nothing ever happened are left out, and stay 0.
 * @param x above 0
 * @param rates the measurements at each x, two or more, between 0 and 1: their scatter tells how large chance is
 */
export function smooth(x: readonly number[], rates: readonly (readonly number[])[]): Smoothed[] {
  const used = x.map((_, i) => i).filter((i) => average(rates[i] as number[]) > 0);
  const means = used.map((i) => average(rates[i] as number[]));
  const counts = used.map((i) => (rates[i] as number[]).length);
  // Binomial up to one factor: Var p = phi p (1 - p).
  const freedom = counts.reduce((sum, n) => sum + n - 1, 0);
  const phi =
    used.reduce((sum, i, k) => {
      const p = means[k] as number;
      return sum + (((counts[k] as number) - 1) * spread(rates[i] as number[])) / Math.max(p * (1 - p), Number.MIN_VALUE);
    }, 0) / freedom;
  const weights = means.map((p, k) => ((counts[k] as number) * p) / Math.max(1 - p, 1e-6));
  const logs = used.map((i) => Math.log(x[i] as number));
  const middle = average(logs);
  const y = means.map(Math.log);
  if (used.length === 0) return x.map(() => ({ rate: 0, error: 0 }));
  for (let degree = Math.min(3, used.length - 1); ; degree++) {
    const rows = logs.map((log) => Array.from({ length: degree + 1 }, (_, power) => (log - middle) ** power));
    const inverse = inverted(normalMatrix(rows, weights));
    const right = Array.from({ length: degree + 1 }, (_, a) =>
      rows.reduce((sum, row, k) => sum + (row[a] as number) * (weights[k] as number) * (y[k] as number), 0),
    );
    const coefficients = inverse.map((row) => dot(row, right));
    const misfit = rows.reduce(
      (sum, row, k) => sum + (weights[k] as number) * ((y[k] as number) - dot(row, coefficients)) ** 2,
      0,
    );
    const left = used.length - degree - 1;
    if (left > 0 && misfit > phi * chiSquare99(left)) continue;
    const curve = rows.map((row) => ({
      rate: Math.min(1, Math.exp(dot(row, coefficients))),
      error: Math.sqrt(
        phi *
          dot(
            row,
            inverse.map((line) => dot(line, row)),
          ),
      ),
    }));
    return x.map((_, i) => curve[used.indexOf(i)] ?? { rate: 0, error: 0 });
  }
}

/** The 99 % point of chi-square (Wilson & Hilferty 1931). */
function chiSquare99(dof: number): number {
  const a = 2 / (9 * dof);
  return dof * (1 - a + NORMAL_99 * Math.sqrt(a)) ** 3;
}

const dot = (a: readonly number[], b: readonly number[]): number => a.reduce((sum, x, i) => sum + x * (b[i] as number), 0);

function normalMatrix(rows: readonly (readonly number[])[], weights: readonly number[]): number[][] {
  const n = (rows[0] as number[]).length;
  return Array.from({ length: n }, (_, a) =>
    Array.from({ length: n }, (_, b) =>
      rows.reduce((sum, row, k) => sum + (weights[k] as number) * (row[a] as number) * (row[b] as number), 0),
    ),
  );
}

/** The inverse of a matrix, by Gauss and Jordan, with the largest pivot of a column. */
export function inverted(matrix: readonly (readonly number[])[]): number[][] {
  const n = matrix.length;
  const work = matrix.map((row, i) => [...row, ...Array.from({ length: n }, (_, j) => (i === j ? 1 : 0))]);
  for (let column = 0; column < n; column++) {
    let best = column;
    for (let i = column; i < n; i++)
      if (Math.abs(work[i]?.[column] as number) > Math.abs(work[best]?.[column] as number)) best = i;
    const pivot = work[best] as number[];
    work[best] = work[column] as number[];
    work[column] = pivot.map((value) => value / (pivot[column] as number));
    for (let i = 0; i < n; i++) {
      if (i === column) continue;
      const factor = work[i]?.[column] as number;
      work[i] = (work[i] as number[]).map((value, j) => value - factor * (work[column]?.[j] as number));
    }
  }
  return work.map((row) => row.slice(n));
}
