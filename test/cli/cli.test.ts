// The command line as a user meets it: results, refusals with their exit codes, and Ctrl-C. Runs what `npm run setup` built.
import { createHash } from "node:crypto";
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { commandLine } from "../support/command-line.js";
import { scratchFolder, writeGguf } from "../support/synthetic-gguf.js";

const main = fileURLToPath(new URL("../../dist/esm/cli.js", import.meta.url));
const q8 = fileURLToPath(new URL("../../models/fairytales-3M-Q8_0.gguf", import.meta.url));
const q4 = fileURLToPath(new URL("../../models/fairytales-3M-Q4_0.gguf", import.meta.url));
const types = fileURLToPath(new URL("../fixtures/ggml-types.gguf", import.meta.url));
const folder = scratchFolder();
const scratch = join(folder, "scratch");
mkdirSync(scratch);
const hash = (path: string) => createHash("sha256").update(readFileSync(path)).digest("hex");

const { run, start } = commandLine({ BROWNIAN_SCRATCH: scratch });

describe("brownian generate", () => {
  it("continues the prompt on stdout, the same for the same seed, with remarks on stderr", async () => {
    const [a, b, c] = await Promise.all(
      ["7", "7", "8"].map((seed, i) => {
        const args = ["generate", "The King said", "--sigma", "0.05", "--max-tokens", "25", "--seed", seed];
        return i === 0 ? start(args).ended : run(...args);
      }),
    );
    expect(a!.code).toBe(0);
    expect(a!.out.startsWith("The King said")).toBe(true);
    expect(a!.out.length).toBeGreaterThan(40);
    expect(a!.out).toBe(b!.out);
    expect(c!.out).not.toBe(a!.out);
    expect(a!.err).toMatch(/tokens\/s, \d.* % of 2\.89 M weights moved/);
  });

  it("names the seed when it chose one", async () => {
    const first = await run("generate", "--max-tokens", "12");
    const seed = /--seed (\d+)/.exec(first.err)?.[1] as string;
    expect((await run("generate", "--max-tokens", "12", "--seed", seed)).out).toBe(first.out);
  });

  it("puts clean, softmax and weights side by side", async () => {
    const { code, out } = await run("generate", "--side-by-side", "--seed", "3", "--max-tokens", "20", "--sigma", "0.05,0.2");
    expect(code).toBe(0);
    expect(out.split("\n")[0]).toMatch(/greedy +T = 0\.8, seed 3 +σ = 0\.05 RMS, seed 3 +σ = 0\.2 RMS, seed 4/);
    expect(out).toMatch(/weights moved|of 2\.89 M/);
  });

  it("prints JSON, sigma 0 being the greedy text", async () => {
    const { code, out } = await run(
      "generate",
      "--json",
      "--sigma",
      "0,0.05",
      "--samples",
      "2",
      "--seed",
      "1",
      "--max-tokens",
      "20",
    );
    expect(code).toBe(0);
    const { texts } = JSON.parse(out) as {
      texts: { sigma: number; seed: string; text: string; changed: number; tokens: number }[];
    };
    expect(texts.map((t) => [t.sigma, t.seed])).toEqual([
      [0, "1"],
      [0, "2"],
      [0.05, "1"],
      [0.05, "2"],
    ]);
    expect(texts[0]!.text).toBe(texts[1]!.text);
    expect(texts[2]!.text).not.toBe(texts[3]!.text);
    expect(texts[0]!.changed).toBe(0);
    expect(texts[3]!.tokens).toBe(20);
  });

  const refused: [string, string[], number, RegExp][] = [
    ["an unknown option", ["--sgima", "1"], 2, /unknown option '--sgima'.*--sigma/s],
    ["a sigma that is text", ["--sigma", "lots"], 2, /--sigma.*'lots' is invalid.*not a number/],
    ["a negative sigma", ["--sigma", "-0.1"], 2, /sigma must be .*, but is -0\.1/],
    ["NaN", ["--sigma", "NaN"], 2, /not a number/],
    ["an unknown dynamics", ["--dynamics", "hot"], 2, /Allowed choices are quenched, white/],
    ["a negative temperature", ["--temperature", "-1"], 2, /temperature must be/],
    ["no samples", ["--samples", "0"], 2, /--samples must be/],
    ["more GPU layers than any model has", ["--gpu-layers", "1000000"], 2, /gpuLayers must be .* 100000, but is 1000000/],
    ["a context beyond the model's", ["--context", "100000"], 2, /contextSize is 100000, but .* was trained on 256/],
    [
      "a prompt beyond the context",
      ["--context", "8", "one two three four five six seven eight nine ten"],
      2,
      /tokens, but the context holds 8/,
    ],
    ["no such model", ["--model", "none.gguf"], 1, /There is no file none\.gguf/],
    ["a tensor that there is not", ["--only", "nothing.*"], 1, /no tensor that matches "nothing\.\*"/],
    [
      "moving what the engine does not see",
      ["--model", q4, "--skip-unsupported", "--dynamics", "white", "--repack", "on"],
      1,
      /white moves weights .* does not see .*Q4_0 blk\.\*\.attn_q/,
    ],
    [
      "a model without a vocabulary",
      ["--model", fileURLToPath(new URL("../fixtures/ggml-types.gguf", import.meta.url))],
      1,
      /is a model without a vocabulary/,
    ],
  ];
  it.each(refused)("refuses %s", async (_, args, code, message) => {
    const outcome = await run("generate", ...args);
    expect(outcome.err).toMatch(message);
    expect(outcome.err).not.toMatch(/\n\s+at /); // no stack traces
    expect(outcome.out).toBe("");
    expect(outcome.code).toBe(code);
    expect(readdirSync(scratch)).toEqual([]);
  });

  it("ends its process with the exit code", async () => {
    const ends = [
      ["--sgima", "1"],
      ["--model", "none.gguf"],
    ].map((args) => start(["generate", ...args]).ended);
    expect((await Promise.all(ends)).map(({ code }) => code)).toEqual([2, 1]);
  });

  it("stops at Ctrl-C, and leaves no copy", async () => {
    const { child, ended } = start(["generate", "--max-tokens", "200", "--samples", "1000"]);
    await new Promise((resolve) => child.stdout?.once("data", resolve));
    child.kill("SIGINT");
    const { code, err } = await ended;
    expect(code).toBe(130);
    expect(err).toMatch(/interrupted/);
    expect(readdirSync(scratch)).toEqual([]);
  });
});

