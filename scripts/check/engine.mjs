// npm run trial:engine: does the engine stay well over hours of work? 10,000 tokens in 500 texts, clean and moved in turns, must not grow the
// process; 200 loads, prompts and texts that are aborted at random moments must end soon and leave nothing, and the next text must be the clean
// one. Takes --model FILE, --warm-up N, --texts N, --aborts N, --threads N, --context TOKENS. Prints figures; exit code 1 where something does not hold.
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { Noise } from "../../dist/index.js";
import { loadModel } from "../../dist/llama/index.js";

const { values } = parseArgs({
  options: {
    model: { type: "string", default: "models/fairytales-3M-Q8_0.gguf" },
    texts: { type: "string", default: "500" },
    "warm-up": { type: "string", default: "0" },
    aborts: { type: "string", default: "200" },
    threads: { type: "string", default: "1" },
    context: { type: "string" },
  },
});
const [warmUp, texts, aborts, threads] = [values["warm-up"], values.texts, values.aborts, values.threads].map(Number);

const TOKENS = 20; // a text
const MEASURES = 10;
/**
 * Memory outside of V8's heap may grow by as much after the first tenth. That heap finds its size by itself, whatever runs in it: its young generation
 * grows to three times --max-semi-space-size (16 MB), and is told apart.
 */
const MOST_GROWTH = 20e6; // bytes
const PROMPT = "Once upon a time";
const SENTENCE = "There was a king who had three daughters, and the youngest was beautiful. ";
/** Of the context, what is read before a text that is aborted while it reads. */
const FILLED = 0.8;
/** At rest, drawn once, and moved in part at every token, in each of the ways that are made ready ahead. */
const DYNAMICS = [{}, { dynamics: "quenched" }, ...["andersen", "langevin", "wiener"].map((dynamics) => ({ dynamics, tau: 32 }))];

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc");

/** Bytes of memory of this process's own (mapped files are the system's to keep or drop), and what V8's heap has of it at most. */
function ownMemory() {
  collect();
  const { rss, heapTotal: heap } = process.memoryUsage();
  if (!existsSync("/proc/self/status")) return { own: rss, heap };
  return { own: Number(/RssAnon:\s+(\d+)/.exec(readFileSync("/proc/self/status", "utf8"))[1]) * 1024, heap };
}

const scratch = mkdtempSync(join(tmpdir(), "brownian-trial-"));
/** Emptied now and then, so that loads in a child process (src/engine/first-load.ts) are aborted too. */
const cache = mkdtempSync(join(tmpdir(), "brownian-trial-"));
process.env.BROWNIAN_CACHE = cache;
const contextSize = values.context === undefined ? undefined : Number(values.context);
const load = (options) => loadModel(values.model, { threads, scratch, contextSize, ...options });
const failures = [];
const must = (holds, what) => {
  if (!holds) failures.push(what);
};

async function steadiness() {
  const model = await load();
  const clean = async () => `${(await model.complete(PROMPT, { maxTokens: TOKENS, endless: true })).ids}`;
  const expected = await clean();
  const measures = [];
  let tokens = 0;
  let before = 0;
  for (let i = -warmUp; i < texts; i++) {
    const noise = DYNAMICS[(i + warmUp) % DYNAMICS.length];
    const sigma = noise.dynamics === undefined ? 0 : 0.05;
    const options = { ...noise, sigma, seed: BigInt(i + warmUp), maxTokens: TOKENS, endless: true, skipUnsupported: true };
    const written = await model.complete(PROMPT, options);
    if (i < 0) continue;
    if (i === 0) before = performance.now();
    tokens += written.tokens;
    if ((i + 1) % Math.ceil(texts / MEASURES) === 0) measures.push(ownMemory());
  }
  const seconds = (performance.now() - before) / 1000;
  must((await clean()) === expected, "the clean text after all of them is another");
  await model.dispose();
  const grown = (list) => Math.max(...list) - list[0];
  const growth = grown(measures.map(({ own, heap }) => own - heap));
  const shown = measures.map(({ own, heap }) => `${(own / 1e6).toFixed(1)} (${(heap / 1e6).toFixed(1)})`).join(" ");
  console.log(`${tokens} tokens in ${texts} texts, ${seconds.toFixed(0)} s; own memory (V8's heap), MB: ${shown}`);
  const all = grown(measures.map(({ own }) => own));
  const said = [growth, all].map((bytes) => (bytes / 1e6).toFixed(1));
  console.log(
    `growth after the first tenth: ${said[0]} MB outside of V8's heap, allowed ${MOST_GROWTH / 1e6}; ${said[1]} in all`,
  );
  must(growth <= MOST_GROWTH, "memory grows");
}

