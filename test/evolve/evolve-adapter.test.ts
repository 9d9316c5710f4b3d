// Searches over the scales of low-rank directions: on our own engine, before servers that take scales, and what comes out of them.
import { appendFileSync, readFileSync, writeFileSync } from "node:fs";
import { createServer, type Server as HttpServer, type IncomingMessage } from "node:http";
import { join, resolve } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { writeAdapters } from "../../src/adapters/index.js";
import { Members } from "../../src/adapters/members.js";
import { Mixture } from "../../src/adapters/mixture.js";
import { engineNamed } from "../../src/engine/index.js";
import { OwnReader } from "../../src/evolve/directions.js";
import {
  type AdapterGeneration,
  cutLog,
  type EvolveAdapterOptions,
  evolveAdapter,
  type Question,
  readAdapterLog,
  readAnyLog,
  replayAdapter,
} from "../../src/evolve/index.js";
import { Likelihood } from "../../src/evolve/rewards.js";
import { readModel } from "../../src/files/index.js";
import { Session } from "../../src/llama/session.js";
import { noiseOf } from "../../src/thermostat/noise.js";
import { llamaServerProgram, startLlamaServer } from "../support/llama-server.js";
import { scratchFolder } from "../support/synthetic-gguf.js";

const MODEL = "models/fairytales-3M-Q8_0.gguf";
const folder = scratchFolder();
const file = (name: string) => join(folder, name);
const WHO = ["king", "queen", "wolf", "bear", "fox", "miller", "tailor", "soldier"];
const task: Question[] = WHO.map((who) => ({ prompt: `The ${who} was very`, answers: [" happy"] }));
const common = { task, validation: 0.5, batch: 4, seed: 3n } as const;
const own = { ...common, threads: 1, scratch: folder } as const;

describe("a mixture", () => {
  it("is the sum of its members, each at its scale", async () => {
    const noise = noiseOf({
      sigma: 1,
      seed: 3n,
      carrier: "adapter",
      rank: 2,
      only: ["blk.0.attn_q.weight"],
      skipUnsupported: true,
    });
    const members = await Members.open(await readModel(MODEL), noise);
    const scales = [0.5, -0.25, 0.125];
    const mixture = new Mixture(members, scales);
    expect(mixture.rank).toBe(6);
    const [sum] = [...mixture.draw()];
    const parts = scales.map((scale, k) => [...members.draw(k, scale)][0]);
    if (sum === undefined) throw new Error("it has no matrix");
    const { rows, columns } = sum.matrix;
    const product = ({ a, b }: { a: Float32Array; b: Float32Array }, i: number, j: number) => {
      let e = 0;
      for (let r = 0; r < a.length / columns; r++) e += (b[r * rows + i] as number) * (a[r * columns + j] as number);
      return e;
    };
    for (const [i, j] of [
      [0, 0],
      [3, 5],
      [rows - 1, columns - 1],
    ] as const)
      expect(product(sum, i, j)).toBeCloseTo(
        parts.reduce((all, one) => all + product(one as never, i, j), 0),
        12,
      );
  });
});

