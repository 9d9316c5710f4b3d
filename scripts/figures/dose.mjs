// The table of docs/theory/dose.md: what weights get of the sigma that was asked for, and what their law's is, on the shipped models. One draw,
// and langevin after 160 ticks; tensors of 4,096 weights or more. Needs `npm run setup`.
//   node scripts/figures/dose.mjs
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { decode, perturb, Thermostat } from "../../dist/index.js";

const MODELS = ["Q8_0", "Q4_0", "Q6_K", "Q4_K_M", "F16"];
const SIGMAS = [0.05, 0.1, 0.2, 0.5];
const TICKS = 160;
const SMALL = 4096;

const file = (model) => join(import.meta.dirname ?? ".", "..", "..", "models", `fairytales-3M-${model}.gguf`);

/** Mean of (w' - w)^2 / sigma^2 over all weights of `moved(tensor, bytes)`. */
function meanSquare(doses, pristine, moved) {
  let sum = 0;
  let weights = 0;
  for (const { tensor, dose } of doses) {
    if (tensor.weights < SMALL) continue;
    const bytes = pristine.subarray(tensor.offset, tensor.offset + tensor.bytes);
    const before = decode(tensor.type, bytes);
    const after = decode(tensor.type, moved(tensor, bytes, dose));
    for (let i = 0; i < before.length; i++) sum += (after[i] - before[i]) ** 2 / dose.asked ** 2;
    weights += before.length;
  }
  return sum / weights;
}

const mean = (values) => values.reduce((sum, x) => sum + x, 0) / values.length;

console.log("| model | sigma, RMS | law's sigma / asked, mean | mean square / asked: `perturb` of bytes | a draw | langevin |");
console.log("|---|---:|---:|---:|---:|---:|");
for (const model of MODELS) {
  const pristine = readFileSync(file(model));
  for (const sigma of SIGMAS) {
    const bath = await Thermostat.open(file(model), { sigma, dynamics: "langevin", seed: 5n });
    const drawn = await bath.doses();
    const live = () => readFileSync(bath.livePath);
    const inFile = (bytes) => (tensor) => bytes.subarray(tensor.offset, tensor.offset + tensor.bytes);
    const draw = meanSquare(drawn, pristine, inFile(live()));
    const plain = meanSquare(drawn, pristine, ({ type, name }, bytes, { asked }) => {
      const own = new Uint8Array(bytes); // slice() of a Buffer would be no copy
      perturb(own, { type, name, sigma: asked, seed: 5n });
      return own;
    });
    for (let tick = 0; tick < TICKS; tick++) await bath.tick();
    const langevin = meanSquare(await bath.doses(), pristine, inFile(live()));
    await bath.close();
    const law = mean(drawn.filter(({ tensor }) => tensor.weights >= SMALL).map(({ dose }) => dose.law / dose.asked));
    console.log(`| ${model} | ${sigma} | ${[law, plain, draw, langevin].map((x) => x.toFixed(3)).join(" | ")} |`);
  }
}
