// What a comparison of methods says: the methods, the records that src/compare/run.ts measures, and the figures, differences and intervals that
// follow from them. Pure: the same records give the same comparison.

import { deflateSync } from "node:zlib";
import { Noise } from "../noise/index.js";
import { interpolate, monotone, type Profile } from "../sampling/calibration.js";
import { choices, type Estimate, estimate, replicates, type Way } from "../statistics/intervals.js";
import { type Counted, compressionRatio, counted, distinctOf, repetition, selfBleuOf } from "../statistics/metrics.js";
import type { DynamicsName } from "../thermostat/dynamics/index.js";
import type { Remembered } from "./autocorrelation.js";

/** A way to make texts different. */
export interface Method {
  /** What its one dial is; greedy has none. */
  readonly dial: "none" | "temperature" | "sigma of the logits" | "sigma of the weights";
  /** Which dynamics moves the weights, if they move. */
  readonly dynamics?: DynamicsName;
  /** Roughly the milliseconds a token takes, for the time left. */
  readonly cost: number;
  readonly summary: string;
}

export const METHODS = {
  greedy: { dial: "none", cost: 1, summary: "the likeliest token, always" },
  softmax: { dial: "temperature", cost: 1, summary: "a draw from softmax at T for every token" },
  logits: { dial: "sigma of the logits", cost: 3, summary: "the likeliest token after Gaussian noise on every logit" },
  quenched: { dial: "sigma of the weights", dynamics: "quenched", cost: 1, summary: "weights drawn once a text" },
  white: { dial: "sigma of the weights", dynamics: "white", cost: 18, summary: "weights drawn anew for every token" },
  andersen: {
    dial: "sigma of the weights",
    dynamics: "andersen",
    cost: 1.5,
    summary: "one cell in tau drawn anew at every token",
  },
  langevin: {
    dial: "sigma of the weights",
    dynamics: "langevin",
    cost: 45,
    summary: "every weight pulled back and kicked at every token",
  },
} as const satisfies Record<string, Method>;

export type MethodName = keyof typeof METHODS;

/** The figures of a set of texts. "mean": of figures of single texts; "set": of the texts of one prompt together, averaged over prompts. */
export const METRICS = {
  nll: { kind: "mean", label: "NLL", what: "negative log-likelihood of the text under the clean model, nats a token" },
  selfBleu: { kind: "set", label: "self-BLEU", what: "self-BLEU-4 of the texts of a prompt" },
  distinct1: { kind: "set", label: "distinct-1", what: "different tokens / all tokens" },
  distinct2: { kind: "set", label: "distinct-2", what: "different pairs of tokens / all pairs" },
  distinct3: { kind: "set", label: "distinct-3", what: "different triples of tokens / all triples" },
  compression: { kind: "set", label: "compression", what: "bytes / bytes after zlib" },
  repetition: { kind: "mean", label: "repetition", what: "share of a text's 4-grams that occur in it earlier" },
  sameTop: { kind: "mean", label: "same top", what: "share of tokens that the clean model, too, finds likeliest at their place" },
  rare: { kind: "mean", label: "rare", what: "share of tokens that the clean model gives less than 1 % at their place" },
} as const satisfies Record<string, { kind: "mean" | "set"; label: string; what: string }>;

export type MetricName = keyof typeof METRICS;

/** What the clean model gives a token less than, for it to count as rare. */
export const RARE = 0.01;

/** One finished text. */
export interface Written {
  readonly text: string;
  readonly ids: readonly number[];
  /** Means over its tokens. */
  readonly nll: number;
  readonly sameTop: number;
  readonly rare: number;
  /** Of all tokens but the first. */
  readonly seconds: number;
}

/** What one method did on the windows of the text it read, teacher-forced. */
export interface Reading {
  /** Flips of each window, as a share of its tokens. */
  readonly flips: readonly number[];
  /** Mean KL(clean || moved), nats a token. */
  readonly kl: number;
}

/** The settings that decide every number of a comparison. */
export interface ComparisonSettings {
  readonly methods: readonly MethodName[];
  /** Temperatures of softmax whose flip rates the others are tuned to, up to the breaking point. */
  readonly levels: readonly number[];
  /** Further temperatures, beyond the breaking point. */
  readonly beyond: readonly number[];
  readonly prompts: readonly string[];
  /** Texts a prompt. */
  readonly samples: number;
  /** Tokens a text, and a window of reading. */
  readonly maxTokens: number;
  readonly tau: number;
  readonly seed: string;
  /** Windows that dials are tuned on, and others that they are checked on. */
  readonly tuneWindows: number;
  readonly checkWindows: number;
}