const quantile = (list, q) => list.toSorted((a, b) => a - b)[Math.floor(q * (list.length - 1))];

async function abortions() {
  const uniform = new Noise(1n).stream("aborts").uniform(new Float32Array(3 * aborts));
  /** How long each kind of work takes when it is let alone: aborts fall within. */
  const timed = async (work) => {
    const before = performance.now();
    const result = await work();
    return [result, performance.now() - before];
  };
  const [model, loading] = await timed(load);
  const clean = async () => `${(await model.complete(PROMPT, { maxTokens: TOKENS, endless: true })).ids}`;
  const expected = await clean();
  const sentences = Math.floor((FILLED * model.contextSize) / model.tokens(SENTENCE).length);
  const prompt = SENTENCE.repeat(sentences);
  const [, reading] = await timed(() => model.complete(prompt, { maxTokens: 1 }));
  const moving = { sigma: 0.05, dynamics: "andersen", skipUnsupported: true, maxTokens: 200, endless: true };
  const [, writing] = await timed(() => model.complete(PROMPT, moving));
  const waits = { loading: [], "reading a prompt": [], writing: [] };
  for (let i = 0; i < aborts; i++) {
    const [kind, when] = [uniform[3 * i] * 3, uniform[3 * i + 1]];
    const controller = new AbortController();
    let asked = 0;
    const abortAfter = (ms) =>
      setTimeout(() => {
        asked = performance.now();
        controller.abort();
      }, ms);
    const { signal } = controller;
    let list;
    let timer;
    if (kind < 1) {
      list = waits.loading;
      timer = abortAfter(when * loading);
      if (i % 2 === 0) rmSync(join(cache, "first-loads"), { recursive: true, force: true });
      await load({ signal }).then(
        (other) => other.dispose(),
        (error) => must(error === signal.reason, `a load that was aborted failed with ${error}`),
      );
    } else {
      const [text, options, whole] = kind < 2 ? [prompt, { ...moving, maxTokens: 1 }, reading] : [PROMPT, moving, writing];
      list = kind < 2 ? waits["reading a prompt"] : waits.writing;
      timer = abortAfter(when * whole);
      await model
        .complete(text, { ...options, seed: BigInt(i), signal })
        .catch((error) => must(error === signal.reason, `a text that was aborted failed with ${error}`));
    }
    clearTimeout(timer);
    if (asked > 0) list.push(performance.now() - asked);
    must((await clean()) === expected, `the text after abort ${i} is another`);
  }
  await model.dispose();
  for (const [what, list] of Object.entries(waits)) {
    if (list.length === 0) continue;
    const [middle, most] = [quantile(list, 0.5), Math.max(...list)].map((ms) => ms.toFixed(0));
    console.log(`${list.length} aborts while ${what}: over after ${middle} ms (median), ${most} ms at most`);
  }
  must(readdirSync(scratch).length === 0, `left behind: ${readdirSync(scratch).join(", ")}`);
}

try {
  await steadiness();
  await abortions();
} finally {
  for (const folder of [scratch, cache]) rmSync(folder, { recursive: true, force: true });
}
console.log(failures.length === 0 ? "all of it holds" : failures.join("\n"));
process.exitCode = failures.length === 0 ? 0 : 1;
