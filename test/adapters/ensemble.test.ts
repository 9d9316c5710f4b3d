// Ensembles over servers: every protocol as its fake speaks it, and what is done when servers are slow, busy, gone or strange.
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { counted } from "../../src/adapters/ensemble.js";
import { askEnsemble, type EnsembleOptions, writeAdapters } from "../../src/adapters/index.js";
import { FakeServer } from "../support/fake-servers.js";
import { scratchFolder } from "../support/synthetic-gguf.js";

const FILE = "models/fairytales-3M-Q8_0.gguf";
const folder = scratchFolder();
const adapters = join(folder, "members");
const paths = (count = 4, at = adapters) => Array.from({ length: count }, (_, i) => `${at}/m0${i}.gguf`);
const chat = [{ role: "user", content: "Is 91 a prime?" }];

beforeAll(async () => {
  await writeAdapters(FILE, adapters, {
    sigma: [0.05, 0.1],
    members: 4,
    seed: 7n,
    format: "both",
    antithetic: true,
    only: ["blk.0.attn_q.weight"],
  });
});

const ask = (
  endpoints: readonly FakeServer[],
  options: Partial<EnsembleOptions> = {},
  prompt: Parameters<typeof askEnsemble>[0] = chat,
) => askEnsemble(prompt, { endpoints: endpoints.map(({ url }) => url), adapters, antithetic: false, pause: 0.001, ...options });

describe("llama-server", () => {
  it("is asked with a scale for each request", async () => {
    const server = await FakeServer.start("llama-server", { adapters: paths() });
    const { answers, endpoints } = await ask([server], { sigma: 0.05, members: 3, apiKey: "secret" });
    expect(answers.map(({ member, sigma, text }) => ({ member, sigma, text }))).toEqual(
      [0, 1, 2].map((member) => ({ member, sigma: 0.05, text: `answer of ${adapters}/m0${member}.gguf x 0.5` })),
    );
    expect(endpoints).toEqual([
      { url: server.url, protocol: "llama-server", answers: 3, failures: 0, gone: undefined, stayed: [] },
    ]);
    const [{ body, headers }] = server.written as [(typeof server.written)[0]];
    expect(body).toMatchObject({ messages: chat, temperature: 0, max_tokens: 100, logprobs: true });
    expect(headers.authorization).toBe("Bearer secret");
  });

  it("is asked piece by piece where a stop string may end the answer: else it drops log-probabilities", async () => {
    const server = await FakeServer.start("llama-server", { adapters: paths() });
    const { answers } = await ask([server], { members: 1, stop: ["\n"] });
    expect(answers[0]?.tokens?.map(({ text }) => text).join("")).toBe(answers[0]?.text);
    await ask([server], { members: 1 });
    expect(server.written.map(({ body }) => body.stream)).toEqual([true, undefined]);
  });

  it("has mirror images by a scale below 0, and members elsewhere by another path", async () => {
    const server = await FakeServer.start("llama-server", { adapters: paths(4, "/srv/members") });
    const { answers } = await ask([server], { members: 1, antithetic: true, membersPath: "/srv/members/" }, "Once");
    expect(answers.map(({ sigma, text }) => [sigma, text])).toEqual([
      [0.1, "answer of /srv/members/m00.gguf x 1"],
      [-0.1, "answer of /srv/members/m00.gguf x -1"],
    ]);
    expect(server.written.map(({ path }) => path)).toEqual(["/v1/completions", "/v1/completions"]);
  });

  it("without adapters, or without a member, is refused by name and told how to start", async () => {
    const none = await FakeServer.start("llama-server");
    await expect(ask([none])).rejects.toThrow(
      /has no adapters\. llama-server loads them when it starts: .*--lora .*m00\.gguf,.*m03\.gguf/,
    );
    const [whole, few] = [
      await FakeServer.start("llama-server", { adapters: paths() }),
      await FakeServer.start("llama-server", { adapters: paths(2) }),
    ];
    const refused = ask([whole, few]);
    await expect(refused).rejects.toMatchObject({ code: "usage" });
    await expect(refused).rejects.toThrow(`${few.url} lacks 2 of the 4 members (m02.gguf, ...)`);
    expect((await ask([whole, few], { members: 2 })).answers).toHaveLength(2);
  });
});

