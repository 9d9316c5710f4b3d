// Files that must not outlive their work: live copies and partial outputs, when all goes well, when it fails, and when the process is killed.
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  copyFileSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, it, vi } from "vitest";
import { copyModel, LiveCopy, type ModelFile, readModel, writeWhole } from "../../src/files/index.js";
import { scratchFolder, writeGguf } from "../support/synthetic-gguf.js";

// No copies by reference, so that bytes are copied on every file system.
vi.mock("node:fs/promises", async (original) => ({
  ...(await original<typeof import("node:fs/promises")>()),
  copyFile: async () => {
    throw Object.assign(new Error("ENOTSUP"), { code: "ENOTSUP", errno: -95 });
  },
}));

const folder = scratchFolder();
const fresh = () => mkdtempSync(join(folder, "case-"));
const q8 = fileURLToPath(new URL("../../models/fairytales-3M-Q8_0.gguf", import.meta.url));
const hash = (path: string) => createHash("sha256").update(readFileSync(path)).digest("hex");
const posix = process.platform !== "win32";

/** A model of three pieces of the copy and a bit. */
const large = join(folder, "large.gguf");
writeGguf(large, [
  { name: "w", type: "F32", shape: [1024, 3200], data: { repeat: Uint8Array.from({ length: 97 }, (_, i) => i) } },
]);

afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
});

/** Makes the n-th write to any file fail as on a full disk. */
async function fillDiskAt(n: number): Promise<void> {
  const handle = await open(q8, "r");
  const prototype = Object.getPrototypeOf(handle) as FileHandle;
  await handle.close();
  const write = prototype.write;
  let calls = 0;
  vi.spyOn(prototype, "write").mockImplementation(async function (this: FileHandle, ...args: unknown[]) {
    if (++calls === n) throw Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC", errno: -28 });
    return Reflect.apply(write, this, args);
  } as FileHandle["write"]);
}

