// What noise of low rank costs while text is written (docs/guides/llama-server.md): with our own engine, processor time a token with one engine thread,
// each case in turn, since time of the clock says little on a machine that others use; of a llama-server that has members (--lora-init-without-apply),
// what it says itself of its time, without a member and with the first one at scale 1.
// usage: npm run setup && node scripts/figures/adapter-cost.mjs [MODEL | http://localhost:8080] [ROUNDS]

import { loadModel } from "../../dist/llama/index.js";

const [path = new URL("../../models/fairytales-3M-Q8_0.gguf", import.meta.url).pathname, rounds = "6"] = process.argv.slice(2);
const PROMPT = "Once upon a time there was a king who";
const TOKENS = 64;
/** The first tokens have the prompt in them. */
const FROM = 4;

/** [name, milliseconds a token of each round] */
async function ofOurEngine() {
  const adapter = { carrier: "adapter", sigma: 0.03 };
  const cases = {
    clean: {},
    "rank 1": adapter,
    "rank 8": { ...adapter, rank: 8 },
    "langevin, 4 members": { ...adapter, dynamics: "langevin" },
  };
  const model = await loadModel(path, { threads: 1 });
  const costs = await inTurns(cases, async (options) => {
    let count = 0;
    let since;
    const onToken = () => {
      if (++count === FROM) since = process.cpuUsage();
    };
    await model.complete(PROMPT, { ...options, seed: 1n, maxTokens: TOKENS, endless: true, countChanges: false, onToken });
    const { user, system } = process.cpuUsage(since);
    return (user + system) / 1000 / (TOKENS - FROM);
  });
  await model.dispose();
  return costs;
}

async function ofServer(url) {
  const ask = async (way, body) => {
    const response = await fetch(new URL(way, url), body && { method: "POST", body: JSON.stringify(body) });
    if (!response.ok) throw new Error(`${url}: HTTP status ${response.status}: ${await response.text()}`);
    return response.json();
  };
  const members = await ask("/lora-adapters");
  const scales = (first) => members.map(({ id }, i) => ({ id, scale: i === 0 ? first : 0 }));
  return inTurns({ clean: scales(0), "a member": scales(1) }, async (lora) => {
    const request = { prompt: PROMPT, n_predict: TOKENS, ignore_eos: true, temperature: 0, cache_prompt: false, lora };
    return (await ask("/completion", request)).timings.predicted_per_token_ms;
  });
}

async function inTurns(cases, measure) {
  const costs = Object.fromEntries(Object.keys(cases).map((name) => [name, []]));
  for (let round = 0; round < Number(rounds); round++)
    for (const [name, one] of Object.entries(cases)) costs[name].push(await measure(one));
  return costs;
}

const served = path.startsWith("http");
for (const [name, all] of Object.entries(await (served ? ofServer(path) : ofOurEngine()))) {
  const sorted = all.toSorted((a, b) => a - b);
  const median = sorted[Math.floor(sorted.length / 2)];
  const what = served ? "ms a token" : "ms of processor a token";
  console.log(`${name.padEnd(20)} ${median.toFixed(2)} ${what} (median), ${sorted[0].toFixed(2)} (least)`);
}
