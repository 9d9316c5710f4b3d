// The table of docs/guides/imatrix.md: the scale imatrix beside rms on the embedded model, with an importance matrix that llama-imatrix makes of text that
// is not read here. Needs `npm run setup` and llama.cpp's llama-imatrix.
//   node scripts/figures/imatrix.mjs PATH/TO/llama-imatrix
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { loadModel } from "../../dist/esm/llama.js";

const [program] = process.argv.slice(2);
if (program === undefined) throw new Error("usage: node scripts/figures/imatrix.mjs PATH/TO/llama-imatrix");
const MODELS = join(dirname(dirname(dirname(fileURLToPath(import.meta.url)))), "models");
const MODEL = join(MODELS, "fairytales-3M-Q8_0.gguf");
const CONTEXT = 256;
/** Tokens that are read here; the matrix is of those after them, up to the second number. */
const READ = 2040;
const END = 6120;
const DRAWS = 4;
const SIGMAS = [0.1, 0.2];
const ONLY = ["blk.*.attn_*.weight", "blk.*.ffn_*.weight"];

const model = await loadModel(MODEL, { threads: 1 });
const text = readFileSync(join(MODELS, "fairytales-heldout.txt"), "utf8");
const folder = mkdtempSync(join(tmpdir(), "brownian-figure-"));
try {
  const imatrix = join(folder, "imatrix.gguf");
  const other = join(folder, "text.txt");
  writeFileSync(other, model.text(model.tokenize(text).slice(READ, END)));
  const made = spawnSync(program, ["-m", MODEL, "-f", other, "-o", imatrix, "-c", String(CONTEXT), "-t", "1", "-ngl", "0"]);
  if (made.status !== 0) throw new Error(`llama-imatrix failed: ${made.stderr}`);

  const windows = model.windows(text, { maxTokens: READ });
  const kept = [];
  const clean = { likeliest: [], nll: 0 };
  const tokens = await model.score(windows, { keep: (of, window) => (kept[window] = of) }, (expected) => {
    clean.likeliest.push(expected.likeliest);
    clean.nll -= expected.logProbability;
  });
  console.log("| sigma | scale | flips | KL to the clean model | NLL more |\n| ---: | --- | ---: | ---: | ---: |");
  for (const sigma of SIGMAS)
    for (const scale of [{ scale: "rms" }, { scale: "imatrix", imatrix }]) {
      const draws = [];
      for (let seed = 0n; seed < BigInt(DRAWS); seed++) {
        const sums = { flips: 0, kl: 0, nll: 0 };
        await model.score(windows, { sigma, seed, only: ONLY, reference: kept, ...scale }, (expected) => {
          if (expected.likeliest !== clean.likeliest[expected.position]) sums.flips++;
          sums.kl += expected.divergence;
          sums.nll -= expected.logProbability;
        });
        draws.push([(100 * sums.flips) / tokens, sums.kl / tokens, (sums.nll - clean.nll) / tokens]);
      }
      const cell = (column, digits) => {
        const mean = draws.reduce((sum, draw) => sum + draw[column], 0) / DRAWS;
        const error = Math.sqrt(draws.reduce((sum, draw) => sum + (draw[column] - mean) ** 2, 0) / (DRAWS - 1) / DRAWS);
        return `${mean.toFixed(digits)} ± ${error.toFixed(digits)}`;
      };
      console.log(`| ${sigma} | \`${scale.scale}\` | ${cell(0, 1)} % | ${cell(1, 4)} | ${cell(2, 3)} |`);
    }
} finally {
  rmSync(folder, { recursive: true });
  await model.dispose();
}
