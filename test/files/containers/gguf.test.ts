// Where tensors lie, against ggml's own file; and that every way for a file to be broken has its own refusal.
import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, readFileSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { isAbsolute, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it, vi } from "vitest";
import { BrownianError } from "../../../src/errors.js";
import { GGML_TYPES } from "../../../src/files/containers/ggml-types.js";
import { readModel } from "../../../src/files/index.js";
import { FORMATS } from "../../../src/lattice/formats.js";
import { type SyntheticOptions, type SyntheticTensor, scratchFolder, writeGguf } from "../../support/synthetic-gguf.js";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const folder = scratchFolder();
const file = (name: string) => join(folder, name);
const vast: SyntheticTensor = { name: "vast", type: "F32", shape: [2 ** 32, 2 ** 32] };
const tensor: SyntheticTensor = { name: "a.weight", type: "F32", shape: [32, 4] };

function made(name: string, tensors: readonly SyntheticTensor[], options?: SyntheticOptions): string {
  writeGguf(file(name), tensors, options);
  return file(name);
}

function written(name: string, content: string | Uint8Array): string {
  writeFileSync(file(name), content, "latin1");
  return file(name);
}

const word = (value: number) => Buffer.from(Uint32Array.of(value).buffer);

describe("readModel", () => {
  it("finds every tensor of ggml's own file: sizes fit end to end, and the float32 tensor holds what ggml says", async () => {
    const path = join(root, "test/fixtures/ggml-types.gguf");
    const model = await readModel(path);
    expect(model.tensors).toHaveLength(22);
    model.tensors.forEach((t, i) => {
      expect(t.name).toBe(`blk.0.${t.type}.weight`);
      expect([t.shape, t.weights]).toEqual([[512, 8], 4096]);
      const next = model.tensors[i + 1]?.offset ?? model.size;
      expect(next - (t.offset + t.bytes), t.name).toBeGreaterThanOrEqual(0);
      expect(next - (t.offset + t.bytes), t.name).toBeLessThan(32); // the padding
    });
    const { offset, bytes } = model.tensors[0]!;
    const truth = readFileSync(join(root, "test/fixtures/ggml-types.f32")).subarray(0, bytes);
    expect(
      readFileSync(path)
        .subarray(offset, offset + bytes)
        .equals(truth),
    ).toBe(true);
  });

  it.each(["F16", "F32", "Q4_0", "Q4_K_M", "Q6_K", "Q8_0"])("reads the embedded model in %s", async (type) => {
    const path = join(root, `models/fairytales-3M-${type}.gguf`);
    const model = await readModel(relative(process.cwd(), path));
    expect(isAbsolute(model.path)).toBe(true);
    expect([model.path, model.architecture, model.size]).toEqual([path, "llama", readFileSync(path).length]);
    expect(model.tensors.reduce((sum, t) => sum + t.weights, 0)).toBe(2_885_888);
  });

  it("knows the sizes that the lattice knows", () => {
    for (const { ggml, name, weights, bytes } of FORMATS)
      if (ggml !== null) expect(GGML_TYPES.get(ggml), name).toEqual({ name, weights, bytes });
  });

  it("takes other alignments, unknown types, scalars and files without tensors", async () => {
    const wide = await readModel(
      made("wide.gguf", [tensor, { ...tensor, name: "b" }], { metadata: { "general.alignment": 1024 } }),
    );
    expect(wide.tensors.map((t) => t.offset)).toEqual([1024, 2048]);
    const odd = await readModel(
      made("odd.gguf", [
        { name: "new", type: "99", shape: [64] },
        { ...tensor, shape: [] },
      ]),
    );
    expect(odd.tensors.map((t) => [t.type, t.weights, t.bytes])).toEqual([
      ["type 99", 64, 0],
      ["F32", 1, 4],
    ]);
    expect((await readModel(made("none.gguf", []))).tensors).toEqual([]);
  });

  const broken: [string, () => string, string, RegExp][] = [
    ["a missing file", () => file("missing.gguf"), "file-not-found", /There is no file .*missing\.gguf/],
    ["a file below a file", () => join(written("plain", ""), "x.gguf"), "file-not-found", /x\.gguf: a part of that path/],
    ["a folder", () => folder, "usage", /has no \.safetensors file: name a model file/],
    ["links in a circle", () => circle(), "file-access", /circle\.gguf cannot be used: ELOOP/],
    ["an empty file", () => written("empty.gguf", ""), "not-gguf", /empty\.gguf is not a GGUF or safetensors model: it is empty/],
    ["another format", () => written("zip.gguf", "PK\x03\x04 and so on"), "not-gguf", /begins with "PK.*", not "GGUF"/],
    ["a cut magic", () => written("ma.gguf", "GG"), "not-gguf", /begins with "GG"/],
    [
      "a cut first line",
      () => written("cut.gguf", "GGUF\x03"),
      "truncated-gguf",
      /within its header \(5 bytes\).*download it again/,
    ],
    ["a newer version", () => made("v4.gguf", [tensor], { version: 4 }), "corrupt-gguf", /version 4; .* up to 3/],
    ["a big-endian file", () => made("be.gguf", [tensor], { version: 0x03000000 }), "corrupt-gguf", /be\.gguf is big-endian/],
    [
      "more tensors than bytes",
      () => made("count.gguf", [tensor], { tensorCount: 9_000_000n }),
      "truncated-gguf",
      /a whole one takes at least 216000037/,
    ],
    ["an absurd count of tensors", () => made("t.gguf", [], { tensorCount: 2n ** 63n }), "corrupt-gguf", /Tensor count 9223/],
    ["an absurd count of keys", () => made("k.gguf", [], { keyCount: 2n ** 63n }), "corrupt-gguf", /count 9223/],
    ["a header that lacks a key", () => made("keys.gguf", [], { keyCount: 9n }), "truncated-gguf", /within its header/],
    [
      "a name that is longer than the file",
      () =>
        written("name.gguf", Buffer.concat([Buffer.from("GGUF"), ...[3, 0, 0, 1, 0, 3_000_000, 0].map(word), Buffer.alloc(64)])),
      "truncated-gguf",
      /name\.gguf ends within its header/,
    ],
    [
      "a tensor beyond the end",
      () => cutBy(1),
      "truncated-gguf",
      /tensor a\.weight \(F32\) lies at bytes 128 to 640, but the file ends at 639\..*download it again/,
    ],
    [
      "an offset beyond all files",
      () => made("far.gguf", [{ ...tensor, offset: 2n ** 64n - 32n }], { size: 640 }),
      "truncated-gguf",
      /tensor a\.weight/,
    ],
    [
      "a tensor of no known type beyond the end",
      () => made("far99.gguf", [{ name: "new", type: "99", shape: [4], offset: 3200 }], { size: 640 }),
      "truncated-gguf",
      /tensor new \(type 99\)/,
    ],
    [
      "a shape beyond all files",
      () => made("vast.gguf", [vast], { size: 640 }),
      "corrupt-gguf",
      /tensor vast has the shape 4294967296 x 4294967296/,
    ],
    [
      "overlapping tensors",
      () => made("overlap.gguf", [tensor, { ...tensor, name: "b.weight", offset: 64 }]),
      "corrupt-gguf",
      /tensors a\.weight and b\.weight overlap at byte/,
    ],
    [
      "a misaligned tensor",
      () => made("skew.gguf", [{ ...tensor, offset: 8 }]),
      "corrupt-gguf",
      /a\.weight begins at 8.* multiple of 32/,
    ],
    ["two tensors of one name", () => made("twice.gguf", [tensor, tensor]), "corrupt-gguf", /two tensors called a\.weight/],
    [
      "rows of no whole blocks",
      () => made("rows.gguf", [{ name: "q", type: "Q8_0", shape: [33, 2] }]),
      "corrupt-gguf",
      /tensor q has rows of 33 weights, .* Q8_0 block \(32\)/,
    ],
    ...[0, 3, 48].map((n): [string, () => string, string, RegExp] => [
      `an alignment of ${n}`,
      () => made(`align${n}.gguf`, [tensor], { metadata: { "general.alignment": n } }),
      "corrupt-gguf",
      new RegExp(`align${n}\\.gguf.*general\\.alignment.* ${n}`),
    ]),
    [
      "an alignment in words",
      () => made("words.gguf", [tensor], { metadata: { "general.alignment": "64" } }),
      "corrupt-gguf",
      /alignment is 64, which is no power of two/,
    ],
    [
      "a part of a split model",
      () => made("part.gguf", [tensor], { metadata: { "split.count": 3 } }),
      "usage",
      /part\.gguf is the first of 3 parts.*must end in -00001-of-00003\.gguf/,
    ],
  ];
  const cutBy = (bytes: number) => {
    truncateSync(made("cut-tensor.gguf", [tensor]), 640 - bytes);
    return file("cut-tensor.gguf");
  };
  const circle = () => {
    symlinkSync(file("circle.gguf"), file("circle.gguf"));
    return file("circle.gguf");
  };

  it.each(broken)("refuses %s", async (_, make, code, message) => {
    const error = await readModel(make()).catch((e) => e);
    expect(error.message).toMatch(message);
    expect(error).toMatchObject({ name: "BrownianError", code });
  });

  it("says of a header that is cut anywhere that it is cut", async () => {
    const whole = made("whole.gguf", [tensor, { ...tensor, name: "b.weight" }], { metadata: { "tokenizer.list": ["a", "bc"] } });
    const bytes = readFileSync(whole);
    const header = writeGguf(whole, [tensor, { ...tensor, name: "b.weight" }], { metadata: { "tokenizer.list": ["a", "bc"] } });
    for (let end = 4; end < header; end++) {
      const path = written("cut-header.gguf", bytes.subarray(0, end));
      await expect(readModel(path), `cut at ${end}`).rejects.toMatchObject({
        code: "truncated-gguf",
        message: expect.stringMatching(/cut-header\.gguf ends within its header/),
      });
    }
  });

  it("refuses a pipe without waiting for someone to write into it", async () => {
    if (spawnSync("mkfifo", [file("pipe.gguf")]).status !== 0) return; // no such things here
    await expect(readModel(file("pipe.gguf"))).rejects.toMatchObject({ code: "file-access" });
  });

  it.skipIf(process.platform === "win32")("refuses what may not be read", async () => {
    mkdirSync(file("open"), { mode: 0o755 });
    chmodSync(folder, 0o755);
    const path = made("open/secret.gguf", [tensor]);
    chmodSync(path, 0);
    const isRoot = process.getuid?.() === 0; // who may read everything
    if (isRoot) process.seteuid?.(65534);
    const reading = readModel(path).catch((e) => e);
    const error = await reading.finally(() => isRoot && process.seteuid?.(0));
    expect(error).toMatchObject({ code: "file-access", message: expect.stringMatching(/secret\.gguf may not be accessed/) });
  });

  it("keeps lists until somebody looks at them, and makes them once", async () => {
    const tokens = Array.from({ length: 100_000 }, (_, i) => `token ${i} ä`);
    const path = made("vocabulary.gguf", [tensor], { metadata: { "tokenizer.ggml.tokens": tokens } });
    const model = await readModel(path);
    // As one text: to compare texts one by one takes ten times as long as to read them.
    expect((model.metadata["tokenizer.ggml.tokens"] as string[]).join("\0") === tokens.join("\0")).toBe(true);
    expect(model.metadata["tokenizer.ggml.tokens"]).toBe(model.metadata["tokenizer.ggml.tokens"]);
    expect(model.tensors[0]).toMatchObject({ name: "a.weight", bytes: 512, offset: model.size - 512 });
  });

  describe("headers as they may be", () => {
    const u64 = (n: number | bigint) => Buffer.from(BigUint64Array.of(BigInt(n)).buffer);
    const text = (value: string) => Buffer.concat([u64(Buffer.byteLength(value)), Buffer.from(value)]);
    const list = (kind: number, count: number, elements: readonly Buffer[]) =>
      Buffer.concat([word(kind), u64(count), Buffer.concat(elements)]);
    const f64 = (x: number) => Buffer.from(Float64Array.of(x).buffer);
    /** A file with these values, by key: kind and bytes; and with this directory. */
    function raw(name: string, values: Record<string, [number, Buffer]>, directory: Buffer[] = [], version = 3): string {
      const keys = Object.entries(values).map(([key, [kind, bytes]]) => Buffer.concat([text(key), word(kind), bytes]));
      return written(
        name,
        Buffer.concat([
          Buffer.from("GGUF"),
          word(version),
          u64(directory.length),
          u64(keys.length),
          ...keys,
          ...directory,
          Buffer.alloc(256),
        ]),
      );
    }

    it("every kind of value, and lists of each, and lists in lists", async () => {
      const { metadata } = await readModel(
        raw("kinds.gguf", {
          u8: [0, Buffer.of(200)],
          i8: [1, Buffer.of(200)],
          u16: [2, Buffer.of(1, 2)],
          i16: [3, Buffer.of(255, 255)],
          u32: [4, word(0xffffffff)],
          i32: [5, word(0xffffffff)],
          f32: [6, Buffer.from(Float32Array.of(0.5).buffer)],
          bool: [7, Buffer.of(1)],
          u64: [10, u64(2n ** 63n)],
          i64: [11, u64(2n ** 64n - 1n)],
          f64: [12, f64(Math.PI)],
          text: [8, text("größe")],
          empty: [9, list(8, 0, [])],
          numbers: [9, list(4, 3, [1, 2, 3].map(word))],
          bools: [9, list(7, 2, [Buffer.of(1, 0)])],
          nested: [9, list(9, 2, [list(4, 2, [1, 2].map(word)), list(9, 1, [list(8, 2, ["a", "b"].map(text))])])],
          __proto__x: [8, text("x")],
          ["__proto__"]: [8, text("no prototype")],
          "": [8, text("no name")],
          ["k".repeat(70_000)]: [8, text("long")],
        }),
      );
      expect({ ...metadata }).toMatchObject({
        ...{ u8: 200, i8: -56, u16: 513, i16: -1, u32: 0xffffffff, i32: -1, f32: 0.5, bool: true, u64: 2n ** 63n, i64: -1n },
        ...{ f64: Math.PI, text: "größe", empty: [], numbers: [1, 2, 3], bools: [true, false], "": "no name" },
        ...{ nested: [[1, 2], [["a", "b"]]], ["k".repeat(70_000)]: "long" },
      });
      expect(Object.getPrototypeOf(metadata)).toBe(Object.prototype);
    });

    it("texts of megabytes, lists a million deep or long, names of 64k letters", async () => {
      const long = "x".repeat(20_000_000);
      const deep = Buffer.concat([Buffer.alloc(12 * 1_000_000, Buffer.concat([word(9), u64(1)])), word(4), u64(1), word(7)]);
      const name = "n".repeat(65_536);
      const one = Buffer.concat([text(name), word(1), u64(4), word(0), u64(0)]);
      // Empty lists: a kind of 0 in four bytes, a length of 0 in eight.
      const wide = list(9, 1_000_000, [Buffer.alloc(12 * 1_000_000)]);
      const path = raw("large.gguf", { long: [8, text(long)], deep: [9, deep], wide: [9, wide] }, [one]);
      const model = await readModel(path);
      expect(model.metadata.long).toBe(long);
      expect(model.tensors).toMatchObject([{ name, weights: 4 }]);
      let depth = 0;
      for (let at = model.metadata.deep; Array.isArray(at); at = at[0]) depth++;
      expect(depth).toBe(1_000_001);
      expect((model.metadata.wide as unknown[]).length).toBe(1_000_000);
    });

    it("version 1, whose lengths have 32 bits", async () => {
      const short = (value: string) => Buffer.concat([word(value.length), Buffer.from(value)]);
      const bytes = [
        ...[Buffer.from("GGUF"), word(1), word(1), word(2)],
        ...[
          short("general.architecture"),
          word(8),
          short("llama"),
          short("list"),
          word(9),
          word(8),
          word(2),
          short("a"),
          short("bc"),
        ],
        ...[short("a.weight"), word(2), word(32), word(4), word(0), u64(0), Buffer.alloc(600)],
      ];
      const model = await readModel(written("v1.gguf", Buffer.concat(bytes)));
      expect([model.architecture, model.metadata.list]).toEqual(["llama", ["a", "bc"]]);
      expect(model.tensors).toMatchObject([{ name: "a.weight", shape: [32, 4], bytes: 512 }]);
    });

    it("a limit of ours is called that, and can be raised", async () => {
      const path = raw("limited.gguf", { long: [8, text("x".repeat(2_000_000))] });
      vi.stubEnv("BROWNIAN_MAX_HEADER", "1");
      await expect(readModel(path)).rejects.toMatchObject({
        code: "usage",
        message: expect.stringMatching(/larger than 1 MiB, which is a limit of brownian's, .*--max-header/),
      });
      vi.stubEnv("BROWNIAN_MAX_HEADER", "2");
      expect((await readModel(path)).tensors).toEqual([]);
      vi.stubEnv("BROWNIAN_MAX_HEADER", "much");
      await expect(readModel(path)).rejects.toMatchObject({ code: "usage" });
      vi.unstubAllEnvs();
    });

    it("others get their turn while a large one is read", async () => {
      const many = 1_500_000;
      const path = raw("busy.gguf", { wide: [9, list(9, many, [Buffer.alloc(12 * many)])] });
      let turns = 0;
      const timer = setInterval(() => turns++, 0);
      await readModel(path);
      clearInterval(timer);
      expect(turns).toBeGreaterThan(1);
    });

    it("kinds and dimensions that there are not are damage", async () => {
      const directory = Buffer.concat([
        text("a\u001b[31m"),
        word(9),
        ...Array.from({ length: 9 }, () => u64(1)),
        word(0),
        u64(0),
      ]);
      for (const [path, message] of [
        [raw("kind.gguf", { "a\u001b]0;x": [13, u64(0)] }), /a\\x1b\]0;x has a value of kind 13/],
        [raw("kind9.gguf", { a: [9, list(77, 1, [u64(0)])] }), /a has a value of kind 77/],
        [raw("dimensions.gguf", {}, [directory]), /tensor a\\x1b\[31m has 9 dimensions/],
      ] as const)
        await expect(readModel(path)).rejects.toMatchObject({ code: "corrupt-gguf", message: expect.stringMatching(message) });
    });

    it("mutated ones are read or refused by name", async () => {
      const whole = readFileSync(
        made("mutate.gguf", [tensor, { ...tensor, name: "b" }], { metadata: { n: 3, list: ["a", "bc"] } }),
      );
      // A small generator, so that the same mutations come every time.
      let state = 7;
      const random = (n: number) => {
        state = (Math.imul(state, 1103515245) + 12345) >>> 0;
        return Math.floor((state / 2 ** 32) * n);
      };
      for (let i = 0; i < 1000; i++) {
        const bytes = Buffer.from(whole);
        for (let n = 1 + random(3); n > 0; n--) bytes[4 + random(300)] = [0, 1, 8, 9, 127, 255][random(6)] as number;
        const path = written("mutated.gguf", bytes.subarray(0, random(8) === 0 ? random(whole.length) : whole.length));
        const error = await readModel(path).catch((e) => e);
        if (error instanceof Error) expect(error, `mutation ${i}`).toBeInstanceOf(BrownianError);
      }
    });
  });
});
