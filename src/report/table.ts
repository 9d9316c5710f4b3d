// Tables of plain text, and how numbers are written in them.

import stringWidth from "string-width";

/** Columns of a terminal. Most texts are of one a letter, which is told much faster. */
const widthOf = (text: string): number => (/^[\x20-\x7e]*$/.test(text) ? text.length : stringWidth(text));

/** Rows of cells as aligned lines; columns named in `right` (by number) are aligned to the right. The first row is the head. */
export function table(rows: readonly (readonly string[])[], right: readonly number[] = []): string {
  const widths = rows.reduce<number[]>((max, row) => row.map((cell, c) => Math.max(max[c] ?? 0, widthOf(cell))), []);
  return rows
    .map((row) =>
      row
        .map((cell, c) => {
          const space = " ".repeat((widths[c] ?? 0) - widthOf(cell));
          return right.includes(c) ? space + cell : cell + space;
        })
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

/** "12.3 %", with as many digits as a small share needs; "0 %" only for nothing at all. */
export function percent(share: number): string {
  if (share === 0 || !Number.isFinite(share)) return "0 %";
  const value = share * 100;
  return `${value >= 10 ? value.toFixed(1) : Number(value.toPrecision(2))} %`;
}

/** Three significant digits, with a decimal exponent where zeros would be counted. */
export function significant(x: number): string {
  if (x === 0) return "0";
  const size = Math.abs(x);
  return size >= 1e-3 && size < 1e5 ? String(Number(x.toPrecision(3))) : x.toExponential(2);
}

/** Whole numbers with separators: 2,885,888. */
export function grouped(n: number): string {
  return n.toLocaleString("en-US");
}

/** "3.1 MB": decimal units. */
export function bytes(n: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let unit = 0;
  let value = n;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit === 0 ? value : Number(value.toPrecision(3))} ${units[unit]}`;
}
