// npm run bench:texts: tokens a second of a model at rest and under each dynamics, in turns in one process, so that a noisy minute falls on all alike: each
// text's speed is divided by that of the text at rest of the same round. One engine thread. Medians of the rounds with their quartiles; prints Markdown.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { Command } from "commander";
import { loadModel } from "../dist/llama/index.js";
import { writeWriter } from "./scale-models.mjs";

const whole = (text) => Number.parseInt(text, 10);
const options = new Command("npm run bench:texts --")
  .description("Measures how fast a model writes while its weights move.")
  .option("-m, --model <file>", "GGUF model", "models/fairytales-3M-Q8_0.gguf")
  .option("--synthetic <type>", "instead, 135 million random weights of width 768: Q4_K_M, or a type of ggml's (Q8_0, Q6_K, ...)")
  .option("--rounds <n>", "rounds, after one that warms up", whole, 20)
  .option("--tokens <n>", "tokens of a text", whole, 200)
  .option("--sigma <number>", "in units of each tensor's RMS", Number, 0.05)
  .option("--tau <ticks>", "correlation time", Number, 32)
  .option("--repack <when>", "as the command line's --repack: auto, on or off", "auto")
  .option("--only <names>", "dynamics, with commas (default: all)")
  .allowExcessArguments(false)
  .parse()
  .opts();

const { sigma, tau } = options;
const only = options.only?.split(",");
const ways = {
  "at rest": {},
  quenched: { sigma },
  andersen: { sigma, tau, dynamics: "andersen" },
  langevin: { sigma, tau, dynamics: "langevin" },
  wiener: { sigma, tau, dynamics: "wiener" },
  white: { sigma, dynamics: "white" },
};
for (const name of Object.keys(ways)) if (name !== "at rest" && only && !only.includes(name)) delete ways[name];

if (options.synthetic !== undefined) {
  const folder = mkdtempSync(join(tmpdir(), "brownian-texts-"));
  process.once("SIGINT", () => process.exit(130));
  process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
  const vocabulary = options.model;
  options.model = join(folder, `synthetic-135M-${options.synthetic}.gguf`);
  await writeWriter(options.model, options.synthetic, vocabulary);
}
const began = performance.now();
const model = await loadModel(options.model, { threads: 1, contextSize: 2 * options.tokens + 64, repack: options.repack });
const opened = performance.now() - began;
const measured = Object.fromEntries(Object.keys(ways).map((name) => [name, []]));
for (let round = 0; round <= options.rounds; round++) {
  for (const [name, settings] of Object.entries(ways)) {
    let first;
    const asked = performance.now();
    const onToken = () => {
      first ??= performance.now() - asked;
    };
    const text = { ...settings, maxTokens: options.tokens, seed: BigInt(round), endless: true, onToken };
    const { tokensPerSecond } = await model.complete("Once upon a time", text);
    if (round > 0) measured[name].push({ rate: tokensPerSecond, first });
  }
}
const closing = performance.now();
await model.dispose();
const closed = performance.now() - closing;

const quantile = (values, q) => values.toSorted((a, b) => a - b)[Math.round(q * (values.length - 1))];
const told = (values, digits) => {
  const [low, median, high] = [0.25, 0.5, 0.75].map((q) => quantile(values, q).toFixed(digits));
  return `${median} (${low} to ${high})`;
};
console.log(
  `${basename(options.model)}, sigma ${sigma}, tau ${tau}, repack ${options.repack}, ${options.rounds} rounds of ${options.tokens} tokens`,
);
console.log(`opened in ${opened.toFixed(0)} ms, closed in ${closed.toFixed(0)} ms; medians (quartiles)\n`);
console.log("| weights | tokens/s | of those at rest in the same round | ms to the first token |\n| --- | ---: | ---: | ---: |");
for (const [name, texts] of Object.entries(measured)) {
  const shares = texts.map(({ rate }, i) => rate / measured["at rest"][i].rate);
  console.log(
    `| ${name} | ${told(
      texts.map(({ rate }) => rate),
      0,
    )} | ${told(shares, 2)} | ${told(
      texts.map(({ first }) => first),
      0,
    )} |`,
  );
}
