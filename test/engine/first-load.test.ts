// The fence: files that are no language models are refused by name, files on which llama.cpp ends its process are errors, what went well is
// remembered, and nothing is left behind.
import { type ChildProcess, spawn } from "node:child_process";
import {
  copyFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { fieldsOf } from "../../scripts/check/mutations.mjs";
import { VOCABULARY, writeTransformer } from "../../scripts/check/small-models.mjs";
import { type EngineKind, engineNamed, firstLoad } from "../../src/engine/index.js";
import { llamaC } from "../../src/engine/llama-c/index.js";
import { readModel } from "../../src/files/index.js";
import { loadModel } from "../../src/llama/index.js";
import { scratchFolder } from "../support/synthetic-gguf.js";

const SHIPPED = "models/fairytales-3M-Q8_0.gguf";
const scratch = scratchFolder();
const why = llamaC.whyNot();
if (why !== undefined) console.warn(`SKIPPED first loads with llama.cpp's C API: ${why}`);

type Entry = [key: string, kind: string, value: unknown];

let cache: string;
beforeEach(() => {
  cache = join(mkdtempSync(join(scratch, "cache-")), "ours");
  vi.stubEnv("BROWNIAN_CACHE", cache);
});
afterEach(() => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
});

const remembered = () => (existsSync(join(cache, "first-loads")) ? readdirSync(join(cache, "first-loads")) : []);
/** What a session that failed or was closed may not leave. */
const leftovers = () => readdirSync(scratch).filter((name) => name.includes("brownian-live"));

async function model(name: string, change: (metadata: Entry[]) => Entry[] = (m) => m): Promise<string> {
  const path = join(scratch, `${name}.gguf`);
  await writeTransformer(path, { change });
  return path;
}
const put =
  (key: string, kind: string, value: unknown) =>
  (metadata: Entry[]): Entry[] => [...metadata.filter(([k]) => k !== key), [key, kind, value]];
const without = (beginning: string) => (metadata: Entry[]) => metadata.filter(([key]) => !key.startsWith(beginning));
/** The same model under another architecture's name. */
const as = (architecture: string) => (metadata: Entry[]) =>
  metadata.map(
    ([key, kind, value]): Entry =>
      key === "general.architecture" ? [key, kind, architecture] : [key.replace(/^llama\./, `${architecture}.`), kind, value],
  );

describe("a file that no text can be written with", () => {
  it.each<[what: string, change: (metadata: Entry[]) => Entry[], says: RegExp]>([
    ["adapter", put("general.type", "text", "adapter"), /is an adapter, .* give the model that it was made for/],
    ["imatrix", put("general.type", "text", "imatrix"), /is an importance matrix: give it to --imatrix/],
    ["projector", put("general.type", "text", "mmproj"), /is a projector/],
    ["other type", put("general.type", "text", "zebra"), /is of the type "zebra" \(general\.type\), not a model/],
    ["control vector", as("controlvector"), /is a control vector/],
    ["encoder", as("modern-bert"), /is an encoder \(modern-bert\), which reads texts and writes none/],
    ["encoder and decoder", as("t5"), /is an encoder with a decoder \(t5\)/],
    ["diffusion", as("llada"), /is a diffusion model \(llada\)/],
    ["not causal", put("llama.attention.causal", "bool", 0), /is an encoder \(llama\)/],
    ["embeddings", put("llama.pooling_type", "u32", 3), /is an embedding model/],
    ["reranker", put("llama.pooling_type", "u32", 4), /is a reranker/],
    ["no tokens", without("tokenizer."), /is a model without a vocabulary/],
    ["no_vocab", put("tokenizer.ggml.model", "text", "no_vocab"), /is a model without a vocabulary/],
  ])("is refused by its header: %s", async (what, change, says) => {
    const path = await model(what, change);
    await expect(loadModel(path, { threads: 1, scratch })).rejects.toMatchObject({
      code: "no-language-model",
      message: expect.stringMatching(says),
    });
    expect(leftovers()).toEqual([]);
    expect(remembered()).toEqual([]);
  });
});

