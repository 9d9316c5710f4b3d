// The calibration of members on a server, by a model of two words whose flips are known: fakes of every protocol, and the real llama-server beside
// our own engine.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { writeAdapters } from "../../src/adapters/index.js";
import { calibrate, calibrateEndpoint, loadModel } from "../../src/llama/index.js";
import { softmaxFlipRate, weightSigma } from "../../src/sampling/index.js";
import { FakeServer } from "../support/fake-servers.js";
import { llamaServerProgram, startLlamaServer } from "../support/llama-server.js";
import { scratchFolder } from "../support/synthetic-gguf.js";

const FILE = "models/fairytales-3M-Q8_0.gguf";
const folder = scratchFolder();
const adapters = join(folder, "members");
const MEMBERS = 2;
const SIGMAS = [0.05, 0.1, 0.2];
const TOKENS = 24;
const text = "yes ".repeat(TOKENS);

beforeAll(async () => {
  const only = ["blk.0.attn_q.weight"];
  await writeAdapters(FILE, adapters, { sigma: SIGMAS, members: MEMBERS, seed: 7n, format: "both", only });
});

/** Flips of a member: every (1/sigma)-th token; "no" costs nothing else. */
const flipped = (sigma: number, after: number) => after % Math.round(1 / sigma) === 0;
const CLEAN = 0.2;
const doubtOf = (called: string): number => {
  const scaled = / x ([\d.]+)$/.exec(called);
  if (scaled !== null) return 0.2 * Number(scaled[1]);
  return Number(/-s([\d.]+)$/.exec(called)?.[1] ?? 0);
};

const servers = {
  vllm: () => FakeServer.start("vllm"),
  sglang: () => FakeServer.start("sglang"),
  "llama-server": () => FakeServer.start("llama-server", { adapters: [0, 1, 2, 3].map((i) => `${adapters}/m0${i}.gguf`) }),
};

describe.each(Object.entries(servers))("over %s", (_, start) => {
  it("a calibration counts the flips that there are, and gives the sigma that is as surprising", async () => {
    const server = await start();
    server.doubt = (called, after) => {
      const sigma = doubtOf(called);
      return sigma > 0 && flipped(sigma, after) ? 1 - CLEAN : CLEAN;
    };
    let last = [0, 0];
    const onProgress = (done: number, total: number) => (last = [done, total]);
    const profile = await calibrateEndpoint(text, { endpoint: server.url, adapters, sigmas: SIGMAS, onProgress });
    expect(last).toEqual([SIGMAS.length * MEMBERS, SIGMAS.length * MEMBERS]);
    expect(server.loaded.size).toBe(0);
    expect(profile.settings).toMatchObject({ carrier: "adapter", rank: 1, seed: "7", draws: MEMBERS, scale: "rms" });
    // The text goes in one piece, of which the first token has nothing before it.
    expect(profile.text.tokens).toBe(TOKENS - 1);
    expect(profile.nll).toBeCloseTo(-Math.log(1 - CLEAN), 12);
    for (const [i, sigma] of SIGMAS.entries()) {
      const point = profile.noise[i]!;
      const flips = Array.from({ length: TOKENS - 1 }, (_, k) => flipped(sigma, k + 1)).filter(Boolean).length / (TOKENS - 1);
      expect(point.sigma).toBe(sigma);
      expect(point.flipRate).toBeCloseTo(flips, 12);
      expect(point.low).toBeCloseTo(flips, 12); // all members flip alike
      const [yes, no] = [Math.log(1 - CLEAN), Math.log(CLEAN)];
      expect(point.nll).toBeCloseTo(-(flips * no + (1 - flips) * yes), 12);
      expect(point.kl).toBeCloseTo(flips * ((1 - CLEAN) * (yes - no) + CLEAN * (no - yes)), 12);
    }
    // Of two words all is known: p_T("no") = 1 / (1 + 4^(1/T)).
    for (const T of [0.3, 0.5, 1]) expect(softmaxFlipRate(profile, T)).toBeCloseTo(1 / (1 + 4 ** (1 / T)), 12);
    expect(weightSigma(profile, 0.5)).toBeGreaterThan(0.05);
    expect(weightSigma(profile, 0.5)).toBeLessThan(0.1); // 5.9 % of flips: between those of the first two sigmas, one and two of 23
  });
});

