// Flips, KL and disagreement of members of low rank beside full-rank moves of the same tensors, with 95 % intervals over draws (Student's t): the
// table of docs/theory/low-rank.md. usage: npm run setup && node scripts/figures/low-rank.mjs [MODEL] [--draws 6] [--tokens 512] [--sigmas 0.05,0.1]
// [--ranks 1,4,16,64] [--endpoint-pieces]: the text in the pieces that `calibrate --endpoint` reads, at least so many tokens; its members of seed 7 are
// these draws.

import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { piecesOf } from "../../dist/llama/calibrate-endpoint.js";
import { loadModel } from "../../dist/llama/index.js";
import { table } from "../../dist/report/table.js";
import { meanInterval } from "../../dist/statistics/rates.js";

const at = (path) => new URL(`../../${path}`, import.meta.url).pathname;
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    draws: { type: "string" },
    tokens: { type: "string" },
    sigmas: { type: "string" },
    ranks: { type: "string" },
    "endpoint-pieces": { type: "boolean" },
  },
});
const draws = Number(values.draws ?? 6);
const tokens = Number(values.tokens ?? 512);
const sigmas = (values.sigmas ?? "0.05,0.1").split(",").map(Number);
const ranks = (values.ranks ?? "1,4,16,64").split(",").map(Number);
const [path = at("models/fairytales-3M-Q8_0.gguf")] = positionals;
/** The matrices of blocks, which members move too. */
const ONLY = ["attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"].map(
  (part) => `blk.*.${part}.weight`,
);

const model = await loadModel(path, { threads: 1, repack: "off" });
const text = readFileSync(at("models/fairytales-heldout.txt"), "utf8");
const windows = values["endpoint-pieces"]
  ? piecesOfEndpoints()
  : model.windows(text, { length: Math.min(256, model.windowLength), maxTokens: tokens });
const kept = [];
const likeliest = [];
await model.score(windows, { keep: (of, window) => (kept[window] = of) }, (expected) => likeliest.push(expected.likeliest));

/** Pieces of the text until they have as many tokens. */
function piecesOfEndpoints() {
  const pieces = [];
  let read = 0;
  for (const piece of piecesOf(text)) {
    if (read >= tokens) break;
    pieces.push(model.tokens(piece));
    read += pieces.at(-1).length - 1;
  }
  return pieces;
}

/** Flips and KL of one draw, and the likeliest tokens. */
async function read(options) {
  let [flips, kl] = [0, 0];
  const own = [];
  await model.score(windows, { ...options, reference: kept }, (expected) => {
    own.push(expected.likeliest);
    if (expected.likeliest !== likeliest[expected.position]) flips++;
    kl += expected.divergence;
  });
  return { flips: flips / likeliest.length, kl: kl / likeliest.length, own };
}

console.log(`${path.split("/").at(-1)}: ${likeliest.length} tokens, ${draws} draws of each`);
const rows = [];
for (const sigma of sigmas)
  for (const rank of [...ranks, undefined]) {
    const found = [];
    for (let draw = 0; draw < draws; draw++)
      found.push(
        await read(
          rank === undefined
            ? { sigma, seed: BigInt(draw), only: ONLY }
            : { sigma, seed: 7n, carrier: "adapter", rank, member: draw },
        ),
      );
    const { mean, low, high } = meanInterval(found.map(({ flips }) => flips));
    const kl = found.reduce((sum, one) => sum + one.kl, 0) / draws;
    const pairs = found.flatMap((one, i) => found.slice(i + 1).map((other) => [one.own, other.own]));
    const apart = pairs.map(([a, b]) => a.filter((token, i) => token !== b[i]).length / a.length);
    const share = (x) => `${(100 * x).toFixed(2)} %`;
    const row = [
      String(sigma),
      rank === undefined ? "full" : String(rank),
      share(mean),
      `${share(low)} to ${share(high)}`,
      kl.toFixed(4),
      share(apart.reduce((sum, x) => sum + x, 0) / apart.length),
    ];
    console.error(row.join("  ")); // this takes minutes: what is known is shown
    rows.push(row);
  }
console.log(table([["sigma", "rank", "flips", "95 %", "KL", "draws part"], ...rows], [0, 1, 2, 3, 4, 5]));
await model.dispose();
