// What every example hands back, and the interval it reports. An example is one file here; its `run(size, progress)` does the experiment:
// size "full" as documented, "small" within seconds, for tests; progress(share done from 0 to 1, what is being done).

/**
 * @typedef {{ mean: number, half: number, n: number }} Interval mean ± half: 95 %, Student's t over n seeds
 * @typedef {{ title: string, x: string, y: string, logX?: boolean, series: { name: string, points: { x: number, y: number, half?: number }[] }[] }} Plot
 * @typedef {object} Experiment
 * @property {string} title
 * @property {string} paper authors, year, title
 * @property {string} claim the paper's point, as tested here
 * @property {string[]} columns
 * @property {(string | number | Interval)[][]} rows
 * @property {number[]} seeds
 * @property {boolean} reproduced whether the claim held
 * @property {string} verdict one sentence with the figures that decide
 * @property {Plot[]} [plots]
 */

/** Student's t: the 97.5 % quantile for 1, 2, 3, … degrees of freedom; the normal's beyond. */
const T975 = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.16, 2.145, 2.131, 2.12];

/** Mean and 95 % interval over seeds; of one seed the interval is unknown (NaN). @returns {Interval} */
export function interval(values) {
  const n = values.length;
  const mean = values.reduce((a, b) => a + b, 0) / n;
  if (n < 2) return { mean, half: Number.NaN, n };
  const variance = values.reduce((sum, v) => sum + (v - mean) ** 2, 0) / (n - 1);
  return { mean, half: (T975[n - 2] ?? 1.96) * Math.sqrt(variance / n), n };
}

/** An interval or number as text. */
export function format(cell, digits = 4) {
  if (typeof cell === "string") return cell;
  if (typeof cell === "number") return Number.isInteger(cell) ? String(cell) : cell.toPrecision(digits);
  const { mean, half } = cell;
  const decimals = Math.min(Math.max(0, 1 - Math.floor(Math.log10(half || Math.abs(mean) / 1000 || 1))), 8);
  return Number.isNaN(half) ? mean.toPrecision(digits) : `${mean.toFixed(decimals)} ± ${half.toFixed(decimals)}`;
}

/**
 * Whether the claim held, in words; at the size of the tests nothing is decided.
 * @param {Experiment} experiment
 * @param {"small" | "full"} size
 */
export function verdictOf({ reproduced, verdict }, size) {
  if (size === "small") return "Too small to decide anything.";
  return `${reproduced ? "Reproduced" : "**Not reproduced**"}: ${verdict}`;
}

/** An experiment as a Markdown section. @param {Experiment} experiment @param {"small" | "full"} size */
export function markdown(experiment, size = "full") {
  const { title, paper, claim, columns, rows, seeds } = experiment;
  const line = (cells) => `| ${cells.join(" | ")} |`;
  const table = [columns, columns.map(() => "---"), ...rows.map((row) => row.map((cell) => format(cell)))].map(line).join("\n");
  return `## ${title}\n\n${paper}. ${claim}\n\n${table}\n\nSeeds ${seeds.join(", ")}; ± 95 % (Student's t). ${verdictOf(experiment, size)}\n`;
}

/** Runs the example when its file is what Node was started with: progress on stderr, the section on stdout. */
export async function main(url, run) {
  const { pathToFileURL } = await import("node:url");
  if (process.argv[1] === undefined || pathToFileURL(process.argv[1]).href !== url) return;
  const size = process.argv.includes("--small") ? "small" : "full";
  const began = performance.now();
  const tty = process.stderr.isTTY;
  const experiment = await run(size, (share, what) => {
    if (tty) process.stderr.write(`\r\x1b[K${(100 * share).toFixed(0).padStart(3)} % ${what}`);
  });
  if (tty) process.stderr.write("\r\x1b[K");
  process.stdout.write(markdown(experiment, size));
  process.stderr.write(`${((performance.now() - began) / 1000).toFixed(1)} s\n`);
}
