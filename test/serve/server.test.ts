// The server among clients that mean ill, go away, or are many.
import { createConnection } from "node:net";
import { setTimeout as wait } from "node:timers/promises";
import { beforeAll, describe, expect, it } from "vitest";
import type { ErrorBody } from "../../src/serve/errors.js";
import { serve } from "../../src/serve/index.js";
import { CHAT, NAME, post, type Started, started, why } from "./support.js";

let here: Started;
beforeAll(async () => {
  if (why !== undefined) return;
  here = await started({ queue: 6, quiet: 0.05 }, { parallel: 2 });
});

const health = async (url = here.url) => (await (await fetch(`${url}/health`)).json()) as { running: number; waiting: number };
const errorOf = async (response: Response) => ((await response.json()) as ErrorBody).error;
const chat = (more: object = {}) => ({ messages: CHAT, temperature: 0, max_tokens: 8, ...more });

/** What the server answers to bytes as they are. */
function raw(bytes: string | Buffer, url = here.url): Promise<string> {
  return new Promise((resolve, reject) => {
    const { hostname, port } = new URL(url);
    let answer = "";
    const socket = createConnection(Number(port), hostname, () => socket.write(bytes));
    socket.on("data", (chunk) => (answer += chunk));
    socket.on("end", () => resolve(answer));
    socket.on("error", reject);
  });
}

/** Until something holds, for as long as the test may take. */
async function until(holds: () => Promise<boolean>) {
  while (!(await holds())) await wait(5);
}

describe.skipIf(why !== undefined)("bodies", () => {
  const CASES: readonly (readonly [what: string, body: unknown, status: number, message: RegExp, param?: string])[] = [
    ["no JSON", "{", 400, /no valid JSON/],
    ["nothing", "", 400, /no valid JSON/],
    ["a list", [], 400, /must be a JSON object/],
    ["bytes that are no UTF-8", Buffer.from([0x7b, 0xff, 0x7d]), 400, /UTF-8/],
    ["no messages", { messages: [] }, 400, /messages/, "messages"],
    ["a message without a role", { messages: [{ content: "x" }] }, 400, /role/, "messages.0.role"],
    [
      "an image",
      { messages: [{ role: "user", content: [{ type: "image_url", image_url: { url: "file:///etc/passwd" } }] }] },
      400,
      /type/,
    ],
    ["a number for a text", chat({ stop: 7 }), 400, /stop/, "stop"],
    ["a field that nobody knows", chat({ maxTokens: 8 }), 400, /"maxTokens".*"max_tokens"/, "maxTokens"],
    ["a number out of range", chat({ sigma: -1 }), 400, /sigma must be/],
    ["a dynamics that there is not", chat({ dynamics: "x" }), 400, /quenched/],
    ["contradictions", chat({ sigma: 0.1, weight_temperature: 1 }), 400, /one of the two/, "weight_temperature"],
    ["a grammar beside a format", chat({ grammar: "root ::= x", response_format: { type: "json_object" } }), 400, /not both/],
    ["members of no ensemble", chat({ members: 3 }), 400, /uncertainty/, "members"],
    ["alternatives of nothing", chat({ top_logprobs: 3 }), 400, /logprobs: true/, "top_logprobs"],
    ["a forced call", chat({ tools: [], tool_choice: "required" }), 400, /"auto" or "none"/, "tool_choice"],
    ["more texts than places", chat({ n: 9 }), 400, /room for 8 texts/, "n"],
    ["another model", chat({ model: "../../etc/passwd" }), 404, /no model "..\/..\/etc\/passwd" here, but "fairytales"/, "model"],
    ["ten megabytes", chat({ user: "x".repeat(10e6) }), 413, /more than this server takes/],
  ];
  it.each(CASES)("%s: refused by name", async (_, body, status, message, param) => {
    const response = await post(here.url, "/v1/chat/completions", body);
    expect(response.status).toBe(status);
    const error = await errorOf(response);
    expect(error.message).toMatch(message);
    expect(error.type).toBe("invalid_request_error");
    if (param !== undefined) expect(error.param).toBe(param);
  });

  it("text of broken letters, and of none, is read as it can be", async () => {
    for (const content of ["\ud800", "\u0000x\u0000", "🙂".slice(0, 1), "e\u0301"]) {
      const response = await post(
        here.url,
        "/v1/chat/completions",
        JSON.stringify(chat({ messages: [{ role: "user", content }] })),
      );
      expect(response.status, JSON.stringify(content)).toBe(200);
    }
  });

  it("fields that are null are as good as left out, and parts of texts are a text", async () => {
    const content = [{ type: "text", text: CHAT[0]?.content }];
    const bodies = [
      chat(),
      chat({ stop: null, n: null, seed: null, tools: null, messages: [{ role: "user", content, name: null }] }),
    ];
    const [a, b] = await Promise.all(
      bodies.map(async (body) => {
        const answer = (await (await post(here.url, "/v1/chat/completions", body)).json()) as { choices: { message: object }[] };
        return answer.choices[0]?.message;
      }),
    );
    expect(a).toBeDefined();
    expect(b).toEqual(a);
  });
});

