// One self-contained HTML page: title, lead, sections of paragraphs, figures, tables and texts side by side. No script, no network: what is
// written is what is seen, in light and dark, on a phone, on paper and on a slide. Figures are Observable Plot's, drawn here without a
// browser; Plot and linkedom are optional peers, loaded when the first figure is.

import type * as PlotModule from "@observablehq/plot";
import { BrownianError } from "../errors.js";

/** Observable Plot, handed to figures so that nobody else needs to import it. */
export type Plot = typeof PlotModule;

/** How much room a figure has. Every figure is drawn twice: `wide` for screens and slides, and narrow for phones, where letters stay readable. */
export interface Room {
  readonly width: number;
  readonly wide: boolean;
}

/** In texts, `code` and **strong** are set as such; all else stands as it is. */
export type Part =
  | { readonly kind: "paragraph"; readonly text: string }
  | { readonly kind: "list"; readonly items: readonly string[] }
  /** A few numbers set large, each with what it is. */
  | { readonly kind: "facts"; readonly facts: readonly { readonly value: string; readonly label: string }[] }
  | {
      readonly kind: "table";
      readonly head: readonly string[];
      readonly rows: readonly (readonly string[])[];
      /** Columns aligned to the right, by number. */
      readonly right?: readonly number[];
      readonly caption?: string;
    }
  | {
      readonly kind: "figure";
      /** Plot's options; width, document, fonts and colours of the ground are the page's. Colours of series: {@link series}. */
      readonly plot: (plot: Plot, room: Room) => PlotModule.PlotOptions;
      /** What the figure shows, for those who do not see it. */
      readonly title: string;
      readonly caption?: string;
      readonly legend?: readonly { readonly label: string; readonly color: string }[];
      /** The wide drawing says itself what is what: the legend is for narrow rooms only. */
      readonly labelled?: boolean;
    }
  /** Printed shell commands or code, as they are. */
  | { readonly kind: "code"; readonly text: string }
  | { readonly kind: "texts"; readonly texts: readonly Sample[] };

/** A text that is put beside others. */
export interface Sample {
  readonly head: string;
  /** Set dimly before the body. */
  readonly prompt?: string;
  readonly body: string;
  readonly foot?: string;
}

export interface Section {
  readonly heading: string;
  readonly parts: readonly Part[];
}

export interface Page {
  readonly title: string;
  /** What the page says, in a sentence or two. */
  readonly lead: string;
  readonly sections: readonly Section[];
  /** How it was made. */
  readonly foot?: string;
}

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

const WIDE: Room = { width: 860, wide: true };
const NARROW: Room = { width: 380, wide: false };
/** Room for the labels of axes in the page's letters, unless the figure says otherwise. */
const WIDE_MARGINS = { marginLeft: 56, marginBottom: 46, marginTop: 28, marginRight: 24 };
const NARROW_MARGINS = { marginLeft: 42, marginBottom: 40, marginTop: 24, marginRight: 16 };

interface Drawing {
  readonly plot: Plot;
  readonly document: Document;
}

/**
 * Loads what draws figures. Ask before hours of work, not after.
 * @throws BrownianError package-missing, with what to install
 */
export async function loadPlot(): Promise<Drawing> {
  try {
    const [plot, { parseHTML }] = await Promise.all([import("@observablehq/plot"), import("linkedom")]);
    return { plot, document: parseHTML("<html></html>").document as unknown as Document };
  } catch (error) {
    throw new BrownianError(
      "package-missing",
      `Figures need Observable Plot and linkedom, which are not installed or do not load here: npm install @observablehq/plot linkedom. (${(error as Error).message.split("\n")[0]})`,
      { cause: error },
    );
  }
}

