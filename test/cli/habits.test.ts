// Terminals and habits: control characters that files bring along, streams that are closed or full, variables that say nonsense.
import { type SpawnOptions, spawn } from "node:child_process";
import { closeSync, existsSync, mkdirSync, openSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { BrownianError, visible } from "../../src/errors.js";
import { commandLine } from "../support/command-line.js";
import { scratchFolder, writeGguf } from "../support/synthetic-gguf.js";

const main = fileURLToPath(new URL("../../dist/esm/cli.js", import.meta.url));
const q8 = fileURLToPath(new URL("../../models/fairytales-3M-Q8_0.gguf", import.meta.url));
const folder = scratchFolder();
const posix = process.platform !== "win32";

const line = commandLine({ BROWNIAN_SCRATCH: folder });
const run = (args: readonly string[]) => line.run(...args);
/** In a process of its own, with streams and variables of its own. */
function started(args: readonly string[], options: SpawnOptions = {}, input = "") {
  const { child, ended } = line.start(args, options);
  child.stdin?.end(input);
  return ended;
}

describe("control characters", () => {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: those are what is looked for
  const OBEYED = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202e]/;
  const EVIL = "blk.0.\u001b[31mred\u001b]0;title\u0007\u009b2J\r\u202e.weight";

  it("are shown", () => {
    expect(visible("a\u001b[0m\tb\n\u009b\u202e")).toBe("a\\x1b[0m\tb\n\\x9b\\u202e");
    expect(new BrownianError("usage", EVIL).message).not.toMatch(OBEYED);
  });

  it("in names, architectures and messages of every command that reads a model", async () => {
    const path = join(folder, "evil.gguf");
    const tensors = [
      { name: EVIL, type: "F32", shape: [32] },
      { name: `${EVIL}i`, type: "I32", shape: [32] },
    ];
    writeGguf(path, tensors, { metadata: { "general.architecture": EVIL, "general.type": EVIL } });
    const imatrix = join(folder, "imatrix.gguf");
    writeGguf(imatrix, [{ name: `${EVIL}.in_sum2`, type: "F32", shape: [4] }], { metadata: { "general.type": "imatrix" } });
    const out = join(folder, "moved.gguf");
    for (const args of [
      ["inspect", path],
      ["perturb", path, "-o", out, "-s", "0.1"],
      ["perturb", path, "-o", out, "-s", "0.1", "--only", "nothing"],
      ["perturb", q8, "-o", out, "-s", "0.1", "--scale", "imatrix", "--imatrix", imatrix],
      ["generate", "x", "-m", path],
    ]) {
      const { out: said, err } = await run(args);
      expect(said + err, args.join(" ")).not.toMatch(OBEYED);
      expect(said + err, args.join(" ")).toMatch(/\\x1b|\\u001b/);
    }
    expect(JSON.parse((await run(["inspect", path, "--json"])).out).tensors[0].name).toBe(EVIL);
  });
});

describe("prompts", () => {
  const LENGTH = ["--sigma", "0", "--max-tokens", "4", "--seed", "1"];

  it("come from an argument, a file, or stdin, and are the same", async () => {
    const file = join(folder, "prompt.txt");
    writeFileSync(file, "The King said\n");
    const plain = await run(["generate", "The King said", ...LENGTH]);
    expect(plain.out).toMatch(/^The King said/);
    expect((await run(["generate", "--file", file, ...LENGTH])).out).toBe(plain.out);
    expect((await started(["generate", "-", ...LENGTH], {}, "The King said\n")).out).toBe(plain.out);
    const both = await run(["generate", "x", "--file", file, ...LENGTH]);
    expect([both.code, both.err]).toEqual([2, expect.stringContaining("Give a prompt or --file, not both")]);
  });

  it("that are models are taken for what they are", async () => {
    const { code, err } = await run(["generate", q8, ...LENGTH]);
    expect([code, err]).toEqual([2, expect.stringMatching(/looks like a model, .*: generate -m .*Q8_0\.gguf \[prompt\]/)]);
  });
});

