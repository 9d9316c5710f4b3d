// An evaluation as a page, and as tables for terminals.

import type { Page, Part } from "../../report/page.js";
import { grouped } from "../../report/table.js";
import type { Evaluation, Example } from "../outcomes.js";
import { accuracyFigure, differencesFigure, doubtsFigure, passFigure } from "./figures.js";
import { listed } from "./look.js";
import { costTable, differencesTable, doubtsTable, kindsTable, pointsTable } from "./tables.js";
import { accuracySaid, differencesSaid, doubtSaid, equalSaid, howMeasured, lead, passSaid } from "./words.js";

export { evaluationTable } from "./tables.js";
export { powerSaid } from "./words.js";

const paragraph = (text: string): Part => ({ kind: "paragraph", text });

/** The whole report, for `renderPage`. */
export function evaluationPage(evaluation: Evaluation): Page {
  const { task, model, settings, points, differences, doubts, examples } = evaluation;
  const answers = points.reduce((sum, { cost }) => sum + cost.answers, 0);
  return {
    title: `${task.name}: methods at ${equalSaid(evaluation)}`,
    lead: lead(evaluation),
    foot: `brownian eval, ${model.file} (SHA-256 ${model.sha256.slice(0, 12)}…), seed ${settings.seed}, ${grouped(answers)} answers. The same model, task, settings and seed give the same numbers, seconds aside.`,
    sections: [
      {
        heading: "How often answers are right",
        parts: [
          paragraph(accuracySaid(evaluation)),
          accuracyFigure(evaluation),
          pointsTable(evaluation),
          ...kindsTable(evaluation),
        ],
      },
      { heading: "At least one of several", parts: [paragraph(passSaid(evaluation)), passFigure(evaluation)] },
      ...(differences.length === 0
        ? []
        : [
            {
              heading: "Beside softmax",
              parts: [paragraph(differencesSaid(evaluation)), differencesFigure(evaluation), differencesTable(evaluation)],
            },
          ]),
      ...(doubts.length === 0
        ? []
        : [
            {
              heading: "Telling right from wrong",
              parts: [paragraph(doubtSaid(evaluation)), doubtsFigure(evaluation), doubtsTable(evaluation)],
            },
          ]),
      { heading: "What it costs", parts: [costTable(evaluation)] },
      { heading: "Some of the questions", parts: [{ kind: "texts", texts: examples.map(sample) }] },
      { heading: "How it was measured", parts: [{ kind: "list", items: howMeasured(evaluation) }] },
    ],
  };
}

/** A question as a card. */
function sample({ prompt, answers, greedy, given }: Example) {
  const lines = Object.entries(given).map(
    ([name, all]) => `${name}: ${all.map(([answer, count]) => `${answer === "" ? "(nothing)" : answer} ×${count}`).join(", ")}`,
  );
  return { head: prompt, body: [`greedy: ${greedy.trim()}`, ...lines].join("\n"), foot: `right: ${listed(answers.slice(0, 3))}` };
}