const pick = ({ asked, given }: { asked: number; given: number }) => ({ asked, given });

describe("brownian perturb", () => {
  it("writes a moved copy and says how much moved", async () => {
    const out = join(folder, "moved.gguf");
    const before = hash(q8);
    const { code, out: text } = await start(["perturb", q8, "-o", out, "--sigma", "0.05", "--seed", "7"]).ended;
    expect(code).toBe(0);
    expect(text).toMatch(/moved\.gguf: 2,387,265 of 2,885,888 weights moved \(82\.7 %\)/);
    expect(hash(q8)).toBe(before);
    const json = JSON.parse((await run("perturb", q8, "-o", out, "--sigma", "0.05", "--seed", "7", "--json")).out);
    expect(json).toMatchObject({ changed: 2387265, weights: 2885888, skipped: [] });
    expect(json.tensors).toHaveLength(38);
    for (const { asked, given, law, type } of json.tensors) {
      expect(given).toBe(asked);
      expect(law / asked).toBeGreaterThanOrEqual(type === "F32" ? 1 : 1.005);
    }
    const { tensors } = JSON.parse((await run("inspect", q8, "--sigma", "0.05", "--json")).out);
    for (const [i, { asked, given }] of tensors.entries()) expect({ asked, given }).toMatchObject(pick(json.tensors[i]));
  });

  it("says which tensors cannot have the sigma that was asked for", async () => {
    const { code, err } = await run("perturb", types, "-o", join(folder, "far.gguf"), "-s", "3", "--skip-unsupported");
    expect(code).toBe(0);
    expect(err).toMatch(/14 of 18 tensors get another sigma than was asked for: blk\.0\.Q2_K\.weight \(2\d\.\d %\), .*, \.\.\./);
  });

  const out = join(folder, "refused.gguf");
  const cases: [string, () => string[], number, RegExp][] = [
    ["no sigma", () => [q8, "-o", out], 2, /required option '-s, --sigma/],
    ["no output", () => [q8, "-s", "1"], 2, /required option '-o, --output/],
    ["the input as output", () => [q8, "-o", q8, "-s", "1"], 1, /is the input itself, which is never written to/],
    [
      "a type that cannot move",
      () => [types, "-o", out, "-s", "1"],
      1,
      /types? .*IQ3_S cannot be moved \(blk\.0\.TQ1_0\.weight.*--skip-unsupported/,
    ],
    ["a missing folder", () => [q8, "-o", join(folder, "no/out.gguf"), "-s", "1"], 1, /folder of .* does not exist/],
    ["no GGUF", () => [main, "-o", out, "-s", "1"], 1, /is not a GGUF or safetensors model: it begins with "#!\/u"/],
    [
      "an unknown rounding",
      () => [q8, "-o", out, "-s", "1", "--rounding", "up"],
      2,
      /Allowed choices are nearest, stochastic, matched/,
    ],
    ["an unknown scale", () => [q8, "-o", out, "-s", "1", "--scale", "sd"], 2, /Allowed choices are rms, absolute, step/],
    ["a fractional seed", () => [q8, "-o", out, "-s", "1", "--seed", "1.5"], 2, /not a whole number/],
  ];
  it.each(cases)("refuses %s", async (_, args, code, message) => {
    const outcome = await run("perturb", ...args());
    expect(outcome.err).toMatch(message);
    expect(outcome.code).toBe(code);
    expect(existsSync(out)).toBe(false);
  });

  it("refuses a folder that may not be written to", async () => {
    if (process.getuid?.() === 0) return; // root may write everywhere
    const sealed = join(folder, "sealed");
    mkdirSync(sealed);
    chmodSync(sealed, 0o500);
    expect((await run("perturb", q8, "-o", join(sealed, "out.gguf"), "-s", "1")).err).toMatch(/may not be accessed/);
  });

  it.skipIf(!existsSync("/dev/full") || process.platform !== "linux")("needs room for the output", async () => {
    const huge = join(folder, "huge.gguf");
    writeGguf(huge, [{ name: "w", type: "F32", shape: [2 ** 20, 2 ** 21] }]);
    const { code, err } = await run("perturb", huge, "-o", join(folder, "full.gguf"), "-s", "1");
    expect(err).toMatch(/has no room for \d+ bytes/);
    expect(code).toBe(1);
  });

  it("stops at Ctrl-C with neither an output nor half of one, and shows progress on large files", async () => {
    const target = join(folder, "interrupted");
    mkdirSync(target);
    const large = join(folder, "large.gguf");
    writeGguf(large, [{ name: "w", type: "F16", shape: [4096, 50_000] }]);
    const { child, ended } = start(["perturb", large, "-o", join(target, "out.gguf"), "-s", "0.1", "--scale", "absolute"]);
    while (readdirSync(target).length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    child.kill("SIGINT");
    const { code } = await ended;
    expect(code).toBe(130);
    expect(readdirSync(target)).toEqual([]);
  });
});

describe("brownian inspect and info", () => {
  it("lists tensors with their steps and the moves to expect, which come true", async () => {
    const { tensors } = JSON.parse((await run("inspect", q8, "--sigma", "0.001", "--json")).out) as {
      tensors: { name: string; type: string; rms: number; medianStep: number; expectedMoves: number; weights: number }[];
    };
    const expected = tensors.find((t) => t.name === "blk.0.ffn_up.weight")!;
    const moved = JSON.parse(
      (await run("perturb", q8, "-o", join(folder, "m.gguf"), "-s", "0.001", "--only", expected.name, "--json")).out,
    );
    const share = moved.changed / expected.weights;
    // Binomial: five standard errors; the rails, where nothing moves, hold one weight in 32 of this format.
    const error = 5 * Math.sqrt((expected.expectedMoves * (1 - expected.expectedMoves)) / expected.weights);
    expect(share).toBeLessThan(expected.expectedMoves + error);
    expect(share).toBeGreaterThan(expected.expectedMoves * (1 - 2 / 32) - error);
    const text = (await run("inspect", q4)).out;
    expect(text).toMatch(/token_embd\.weight +Q6_K +256 x 2048 +[\d.]+ +[\d.]+ +0\.05 +[\d.]+ %/);
    expect((await run("inspect", types)).out).toMatch(/blk\.0\.IQ3_S\.weight +IQ3_S +512 x 8 +- +- +- +-/);
    expect(text).toMatch(/llama, 2,885,888 weights in 38 tensors, 1\.81 MB/);
  });

  it("says what runs, and what was forced", async () => {
    const { code, out } = await start(["info"]).ended;
    expect(code).toBe(0);
    expect(out).toMatch(/backend +(native|wasm|js) \w+/);
    expect(out).toMatch(/engine +(llama\.cpp \(C API\)|node-llama-cpp), llama\.cpp v/);
    const forced = await start(["info", "--json"], { env: { BROWNIAN_BACKEND: "wasm", BROWNIAN_ISA: "scalar" } }).ended;
    expect(JSON.parse(forced.out)).toMatchObject({
      backend: "wasm",
      isa: "scalar",
      forced: ["BROWNIAN_BACKEND=wasm", "BROWNIAN_ISA=scalar"],
    });
    const wrong = await start(["info"], { env: { BROWNIAN_BACKEND: "abacus" } }).ended;
    expect(wrong).toMatchObject({ code: 1, err: expect.stringMatching(/BROWNIAN_BACKEND=abacus: there is no such backend/) });
  });

  it("says so when the engine is missing, and writes no text then", async () => {
    // A Node that finds no node-llama-cpp, by neither module system: loaders that refuse to resolve it.
    const loader = join(folder, "without-engine.mjs");
    const hooks = `export async function resolve(name, context, next) { if (name === "node-llama-cpp") { const e = new Error("Cannot find package 'node-llama-cpp'"); e.code = "ERR_MODULE_NOT_FOUND"; throw e; } return next(name, context); }`;
    writeFileSync(join(folder, "hooks.mjs"), hooks);
    const required = `const found = Module._resolveFilename; Module._resolveFilename = (name, ...rest) => { if (name === "node-llama-cpp") throw new Error("Cannot find module 'node-llama-cpp'"); return found(name, ...rest); };`;
    writeFileSync(
      loader,
      `import Module, { register } from "node:module"; register("./hooks.mjs", import.meta.url); ${required}`,
    );
    const env = { NODE_OPTIONS: `--import ${loader}` };
    const generate = await start(["generate"], { env }).ended;
    expect(generate.err).toMatch(/not installed.*npm install .*node-llama-cpp@/);
    expect(generate.code).toBe(1);
    const info = await start(["info"], { env }).ended;
    expect(info.code).toBe(0);
    expect(info.out).toMatch(/engine +.*npm install .*node-llama-cpp@/);
  });
});