it("compare keeps what is unfinished beside its folder, also where that ends in a slash", async () => {
  const output = join(folder, "report");
  mkdirSync(output);
  writeFileSync(`${output}.unfinished.jsonl`, '{"format":"brownian-comparison-unfinished","version":1,"subject":{}} 0123\n');
  const { code, err } = await run(["compare", q8, "-o", `${output}/`, "--resume", "--quick"]);
  expect([code, err]).toEqual([
    2,
    expect.stringMatching(/report\.unfinished\.jsonl is damaged in line 1: remove it, or give another --output/),
  ]);
});

describe("weights that are infinite or NaN", () => {
  const block = (scale: number) => Buffer.concat([Buffer.of(scale & 255, scale >> 8), Buffer.alloc(32, 5)]);
  const path = join(folder, "nan.gguf");
  const names = ["bad.weight", "good.weight"];

  it("inspect prints its table and names the blocks; the ways out that an error names work", async () => {
    const bad = Buffer.concat([0x2c00, 0x7e00, 0x2c00, 0x7c00].map(block)); // the second block's scale is NaN, the last one's infinite
    const data = [bad, Buffer.concat([0x2c00, 0x2c00, 0x2c00, 0x2c00].map(block))];
    writeGguf(
      path,
      names.map((name, i) => ({ name, type: "Q8_0", shape: [128], data: data[i]! })),
    );
    const { code, out } = await run(["inspect", path]);
    expect(code).toBe(0);
    expect(out).toMatch(/bad\.weight +Q8_0 +128 +- .*2 blocks infinite or NaN: 1, 3/);
    expect(out).toMatch(/good\.weight +Q8_0 +128 +\d/);
    const moved = join(folder, "moved-nan.gguf");
    const refused = await run(["perturb", path, "-o", moved, "-s", "0.1"]);
    expect([refused.code, refused.err]).toEqual([1, expect.stringMatching(/bad\.weight.*--only, or use --scale absolute/)]);
    expect((await run(["perturb", path, "-o", moved, "-s", "0.1", "--only", "good*"])).code).toBe(0);
    expect((await run(["perturb", path, "-o", moved, "-s", "0.1", "--scale", "absolute"])).code).toBe(0);
  });
});

it("inspect shows scales of other weights as what they are, and does not count them", async () => {
  const path = join(folder, "scales.gguf");
  writeGguf(path, [
    { name: "blk.0.ffn_up.weight", type: "F32", shape: [64] },
    { name: "blk.0.ffn_up.scale", type: "F32", shape: [1] },
    { name: "blk.0.ffn_up.input_scale", type: "F32", shape: [1] },
  ]);
  const { out } = await run(["inspect", path]);
  expect(out).toMatch(/blk\.0\.ffn_up\.scale .*the scale of blk\.0\.ffn_up, not weights/);
  expect(out).toContain("64 weights in 3 tensors");
});

it.each([
  ["adapter", "an adapter", "64 weights in 1 tensors"],
  ["imatrix", "an importance matrix", "0 weights in 1 tensors"],
])("inspect says what a file of general.type %s is", async (type, says, counted) => {
  const path = join(folder, `${type}.gguf`);
  const name = type === "imatrix" ? "blk.0.ffn_up.weight.in_sum2" : "blk.0.ffn_up.weight.lora_a";
  writeGguf(path, [{ name, type: "F32", shape: [64] }], { metadata: { "general.type": type } });
  const { out } = await run(["inspect", path]);
  expect(out).toContain(`This is ${says}`);
  expect(out).toContain(counted);
  expect(JSON.parse((await run(["inspect", path, "--json"])).out).notModel).toMatch(says);
});

