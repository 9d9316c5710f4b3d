// npm run trial:serve: does the server stay well among many? 64 clients with 20 requests of 32 tokens each: nothing but 429s may fail, each answer is
// the one that its prompt and seed give alone (or differs first at a near-tie of two logits), memory stays flat, and /health answers meanwhile. Then 200
// clients break off, and their places are free. With --upstream URL the same load goes to another server of the protocol, for its throughput.
// Takes --model FILE, --clients N, --requests N, --tokens N, --parallel N, --threads N, --chat-template FILE, --upstream URL.
import { spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { Agent, request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as wait } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const { values } = parseArgs({
  options: {
    model: { type: "string", default: "models/fairytales-3M-Q8_0.gguf" },
    clients: { type: "string", default: "64" },
    requests: { type: "string", default: "20" },
    tokens: { type: "string", default: "32" },
    parallel: { type: "string", default: "4" },
    threads: { type: "string", default: "1" },
    queue: { type: "string", default: "64" },
    away: { type: "string", default: "200" },
    upstream: { type: "string" },
  },
});
const [clients, requests, tokens, parallel, away] = ["clients", "requests", "tokens", "parallel", "away"].map((name) =>
  Number(values[name]),
);
/** Two logits that are no further apart may come in another order in a batch of another shape. */
const NEAR_TIE = 0.05; // nats
const WORDS = [
  "king",
  "queen",
  "wolf",
  "fox",
  "bear",
  "hen",
  "cat",
  "dog",
  "witch",
  "giant",
  "mouse",
  "tailor",
  "miller",
  "soldier",
  "goose",
  "frog",
];
/** Prompts are few enough to be written alone as well. */
const PROMPTS = WORDS.map((word) => `Once upon a time there was a ${word} who`);
const MOST_HEALTH = 50; // ms, of 99 in 100
const MOST_GROWTH = 60e6; // bytes, from the first quarter on
const MOST_AWAY = 100; // ms until a place is free

const failures = [];
const check = (holds, what) => {
  if (!holds) failures.push(what);
};
const agent = new Agent({ keepAlive: true, maxSockets: Infinity });

/** One request; its answer with the time that it took. */
function ask(url, path, body, signal) {
  const before = performance.now();
  return new Promise((resolve, reject) => {
    const text = body === undefined ? undefined : JSON.stringify(body);
    const headers = text === undefined ? {} : { "content-type": "application/json", "content-length": Buffer.byteLength(text) };
    const sent = request(
      new URL(path, url),
      { method: text === undefined ? "GET" : "POST", headers, agent, signal },
      (response) => {
        let answer = "";
        response.setEncoding("utf8");
        response.on("data", (chunk) => (answer += chunk));
        response.on("end", () => {
          const type = response.headers["content-type"] ?? "";
          const value = type.includes("json") ? JSON.parse(answer) : answer;
          resolve({ status: response.statusCode, headers: response.headers, value, ms: performance.now() - before });
        });
        response.on("error", reject);
      },
    );
    sent.on("error", reject);
    sent.end(text);
  });
}

const own = (pid) => Number(/RssAnon:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0) * 1024;
const percentile = (list, p) => [...list].sort((a, b) => a - b)[Math.min(list.length - 1, Math.floor(p * list.length))];
const bodyOf = (number) => ({
  prompt: PROMPTS[number % PROMPTS.length],
  max_tokens: tokens,
  temperature: 0,
  seed: 1,
  logprobs: 2,
});

const scratch = mkdtempSync(join(tmpdir(), "brownian-trial-"));
const main = fileURLToPath(new URL("../../dist/esm/cli.js", import.meta.url));
const flags = [
  "--parallel",
  values.parallel,
  "--threads",
  values.threads,
  "--queue",
  values.queue,
  "--scratch",
  scratch,
  "--port",
  "0",
];
const child =
  values.upstream === undefined
    ? spawn(process.execPath, [main, "serve", "-m", values.model, ...flags], { stdio: ["ignore", "ignore", "pipe"] })
    : undefined;

/** Where the server listens, as it says. */
async function address() {
  if (child === undefined) return values.upstream;
  for await (const line of createInterface({ input: child.stderr })) {
    const url = / at (http:\S+)\/v1$/.exec(line)?.[1];
    if (url !== undefined) return url;
  }
  throw new Error("the server did not start");
}

const url = await address();
child?.stderr.resume();

const alone = [];
for (let i = 0; i < PROMPTS.length; i++) alone.push((await ask(url, "/v1/completions", bodyOf(i))).value.choices[0]);

const health = [];
let going = true;
const watching = (async () => {
  while (going) {
    health.push((await ask(url, "/health")).ms);
    await wait(50);
  }
})();

const times = [];
let refused = 0;
let different = 0;
let wrong = 0;
let written = 0;
const memory = [];

function compare(got, expected) {
  const a = got.logprobs.tokens;
  const b = expected.logprobs.tokens;
  const at = a.findIndex((token, i) => token !== b[i]);
  if (at < 0 && got.text === expected.text) return;
  different++;
  const [first, second] = Object.values(expected.logprobs.top_logprobs[at] ?? {}).sort((x, y) => y - x);
  if (!(first - second < NEAR_TIE)) wrong++;
}

const began = performance.now();
await Promise.all(
  Array.from({ length: clients }, async (_, client) => {
    for (let i = 0; i < requests; i++) {
      const number = client * 7 + i * 3;
      for (;;) {
        const { status, headers, value, ms } = await ask(url, "/v1/completions", bodyOf(number));
        if (status === 429) {
          refused++;
          await wait(Math.min(1000, Number(headers["retry-after"]) * 1000) * (0.5 + Math.random()));
          continue;
        }
        check(status === 200, `a request failed with ${status}: ${JSON.stringify(value)}`);
        if (status === 200) {
          times.push(ms);
          written += value.usage.completion_tokens;
          if (child !== undefined) {
            compare(value.choices[0], alone[number % PROMPTS.length]);
            memory.push(own(child.pid));
          }
        }
        break;
      }
    }
  }),
);
const seconds = (performance.now() - began) / 1000;
going = false;
await watching;
console.log(
  `${clients} clients x ${requests} requests of ${tokens} tokens, ${child === undefined ? url : `${values.model}, --parallel ${parallel}, --threads ${values.threads}`}`,
);
console.log(
  `${times.length} answers in ${seconds.toFixed(1)} s, ${(written / seconds).toFixed(0)} tokens/s; ${refused} times 429`,
);
console.log(`a request: median ${percentile(times, 0.5).toFixed(0)} ms, p99 ${percentile(times, 0.99).toFixed(0)} ms`);
console.log(
  `/health: ${health.length} times, median ${percentile(health, 0.5).toFixed(1)} ms, p99 ${percentile(health, 0.99).toFixed(1)} ms`,
);
check(times.length === clients * requests, "answers were lost");

if (child !== undefined) {
  console.log(`not the answer that it is alone: ${different} of ${times.length}, of which not at a near-tie: ${wrong}`);
  check(wrong === 0, "an answer differs from the one alone, and not at a near-tie");
  if (parallel === 1) check(different === 0, "an answer differs with --parallel 1");
  check(percentile(health, 0.99) < MOST_HEALTH, "/health is slow");
  const quarter = memory.slice(0, Math.ceil(memory.length / 4));
  const growth = percentile(memory.slice(-quarter.length), 0.5) - percentile(quarter, 0.5);
  console.log(
    `memory of its own: ${(percentile(quarter, 0.5) / 1e6).toFixed(0)} MB in the first quarter, ${(growth / 1e6).toFixed(1)} MB more in the last`,
  );
  check(growth < MOST_GROWTH, "memory grows");

  // What is measured once a model (which weights the engine sees moving, how large they are) is not to be counted.
  await ask(url, "/v1/completions", { ...bodyOf(0), sigma: 0.05, dynamics: "andersen" });
  const free = [];
  for (let i = 0; i < away; i++) {
    const end = new AbortController();
    const moving = i % 3 === 0 ? { sigma: 0.05, dynamics: "andersen" } : {};
    const going = ask(
      url,
      "/v1/completions",
      { ...bodyOf(i), max_tokens: 200, logit_bias: { 2: -100 }, stream: i % 2 === 0, ...moving },
      end.signal,
    ).catch(() => {});
    await wait(Math.random() * 60);
    const before = performance.now();
    end.abort();
    await going;
    while ((await ask(url, "/health")).value.running > 0) await wait(1);
    free.push(performance.now() - before);
  }
  console.log(
    `${away} clients that broke off: places free after ${percentile(free, 0.5).toFixed(0)} ms (median), at most ${Math.max(...free).toFixed(0)} ms`,
  );
  console.log(`longer than ${MOST_AWAY} ms: ${free.filter((ms) => ms > MOST_AWAY).length}`);
  check(percentile(free, 0.99) < MOST_AWAY, "a place was not free soon enough");
  const last = (await ask(url, "/v1/completions", bodyOf(0))).value.choices[0];
  check(last.text === alone[0].text, "the last answer is not what the first was");

  const ended = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGTERM");
  console.log(`SIGTERM: exit code ${await ended}, left behind: ${readdirSync(scratch).length} files`);
  check(readdirSync(scratch).length === 0, "a live copy was left behind");
}
rmSync(scratch, { recursive: true, force: true });
agent.destroy();
for (const failure of new Set(failures)) console.error(`FAILED: ${failure}`);
process.exitCode = failures.length > 0 ? 1 : 0;