describe.skipIf(why !== undefined)("a file on which llama.cpp ends its process", () => {
  const TWICE = Array.from({ length: VOCABULARY }, (_, i) => (i === 300 ? "t301" : `t${i}`));
  it.each<[what: string, change: (metadata: Entry[]) => Entry[], says: RegExp]>([
    [
      "a token twice",
      put("tokenizer.ggml.tokens", "text", TWICE),
      /ends the process that loads .* \(SIGABRT\): its vocabulary has the token "t301" twice\. It said: llama-vocab\.cpp:\d+: GGML_ASSERT/,
    ],
  ])("is an error with its last words: %s", async (what, change, says) => {
    const path = await model(what, change);
    for (let i = 0; i < 2; i++) {
      await expect(loadModel(path, { threads: 1, scratch, engine: "llama-c" })).rejects.toMatchObject({
        code: "engine-failed",
        message: expect.stringMatching(says),
      });
      expect(remembered()).toEqual([]);
    }
    expect(leftovers()).toEqual([]);
  });

  it.each([8, 16])("is an error with its last words: tensors that lie at multiples of %d bytes", async (alignment) => {
    const path = await model(`alignment-${alignment}`);
    const whole = readFileSync(path);
    const { keyAt, end } = fieldsOf(whole);
    const number = (value: number, bytes: number) => {
      const out = Buffer.alloc(bytes);
      out.writeUIntLE(value, 0, Math.min(bytes, 6));
      return out;
    };
    const key = (name: string, value: number) =>
      Buffer.concat([number(name.length, 8), Buffer.from(name), number(4, 4), number(value, 4)]);
    for (let filler = 0; ; filler++) {
      const keys = [key("general.alignment", alignment), key("x".repeat(filler + 1), 0)];
      const header = Buffer.concat([whole.subarray(0, keyAt[0]), ...keys, whole.subarray(keyAt[0], end)]);
      header.writeBigUInt64LE(header.readBigUInt64LE(16) + 2n, 16);
      const padded = Buffer.concat([header, Buffer.alloc(Math.ceil(header.length / alignment) * alignment - header.length)]);
      if (padded.length % 32 === 0) continue; // that would be llama.cpp's own alignment
      writeFileSync(path, Buffer.concat([padded, whole.subarray(Math.ceil(end / 32) * 32)]));
      break;
    }
    await expect(loadModel(path, { threads: 1, scratch, engine: "llama-c" })).rejects.toMatchObject({
      code: "engine-failed",
      message: expect.stringMatching(
        new RegExp(`general\\.alignment is ${alignment}, and llama\\.cpp computes only.*GGML_ASSERT`),
      ),
    });
    expect([remembered(), leftovers()]).toEqual([[], []]);
  });

  it("is exit code 1 of the command line, with nothing left behind", async () => {
    const path = await model("command", put("tokenizer.ggml.tokens", "text", TWICE));
    const folder = mkdtempSync(join(scratch, "cwd-"));
    const live = mkdtempSync(join(scratch, "live-"));
    const program = join(process.cwd(), "dist/esm/cli.js");
    const env = { ...process.env, BROWNIAN_SCRATCH: live, TMPDIR: folder };
    const child = spawn(process.execPath, [program, "generate", "-m", path, "--max-tokens", "2"], { cwd: folder, env });
    const { code, out, err } = await ended(child);
    expect([code, out]).toEqual([1, ""]);
    expect(err).toMatch(/^error: .*GGML_ASSERT[^\n]*\n$/);
    expect([readdirSync(folder), readdirSync(live)]).toEqual([[], []]);
  });

  it("may be refused by the engine without that: the same error as without a fence", async () => {
    const path = await model("refused", without("llama.embedding_length"));
    await expect(loadModel(path, { threads: 1, scratch, engine: "llama-c" })).rejects.toMatchObject({
      code: "engine-failed",
      message: expect.stringMatching(/does not load .*embedding_length/),
    });
    expect(remembered()).toEqual([]);
  });
});

function ended(child: ChildProcess): Promise<{ code: number | null; out: string; err: string }> {
  let [out, err] = ["", ""];
  child.stdout?.on("data", (data) => {
    out += data;
  });
  child.stderr?.on("data", (data) => {
    err += data;
  });
  return new Promise((resolve) => child.once("close", (code) => resolve({ code, out, err })));
}

