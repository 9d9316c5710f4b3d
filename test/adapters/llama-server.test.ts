// The real llama-server: the same member is the same noise there and in our engine, chosen for each request.
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { askEnsemble, writeAdapters } from "../../src/adapters/index.js";
import { llamaC } from "../../src/engine/llama-c/index.js";
import { loadModel, type Model } from "../../src/llama/index.js";
import { llamaServerProgram, type RunningServer, startLlamaServer } from "../support/llama-server.js";
import { scratchFolder } from "../support/synthetic-gguf.js";

const FILE = "models/fairytales-3M-Q8_0.gguf";
const PROMPT = "Once upon a time there was a king who";
const TOKENS = 40;
const MEMBERS = 4;
const RANK = 2;
const folder = scratchFolder();
const adapters = join(folder, "members");
const why = llamaServerProgram === undefined ? "BROWNIAN_LLAMA_SERVER names no llama-server" : llamaC.whyNot();
if (why !== undefined) console.warn(`SKIPPED members on the real llama-server: ${why}`);

describe.skipIf(why !== undefined)("a member on llama-server", () => {
  let server: RunningServer;
  let model: Model;
  beforeAll(async () => {
    const { members } = await writeAdapters(FILE, adapters, { sigma: 0.1, members: MEMBERS, rank: RANK, seed: 7n });
    const files = members.map(({ path }) => `${adapters}/${path}`).join(",");
    server = await startLlamaServer(["-m", FILE, "-np", "1", "-c", "256", "--lora-init-without-apply", "--lora", files]);
    model = await loadModel(FILE, { threads: 1, scratch: folder, engine: "llama-c" });
  });
  afterAll(async () => {
    server?.stop();
    await model?.dispose();
  });

  const theirs = (options: object) =>
    askEnsemble(PROMPT, { endpoints: [server.url], adapters, maxTokens: TOKENS, concurrency: 1, ...options });

  /** Nats between the two likeliest tokens that count as a near-tie: the two programs sum in other orders. */
  const NEAR = 0.02;

  it("tells how likely all tokens were, of answers that end at a stop string, too", async () => {
    const whole = (await theirs({ members: 1 })).answers[0]?.text as string;
    const stop = whole.split(" ")[6] as string;
    const { text, tokens = [], end } = (await theirs({ members: 1, stop: [` ${stop}`] })).answers[0] ?? {};
    expect([end, text]).toEqual(["stop", whole.slice(0, whole.indexOf(` ${stop}`))]);
    expect(tokens.map((token) => token.text).join("")).toBe(text);
  });

  it("writes the text that it writes in our engine, or parts from it at a near-tie", async () => {
    const texts = new Set<string>();
    for (const [sigma, antithetic] of [
      [0.1, true],
      [0.05, false],
    ] as const) {
      const { answers } = await theirs({ sigma, antithetic });
      for (const { member, sigma: signed, text, tokens } of answers) {
        texts.add(text);
        if (signed < 0) continue;
        const own = { carrier: "adapter", rank: RANK, member, sigma, seed: 7n, maxTokens: TOKENS, logprobs: 2 } as const;
        const ours = await model.complete(PROMPT, own);
        if (ours.text === text) continue;
        const at = ours.ids.findIndex(
          (id, i) => model.text([id], [...model.tokens(PROMPT), ...ours.ids.slice(0, i)]) !== tokens?.[i]?.text,
        );
        const [first, second] = ours.logprobs?.[at]?.top ?? [];
        expect((first?.logProbability ?? 1) - (second?.logProbability ?? 0), `member ${member} at token ${at}`).toBeLessThan(
          NEAR,
        );
      }
    }
    expect(texts.size).toBeGreaterThan(MEMBERS); // members and signs are not the same
  });

  it("has our log-probabilities of its own text", async () => {
    const { answers } = await theirs({ members: 1 });
    const own = { carrier: "adapter", rank: RANK, sigma: 0.1, seed: 7n, maxTokens: TOKENS, logprobs: 1 } as const;
    const { logprobs } = await model.complete(PROMPT, own);
    for (const [i, { logProbability }] of (answers[0]?.tokens ?? []).slice(0, 8).entries())
      expect(Math.abs(logProbability - (logprobs?.[i]?.logProbability ?? 0))).toBeLessThan(NEAR);
  });

  it("is missing by name where the server was started without", async () => {
    const others = join(folder, "others");
    await writeAdapters(FILE, others, { sigma: 0.1, members: MEMBERS + 1, rank: RANK, seed: 7n });
    await expect(theirs({ adapters: others })).rejects.toThrow(/lacks 1 of the 5 members \(m04\.gguf\)/);
  });
});
