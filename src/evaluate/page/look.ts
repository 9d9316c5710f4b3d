// How methods and numbers look in reports, on the page and in a terminal.

import { series } from "../../report/page.js";
import { significant } from "../../report/table.js";
import type { Estimate } from "../../statistics/intervals.js";
import { type Dial, METHODS, type MethodName, methodNames } from "../methods.js";
import type { Figure } from "../outcomes.js";

/** Which of the colours: greedy is grey; where servers answer there are no quenched weights beside members. */
const PLACES: Partial<Record<MethodName, number>> = { greedy: 7, members: methodNames.indexOf("quenched") - 1 };

/** What each method is called, and its colour: softmax stands out. */
export const LOOK = Object.fromEntries(
  methodNames.map((name, i) => [name, { label: METHODS[name].label as string, color: series(PLACES[name] ?? i - 1) }]),
) as Readonly<Record<MethodName, { readonly label: string; readonly color: string }>>;

/** What the figures are called. */
export const FIGURES: Readonly<Record<Figure, string>> = {
  accuracy: "one answer",
  vote: "vote",
  best: "likeliest",
  any: "any right",
};

/** "43.2 %". */
export const share = (x: number): string => `${(100 * x).toFixed(1)} %`;

/** "43.2 % (38.1 to 48.0)". */
export const shareWithin = ({ value, low, high }: Estimate): string =>
  `${share(value)} (${(100 * low).toFixed(1)} to ${(100 * high).toFixed(1)})`;

const sign = (x: number, digits: number): string => `${x < 0 ? "−" : "+"}${Math.abs(x).toFixed(digits)}`;

/** "+1.2 (−3.0 to +5.1)": percentage points. */
export const pointsWithin = ({ value, low, high }: Estimate): string =>
  `${sign(100 * value, 1)} (${sign(100 * low, 1)} to ${sign(100 * high, 1)})`;

/** ".864 (.810 to .918)", with a sign where it is a difference. */
export const areaWithin = ({ value, low, high }: Estimate, signed = false): string => {
  const one = (x: number) => (signed ? sign(x, 3) : x.toFixed(3));
  return `${one(value)} (${one(low)} to ${one(high)})`;
};

/** "T = 0.5, σ = 0.04". */
export function dialled({ temperature, sigma }: Dial): string {
  const parts = [
    ...(temperature === undefined ? [] : [`T = ${significant(temperature)}`]),
    ...(sigma === undefined ? [] : [`σ = ${significant(sigma)}`]),
  ];
  return parts.length === 0 ? "no dial" : parts.join(", ");
}

/** "a, b and c". */
export function listed(items: readonly string[]): string {
  return items.length < 2 ? (items[0] ?? "none") : `${items.slice(0, -1).join(", ")} and ${items.at(-1)}`;
}