describe("a calibration over an endpoint", () => {
  it("never has vLLM read two texts at a time, which ends its engine; of SGLang it does", async () => {
    for (const [name, most] of [
      ["vllm", 1],
      ["sglang", 4],
    ] as const) {
      const server = await FakeServer.start(name);
      const pieces = "yes ".repeat(1600); // eight of them
      await calibrateEndpoint(pieces, { endpoint: server.url, adapters, sigmas: SIGMAS, maxTokens: 1600, concurrency: 4 });
      expect(server.most).toBe(most);
    }
  });

  it("is refused by name where it cannot be", async () => {
    const tgi = await FakeServer.start("tgi", { adapters: [] });
    await expect(calibrateEndpoint(text, { endpoint: tgi.url, adapters })).rejects.toThrow(
      /TGI, which does not tell what it thinks/,
    );
    const vllm = await FakeServer.start("vllm");
    const at = { endpoint: vllm.url, adapters };
    await expect(calibrateEndpoint(text, { ...at, sigmas: [0.05, 0.06] })).rejects.toThrow(/no files of sigma 0\.06/);
    await expect(calibrateEndpoint(text, { ...at, sigmas: [0.05] })).rejects.toThrow(/two sigmas or more/);
    await expect(calibrateEndpoint(text, { ...at, members: 1 })).rejects.toMatchObject({ code: "usage" });
    await expect(calibrateEndpoint(" ", at)).rejects.toThrow(/no token to read/);
    vllm.fault = () => ({ status: 200, body: { choices: [{ text: "x", logprobs: null }] } });
    await expect(calibrateEndpoint(text, at)).rejects.toMatchObject({ code: "endpoint-failed" });
    expect(vllm.loaded.size).toBe(0);
  });

  const why = llamaServerProgram === undefined ? "BROWNIAN_LLAMA_SERVER names no llama-server" : undefined;
  if (why !== undefined) console.warn(`SKIPPED a calibration over the real llama-server: ${why}`);
  it.skipIf(why !== undefined)("over the real llama-server means the same sigmas as in our engine", async () => {
    const members = join(folder, "all");
    await writeAdapters(FILE, members, { sigma: 0.2, members: 4, seed: 7n });
    const files = [0, 1, 2, 3].map((i) => `${members}/m0${i}.gguf`).join(",");
    const server = await startLlamaServer(["-m", FILE, "--lora-init-without-apply", "--lora", files, "-np", "1"]);
    const tales = readFileSync("models/fairytales-heldout.txt", "utf8").slice(0, 700);
    try {
      const sigmas = [0.1, 0.2];
      const theirs = await calibrateEndpoint(tales, { endpoint: server.url, adapters: members, sigmas, concurrency: 1 });
      const model = await loadModel(FILE, { threads: 1, scratch: folder });
      try {
        const ours = await calibrate(model, tales, { carrier: "adapter", sigmas, draws: 4, maxTokens: 400 });
        expect(theirs.nll).toBeCloseTo(ours.nll, 0);
        // Other draws on nearly the same tokens: within the two intervals, each widened by its half (four draws give no more).
        for (const [i, point] of theirs.noise.entries()) {
          const own = ours.noise[i]!;
          const slack = (point.high - point.low + own.high - own.low) / 2;
          expect(Math.abs(point.flipRate - own.flipRate), String(point.sigma)).toBeLessThan(slack);
        }
        expect(Math.abs(softmaxFlipRate(theirs, 0.5) / softmaxFlipRate(ours, 0.5) - 1)).toBeLessThan(0.15);
      } finally {
        await model.dispose();
      }
    } finally {
      server.stop();
    }
  });
});
