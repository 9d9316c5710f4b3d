// Draws docs/figures/roundings.svg from the library's own moves: the variance of a move, relative to what was asked for, under the three roundings.
// Run by hand after `npm run setup`: node scripts/figures/roundings.mjs
import { writeFileSync } from "node:fs";
import * as Plot from "@observablehq/plot";
import { parseHTML } from "linkedom";
import { perturb } from "../../dist/index.js";

const N = 1 << 22; // weights a point; more where moves are rare
const points = [];
for (const rounding of ["nearest", "stochastic", "matched"]) {
  for (let e = -2; e <= 1.001; e += 0.125) {
    const s = 10 ** e;
    let squares = 0;
    let n = 0;
    for (let round = 0; round < (s < 0.1 ? 8 : 1); round++) {
      const codes = new Int8Array(N);
      perturb(new Uint8Array(codes.buffer), { type: "I8", step: 1, sigma: s, seed: 1n, name: rounding, tick: round, rounding });
      for (const k of codes) squares += k * k;
      n += N;
    }
    points.push({ rounding, s, ratio: squares / n / s ** 2 });
  }
}

const SHOWN = 0.03; // below this a point is put on the lower edge: `nearest` moves nothing there
const { document } = parseHTML("<html></html>");
const plot = Plot.plot({
  document,
  width: 860,
  height: 400,
  marginLeft: 60,
  marginRight: 24,
  marginBottom: 45,
  style: { fontSize: "14px", fontFamily: "system-ui, sans-serif", background: "white", color: "#222" },
  x: {
    type: "log",
    label: "noise asked for: s, in steps of the code grid →",
    grid: true,
    ticks: [0.01, 0.1, 1, 10],
    tickFormat: String,
  },
  y: {
    type: "log",
    label: "↑ variance of the move ÷ s²",
    grid: true,
    domain: [SHOWN, 120],
    ticks: [0.1, 1, 10, 100],
    tickFormat: String,
  },
  color: { domain: ["nearest", "stochastic", "matched"], range: ["#8a8a8a", "#d95f02", "#1b6ca8"] },
  marks: [
    Plot.ruleY([1], { stroke: "#bbb", strokeDasharray: "4 4" }),
    Plot.line(points, {
      x: "s",
      y: (d) => Math.max(d.ratio, SHOWN),
      stroke: "rounding",
      strokeWidth: (d) => (d.rounding === "matched" ? 3 : 2),
    }),
    Plot.dot(points, { x: "s", y: (d) => Math.max(d.ratio, SHOWN), fill: "rounding", r: 3 }),
    Plot.text(
      [
        { s: 0.011, y: 100, text: "stochastic: up to 80 times too much", rounding: "stochastic" },
        { s: 0.011, y: 1.25, text: "matched: exactly s² at every s", rounding: "matched" },
        { s: 0.011, y: 0.04, text: "nearest: nothing moves", rounding: "nearest" },
      ],
      { x: "s", y: "y", text: "text", fill: "rounding", textAnchor: "start", fontWeight: "bold", dy: -4 },
    ),
  ],
});
plot.setAttribute("xmlns", "http://www.w3.org/2000/svg");
writeFileSync(new URL("../../docs/figures/roundings.svg", import.meta.url), `${plot.outerHTML}\n`);
