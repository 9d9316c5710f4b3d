// Frozen texts: what the embedded model writes, greedily, by softmax and with weights in motion. Moves are the same on every machine; the
// engine's own sums are not, so that these hold for the instruction set that they were frozen on, and for the clean text everywhere.
// Written anew with FREEZE=1 npx vitest run test/house/frozen-texts.test.ts, with a reason in the changelog.
import { readFileSync, writeFileSync } from "node:fs";
import { afterAll, beforeAll, expect, it } from "vitest";
import { nativeTargets } from "../../src/kernels/native.js";
import { type GenerateOptions, loadModel, type Model } from "../../src/llama/index.js";
import { DYNAMICS } from "../../src/thermostat/index.js";
import { scratchFolder } from "../support/synthetic-gguf.js";

const FROZEN = new URL("./frozen-texts.json", import.meta.url);
const freezing = process.env.FREEZE === "1";
const frozen = freezing ? {} : (JSON.parse(readFileSync(FROZEN, "utf8")) as Record<string, string>);
const fresh: Record<string, string> = {};

/** What the engine computes with here: it chooses by processor, as our own targets do. */
const isa = (() => {
  try {
    return nativeTargets().find(({ runs }) => runs)!.name;
  } catch {
    return "unknown";
  }
})();
const comparable = freezing || frozen.isa === isa;
if (!comparable) console.warn(`SKIPPED frozen texts: frozen on ${frozen.isa}, and this machine has ${isa}`);

const folder = scratchFolder();
let model: Model;
beforeAll(async () => {
  model = await loadModel("models/fairytales-3M-Q8_0.gguf", { threads: 1, scratch: folder });
});
afterAll(async () => {
  await model.dispose();
  if (freezing) writeFileSync(FROZEN, `${JSON.stringify({ isa, ...fresh }, null, 2)}\n`);
});

const SEEDS = [1n, 2n, 3n, 4n, 5n];
const METHODS: Record<string, GenerateOptions> = {
  softmax: { temperature: 0.8 },
  ...Object.fromEntries(Object.keys(DYNAMICS).map((dynamics) => [dynamics, { dynamics, sigma: 0.15, tau: 8 }])),
};

async function check(name: string, options: GenerateOptions): Promise<void> {
  const { text } = await model.complete("Once upon a time", { maxTokens: 24, ...options });
  if (freezing) fresh[name] = text;
  else expect(text, name).toBe(frozen[name]);
}

it("greedy", () => check("greedy", {}));

it.skipIf(!comparable).each(Object.keys(METHODS))("%s, five seeds", async (method) => {
  for (const seed of SEEDS) await check(`${method} ${seed}`, { ...METHODS[method], seed });
});