describe("live copies", () => {
  it("equal the model, are ours alone, tell how far they are, and go", async () => {
    const dir = fresh();
    const before = hash(large);
    const steps: number[] = [];
    const model = await readModel(large);
    const copy = await LiveCopy.create(model, { dir, onProgress: (done, total) => steps.push(done / total) });
    expect(steps).toHaveLength(4);
    expect(steps).toEqual([...steps].sort((a, b) => a - b));
    expect(steps.at(-1)).toBe(1);
    expect([hash(copy.path), hash(large)]).toEqual([before, before]);
    if (posix) expect(statSync(copy.path).mode & 0o777).toBe(0o600);
    expect(basename(copy.path)).toMatch(/^\.large\..*\.brownian-live$/);
    await copy.dispose();
    await copy.dispose();
    expect(readdirSync(dir)).toEqual([]);
  });

  it("may be written to, also when the model may not", async () => {
    const dir = fresh();
    const model = join(dir, "read-only.gguf");
    copyFileSync(q8, model);
    chmodSync(model, 0o444);
    const copy = await LiveCopy.create(await readModel(model), { dir });
    if (posix) expect(statSync(copy.path).mode & 0o200).toBe(0o200);
    await copy.dispose();
    chmodSync(model, 0o644);
  });

  it("lie where the option says, else where BROWNIAN_SCRATCH says, else in a folder of our own below the temporary directory", async () => {
    const [option, variable, temporary] = [fresh(), join(fresh(), "made"), fresh()];
    vi.stubEnv("TMPDIR", temporary);
    vi.stubEnv("TEMP", temporary);
    const model = await readModel(q8);
    const where = async (dir?: string) => {
      const copy = await LiveCopy.create(model, dir === undefined ? {} : { dir });
      await copy.dispose();
      return copy.path;
    };
    const own = await where();
    expect(own.startsWith(join(temporary, "brownian-"))).toBe(true);
    if (posix) {
      const made = join(temporary, `brownian-${process.getuid?.()}`);
      expect(statSync(made).mode & 0o777).toBe(0o700);
      chmodSync(made, 0o777); // as someone careless may have left it
      await where();
      expect(statSync(made).mode & 0o777).toBe(0o700);
    }
    vi.stubEnv("BROWNIAN_SCRATCH", variable);
    expect((await where()).startsWith(variable)).toBe(true);
    expect((await where(option)).startsWith(option)).toBe(true);
  });

  it.skipIf(!posix)("do not trust a folder of our name that another made", async () => {
    const temporary = fresh();
    vi.stubEnv("TMPDIR", temporary);
    symlinkSync(fresh(), join(temporary, `brownian-${process.getuid?.()}`));
    await expect(LiveCopy.create(await readModel(q8))).rejects.toMatchObject({
      code: "file-access",
      message: expect.stringMatching(/is not a folder of ours: name another folder with --scratch \(or BROWNIAN_SCRATCH\)/),
    });
  });

  it("of dead processes are swept; those of living ones, of other machines, and files of others are kept", async () => {
    const dir = fresh();
    const model = await readModel(q8);
    const mine = await LiveCopy.create(model, { dir });
    const name = basename(mine.path);
    const [, label, host, pid, start, random, ending] = /^\.(.+)\.([^.]+)\.(\d+)\.(\d+)\.([0-9a-f]{12})\.(.+)$/.exec(name) ?? [];
    expect(Number(pid)).toBe(process.pid);
    const named = (h: string | undefined, p: number | string, s: string | undefined, e = ending) =>
      `.${label}.${h}.${p}.${s}.${random}.${e}`;
    const gone = spawnSync(process.execPath, ["-e", ""]).pid; // a process that was, and is no more
    const dead = [named(host, gone, start), named(host, 999_999_999, "0")];
    // The same number with another start time is another process, which came after the owner.
    if (process.platform === "linux") dead.push(named(host, process.pid, "1"));
    const kept = [
      name,
      named("elsewhere", gone, start),
      named(host, gone, start, "brownian-partial"),
      named(host, process.pid, "0"), // it cannot be told when the owner started
      named(host, 1, "0"), // someone else's, perhaps, but alive
      "unrelated.gguf",
    ];
    for (const file of [...dead, ...kept.slice(1)]) writeFileSync(join(dir, file), "");
    const next = await LiveCopy.create(model, { dir });
    expect(readdirSync(dir).sort()).toEqual([...kept, basename(next.path)].sort());
    await mine.dispose();
    await next.dispose();
  });

  it("sweep on when something cannot be removed", async () => {
    const dir = fresh();
    const model = await readModel(q8);
    const mine = await LiveCopy.create(model, { dir });
    // A folder under the name of a dead process's copy: removing it as a file fails, for root too.
    const stuck = basename(mine.path).replace(`.${process.pid}.`, ".999999999.");
    mkdirSync(join(dir, stuck));
    await (await LiveCopy.create(model, { dir })).dispose();
    await mine.dispose();
    expect(readdirSync(dir)).toEqual([stuck]);
  });

  it("stop when asked to, before and amid the copy, and leave nothing", async () => {
    const dir = fresh();
    const model = await readModel(large);
    const reason = new Error("enough");
    await expect(LiveCopy.create(model, { dir, signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    const control = new AbortController();
    let steps = 0;
    const copying = LiveCopy.create(model, {
      dir,
      signal: control.signal,
      onProgress: () => ++steps === 2 && control.abort(reason),
    });
    await expect(copying).rejects.toBe(reason);
    expect(steps).toBe(2);
    expect(readdirSync(dir)).toEqual([]);
  });

  it("are refused where there is no room for them, before a byte is written", async () => {
    const huge = join(fresh(), "huge.gguf");
    writeGguf(huge, [{ name: "w", type: "F32", shape: [2 ** 20, 2 ** 21] }]); // eight terabytes of nothing
    const dir = fresh();
    const error = await LiveCopy.create(await readModel(huge), { dir }).catch((e) => e);
    expect(error).toMatchObject({ code: "no-space" });
    expect(error.message).toContain(dir);
    expect(error.message).toMatch(
      /no room for 879609\d+ bytes \(\d+ are free\): free some, or name another folder with --scratch/,
    );
    expect(readdirSync(dir)).toEqual([]);
  });

  it("say the same when the disk fills up on the way, and leave nothing", async () => {
    const dir = fresh();
    const model = await readModel(large);
    await fillDiskAt(3);
    await expect(LiveCopy.create(model, { dir })).rejects.toMatchObject({
      code: "no-space",
      message: expect.stringMatching(/no room for \d+ bytes \(\d+ are free\).*--scratch/),
    });
    expect(readdirSync(dir)).toEqual([]);
  });

  it("notice a model that is cut or goes away meanwhile, and name it", async () => {
    const [dir, place] = [fresh(), fresh()];
    const path = join(place, "shrinking.gguf");
    copyFileSync(large, path);
    const model = await readModel(path);
    const cut = () => truncateSync(path, 5 << 20);
    await expect(LiveCopy.create(model, { dir, onProgress: cut })).rejects.toMatchObject({
      code: "truncated-gguf",
      message: expect.stringMatching(/shrinking\.gguf became shorter/),
    });
    const gone: ModelFile = { ...model, path: join(place, "gone.gguf") };
    await expect(LiveCopy.create(gone, { dir })).rejects.toMatchObject({
      code: "file-not-found",
      message: expect.stringMatching(/gone\.gguf/),
    });
    expect(readdirSync(dir)).toEqual([]);
  });
});

describe("whole outputs", () => {
  it("appear under their name only when they are done, beside it until then", async () => {
    const dir = fresh();
    const out = join(dir, "out.gguf");
    const result = await writeWhole(out, q8, async (partial) => {
      writeFileSync(partial, "new");
      expect(readdirSync(dir)).toEqual([basename(partial)]);
      expect(basename(partial)).toMatch(/^\.out\.gguf\..*\.brownian-partial$/);
      return 7;
    });
    expect(result).toBe(7);
    expect(readFileSync(out, "utf8")).toBe("new");
    expect(readdirSync(dir)).toEqual(["out.gguf"]);
  });

  it("take names as long as names may be", async () => {
    const dir = fresh();
    const name = `${"ü".repeat(125)}.gguf`; // 255 bytes
    const swept: string[] = [];
    for (let i = 0; i < 2; i++) {
      await writeWhole(join(dir, name), q8, async (partial) => {
        swept.push(...readdirSync(dir).filter((n) => n.startsWith(".")));
        writeFileSync(partial, "x");
        // As a killed process would have left it.
        writeFileSync(partial.replace(`.${process.pid}.`, ".999999999."), "");
      });
    }
    expect(swept).toEqual([]); // the second one found nothing that the first had left
    expect(readdirSync(dir)).toContain(name);
  });

  it.skipIf(!posix)("have the permissions of the model, and their owner may write", async () => {
    const dir = fresh();
    const input = join(dir, "input.gguf");
    copyFileSync(q8, input);
    for (const [given, expected] of [
      [0o644, 0o644],
      [0o444, 0o644],
      [0o600, 0o600],
    ] as const) {
      chmodSync(input, given);
      const out = join(dir, "out.gguf");
      await writeWhole(out, input, (partial) => copyModel(input, partial, statSync(input).size, dir, "make room.", {}));
      expect(statSync(out).mode & 0o777).toBe(expected);
    }
  });

  it("leave the old file and nothing else when the work fails, whose error comes through", async () => {
    const dir = fresh();
    const out = join(dir, "out.gguf");
    writeFileSync(out, "old");
    const failing = (error: unknown) =>
      writeWhole(out, q8, async (partial) => {
        writeFileSync(partial, "half");
        throw error;
      });
    const error = new Error("midway");
    await expect(failing(error)).rejects.toBe(error);
    // What the work says of other files is not said of the output.
    const elsewhere = Object.assign(new Error("ENOENT"), { code: "ENOENT", errno: -2, path: "/elsewhere" });
    await expect(failing(elsewhere)).rejects.toBe(elsewhere);
    expect(readFileSync(out, "utf8")).toBe("old");
    expect(readdirSync(dir)).toEqual(["out.gguf"]);
  });

  it("say that the disk is full", async () => {
    const dir = fresh();
    const out = join(dir, "out.gguf");
    const full = writeWhole(out, q8, async (partial) => {
      await fillDiskAt(1);
      const file = await open(partial, "w");
      await file.write(Buffer.alloc(8)).finally(() => file.close());
    });
    await expect(full).rejects.toMatchObject({
      code: "no-space",
      message: expect.stringContaining(`no room left to write ${out}`),
    });
    expect(readdirSync(dir)).toEqual([]);
  });

  it("are refused over the input under any name, without a folder, and over folders and devices", async () => {
    const dir = fresh();
    const input = join(dir, "input.gguf");
    copyFileSync(q8, input);
    linkSync(input, join(dir, "hard.gguf"));
    symlinkSync(input, join(dir, "soft.gguf"));
    symlinkSync(dir, join(dir, "round"));
    const refusal = (out: string) => writeWhole(out, input, async () => expect.unreachable()).catch((e) => e);
    for (const name of ["input.gguf", "./x/../input.gguf", "hard.gguf", "soft.gguf", "round/input.gguf"]) {
      const error = await refusal(`${dir}/${name}`);
      expect(error, name).toMatchObject({ code: "output-exists" });
      expect(error.message).toContain(`${name} is the input itself`);
    }
    const missing = await refusal(join(dir, "nowhere/out.gguf"));
    expect(missing).toMatchObject({ code: "file-not-found" });
    expect(missing.message).toContain(`make ${join(dir, "nowhere")} first`);
    expect(await refusal(join(input, "out.gguf"))).toMatchObject({
      code: "file-access",
      message: expect.stringMatching(/is no folder/),
    });
    expect(await refusal(dir)).toMatchObject({ code: "file-access" });
    if (!posix) return;
    expect(await refusal("/dev/null")).toMatchObject({
      code: "file-access",
      message: expect.stringMatching(/folder or a device/),
    });
    expect(lstatSync("/dev/null").isCharacterDevice()).toBe(true);
  });

  it.skipIf(!posix)("are refused where one may not write", async () => {
    const dir = fresh();
    chmodSync(folder, 0o755);
    chmodSync(dir, 0o555);
    // Root may write everywhere, so another process gives that up once it has loaded what it needs.
    const body = `
      if (process.getuid() === 0) process.setuid(65534);
      await writeWhole(process.argv[2], process.argv[1], async () => 0);`;
    expect(await run(body, [q8, join(dir, "out.gguf")])).toMatch(/^file-access .* may not be accessed \(EACCES\)/);
    chmodSync(dir, 0o755);
  });
});

const gguf = new URL("../../dist/files/index.js", import.meta.url).href;
const js = new URL("../../dist/kernels/js.js", import.meta.url).href;
const program = (body: string) => `
  const { copyModel, LiveCopy, openMover, readModel, writeWhole } = await import(${JSON.stringify(gguf)});
  const { jsKernels } = await import(${JSON.stringify(js)});
  try { ${body} } catch (error) { console.log(error.code, error.message); }`;
const start = (body: string, args: string[], options = {}) =>
  spawn(process.execPath, ["--input-type=module", "-e", program(body), "--", ...args], {
    ...options,
    stdio: ["ignore", "pipe", "inherit"],
  });

async function run(body: string, args: string[], options = {}): Promise<string> {
  let output = "";
  const child = start(body, args, options);
  child.stdout?.on("data", (data) => {
    output += data;
  });
  await new Promise((resolve) => child.once("close", resolve));
  return output;
}

/** Starts a process, waits until it says something and then for so many milliseconds, and ends it. */
async function interrupted(body: string, args: string[], signal: NodeJS.Signals, after = 0): Promise<void> {
  const child = start(body, args);
  const ended = new Promise((resolve) => child.once("exit", resolve));
  await new Promise((resolve) => child.stdout?.once("data", resolve));
  await new Promise((resolve) => setTimeout(resolve, after));
  child.kill(signal);
  await ended;
}

describe.skipIf(!posix)("processes that end amid their work", () => {
  /** A live copy and a partial output at once, for as long as it may take. */
  const holding = `
    const [model, dir, out] = process.argv.slice(1);
    await LiveCopy.create(await readModel(model), { dir });
    await writeWhole(out, model, async (partial) => {
      await copyModel(model, partial, (await readModel(model)).size, dir, "", {});
      console.log("begun");
      if (process.env.EXIT) process.exit(3);
      await new Promise((resolve) => setTimeout(resolve, 60_000));
    });`;

  it.each(["SIGINT", "SIGTERM", "SIGHUP"] as const)("by %s leave nothing", async (signal) => {
    const dir = fresh();
    await interrupted(holding, [q8, dir, join(dir, "out.gguf")], signal);
    expect(readdirSync(dir)).toEqual([]);
  });

  it("by process.exit leave nothing", async () => {
    const dir = fresh();
    await run(holding, [q8, dir, join(dir, "out.gguf")], { env: { ...process.env, EXIT: "1" } });
    expect(readdirSync(dir)).toEqual([]);
  });

  it("by a kill leave hidden files, which the next process sweeps; the input stays as it was", async () => {
    const dir = fresh();
    const before = hash(q8);
    const out = join(dir, "out.gguf");
    await interrupted(holding, [q8, dir, out], "SIGKILL");
    expect(readdirSync(dir).map((name) => name.replace(/\..*\./, ".<owner>."))).toEqual([
      ".<owner>.brownian-live",
      ".<owner>.brownian-partial",
    ]);
    // Another output's partial files are not ours to judge: they go with the next output of that name.
    await writeWhole(join(dir, "other.gguf"), q8, async (partial) => writeFileSync(partial, ""));
    expect(readdirSync(dir).filter((name) => name.endsWith("-partial"))).toHaveLength(1);
    await writeWhole(out, q8, async (partial) => writeFileSync(partial, ""));
    expect(readdirSync(dir).filter((name) => name.endsWith("-partial"))).toEqual([]);
    await (await LiveCopy.create(await readModel(q8), { dir })).dispose();
    expect(readdirSync(dir).sort()).toEqual(["other.gguf", "out.gguf"]);
    expect(hash(q8)).toBe(before);
  });

  it("by a kill at any moment leave under the final name nothing, or all", async () => {
    const dir = fresh();
    const out = join(dir, "out.gguf");
    const moving = `
      const [input, out] = process.argv.slice(1);
      const model = await readModel(input);
      console.log("begun");
      for (;;) await writeWhole(out, input, async (partial) => {
        await copyModel(input, partial, model.size, ${JSON.stringify(dir)}, "", {});
        const mover = await openMover(partial, input, jsKernels);
        for (const tensor of model.tensors) await mover.restore(tensor);
        await mover.close();
      });`;
    for (const after of [0, 2, 5, 11, 23]) {
      await interrupted(moving, [q8, out], "SIGKILL", after);
      const there = readdirSync(dir).filter((name) => !name.startsWith("."));
      expect(there.every((name) => name === "out.gguf" && hash(out) === hash(q8))).toBe(true);
    }
    await writeWhole(out, q8, async (partial) => writeFileSync(partial, ""));
    expect(readdirSync(dir)).toEqual(["out.gguf"]);
  });
});
