// How reports look: the palette, for light and dark, and the style sheet of every page.

/** Colours of the page's palette, for light and dark. */
const SERIES = [
  ["#c2410c", "#fb923c"], // orange
  ["#1d5fa8", "#6cb2f5"], // blue
  ["#0f766e", "#4fd1c0"], // teal
  ["#7c3aed", "#b79cf7"], // violet
  ["#be185d", "#f472b6"], // pink
  ["#4d7c0f", "#a3d650"], // green
  ["#8a6d00", "#e6c229"], // ochre
  ["#6b7280", "#9ca3af"], // grey
] as const;

/** The colour of series 0, 1, ...: a CSS colour that follows light and dark. Eight of them, then again. */
export function series(number: number): string {
  return `var(--series-${number % SERIES.length})`;
}

/** The palette as declarations of CSS variables: 0 for light grounds, 1 for dark ones. */
export const colours = (which: 0 | 1) => SERIES.map((pair, i) => `--series-${i}: ${pair[which]};`).join(" ");

export const STYLE = `
:root { --ground: #fcfcfa; --raised: #ffffff; --ink: #1f2328; --dim: #656d76; --line: #d8dadf; --shade: #00000038; ${colours(0)} }
@media (prefers-color-scheme: dark) {
  :root { --ground: #14171c; --raised: #1b1f26; --ink: #e4e7eb; --dim: #98a1ac; --line: #343a44; --shade: #000000b0; ${colours(1)} }
}
* { box-sizing: border-box; }
html { font-size: clamp(15px, 0.45vw + 12px, 21px); -webkit-text-size-adjust: 100%; }
body { margin: 0; padding: 0 max(1.1rem, 4vw) 3rem; background: var(--ground); color: var(--ink); font-family: system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; line-height: 1.55; }
header, main, body > footer { max-width: 66rem; margin: 0 auto; }
header { padding: 3rem 0 0.5rem; }
h1 { font-size: clamp(1.7rem, 3.4vw, 2.7rem); line-height: 1.15; letter-spacing: -0.02em; margin: 0 0 0.8rem; text-wrap: balance; }
.lead { font-size: 1.15rem; max-width: 46rem; color: var(--dim); margin: 0; text-wrap: pretty; }
section { padding-top: 2.2rem; }
h2 { font-size: 1.4rem; line-height: 1.25; letter-spacing: -0.01em; margin: 0 0 0.7rem; padding-top: 1.4rem; border-top: 1px solid var(--line); text-wrap: balance; }
p, ul { max-width: 46rem; margin: 0 0 0.9rem; text-wrap: pretty; }
li { margin-bottom: 0.3rem; }
code { font-family: ui-monospace, "SF Mono", Menlo, Consolas, monospace; font-size: 0.88em; }
pre { overflow-x: auto; background: var(--raised); border: 1px solid var(--line); border-radius: 8px; padding: 0.8rem 1rem; }
figure { margin: 1.3rem 0 1.6rem; }
figure svg { display: block; max-width: 100%; height: auto; overflow: visible; --plot-background: var(--ground); }
.wide svg { width: 100%; }
.narrow { display: none; }
figcaption { color: var(--dim); font-size: 0.88rem; text-align: left; max-width: 46rem; margin-top: 0.6rem; }
figure.tabled { margin: 1rem 0 1.4rem; }
.legend:not(.narrow) { display: flex; }
.legend { list-style: none; flex-wrap: wrap; gap: 0.2rem 1.2rem; padding: 0; margin: 0 0 0.6rem; max-width: none; font-size: 0.92rem; }
.legend li { margin: 0; display: flex; align-items: center; gap: 0.45rem; }
.legend i { width: 0.85rem; height: 0.85rem; border-radius: 50%; flex: none; }
.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(11rem, 1fr)); gap: 0.8rem; margin: 1rem 0 1.4rem; }
.facts div { background: var(--raised); border: 1px solid var(--line); border-radius: 10px; padding: 0.9rem 1.1rem; }
.facts dd { margin: 0; font-size: 1.65rem; font-weight: 650; letter-spacing: -0.02em; font-variant-numeric: tabular-nums; line-height: 1.2; }
.facts dt { color: var(--dim); font-size: 0.9rem; line-height: 1.4; margin-top: 0.25rem; }
/* A shadow at each end that hides more columns, and a bar that stays: shadows lie still, and covers that scroll along hide them at the ends. */
.table { overflow-x: scroll; padding-bottom: 0.3rem; scrollbar-width: thin; scrollbar-color: var(--dim) var(--line); background: linear-gradient(to right, var(--ground) 40%, transparent) left / 3rem 100% local, linear-gradient(to left, var(--ground) 40%, transparent) right / 3rem 100% local, linear-gradient(to right, var(--shade), transparent) left / 1rem 100% scroll, linear-gradient(to left, var(--shade), transparent) right / 1rem 100% scroll; background-repeat: no-repeat; }
.table:focus-visible { outline: 2px solid var(--series-1); }
.table::-webkit-scrollbar { height: 0.6rem; }
.table::-webkit-scrollbar-track { background: var(--line); border-radius: 1rem; }
.table::-webkit-scrollbar-thumb { background: var(--dim); border-radius: 1rem; }
table { border-collapse: collapse; font-size: 0.92rem; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: 0.38rem 1.3rem 0.38rem 0; white-space: nowrap; vertical-align: top; }
th { color: var(--dim); font-weight: 600; border-bottom: 2px solid var(--line); }
td { border-bottom: 1px solid var(--line); }
/* What a row is about stays in sight. */
th:first-child, td:first-child { position: sticky; left: 0; background: var(--ground); }
.right { text-align: right; }
.texts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 18rem), 1fr)); gap: 0.9rem; margin: 1rem 0 1.4rem; }
.texts article { background: var(--raised); border: 1px solid var(--line); border-radius: 10px; padding: 0.9rem 1.1rem; }
.texts h3 { font-size: 0.98rem; margin: 0 0 0.5rem; }
.texts p { font-family: Georgia, "Times New Roman", serif; white-space: pre-line; margin: 0; overflow-wrap: anywhere; }
.texts footer { color: var(--dim); font-size: 0.85rem; margin-top: 0.7rem; font-variant-numeric: tabular-nums; }
.dim { color: var(--dim); }
body > footer { color: var(--dim); font-size: 0.88rem; border-top: 1px solid var(--line); margin-top: 2.5rem; padding-top: 1rem; }
@media (max-width: 640px) {
  .wide { display: none; }
  .narrow { display: block; }
  .legend.narrow { display: flex; }
  header { padding-top: 1.8rem; }
}
@media print { body { padding: 0; } figure, article, tr { break-inside: avoid; } }
`;