describe.skipIf(why !== undefined)("requests", () => {
  it("to other ways are told the ways that there are", async () => {
    const response = await fetch(`${here.url}/v1/../../etc/passwd`);
    expect(response.status).toBe(404);
    expect((await errorOf(response)).message).toMatch(/no GET \/etc\/passwd, but GET \/health, .*POST \/v1\/responses/);
    const wrong = await fetch(`${here.url}/v1/completions`);
    expect([wrong.status, wrong.headers.get("allow")]).toEqual([405, "POST"]);
  });

  it("must say that they are JSON: pages of other sites may send anything else", async () => {
    const response = await post(here.url, "/v1/chat/completions", chat(), { "content-type": "text/plain" });
    expect(response.status).toBe(415);
    expect(response.headers.get("access-control-allow-origin")).toBeNull();
  });

  it("with headers that are too long, or that are no HTTP, are refused in the same shape", async () => {
    const long = await raw(`GET /health HTTP/1.1\r\nhost: localhost\r\nx: ${"x".repeat(20_000)}\r\n\r\n`);
    expect(long).toMatch(/^HTTP\/1\.1 431 [\s\S]*"message":"The headers are too long\."/);
    const fits = await raw(`GET /health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nx: ${"x".repeat(10_000)}\r\n\r\n`);
    expect(fits).toMatch(/^HTTP\/1\.1 200/);
    expect(await raw("hello\r\n\r\n")).toMatch(/^HTTP\/1\.1 400 [\s\S]*"message":"This is no HTTP request\."/);
  });

  it("by another name than this machine's are refused where there is no key", async () => {
    expect(await raw("GET /v1/models HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n")).toMatch(/^HTTP\/1\.1 403/);
  });

  it("do not fail one another, and each is given its own answer", async () => {
    const words = ["king", "queen", "wolf", "fox", "bear", "hen", "cat", "dog"];
    const alone = new Map<string, string>();
    for (const word of words) {
      const { text } = await here.model.complete([{ role: "user", content: word }], {
        temperature: 0.8,
        seed: 1n,
        maxTokens: 12,
      });
      alone.set(word, text);
    }
    const answers = await Promise.all(
      words.map(async (content) => {
        const response = await post(here.url, "/v1/chat/completions", {
          messages: [{ role: "user", content }],
          temperature: 0.8,
          seed: 1,
          max_tokens: 12,
        });
        const { choices } = (await response.json()) as { choices: { message: { content: string } }[] };
        return [content, choices[0]?.message.content] as const;
      }),
    );
    // In a batch with others Q8_0 rounds as alone (docs/guides/engine.md).
    expect(answers).toEqual([...alone]);
  });
});

