// Outputs appear whole or not at all, and over nothing that is not theirs.
import { spawnSync } from "node:child_process";
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
  writeFileSync,
} from "node:fs";
import { open } from "node:fs/promises";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, it, vi } from "vitest";
import { checkOutputFolder, copyModel, writeFolderWhole, writeWhole } from "../../src/files/index.js";
import { fillDiskAt } from "../support/full-disk.js";
import { run } from "../support/processes.js";
import { scratchFolder } from "../support/synthetic-gguf.js";

const folder = scratchFolder();
const fresh = () => mkdtempSync(join(folder, "case-"));
const main = fileURLToPath(new URL("../../dist/esm/cli.js", import.meta.url));
const q8 = fileURLToPath(new URL("../../models/fairytales-3M-Q8_0.gguf", import.meta.url));
const posix = process.platform !== "win32";

afterEach(() => {
  vi.restoreAllMocks();
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
      await writeWhole(out, input, (partial) => copyModel({ path: input, size: statSync(input).size }, partial, "make room."));
      expect(statSync(out).mode & 0o777).toBe(expected);
    }
  });

  it.skipIf(!posix)("have no more permissions than the umask allows", async () => {
    const dir = fresh();
    const body = `
      process.umask(0o077);
      const { openWriter } = await import(${JSON.stringify(new URL("../../dist/files/index.js", import.meta.url).href)});
      const [input, dir] = process.argv.slice(1);
      const model = await readModel(input);
      await writeWhole(dir + "/copied", input, (partial) => copyModel(model, partial, ""));
      await writeWhole(dir + "/written", input, async (partial) => {
        const writer = await openWriter([partial], model, jsKernels);
        await writer.copyRest([]);
        await writer.close();
      });`;
    chmodSync(q8, 0o644);
    expect(await run(body, [q8, dir])).toBe("");
    for (const name of ["copied", "written"]) expect(statSync(join(dir, name)).mode & 0o777, name).toBe(0o600);
  });

  it.skipIf(!posix)("say that the limit of the process is too low (ulimit -f), and leave nothing", async () => {
    const dir = fresh();
    const { stdout, stderr } = spawnSync(
      "/bin/sh",
      ["-c", 'ulimit -f 1000; exec "$0" "$@"', process.execPath, main, "perturb", q8, "-o", join(dir, "out.gguf"), "-s", "0.1"],
      { encoding: "utf8", env: { ...process.env, NO_COLOR: "1" } },
    );
    expect(stderr).toMatch(/may not become that large \(EFBIG\): raise the limit of this process \(ulimit -f\)/);
    expect([stdout, readdirSync(dir)]).toEqual(["", []]);
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

describe("folders appear whole or not at all", () => {
  it("replace a former one of the same kind, and nothing else", async () => {
    const dir = fresh();
    const output = join(dir, "report");
    const write = (word: string) => writeFolderWhole(output, ["a"], async (at) => writeFileSync(join(at, "a"), word));
    await write("one");
    await write("two");
    expect(readFileSync(join(output, "a"), "utf8")).toBe("two");
    const failing = writeFolderWhole(output, ["a"], async () => Promise.reject(new Error("no")));
    await expect(failing).rejects.toThrow("no");
    expect(readFileSync(join(output, "a"), "utf8")).toBe("two");
    writeFileSync(join(output, "mine"), "");
    await expect(write("three")).rejects.toMatchObject({ code: "output-exists" });
    expect(readdirSync(dir).filter((name) => name.includes("partial"))).toEqual([]);
    writeFileSync(join(dir, "file"), "");
    await expect(checkOutputFolder(join(dir, "file"), [])).rejects.toMatchObject({ code: "file-access" });
    await expect(checkOutputFolder(join(dir, "nowhere", "x"), [])).rejects.toMatchObject({ code: "file-not-found" });
    mkdirSync(join(dir, "empty"));
    await checkOutputFolder(join(dir, "empty"), []);
  });
});
