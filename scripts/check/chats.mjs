// npm run trial:chats -- --server FILE --model FILE: the greedy answers to twenty questions, ours beside llama-server's; and, since that may be another
// release of llama.cpp, compiled otherwise, llama-server's beside its own when it rounds otherwise (without flash attention). Where two answers
// part, the gap between the two likeliest tokens says whether it was a near-tie. Prints Markdown.

import { spawn } from "node:child_process";
import { setTimeout } from "node:timers/promises";
import { parseArgs } from "node:util";
import { loadModel } from "../../dist/llama/index.js";

const QUESTIONS = [
  "What is the capital of France?",
  "Write a haiku about rain.",
  "Explain photosynthesis in one sentence.",
  "What is 17 times 3?",
  "Name three colors.",
  "Who wrote Hamlet?",
  "Tell me a joke.",
  "What is gravity?",
  "How do I boil an egg?",
  "Translate 'good morning' to Spanish.",
  "What is the largest planet?",
  "Give me a recipe for pancakes.",
  "Why is the sky blue?",
  "What is a prime number?",
  "Describe a cat.",
  "What is the boiling point of water?",
  "Who was Albert Einstein?",
  "Write a short poem about the sea.",
  "What is machine learning?",
  "List the days of the week.",
];
const TOKENS = 32;
const CONTEXT = 512;
/** Nats between the two likeliest tokens, below which rounding may decide. */
const NEAR = 0.05;

const { values } = parseArgs({
  options: { server: { type: "string" }, model: { type: "string" }, port: { type: "string", default: "18997" } },
});
if (values.server === undefined || values.model === undefined)
  throw new Error("--server FILE and --model FILE: llama-server's program, and an instruct model with a chat template");

/** { ids, gaps } of every answer: gaps are those between the two likeliest tokens. */
async function theirs(...more) {
  const args = ["-m", values.model, "-t", "1", "-np", "1", "-c", String(CONTEXT), "--port", values.port, ...more];
  const server = spawn(values.server, args, { stdio: "ignore" });
  const ask = async (path, body) =>
    (await fetch(`http://127.0.0.1:${values.port}${path}`, { method: "POST", body: JSON.stringify(body) })).json();
  try {
    while (!(await fetch(`http://127.0.0.1:${values.port}/health`).catch(() => undefined))?.ok) {
      if (server.exitCode !== null) throw new Error(`${values.server} ended with ${server.exitCode}`);
      await setTimeout(100);
    }
    const answers = [];
    const greedy = { temperature: 0, top_k: 0, top_p: 1, min_p: 0, cache_prompt: false, return_tokens: true, n_probs: 2 };
    for (const content of QUESTIONS) {
      const { prompt } = await ask("/apply-template", { messages: [{ role: "user", content }] });
      const { tokens, completion_probabilities } = await ask("/completion", { ...greedy, prompt, n_predict: TOKENS });
      const gaps = completion_probabilities.map(({ top_logprobs: [first, second] }) => first.logprob - second.logprob);
      answers.push({ ids: tokens, gaps });
    }
    return answers;
  } finally {
    server.kill("SIGKILL");
  }
}

async function ours() {
  const model = await loadModel(values.model, { threads: 1, contextSize: CONTEXT });
  const answers = [];
  for (const content of QUESTIONS) {
    const { ids, logprobs } = await model.complete([{ role: "user", content }], { maxTokens: TOKENS, logprobs: 2 });
    answers.push({ ids, gaps: logprobs.map(({ top: [first, second] }) => first.logProbability - second.logProbability) });
  }
  await model.dispose();
  return answers;
}

function compared(name, ones, others) {
  const count = { same: 0, near: 0, not: 0 };
  for (const [k, one] of ones.entries()) {
    const other = others[k];
    const at = one.ids.findIndex((id, i) => i < other.ids.length && id !== other.ids[i]);
    if (at < 0) count.same++;
    else if (Math.min(one.gaps[at], other.gaps[at]) < NEAR) count.near++;
    else count.not++;
  }
  console.log(`| ${name} | ${count.same} | ${count.near} | ${count.not} |`);
}

const [own, server, rounded] = [await ours(), await theirs(), await theirs("-fa", "off")];
console.log(`| ${QUESTIONS.length} answers of ${TOKENS} tokens | the same | part at a near-tie (< ${NEAR}) | part elsewhere |`);
console.log("|---|---:|---:|---:|");
compared("ours, and llama-server's", own, server);
compared("ours, and llama-server's without flash attention", own, rounded);
compared("llama-server's, and its own without flash attention", server, rounded);
