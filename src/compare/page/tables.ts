// The tables of a report, on the page and in a terminal.

import type { Part } from "../../report/page.js";
import { percent, significant, table } from "../../report/table.js";
import { METHODS } from "../methods.js";
import { METRICS, type MetricName, metricNames } from "../metrics.js";
import type { Comparison, Point } from "../records.js";
import { boldUnlessZero, byLevel, flipsOf, LOOK, others, plusMinus, pooledOf, SHOWN, signed, withInterval } from "./look.js";

/** Every method minus softmax. */
export function pooledTable(comparison: Comparison): Part {
  const cell = (...which: [...Parameters<typeof pooledOf>]) => {
    const one = pooledOf(...which);
    return one === undefined ? "not reached" : boldUnlessZero(one, withInterval(one, 3));
  };
  return {
    kind: "table",
    head: ["minus softmax", "NLL at equal diversity", ...SHOWN.map((metric) => `${METRICS[metric].label} at equal flips`)],
    right: Array.from({ length: SHOWN.length + 1 }, (_, i) => i + 1),
    rows: others(comparison).map((method) => [
      LOOK[method].label,
      cell(comparison, method, "equal diversity", "nll"),
      ...SHOWN.map((metric) => cell(comparison, method, "equal flips", metric)),
    ]),
  };
}

/** Level, method, dial, flips and these metrics of a point. */
function pointCells(comparison: Comparison, point: Point, metrics: readonly MetricName[]): string[] {
  const { method, level, dial } = point;
  const flips = flipsOf(comparison, point);
  return [
    method === "greedy" ? "" : significant(level),
    LOOK[method].label,
    METHODS[method].dial === "none" ? "" : significant(dial),
    flips ? plusMinus(flips.rate, true) : "",
    ...metrics.map((metric) => plusMinus(point.metrics[metric], METRICS[metric].share)),
  ];
}

const labels = (metrics: readonly MetricName[]) => metrics.map((metric) => METRICS[metric].label);
const speed = ({ tokensPerSecond }: Point) => String(Math.round(tokensPerSecond));

/** Every metric of every method at every level. */
export function pointsTable(comparison: Comparison): Part {
  const head = ["level T", "method", "dial", "flips", ...labels(metricNames), "KL", "tokens/s"];
  return {
    kind: "table",
    head,
    rows: byLevel(comparison).map((point) => [
      ...pointCells(comparison, point, metricNames),
      flipsOf(comparison, point)?.kl.toFixed(3) ?? "",
      speed(point),
    ]),
    right: [...head.keys()].filter((column) => column !== 1),
    caption:
      "± half the 95 % interval. Dials: softmax T; sigma of the logits; sigma of the weights in units of RMS. Tokens per second depend on what else the machine did.",
  };
}

/** Flip rates, and whether they are equal. */
export function flipsTable({ flips }: Comparison): Part {
  return {
    kind: "table",
    head: ["level T", "method", "dial", "flips", "95 %", "minus softmax", "KL"],
    right: [0, 2, 3, 4, 5, 6],
    rows: flips.map(({ level, method, dial, rate, difference, kl }) => {
      const [value, low, high] = [difference.value, difference.low, difference.high].map((share) => signed(100 * share, 1));
      return [
        significant(level),
        LOOK[method].label,
        significant(dial),
        percent(rate.value),
        `${percent(rate.low)} to ${percent(rate.high)}`,
        method === "softmax" ? "" : boldUnlessZero(difference, `${value} % (${low} to ${high})`),
        kl.toFixed(3),
      ];
    }),
    caption:
      "Bold: the interval of the difference leaves 0 out, so the flip rates are not equal as far as these windows can tell.",
  };
}

/** The comparison for a terminal. */
export function comparisonTable(comparison: Comparison): string {
  const head = ["T", "method", "dial", "flips", ...labels(SHOWN), "tokens/s"];
  const rows = byLevel(comparison).map((point) => [...pointCells(comparison, point, SHOWN), speed(point)]);
  const said = (...which: [...Parameters<typeof pooledOf>]) => {
    const one = pooledOf(...which);
    return one === undefined ? "not reached" : withInterval(one, 3);
  };
  const against = others(comparison).map((method) => [
    LOOK[method].label,
    said(comparison, method, "equal flips", "nll"),
    said(comparison, method, "equal flips", "selfBleu"),
    said(comparison, method, "equal diversity", "nll"),
  ]);
  return [
    table([head, ...rows], [0, 2, 3, 4, 5, 6, 7, 8, 9]),
    "",
    table([["minus softmax", "NLL at equal flips", "self-BLEU at equal flips", "NLL at equal diversity"], ...against], [1, 2, 3]),
    "",
    "± half the 95 % interval; in brackets the interval. NLL: nats a token under the clean model.",
  ].join("\n");
}
