// The page at /: three files, read once at the start. It asks nothing of other hosts, and no other may put it into a frame.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { packageRoot } from "../kernels/addon.js";
import { DYNAMICS } from "../thermostat/dynamics/index.js";

const HEADERS = {
  "content-security-policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
  "cache-control": "no-cache",
};

const read = (name: string): string => readFileSync(join(packageRoot(), "dist", "esm", "page", name), "utf8");

const escaped = (text: string): string =>
  text.replace(/[&<>"]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[c] as string);

/** The dynamics that can be chosen, and what each costs. */
function options(): string {
  const lines = Object.values(DYNAMICS).map(({ name, moves, cost }) => {
    const shared = moves
      ? `Each text has the model to itself, and a tick costs ${cost.words}.`
      : "Weights are drawn once a text; texts with other draws take turns.";
    return `<option value="${escaped(name)}" data-cost="${escaped(`${name}: ${shared} An underlined answer is read once more by every draw.`)}">${escaped(name)}</option>`;
  });
  return lines.join("");
}

/** What each path answers. */
export function pageFiles(): ReadonlyMap<string, () => Response> {
  const html = read("page.html").replace('<select id="dynamics"></select>', `<select id="dynamics">${options()}</select>`);
  const file = (body: string, type: string) => () =>
    new Response(body, { headers: { ...HEADERS, "content-type": `${type}; charset=utf-8` } });
  return new Map([
    ["/", file(html, "text/html")],
    ["/page.css", file(read("page.css"), "text/css")],
    ["/page.js", file(read("page.js"), "text/javascript")],
  ]);
}
