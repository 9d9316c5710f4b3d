// How sure a figure is: 95 % intervals from the texts themselves. Two ways to choose texts anew, by this library's own streams:
//
//   bootstrap  as many as there are, with replacement (Efron 1979): for means
//   halves     half of them, without replacement (Shao & Wu 1989, the delete-half jackknife): for figures that depend on how many *different* texts
//              there are, such as self-BLEU, in which a text that is chosen twice would be its own reference. The spread of halves is that of the
//              whole set, times sqrt(m / (n - m)) for m of n; their mean is another one, so the spread is put around the figure itself.

import type { Stream } from "../noise/index.js";

/** A figure and its 95 % interval. */
export interface Estimate {
  /** The figure itself, in its own unit. */
  readonly value: number;
  /** Lower end of the 95 % interval. */
  readonly low: number;
  /** Upper end of the 95 % interval. */
  readonly high: number;
}

/** How texts are chosen anew. */
export type Way = "bootstrap" | "halves";

/** Choices of the texts of one group of `size`, one a resample. Equal streams and sizes give equal choices. */
export function choices(stream: Stream, size: number, way: Way, resamples: number): Uint32Array[] {
  const uniform = new Float32Array(size);
  return Array.from({ length: resamples }, (_, tick) => {
    stream.uniform(uniform, { tick });
    if (way === "bootstrap") return Uint32Array.from(uniform, (u) => Math.floor(u * size));
    const order = Uint32Array.from({ length: size }, (_, i) => i);
    for (let i = 0; i < half(size); i++) {
      const other = i + Math.floor((uniform[i] as number) * (size - i));
      const kept = order[i] as number;
      order[i] = order[other] as number;
      order[other] = kept;
    }
    return order.slice(0, half(size));
  });
}

/** Of figures of resamples that were chosen from `size` each: how the figure of the whole set would have come out. */
export function replicates(figures: readonly number[], value: number, size: number, way: Way): number[] {
  if (way === "bootstrap") return [...figures];
  const mean = figures.reduce((sum, x) => sum + x, 0) / figures.length;
  const spread = Math.sqrt(half(size) / (size - half(size)));
  return figures.map((x) => value + (x - mean) * spread);
}

/** The middle 95 % of replicates. */
export function interval(replicated: readonly number[]): [number, number] {
  const sorted = [...replicated].sort((a, b) => a - b);
  const n = sorted.length;
  return [sorted[Math.floor(0.025 * n)] as number, sorted[Math.ceil(0.975 * n) - 1] as number];
}

/** A figure with the middle 95 % of its replicates. */
export function estimate(value: number, replicated: readonly number[]): Estimate {
  const [low, high] = interval(replicated);
  return { value, low, high };
}

function half(size: number): number {
  return Math.floor(size / 2);
}
