// What the scale fragility is worth beside rms: KL and NLL at equal flip rates, on text that the audit has not read (from token 1024 on).
//   node scripts/figures/scales.mjs MODEL.gguf AUDIT/results.json [TEXT]
import { readFileSync } from "node:fs";
import { loadModel } from "../../dist/esm/llama.js";

const [path, audit, text = "models/fairytales-heldout.txt"] = process.argv.slice(2);
if (audit === undefined) throw new Error("Give a model and its audit.");
const SIGMAS = [0.02, 0.04, 0.08, 0.12, 0.18, 0.26];
const FLIPS = [0.05, 0.1, 0.2];
const DRAWS = 6;
const WINDOW = 128;
const WINDOWS = 8;

const model = await loadModel(path, { threads: 1, repack: "off" });
const windows = model.windows(readFileSync(text, "utf8"), { length: WINDOW }).slice(8, 8 + WINDOWS);
const kept = [];
const likeliest = [];
let clean = 0;
const tokens = await model.score(windows, { keep: (of, window) => (kept[window] = of) }, (expected) => {
  likeliest.push(expected.likeliest);
  clean -= expected.logProbability;
});

async function read(scale, sigma, seed) {
  const sums = { flips: 0, kl: 0, nll: 0 };
  await model.score(windows, { sigma, seed, reference: kept, ...scale }, (expected) => {
    if (expected.likeliest !== likeliest[expected.position]) sums.flips++;
    sums.kl += expected.divergence;
    sums.nll -= expected.logProbability;
  });
  return [sums.flips / tokens, sums.kl / tokens, (sums.nll - clean) / tokens];
}

/** Straight between points. */
function at(points, flips, column) {
  const above = points.findIndex(([share]) => share >= flips);
  if (above < 1) return Number.NaN;
  const [a, b] = [points[above - 1], points[above]];
  return a[column] + ((b[column] - a[column]) * (flips - a[0])) / (b[0] - a[0]);
}

process.stdout.write(
  "| draw | flips | KL rms | KL fragility | NLL more rms | NLL more fragility |\n|---:|---:|---:|---:|---:|---:|\n",
);
const ratios = FLIPS.map(() => []);
for (let draw = 0; draw < DRAWS; draw++) {
  const points = { rms: [], fragility: [] };
  for (const [name, scale] of Object.entries({ rms: { scale: "rms" }, fragility: { scale: "fragility", audit } }))
    for (const sigma of SIGMAS) points[name].push(await read(scale, sigma, BigInt(draw)));
  for (const [i, flips] of FLIPS.entries()) {
    const [kl, other, nll, more] = [1, 2].flatMap((column) => [
      at(points.rms, flips, column),
      at(points.fragility, flips, column),
    ]);
    ratios[i].push(other / kl);
    const cells = [kl, other, nll, more].map((x) => x.toFixed(4));
    process.stdout.write(`| ${draw} | ${100 * flips} % | ${cells.join(" | ")} |\n`);
  }
}
for (const [i, flips] of FLIPS.entries()) {
  const mean = ratios[i].reduce((sum, x) => sum + x, 0) / DRAWS;
  const error = Math.sqrt(ratios[i].reduce((sum, x) => sum + (x - mean) ** 2, 0) / (DRAWS - 1) / DRAWS);
  process.stdout.write(
    `KL fragility / rms at ${100 * flips} % flips: ${mean.toFixed(3)} +- ${error.toFixed(3)} (standard error of ${DRAWS} draws)\n`,
  );
}
await model.dispose();
