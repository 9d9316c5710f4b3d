// One self-contained HTML page: title, lead, sections of paragraphs, figures, tables and texts side by side. No script, no network: what is
// written is what is seen, in light and dark, on a phone, on paper and on a slide. Figures are Observable Plot's, drawn here without a
// browser; Plot and linkedom are optional peers, loaded when the first figure is.

import type * as PlotModule from "@observablehq/plot";
import { BrownianError } from "../errors.js";
import { colours, STYLE } from "./style.js";

export { series } from "./style.js";

/** Observable Plot, handed to figures so that nobody else needs to import it. */
export type Plot = typeof PlotModule;

/** How much room a figure has. Every figure is drawn twice: `wide` for screens and slides, and narrow for phones, where letters stay readable. */
export interface Room {
  readonly width: number;
  readonly wide: boolean;
}

/** A figure, drawn when the page is. */
export interface Figure {
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

export interface Table {
  readonly kind: "table";
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
  /** Columns aligned to the right, by number. */
  readonly right?: readonly number[];
  readonly caption?: string;
}

/** In texts, `code` and **strong** are set as such; all else stands as it is. */
export type Part =
  | { readonly kind: "paragraph"; readonly text: string }
  | { readonly kind: "list"; readonly items: readonly string[] }
  /** A few numbers set large, each with what it is. */
  | { readonly kind: "facts"; readonly facts: readonly { readonly value: string; readonly label: string }[] }
  | Table
  | Figure
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
 * const parts = [{ kind: "figure", title: "A line", plot: (Plot: Plot) => ({ marks: [Plot.lineY([1, 4, 9], { stroke: series(0) })] }) }] as const;
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
export async function renderFigure(figure: Figure): Promise<string> {
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

function tableHtml({ head, rows, right = [], caption }: Table): string {
  const align = (column: number) => (right.includes(column) ? ' class="right"' : "");
  const cells = (tag: "td" | "th", row: readonly string[]) =>
    row.map((cell, c) => `<${tag}${tag === "th" ? ' scope="col"' : ""}${align(c)}>${inline(cell)}</${tag}>`).join("");
  // The caption stays where it is while the table scrolls below it.
  const label = caption === undefined ? "" : `\n<figcaption>${inline(caption)}</figcaption>`;
  return `<figure class="tabled"><div class="table" tabindex="0" role="region" aria-label="A table, which scrolls sideways where it is wide"><table><thead><tr>${cells("th", head)}</tr></thead><tbody>
${rows.map((row) => `<tr>${cells("td", row)}</tr>`).join("\n")}
</tbody></table></div>${label}</figure>`;
}

function sampleHtml({ head, prompt, body, foot }: Sample): string {
  const before = prompt === undefined ? "" : `<span class="dim">${escaped(prompt)}</span>`;
  const after = foot === undefined ? "" : `<footer>${inline(foot)}</footer>`;
  return `<article><h3>${inline(head)}</h3><p>${before}${escaped(body)}</p>${after}</article>`;
}

function figureHtml({ plot, title, caption, labelled, legend = [] }: Figure, drawing: Drawing): string {
  const keys = legend.map(({ label, color }) => `<li><i style="background:${escaped(color)}"></i>${inline(label)}</li>`).join("");
  return `<figure>
${keys === "" ? "" : `<ul class="legend${labelled ? " narrow" : ""}">${keys}</ul>\n`}${[WIDE, NARROW].map((room) => drawn(plot, title, room, drawing)).join("\n")}
${caption === undefined ? "" : `<figcaption>${inline(caption)}</figcaption>\n`}</figure>`;
}

/** One drawing as SVG, or as what Plot wraps around it. */
function drawn(options: Figure["plot"], title: string, room: Room, { plot, document }: Drawing): string {
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