export interface Records {
  readonly model: Profile["model"];
  readonly text: { readonly sha256: string };
  readonly settings: ComparisonSettings;
  readonly profile: Pick<Profile, "noise" | "nll" | "breaking">;
  /** Dials, by method and level. */
  readonly dials: Readonly<Record<string, number>>;
  /** What flip rates at a level are worth tuning: sigma of the weights in units of what the calibration says, by method. */
  readonly factors: Readonly<Record<string, number>>;
  /** Flip rate of softmax on the windows that dials are checked on, at many temperatures. */
  readonly softmaxCurve: readonly { readonly temperature: number; readonly flipRate: number }[];
  /** By method and level; levels up to the breaking point only. */
  readonly readings: Readonly<Record<string, Reading>>;
  /** By method and level; prompt after prompt. Greedy's under level 0. */
  readonly texts: Readonly<Record<string, readonly Written[]>>;
  readonly memory: Readonly<Record<string, readonly Remembered[]>>;
}

/** The name of a method's record at a level. */
export function at(method: MethodName, level: number): string {
  return `${method} ${level}`;
}

export interface Point {
  readonly method: MethodName;
  /** The temperature of softmax that it stands beside; 0 for greedy. */
  readonly level: number;
  readonly beyond: boolean;
  readonly dial: number;
  readonly metrics: Readonly<Record<MetricName, Estimate>>;
  readonly tokensPerSecond: number;
}

/** How often a method picks another token than the clean model's likeliest, on text that it did not choose. */
export interface Flips {
  readonly method: MethodName;
  readonly level: number;
  readonly dial: number;
  readonly rate: Estimate;
  /** Minus that of softmax, on the same windows. */
  readonly difference: Estimate;
  /** KL(clean || moved), nats a token; 0 for what changes no prediction but only how it is read off. */
  readonly kl: number;
}

export interface Difference extends Estimate {
  readonly method: MethodName;
  readonly level: number;
  readonly metric: MetricName;
}

/** NLL of a method minus that of softmax, where both have the same self-BLEU. */
export interface AtEqualDiversity extends Estimate {
  readonly method: MethodName;
  readonly level: number;
  /** Softmax's, at the level. */
  readonly selfBleu: number;
}

/** Means over the levels up to the breaking point, of what stands in {@link Difference} and {@link AtEqualDiversity}. */
export interface Pooled extends Estimate {
  readonly method: MethodName;
  readonly at: "equal flips" | "equal diversity";
  readonly metric: MetricName;
  /** How many levels; at equal diversity those that the method's frontier reaches. */
  readonly levels: number;
}

/** One text of every point, for reading. */
export interface SampleText {
  readonly method: MethodName;
  readonly level: number;
  readonly prompt: string;
  readonly text: string;
  readonly nll: number;
}

export interface Comparison extends Omit<Records, "readings" | "texts" | "dials"> {
  readonly format: "brownian-comparison";
  readonly version: 1;
  readonly flips: readonly Flips[];
  readonly points: readonly Point[];
  /** Of each method to softmax at the same level. */
  readonly differences: readonly Difference[];
  readonly atEqualDiversity: readonly AtEqualDiversity[];
  readonly pooled: readonly Pooled[];
  readonly texts: readonly SampleText[];
}

const RESAMPLES = 1000;

type Replicates = Readonly<Record<MetricName, readonly number[]>> & {
  /** NLL by halves, together with self-BLEU by the same ones. */
  readonly nllHalves: readonly number[];
};

