// The tables of a report of an evaluation, on the page and in a terminal.

import type { Part } from "../../report/page.js";
import { grouped, significant, table } from "../../report/table.js";
import { COMPARED, type Evaluation, type Point } from "../outcomes.js";
import { areaWithin, dialled, FIGURES, LOOK, pointsWithin, share, shareWithin } from "./look.js";
import { named, powerSaid } from "./words.js";

const levelCell = ({ method, level }: Pick<Point, "method" | "level">): string => (method === "greedy" ? "" : significant(level));

/** Points, lower levels first, in the order of methods. */
const byLevel = ({ points }: Evaluation): Point[] => [...points].sort((a, b) => a.level - b.level);

/** Accuracies of every method at every level. */
export function pointsTable(evaluation: Evaluation): Part {
  return {
    kind: "table",
    head: ["level T", "method", "dial", ...COMPARED.map((figure) => FIGURES[figure]), "spread", "Brier", "ECE", "ln p"],
    right: [0, 3, 4, 5, 6, 7, 8, 9, 10],
    rows: byLevel(evaluation).map((point) => [
      levelCell(point),
      LOOK[point.method].label,
      dialled(point.dial),
      ...COMPARED.map((figure) => shareWithin(point.figures[figure])),
      point.method === "greedy" ? "" : (100 * point.spread).toFixed(1),
      point.brier.value.toFixed(3),
      point.ece.value.toFixed(3),
      point.likelihood === null ? "" : point.likelihood.toFixed(2),
    ]),
    caption: "Shares of the test questions with 95 % intervals over questions.",
  };
}

/** Every method minus softmax. */
export function differencesTable({ differences }: Evaluation): Part {
  return {
    kind: "table",
    head: ["level T", "method", "figure", "minus softmax, points", "better", "worse", "p", "corrected"],
    right: [0, 3, 4, 5, 6, 7],
    rows: differences.map((one) => [
      significant(one.level),
      LOOK[one.method].label,
      FIGURES[one.figure],
      one.low > 0 || one.high < 0 ? `**${pointsWithin(one)}**` : pointsWithin(one),
      String(one.better),
      String(one.worse),
      significant(one.p),
      significant(one.corrected),
    ]),
    caption: "Bold: the interval leaves 0 out. Better, worse: questions.",
  };
}

/** What it costs. */
export function costTable(evaluation: Evaluation): Part {
  return {
    kind: "table",
    head: ["level T", "method", "answers", "tokens", "seconds", "tokens/s", "right answers/s"],
    right: [0, 2, 3, 4, 5, 6],
    rows: byLevel(evaluation).map((point) => {
      const { answers, tokens, seconds } = point.cost;
      return [
        levelCell(point),
        LOOK[point.method].label,
        grouped(answers),
        grouped(tokens),
        seconds.toFixed(1),
        (tokens / seconds).toFixed(1),
        ((answers * point.figures.accuracy.value) / seconds).toFixed(2),
      ];
    }),
    caption: "Seconds depend on what else the machine did, and include prompts.",
  };
}

/** Accuracy of one answer by kind of question. */
export function kindsTable(evaluation: Evaluation): Part[] {
  const kinds = Object.keys(evaluation.points[0]?.kinds ?? {});
  if (kinds.length < 2) return [];
  return [
    {
      kind: "table",
      head: ["level T", "method", ...kinds],
      right: [0, ...kinds.map((_, i) => i + 2)],
      rows: byLevel(evaluation).map((point) => [
        levelCell(point),
        LOOK[point.method].label,
        ...kinds.map((kind) => share(point.kinds[kind] as number)),
      ]),
      caption: "One answer, by kind of question; without intervals.",
    },
  ];
}

/** How well scores tell right from wrong. */
export function doubtsTable({ doubts }: Evaluation): Part {
  return {
    kind: "table",
    head: ["score", "answers or readings more", "AUROC", "minus mean log-probability", "tuning half"],
    right: [1, 2, 3, 4],
    rows: doubts.map((one) => [
      named(one),
      String(one.samples),
      areaWithin(one.auroc),
      one.gain.low > 0 || one.gain.high < 0 ? `**${areaWithin(one.gain, true)}**` : areaWithin(one.gain, true),
      one.tuning === null ? "" : one.tuning.toFixed(3),
    ]),
    caption:
      "Of greedy answers to the test questions. Cheap ones: the four of the greedy answer alone; with the scores of the middle level. Combinations (logistic regressions) were fitted on the tuning half, whose own figure for them is therefore too good.",
  };
}

/** The evaluation for a terminal. */
export function evaluationTable(evaluation: Evaluation): string {
  const plain = (part: Part): string => {
    if (part.kind !== "table") return "";
    const rows = part.rows.map((row) => row.map((cell) => cell.replaceAll("**", "")));
    return table([part.head, ...rows], part.right ?? []);
  };
  return [
    plain(pointsTable(evaluation)),
    ...(evaluation.differences.length > 0 ? [plain(differencesTable(evaluation))] : []),
    plain(costTable(evaluation)),
    ...(evaluation.doubts.length > 0 ? [plain(doubtsTable(evaluation))] : []),
    powerSaid(evaluation.power),
  ].join("\n\n");
}
