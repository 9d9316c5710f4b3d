// Searches over the scales of low-rank directions: on our own engine, before servers that take scales, and what comes out of them.
import { readFileSync } from "node:fs";
import { createServer, type Server as HttpServer, type IncomingMessage } from "node:http";
import { join, resolve } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { writeAdapters } from "../../src/adapters/index.js";
import { Members } from "../../src/adapters/members.js";
import { Mixture } from "../../src/adapters/mixture.js";
import { engineNamed } from "../../src/engine/index.js";
import { type EvolveAdapterOptions, evolveAdapter, type Question } from "../../src/evolve/index.js";
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
const common = { task, validation: 0.5, batch: 4, threads: 1, scratch: folder, seed: 3n } as const;

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
    const settings = { directions: 6, sigma: 0.15, generations: 6, output, text: "The king went into the wood.", kl: 0.05 };
    const { before, after, scales, history, evaluations } = await evolveAdapter(MODEL, { ...common, ...settings });
    expect(after.reward).toBeGreaterThan(before.reward + 0.5);
    expect(after.kl).toBeGreaterThan(0);
    expect([scales.length, history.length, evaluations]).toEqual([6, 6, 6 * 9]);
    expect(readFileSync(output).includes("brownian mixture of 6 members of seed 3")).toBe(true);
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

  it("says what is wrong with what it is told", async () => {
    const wrong: [Partial<EvolveAdapterOptions>, RegExp][] = [
      [{ kl: 1 }, /kl needs a text/],
      [{ endpoints: ["http://127.0.0.1:1"] }, /go together/],
      [{ endpoints: ["http://127.0.0.1:1"], adapters: folder }, /neither the likelihood/],
      [{ directions: 0 }, /directions must be/],
      [{ population: 2 }, /population must be/],
      [{ rank: 1025 }, /rank must be/],
    ];
    for (const [options, message] of wrong)
      await expect(evolveAdapter(MODEL, { ...common, ...options })).rejects.toThrow(message);
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
    const lacking = await fake(paths.slice(0, 2));
    await expect(evolveAdapter(MODEL, { ...settings, endpoints: [lacking] })).rejects.toThrow(/lacks 2 of the 4/);
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