describe.skipIf(why !== undefined)("places", () => {
  const endless = (more: object = {}) =>
    chat({ max_tokens: 200, logit_bias: { 2: -100 }, sigma: 0.1, dynamics: "white", ...more });

  it("are bounded: who finds none is told when to come back", async () => {
    const away = new AbortController();
    const all = Array.from({ length: 8 }, () =>
      post(here.url, "/v1/chat/completions", endless(), {}, away.signal).catch(() => undefined),
    );
    await until(async () => (await health()).waiting === 6);
    const response = await post(here.url, "/v1/chat/completions", chat());
    expect(response.status).toBe(429);
    expect(Number(response.headers.get("retry-after"))).toBeGreaterThanOrEqual(1);
    expect(await errorOf(response)).toMatchObject({ type: "rate_limit_error", code: "queue_full" });
    away.abort();
    await Promise.all(all);
    await until(async () => (await health()).running === 0);
    expect((await post(here.url, "/v1/chat/completions", chat())).status).toBe(200);
  });

  it("are free when the client has gone, streamed or not, running or waiting", async () => {
    for (const stream of [true, false]) {
      const away = new AbortController();
      const all = Array.from({ length: 4 }, async () => {
        const response = await post(here.url, "/v1/chat/completions", endless({ stream }), {}, away.signal);
        for await (const _ of response.body ?? []);
      });
      await until(async () => (await health()).waiting === 2);
      away.abort();
      await Promise.allSettled(all);
      await until(async () => (await health()).running === 0);
    }
    const metrics = await (await fetch(`${here.url}/metrics`)).text();
    expect(Number(/brownian_broken_off_total (\d+)/.exec(metrics)?.[1])).toBeGreaterThanOrEqual(8);
    expect(metrics).toContain('brownian_requests_total{route="/v1/chat/completions",status="429"} 1');
    expect(Number(/brownian_live_bytes{kind="file"} (\d+)/.exec(metrics)?.[1])).toBeGreaterThan(2.9e6); // a byte a weight, and more
    for (const kind of ["index", "journal", "ready"]) expect(metrics).toMatch(new RegExp(`live_bytes{kind="${kind}"} \\d`));
  });

  it("are not held by a reader who does not read", async () => {
    const body = JSON.stringify({
      ...chat({ max_tokens: 200, logit_bias: { 2: -100 }, n: 4 }),
      stream: true,
      logprobs: true,
      top_logprobs: 20,
    });
    const { hostname, port } = new URL(here.url);
    const head = `POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n`;
    const socket = createConnection(Number(port), hostname);
    socket.pause();
    socket.write(`${head}content-length: ${body.length}\r\n\r\n${body}`);
    await until(async () => (await health()).waiting > 0);
    await until(async () => (await health()).running === 0);
    socket.destroy();
  });

  it("are told that they still wait: comments keep the connection alive", async () => {
    const away = new AbortController();
    const first = post(here.url, "/v1/chat/completions", endless(), {}, away.signal).catch(() => undefined);
    await until(async () => (await health()).running === 1);
    const response = await post(here.url, "/v1/chat/completions", endless({ stream: true }), {}, away.signal);
    let seen = "";
    const decoder = new TextDecoder();
    for await (const chunk of response.body ?? []) {
      seen += decoder.decode(chunk as Uint8Array);
      if (seen.includes(": still here\n\n")) break;
    }
    expect(seen).toContain(": still here");
    away.abort();
    await first;
    await until(async () => (await health()).running === 0);
  });
});

describe.skipIf(why !== undefined)("doors", () => {
  it("open to other machines only by a key, or where that is said", async () => {
    const writer = {} as never;
    await expect(serve(writer, { host: "0.0.0.0" })).rejects.toThrow(/--api-key.*--insecure/);
    await expect(serve(writer, { apiKey: "" })).rejects.toThrow(/not empty/);
    await expect(serve(writer, { port: 70_000 })).rejects.toMatchObject({ code: "usage" });
    await expect(serve({ parallel: 1 } as never, { port: Number(new URL(here.url).port) })).rejects.toThrow(
      /is taken: choose another/,
    );
  });

  it("with a key are closed to those without, but for /health, and other sites' pages are let in by name", async () => {
    const { url, logged } = await started(
      { apiKey: "s3same", cors: ["https://good.example"], host: "127.0.0.1" },
      { parallel: 1 },
    );
    for (const authorization of ["", "Bearer", "Bearer x", "Bearer s3samE", "Basic s3same", `Bearer ${"s3same".repeat(1000)}`]) {
      const response = await post(url, "/v1/chat/completions", chat(), authorization === "" ? {} : { authorization });
      expect(response.status).toBe(401);
      const error = await errorOf(response);
      expect(error).toMatchObject({ type: "authentication_error", code: "invalid_api_key" });
      expect(error.message).not.toContain("s3same");
    }
    expect((await fetch(`${url}/metrics`)).status).toBe(401);
    expect((await fetch(`${url}/health`)).status).toBe(200);
    const right = { authorization: "Bearer s3same" };
    expect((await post(url, "/v1/chat/completions", chat(), right)).status).toBe(200);
    const origin = async (site: string) =>
      (await post(url, "/v1/chat/completions", chat(), { ...right, origin: site })).headers.get("access-control-allow-origin");
    expect(await origin("https://good.example")).toBe("https://good.example");
    expect(await origin("https://evil.example")).toBeNull();
    expect(logged.join()).not.toContain("s3same");
  });
});