describe.skipIf(!posix)("streams", () => {
  it("a closed stderr drops remarks, and the work is done", async () => {
    const moved = join(folder, "closed.gguf");
    const args = ["-c", '"$@" 2>&-', "sh", process.execPath, main, "perturb", q8, "-o", moved, "-s", "0.05"];
    const child = spawn("/bin/sh", args, { stdio: ["ignore", "pipe", "ignore"] });
    expect(await new Promise((resolve) => child.once("close", resolve))).toBe(0);
    expect(existsSync(moved)).toBe(true);
  });

  it.skipIf(!existsSync("/dev/full"))("a full stdout says so", async () => {
    const full = openSync("/dev/full", "w");
    const { code, err } = await started(["inspect", q8], { stdio: ["ignore", full, "pipe"] });
    closeSync(full);
    expect(code).toBe(1);
    expect(err).toMatch(/result cannot be written to stdout: the disk that it goes to is full \(ENOSPC\)/);
  });
});

describe("the environment", () => {
  it.each([
    [{ BROWNIAN_THREADS: "x" }, /BROWNIAN_THREADS must be a whole number from 1 to 1024, but is "x"/],
    [{ BROWNIAN_ISA: "x" }, /BROWNIAN_ISA=x: there is no such backend or ISA/],
    [{ BROWNIAN_BACKEND: "x" }, /BROWNIAN_BACKEND=x: there is no such backend or ISA/],
    [{ BROWNIAN_MAX_HEADER: "x" }, /BROWNIAN_MAX_HEADER must be a number of MiB above 0, but is "x"/],
  ])("%j is an error, not something else silently", async (env, message) => {
    const { code, err } = await started(["inspect", q8], { env });
    expect(code).not.toBe(0);
    expect(err).toMatch(message);
  });

  it("a scratch folder that is none names the way out", async () => {
    const file = join(folder, "a file");
    writeFileSync(file, "");
    mkdirSync(join(folder, "empty"));
    const { code, err } = await run(["generate", "x", "--scratch", join(file, "below"), "--max-tokens", "1"]);
    expect(code).toBe(1);
    expect(err).toContain(file);
    if (!existsSync("/proc/1/fdinfo")) return; // a folder that nobody may make files in, root neither
    expect((await run(["generate", "x", "--scratch", "/proc/1/fdinfo", "--max-tokens", "1"])).err).toMatch(/--scratch/);
  });

  it("--max-header is the limit of headers", async () => {
    const path = join(folder, "large.gguf");
    writeGguf(path, [{ name: "a", type: "F32", shape: [32] }], { metadata: { long: "x".repeat(2 ** 20) } });
    const refused = await run(["inspect", path, "--max-header", "0.5"]);
    expect([refused.code, refused.err]).toEqual([2, expect.stringMatching(/larger than 0\.5 MiB.*--max-header/)]);
    expect((await run(["inspect", path, "--max-header", "2"])).code).toBe(0);
  });
});

describe("Node's permission model", () => {
  const flag = process.allowedNodeEnvironmentFlags.has("--permission") ? "--permission" : "--experimental-permission";
  const text = ["generate", "-s", "0", "--max-tokens", "2", "--seed", "1"];
  const under = async (...flags: string[]) => {
    const child = spawn(process.execPath, ["--no-warnings", flag, ...flags, main, ...text], {
      env: { ...process.env, NO_COLOR: "1", BROWNIAN_SCRATCH: folder },
    });
    let err = "";
    child.stderr.on("data", (chunk) => (err += chunk));
    const code = await new Promise((resolve) => child.once("close", resolve));
    return { code, err };
  };

  it("that forbids to write says what allows it", async () => {
    const { code, err } = await under("--allow-fs-read=*");
    expect([code, err]).toEqual([
      1,
      expect.stringMatching(/error: Node's permission model .*FileSystemWrite.*--allow-fs-write=/),
    ]);
  });

  it("that forbids addons and children says so, and does not wait", async () => {
    const { code, err } = await under("--allow-fs-read=*", "--allow-fs-write=*");
    expect([code, err]).toEqual([1, expect.stringMatching(/permission model keeps the engine out.*--allow-addons/)]);
  });
});
