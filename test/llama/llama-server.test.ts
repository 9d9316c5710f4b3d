// The same greedy texts as llama.cpp's own server, with the same sampling options: BROWNIAN_LLAMA_SERVER names its program.
import { type ChildProcess, spawn } from "node:child_process";
import { createServer } from "node:net";
import { setTimeout as wait } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { llamaC } from "../../src/engine/llama-c/index.js";
import { loadModel, type Model, type SamplingOptions } from "../../src/llama/index.js";
import { scratchFolder } from "../support/synthetic-gguf.js";

const FILE = "models/fairytales-3M-Q8_0.gguf";
const TOKENS = 32;
const PROMPTS = ["Once upon a time there was a king, and the king said to the king's daughter", "She said: 'Yes, yes, yes, said"];
const scratch = scratchFolder();

const program = process.env.BROWNIAN_LLAMA_SERVER || undefined;
const why = program === undefined ? "BROWNIAN_LLAMA_SERVER names no llama-server" : llamaC.whyNot();
if (why !== undefined) console.warn(`SKIPPED texts beside llama-server's: ${why}`);

/** Our options, and the server's for the same (which takes no -1 for all tokens: the texts have fewer than 256). */
const CASES: readonly (readonly [SamplingOptions, object])[] = [
  [{}, {}],
  [{ repeatPenalty: 1.3 }, { repeat_penalty: 1.3 }],
  [
    { repeatPenalty: 1.2, repeatLastN: -1 },
    { repeat_penalty: 1.2, repeat_last_n: 256 },
  ],
  [
    { frequencyPenalty: 0.7, repeatLastN: 16 },
    { frequency_penalty: 0.7, repeat_last_n: 16 },
  ],
  [{ presencePenalty: 1.5 }, { presence_penalty: 1.5 }],
  [{ dryMultiplier: 4 }, { dry_multiplier: 4, dry_penalty_last_n: 64 }],
  [
    { dryMultiplier: 2, dryBase: 3, dryAllowedLength: 1, dryPenaltyLastN: -1, drySequenceBreakers: [","] },
    { dry_multiplier: 2, dry_base: 3, dry_allowed_length: 1, dry_penalty_last_n: 256, dry_sequence_breakers: [","] },
  ],
  [{ logitBias: [["the", -5]] }, { logit_bias: [["the", -5]] }],
  [{ typicalP: 0.3 }, { typical_p: 0.3 }],
  [
    { xtcProbability: 1, xtcThreshold: 0.05 },
    { xtc_probability: 1, xtc_threshold: 0.05 },
  ],
  [{ grammar: 'root ::= ([a-z ]+ ",")+ "!"' }, { grammar: 'root ::= ([a-z ]+ ",")+ "!"' }],
  [
    { repeatPenalty: 1.3, grammar: "root ::= [a-z .]+" },
    { repeat_penalty: 1.3, grammar: "root ::= [a-z .]+" },
  ],
  [{ stop: [" and", "'"] }, { stop: [" and", "'"] }],
];

/** What else the server would do by itself. */
const NOTHING_ELSE = { temperature: 0, top_k: 0, top_p: 1, min_p: 0, typical_p: 1, cache_prompt: false, return_tokens: true };

const freePort = () =>
  new Promise<number>((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0));
    });
  });

describe.skipIf(why !== undefined)("the greedy text of llama-server", () => {
  let server: ChildProcess;
  let origin: string;
  let model: Model;
  beforeAll(async () => {
    model = await loadModel(FILE, { threads: 1, scratch, engine: "llama-c" });
    const port = String(await freePort());
    const context = String(model.contextSize);
    const args = ["-m", FILE, "-t", "1", "-np", "1", "-c", context, "--host", "127.0.0.1", "--port", port, "--no-webui"];
    server = spawn(program as string, args, { stdio: "ignore" });
    origin = `http://127.0.0.1:${port}`;
    while (server.exitCode === null && !(await fetch(`${origin}/health`).catch(() => undefined))?.ok) await wait(100);
  });
  afterAll(async () => {
    server?.kill("SIGKILL");
    await model?.dispose();
  });

  it.each(CASES)("with %o", async (ours, theirs) => {
    for (const prompt of PROMPTS) {
      const body = JSON.stringify({ ...NOTHING_ELSE, ...theirs, prompt, n_predict: TOKENS });
      const answer = await (await fetch(`${origin}/completion`, { method: "POST", body })).json();
      const written = await model.complete(prompt, { ...ours, maxTokens: TOKENS });
      expect(written.text).toBe((answer as { content: string }).content);
      if (ours.stop === undefined) expect(written.ids).toEqual((answer as { tokens: number[] }).tokens);
    }
  });
});