describe("vLLM", () => {
  it("loads members, is asked for them by name, and unloads them", async () => {
    const server = await FakeServer.start("vllm");
    const { answers, endpoints } = await ask([server], { members: 2 });
    const named = (member: number) =>
      expect.stringMatching(new RegExp(`^answer of brownian-[0-9a-f]{8}-s7-r1-m0${member}-s0\\.1$`));
    expect(answers.map(({ text }) => text)).toEqual([named(0), named(1)]);
    expect(endpoints[0]?.protocol).toBe("vLLM");
    const loads = server.asked.filter(({ path }) => path === "/v1/load_lora_adapter").map(({ body }) => body.lora_path);
    expect(loads).toEqual([`${adapters}/m00-s0.1`, `${adapters}/m01-s0.1`]);
    expect(server.loaded.size).toBe(0);
    await ask([server], { members: 2, keep: true });
    expect(server.loaded.size).toBe(2);
    await ask([server], { members: 2, keep: true }); // they are there already
    expect(server.loaded.size).toBe(2);
  });

  it("takes the nearest sigma that there is a file of, and says which; exactly, it is refused", async () => {
    const server = await FakeServer.start("vllm");
    const { answers } = await ask([server], { members: 1, sigma: 0.06, antithetic: true });
    expect(answers.map(({ sigma }) => sigma)).toEqual([0.05, -0.05]);
    await expect(ask([server], { sigma: 0.06, exact: true })).rejects.toThrow(/no file of sigma 0\.06 \(it has 0\.05, 0\.1\)/);
    expect((await ask([server], { sigma: 0.05, exact: true })).answers).toHaveLength(4);
  });

  it("that takes no adapters, or does not find one, is refused by name, and nothing stays loaded", async () => {
    const fixed = await FakeServer.start("vllm", { fixed: true });
    await expect(ask([fixed])).rejects.toThrow(
      /takes no adapters while it runs: start it as vllm serve .*VLLM_ALLOW_RUNTIME_LORA_UPDATING/,
    );
    const lost = await FakeServer.start("vllm", { lost: "m02-s0.1" });
    await expect(ask([lost])).rejects.toThrow(/does not load member m02-s0\.1 \(.*No adapter found/);
    expect(lost.loaded.size).toBe(0);
  });
});

describe("members that a server does not unload", () => {
  it.each(["vllm", "sglang"] as const)("are told, with why (%s)", async (kind) => {
    const server = await FakeServer.start(kind, { kept: true });
    const { endpoints } = await ask([server], { members: 2 });
    const [one, two] = endpoints[0]?.stayed ?? [];
    expect([one?.called, two?.called]).toEqual([...server.loaded.keys()]);
    expect(one?.why).toMatch(kind === "vllm" ? /refuses \(HTTP 500\): Engine is busy/ : /in use/);
  });

  it("are told after an error, too, and a server that is gone is asked once", async () => {
    const kept = await FakeServer.start("vllm", { kept: true });
    kept.fault = () => ({ status: 400, body: { error: { message: "No." } } });
    await expect(ask([kept], { members: 2 })).rejects.toThrow(
      /No\. Besides, brownian-.*-m00-s0\.1, brownian-.*-m01-s0\.1 may still be loaded on http.*: .*Engine is busy/,
    );
    const gone = await FakeServer.start("vllm");
    gone.fault = () => {
      void gone.stop();
      return "hangup";
    };
    await expect(ask([gone], { members: 4, retries: 0 })).rejects.toThrow(
      /Besides, .*m00-s0\.1, .*m02-s0\.1, \.\.\. \(4 members\) may still be loaded on http.*does not answer/,
    );
  });

  it("are none where all is well", async () => {
    const server = await FakeServer.start("vllm");
    expect((await ask([server], { members: 2 })).endpoints[0]?.stayed).toEqual([]);
  });
});

describe("SGLang and TGI", () => {
  it("are asked by their own protocols", async () => {
    const names = paths().map((_, i) => `m0${i}-s0.1`);
    const servers = [await FakeServer.start("sglang"), await FakeServer.start("tgi", { adapters: names })];
    for (const server of servers)
      for (const prompt of [chat, "Once"]) {
        const { answers } = await ask([server], { members: 2 }, prompt);
        expect(answers.map(({ text }) => text)).toEqual([
          expect.stringMatching(/m00-s0\.1$/),
          expect.stringMatching(/m01-s0\.1$/),
        ]);
        expect(answers[0]?.tokens?.map(({ text }) => text).join("")).toBe(answers[0]?.text);
      }
    expect(servers[0]?.loaded.size).toBe(0);
    for (const _ of ["loaded", "there already"]) {
      await ask([servers[0] as FakeServer], { members: 2, keep: true });
      expect(servers[0]?.loaded.size).toBe(2);
    }
    const few = await FakeServer.start("tgi", { adapters: names.slice(0, 1) });
    await expect(ask([few])).rejects.toThrow(/has no member m01-s0\.1 .*--lora-adapters m00-s0\.1=/);
    const lost = await FakeServer.start("sglang", { lost: "m01-s0.1" });
    await expect(ask([lost])).rejects.toThrow(/does not load member m01-s0\.1/);
  });
});

describe("servers that fail", () => {
  it("are tried again, and no more at a time than allowed", async () => {
    const server = await FakeServer.start("llama-server", { adapters: paths() });
    server.fault = (count) => (count % 2 === 0 ? { status: 503, body: { error: { message: "loading" } } } : undefined);
    const { answers, endpoints } = await ask([server], { concurrency: 2, retries: 8 });
    expect(answers).toHaveLength(4);
    expect(endpoints[0]?.failures).toBeGreaterThan(0);
    expect(server.most).toBeLessThanOrEqual(2);
  });

  it("wait as long as a busy one says", async () => {
    const server = await FakeServer.start("llama-server", { adapters: paths() });
    server.fault = (count) => (count === 0 ? { status: 429, body: {}, headers: { "retry-after": "0" } } : undefined);
    expect((await ask([server], { members: 1, pause: 3600 })).answers).toHaveLength(1);
  });

  it("and are gone leave their work to the others", async () => {
    for (const fault of ["hangup", "silence"] as const) {
      const [good, bad] = [await FakeServer.start("llama-server", { adapters: paths() }), await FakeServer.start("vllm")];
      bad.fault = () => fault;
      const { answers, endpoints } = await ask([bad, good], { deadline: 0.2, retries: 1, concurrency: 1 });
      expect(answers.map(({ endpoint }) => endpoint)).toEqual(Array(4).fill(good.url));
      const [first, second] = endpoints;
      expect(first).toMatchObject({ url: bad.url, answers: 0, failures: 2 });
      expect(first?.gone).toMatch(fault === "silence" ? /not within 0\.2 s/ : /does not answer/);
      expect(second).toMatchObject({ url: good.url, answers: 4 });
    }
  });

  it("from the beginning on are left out, unless all are", async () => {
    const good = await FakeServer.start("llama-server", { adapters: paths() });
    const bad = await FakeServer.start("llama-server");
    await bad.stop();
    const options = { adapters, antithetic: false, retries: 1, pause: 0.001 };
    const { answers } = await askEnsemble("x", { endpoints: [bad.url, good.url], ...options });
    expect(answers).toHaveLength(4);
    const none = askEnsemble("x", { endpoints: [bad.url], ...options });
    await expect(none).rejects.toMatchObject({ code: "endpoint-failed" });
    await expect(none).rejects.toThrow(`${bad.url} does not answer: ECONNREFUSED`);
  });

  it("all at once end the work, with why", async () => {
    const server = await FakeServer.start("llama-server", { adapters: paths() });
    server.fault = () => "hangup";
    await expect(ask([server], { retries: 1 })).rejects.toThrow(
      /No endpoint is left, and 4 of 4 answers are missing\. .*does not answer/,
    );
  });

  it("or answer what is no answer do so by name", async () => {
    const server = await FakeServer.start("llama-server", { adapters: paths() });
    for (const [text, said] of [
      ["{", /answers what is no JSON/],
      ['{"choices":[]}', /another shape than OpenAI's/],
      ['{"choices":[{"message":{"content":5}}]}', /another shape/],
      ["null", /another shape/],
    ] as const) {
      server.fault = () => ({ text });
      await expect(ask([server], { retries: 0 }), text).rejects.toThrow(said);
    }
    server.fault = () => ({ status: 400, body: { error: { message: "the prompt is too long" } } });
    await expect(ask([server])).rejects.toThrow(/refuses \(HTTP 400\): the prompt is too long/);
    expect(server.written.length).toBeLessThanOrEqual(5 * 4); // what is refused is not asked again
  });

  it("end when they are told to", async () => {
    const server = await FakeServer.start("vllm");
    server.fault = () => "silence";
    const abort = new AbortController();
    const asked = ask([server], { signal: abort.signal });
    setTimeout(() => abort.abort(new Error("enough")), 200);
    await expect(asked).rejects.toThrow("enough");
    expect(server.loaded.size).toBe(0); // unloaded all the same
  });
});

describe("what is no ensemble is refused by name:", () => {
  it("addresses, numbers, folders, strangers", async () => {
    const server = await FakeServer.start("llama-server", { adapters: paths() });
    await expect(ask([], {})).rejects.toThrow(/at least one endpoint/);
    await expect(ask([server], { endpoints: ["localhost:8080"] })).rejects.toMatchObject({ code: "usage" });
    await expect(ask([server], { members: 5 })).rejects.toThrow(
      /has 4 members, not 5: write more with brownian adapter --members 5/,
    );
    await expect(ask([server], { sigma: 0 })).rejects.toMatchObject({ code: "usage" });
    await expect(ask([server], { adapters: folder })).rejects.toThrow(/no members in it \(manifest\.json\): write some/);
    await expect(ask([server], { protocol: "tgi" })).rejects.toMatchObject({ code: "usage" });
    await writeAdapters(FILE, join(folder, "gguf"), { sigma: 0.1, members: 1, only: ["blk.0.attn_q.weight"] });
    const vllm = await FakeServer.start("vllm");
    await expect(ask([vllm], { adapters: join(folder, "gguf") })).rejects.toThrow(/no members for vLLM: .*--format peft/);
  });
});

describe("votes", () => {
  const answer = (member: number, text: string, logs?: number[]) => ({
    member,
    sigma: 0.1,
    endpoint: "x",
    text,
    end: "stop",
    tokens: logs && text.split("").map((one, i) => ({ text: one, logProbability: logs[i] as number })),
  });

  it("count what was answered, and find where members part", () => {
    const same = [-0.1, -0.2, -0.3];
    const { votes, agreement, tokens } = counted([
      answer(0, "abd", [-0.1, -0.2, -9]),
      answer(1, "abc", same),
      answer(2, "abc", same),
      answer(3, "xbc", same),
    ]);
    expect(votes).toEqual([
      { text: "abc", count: 2, members: [1, 2] },
      { text: "abd", count: 1, members: [0] },
      { text: "xbc", count: 1, members: [3] },
    ]);
    expect(agreement).toBe(0.5);
    expect(tokens.map(({ text, members, disagreement }) => [text, members, Math.round(disagreement * 12)])).toEqual([
      ["a", 4, 3],
      ["b", 3, 0],
      ["c", 3, 4],
    ]);
    expect(tokens[2]?.probability).toBeCloseTo(Math.exp(-0.3), 12);
  });

  it("need no logprobs", () => {
    expect(counted([answer(0, " yes\n"), answer(1, "yes")])).toMatchObject({
      votes: [{ text: "yes", count: 2 }],
      agreement: 1,
      tokens: [],
    });
  });
});