describe.skipIf(why !== undefined)("a file that went well", () => {
  /** Whether a child was needed. */
  async function child(path: string, kind: EngineKind = llamaC, repacks: readonly boolean[] = [true]): Promise<boolean> {
    const before = remembered().length;
    await firstLoad(await readModel(path), path, kind, { threads: 1, repacks });
    return remembered().length > before;
  }

  it("is remembered, privately and without its name, until it or how it is loaded changes", async () => {
    const path = await model("well");
    expect(await child(path)).toBe(true);
    expect(await child(path)).toBe(false);
    expect(await child(path, llamaC, [false])).toBe(true); // another way of multiplying
    const copy = join(scratch, "copy.gguf");
    copyFileSync(path, copy);
    const { atime } = statSync(path);
    utimesSync(copy, atime, new Date(Date.UTC(2001, 1, 1)));
    expect(await child(copy)).toBe(true); // another time
    await writeTransformer(copy, { change: put("general.name", "text", "another") });
    utimesSync(copy, atime, new Date(Date.UTC(2001, 1, 1)));
    expect(await child(copy)).toBe(true); // another header
    for (const name of remembered()) {
      expect(name).toMatch(/^[0-9a-f]{64}$/);
      const entry = join(cache, "first-loads", name);
      expect(readFileSync(entry, "utf8")).toBe(name);
      if (process.platform !== "win32") expect(statSync(entry).mode & 0o077).toBe(0);
    }
    if (process.platform !== "win32") expect(statSync(join(cache, "first-loads")).mode & 0o077).toBe(0);
  });

  it("is tried every time where nothing can be remembered, and written with all the same", async () => {
    const path = await model("cacheless");
    rmSync(cache, { recursive: true, force: true });
    writeFileSync(cache, "no folder");
    for (let i = 0; i < 2; i++) {
      const loaded = await loadModel(path, { threads: 1, scratch, engine: "llama-c" });
      expect((await loaded.complete("Once", { maxTokens: 3, endless: true })).tokens).toBe(3);
      await loaded.dispose();
    }
    expect(readFileSync(cache, "utf8")).toBe("no folder");
  });

  it("forgets all when there are too many", async () => {
    const path = await model("many");
    await child(path);
    const folder = join(cache, "first-loads");
    for (let i = 0; i < 1000; i++) writeFileSync(join(folder, `${i}`), "");
    await child(path, llamaC, [false]);
    expect(remembered().length).toBe(1);
  });

  it("needs no child where it is the model that ships, wherever it lies", async () => {
    const copy = join(scratch, "shipped.gguf");
    copyFileSync(SHIPPED, copy);
    for (const path of [SHIPPED, copy]) expect(await child(path, engineNamed())).toBe(false);
    expect(remembered()).toEqual([]);
  });

  it("is let go at once when it is aborted, and the child with it", async () => {
    const path = await model("aborted");
    const directory = await readModel(path);
    const reason = new Error("enough");
    const early = firstLoad(directory, path, llamaC, { threads: 1, repacks: [true], signal: AbortSignal.abort(reason) });
    await expect(early).rejects.toBe(reason);
    for (const after of [1, 20, 60]) {
      const controller = new AbortController();
      const loading = firstLoad(directory, path, llamaC, { threads: 1, repacks: [true, false], signal: controller.signal });
      setTimeout(() => controller.abort(reason), after);
      await expect(loading).rejects.toBe(reason);
      expect(remembered()).toEqual([]);
    }
    expect(await child(path)).toBe(true);
  });
});

describe.skipIf(why !== undefined)("where child processes are not allowed", () => {
  it("a file is loaded without the fence, and a warning says so once", async () => {
    const path = await model("forbidden");
    const program = join(scratch, "forbidden.mjs");
    writeFileSync(
      program,
      `import { loadModel } from ${JSON.stringify(join(process.cwd(), "dist/llama/index.js"))};
       for (let i = 0; i < 2; i++) {
         const model = await loadModel(${JSON.stringify(path)}, { threads: 1, engine: "llama-c", scratch: ${JSON.stringify(scratch)} });
         console.log((await model.complete("Once", { maxTokens: 3, endless: true })).tokens);
         await model.dispose();
       }`,
    );
    const known = (flag: string) => process.allowedNodeEnvironmentFlags.has(flag);
    const flags = [
      known("--permission") ? "--permission" : "--experimental-permission",
      "--allow-fs-read=*",
      "--allow-fs-write=*",
    ];
    if (known("--allow-addons")) flags.push("--allow-addons");
    const { code, out, err } = await ended(
      spawn(process.execPath, [...flags, program], { env: { ...process.env, BROWNIAN_CACHE: cache } }),
    );
    expect([code, out]).toEqual([0, "3\n3\n"]);
    expect(err.match(/BROWNIAN_NO_FENCE/g)?.length).toBe(1);
    expect(err).toMatch(/child processes are not allowed here, so none can load a model first/);
  });
});
