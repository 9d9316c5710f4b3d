// Greedy text falls into loops. Do moving weights break them, and at what price beside a repetition penalty? Greedy texts under each, the share of
// 4-grams that a text had before (repetition), and what the clean model thinks of the text (NLL, nats a token): lower repetition at equal NLL is better.
//   node scripts/figures/experiments/loops.mjs MODEL.gguf [TEXT]
import { readFileSync } from "node:fs";
import { loadModel } from "../../../dist/esm/llama.js";
import { row } from "./common.mjs";

const [path, text = "models/fairytales-heldout.txt"] = process.argv.slice(2);
const [TEXTS, LENGTH, BEGINNING] = [24, 128, 12];
const model = await loadModel(path, { threads: 1, repack: "off", parallel: 24, contextSize: 256 });
const prompts = model
  .windows(readFileSync(text, "utf8"), { length: 128 })
  .slice(0, TEXTS)
  .map((window) => window.slice(0, BEGINNING));

const repetition = (ids) => {
  const grams = ids.slice(3).map((_, i) => ids.slice(i, i + 4).join());
  return grams.length === 0 ? 0 : 1 - new Set(grams).size / grams.length;
};
const mean = (list) => list.reduce((sum, x) => sum + x, 0) / list.length;
const error = (list) => Math.sqrt(mean(list.map((x) => (x - mean(list)) ** 2)) / (list.length - 1));

async function measure(name, weights, dice) {
  const written = await model.completeAll(
    prompts.map((prompt, i) => ({ prompt, ...dice, seed: i })),
    { maxTokens: LENGTH, endless: true, ...weights },
  );
  const seen = await model.followAll(written.map(({ ids }, i) => ({ prompt: prompts[i], ids })));
  const repeats = written.map(({ ids }) => repetition(ids));
  const nll = seen.map((tokens) => -mean(tokens.map(({ logProbability }) => logProbability)));
  const cell = (list) => `${mean(list).toFixed(3)} ± ${error(list).toFixed(3)}`;
  row(name, cell(repeats), cell(nll));
}

row("greedy with", "repetition", "NLL of the clean model");
row("---", "---:", "---:");
await measure("nothing", {}, {});
for (const repeatPenalty of [1.05, 1.1, 1.2, 1.4]) await measure(`repeat penalty ${repeatPenalty}`, {}, { repeatPenalty });
for (const temperature of [0.3, 0.5, 0.7]) await measure(`softmax at ${temperature}`, {}, { temperature });
for (const dynamics of ["quenched", "andersen", "langevin"])
  for (const sigma of [0.02, 0.04, 0.06]) await measure(`${dynamics}, sigma ${sigma}`, { sigma, dynamics, tau: 32 }, {});
await model.dispose();
