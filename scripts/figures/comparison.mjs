// The tables of docs/results/comparison.md, and docs/figures/frontier.svg, from the comparisons that the page names. Needs `npm run setup`.
//   node scripts/figures/comparison.mjs FOLDER FOLDER       of comparisons that are there, of seed 0 (all methods) and seed 1
//   node scripts/figures/comparison.mjs --run FOLDER FOLDER makes them first: some minutes of one thread
import { spawnSync } from "node:child_process";
import { copyFileSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
/** All windows and all texts: a comparison of no given precision. */
const ALL = ["--precision", "0", "--precision-nats", "0"];
const RUNS = [ALL, [...ALL, "--seed", "1", "--methods", "greedy,quenched,andersen,logits"]];
const LABELS = {
  softmax: "softmax",
  logits: "logit noise",
  quenched: "quenched",
  white: "white",
  andersen: "andersen",
  langevin: "langevin",
};
const METRICS = {
  nll: "NLL, nats a token",
  selfBleu: "self-BLEU",
  distinct2: "distinct-2",
  repetition: "repetition",
  rare: "rare tokens",
};
const TICKS = [1, 16, 32, 64];

const folders = process.argv.slice(2).filter((name) => name !== "--run");
if (folders.length !== RUNS.length) throw new Error("usage: node scripts/figures/comparison.mjs [--run] SEED0 SEED1");
if (process.argv.includes("--run"))
  for (const [i, more] of RUNS.entries()) {
    const command = [join(ROOT, "dist/esm/cli.js"), "compare", "-o", folders[i], "--threads", "1", ...more];
    if (spawnSync(process.execPath, command, { stdio: "inherit" }).status !== 0) process.exit(1);
  }
const all = folders.map((folder) => JSON.parse(readFileSync(join(folder, "results.json"), "utf8")));
const [first] = all;

const signed = (x, digits) => `${x < 0 ? "−" : "+"}${Math.abs(x).toFixed(digits)}`;
/** A difference with its interval, bold where that does not contain 0. */
function difference({ value, low, high }, digits, times = 1) {
  if (value === null || value === undefined) return "not run";
  const shown = `${signed(times * value, digits)} (${signed(times * low, digits)} to ${signed(times * high, digits)})`;
  return low > 0 || high < 0 ? `**${shown}**` : shown;
}
const table = (head, align, rows) => console.log(`${[head, align, ...rows].map((row) => `| ${row.join(" | ")} |`).join("\n")}\n`);
const moved = ({ settings }) => settings.methods.filter((name) => !["greedy", "softmax"].includes(name));

console.log("## Are the flip rates equal?\n");
console.log(
  `factors: ${Object.entries(first.factors)
    .map(([name, x]) => `${name} ${x.toFixed(2)}`)
    .join(", ")}\n`,
);
const names = moved(first);
table(
  ["T", "softmax", ...names.map((name) => LABELS[name])],
  ["---:", "---:", ...names.map(() => "---:")],
  first.settings.levels.map((level) => {
    const at = (name) => first.flips.find((flip) => flip.method === name && flip.level === level);
    const rate = `${(100 * at("softmax").rate.value).toFixed(1)} %`;
    return [level, rate, ...names.map((name) => difference(at(name).difference, 1, 100))];
  }),
);

console.log("## At equal flip rates\n");
for (const comparison of all) {
  const pooled = (method, metric) =>
    comparison.pooled.find((one) => one.method === method && one.metric === metric && one.at === "equal flips");
  table(
    [`seed ${comparison.settings.seed}`, ...Object.values(METRICS)],
    Array.from({ length: 1 + Object.keys(METRICS).length }, () => "---"),
    moved(comparison).map((method) => [
      LABELS[method],
      ...Object.keys(METRICS).map((metric) => difference(pooled(method, metric), 3)),
    ]),
  );
}

console.log("## At equal diversity\n");
table(
  ["", ...all.map(({ settings }) => `seed ${settings.seed}`)],
  ["---", ...all.map(() => "---")],
  names.map((method) => {
    const of = (comparison) =>
      comparison.pooled.find((one) => one.method === method && one.metric === "nll" && one.at !== "equal flips");
    return [LABELS[method], ...all.map((comparison) => difference(of(comparison) ?? {}, 3))];
  }),
);
for (const { method, level, value, low, high } of first.atEqualDiversity.filter(({ level }) =>
  first.settings.beyond.includes(level),
))
  console.log(`${method} at T = ${level}: ${value === null ? "out of reach" : difference({ value, low, high }, 2)}`);

console.log("\n## Weights remember as they should\n");
const at = (name, tick) => first.memory[name].find((one) => one.tick === tick);
table(
  ["tokens t", ...TICKS],
  ["---", ...TICKS.map(() => "---:")],
  [
    ["e^(−t/tau), theory of `andersen`", ...TICKS.map((tick) => at("andersen", tick).theory.correlation.toFixed(3))],
    ["theory of `langevin`", ...TICKS.map((tick) => at("langevin", tick).theory.correlation.toFixed(3))],
    ...["langevin", "andersen", "white"].map((name) => [
      `\`${name}\``,
      ...TICKS.map((tick) => Math.max(0, at(name, tick).correlation).toFixed(3)),
    ]),
  ],
);
for (const [name, list] of Object.entries(first.memory))
  console.log(`${name}: variance ${list.map(({ variance }) => variance.toFixed(2)).join(" ")}`);
console.log("\n## Tokens a second\n");
for (const { method, level, tokensPerSecond } of first.points) console.log(`${method} ${level}: ${tokensPerSecond.toFixed(0)}`);

copyFileSync(join(folders[0], "frontier.svg"), join(ROOT, "docs", "figures", "frontier.svg"));
