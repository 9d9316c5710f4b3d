// The figures of a report of an evaluation.

import type { Figure } from "../../report/page.js";
import { significant } from "../../report/table.js";
import { COMPARED, type Difference, type Evaluation, type Figure as Kind, type Point } from "../outcomes.js";
import { areaWithin, FIGURES, LOOK, pointsWithin, shareWithin } from "./look.js";
import { named } from "./words.js";

const color = ({ method }: { readonly method: Point["method"] }) => LOOK[method].color;
const legend = (points: readonly { readonly method: Point["method"] }[]) =>
  [...new Set(points.map(({ method }) => method))].map((method) => LOOK[method]);

/** One answer, votes, the likeliest, any: of every method at every level. */
export function accuracyFigure({ points, settings }: Evaluation): Figure {
  const all = points.flatMap((point) => COMPARED.map((figure) => ({ ...point, figure, ...point.figures[figure] })));
  const greedy = points.find(({ method }) => method === "greedy")?.figures.accuracy.value ?? 0;
  const own = all.filter(({ method }) => method !== "greedy");
  const methods = settings.methods.filter((method) => method !== "greedy");
  const offset = ({ method }: { readonly method: Point["method"] }) =>
    ((methods as readonly string[]).indexOf(method) - (methods.length - 1) / 2) * 0.13;
  const x = (one: Point & { readonly figure: Kind }) => settings.levels.indexOf(one.level) + offset(one);
  return {
    kind: "figure",
    title: "Accuracy of every method at every level",
    legend: legend(own),
    caption: "Dashed: the greedy answer. Whiskers: 95 % intervals over questions.",
    plot: (Plot, { wide }) => {
      const facet = wide
        ? { fx: ({ figure }: { readonly figure: Kind }) => FIGURES[figure] }
        : { fy: ({ figure }: { readonly figure: Kind }) => FIGURES[figure] };
      const domain = { domain: COMPARED.map((figure) => FIGURES[figure]), label: null };
      return {
        height: wide ? 360 : 640,
        ...(wide ? { fx: { ...domain, padding: 0.08 } } : { fy: { ...domain, axis: "right", padding: 0.08 }, marginRight: 90 }),
        x: {
          label: "level T →",
          labelArrow: "none",
          domain: [-0.6, settings.levels.length - 0.4],
          ticks: settings.levels.map((_, i) => i),
          tickFormat: (i: number) => significant(settings.levels[i] ?? 0),
        },
        y: { label: "↑ right", labelArrow: "none", tickFormat: "%", grid: true },
        marks: [
          Plot.ruleY([greedy], { strokeDasharray: "4 4", strokeOpacity: 0.6 }),
          Plot.ruleX(own, { ...facet, x, y1: "low", y2: "high", stroke: color, strokeWidth: 2, strokeOpacity: 0.55 }),
          Plot.dot(own, {
            ...facet,
            x,
            y: "value",
            fill: color,
            r: 4,
            title: (one) => `${LOOK[(one as Point).method].label}: ${shareWithin(one)}`,
          }),
        ],
      };
    },
  };
}

/** pass@k against k. */
export function passFigure({ points, settings }: Evaluation): Figure {
  const all = points
    .filter(({ method }) => method !== "greedy")
    .flatMap((point) =>
      point.passAt.map((estimate, i) => ({ method: point.method, level: point.level, k: i + 1, value: estimate.value })),
    );
  const facets = { domain: settings.levels.map((level) => `T = ${significant(level)}`), label: null };
  return {
    kind: "figure",
    title: "pass@k of every method",
    legend: legend(all),
    caption:
      "The share of questions of whose first k answers at least one is right: an oracle's choice, and what a verifier could reach at most.",
    plot: (Plot, { wide }) => {
      const of = ({ level }: { readonly level: number }) => `T = ${significant(level)}`;
      const facet = wide ? { fx: of } : { fy: of };
      return {
        height: wide ? 340 : 180 * settings.levels.length + 60,
        ...(wide ? { fx: { ...facets, padding: 0.08 } } : { fy: { ...facets, axis: "right", padding: 0.1 }, marginRight: 70 }),
        x: {
          label: "k →",
          labelArrow: "none",
          ticks: Array.from({ length: settings.samples }, (_, i) => i + 1).filter((k) => (k & (k - 1)) === 0),
          tickFormat: "d",
        },
        y: { label: "↑ pass@k", labelArrow: "none", tickFormat: "%", grid: true },
        marks: [
          Plot.line(all, { ...facet, x: "k", y: "value", z: "method", stroke: color, strokeWidth: 2.2 }),
          Plot.dot(all, { ...facet, x: "k", y: "value", fill: color, r: 3 }),
        ],
      };
    },
  };
}

