// What moved weights remember, as a figure: measured on the live file (dots) beside what their dynamics says (lines).

import type { Figure } from "../../report/page.js";
import { significant } from "../../report/table.js";
import { DYNAMICS, type DynamicsName, dynamicsNames } from "../../thermostat/dynamics/index.js";
import type { Comparison } from "../records.js";
import { LOOK } from "./look.js";
import { varianceSaid } from "./words.js";

/** Lines are drawn through so many ticks. */
const STROKES = 64;

type What = "correlation" | "variance";

/** The dynamics that this was measured of: those that begin at rest have no correlation with tick 0. */
const measuredOf = ({ memory }: Comparison, what: What) =>
  dynamicsNames.filter((name) => name in memory && (what === "variance" || DYNAMICS[name].theory.stationary));

const pointsOf = (comparison: Comparison, what: What) =>
  measuredOf(comparison, what).flatMap((name) =>
    (comparison.memory[name] ?? []).map((one) => ({ name, tick: one.tick, measured: one[what], theory: one.theory[what] })),
  );

/** The finding above each figure: how far what was measured is from what theory says. */
export function memoryFound(comparison: Comparison, what: What): string {
  const far = Math.max(...pointsOf(comparison, what).map((point) => Math.abs(point.measured - point.theory)));
  return `**The ${what} of the moves is within ${far.toFixed(3)} of what theory says.**`;
}

/** The correlation with tick 0, or the variance, over time. */
export function memoryFigure(comparison: Comparison, what: What): Figure {
  const { tau } = comparison.settings;
  const names = measuredOf(comparison, what);
  const points = pointsOf(comparison, what);
  const last = Math.max(...points.map((point) => point.tick));
  // Between the ticks that were looked at, too; but what forgets at once falls from one tick to the next.
  const smooth = Array.from({ length: STROKES + 1 }, (_, i) => (i * last) / STROKES);
  const lines = names.flatMap((name) => {
    const { correlation, variance } = DYNAMICS[name].theory;
    const own = (tick: number) => (what === "variance" ? variance(tick, tau) : correlation(tick, tau, 0));
    return (own(1) === 0 ? [0, 1, last] : smooth).map((tick) => ({ name, tick, theory: own(tick) }));
  });
  const color = ({ name }: { readonly name: DynamicsName }) => LOOK[name].color;
  const said = {
    correlation: {
      title: "Autocorrelation of moved weights",
      axis: "↑ correlation with tick 0",
      caption: `Correlation with the moves at tick 0, tau = ${significant(tau)}.`,
    },
    variance: {
      title: "Variance of moved weights",
      axis: "↑ variance ÷ σ²",
      caption: `Mean square of the moves, in units of what was asked for. ${varianceSaid(comparison)}`,
    },
  }[what];
  return {
    kind: "figure",
    title: said.title,
    legend: names.map((name) => ({ label: name, color: LOOK[name].color })),
    caption: said.caption,
    plot: (Plot, { wide }) => ({
      height: wide ? 340 : 280,
      x: { label: "tokens →", labelArrow: "none" },
      y: { label: said.axis, labelArrow: "none", grid: true, zero: true },
      marks: [
        Plot.line(lines, { x: "tick", y: "theory", z: "name", stroke: color, strokeWidth: 1.8, strokeOpacity: 0.75 }),
        Plot.dot(points, { x: "tick", y: "measured", fill: color, r: 4.5 }),
      ],
    }),
  };
}
