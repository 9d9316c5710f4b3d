// Separable CMA-ES (Ros & Hansen, PPSN X, 2008): evolution strategies that learn a step for each coordinate and one for all, with the covariance kept
// diagonal. Members are m + sigma sqrt(C) z; the better half, weighted, makes the new mean. Parameters are the paper's defaults: those of CMA-ES
// (Hansen & Kern 2004), with the learning rate of the covariance (n + 2)/3 times as large. Rewards count by their ranks alone, so it is the same
// search for every rising function of them. Knows neither model nor machine.

import { Noise } from "../noise/index.js";

/** The state of a search. A pure function of seed, beginning and rewards. */
export class SepCma {
  /** Members a generation by the paper: 4 + 3 ln n, rounded down. */
  static populationOf(n: number): number {
    return 4 + Math.floor(3 * Math.log(n));
  }

  readonly mean: Float64Array;
  /** Of the step, over all coordinates. */
  sigma: number;
  /** Of each coordinate. */
  readonly variances: Float64Array;
  generation = 0;
  private readonly weights: readonly number[];
  private readonly selected: number;
  private readonly sigmaPath: Float64Array;
  private readonly path: Float64Array;
  private drawn: readonly Float64Array[] = [];

  /**
   * @param n coordinates
   * @param sigma the first step, above 0: about a third of how far the best may lie
   * @param population members a generation, at least 4
   */
  constructor(
    n: number,
    sigma: number,
    readonly seed: bigint,
    readonly population = SepCma.populationOf(n),
  ) {
    this.mean = new Float64Array(n);
    this.variances = new Float64Array(n).fill(1);
    this.sigmaPath = new Float64Array(n);
    this.path = new Float64Array(n);
    this.sigma = sigma;
    const half = Math.floor(population / 2);
    const raw = Array.from({ length: half }, (_, i) => Math.log(half + 1) - Math.log(i + 1));
    const sum = raw.reduce((a, b) => a + b, 0);
    this.weights = raw.map((w) => w / sum);
    this.selected = 1 / this.weights.reduce((a, w) => a + w * w, 0);
  }

  /** The members of the next generation. */
  ask(): readonly Float64Array[] {
    const n = this.mean.length;
    const z = new Noise(this.seed)
      .stream("evolve sep-cma")
      .normal(new Float32Array(n * this.population), { tick: this.generation });
    this.drawn = Array.from({ length: this.population }, (_, i) =>
      Float64Array.from({ length: n }, (_, k) => Math.sqrt(this.variances[k] as number) * (z[i * n + k] as number)),
    );
    return this.drawn.map((y) => y.map((step, k) => (this.mean[k] as number) + this.sigma * step));
  }

  /** Their rewards, in the same order; what is no number counts as the worst. */
  tell(rewards: readonly number[]): void {
    const n = this.mean.length;
    const { drawn, selected, sigmaPath, path, variances, mean } = this;
    const worth = (i: number) => (Number.isNaN(rewards[i]) ? Number.NEGATIVE_INFINITY : (rewards[i] as number));
    const order = drawn.map((_, i) => i).sort((a, b) => (worth(b) === worth(a) ? a - b : worth(b) > worth(a) ? 1 : -1));
    const best = this.weights.map((_, i) => drawn[order[i] as number] as Float64Array);
    const step = Float64Array.from({ length: n }, (_, k) =>
      best.reduce((sum, y, i) => sum + (this.weights[i] as number) * (y[k] as number), 0),
    );

    const cSigma = (selected + 2) / (n + selected + 3);
    const damping = 1 + 2 * Math.max(0, Math.sqrt((selected - 1) / (n + 1)) - 1) + cSigma;
    const cPath = 4 / (n + 4);
    const full =
      (1 / selected) * (2 / (n + Math.SQRT2) ** 2) +
      (1 - 1 / selected) * Math.min(1, (2 * selected - 1) / ((n + 2) ** 2 + selected));
    const cCov = Math.min(1, ((n + 2) / 3) * full);
    /** E |N(0, I)| */
    const expected = Math.sqrt(n) * (1 - 1 / (4 * n) + 1 / (21 * n * n));

    let norm = 0;
    for (let k = 0; k < n; k++) {
      mean[k] = (mean[k] as number) + this.sigma * (step[k] as number);
      const bare = (step[k] as number) / Math.sqrt(variances[k] as number);
      sigmaPath[k] = (1 - cSigma) * (sigmaPath[k] as number) + Math.sqrt(cSigma * (2 - cSigma) * selected) * bare;
      norm += (sigmaPath[k] as number) ** 2;
    }
    norm = Math.sqrt(norm);
    this.generation++;
    // The path of C stands still while that of sigma is long: sigma is about to grow.
    const steady = norm / Math.sqrt(1 - (1 - cSigma) ** (2 * this.generation)) < (1.4 + 2 / (n + 1)) * expected ? 1 : 0;
    for (let k = 0; k < n; k++) {
      path[k] = (1 - cPath) * (path[k] as number) + steady * Math.sqrt(cPath * (2 - cPath) * selected) * (step[k] as number);
      const rankMu = best.reduce((sum, y, i) => sum + (this.weights[i] as number) * (y[k] as number) ** 2, 0);
      variances[k] =
        (1 - cCov) * (variances[k] as number) + cCov * ((1 / selected) * (path[k] as number) ** 2 + (1 - 1 / selected) * rankMu);
    }
    this.sigma *= Math.exp((cSigma / damping) * (norm / expected - 1));
  }
}
