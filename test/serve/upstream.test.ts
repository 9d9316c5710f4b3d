// `brownian serve --upstream`: OpenAI's protocol in front of servers that have members, as their fakes speak it.
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Upstream, writeAdapters } from "../../src/adapters/index.js";
import { type ServeOptions, serve, UpstreamWriter } from "../../src/serve/index.js";
import { FakeServer } from "../support/fake-servers.js";
import { scratchFolder } from "../support/synthetic-gguf.js";

const folder = scratchFolder();
const adapters = join(folder, "members");
const open: { close(): Promise<void> }[] = [];
afterAll(async () => {
  for (const one of open) await one.close();
});

beforeAll(async () => {
  const only = ["blk.0.attn_q.weight"];
  await writeAdapters("models/fairytales-3M-Q8_0.gguf", adapters, { sigma: [0.05, 0.1], members: 3, format: "both", only });
});

async function started(endpoints: readonly FakeServer[], options: ServeOptions = {}) {
  const upstream = await Upstream.open({ endpoints: endpoints.map(({ url }) => url), adapters });
  const weightSigma = async (temperature: number) => temperature / 10;
  const writer = new UpstreamWriter(upstream, { name: "ours", parallel: 4, contextSize: 256, weightSigma });
  const server = await serve(writer, { port: 0, grace: 1, log: () => undefined, ...options });
  open.push(server);
  const ask = async (path: string, body: object) => {
    const response = await fetch(`${server.url}${path}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    return { status: response.status, text: await response.text() };
  };
  return { ask, server };
}

const messages = [{ role: "user", content: "Who is king?" }];
const paths = [0, 1, 2].map((i) => `${adapters}/m0${i}.gguf`);

describe("in front of llama-server", () => {
  it("sigma and noise_seed become a scale and a member", async () => {
    const fake = await FakeServer.start("llama-server", { adapters: paths });
    const { ask } = await started([fake]);
    const content = async (body: object) => {
      const { text, status } = await ask("/v1/chat/completions", { messages, ...body });
      expect(status, text).toBe(200);
      return JSON.parse(text).choices.map((choice: { message: { content: string } }) => choice.message.content);
    };
    expect(await content({ sigma: 0.05, noise_seed: 1 })).toEqual([`answer of ${paths[1]} x 0.5`]);
    expect(await content({ weight_temperature: 0.7, noise_seed: 2 })).toEqual([expect.stringMatching(/m02\.gguf x 0\.(7|69)/)]);
    expect(await content({ sigma: 0.1, noise_seed: 2, n: 2 })).toEqual([
      `answer of ${paths[2]} x 1`,
      `answer of ${paths[0]} x 1`,
    ]);
    expect(await content({ temperature: 0 })).toEqual([`answer of ${paths[0]} x 0`]); // clean: no adapter is named
    expect(fake.written.at(-1)?.body).toMatchObject({ messages, lora: [{ id: 0, scale: 0 }], stream: true });
  });

  it("streams, with logprobs, chats and texts", async () => {
    const fake = await FakeServer.start("llama-server", { adapters: paths });
    const { ask } = await started([fake]);
    const chat = await ask("/v1/chat/completions", { messages, sigma: 0.1, noise_seed: 0, stream: true });
    const pieces = [...chat.text.matchAll(/^data: (\{.*\})$/gm)].map(([, json]) => JSON.parse(json as string));
    const text = pieces.map(({ choices }) => choices[0]?.delta?.content ?? "").join("");
    expect(text).toBe(`answer of ${paths[0]} x 1`);
    expect(pieces.length).toBeGreaterThan(3);
    const whole = await ask("/v1/completions", { prompt: "Once", sigma: 0.1, noise_seed: 0, logprobs: 1, max_tokens: 9 });
    const [choice] = JSON.parse(whole.text).choices;
    expect(choice.logprobs.tokens.join("")).toBe(choice.text);
    expect(choice.logprobs.token_logprobs).toEqual(choice.logprobs.tokens.map(() => -0.5));
    expect(choice.finish_reason).toBe("length");
  });

  it("refuses by name what needs the engine, and what is not there", async () => {
    const fake = await FakeServer.start("llama-server", { adapters: paths });
    const { ask } = await started([fake]);
    for (const [body, said] of [
      [{ uncertainty: true }, /uncertainty needs the engine in this process/],
      [{ sigma: 0.1, dynamics: "andersen" }, /Members are at rest/],
      [{ logit_bias: { "5": 1 } }, /logitBias cannot be passed on/],
    ] as const) {
      const { status, text } = await ask("/v1/chat/completions", { messages, ...body });
      expect(status, text).toBe(400);
      expect(text).toMatch(said);
    }
    await expect(Upstream.open({ endpoints: [(await FakeServer.start("llama-server")).url], adapters })).rejects.toThrow(
      /has no adapters/,
    );
  });
});

describe("in front of several", () => {
  it("goes to another where one is gone", async () => {
    const [bad, good] = [await FakeServer.start("llama-server", { adapters: paths }), await FakeServer.start("vllm")];
    bad.fault = () => "hangup";
    const { ask, server } = await started([bad, good]);
    for (let i = 0; i < 3; i++) {
      const { text } = await ask("/v1/chat/completions", { messages, sigma: 0.1, noise_seed: 1 });
      expect(JSON.parse(text).choices[0].message.content).toMatch(/m01-s0\.1$/);
    }
    good.fault = () => "hangup";
    const { status, text } = await ask("/v1/chat/completions", { messages, sigma: 0.1 });
    expect(status).toBeGreaterThanOrEqual(500);
    expect(text).toMatch(/does not answer/);
    good.fault = () => undefined;
    expect(good.loaded.size).toBe(6);
    await server.close();
    expect(good.loaded.size).toBe(0);
  });
});
