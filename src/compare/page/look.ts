// How methods and numbers look in a report, on the page and in a terminal: names, colours, signs and digits.

import { series } from "../../report/page.js";
import { significant } from "../../report/table.js";
import type { Estimate } from "../../statistics/intervals.js";
import { dynamicsNames } from "../../thermostat/dynamics/index.js";
import { METHODS, type MethodName } from "../methods.js";
import type { MetricName } from "../metrics.js";
import type { Comparison, Flips, Point, Pooled } from "../records.js";

/** Metrics that are put beside softmax's. */
export const SHOWN = ["nll", "selfBleu", "distinct2", "repetition", "rare"] as const satisfies readonly MetricName[];

/** Colours of the page's palette: softmax stands out, dynamics follow in the order of their table. */
function colorOf(method: MethodName): string {
  if (method === "softmax") return series(0);
  if (method === "logits") return series(6);
  if (method === "greedy") return series(7);
  return series(1 + dynamicsNames.indexOf(method));
}

/** What each method is called, and its colour. */
export const LOOK = Object.fromEntries(
  (Object.keys(METHODS) as MethodName[]).map((name) => [name, { label: METHODS[name].label, color: colorOf(name) }]),
) as Readonly<Record<MethodName, { readonly label: string; readonly color: string }>>;

/** Names and colours of these methods. */
export function legend(methods: readonly MethodName[]) {
  return methods.map((method) => LOOK[method]);
}

/** Whether it is the weights that move. */
export function isMoving(method: MethodName): boolean {
  return METHODS[method].dynamics !== undefined;
}

/** Those that are put beside softmax: neither it nor greedy. */
export function others({ settings }: Comparison): MethodName[] {
  return settings.methods.filter((method) => method !== "softmax" && method !== "greedy");
}

/** All points, lower temperatures first. */
export function byLevel({ points }: Comparison): Point[] {
  return [...points].sort((a, b) => a.level - b.level);
}

/** The flip rate of a point; there is none beyond the breaking point. */
export function flipsOf({ flips }: Comparison, { method, level }: Point): Flips | undefined {
  return flips.find((one) => one.method === method && one.level === level);
}

/** A metric of a method minus softmax's over all levels; nothing where its frontier does not reach. */
export function pooledOf({ pooled }: Comparison, method: MethodName, at: Pooled["at"], metric: MetricName): Pooled | undefined {
  return pooled.find((one) => one.method === method && one.at === at && one.metric === metric);
}

/** "T = 0.3": how far a method's dial is turned. */
export function dialled({ method, dial }: Pick<Point, "method" | "dial">): string {
  if (METHODS[method].dial === "none") return "no dial";
  return `${METHODS[method].dial === "temperature" ? "T" : "σ"} = ${significant(dial)}`;
}

/** "a, b and c". */
export function listed(items: readonly string[]): string {
  return items.length < 2 ? (items[0] ?? "none") : `${items.slice(0, -1).join(", ")} and ${items.at(-1)}`;
}

/** "2.31 ±0.12": half the interval's width. */
export function plusMinus({ value, low, high }: Estimate, share: boolean): string {
  const half = (high - low) / 2;
  return share ? `${(100 * value).toFixed(1)} ±${(100 * half).toFixed(1)} %` : `${value.toFixed(2)} ±${half.toFixed(2)}`;
}

/** "−0.12 (−0.20 to −0.05)". */
export function withInterval({ value, low, high }: Estimate, digits: number): string {
  return `${signed(value, digits)} (${signed(low, digits)} to ${signed(high, digits)})`;
}

/** "+0.12" or "−0.12". */
export function signed(x: number, digits: number): string {
  return `${x < 0 ? "−" : "+"}${Math.abs(x).toFixed(digits)}`;
}

/** Bold where the interval leaves 0 out. */
export function boldUnlessZero({ low, high }: Estimate, text: string): string {
  return low > 0 || high < 0 ? `**${text}**` : text;
}