/**
 * The page as HTML. The same page gives the same HTML in every process that draws its pages in the same order.
 * @throws BrownianError package-missing where there are figures and Plot is not installed
 *
 * @example
 * const parts = [{ kind: "figure", title: "A line", plot: (Plot) => ({ marks: [Plot.lineY([1, 4, 9], { stroke: series(0) })] }) }] as const;
 * await writeFile("page.html", await renderPage({ title: "Squares", lead: "They grow.", sections: [{ heading: "Seen", parts }] }));
 */
export async function renderPage(page: Page): Promise<string> {
  const figures = page.sections.some((section) => section.parts.some((part) => part.kind === "figure"));
  const drawing = figures ? await loadPlot() : undefined;
  const sections = page.sections.map(
    ({ heading, parts }) =>
      `<section>\n<h2>${inline(heading)}</h2>\n${parts.map((part) => partHtml(part, drawing)).join("\n")}\n</section>`,
  );
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<title>${escaped(page.title)}</title>
<style>${STYLE}</style>
</head>
<body>
<header>
<h1>${inline(page.title)}</h1>
<p class="lead">${inline(page.lead)}</p>
</header>
<main>
${sections.join("\n")}
</main>
${page.foot === undefined ? "" : `<footer><p>${inline(page.foot)}</p></footer>\n`}</body>
</html>
`;
}

/**
 * A figure alone, as an SVG file in light colours on white: for slides and READMEs. Its legend stays behind, so it should say itself what is what.
 * @throws BrownianError package-missing
 */
export async function renderFigure(figure: Extract<Part, { kind: "figure" }>): Promise<string> {
  const html = drawn(figure.plot, figure.title, WIDE, await loadPlot());
  const svg = html.slice(html.indexOf("<svg"), html.lastIndexOf("</svg>") + 6);
  const style = `:root { ${colours(0)} --ground: #ffffff; }`;
  const own = svg.replace(
    "background:transparent;color:currentColor;font-family:inherit",
    "background:#fff;color:#222;font-family:system-ui,sans-serif",
  );
  return `${own.replace(/^<svg/, '<svg xmlns="http://www.w3.org/2000/svg"').replace(">", `><style>${style}</style>`)}\n`;
}

function partHtml(part: Part, drawing: Drawing | undefined): string {
  switch (part.kind) {
    case "paragraph":
      return `<p>${inline(part.text)}</p>`;
    case "list":
      return `<ul>${part.items.map((item) => `<li>${inline(item)}</li>`).join("")}</ul>`;
    case "facts":
      return `<dl class="facts">${part.facts.map((fact) => `<div><dd>${inline(fact.value)}</dd><dt>${inline(fact.label)}</dt></div>`).join("")}</dl>`;
    case "code":
      return `<pre><code>${escaped(part.text)}</code></pre>`;
    case "table":
      return tableHtml(part);
    case "figure":
      return figureHtml(part, drawing as Drawing);
    case "texts":
      return `<div class="texts">${part.texts.map(sampleHtml).join("\n")}</div>`;
  }
}

function tableHtml({ head, rows, right = [], caption }: Extract<Part, { kind: "table" }>): string {
  const align = (column: number) => (right.includes(column) ? ' class="right"' : "");
  const cells = (tag: "td" | "th", row: readonly string[]) =>
    row.map((cell, c) => `<${tag}${tag === "th" ? ' scope="col"' : ""}${align(c)}>${inline(cell)}</${tag}>`).join("");
  const label = caption === undefined ? "" : `<caption>${inline(caption)}</caption>`;
  return `<div class="table" tabindex="0"><table>${label}<thead><tr>${cells("th", head)}</tr></thead><tbody>
${rows.map((row) => `<tr>${cells("td", row)}</tr>`).join("\n")}
</tbody></table></div>`;
}

function sampleHtml({ head, prompt, body, foot }: Sample): string {
  const before = prompt === undefined ? "" : `<span class="dim">${escaped(prompt)}</span>`;
  const after = foot === undefined ? "" : `<footer>${inline(foot)}</footer>`;
  return `<article><h3>${inline(head)}</h3><p>${before}${escaped(body)}</p>${after}</article>`;
}

function figureHtml(
  { plot, title, caption, labelled, legend = [] }: Extract<Part, { kind: "figure" }>,
  drawing: Drawing,
): string {
  const keys = legend.map(({ label, color }) => `<li><i style="background:${escaped(color)}"></i>${inline(label)}</li>`).join("");
  return `<figure>
${keys === "" ? "" : `<ul class="legend${labelled ? " narrow" : ""}">${keys}</ul>\n`}${[WIDE, NARROW].map((room) => drawn(plot, title, room, drawing)).join("\n")}
${caption === undefined ? "" : `<figcaption>${inline(caption)}</figcaption>\n`}</figure>`;
}

/** One drawing as SVG, or as what Plot wraps around it. */
function drawn(
  options: Extract<Part, { kind: "figure" }>["plot"],
  title: string,
  room: Room,
  { plot, document }: Drawing,
): string {
  const own = options(plot, room);
  const style = {
    background: "transparent",
    color: "currentColor",
    fontFamily: "inherit",
    fontSize: room.wide ? "14px" : "12px",
  };
  const element = plot.plot({
    width: room.width,
    ...(room.wide ? WIDE_MARGINS : NARROW_MARGINS),
    ...own,
    document,
    ariaLabel: title,
    style: style as PlotModule.PlotOptions["style"],
  } as PlotModule.PlotOptions);
  return `<div class="${room.wide ? "wide" : "narrow"}">${element.outerHTML}</div>`;
}

/** Text as HTML, with `code` and **strong**. */
function inline(text: string): string {
  return escaped(text)
    .replace(/`([^`]+)`/g, "<code>$1</code>")
    .replace(/\*\*([^*]+)\*\*/g, "<strong>$1</strong>");
}

function escaped(text: string): string {
  return text.replace(/[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`);
}

