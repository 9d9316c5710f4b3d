// The figures of a report that are about methods: quality against diversity, differences to softmax, and flip rates.

import type { Figure, Plot, Room } from "../../report/page.js";
import type { MethodName } from "../methods.js";
import { METRICS, type MetricName } from "../metrics.js";
import type { Comparison, Flips, Point, Pooled } from "../records.js";
import { dialled, isMoving, LOOK, legend, others, SHOWN, withInterval } from "./look.js";
import { levelsListed } from "./words.js";

const color = ({ method }: { readonly method: MethodName }) => LOOK[method].color;
const label = ({ method }: { readonly method: MethodName }) => LOOK[method].label;
const value = (metric: MetricName) => (point: Point) => point.metrics[metric].value;
const low = (metric: MetricName) => (point: Point) => point.metrics[metric].low;
const high = (metric: MetricName) => (point: Point) => point.metrics[metric].high;

/** Quality against diversity: the curve of every method, with intervals. */
export function comparisonFigure(comparison: Comparison): Figure {
  const { points, settings } = comparison;
  const [x, y] = [value("selfBleu"), value("nll")];
  const greedy = points.filter((point) => point.method === "greedy");
  const own = points.filter((point) => point.method !== "greedy");
  const curves = settings.methods
    .filter((method) => method !== "greedy")
    .map((method) => [...greedy, ...own.filter((point) => point.method === method)].map((point) => ({ ...point, method })));
  return {
    kind: "figure",
    title: "Quality against diversity of the texts of every method",
    labelled: true,
    legend: legend(settings.methods),
    caption: `Up is likelier under the clean model, right is more diverse: the further up and right, the better. Each curve is one method from greedy on, its dial growing; filled dots are the equal flip rates (softmax at T = ${levelsListed(comparison)}), hollow ones lie beyond the breaking point. Whiskers: 95 % intervals over texts.`,
    plot: (Plot, { wide }) => ({
      height: wide ? 520 : 400,
      marginRight: wide ? 180 : 16,
      grid: true,
      x: { reverse: true, label: "self-BLEU: alike → diverse", labelArrow: "none" },
      y: { reverse: true, label: "↑ likelier (NLL, nats a token)", labelArrow: "none" },
      marks: [
        Plot.link(own, { x1: low("selfBleu"), x2: high("selfBleu"), y1: y, y2: y, stroke: color, strokeOpacity: 0.35 }),
        Plot.link(own, { x1: x, x2: x, y1: low("nll"), y2: high("nll"), stroke: color, strokeOpacity: 0.35 }),
        Plot.line(curves.flat(), { x, y, z: "method", stroke: color, strokeWidth: 2.2, strokeLinejoin: "round" }),
        Plot.dot(own, {
          x,
          y,
          fill: (point: Point) => (point.beyond ? "var(--ground)" : color(point)),
          stroke: color,
          strokeWidth: 2,
          r: wide ? 4.5 : 3.5,
          title: (point: Point) =>
            `${label(point)}, ${dialled(point)}: NLL ${y(point).toFixed(2)}, self-BLEU ${x(point).toFixed(2)}`,
        }),
        ...greedy.map((point) => Plot.dot([point], { x, y, symbol: "square", fill: LOOK.greedy.color, r: 5 })),
        ...(wide ? endLabels(Plot, curves) : []),
        ...(wide
          ? greedy.map((point) =>
              Plot.text([point], {
                x,
                y,
                text: () => "greedy",
                dy: 18,
                textAnchor: "start",
                dx: -4,
                fill: LOOK.greedy.color,
                fontWeight: 600,
              }),
            )
          : []),
      ],
    }),
  };
}

/** Names at the right edge, in the order of the curves' ends, kept apart. */
function endLabels(Plot: Plot, curves: readonly (readonly Point[])[]) {
  const y = value("nll");
  const ends = curves.map((curve) => curve.at(-1) as Point).sort((a, b) => y(a) - y(b));
  return ends.map((point, rank) =>
    Plot.text([point], {
      frameAnchor: "top-right",
      text: () => label(point),
      fill: color(point),
      fontWeight: 600,
      textAnchor: "start",
      dx: 14,
      dy: 8 + rank * 22,
    }),
  );
}