describe.skipIf(!engineNamed().exchangesAdapters)("evolveAdapter on our own engine", () => {
  it("learns a task, and writes the adapter that has what it measured", async () => {
    const output = file("happy.gguf");
    const log = file("happy.jsonl");
    const settings = { directions: 6, sigma: 0.15, generations: 6, output, log, text: "The king went into the wood.", kl: 0.05 };
    const { before, after, scales, history, evaluations } = await evolveAdapter(MODEL, { ...own, ...settings });
    expect(after.reward).toBeGreaterThan(before.reward + 0.5);
    expect(after.kl).toBeGreaterThan(0);
    expect([scales.length, history.length, evaluations]).toEqual([6, 6, 6 * 9]);
    expect(readFileSync(output).includes("brownian mixture of 6 members of seed 3")).toBe(true);
    await replayAdapter(MODEL, log, file("happy-again.gguf"));
    expect(readFileSync(file("happy-again.gguf"))).toEqual(readFileSync(output));
    // The file, at scale 1, is what was measured: sums of rank 6 are in another order than six of rank 1.
    const session = await Session.open(MODEL, { threads: 1, contextSize: 64, scratch: folder });
    try {
      const adapter = await session.engine.loadAdapter?.(output);
      await session.engine.adapt?.([adapter as never], [1]);
      const likelihood = new Likelihood(session);
      const judging = WHO.map((who) => ({ prompt: `The ${who} was very`, answers: [" happy"] }));
      const learned = (await likelihood.of(judging)).reduce((sum, r) => sum + r, 0) / judging.length;
      await session.engine.adapt?.([], []);
      const clean = (await likelihood.of(judging)).reduce((sum, r) => sum + r, 0) / judging.length;
      expect(learned).toBeGreaterThan(clean + 0.5);
    } finally {
      await session.dispose();
    }
  });

  it("leaves no mixture loaded that the engine would not take", async () => {
    const loaded = new Set<object>();
    let refuses = false;
    const engine = {
      loadAdapter: async () => {
        const one = { free: () => loaded.delete(one) };
        loaded.add(one);
        return one;
      },
      adapt: () => {
        if (refuses) throw new Error("no room");
      },
    };
    const session = { engine, alone: (work: () => unknown) => work() } as never;
    const noise = noiseOf({ sigma: 1, carrier: "adapter", only: ["blk.0.attn_q.weight"], skipUnsupported: true });
    const reader = OwnReader.open(session, await Members.open(await readModel(MODEL), noise), {} as never, folder);
    await reader.be([1]);
    const [first] = loaded;
    refuses = true;
    await expect(reader.be([2])).rejects.toThrow("no room");
    expect([...loaded]).toEqual([first]);
    refuses = false;
    await reader.be([3]);
    expect(loaded.has(first as object)).toBe(false);
    await reader.close();
    expect(loaded.size).toBe(0);
  });

  it("says what is wrong with what it is told", async () => {
    const wrong: [Partial<EvolveAdapterOptions>, RegExp][] = [
      [{ kl: 1 }, /kl needs a text/],
      [{ endpoints: ["http://127.0.0.1:1"] }, /go together/],
      [{ endpoints: ["http://127.0.0.1:1"], adapters: folder }, /neither the likelihood/],
      [{ directions: 0 }, /directions must be/],
      [{ population: 2 }, /population must be/],
      [{ rank: 1025 }, /rank must be/],
      [{ concurrency: 2, deadline: 1 }, /concurrency, deadline: no effect without endpoints/],
      [{ textTokens: 20 }, /textTokens: no effect without text/],
      [{ format: "peft" }, /format: no effect without output/],
      [{ rewardName: "mine" }, /rewardName: no effect with a reward that has a name/],
    ];
    for (const [options, message] of wrong) await expect(evolveAdapter(MODEL, { ...own, ...options })).rejects.toThrow(message);
  });
});