/** Figures, differences and intervals of the records of a comparison. */
export function evaluate(records: Records): Comparison {
  const { settings, dials } = records;
  const noise = new Noise(BigInt(settings.seed));
  const points: Point[] = [];
  const replicated = new Map<Point, Replicates>();
  for (const method of settings.methods) {
    for (const level of method === "greedy" ? [0] : [...settings.levels, ...settings.beyond]) {
      const written = records.texts[at(method, level)] as readonly Written[];
      const seconds = written.reduce((sum, one) => sum + one.seconds, 0);
      const { values, again } = figures(written, settings, noise, at(method, level));
      const metrics = Object.fromEntries(
        metricNames.map((metric) => [metric, estimate(values[metric], again[metric])]),
      ) as unknown as Point["metrics"];
      const point: Point = {
        method,
        level,
        beyond: !settings.levels.includes(level) && method !== "greedy",
        dial: dials[at(method, level)] ?? 0,
        metrics,
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

export const metricNames = Object.keys(METRICS) as MetricName[];

/** One prompt's texts. */
interface Group {
  readonly texts: readonly Written[];
  readonly grams: Counted;
  readonly repetition: readonly number[];
}

function figures(written: readonly Written[], { prompts, samples }: ComparisonSettings, noise: Noise, name: string) {
  const groups = prompts.map((_, p): Group => {
    const texts = written.slice(p * samples, (p + 1) * samples);
    const ids = texts.map((one) => one.ids);
    return { texts, grams: counted(ids, 4), repetition: ids.map((tokens) => repetition(tokens, 4)) };
  });
  const everyone = Uint32Array.from({ length: samples }, (_, i) => i);
  const value = (metric: MetricName, chosen: readonly Uint32Array[]) =>
    mean(groups.map((group, p) => figure(metric, group, chosen[p] as Uint32Array)));
  const values = Object.fromEntries(
    metricNames.map((metric) => [
      metric,
      value(
        metric,
        groups.map(() => everyone),
      ),
    ]),
  ) as Record<MetricName, number>;
  const chosen = (way: Way) => {
    const each = groups.map((_, p) => choices(noise.stream(`${name} ${p} ${way}`), samples, way, RESAMPLES));
    return Array.from({ length: RESAMPLES }, (_, r) => each.map((of) => of[r] as Uint32Array));
  };
  const ways = { bootstrap: chosen("bootstrap"), halves: chosen("halves") };
  const again = (metric: MetricName, way: Way) =>
    replicates(
      ways[way].map((one) => value(metric, one)),
      values[metric],
      samples,
      way,
    );
  const all = Object.fromEntries(
    metricNames.map((metric) => [metric, again(metric, METRICS[metric].kind === "mean" ? "bootstrap" : "halves")]),
  ) as Record<MetricName, number[]>;
  return { values, again: { ...all, nllHalves: again("nll", "halves") } as Replicates };
}

function figure(metric: MetricName, { texts, grams, repetition: repeated }: Group, chosen: Uint32Array): number {
  switch (metric) {
    case "selfBleu":
      return selfBleuOf(grams, chosen);
    case "distinct1":
    case "distinct2":
    case "distinct3":
      return distinctOf(grams, Number(metric.at(-1)), chosen);
    case "compression":
      return compressionRatio(
        Array.from(chosen, (i) => (texts[i] as Written).text),
        (bytes) => deflateSync(bytes, { level: 9 }),
      );
    case "repetition":
      return mean(Array.from(chosen, (i) => repeated[i] as number));
    default:
      return mean(Array.from(chosen, (i) => (texts[i] as Written)[metric]));
  }
}

function flipRates({ settings, readings, dials }: Records, noise: Noise): Flips[] {
  // The same windows for all methods: differences are of the same tokens.
  const again = choices(noise.stream("windows"), settings.checkWindows, "bootstrap", RESAMPLES);
  const over = (flips: readonly number[]) => again.map((chosen) => mean(Array.from(chosen, (i) => flips[i] as number)));
  return settings.levels.flatMap((level) => {
    const softmax = readings[at("softmax", level)] as Reading;
    return settings.methods
      .filter((method) => method !== "greedy")
      .map((method): Flips => {
        const { flips, kl } = readings[at(method, level)] as Reading;
        const more = flips.map((share, i) => share - (softmax.flips[i] as number));
        const [rate, difference] = [flips, more].map((of) => estimate(mean(of), over(of))) as [Estimate, Estimate];
        return { method, level, dial: dials[at(method, level)] as number, rate, difference, kl };
      });
  });
}

/** Something to be said of a method at a level, and how it might have come out. */
type Replicated<T> = T & { readonly value: number; readonly again: readonly number[] };

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
    const means = again.map((_, r) => mean(group.map((one) => one.again[r] as number)));
    return { method, at: where, metric, levels: group.length, ...estimate(mean(group.map((one) => one.value)), means) };
  });
}

/** Without the replicates, with their interval. */
function estimated<T extends object>({ again, value, ...rest }: Replicated<T>): Omit<T, "again" | "value"> & Estimate {
  return { ...rest, ...estimate(value, again) } as Omit<T, "again" | "value"> & Estimate;
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, x) => sum + x, 0) / values.length;
}
