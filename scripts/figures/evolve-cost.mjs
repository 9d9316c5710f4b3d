// node scripts/figures/evolve-cost.mjs MODEL: milliseconds of a processor that a pass of `brownian evolve` takes over the codes of a model (a member from
// the centre, its mirror image, back to the centre, the update by 8 draws, with and without an accumulator), beside the bandwidth of memory: what to
// copy as many bytes takes. The least of several, as processor time of this process: what others do meanwhile counts as little as can be.
import { parseArgs } from "node:util";
import { EvolvingCodes } from "../../dist/evolve/codes.js";
import { noiseFor } from "../../dist/evolve/search-noise.js";
import { LiveCopy, readModel } from "../../dist/files/index.js";
import { selection } from "../../dist/kernels/select.js";

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { sigma: { type: "string", default: "0.02" }, times: { type: "string", default: "5" } },
});
const [path = "models/fairytales-3M-Q8_0.gguf"] = positionals;
const [sigma, times] = [values.sigma, values.times].map(Number);
const DRAWS = 8;

/** Milliseconds of `work`, the least of several; what comes before it does not count. */
async function least(work, first = () => undefined) {
  let best = Number.POSITIVE_INFINITY;
  for (let i = 0; i < times; i++) {
    await first(i);
    const before = process.cpuUsage();
    await work(i);
    const { user, system } = process.cpuUsage(before);
    best = Math.min(best, (user + system) / 1000);
  }
  return best;
}

const model = await readModel(path);
const live = await LiveCopy.create(model);
const moves = { sigma, scale: "rms", seed: "1", only: ["blk.*"] };
const codes = await EvolvingCodes.open(model, noiseFor(moves), { livePath: live.path });
const bytes = codes.tensors.reduce((sum, tensor) => sum + tensor.bytes, 0);
const [from, to] = [Buffer.alloc(bytes, 1), Buffer.alloc(bytes, 2)];
const copy = await least(() => from.copy(to));

const ascent = (i) => ({
  tick: 1000 + 100 * i,
  weights: Array.from({ length: 2 * DRAWS }, (_, j) => (j % 2 ? 0 : 0.05)),
  decay: 0,
});
const { backend, isa } = selection().kernels;
const size = `${(codes.weights / 1e6).toFixed(1)} M weights, ${(bytes / 1e6).toFixed(0)} MB of codes and scales`;
console.log(`${size}, sigma ${sigma} RMS, ${backend} ${isa}\n`);
console.log("| pass | ms | times a copy of these bytes |\n|---|---:|---:|");
const row = (name, ms) => console.log(`| ${name} | ${ms.toFixed(0)} | ${(ms / copy).toFixed(1)} |`);
row(`copy of these bytes (${((2 * bytes) / copy / 1e6).toFixed(1)} GB/s, read and written)`, copy);

const be = (draw, sign) => (i) => codes.be(16 * i, { draw, sign });
row("a member, from the centre", await least(be(0, 1)));
row("its mirror image, from it", await least(be(1, -1), be(1, 1)));
row("back to the centre", await least(be(0, 0), be(2, 1)));
row(`the update by ${DRAWS} draws`, await least((i) => codes.ascend(ascent(i))));
await codes.close();
await live.dispose();
const kept = await EvolvingCodes.open(model, noiseFor(moves), {}, true);
row("the same with an accumulator", await least((i) => kept.ascend(ascent(i))));
await kept.close();
