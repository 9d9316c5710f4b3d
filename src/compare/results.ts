// What follows from the records of a comparison: figures, differences and their intervals, at equal flip rates and at equal diversity. Pure: the
// same records give the same comparison.

import { Noise } from "../noise/index.js";
import { interpolate, monotone } from "../statistics/curves.js";
import { choices, type Estimate, estimate, replicates, type Way } from "../statistics/intervals.js";
import { average } from "../statistics/rates.js";
import type { MethodName } from "./methods.js";
import { eachMetric, METRICS, type MetricName, metricNames, textSet, type Written } from "./metrics.js";
import {
  at,
  type Comparison,
  type ComparisonSettings,
  type Flips,
  levelsOf,
  type Point,
  type Pooled,
  type Reading,
  type Records,
} from "./records.js";

const RESAMPLES = 1000;

type Replicates = Readonly<Record<MetricName, readonly number[]>> & {
  /** NLL by halves, together with self-BLEU by the same ones. */
  readonly nllHalves: readonly number[];
};

/**
 * Figures, differences and intervals of the records of a comparison: 95 %, from 1000 resamples by the settings' seed.
 *
 * @example
 * const { pooled } = evaluate(records);
 * pooled.find((one) => one.method === "quenched" && one.at === "equal flips" && one.metric === "nll"); // minus softmax's, nats a token
 */
export function evaluate(records: Records): Comparison {
  const { settings, dials } = records;
  const noise = new Noise(BigInt(settings.seed));
  const points: Point[] = [];
  const replicated = new Map<Point, Replicates>();
  for (const method of settings.methods) {
    for (const level of levelsOf(method, settings)) {
      const written = records.texts[at(method, level)] as readonly Written[];
      const seconds = written.reduce((sum, one) => sum + one.seconds, 0);
      const { values, again } = figures(written, settings, noise, at(method, level));
      const point: Point = {
        method,
        level,
        beyond: !settings.levels.includes(level) && method !== "greedy",
        dial: dials[at(method, level)] ?? 0,
        metrics: eachMetric((metric) => estimate(values[metric], again[metric])),
        tokensPerSecond: seconds === 0 ? 0 : (written.length * (settings.maxTokens - 1)) / seconds,
      };
      points.push(point);
      replicated.set(point, again);
    }
  }
  const { readings: _, texts: __, dials: ___, ...rest } = records;
  const byFlips = differences(points, replicated);
  const byDiversity = equalDiversity(points, replicated);
  return {
    format: "brownian-comparison",
    version: 1,
    ...rest,
    flips: flipRates(records, noise),
    points,
    differences: byFlips.map(estimated),
    atEqualDiversity: byDiversity.map(estimated),
    pooled: [
      ...pooled(byFlips, "equal flips", settings.levels),
      ...pooled(
        byDiversity.map((one) => ({ ...one, metric: "nll" as const })),
        "equal diversity",
        settings.levels,
      ),
    ],
    texts: points.flatMap(({ method, level }) =>
      (records.texts[at(method, level)] as readonly Written[]).map(({ text, nll }, i) => ({
        method,
        level,
        prompt: settings.prompts[Math.floor(i / settings.samples)] as string,
        text,
        nll,
      })),
    ),
  };
}

/** Every metric of the texts of all prompts, and how each might have come out. */
function figures(written: readonly Written[], { prompts, samples }: ComparisonSettings, noise: Noise, name: string) {
  const sets = prompts.map((_, p) => textSet(written.slice(p * samples, (p + 1) * samples)));
  const value = (metric: MetricName, chosen: readonly Uint32Array[]) =>
    average(sets.map((set, p) => METRICS[metric].of(set, chosen[p] as Uint32Array)));
  const everyone = Uint32Array.from({ length: samples }, (_, i) => i);
  const all = sets.map(() => everyone);
  const values = eachMetric((metric) => value(metric, all));
  const chosen = (way: Way) => {
    const each = sets.map((_, p) => choices(noise.stream(`${name} ${p} ${way}`), samples, way, RESAMPLES));
    return Array.from({ length: RESAMPLES }, (_, r) => each.map((of) => of[r] as Uint32Array));
  };
  const ways = { bootstrap: chosen("bootstrap"), halves: chosen("halves") };
  const resampled = (metric: MetricName, way: Way) =>
    replicates(
      ways[way].map((one) => value(metric, one)),
      values[metric],
      samples,
      way,
    );
  const again: Replicates = {
    ...eachMetric((metric) => resampled(metric, METRICS[metric].kind === "mean" ? "bootstrap" : "halves")),
    nllHalves: resampled("nll", "halves"),
  };
  return { values, again };
}

