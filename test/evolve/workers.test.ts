// Searches with workers: the same bytes whoever reads, and whatever becomes of them meanwhile. Child processes and the command line run what is built.
import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type EvolveOptions, evolve, type Question, type WorkerNews } from "../../src/evolve/index.js";
import { redisProgram, TestRedis } from "../support/redis-server.js";
import { scratchFolder } from "../support/synthetic-gguf.js";

const MODEL = "models/fairytales-3M-Q8_0.gguf";
const CLI = fileURLToPath(new URL("../../dist/esm/cli.js", import.meta.url));
const folder = scratchFolder();
const file = (name: string) => join(folder, name);
const hash = (path: string) => createHash("sha256").update(readFileSync(path)).digest("hex");
const timeless = (path: string) => readFileSync(path, "utf8").replace(/"seconds":[\d.]+/g, "");

const WHO = ["king", "queen", "wolf", "bear", "fox", "miller", "tailor", "soldier"];
const task: Question[] = WHO.map((who) => ({ prompt: `The ${who} was very`, answers: [" happy"] }));
const common = {
  task,
  validation: 0.5,
  only: ["blk.0.*"],
  sigma: 0.05,
  rate: 2,
  population: 4,
  batch: 3,
  threads: 1,
  generations: 3,
  seed: 5n,
};
/** The files of a search by name: its model's hash and its log. */
async function searched(name: string, options: Partial<EvolveOptions> = {}) {
  const places = { log: file(`${name}.jsonl`), output: file(`${name}.gguf`), scratch: folder };
  await evolve(MODEL, { ...common, ...places, ...options });
  return { model: hash(places.output), log: timeless(places.log) };
}

let alone: { model: string; log: string };
beforeAll(async () => {
  alone = await searched("alone");
});

describe("workers that are child processes", () => {
  it.each([1, 2])("give the same bytes: %i of them", async (workers) => {
    const news: WorkerNews[] = [];
    // None reads before all are there: else the first may be done with everything.
    const onWorker = (one: WorkerNews) => {
      news.push(one);
      if (news.length < workers) process.kill(Number(one.worker), "SIGSTOP");
      else for (const { worker: early } of news.slice(0, -1)) process.kill(Number(early), "SIGCONT");
    };
    expect(await searched(`local-${workers}`, { workers, onWorker })).toEqual(alone);
    expect(news.map(({ state }) => state)).toEqual(new Array(workers).fill("ready"));
  });

  it("may be killed, or stop: others read what they had", async () => {
    const there = new Set<number>();
    const lost: string[] = [];
    const onWorker = ({ worker, state, why }: WorkerNews) => {
      if (state === "ready") there.add(Number(worker));
      if (state === "lost") {
        there.delete(Number(worker));
        lost.push(String(why));
      }
    };
    const onGeneration = ({ generation }: { generation: number }) => {
      const [first] = there;
      if (first === undefined) return;
      if (generation === 0) process.kill(first, "SIGKILL");
      if (generation === 1) process.kill(first, "SIGSTOP"); // and is ended for it
    };
    expect(await searched("killed", { workers: 2, stall: 2, onWorker, onGeneration })).toEqual(alone);
    // Whether the second has had its turn when all is over depends on how quick the other is.
    expect(lost.length).toBeGreaterThanOrEqual(1);
    expect(new Set(lost)).toEqual(new Set(["SIGKILL"]));
  });

  it("write texts for rewards that are judged where the search runs, and read KL", async () => {
    const reward = (answered: readonly { text: string }[]) => answered.map(({ text }) => text.length % 7);
    const text = "The king went into the wood and met a wolf there.";
    const settings = { reward, maxTokens: 4, generations: 2, population: 4, text, kl: 0.5 };
    const one = await searched("judged", settings);
    expect(await searched("judged-2", { ...settings, workers: 2 })).toEqual(one);
  });

  it("are refused what cannot be, and end with a search that is aborted", async () => {
    await expect(searched("never", { workers: 0 })).rejects.toThrow(/workers must be/);
    await expect(searched("never", { queue: "x" })).rejects.toThrow(/are for workers/);
    await expect(searched("never", { workers: "http://localhost" })).rejects.toThrow(/redis:\/\/localhost:6379/);
    await expect(searched("never", { workers: "redis://localhost", queue: "a b" })).rejects.toThrow(/queue must be/);
    const ending = new AbortController();
    const onWorker = () => ending.abort(new Error("enough"));
    await expect(searched("aborted", { workers: 1, signal: ending.signal, onWorker })).rejects.toThrow("enough");
  });
});