const colours = (which: 0 | 1) => SERIES.map((pair, i) => `--series-${i}: ${pair[which]};`).join(" ");

const STYLE = `
:root { --ground: #fcfcfa; --raised: #ffffff; --ink: #1f2328; --dim: #656d76; --line: #d8dadf; ${colours(0)} }
@media (prefers-color-scheme: dark) {
  :root { --ground: #14171c; --raised: #1b1f26; --ink: #e4e7eb; --dim: #98a1ac; --line: #343a44; ${colours(1)} }
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
figcaption, caption { color: var(--dim); font-size: 0.88rem; text-align: left; max-width: 46rem; margin-top: 0.6rem; }
caption { caption-side: bottom; padding-top: 0.6rem; }
.legend:not(.narrow) { display: flex; }
.legend { list-style: none; flex-wrap: wrap; gap: 0.2rem 1.2rem; padding: 0; margin: 0 0 0.6rem; max-width: none; font-size: 0.92rem; }
.legend li { margin: 0; display: flex; align-items: center; gap: 0.45rem; }
.legend i { width: 0.85rem; height: 0.85rem; border-radius: 50%; flex: none; }
.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(11rem, 1fr)); gap: 0.8rem; margin: 1rem 0 1.4rem; }
.facts div { background: var(--raised); border: 1px solid var(--line); border-radius: 10px; padding: 0.9rem 1.1rem; }
.facts dd { margin: 0; font-size: 1.65rem; font-weight: 650; letter-spacing: -0.02em; font-variant-numeric: tabular-nums; line-height: 1.2; }
.facts dt { color: var(--dim); font-size: 0.9rem; line-height: 1.4; margin-top: 0.25rem; }
.table { overflow-x: auto; margin: 1rem 0 1.4rem; }
table { border-collapse: collapse; font-size: 0.92rem; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: 0.38rem 1.3rem 0.38rem 0; white-space: nowrap; vertical-align: top; }
th { color: var(--dim); font-weight: 600; border-bottom: 2px solid var(--line); }
td { border-bottom: 1px solid var(--line); }
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
