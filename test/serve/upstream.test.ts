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
/** What the manifest calls them. */
const TGI_NAMES = [0, 1, 2].flatMap((i) => [0.05, 0.1].map((sigma) => `m0${i}-s${sigma}`));
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
    expect(await content({ temperature: 0 })).toEqual(["answer of clean weights"]); // no adapter at all: all of them
    expect(fake.written.at(-1)?.body).toMatchObject({ messages, lora: [{ id: 0, scale: 0 }], stream: true });
  });

  it("streams, with logprobs, chats and texts", async () => {
    const fake = await FakeServer.start("llama-server", { adapters: paths });
    const { ask } = await started([fake]);
    const chat = await ask("/v1/chat/completions", { messages, sigma: 0.1, noise_seed: 0, stream: true });
    const pieces = [...chat.text.matchAll(/^data: (\{.*\})$/gm)].map(([, json]) => JSON.parse(json as string));
    const text = pieces.map(({ choices }) => choices[0]?.delta?.content ?? "").join("");
    expect(text).toBe(`answer of ${paths[0]} x 1`);
    const counted = await ask("/v1/chat/completions", { messages, sigma: 0.1, noise_seed: 0 });
    expect(JSON.parse(counted.text).usage).toEqual({ prompt_tokens: 7, completion_tokens: 5, total_tokens: 12 });
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
      [{ uncertainty: true }, /the likeliest text alone \(temperature 0\)/],
      [{ uncertainty: true, temperature: 0, members: 9 }, /There are 3 members, not 9/],
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

describe("what is passed on", () => {
  const tools = [{ type: "function", function: { name: "weather", parameters: { type: "object", properties: {} } } }];
  const call = { id: "abc", type: "function", function: { name: "weather", arguments: '{"city":"Rome"}' } };

  it("tools, whole and streamed, with the words of that server for what has to be called", async () => {
    const fake = await FakeServer.start("llama-server", { adapters: paths });
    fake.calls = [call, { ...call, id: "" }];
    const { ask } = await started([fake]);
    const asked = { messages, tools, tool_choice: "required", chat_template_kwargs: { enable_thinking: false } };
    const whole = JSON.parse((await ask("/v1/chat/completions", asked)).text).choices[0];
    expect(whole.finish_reason).toBe("tool_calls");
    expect(whole.message.content).toBe(null);
    expect(whole.message.tool_calls[0]).toEqual(call);
    expect(whole.message.tool_calls[1]).toMatchObject({ id: expect.stringMatching(/^call_/), function: call.function });
    const { tool_choice, chat_template_kwargs } = asked;
    expect(fake.written.at(-1)?.body).toMatchObject({ tools, tool_choice, chat_template_kwargs });
    const { text } = await ask("/v1/chat/completions", { ...asked, stream: true });
    expect(text).toContain('"arguments":"{\\"city\\":\\"Rome\\"}"');
    // A chat goes on with what the call gave.
    const on = [...messages, { role: "assistant", tool_calls: [call] }, { role: "tool", tool_call_id: "abc", content: "sun" }];
    await ask("/v1/chat/completions", { messages: on });
    expect(fake.written.at(-1)?.body).toMatchObject({ messages: on.map((message) => expect.objectContaining(message)) });
  });

  it.each([
    ["llama-server", { grammar: 'root ::= "a"' }, { grammar: 'root ::= "a"' }],
    ["llama-server", { response_format: { type: "json_object" } }, { response_format: { type: "json_object" } }],
    ["vllm", { response_format: { type: "json_object" } }, { response_format: { type: "json_object" } }],
    ["sglang", { response_format: { type: "json_object" } }, { response_format: { type: "json_object" } }],
    ["vllm", { grammar: 'root ::= "a"' }, /vLLM cannot be told here to keep to a grammar: take response_format/],
    ["sglang", { grammar: 'root ::= "a"' }, /SGLang cannot be told here to keep to a grammar/],
    ["tgi", { response_format: { type: "json_object" } }, /TGI cannot be told here to keep to a JSON schema/],
  ] as const)("shapes of answers, as %s speaks: %j", async (kind, asked, expected) => {
    const fake = await FakeServer.start(kind, { adapters: kind === "tgi" ? TGI_NAMES : paths });
    const { ask } = await started([fake]);
    const { status, text } = await ask("/v1/chat/completions", { messages, ...asked });
    if (expected instanceof RegExp) {
      expect(status, text).toBe(400);
      expect(text).toMatch(expected);
    } else {
      expect(status, text).toBe(200);
      expect(fake.written.at(-1)?.body).toMatchObject(expected);
    }
  });

  it("a schema, of chats and of texts", async () => {
    const fake = await FakeServer.start("llama-server", { adapters: paths });
    const { ask } = await started([fake]);
    const schema = { type: "string", pattern: "^a+$" }; // ours would refuse the pattern: theirs decides
    const response_format = { type: "json_schema", json_schema: { name: "x", schema } };
    await ask("/v1/chat/completions", { messages, response_format });
    expect(fake.written.at(-1)?.body.response_format).toEqual({ type: "json_schema", json_schema: { name: "answer", schema } });
  });

  it("what another server refuses, with its own words", async () => {
    const fake = await FakeServer.start("llama-server", { adapters: paths });
    const { ask } = await started([fake]);
    for (const [theirs, ours] of [
      [400, 400],
      [404, 502],
    ] as const) {
      fake.fault = () => ({ status: theirs, body: { error: { message: "tools need --jinja" } } });
      const { status, text } = await ask("/v1/chat/completions", { messages, tools });
      expect(status).toBe(ours);
      expect(text).toContain("tools need --jinja");
    }
  });
});

describe("uncertainty", () => {
  it("is what members think of the answer for as long as theirs is the same", async () => {
    const fake = await FakeServer.start("llama-server", { adapters: paths });
    fake.answer = (member) => (member.includes("m02") ? "a king dies" : "a king lives");
    // Two members are sure of the second word to .9, one to .6; their mean is .8.
    fake.probability = (member, word) => (word === 1 && member.includes("m00") ? 0.6 : 0.9);
    const { ask } = await started([fake]);
    const asked = { messages, temperature: 0, uncertainty: true, members: 3, noise_seed: 0 };
    const [choice] = JSON.parse((await ask("/v1/chat/completions", asked)).text).choices;
    const told = choice.logprobs.content.map(({ uncertainty }: { uncertainty: object }) => uncertainty);
    const h = (p: number) => -p * Math.log(p) - (1 - p) * Math.log(1 - p);
    expect(told[0]).toEqual({
      probability: expect.closeTo(0.9),
      total: expect.closeTo(h(0.9)),
      information: expect.closeTo(0),
      members: 3,
    });
    const information = h(0.8) - (2 * h(0.9) + h(0.6)) / 3;
    expect(told[1]).toEqual({
      probability: expect.closeTo(0.8),
      total: expect.closeTo(h(0.8)),
      information: expect.closeTo(information),
      members: 3,
    });
    // In the third place one writes another word: .9 "dies", .1 "other".
    expect(told[2]).toMatchObject({ probability: expect.closeTo(0.6), members: 3 });
    expect(told[2].information).toBeGreaterThan(0.3);
    expect(fake.written.slice(1).map(({ body }) => body.lora)).toEqual([0, 1, 2].map((id) => [{ id, scale: 0.5 }]));
    fake.answer = (member) => (member === "clean weights" ? "a king lives" : "no");
    const [parted] = JSON.parse((await ask("/v1/chat/completions", asked)).text).choices;
    expect(parted.logprobs.content[1].uncertainty).toBeUndefined();
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
