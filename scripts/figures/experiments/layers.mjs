// Noise in some of the layers only: at sigmas with equal flips on a text, are moved weights of one part better at finding answers than of another?
//   node scripts/figures/experiments/layers.mjs MODEL.gguf [FLIPS] [TEXT]
import { readFileSync } from "node:fs";
import { answer, differ, open, percent, questionsOf, row, share, summary } from "./common.mjs";

const [path, flips = "0.15", text = "models/fairytales-heldout.txt"] = process.argv.slice(2);
const [SAMPLES, QUESTIONS, TOKENS] = [8, 48, 256];
const PARTS = {
  all: ["*"],
  "layers 0 to 9": ["blk.[0-9].*"],
  "layers 10 to 19": ["blk.1[0-9].*"],
  "layers 20 to 29": ["blk.2[0-9].*"],
  attention: ["*attn_[qkvo]*"],
  "feed-forward": ["*ffn_[gud]*"],
  norms: ["*norm*"],
};
const model = await open(path);
const windows = model.windows(readFileSync(text, "utf8"), { length: 128 }).slice(0, TOKENS / 128);
const likeliest = [];
const tokens = await model.score(windows, {}, (expected) => likeliest.push(expected.likeliest));

/** Share of flips, the mean of two draws. */
async function flipsAt(only, sigma) {
  let count = 0;
  for (const seed of [0n, 1n]) {
    let at = 0;
    await model.score(windows, { sigma, seed, only }, ({ likeliest: other }) => {
      if (other !== likeliest[at++]) count++;
    });
  }
  return count / tokens / 2;
}

/** By halving in ln sigma: flips grow with it. */
async function sigmaFor(only, target) {
  let [low, high] = [0.005, 1.28];
  let [below, above] = [0, 1];
  for (let i = 0; i < 6; i++) {
    const sigma = Math.sqrt(low * high);
    const share = await flipsAt(only, sigma);
    if (share < target) [low, below] = [sigma, share];
    else [high, above] = [sigma, share];
  }
  return low * (high / low) ** ((target - below) / (above - below));
}

const { tuning } = questionsOf("capital", QUESTIONS);
row("what moves", "sigma", "one answer", "vote", "any right", "any right beside all");
row("---", "---:", "---:", "---:", "---:", "---");
let all;
for (const [name, only] of Object.entries(PARTS)) {
  const sigma = await sigmaFor(only, Number(flips));
  const samples = [];
  for (let draw = 0; draw < SAMPLES; draw++)
    samples.push(await answer(model, tuning, { sigma, only, noiseSeed: BigInt(100 + draw) }));
  const { one, vote, any } = summary(samples);
  all ??= any;
  row(name, sigma.toFixed(4), percent(one), percent(share(vote)), percent(share(any)), any === all ? "" : differ(any, all));
}
await model.dispose();