describe.skipIf(why !== undefined)("the end", () => {
  it("lets texts under way end, refuses new ones, and closes the model", async () => {
    const { url, server, model } = await started({ grace: 60 }, { parallel: 1 });
    const last = post(url, "/v1/chat/completions", chat({ max_tokens: 60, sigma: 0.1, dynamics: "white" }));
    await until(async () => (await health(url)).running === 1);
    const closed = server.close();
    const answer = (await (await last).json()) as { choices: { message: { content: string } }[] };
    expect(answer.choices[0]?.message.content.length).toBeGreaterThan(0);
    await closed;
    await expect(fetch(`${url}/health`)).rejects.toThrow();
    expect(() => model.tokens("x")).toThrow(/disposed/);
  });

  it("cuts those that take longer than they are given", async () => {
    const { url, server } = await started({ grace: 0.05 }, { parallel: 1 });
    const body = chat({ max_tokens: 200, logit_bias: { 2: -100 }, sigma: 0.1, dynamics: "white" });
    const whole = post(url, "/v1/chat/completions", body);
    const streamed = post(url, "/v1/chat/completions", { ...body, stream: true });
    await until(async () => (await health(url)).waiting === 1);
    const reading = streamed.then((response) => response.text());
    await server.close();
    expect((await whole).status).toBe(503);
    expect(await reading).toContain("data: ");
  });
});

describe.skipIf(why !== undefined)("tools", () => {
  it("are told to the template, and calls are told apart from text", async () => {
    const tools = [{ type: "function", function: { name: "find", parameters: { type: "object", properties: {} } } }];
    // What the model is to write is given by a grammar: it was not taught tools.
    const call = 'root ::= "<tool_call>{\\"name\\": \\"find\\", \\"arguments\\": {\\"x\\": 1}}</tool_call>"';
    const asked = chat({ tools, grammar: call, max_tokens: 100 });
    const { choices } = (await (await post(here.url, "/v1/chat/completions", asked)).json()) as {
      choices: Record<string, never>[];
    };
    const expected = { type: "function", function: { name: "find", arguments: '{"x":1}' } };
    expect(choices[0]).toMatchObject({ message: { content: null, tool_calls: [expected] }, finish_reason: "tool_calls" });
    const streamed = await (await post(here.url, "/v1/chat/completions", { ...asked, stream: true })).text();
    expect(streamed).toContain('"finish_reason":"tool_calls"');
    expect(streamed).toContain('\\"x\\":1');
    const plain = (await (await post(here.url, "/v1/chat/completions", chat({ tools }))).json()) as {
      choices: Record<string, never>[];
    };
    expect(plain.choices[0]).toMatchObject({ finish_reason: expect.stringMatching(/stop|length/) });
    const none = await started({}, { chatTemplate: "{{ messages[0].content }}", parallel: 1 });
    const refused = await post(none.url, "/v1/chat/completions", chat({ tools }));
    expect((await errorOf(refused)).message).toMatch(/no place for tools/);
  });
});

it.skipIf(why !== undefined)("a model without a template says so, and still continues texts", async () => {
  const { url } = await started({}, { chatTemplate: undefined, parallel: 1 });
  const refused = await post(url, "/v1/chat/completions", chat());
  expect(refused.status).toBe(400);
  expect((await errorOf(refused)).message).toMatch(/no chat template/);
  expect((await errorOf(await post(url, "/v1/chat/completions", chat()))).message).not.toContain("models/");
  expect((await post(url, "/v1/completions", { prompt: "Once", max_tokens: 3, model: NAME })).status).toBe(200);
});
