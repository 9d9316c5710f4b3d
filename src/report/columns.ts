// Texts side by side in a terminal.

import stringWidth from "string-width";
import wrapAnsi from "wrap-ansi";

export interface Column {
  readonly head: string;
  readonly body: string;
  readonly foot: string;
}

const GAP = "   ";
const MIN_WIDTH = 26;

/** Lays the columns out within `width` characters; as many in a row as fit at a readable width. Colours are kept. */
export function sideBySide(columns: readonly Column[], width: number): string {
  const fit = Math.max(1, Math.floor((width + GAP.length) / (MIN_WIDTH + GAP.length)));
  const rows = Math.ceil(columns.length / fit);
  const perRow = Math.ceil(columns.length / Math.max(1, rows));
  const columnWidth = Math.max(MIN_WIDTH, Math.floor((width + GAP.length) / Math.max(1, perRow)) - GAP.length);
  const out: string[] = [];
  for (let first = 0; first < columns.length; first += perRow) {
    const row = columns.slice(first, first + perRow);
    for (const part of ["head", "body", "foot"] as const)
      out.push(
        ...joined(
          row.map((c) => wrapped(c[part], columnWidth)),
          columnWidth,
        ),
      );
    out.push("");
  }
  return out.join("\n");
}

function wrapped(text: string, width: number): string[] {
  return wrapAnsi(text, width, { hard: true, trim: true }).split("\n");
}

function joined(cells: readonly (readonly string[])[], width: number): string[] {
  const height = Math.max(...cells.map((cell) => cell.length));
  return Array.from({ length: height }, (_, line) =>
    cells
      .map((cell) => {
        const text = cell[line] ?? "";
        return text + " ".repeat(Math.max(0, width - stringWidth(text)));
      })
      .join(GAP)
      .trimEnd(),
  );
}
