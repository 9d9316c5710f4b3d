// Curves through measured points: made rising where chance made them fall, and straight between the points. Pure functions.

/** The closest rising sequence in the sense of least squares: pool adjacent violators (Ayer et al. 1955). */
export function monotone(values: readonly number[]): number[] {
  const pools: { sum: number; count: number }[] = [];
  for (const value of values) {
    let pool = { sum: value, count: 1 };
    for (let last = pools.at(-1); last !== undefined && last.sum / last.count > pool.sum / pool.count; last = pools.at(-1)) {
      pools.pop();
      pool = { sum: last.sum + pool.sum, count: last.count + pool.count };
    }
    pools.push(pool);
  }
  return pools.flatMap(({ sum, count }) => new Array<number>(count).fill(sum / count));
}

/** Linear between the points (x rising), the ends beyond them. Where x does not rise, the first y. */
export function interpolate(x: readonly number[], y: readonly number[], at: number): number {
  let i = x.findIndex((value) => value >= at);
  if (i === 0) return y[0] as number;
  if (i < 0) i = x.length - 1;
  const [x0, x1, y0, y1] = [x[i - 1], x[i], y[i - 1], y[i]] as [number, number, number, number];
  return x1 > x0 ? y0 + ((y1 - y0) * (Math.min(at, x1) - x0)) / (x1 - x0) : y0;
}

/** Between the points a power of x, below the first in proportion to x, beyond the last the last. */
export function interpolatePowers(x: readonly number[], y: readonly number[], at: number): number {
  const [x0, y0] = [x[0] as number, y[0] as number];
  if (at <= x0 || !(x0 > 0 && y0 > 0)) return interpolate([0, ...x], [0, ...y], at);
  return Math.exp(interpolate(x.map(Math.log), y.map(Math.log), Math.log(at)));
}
