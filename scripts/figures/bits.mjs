// Whether an audit says which tensors need bits: quantizes a model four times with llama-quantize, half of the layers' weights at Q8_0 and half at Q4_0,
// and reads a text with each. The frail half at Q8_0, the sturdy half, and two halves by a throw of dice: all of about one size. Intervals are of
// differences token by token, which neighbours in a text share: a little too narrow.
//   node scripts/figures/bits.mjs MODEL-F16.gguf AUDIT/results.json LLAMA-QUANTIZE [TEXT] [TOKENS]
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Noise } from "../../dist/esm/index.js";
import { loadModel } from "../../dist/esm/llama.js";
import { average, halfInterval } from "../../dist/statistics/rates.js";

const [model, audit, quantize, text = "models/fairytales-heldout.txt", tokens = "4096"] = process.argv.slice(2);
if (quantize === undefined) throw new Error("Give a model, its audit and the program llama-quantize.");
const { groups } = JSON.parse(readFileSync(audit, "utf8"));
const layered = groups.filter(({ layer, tensors }) => layer !== null && tensors.length > 0);
const all = layered.reduce((sum, { weights }) => sum + weights, 0);

/** The first groups of a list, up to half of the weights. */
function half(order) {
  let taken = 0;
  return order.filter(({ weights }) => {
    if (taken + weights > all / 2) return false;
    taken += weights;
    return true;
  });
}

const byFragility = [...layered].sort((a, b) => b.fragility / b.weights - a.fragility / a.weights);
const thrown = (tick) => {
  const dice = new Noise(0n).stream("bits").uniform(new Float32Array(layered.length), { tick });
  return layered.map((group, i) => [dice[i], group]).sort((a, b) => a[0] - b[0]);
};
const CHOICES = {
  "frail half": half(byFragility),
  "sturdy half": half([...byFragility].reverse()),
  "dice, first": half(thrown(0).map(([, group]) => group)),
  "dice, second": half(thrown(1).map(([, group]) => group)),
};

const folder = mkdtempSync(join(tmpdir(), "brownian-bits-"));
try {
  process.stdout.write("| Q8_0 | bytes | NLL, nats a token | more than with the frail half, 95 % |\n|---|---:|---:|---:|\n");
  let least;
  for (const [name, chosen] of Object.entries(CHOICES)) {
    const output = join(folder, "model.gguf");
    const flags = chosen.flatMap(({ tensors }) =>
      tensors.flatMap((one) => ["--tensor-type", `^${one.replaceAll(".", "\\.")}$=q8_0`]),
    );
    const { status, stderr } = spawnSync(quantize, [...flags, model, output, "Q4_0", "1"], { encoding: "utf8" });
    if (status !== 0) throw new Error(`llama-quantize failed: ${stderr.trim().split("\n").at(-1)}`);
    const loaded = await loadModel(output, { threads: 1, repack: "off" });
    const nll = [];
    await loaded.score(readFileSync(text, "utf8"), { maxTokens: Number(tokens) }, ({ logProbability }) => {
      nll.push(-logProbability);
    });
    await loaded.dispose();
    least ??= nll;
    const more = nll.map((x, i) => x - least[i]);
    const beside = nll === least ? "" : `${average(more).toFixed(4)} ± ${halfInterval(more).toFixed(4)}`;
    process.stdout.write(`| ${name} | ${statSync(output).size} | ${average(nll).toFixed(4)} | ${beside} |\n`);
  }
} finally {
  rmSync(folder, { recursive: true });
}
