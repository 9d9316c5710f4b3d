// What noise of low rank costs while text is written: processor time a token with one engine thread, each case in turn (docs/guides/llama-server.md).
// Time of the clock says little on a machine that others use. usage: npm run setup && node scripts/figures/adapter-cost.mjs [MODEL] [ROUNDS]

import { loadModel } from "../../dist/llama/index.js";

const [path = new URL("../../models/fairytales-3M-Q8_0.gguf", import.meta.url).pathname, rounds = "6"] = process.argv.slice(2);
const TOKENS = 64;
/** The first tokens have the prompt in them. */
const FROM = 4;
const adapter = { carrier: "adapter", sigma: 0.03 };
const CASES = {
  clean: {},
  "rank 1": adapter,
  "rank 8": { ...adapter, rank: 8 },
  "langevin, 4 members": { ...adapter, dynamics: "langevin" },
};

const model = await loadModel(path, { threads: 1 });
const costs = Object.fromEntries(Object.keys(CASES).map((name) => [name, []]));
for (let round = 0; round < Number(rounds); round++)
  for (const [name, options] of Object.entries(CASES)) {
    let count = 0;
    let since;
    const onToken = () => {
      if (++count === FROM) since = process.cpuUsage();
    };
    const settings = { ...options, seed: 1n, maxTokens: TOKENS, endless: true, countChanges: false, onToken };
    await model.complete("Once upon a time there was a king who", settings);
    const { user, system } = process.cpuUsage(since);
    costs[name].push((user + system) / 1000 / (TOKENS - FROM));
  }
await model.dispose();
for (const [name, all] of Object.entries(costs)) {
  const sorted = all.toSorted((a, b) => a - b);
  const median = sorted[Math.floor(sorted.length / 2)];
  console.log(`${name.padEnd(20)} ${median.toFixed(2)} ms of processor a token (median), ${sorted[0].toFixed(2)} (least)`);
}