describe.skipIf(redisProgram === undefined)("workers on Redis", () => {
  let redis: TestRedis;
  const processes = new Set<ChildProcess>();
  beforeAll(async () => {
    redis = await TestRedis.start();
  });
  afterAll(async () => {
    for (const child of processes) child.kill("SIGKILL");
    await redis.stop();
  });

  function worker(...more: string[]) {
    const env = { ...process.env, NO_COLOR: "1", BROWNIAN_SCRATCH: folder };
    const child = spawn(process.execPath, [CLI, "worker", redis.url, ...more], { env, stdio: ["ignore", "ignore", "pipe"] });
    processes.add(child);
    let said = "";
    child.stderr.on("data", (data) => (said += data));
    const ended = new Promise<{ code: number | null; said: string }>((resolve) =>
      child.once("close", (code) => {
        processes.delete(child);
        resolve({ code, said });
      }),
    );
    return { child, ended };
  }

  it("give the same bytes, while one is killed, and Redis is killed and begins anew with nothing", async () => {
    const [first, second] = [worker("--once"), worker("--once")];
    second.child.kill("SIGSTOP"); // until the first, which is to be killed, has begun
    const ready = new Set<string>();
    let [killed, restarted] = [false, Promise.resolve()];
    const onWorker = ({ worker: name, state }: WorkerNews) => {
      if (state !== "ready") return;
      ready.add(name);
      second.child.kill("SIGCONT");
    };
    const onGeneration = ({ generation }: { generation: number }) => {
      if (generation === 0 && !killed) {
        killed = true;
        // In the middle of a generation, as far as chance has it.
        setTimeout(() => first.child.kill("SIGKILL"), 50);
      }
      if (generation === 1)
        restarted = (async () => {
          await wait(30);
          await redis.kill();
          await wait(500);
          await redis.begin();
        })();
    };
    const made = await searched("redis", { workers: redis.url, stall: 2, onWorker, onGeneration });
    await restarted;
    expect(made).toEqual(alone);
    expect([killed, ready.size >= 2]).toEqual([true, true]);
    expect((await second.ended).code).toBe(0);
  });

  it("are refused, by name, with another base or thread count; the search hears of it, and goes on with another", async () => {
    const queue = ["--queue", "other"];
    const wrong = [worker("models/fairytales-3M-Q6_K.gguf", ...queue), worker("--threads", "2", ...queue)];
    const ends = Promise.all(wrong.map(({ ended }) => ended));
    const refused: string[] = [];
    let right: ReturnType<typeof worker> | undefined;
    const onWorker = ({ state, why }: WorkerNews) => {
      if (state === "refused") refused.push(String(why));
      if (refused.length === 2) right ??= worker(...queue);
    };
    expect(await searched("refused", { workers: redis.url, queue: "other", stall: 2, onWorker })).toEqual(alone);
    const [base, threads] = await ends;
    expect([base?.code, threads?.code]).toEqual([2, 2]);
    expect(base?.said).toMatch(/another base, fairytales-3M-Q6_K\.gguf .*the search's is fairytales-3M-Q8_0\.gguf/);
    expect(threads?.said).toMatch(/another number of engine threads, 2; the search has 1/);
    expect(refused.sort()).toHaveLength(2);
    right?.child.kill("SIGINT");
    expect((await right?.ended)?.code).toBe(0);
  });

  it("say where no Redis is", async () => {
    const nowhere = await searched("nowhere", { workers: "redis://:secret@127.0.0.1:1" }).catch((error: Error) => error);
    expect(String(nowhere)).toMatch(/No Redis answers at redis:\/\/127\.0\.0\.1:1 \(.*ECONNREFUSED/);
    expect(String(nowhere)).not.toContain("secret");
  });
});

it("says where Redis was not tried", () => {
  if (redisProgram === undefined) console.warn("no redis-server or valkey-server in PATH: workers on Redis were not tried");
});
