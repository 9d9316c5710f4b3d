// The plot of scale.mjs: nanoseconds a weight against weights, a line for each thing that is measured.

export async function plotScale(rows, measured) {
  const [{ plot, line, dot, text, selectLast }, { parseHTML }] = await Promise.all([
    import("@observablehq/plot"),
    import("linkedom"),
  ]);
  const data = rows.flatMap((row) =>
    ["cp", ...measured].map((what) => ({
      type: row.type,
      what,
      weights: row.weights,
      ns: (1e9 * (what === "cp" ? row.cp : row[what].seconds)) / row.weights,
    })),
  );
  const lines = { x: "weights", y: "ns", z: "what", stroke: "what", fx: "type" };
  const { document } = parseHTML("<html><body></body></html>");
  const svg = plot({
    document,
    width: 860,
    height: 380,
    marginRight: 70,
    x: { type: "log", label: "weights" },
    y: { type: "log", label: "nanoseconds a weight", grid: true },
    color: { legend: false },
    marks: [line(data, lines), dot(data, lines), text(data, selectLast({ ...lines, text: "what", textAnchor: "start", dx: 6 }))],
  });
  svg.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  return `${svg.outerHTML}\n`;
}
