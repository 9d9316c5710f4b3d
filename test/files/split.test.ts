// A model in several files is the model in one: what is read, what is moved, what is written, what engines see. And what is no whole model is refused
// by name.
import { createHash } from "node:crypto";
import { copyFileSync, existsSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { engineNamed } from "../../src/engine/index.js";
import { llamaC } from "../../src/engine/llama-c/index.js";
import { identity } from "../../src/files/identity.js";
import { LiveCopy, readModel } from "../../src/files/index.js";
import { loadModel } from "../../src/llama/index.js";
import { DYNAMICS, perturbFile, Thermostat } from "../../src/thermostat/index.js";
import { fastest, js } from "../support/backends.js";
import { interrupted } from "../support/processes.js";
import { splitModel } from "../support/split-gguf.js";
import { scratchFolder } from "../support/synthetic-gguf.js";

const q8 = "models/fairytales-3M-Q8_0.gguf";
const folder = scratchFolder();
const fresh = () => mkdtempSync(join(folder, "case-"));
const hash = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

/** The first of three parts, of which the first has no tensors. */
let first: string;
let parts: string[];
beforeAll(async () => {
  parts = await splitModel(q8, fresh(), "tales", { tensors: [0, 20] });
  first = parts[0] as string;
});

/** Every tensor's bytes, as a hash, by name. */
async function bytesOf(path: string, files?: readonly string[]): Promise<Map<string, string>> {
  const model = await readModel(path);
  const all = (files ?? model.parts.map((part) => part.path)).map((file) => readFileSync(file));
  return new Map(
    model.tensors.map(({ name, part, offset, bytes }) => [name, hash((all[part] as Buffer).subarray(offset, offset + bytes))]),
  );
}

describe("a model in three files", () => {
  it("is read as one", async () => {
    const [whole, split] = [await readModel(q8), await readModel(first)];
    expect(split.tensors.map(({ name, type, shape }) => [name, type, shape])).toEqual(
      whole.tensors.map(({ name, type, shape }) => [name, type, shape]),
    );
    expect(split.architecture).toBe("llama");
    expect(split.metadata["tokenizer.ggml.tokens"]).toEqual(whole.metadata["tokenizer.ggml.tokens"]);
    expect(split.parts.map(({ path }) => basename(path))).toEqual(parts.map((path) => basename(path)));
    expect(split.size).toBe(parts.reduce((sum, path) => sum + readFileSync(path).length, 0));
    expect(await bytesOf(first)).toEqual(await bytesOf(q8));
  });

  it("is known by all its bytes", async () => {
    const before = await identity(first);
    const folder = fresh();
    const copies = parts.map((path) => join(folder, basename(path)));
    for (const [i, path] of parts.entries()) copyFileSync(path, copies[i] as string);
    expect(await identity(copies[0] as string)).toEqual(before);
    const bytes = readFileSync(copies[2] as string);
    bytes[bytes.length - 100] = (bytes[bytes.length - 100] as number) ^ 1;
    writeFileSync(copies[2] as string, bytes);
    expect((await identity(copies[0] as string)).sha256).not.toBe(before.sha256);
  });

  it.each([
    ["moved.gguf", "moved"],
    ["moved-00001-of-00003.gguf", "moved"],
    ["moved", "moved"],
  ])("has a moved copy in three files, with the moves of the one (%s)", async (output, stem) => {
    const out = fresh();
    const settings = { sigma: 0.05, seed: 7n };
    const one = await perturbFile(q8, join(out, "one.gguf"), settings);
    const three = await perturbFile(first, join(out, output), settings);
    expect([three.weights, three.changed]).toEqual([one.weights, one.changed]);
    expect(three.files.map((path) => basename(path))).toEqual(parts.map((path) => basename(path).replace("tales", stem)));
    expect(await bytesOf(three.files[0] as string)).toEqual(await bytesOf(join(out, "one.gguf")));
    expect(readdirSync(out)).toHaveLength(4);
  });

  it("is not written over by its moved copy, nor under the name of another number of parts", async () => {
    const before = parts.map((path) => readFileSync(path, "base64"));
    await expect(perturbFile(first, first, { sigma: 0.05 })).rejects.toMatchObject({ code: "output-exists" });
    await expect(perturbFile(first, join(fresh(), "x-00001-of-00002.gguf"), { sigma: 0.05 })).rejects.toMatchObject({
      code: "usage",
      message: expect.stringMatching(/has 3 files.*must end in -00001-of-00003\.gguf/),
    });
    expect(parts.map((path) => readFileSync(path, "base64"))).toEqual(before);
  });

  describe.each([js, fastest].map((kernels) => ("kernels" in kernels ? kernels : { name: "the fastest", kernels })))(
    "on $name",
    ({ kernels }) => {
      it.each(Object.keys(DYNAMICS))("moves under %s as the one does, and comes to rest again", async (dynamics) => {
        const scratch = fresh();
        const settings = {
          sigma: 0.05,
          seed: 3n,
          tau: 4,
          dynamics,
          scratch,
          only: ["blk.0.attn_*", "blk.3.attn_q*", "output_norm*"],
        };
        const [one, three] = [await Thermostat.open(q8, settings, kernels), await Thermostat.open(first, settings, kernels)];
        for (let i = 0; i < 3; i++) expect((await three.tick()).changed).toBe((await one.tick()).changed);
        expect(await three.difference()).toBe(await one.difference());
        expect(await bytesOf(first, three.liveParts)).toEqual(await bytesOf(q8, one.liveParts));
        await three.restore();
        for (const [i, part] of parts.entries())
          expect(readFileSync(three.liveParts[i] as string).equals(readFileSync(part))).toBe(true);
        await one.close();
        await three.close();
        expect(readdirSync(scratch)).toEqual([]);
      });
    },
  );

  it("has a live copy that is called like it, and goes", async () => {
    const dir = fresh();
    const copy = await LiveCopy.create(await readModel(first), { dir });
    expect(copy.parts.map((path) => basename(path))).toEqual(parts.map((path) => basename(path)));
    expect(copy.path).toBe(copy.parts[0]);
    expect(copy.parts.map((path) => hash(readFileSync(path)))).toEqual(parts.map((path) => hash(readFileSync(path))));
    await copy.dispose();
    await copy.dispose();
    expect(readdirSync(dir)).toEqual([]);
  });

  it("leaves nothing of a live copy that was stopped", async () => {
    const dir = fresh();
    const stop = new AbortController();
    let copied = 0;
    const onBytes = () => {
      if (++copied === 2) stop.abort();
    };
    await expect(LiveCopy.create(await readModel(first), { dir, signal: stop.signal, onBytes })).rejects.toThrow();
    expect(readdirSync(dir)).toEqual([]);
  });

  const waiting = `
    const copy = await LiveCopy.create(await readModel(process.argv[1]), { dir: process.argv[2] });
    console.log(copy.path);
    await new Promise((resolve) => setTimeout(resolve, 60_000));`;

  it("leaves links and no weights after a kill, which the next process removes; after other signals nothing", async () => {
    const dir = fresh();
    await interrupted(waiting, [first, dir], "SIGTERM");
    expect(readdirSync(dir)).toEqual([]);
    await interrupted(waiting, [first, dir], "SIGKILL");
    const [left, ...others] = readdirSync(dir) as [string, ...string[]];
    expect(others).toEqual([]);
    const types = readdirSync(join(dir, left), { withFileTypes: true });
    if (process.platform === "linux") expect(types.map((one) => one.isSymbolicLink())).toEqual([true, true, true]);
    await (await LiveCopy.create(await readModel(first), { dir })).dispose();
    expect(readdirSync(dir)).toEqual([]);
  });

  const engines = ["llama-c", "node-llama-cpp"] as const;
  const runs = engines.filter((name) => (name === "llama-c" ? llamaC.whyNot() : engineNamed(name).whyNot()) === undefined);
  for (const name of engines.filter((each) => !runs.includes(each))) console.warn(`SKIPPED models in several files with ${name}`);
  it.each(runs)("writes the texts of the one with %s", async (engine) => {
    const scratch = fresh();
    const options = { threads: 1, engine, scratch } as const;
    const texts: string[][] = [];
    for (const path of [q8, first]) {
      await using model = await loadModel(path, options);
      const own: string[] = [];
      for (const dynamics of ["quenched", "andersen"] as const)
        own.push((await model.complete("Once upon a time", { sigma: 0.05, seed: 5n, dynamics, maxTokens: 12 })).text);
      own.push((await model.complete("Once upon a time", { maxTokens: 12 })).text);
      texts.push(own);
    }
    expect(texts[1]).toEqual(texts[0]);
    expect(readdirSync(scratch)).toEqual([]);
  });
});

it.skipIf(llamaC.whyNot() !== undefined)("what was computed of a prompt is of all its files", async () => {
  const dir = fresh();
  const own = await splitModel(q8, dir, "m", { tensors: [20] });
  const cache = join(dir, "prompt");
  const text = async (options: object) => {
    await using model = await loadModel(own[0] as string, { threads: 1, engine: "llama-c", scratch: dir });
    return (await model.complete("Once upon a time there was a king", { maxTokens: 8, ...options })).text;
  };
  const before = await text({ promptCache: cache });
  expect(existsSync(cache)).toBe(true);
  const { files } = await perturbFile(own[0] as string, join(dir, "other.gguf"), { sigma: 0.3, seed: 1n });
  copyFileSync(files[1] as string, own[1] as string);
  const after = await text({});
  expect(after).not.toBe(before);
  expect(await text({ promptCache: cache })).toBe(after);
});

describe("what is no whole model", () => {
  type Refused = [what: string, bend: (paths: string[]) => Promise<string> | string, code: string, says: RegExp];
  /** What is to be read once that was done. */
  const then = (_: unknown, path: string | undefined) => path as string;
  const again = (says: Parameters<typeof splitModel>[3]["says"]) => () =>
    splitModel(q8, fresh(), "m", { tensors: [10, 10], ...(says && { says }) }).then(([path]) => path as string);
  const exchanged = async (paths: string[], source: string, tensors: number[]) => {
    const [, other] = await splitModel(source, fresh(), "other", { tensors });
    copyFileSync(other as string, paths[1] as string);
    return paths[0] as string;
  };
  const cases: Refused[] = [
    [
      "a part that is missing",
      ([a, b]) => then(rmSync(b as string), a),
      "file-not-found",
      /There is no file .*m-00002-of-00003\.gguf.* is in several files/,
    ],
    [
      "another part than the first",
      ([, b]) => b as string,
      "usage",
      /is part 2 of 3 of a model: give the first one, m-00001-of-00003\.gguf/,
    ],
    [
      "a first part under another name",
      ([a]) => then(renameSync(a as string, `${a}.gguf`), `${a}.gguf`),
      "usage",
      /first of 3 parts.*must end in -00001-of-00003\.gguf/,
    ],
    [
      "parts that changed places",
      ([a, b, c]) => {
        renameSync(b as string, `${b}~`);
        renameSync(c as string, b as string);
        renameSync(`${b}~`, c as string);
        return a as string;
      },
      "corrupt-gguf",
      /m-00002-of-00003\.gguf says that it is part 3 of 3, but its name that it is part 2 of 3/,
    ],
    [
      "parts of another number",
      again({ count: (i) => (i === 0 ? 3 : 2) }),
      "corrupt-gguf",
      /says that it is part 2 of 2, but its name that it is part 2 of 3/,
    ],
    ["too few tensors", again({ tensors: 40 }), "corrupt-gguf", /have 38 tensors, but its header says 40/],
    [
      "a part of another model, with tensors twice",
      (paths) => exchanged(paths, q8, [5, 10]),
      "corrupt-gguf",
      /part of another model than .*m-00001-of-00003\.gguf: it has the tensor/,
    ],
    [
      "a part that is no GGUF file",
      ([a, b]) => then(writeFileSync(b as string, "nothing"), a),
      "not-gguf",
      /m-00002-of-00003\.gguf is not a GGUF or safetensors model/,
    ],
    [
      "a part that was cut",
      ([a, b]) => then(writeFileSync(b as string, readFileSync(b as string).subarray(0, 5000)), a),
      "truncated-gguf",
      /m-00002-of-00003\.gguf/,
    ],
  ];
  it.each(cases)("%s is refused by name", async (_, bend, code, says) => {
    const path = await bend(await splitModel(q8, fresh(), "m", { tensors: [10, 10] }));
    await expect(readModel(path)).rejects.toMatchObject({ code, message: expect.stringMatching(says) });
  });

  it("counts of one and none are no splits, whatever the file is called", async () => {
    for (const count of [0, 1]) {
      const [path] = await splitModel(q8, fresh(), "m", { tensors: [], says: { count: () => count } });
      const elsewhere = join(fresh(), "renamed.gguf");
      renameSync(path as string, elsewhere);
      expect((await readModel(elsewhere)).parts).toHaveLength(1);
      expect(existsSync(elsewhere)).toBe(true);
    }
  });
});