/** The flip rates of all methods at the levels, and whether they are equal. */
function flipRates({ settings, readings, dials }: Records, noise: Noise): Flips[] {
  // The same windows for all methods: differences are of the same tokens. Some have read fewer of them.
  const over = (flips: readonly number[]) => {
    const again = choices(noise.stream("windows"), flips.length, "bootstrap", RESAMPLES);
    return again.map((chosen) => average(Array.from(chosen, (i) => flips[i] as number)));
  };
  return settings.levels.flatMap((level) => {
    const softmax = readings[at("softmax", level)] as Reading;
    return settings.methods
      .filter((method) => method !== "greedy")
      .map((method): Flips => {
        const { flips, kl } = readings[at(method, level)] as Reading;
        const more = flips.map((share, i) => share - (softmax.flips[i] as number));
        const [rate, difference] = [flips, more].map((of) => estimate(average(of), over(of))) as [Estimate, Estimate];
        return { method, level, dial: dials[at(method, level)] as number, rate, difference, kl };
      });
  });
}

/** Something to be said of a method at a level, and how it might have come out. */
type Replicated<T> = T & { readonly value: number; readonly again: readonly number[] };

/** Every metric of every method minus softmax's at the same level. */
function differences(points: readonly Point[], replicated: ReadonlyMap<Point, Replicates>) {
  return points
    .filter(({ method }) => method !== "greedy" && method !== "softmax")
    .flatMap((point) => {
      const softmax = points.find((one) => one.method === "softmax" && one.level === point.level) as Point;
      const [own, other] = [replicated.get(point), replicated.get(softmax)] as [Replicates, Replicates];
      return metricNames.map((metric) => ({
        method: point.method,
        level: point.level,
        metric,
        value: point.metrics[metric].value - softmax.metrics[metric].value,
        again: own[metric].map((x, r) => x - (other[metric][r] as number)),
      }));
    });
}

/** Along each method's frontier, made monotone in self-BLEU and interpolated, from greedy on. Only where the frontier reaches. */
function equalDiversity(points: readonly Point[], replicated: ReadonlyMap<Point, Replicates>) {
  const of = (method: MethodName) => points.filter((point) => point.method === "greedy" || point.method === method);
  const others = [...new Set(points.map(({ method }) => method))].filter((m) => m !== "greedy" && m !== "softmax");
  return others.flatMap((method) => {
    const curve = of(method);
    const nllAt = (selfBleu: number, x: (point: Point) => number, y: (point: Point) => number) =>
      interpolate(monotone(curve.map((point) => -x(point))), curve.map(y), -selfBleu);
    const all = curve.map((point) => point.metrics.selfBleu.value);
    return points
      .filter(({ method: one, metrics: { selfBleu } }) => one === "softmax" && within(selfBleu.value, all))
      .map((softmax) => {
        const { selfBleu, nll } = softmax.metrics;
        const reference = replicated.get(softmax) as Replicates;
        const own = nllAt(
          selfBleu.value,
          (point) => point.metrics.selfBleu.value,
          (point) => point.metrics.nll.value,
        );
        const again = reference.selfBleu.map((target, r) => {
          const at = (of: keyof Replicates) => (point: Point) => (replicated.get(point) as Replicates)[of][r] as number;
          return nllAt(target, at("selfBleu"), at("nllHalves")) - (reference.nllHalves[r] as number);
        });
        return { method, level: softmax.level, selfBleu: selfBleu.value, value: own - nll.value, again };
      });
  });
}

function within(x: number, values: readonly number[]): boolean {
  return x >= Math.min(...values) && x <= Math.max(...values);
}

/** Means over levels of what is said of each method and metric. */
function pooled(
  all: readonly Replicated<{ method: MethodName; level: number; metric: MetricName }>[],
  where: Pooled["at"],
  levels: readonly number[],
): Pooled[] {
  const groups = new Map<string, (typeof all)[number][]>();
  for (const one of all) {
    if (!levels.includes(one.level)) continue;
    const name = `${one.method} ${one.metric}`;
    groups.set(name, [...(groups.get(name) ?? []), one]);
  }
  return [...groups.values()].map((group) => {
    const { method, metric, again } = group[0] as (typeof all)[number];
    const means = again.map((_, r) => average(group.map((one) => one.again[r] as number)));
    return { method, at: where, metric, levels: group.length, ...estimate(average(group.map((one) => one.value)), means) };
  });
}

/** Without the replicates, with their interval. */
function estimated<T extends object>({ again, value, ...rest }: Replicated<T>): Omit<T, "again" | "value"> & Estimate {
  return { ...rest, ...estimate(value, again) } as Omit<T, "again" | "value"> & Estimate;
}
