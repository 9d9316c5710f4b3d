// Runs the experiments of examples/index.mjs and writes one HTML page with their tables and plots: `npm run examples`.
//   --only NAME   this one (may be given again)      --quick   at the size of the tests, within seconds
//   --output F    the page, default build/examples.html
// Markdown goes to stdout, progress to stderr. Exit code 1 when an experiment failed (the page says which), 2 when misused.
import { mkdir, writeFile } from "node:fs/promises";
import { cpus } from "node:os";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { Presets, SingleBar } from "cli-progress";
import { writeWhole } from "../../dist/files/index.js";
import { loadPlot, renderPage, series } from "../../dist/report/page.js";
import { format, markdown, verdictOf } from "../../examples/experiment.mjs";
import { EXPERIMENTS } from "../../examples/index.mjs";

const { only, quick, output } = options();
const size = quick ? "small" : "full";
const chosen = only.length === 0 ? EXPERIMENTS : EXPERIMENTS.filter(({ name }) => only.includes(name));
await loadPlot(); // refuses before the work, not after it

const total = chosen.reduce((sum, { seconds }) => sum + seconds, 0);
const bar = new SingleBar(
  { format: "{bar} {percentage}% {what}", stream: process.stderr, noTTYOutput: false, hideCursor: true, clearOnComplete: true },
  Presets.shades_classic,
);
const began = performance.now();
const sections = [];
let failed = false;
let before = 0;
bar.start(total, 0, { what: "" });
for (const { name, seconds, load } of chosen) {
  const started = performance.now();
  const cpu = process.cpuUsage();
  try {
    const { run } = await load();
    const experiment = await run(size, (share, what) => bar.update(before + share * seconds, { what: `${name}: ${what}` }));
    const { user, system } = process.cpuUsage(cpu);
    const took = `${seconds1((performance.now() - started) / 1e3)} s, of which the processor worked ${seconds1((user + system) / 1e6)} s`;
    process.stdout.write(
      `${markdown(experiment, size)}\n\`npm run examples -- --only ${name}${quick ? " --quick" : ""}\`: ${took}.\n\n`,
    );
    sections.push(section(experiment, took));
  } catch (error) {
    failed = true;
    bar.stop();
    process.stderr.write(`${name} failed: ${error.stack ?? error}\n`);
    bar.start(total, before, { what: "" });
    sections.push({ heading: name, parts: [{ kind: "paragraph", text: `**Failed**: ${error.message}` }] });
  }
  before += seconds;
}
bar.stop();

const html = await renderPage({
  title: "Temperature and noise in networks: every method, tried",
  lead: `What each paper says, tried on real digits and small worlds, with intervals over seeds; and said plainly where it was not reproduced.${quick ? " **Reduced sizes, too small to decide anything.**" : ""}`,
  sections,
  foot: `npm run examples${quick ? " -- --quick" : ""}. ${seconds1((performance.now() - began) / 1e3)} s on ${cpus().length} × ${cpus()[0]?.model ?? "an unknown processor"}, Node ${process.versions.node}.`,
});
await mkdir(dirname(output), { recursive: true });
await writeWhole(output, fileURLToPath(new URL("../../examples/index.mjs", import.meta.url)), (partial) =>
  writeFile(partial, html),
);
process.stderr.write(`${output}\n`);
process.exitCode = failed ? 1 : 0;

function options() {
  try {
    const { values } = parseArgs({
      options: {
        only: { type: "string", multiple: true, default: [] },
        quick: { type: "boolean", default: false },
        output: { type: "string", short: "o", default: "build/examples.html" },
      },
    });
    const unknown = values.only.find((name) => EXPERIMENTS.every((experiment) => experiment.name !== name));
    if (unknown === undefined) return values;
    throw new Error(`There is no experiment ${unknown}: there are ${EXPERIMENTS.map(({ name }) => name).join(", ")}.`);
  } catch (error) {
    process.stderr.write(`${error.message}\n`);
    process.exit(2);
  }
}

function seconds1(seconds) {
  return seconds.toFixed(1);
}

function section(experiment, took) {
  const { title, paper, claim, columns, rows, seeds, plots = [] } = experiment;
  return {
    heading: title,
    parts: [
      { kind: "paragraph", text: `${paper}. ${claim}` },
      { kind: "paragraph", text: verdictOf(experiment, size) },
      {
        kind: "table",
        head: columns,
        rows: rows.map((row) => row.map((cell) => format(cell))),
        caption: `Seeds ${seeds.join(", ")}; ± 95 % (Student's t). ${took}.`,
      },
      ...plots.map(figure),
    ],
  };
}

/** Lines with dots, and bars for 95 % intervals. */
function figure({ title, x, y, logX = false, series: lines }) {
  const marks = (Plot) =>
    lines.flatMap(({ points }, i) => [
      Plot.ruleX(
        points.filter(({ half }) => half > 0),
        { x: "x", y1: (p) => p.y - p.half, y2: (p) => p.y + p.half, stroke: series(i), strokeOpacity: 0.5 },
      ),
      Plot.lineY(points, { x: "x", y: "y", stroke: series(i), strokeWidth: 2 }),
      Plot.dot(points, { x: "x", y: "y", fill: series(i), r: 3 }),
    ]);
  return {
    kind: "figure",
    title,
    caption: title,
    legend: lines.length > 1 ? lines.map(({ name }, i) => ({ label: name, color: series(i) })) : [],
    plot: (Plot, { wide }) => ({
      height: wide ? 340 : 260,
      grid: true,
      x: { label: x, ...(logX ? { type: "log" } : {}) },
      y: { label: y },
      marks: marks(Plot),
    }),
  };
}
