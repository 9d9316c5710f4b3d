// The metrics of texts: what each is called, how it is computed of some texts of a prompt, and what is resampled for its interval. A metric is one
// entry of the table.

import { deflateSync } from "node:zlib";
import { type Counted, compressionRatio, counted, distinctOf, repetition, selfBleuOf } from "../statistics/metrics.js";
import { average } from "../statistics/rates.js";

/** What the clean model gives a token less than, for it to count as rare. */
export const RARE = 0.01;

/** One finished text. */
export interface Written {
  readonly text: string;
  readonly ids: readonly number[];
  /** Means over its tokens, by the clean model: METRICS says what they are. */
  readonly nll: number;
  readonly sameTop: number;
  readonly rare: number;
  /** Of all tokens but the first. */
  readonly seconds: number;
}

/** The texts of one prompt, counted once so that figures of many choices of them cost little. */
export interface TextSet {
  readonly texts: readonly Written[];
  readonly grams: Counted;
  /** Of each text. */
  readonly repetition: readonly number[];
}

/** Counts the texts of one prompt. */
export function textSet(texts: readonly Written[]): TextSet {
  const ids = texts.map((one) => one.ids);
  return { texts, grams: counted(ids, 4), repetition: ids.map((tokens) => repetition(tokens, 4)) };
}

/** A figure that is computed of some texts of a prompt. */
export interface Metric {
  readonly label: string;
  /** "mean": of figures of single texts; "set": of the texts of one prompt together. Both are averaged over prompts. */
  readonly kind: "mean" | "set";
  /** Whether it is a share, said in percent. */
  readonly share: boolean;
  /** Of the texts of a set that are chosen, by number. */
  of(set: TextSet, chosen: Uint32Array): number;
}

const meanOver = (value: (set: TextSet, text: number) => number) => (set: TextSet, chosen: Uint32Array) =>
  average(Array.from(chosen, (i) => value(set, i)));
const ofText = (what: "nll" | "sameTop" | "rare") => meanOver(({ texts }, i) => (texts[i] as Written)[what]);
const distinct = (n: number) => (set: TextSet, chosen: Uint32Array) => distinctOf(set.grams, n, chosen);

export const METRICS = {
  /** Negative log-likelihood of the text under the clean model, nats a token. */
  nll: { label: "NLL", kind: "mean", share: false, of: ofText("nll") },
  /** Self-BLEU-4 of the texts of a prompt. */
  selfBleu: { label: "self-BLEU", kind: "set", share: false, of: ({ grams }, chosen) => selfBleuOf(grams, chosen) },
  /** Different n-grams of tokens / all. */
  distinct1: { label: "distinct-1", kind: "set", share: false, of: distinct(1) },
  distinct2: { label: "distinct-2", kind: "set", share: false, of: distinct(2) },
  distinct3: { label: "distinct-3", kind: "set", share: false, of: distinct(3) },
  /** Bytes / bytes after zlib. */
  compression: {
    label: "compression",
    kind: "set",
    share: false,
    of: ({ texts }, chosen) =>
      compressionRatio(
        Array.from(chosen, (i) => (texts[i] as Written).text),
        (bytes) => deflateSync(bytes, { level: 9 }),
      ),
  },
  /** Share of a text's 4-grams that occur in it earlier. */
  repetition: { label: "repetition", kind: "mean", share: true, of: meanOver((set, i) => set.repetition[i] as number) },
  /** Share of tokens that the clean model, too, finds likeliest at their place. */
  sameTop: { label: "same top", kind: "mean", share: true, of: ofText("sameTop") },
  /** Share of tokens that the clean model gives less than {@link RARE} at their place. */
  rare: { label: "rare", kind: "mean", share: true, of: ofText("rare") },
} as const satisfies Record<string, Metric>;

/** Which figure is taken of texts. */
export type MetricName = keyof typeof METRICS;

export const metricNames = Object.keys(METRICS) as MetricName[];

/** Something for each metric. */
export function eachMetric<T>(make: (metric: MetricName) => T): Record<MetricName, T> {
  return Object.fromEntries(metricNames.map((metric) => [metric, make(metric)])) as Record<MetricName, T>;
}
