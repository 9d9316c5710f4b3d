// Model files: where tensors lie (against ggml's own file), what is refused and how, live copies, whole outputs, and moving in place.
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, it } from "vitest";
import { chooseTensors, LiveCopy, openMover, readModel, tensorRms, writeWhole } from "../src/gguf/index.js";
import { Rounding } from "../src/kernels/contract.js";
import { makeMove, supportedFormat } from "../src/lattice/perturb.js";
import { streamKey } from "../src/noise/index.js";
import { js, variants } from "./backends.js";
import { scratchFolder, writeGguf } from "./synthetic-gguf.js";

const root = fileURLToPath(new URL("..", import.meta.url));
const fixture = join(root, "test/fixtures/ggml-types.gguf");
const q8 = join(root, "models/fairytales-3M-Q8_0.gguf");
const folder = scratchFolder();
const file = (name: string) => join(folder, name);
const hash = (path: string) => createHash("sha256").update(readFileSync(path)).digest("hex");

describe("readModel", () => {
  it("finds every tensor of ggml's own file: its float32 tensor is where ggml says", async () => {
    const model = await readModel(fixture);
    const truth = readFileSync(join(root, "test/fixtures/ggml-types.f32"));
    expect(model.tensors.map((t) => t.type)).toEqual(
      "F32 F16 BF16 Q4_0 Q4_1 Q5_0 Q5_1 Q8_0 Q2_K Q3_K Q4_K Q5_K Q6_K IQ4_NL IQ4_XS TQ1_0 TQ2_0 MXFP4 NVFP4 Q1_0 Q2_0 IQ3_S".split(
        " ",
      ),
    );
    const f32 = model.tensors[0]!;
    expect(
      readFileSync(fixture)
        .subarray(f32.offset, f32.offset + f32.bytes)
        .equals(truth.subarray(0, f32.bytes)),
    ).toBe(true);
    // Sizes are right when tensors lie end to end: the file has no gaps but alignment.
    model.tensors.forEach((t, i) => {
      const next = model.tensors[i + 1]?.offset ?? model.size;
      expect(next - (t.offset + t.bytes), t.name).toBeLessThan(32);
    });
  });

  it("reads all embedded models", async () => {
    for (const type of ["F16", "F32", "Q4_0", "Q4_K_M", "Q6_K", "Q8_0"]) {
      const model = await readModel(join(root, `models/fairytales-3M-${type}.gguf`));
      expect(model.architecture).toBe("llama");
      expect(model.tensors.reduce((sum, t) => sum + t.weights, 0)).toBe(2_885_888);
    }
  });

  const tensor = { name: "a.weight", type: "F32", shape: [32, 4] };
  const broken: [string, () => string, string, RegExp][] = [
    ["no such file", () => file("none.gguf"), "file-not-found", /There is no file .*none\.gguf/],
    ["a folder", () => folder, "file-access", /is a folder/],
    ["an empty file", () => written("empty.gguf", ""), "not-gguf", /empty\.gguf is not a GGUF model: it is empty/],
    ["another format", () => written("pickle.gguf", "PK\x03\x04 nothing of the kind"), "not-gguf", /it begins with "PK/],
    ["a cut magic", () => written("cut.gguf", "GGUF\x03"), "truncated-gguf", /ends within its header \(5 bytes\)/],
    [
      "a cut tensor",
      () => cut("tensor.gguf", -1),
      "truncated-gguf",
      /tensor a\.weight \(F32\) lies at bytes \d+ to \d+, but the file ends at \d+.*download it again/,
    ],
    ["a cut header", () => cut("header.gguf", 60), "truncated-gguf|corrupt-gguf", /header/],
    [
      "overlapping tensors",
      () => made("overlap.gguf", [tensor, { ...tensor, name: "b.weight", offset: 64 }]),
      "corrupt-gguf",
      /a\.weight and b\.weight overlap/,
    ],
    ["two tensors of one name", () => made("twice.gguf", [tensor, tensor]), "corrupt-gguf", /two tensors called a\.weight/],
    [
      "rows that are no whole blocks",
      () => made("rows.gguf", [{ name: "q", type: "Q8_0", shape: [33, 2] }]),
      "corrupt-gguf",
      /33 weights, which is no multiple of a Q8_0 block/,
    ],
    ["part of a split model", () => made("part.gguf", [tensor], { "split.count": 3 }), "usage", /one of 3 parts.*--merge/],
  ];
  const written = (name: string, content: string) => {
    writeFileSync(file(name), content, "latin1");
    return file(name);
  };
  const made = (name: string, tensors: Parameters<typeof writeGguf>[1], metadata = {}) => {
    writeGguf(file(name), tensors, { metadata });
    return file(name);
  };
  const cut = (name: string, at: number) => {
    made(name, [tensor]);
    truncateSync(file(name), at < 0 ? statSync(file(name)).size + at : at);
    return file(name);
  };
  it.each(broken)("refuses %s", async (_, make, code, message) => {
    await expect(readModel(make())).rejects.toThrow(message);
    await expect(readModel(make())).rejects.toMatchObject({ name: "BrownianError", code: expect.stringMatching(`^(${code})$`) });
  });

  it("refuses what may not be read", async () => {
    if (process.getuid?.() === 0) return; // root may read everything
    const path = made("secret.gguf", [tensor]);
    chmodSync(path, 0);
    await expect(readModel(path)).rejects.toMatchObject({ code: "file-access" });
  });
});

describe("chooseTensors", () => {
  it("takes globs over dotted names, in the file's order", async () => {
    const model = await readModel(q8);
    const { chosen } = chooseTensors(model, { only: ["blk.*.attn_q.weight", "blk.0.*"] });
    expect(chosen.filter((t) => t.name.endsWith("attn_q.weight"))).toHaveLength(4);
    expect(chosen.filter((t) => t.name.startsWith("blk.0."))).toHaveLength(9);
    expect(chosen).toHaveLength(12);
  });

  it("refuses globs that match nothing and types that cannot move, by name", async () => {
    const model = await readModel(q8);
    expect(() => chooseTensors(model, { only: ["nothing.*"] })).toThrow(
      /no tensor that matches "nothing\.\*".*output_norm\.weight/,
    );
    const types = await readModel(fixture);
    expect(() => chooseTensors(types, {})).toThrow(/of type .*IQ3_S cannot be moved.*--skip-unsupported/);
    const { chosen, skipped } = chooseTensors(types, { skipUnsupported: true });
    expect(chosen.map((t) => t.type)).toContain("Q4_0");
    expect(skipped.find((s) => s.tensor.type === "IQ3_S")?.reason).toMatch(/IQ3_S cannot be moved/);
  });

  it("leaves tables and bookkeeping alone", async () => {
    writeGguf(file("tables.gguf"), [
      { name: "rope_freqs.weight", type: "F32", shape: [32] },
      { name: "index", type: "I32", shape: [32] },
      { name: "w", type: "F32", shape: [32] },
    ]);
    const { chosen, skipped } = chooseTensors(await readModel(file("tables.gguf")));
    expect(chosen.map((t) => t.name)).toEqual(["w"]);
    expect(skipped.map((s) => s.tensor.name)).toEqual(["rope_freqs.weight", "index"]);
  });
});

describe("live copies", () => {
  it("lie in the scratch folder, equal the model, and go", async () => {
    const scratch = file("scratch");
    const before = hash(q8);
    const copy = await LiveCopy.create(await readModel(q8), { dir: scratch });
    expect(copy.path.startsWith(scratch)).toBe(true);
    expect(hash(copy.path)).toBe(before);
    await copy.dispose();
    await copy.dispose();
    expect(readdirSync(scratch)).toEqual([]);
  });

  it("of dead processes are swept, of living ones kept", async () => {
    const scratch = file("sweep");
    mkdirSync(scratch);
    const copy = await LiveCopy.create(await readModel(q8), { dir: scratch });
    const mine = copy.path.slice(scratch.length + 1);
    const parts = mine.split(".");
    const pid = parts.indexOf(String(process.pid));
    // The same owner with another start time is another process that had our number before; 999999999 is no process at all.
    const dead = [
      [...parts.slice(0, pid), "999999999", ...parts.slice(pid + 1)].join("."),
      ...(process.platform === "linux" ? [[...parts.slice(0, pid + 1), "1", ...parts.slice(pid + 2)].join(".")] : []),
    ];
    const elsewhere = mine.replace(parts[pid - 1]!, "another-host");
    for (const name of [...dead, elsewhere, "unrelated.gguf"]) writeFileSync(join(scratch, name), "");
    const other = await LiveCopy.create(await readModel(q8), { dir: scratch });
    const left = readdirSync(scratch);
    for (const name of dead) expect(left).not.toContain(name);
    expect(left).toEqual(expect.arrayContaining([mine, elsewhere, "unrelated.gguf"]));
    await copy.dispose();
    await other.dispose();
  });

  it("stop when asked to, and leave nothing", async () => {
    const scratch = file("abort");
    const signal = AbortSignal.abort();
    await expect(LiveCopy.create(await readModel(q8), { dir: scratch, signal })).rejects.toThrow();
    expect(readdirSync(scratch)).toEqual([]);
  });

  it("need a folder that can be made", async () => {
    const model = await readModel(q8);
    await expect(LiveCopy.create(model, { dir: file("no/such/parent") })).rejects.toMatchObject({ code: "file-not-found" });
    writeFileSync(file("plain"), "");
    await expect(LiveCopy.create(model, { dir: join(file("plain"), "below") })).rejects.toMatchObject({ code: "file-not-found" });
  });

  it("are refused where there is no room", async () => {
    // A model of eight terabytes that takes no space: its tensor is a hole.
    writeGguf(file("huge.gguf"), [{ name: "w", type: "F32", shape: [2 ** 20, 2 ** 21] }]);
    const scratch = file("full");
    mkdirSync(scratch);
    await expect(LiveCopy.create(await readModel(file("huge.gguf")), { dir: scratch })).rejects.toMatchObject({
      code: "no-space",
      message: expect.stringMatching(/has no room for \d+ bytes \(\d+ are free\).*--scratch/),
    });
    expect(readdirSync(scratch)).toEqual([]);
  });
});

describe("whole outputs", () => {
  it("appear under their name only when they are done", async () => {
    const out = file("out/whole.gguf");
    mkdirSync(file("out"));
    await writeWhole(out, q8, async (partial) => {
      writeFileSync(partial, "half");
      expect(existsSync(out)).toBe(false);
      expect(partial.startsWith(file("out"))).toBe(true);
    });
    expect(readFileSync(out, "utf8")).toBe("half");
    expect(readdirSync(file("out"))).toEqual(["whole.gguf"]);
  });

  it("leave the old file and no partial one when work fails", async () => {
    const out = file("out/whole.gguf");
    const failing = writeWhole(out, q8, async (partial) => {
      writeFileSync(partial, "half");
      throw new Error("midway");
    });
    await expect(failing).rejects.toThrow("midway");
    expect(readFileSync(out, "utf8")).toBe("half");
    expect(readdirSync(file("out"))).toEqual(["whole.gguf"]);
  });

  it("are refused over the input under any name, in missing folders, and over folders", async () => {
    const input = file("input.gguf");
    copyFileSync(q8, input);
    linkSync(input, file("hard.gguf"));
    symlinkSync(input, file("soft.gguf"));
    const never = async () => expect.unreachable();
    for (const name of [input, file("hard.gguf"), file("soft.gguf")]) {
      await expect(writeWhole(name, input, never)).rejects.toMatchObject({ code: "output-exists" });
    }
    await expect(writeWhole(file("nowhere/out.gguf"), input, never)).rejects.toMatchObject({
      code: "file-not-found",
      message: expect.stringMatching(/folder of .* does not exist/),
    });
    await expect(writeWhole(folder, input, never)).rejects.toMatchObject({ code: "file-access" });
  });

  it("of processes that were killed are swept with the next output of that name; those interrupted clean up themselves", async () => {
    const target = file("killed");
    mkdirSync(target);
    const module = new URL("../dist/gguf/index.js", import.meta.url).href;
    const program = `
      const { writeWhole } = await import(${JSON.stringify(module)});
      const { writeFileSync } = await import("node:fs");
      await writeWhole(process.argv[1], process.argv[2], async (partial) => {
        writeFileSync(partial, "half");
        process.stdout.write("begun");
        await new Promise((resolve) => setTimeout(resolve, 60_000));
      });`;
    const killedBy = async (signal: NodeJS.Signals) => {
      const child = spawn(process.execPath, ["--input-type=module", "-e", program, "--", join(target, "out.gguf"), q8]);
      await new Promise((resolve) => child.stdout.once("data", resolve));
      const ended = new Promise((resolve) => child.once("exit", resolve));
      child.kill(signal);
      await ended;
      return readdirSync(target);
    };
    expect(await killedBy("SIGINT")).toEqual([]);
    const left = await killedBy("SIGKILL");
    expect(left).toHaveLength(1);
    expect(left[0]).toMatch(/^\.out\.gguf\..*\.brownian-partial$/);
    await writeWhole(join(target, "out.gguf"), q8, async (partial) => writeFileSync(partial, "whole"));
    expect(readdirSync(target)).toEqual(["out.gguf"]);
  });
});

describe.each(variants)("moving in place on $name", ({ name, kernels }) => {
  const pristine = file("moving.gguf");
  const live = file(`live ${name}.gguf`);

  beforeAll(() => {
    // Larger than a piece of either mover, and with an end that fills no whole piece.
    const random = (n: number, scale: (i: number) => number | undefined) =>
      Uint8Array.from({ length: n }, (_, i) => scale(i) ?? (i * 73 + (i >> 8)) & 255);
    const rows = 9000;
    writeGguf(pristine, [
      {
        name: "a",
        type: "Q8_0",
        shape: [32, rows],
        data: random(rows * 34, (i) => (i % 34 === 0 ? 0 : i % 34 === 1 ? 0x2c : undefined)),
      },
      {
        name: "b",
        type: "Q4_0",
        shape: [32, rows],
        data: random(rows * 18, (i) => (i % 18 === 0 ? 0 : i % 18 === 1 ? 0x2c : undefined)),
      },
      { name: "c", type: "F16", shape: [32, 100], data: random(6400, (i) => (i % 2 === 1 ? 0x28 + (i & 0x87) : undefined)) },
    ]);
    copyFileSync(pristine, live);
  });

  it("moves the codes that memory would, restores them, and leaves all other bytes and the pristine file alone", async () => {
    const before = hash(pristine);
    const model = await readModel(pristine);
    const mover = await openMover(live, pristine, kernels);
    const expected = readFileSync(pristine);
    let onBytes = 0;
    for (const tensor of model.tensors) {
      const move = makeMove(supportedFormat(tensor.type), {
        sigma: Math.fround(0.05),
        inSteps: false,
        key: streamKey(1n, tensor.name),
        tick: 3,
        rounding: "matched",
        index: 0,
        steps: null,
        rowLength: 1,
      });
      const inMemory = expected.subarray(tensor.offset, tensor.offset + tensor.bytes);
      const changed = js.kernels.perturb(inMemory, move);
      expect(changed).toBeGreaterThan(0);
      expect(move.rounding).toBe(Rounding.matched);
      // Twice: the result depends on the pristine bytes, not on what was there.
      expect(await mover.perturb(tensor, move, { onBytes: (bytes) => (onBytes += bytes) })).toBe(changed);
      expect(await mover.perturb(tensor, move)).toBe(changed);
    }
    expect(onBytes).toBe(model.tensors.reduce((sum, t) => sum + t.bytes, 0));
    expect(readFileSync(live).equals(expected)).toBe(true);
    for (const tensor of model.tensors) await mover.restore(tensor);
    expect(hash(live)).toBe(before);
    expect(hash(pristine)).toBe(before);
    await mover.close();
  });

  it("gives the same RMS as memory does", async () => {
    const model = await readModel(pristine);
    const mover = await openMover(live, pristine, kernels);
    const a = model.tensors[0]!;
    const bytes = readFileSync(pristine).subarray(a.offset, a.offset + a.bytes);
    // Straight from the format: float16 0x2c00 is 1/16.
    let squares = 0;
    bytes.forEach((byte, i) => {
      if (i % 34 > 1) squares += (((byte << 24) >> 24) / 16) ** 2;
    });
    expect(await tensorRms(mover, a)).toBeCloseTo(Math.sqrt(squares / a.weights), 12);
    await mover.close();
  });

  it("names the tensor whose RMS is no number", async () => {
    writeGguf(file("nan.gguf"), [{ name: "bad", type: "F16", shape: [32], data: new Uint8Array(64).fill(0x7e) }]);
    copyFileSync(file("nan.gguf"), file("nan-live.gguf"));
    const mover = await openMover(file("nan-live.gguf"), file("nan.gguf"), kernels);
    const model = await readModel(file("nan.gguf"));
    await expect(tensorRms(mover, model.tensors[0]!)).rejects.toThrow(/Tensor bad \(F16\) holds infinite or NaN weights/);
    await mover.close();
  });

  it("stops between pieces", async () => {
    const model = await readModel(pristine);
    const mover = await openMover(live, pristine, kernels);
    await expect(mover.restore(model.tensors[0]!, { signal: AbortSignal.abort() })).rejects.toThrow(/abort/i);
    await mover.close();
  });
});
