// npm run bench:texts: tokens a second of the embedded model at rest and under each dynamics, in turns in one process, so that a noisy minute falls on all alike.
// One engine thread. Medians of the rounds; prints Markdown.

import { loadModel } from "../dist/llama/index.js";

const ROUNDS = 20;
const TOKENS = 200;
const SIGMA = 0.05;
const WAYS = {
  "at rest": {},
  quenched: { sigma: SIGMA },
  "andersen, tau 32": { sigma: SIGMA, dynamics: "andersen", tau: 32 },
  "wiener, tau 32": { sigma: SIGMA, dynamics: "wiener", tau: 32 },
  white: { sigma: SIGMA, dynamics: "white" },
  "langevin, tau 32": { sigma: SIGMA, dynamics: "langevin", tau: 32 },
};

const model = await loadModel("models/fairytales-3M-Q8_0.gguf", { threads: 1 });
const rates = Object.fromEntries(Object.keys(WAYS).map((name) => [name, []]));
for (let round = 0; round <= ROUNDS; round++) {
  for (const [name, options] of Object.entries(WAYS)) {
    const maxTokens = name === "white" || name === "langevin, tau 32" ? TOKENS / 5 : TOKENS;
    const { tokensPerSecond } = await model.complete("Once upon a time", { ...options, maxTokens, seed: BigInt(round) });
    if (round > 0) rates[name].push(tokensPerSecond); // the first warms up
  }
}
await model.dispose();
const quantile = (values, q) => values.toSorted((a, b) => a - b)[Math.floor(q * (values.length - 1))];
console.log("| weights | tokens/s, median | quartiles | of those at rest |\n| --- | ---: | ---: | ---: |");
for (const [name, values] of Object.entries(rates)) {
  const [low, median, high] = [0.25, 0.5, 0.75].map((q) => quantile(values, q));
  const share = median / quantile(rates["at rest"], 0.5);
  console.log(`| ${name} | ${median.toFixed(0)} | ${low.toFixed(0)} to ${high.toFixed(0)} | ${share.toFixed(2)} |`);
}