describe("evolveAdapter before servers", () => {
  const servers: HttpServer[] = [];
  afterAll(() => {
    for (const server of servers) {
      server.closeAllConnections();
      server.close();
    }
  });

  /** What takes scales for a text as long as the first of them is large. */
  async function fake(paths: readonly string[], most = Number.POSITIVE_INFINITY, onRefused = () => {}) {
    let requests = 0;
    const server = createServer(async (request: IncomingMessage, response) => {
      if (requests++ > most) {
        onRefused();
        return response.destroy();
      }
      const parts: Buffer[] = [];
      for await (const part of request) parts.push(part as Buffer);
      const say = (body: object) => response.setHeader("content-type", "application/json").end(JSON.stringify(body));
      if (request.url === "/lora-adapters") return say(paths.map((path, id) => ({ id, path, scale: 0 })));
      const { lora } = JSON.parse(Buffer.concat(parts).toString()) as { lora: { id: number; scale: number }[] };
      const long = Math.max(0, Math.round(20 + 10 * (lora[0]?.scale ?? 0) - 10 * Math.abs(lora[1]?.scale ?? 0)));
      say({ choices: [{ text: "a".repeat(long), finish_reason: "stop" }] });
    });
    await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
    servers.push(server);
    return `http://127.0.0.1:${(server.address() as { port: number }).port}`;
  }

  const few = { sigma: 0.1, seed: 9n, only: ["blk.0.attn_q.weight"], skipUnsupported: true } as const;
  const reward = (answered: readonly { text: string }[]) => answered.map(({ text }) => text.length);

  it("moves the scales that rewards speak of, by request alone; a server that is gone leaves its work to the other", async () => {
    const adapters = file("directions");
    const { members } = await writeAdapters(MODEL, adapters, { sigma: 0.1, members: 4, seed: 9n, skipUnsupported: true });
    const paths = members.map(({ path }) => path);
    let refused = 0;
    const endpoints = [await fake(paths), await fake(paths, 10, () => refused++)];
    const output = file("long.gguf");
    const concurrency = 2;
    const settings = { ...common, seed: undefined, endpoints, adapters, reward, generations: 7, output, concurrency };
    const { before, after, scales } = await evolveAdapter(MODEL, settings);
    // When it was first gone it was waited for, with three tries of all that it had; then one of each, in every generation and at the end.
    expect(refused).toBeGreaterThan(3);
    expect(refused).toBeLessThanOrEqual(concurrency * (3 + 7 + 1));
    expect(before.reward).toBe(20);
    expect(after.reward).toBeGreaterThan(24);
    // In RMS: the files' own sigma is 0.1, so scale 1 is that.
    expect(scales[0]).toBeGreaterThan(0.04);
    expect(Math.abs(scales[1] as number)).toBeLessThan(scales[0] as number);
    expect(readFileSync(output).includes("mixture of 4 members of seed 9")).toBe(true);
    await expect(evolveAdapter("models/fairytales-3M-Q6_K.gguf", settings)).rejects.toThrow(/another model than/);
    await expect(evolveAdapter(MODEL, { ...settings, rank: 2 })).rejects.toThrow(/rank is what the folder/);
    for (const idle of [{ threads: 1 }, { scratch: folder }, { contextSize: 64 }, { chatTemplate: "" }])
      await expect(evolveAdapter(MODEL, { ...settings, ...idle })).rejects.toThrow(/: no effect with endpoints/);
    const lacking = await fake(paths.slice(0, 2));
    await expect(evolveAdapter(MODEL, { ...settings, endpoints: [lacking] })).rejects.toThrow(/lacks 2 of the 4/);
  });

  it("goes on from its log to the same adapter, makes it again without a server, and takes no other's log", async () => {
    const adapters = file("logged");
    const { members } = await writeAdapters(MODEL, adapters, { ...few, members: 3 });
    const endpoints = [await fake(members.map(({ path }) => path))];
    const settings = { ...common, endpoints, adapters, reward, rewardName: "length", generations: 6 };
    const [log, output] = [file("whole.jsonl"), file("whole.gguf")];
    const whole = await evolveAdapter(MODEL, { ...settings, log, output });

    const killed = { ...settings, log: file("killed.jsonl"), output: file("rest.gguf") };
    const dies = ({ generation }: AdapterGeneration) => {
      if (generation === 2) throw new Error("killed");
    };
    await expect(evolveAdapter(MODEL, { ...killed, onGeneration: dies })).rejects.toThrow("killed");
    appendFileSync(killed.log, '{"generation":3,"rewards":[1,'); // as a kill leaves it
    const done: number[] = [];
    const rest = await evolveAdapter(MODEL, { ...killed, onGeneration: ({ generation }) => done.push(generation) });
    expect([done, rest.evaluations]).toEqual([[3, 4, 5], 3 * 7]);
    expect(rest.history).toEqual(whole.history);
    expect(readFileSync(killed.output)).toEqual(readFileSync(output));
    expect(readFileSync(killed.log)).toEqual(readFileSync(log));

    const [again, part] = [file("again.gguf"), file("part.gguf")];
    expect(await replayAdapter(MODEL, log, again)).toBe(6);
    expect(readFileSync(again)).toEqual(readFileSync(output));
    expect(await replayAdapter(MODEL, log, part, { generations: 2 })).toBe(2);
    expect(readFileSync(part).equals(readFileSync(output))).toBe(false);

    const other = "models/fairytales-3M-Q6_K.gguf";
    await expect(evolveAdapter(MODEL, { ...settings, log, sigma: 0.1 })).rejects.toThrow(/begun with other sigma:/);
    const chatTemplate = "{{ messages[0].content }}";
    await expect(evolveAdapter(MODEL, { ...own, directions: 6, log: file("happy.jsonl"), chatTemplate })).rejects.toThrow(
      /begun with other .*chatTemplate/,
    );
    await expect(evolveAdapter(MODEL, { ...settings, log, rewardName: "other" })).rejects.toThrow(/begun with other reward:/);
    await expect(replayAdapter(other, log, part)).rejects.toThrow(/is of another base: fairytales-3M-Q8_0.gguf with/);
    const { head, generations } = await readAdapterLog(log);
    const moved = file("moved.jsonl");
    const [first] = generations as [AdapterGeneration];
    writeFileSync(moved, cutLog({ head, generations: [{ ...first, scales: [1, 2, 3] }] }, 1));
    await expect(evolveAdapter(MODEL, { ...settings, log: moved })).rejects.toThrow(/goes on otherwise from generation 0/);
    expect((await readAnyLog(log)).told).toMatchObject({ search: "adapter", directions: 3, "seed of the directions": "9" });
  });

  it("stands where rewards are all the same, or no number, says so, and does so again by its log", async () => {
    const adapters = file("standing");
    const { members } = await writeAdapters(MODEL, adapters, { ...few, members: 3 });
    const endpoints = [await fake(members.map(({ path }) => path))];
    // Seven candidates a generation are judged one after the other, and before them the model itself.
    let judged = -1;
    const rewards = (answered: readonly { text: string }[]) => {
      const [generation, candidate] = [Math.floor(judged / 7), judged++ % 7];
      if (generation === 0) return answered.map(() => 1);
      return answered.map(({ text }) => (generation === 1 && candidate === 4 ? Number.NaN : text.length));
    };
    const log = file("stood.jsonl");
    const settings = { ...common, endpoints, adapters, reward: rewards, log };
    const { history } = await evolveAdapter(MODEL, { ...settings, generations: 3 });
    expect(history.map(({ stood }) => stood)).toEqual([
      "all candidates have the same reward, 1",
      "the reward of candidate 4 is NaN",
      undefined,
    ]);
    expect(history.map(({ noise }) => noise > 0)).toEqual([false, false, true]);
    const { history: known, evaluations } = await evolveAdapter(MODEL, { ...settings, generations: 3 });
    expect([known, evaluations]).toEqual([history, 0]);
  });

  it.skipIf(llamaServerProgram === undefined)("does so with the real llama-server", async () => {
    const adapters = file("real");
    const { members } = await writeAdapters(MODEL, adapters, { sigma: 0.15, members: 4, seed: 9n, skipUnsupported: true });
    const loras = members.map(({ path }) => join(adapters, path)).join(",");
    const server = await startLlamaServer(["-m", resolve(MODEL), "-c", "256", "--lora-init-without-apply", "--lora", loras]);
    try {
      // As many e as it can: a task for whoever writes texts.
      const letters = (answered: readonly { text: string }[]) => answered.map(({ text }) => text.split("e").length);
      const settings = {
        ...common,
        seed: undefined,
        endpoints: [server.url],
        adapters,
        reward: letters,
        sigma: 0.2,
        generations: 4,
      };
      const { history, evaluations } = await evolveAdapter(MODEL, settings);
      expect([history.length, evaluations]).toEqual([4, 32]);
      // Scales are heard: candidates of one generation write different texts.
      expect(new Set(history.flatMap(({ rewards }) => rewards)).size).toBeGreaterThan(4);
    } finally {
      server.stop();
    }
  });
});