/** What each method's texts are more or less of than softmax's, over all levels. */
export function differencesFigure(comparison: Comparison): Figure {
  const all = comparison.pooled.filter((one) => one.at === "equal flips" && SHOWN.some((metric) => metric === one.metric));
  const methods = comparison.settings.methods.filter((method) => all.some((one) => one.method === method));
  const metricOf = (one: Pooled) => METRICS[one.metric].label;
  const facets = { label: null, domain: SHOWN.map((metric) => METRICS[metric].label) };
  return {
    kind: "figure",
    title: "Differences to softmax at equal flip rates, averaged over levels",
    legend: legend(methods),
    caption: `Minus softmax's, at equal flip rates, averaged over levels; NLL in nats a token, the others in their own units. Whiskers: 95 % intervals.`,
    plot: (Plot, { wide }: Room) => {
      const facet = wide ? { fx: metricOf } : { fy: metricOf };
      return {
        height: wide ? 60 + 30 * methods.length : 120 * SHOWN.length,
        marginLeft: wide ? 130 : 16,
        marginRight: wide ? 24 : 90,
        marginTop: wide ? 36 : 24,
        x: { label: "difference to softmax →", labelArrow: "none", grid: true, ticks: wide ? 2 : 6 },
        y: { axis: wide ? "left" : null, label: null, domain: methods.map((method) => LOOK[method].label), type: "band" },
        ...(wide ? { fx: { ...facets, padding: 0.2 } } : { fy: { ...facets, axis: "right", padding: 0.12 } }),
        marks: [
          Plot.ruleX([0], { strokeOpacity: 0.6 }),
          Plot.link(all, {
            ...facet,
            x1: "low",
            x2: "high",
            y1: label,
            y2: label,
            stroke: color,
            strokeWidth: 2.5,
            strokeOpacity: 0.6,
          }),
          Plot.dot(all, {
            ...facet,
            x: "value",
            y: label,
            fill: color,
            r: 4.5,
            title: (one: Pooled) => `${label(one)}, ${metricOf(one)}: ${withInterval(one, 3)}`,
          }),
        ],
      };
    },
  };
}

const FLIP_AXIS = { label: "↑ flip rate", labelArrow: "none", tickFormat: "%", grid: true } as const;

/** Flip rates as dots at `x`, with their intervals. */
function measuredFlips(Plot: Plot, flips: readonly Flips[], x: (one: Flips) => number) {
  const y = { y1: (one: Flips) => one.rate.low, y2: (one: Flips) => one.rate.high };
  return [
    Plot.ruleX(flips, { x, ...y, stroke: color, strokeWidth: 2, strokeOpacity: 0.6 }),
    Plot.dot(flips, { x, y: (one: Flips) => one.rate.value, fill: color, r: 4 }),
  ];
}

/** The flip rates of all methods beside softmax's curve. */
export function flipsFigure(comparison: Comparison): Figure {
  const { flips, softmaxCurve, settings } = comparison;
  const last = Math.max(...settings.levels) * 1.35;
  const curve = softmaxCurve.filter((point) => point.temperature <= last);
  const beside = others(comparison);
  const spread = last / 90;
  const x = ({ level, method }: Flips) => level + (beside.indexOf(method) - (beside.length - 1) / 2) * spread;
  return {
    kind: "figure",
    title: "Flip rates of all methods at the levels",
    legend: legend(settings.methods.filter((method) => method !== "greedy")),
    caption: `How often another token than the clean model's likeliest is picked, on the windows that dials were not tuned on. Line: softmax at T, which needs no draws. Dots: the others at the dials that they were tuned to (side by side, to be seen), with 95 % intervals over windows.`,
    plot: (Plot, { wide }) => ({
      height: wide ? 400 : 320,
      x: { label: "T →", labelArrow: "none", domain: [0, last] },
      y: { ...FLIP_AXIS, zero: true },
      marks: [
        Plot.line([{ temperature: 0, flipRate: 0 }, ...curve], {
          x: "temperature",
          y: "flipRate",
          stroke: LOOK.softmax.color,
          strokeWidth: 2.2,
        }),
        ...measuredFlips(
          Plot,
          flips.filter(({ method }) => method !== "softmax"),
          x,
        ),
      ],
    }),
  };
}

/** The flip rates of moving weights beside the model's calibration. */
export function sigmaFigure({ flips, profile, settings }: Comparison): Figure {
  const curve = [{ sigma: 0, flipRate: 0, low: 0, high: 0 }, ...profile.noise];
  const stroke = "currentColor";
  return {
    kind: "figure",
    title: "Flip rate against sigma",
    legend: legend(settings.methods.filter(isMoving)),
    caption: `Grey: the model's calibration, quenched weights read in windows of the whole context. Dots: the dynamics at their dials, in motion. From the dashed line on, moving weights cost the model more than ${profile.breaking.nats} nats a token.`,
    plot: (Plot, { wide }) => ({
      height: wide ? 380 : 300,
      x: { label: "sigma (in units of each tensor's RMS) →", labelArrow: "none" },
      y: FLIP_AXIS,
      marks: [
        Plot.areaY(curve, { x: "sigma", y1: "low", y2: "high", fill: stroke, fillOpacity: 0.12 }),
        Plot.line(curve, { x: "sigma", y: "flipRate", stroke, strokeOpacity: 0.5, strokeWidth: 1.5 }),
        Plot.ruleX([profile.breaking.sigma], { stroke, strokeDasharray: "4 4", strokeOpacity: 0.7 }),
        Plot.text([profile.breaking.sigma], {
          x: (d: number) => d,
          frameAnchor: "top",
          text: () => "the model breaks",
          textAnchor: "start",
          dx: 6,
          dy: 4,
          fillOpacity: 0.7,
        }),
        ...measuredFlips(
          Plot,
          flips.filter(({ method }) => isMoving(method)),
          ({ dial }) => dial,
        ),
      ],
    }),
  };
}
