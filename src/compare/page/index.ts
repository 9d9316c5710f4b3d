// A comparison as a page, as a figure of its own, and as a table for terminals.

import type { Page, Part } from "../../report/page.js";
import { grouped, significant } from "../../report/table.js";
import type { MethodName } from "../methods.js";
import type { Comparison } from "../records.js";
import { comparisonFigure, differencesFigure, flipsFigure, sigmaFigure } from "./figures.js";
import { dialled, LOOK } from "./look.js";
import { memoryFigure, memoryFound } from "./memory.js";
import { flipsTable, pointsTable, pooledTable } from "./tables.js";
import {
  beyondSaid,
  differencesSaid,
  equalSaid,
  flipRateSaid,
  howMeasured,
  howToRead,
  lead,
  memorySaid,
  motionSaid,
} from "./words.js";

export { comparisonFigure } from "./figures.js";
export { comparisonTable } from "./tables.js";

const paragraph = (text: string): Part => ({ kind: "paragraph", text });

/**
 * The whole report, for `renderPage`.
 *
 * @example
 * await writeFile("report.html", await renderPage(comparisonPage(comparison)));
 */
export function comparisonPage(comparison: Comparison): Page {
  const { settings, model, texts } = comparison;
  return {
    title: "Moving weights beside softmax",
    lead: lead(comparison),
    foot: `brownian compare, ${model.file} (SHA-256 ${model.sha256.slice(0, 12)}…), seed ${settings.seed}, ${grouped(texts.length)} texts of ${settings.maxTokens} tokens. The same model, text, settings and seed give the same numbers, tokens per second aside.`,
    sections: [
      {
        heading: "Quality and diversity",
        parts: [comparisonFigure(comparison), pooledTable(comparison), paragraph(howToRead(comparison))],
      },
      {
        heading: "At equal flip rates",
        parts: [
          paragraph(flipRateSaid(comparison)),
          paragraph(differencesSaid(comparison)),
          differencesFigure(comparison),
          pointsTable(comparison),
          ...(settings.beyond.length > 0 ? [paragraph(beyondSaid(comparison))] : []),
        ],
      },
      {
        heading: "How equal, as measured",
        parts: [
          paragraph(equalSaid(comparison)),
          flipsFigure(comparison),
          flipsTable(comparison),
          paragraph(motionSaid(comparison)),
          sigmaFigure(comparison),
        ],
      },
      {
        heading: "What weights remember",
        parts: [
          paragraph(`${memoryFound(comparison, "correlation")} ${memorySaid(comparison)}`),
          memoryFigure(comparison, "correlation"),
          paragraph(memoryFound(comparison, "variance")),
          memoryFigure(comparison, "variance"),
        ],
      },
      { heading: "Texts side by side", parts: sampleParts(comparison) },
      { heading: "How it was measured", parts: [{ kind: "list", items: howMeasured(comparison) }] },
    ],
  };
}

/** The first text of every method at two of the levels. */
function sampleParts({ settings, texts, points }: Comparison): Part[] {
  const { levels, methods } = settings;
  const chosen = [...new Set([levels[Math.floor((levels.length - 1) / 3)], levels.at(-1)])] as number[];
  const card = (method: MethodName, level: number) => {
    const one = texts.find((text) => text.method === method && text.level === level);
    const point = points.find((p) => p.method === method && p.level === level);
    if (one === undefined || point === undefined) return [];
    const head = method === "greedy" ? "greedy" : `${LOOK[method].label}, ${dialled(point)}`;
    return [{ head, prompt: one.prompt, body: one.text, foot: `NLL ${one.nll.toFixed(2)}` }];
  };
  return chosen.flatMap((level): Part[] => [
    paragraph(`The first text of each method at the flip rate of softmax at **T = ${significant(level)}**.`),
    { kind: "texts", texts: methods.flatMap((method) => card(method, method === "greedy" ? 0 : level)) },
  ]);
}