/** Differences to softmax. */
export function differencesFigure({ differences, settings }: Evaluation): Figure {
  const methods = settings.methods.filter((method) => differences.some((one) => one.method === method));
  const row = (one: Difference) => `${FIGURES[one.figure]}, T = ${significant(one.level)}`;
  const rows = COMPARED.flatMap((figure) => settings.levels.map((level) => `${FIGURES[figure]}, T = ${significant(level)}`));
  const y = (one: Difference) =>
    rows.indexOf(row(one)) + (methods.indexOf(one.method) - (methods.length - 1) / 2) * (0.7 / Math.max(1, methods.length));
  return {
    kind: "figure",
    title: "Differences to softmax at the same level",
    legend: legend(differences),
    caption:
      "Percentage points, question by question; right of 0 is better than softmax. Whiskers: 95 % intervals over questions.",
    plot: (Plot, { wide }) => ({
      height: 50 + rows.length * (wide ? 26 : 30) + 10 * methods.length,
      marginLeft: wide ? 172 : 136,
      x: {
        label: "minus softmax →",
        labelArrow: "none",
        grid: true,
        tickFormat: (d: number) => `${Math.round(100 * d)}`,
        ticks: wide ? 9 : 5,
      },
      y: {
        label: null,
        domain: [-0.6, rows.length - 0.4],
        reverse: true,
        ticks: rows.map((_, i) => i),
        tickFormat: (i: number) => rows[i] ?? "",
      },
      marks: [
        Plot.ruleX([0], { strokeOpacity: 0.6 }),
        Plot.link(differences, { x1: "low", x2: "high", y1: y, y2: y, stroke: color, strokeWidth: 2, strokeOpacity: 0.55 }),
        Plot.dot(differences, {
          x: "value",
          y,
          fill: color,
          r: 3.5,
          title: (one: Difference) => `${LOOK[one.method].label}, ${row(one)}: ${pointsWithin(one)}`,
        }),
      ],
    }),
  };
}

/** Scores, for narrow places. */
const SHORT: Readonly<Record<string, string>> = {
  "agreement with the answer": "agreement",
  "share of the most frequent answer": "largest share",
  "mutual information, mean": "information, mean",
  "mutual information, largest": "information, largest",
  "probability, mean of members": "members' probability",
};

/** AUROC of every score. */
export function doubtsFigure({ doubts }: Evaluation): Figure {
  const rows = [...doubts]
    .sort((a, b) => b.auroc.value - a.auroc.value)
    .map((one) => ({ ...one, ...one.auroc, name: named(one) }));
  const colour = ({ method }: (typeof rows)[number]) => (method === null ? "currentColor" : LOOK[method].color);
  const short = ({ score, level }: (typeof rows)[number]) =>
    `${SHORT[score] ?? score}${level === 0 ? "" : `, T = ${significant(level)}`}`;
  return {
    kind: "figure",
    title: "How well scores tell right answers from wrong ones",
    legend: legend(rows.flatMap(({ method }) => (method === null ? [] : [{ method }]))),
    caption:
      "AUROC on the test half with 95 % intervals; in the ink of the page what needs no samples of one method alone. The full names are in the table.",
    plot: (Plot, { wide }) => ({
      height: 60 + rows.length * (wide ? 22 : 20),
      marginLeft: wide ? 250 : 190,
      x: { label: "AUROC →", labelArrow: "none", grid: true },
      y: {
        label: null,
        domain: rows.map((_, i) => i),
        type: "band",
        tickFormat: (i: number) => short(rows[i] as (typeof rows)[number]),
      },
      marks: [
        Plot.ruleX([doubts[0]?.auroc.value ?? 0.5], { strokeDasharray: "4 4", strokeOpacity: 0.6 }),
        Plot.link(rows, {
          x1: "low",
          x2: "high",
          y1: (_: unknown, i: number) => i,
          y2: (_: unknown, i: number) => i,
          stroke: colour,
          strokeWidth: 2,
          strokeOpacity: 0.55,
        }),
        Plot.dot(rows, {
          x: "value",
          y: (_: unknown, i: number) => i,
          fill: colour,
          r: 3.5,
          title: (one: (typeof rows)[number]) => `${one.name}: ${areaWithin(one)}`,
        }),
      ],
    }),
  };
}
