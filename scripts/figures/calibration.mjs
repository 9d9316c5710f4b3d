// The tables of docs/guides/calibration.md on the embedded model: its profile, the map from temperature to sigma, and that map checked with
// fresh seeds. Needs `npm run setup`; the profile itself is made by `brownian calibrate` with the options that the page names.
//   node scripts/figures/calibration.mjs            the tables
//   node scripts/figures/calibration.mjs --check    and the check, some minutes of one thread
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { calibrate, loadModel } from "../../dist/llama/index.js";
import { softmaxFlipRate, weightSigma, weightSigmaInterval } from "../../dist/statistics/calibration.js";

const MODELS = join(dirname(dirname(dirname(fileURLToPath(import.meta.url)))), "models");
const MODEL = join(MODELS, "fairytales-3M-Q8_0.gguf");
const TEMPERATURES = [0.1, 0.2, 0.3, 0.4, 0.5];
const CHECKED = { temperatures: [0.2, 0.3, 0.4], seeds: [7n, 99n], draws: 8 };

const percent = (share) => (100 * share).toFixed(1);
const table = (rows) => rows.map((row) => `| ${row.join(" | ")} |`).join("\n");
const profile = JSON.parse(readFileSync(MODEL.replace(".gguf", ".calibration.json"), "utf8"));

console.log(
  table([
    ["sigma", "flips", "95 %", "smoothed", "KL", "NLL more"],
    ["---:", "---:", "---:", "---:", "---:", "---:"],
    ...profile.noise.map(({ sigma, flipRate, low, high, smoothed, kl, nll }) => [
      ...[sigma, `${percent(flipRate)} %`, `${percent(low)} to ${percent(high)} %`, `${percent(smoothed)} %`],
      ...[kl.toFixed(3), (nll - profile.nll).toFixed(3)],
    ]),
  ]),
);
console.log();
console.log(
  table([
    ["T", "sigma as surprising", "95 %"],
    ["---:", "---:", "---"],
    ...TEMPERATURES.map((t) => {
      const [low, high] = weightSigmaInterval(profile, t);
      return [
        t,
        ...[weightSigma(profile, t), `${low.toPrecision(3)} to ${high.toPrecision(3)}`].map((x) => x.toPrecision?.(3) ?? x),
      ];
    }),
  ]),
);

if (process.argv.includes("--check")) {
  const model = await loadModel(MODEL, { threads: 1 });
  const text = readFileSync(join(MODELS, "fairytales-heldout.txt"), "utf8");
  const sigmas = CHECKED.temperatures.map((t) => weightSigma(profile, t));
  const checks = [];
  for (const seed of CHECKED.seeds)
    checks.push(await calibrate(model, text, { sigmas, seed, draws: CHECKED.draws, precision: 1e-6 }));
  await model.dispose();
  console.log();
  console.log(
    table([
      ["T", "softmax's rate", ...CHECKED.seeds.map((seed) => `seed ${seed}`)],
      ["---:", "---:", ...CHECKED.seeds.map(() => "---")],
      ...CHECKED.temperatures.map((t, i) => [
        ...[t, `${percent(softmaxFlipRate(checks[0], t))} %`],
        ...checks.map(({ noise }) => `${percent(noise[i].flipRate)} % (${percent(noise[i].low)} to ${percent(noise[i].high)})`),
      ]),
    ]),
  );
}
