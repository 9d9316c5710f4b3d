// The page that reports are: whole, without network or script, and true to what it is given.
import { describe, expect, it } from "vitest";
import { type Page, renderPage, series } from "../../src/report/page.js";

const points = [
  { x: 0, y: 1 },
  { x: 1, y: 3 },
];
const page: Page = {
  title: "Squares & <others>",
  lead: "With `code` and **weight**.",
  foot: "seed 0",
  sections: [
    {
      heading: "Seen",
      parts: [
        { kind: "paragraph", text: "a < b" },
        { kind: "list", items: ["one", "two"] },
        { kind: "facts", facts: [{ value: "42", label: "answer" }] },
        { kind: "code", text: "x && y" },
        { kind: "table", head: ["T", "rate"], rows: [["0.1", "7 %"]], right: [1], caption: "rates" },
        { kind: "texts", texts: [{ head: "greedy", prompt: "Once", body: " upon\n a <time>", foot: "1 nat" }] },
        {
          kind: "figure",
          title: "A line",
          caption: "It rises.",
          legend: [{ label: "squares", color: series(1) }],
          plot: (Plot) => ({
            marks: [Plot.line(points, { x: "x", y: "y", stroke: series(1) }), Plot.dot(points, { x: "x", y: "y" })],
          }),
        },
      ],
    },
  ],
};

describe("a page", () => {
  it("holds what it was given, escaped, with code and strong set as such", async () => {
    const html = await renderPage(page);
    expect(html).toContain("<h1>Squares &#38; &#60;others&#62;</h1>");
    expect(html).toContain("<code>code</code> and <strong>weight</strong>");
    expect(html).toContain("<p>a &#60; b</p>");
    expect(html).toContain("<pre><code>x &#38;&#38; y</code></pre>");
    expect(html).toContain('<td>0.1</td><td class="right">7 %</td>');
    expect(html).toContain('<span class="dim">Once</span> upon\n a &#60;time&#62;');
    expect(html).toContain("<footer><p>seed 0</p></footer>");
  });

  it("keeps the caption of a table out of what scrolls sideways: on a phone it would be cut off", async () => {
    const html = await renderPage(page);
    const [, scrolls, after] = /<div class="table"[^>]*>([\s\S]*?)<\/div>([\s\S]*?)<\/figure>/.exec(html) as RegExpExecArray;
    expect(scrolls).toContain("7 %");
    expect(scrolls).not.toContain("rates");
    expect(after).toContain("<figcaption>rates</figcaption>");
  });

  it("draws every figure twice, for wide and narrow rooms, in colours that follow light and dark", async () => {
    const html = await renderPage(page);
    const figure = /<figure>[\s\S]*<\/figure>/.exec(html)?.[0] ?? "";
    const drawings = figure.match(/<svg[\s\S]*?<\/svg>/g) ?? [];
    expect(drawings).toHaveLength(2);
    expect(drawings.map((svg) => /viewBox="0 0 (\d+)/.exec(svg)?.[1])).toEqual(["860", "380"]);
    for (const svg of drawings) {
      expect(svg.match(/<circle/g)).toHaveLength(2);
      expect(svg).toContain('stroke="var(--series-1)"');
      expect(svg).toContain('aria-label="A line"');
    }
    expect(html.match(/--series-1:/g)).toHaveLength(2);
    expect(series(9)).toBe(series(1));
  });

  it("asks nothing of any network, runs nothing, and is the same every time", async () => {
    const html = await renderPage(page);
    expect(html).toContain("default-src 'none'");
    expect(html).not.toMatch(/<script|<link|<img|@import|url\(|(src|href)="(?!#)/);
    expect(await renderPage(page)).toBe(html);
  });
});
