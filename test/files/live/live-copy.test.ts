// Live copies: where they lie, that they equal the model and are ours alone, and that they go when they fail.
import { createHash } from "node:crypto";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  truncateSync,
} from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { afterEach, describe, expect, it, vi } from "vitest";
import { LiveCopy, type ModelFile, readModel } from "../../../src/files/index.js";
import { fillDiskAt } from "../../support/full-disk.js";
import { scratchFolder, writeGguf } from "../../support/synthetic-gguf.js";

const folder = scratchFolder();
const fresh = () => mkdtempSync(join(folder, "case-"));
const q8 = fileURLToPath(new URL("../../../models/fairytales-3M-Q8_0.gguf", import.meta.url));
const hash = (path: string) => createHash("sha256").update(readFileSync(path)).digest("hex");
const posix = process.platform !== "win32";

/** A model of three chunks of the copy and a bit. */
const large = join(folder, "large.gguf");
writeGguf(large, [
  { name: "w", type: "F32", shape: [1024, 3200], data: { repeat: Uint8Array.from({ length: 97 }, (_, i) => i) } },
]);

/** Where a copy lies, or lay when it had a name. */
const placeOf = (path: string) => (process.platform === "linux" ? readlinkSync(path) : path);

afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
});

describe("live copies", () => {
  it("equal the model, are ours alone, tell how far they are, and go", async () => {
    const dir = fresh();
    const before = hash(large);
    const steps: number[] = [];
    const model = await readModel(large);
    const copy = await LiveCopy.create(model, { dir, onBytes: (bytes) => steps.push(bytes) });
    expect(steps).toHaveLength(4);
    expect(steps.reduce((sum, bytes) => sum + bytes, 0)).toBe(model.size);
    expect([hash(copy.path), hash(large)]).toEqual([before, before]);
    if (posix) expect(statSync(copy.path).mode & 0o777).toBe(0o600);
    // On Linux nobody finds it to cut it short: it has no name.
    expect(basename(placeOf(copy.path))).toMatch(/^\.large\..*\.brownian-live( \(deleted\))?$/);
    if (process.platform === "linux") expect(readdirSync(dir)).toEqual([]);
    await copy.dispose();
    await copy.dispose();
    expect(readdirSync(dir)).toEqual([]);
  });

  it("stay while their paths alone are kept: nobody's garbage", async () => {
    const dir = fresh();
    const model = await readModel(q8);
    const path = await (async () => (await LiveCopy.create(model, { dir })).path)();
    setFlagsFromString("--expose-gc");
    const collect = runInNewContext("gc") as () => void;
    for (let i = 0; i < 3; i++) {
      collect();
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    expect(hash(path)).toBe(hash(q8));
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
      const copy = await LiveCopy.create(model, { dir });
      const place = placeOf(copy.path);
      await copy.dispose();
      return place;
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

  it("are not put into a temporary directory that is not there, which may be mistyped", async () => {
    const temporary = join(fresh(), "mistyped");
    vi.stubEnv("TMPDIR", temporary);
    vi.stubEnv("TEMP", temporary);
    vi.stubEnv("TMP", temporary);
    await expect(LiveCopy.create(await readModel(q8))).rejects.toMatchObject({
      code: "file-not-found",
      message: expect.stringMatching(/mistyped for temporary files \(TMPDIR\): make it, or name another folder with --scratch/),
    });
    expect(existsSync(temporary)).toBe(false);
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
      onBytes: () => ++steps === 2 && control.abort(reason),
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
    await expect(LiveCopy.create(model, { dir, onBytes: cut })).rejects.toMatchObject({
      code: "truncated-gguf",
      message: expect.stringMatching(/shrinking\.gguf became shorter/),
    });
    const part = { path: join(place, "gone.gguf"), size: model.size };
    const gone: ModelFile = { ...model, ...part, parts: [part] };
    await expect(LiveCopy.create(gone, { dir })).rejects.toMatchObject({
      code: "file-not-found",
      message: expect.stringMatching(/gone\.gguf/),
    });
    expect(readdirSync(dir)).toEqual([]);
  });
});
