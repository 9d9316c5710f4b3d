// Texts from whatever lies at a path: files, pipes with and without a writer, what has no end. And reads of more than one call can take.
import { execFileSync, spawn } from "node:child_process";
import { closeSync, ftruncateSync, mkdirSync, openSync, writeFileSync, writeSync } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it, vi } from "vitest";
import { readTextFile } from "../../src/files/text.js";
import { readFully } from "../../src/files/transfer.js";
import { scratchFolder } from "../support/synthetic-gguf.js";

const folder = scratchFolder();
const posix = process.platform !== "win32";

describe("texts", () => {
  it("are read whole, with letters that lie across pieces", async () => {
    const path = join(folder, "text");
    const text = "ä漢🐉".repeat(300_000);
    writeFileSync(path, text);
    expect(await readTextFile(path)).toBe(text);
    writeFileSync(path, "");
    expect(await readTextFile(path)).toBe("");
  });

  it("have no mark of their encoding, and are refused in another one", async () => {
    const path = join(folder, "windows");
    writeFileSync(path, "\ufeff{}\r\n");
    expect(await readTextFile(path)).toBe("{}\r\n");
    const little = Buffer.from("\ufefftext", "utf16le");
    for (const bytes of [little, Buffer.from(little).swap16()]) {
      writeFileSync(path, bytes);
      const message = expect.stringMatching(/UTF-16: save it as UTF-8/);
      await expect(readTextFile(path)).rejects.toMatchObject({ code: "usage", message });
    }
  });

  it("are refused where they are too long, before they are read where that can be told", async () => {
    const path = join(folder, "long");
    const file = openSync(path, "w");
    ftruncateSync(file, 2 ** 40); // a terabyte of nothing
    closeSync(file);
    const refused = { code: "usage", message: expect.stringMatching(/has more than 256 MiB: give a part of it/) };
    await expect(readTextFile(path)).rejects.toMatchObject(refused);
    if (posix) await expect(readTextFile("/dev/zero", undefined, 2 ** 22)).rejects.toMatchObject({ code: "usage" });
  });

  it("are refused by name where there are none", async () => {
    await expect(readTextFile(join(folder, "none"))).rejects.toMatchObject({ code: "file-not-found" });
    mkdirSync(join(folder, "dir"));
    await expect(readTextFile(join(folder, "dir"))).rejects.toMatchObject({ code: "file-access" });
  });

  it.skipIf(!posix)("come through pipes, however late, and are waited for only until they are not wanted", async () => {
    const pipe = join(folder, "pipe");
    execFileSync("mkfifo", [pipe]);
    const reading = readTextFile(pipe);
    const script =
      'const fs = require("fs"); const out = fs.openSync(process.argv[1], "w"); fs.writeSync(out, "one "); setTimeout(() => fs.writeSync(out, "two"), 100)';
    const writer = spawn(process.execPath, ["-e", script, pipe], { stdio: "inherit" });
    expect(await reading).toBe("one two");
    await new Promise((resolve) => (writer.exitCode === null ? writer.once("exit", resolve) : resolve(0)));
    const reason = new Error("enough");
    const control = new AbortController();
    const waiting = readTextFile(pipe, control.signal);
    setTimeout(() => control.abort(reason), 50);
    await expect(waiting).rejects.toBe(reason);
    // A pipe without a name whose writer has ended has ended.
    const files = JSON.stringify(new URL("../../dist/files/text.js", import.meta.url).href);
    const body = `import(${files}).then(({ readTextFile }) => readTextFile("/dev/stdin")).then((text) => console.log(JSON.stringify(text)))`;
    for (const input of ["", "piped"]) {
      const out = execFileSync("/bin/sh", ["-c", `printf '%s' "$1" | "$0" -e "$2"`, process.execPath, input, body], {
        encoding: "utf8",
      });
      expect(JSON.parse(out)).toBe(input);
    }
  });
});

it("reads of much are cut into calls that the system takes", async () => {
  const path = join(folder, "much");
  const file = openSync(path, "w");
  writeSync(file, "end", 3 * 2 ** 30 - 3);
  closeSync(file);
  const handle = await open(path, "r");
  const lengths: number[] = [];
  const read = vi.spyOn(handle, "read").mockImplementation((async (_: Uint8Array, __: number, length: number) => {
    lengths.push(length);
    return { bytesRead: length };
  }) as never);
  // Memory that is only promised: nobody touches it.
  const much = { length: 3 * 2 ** 30 } as Uint8Array;
  expect(await readFully(handle, much, 0)).toBe(3 * 2 ** 30);
  expect(Math.max(...lengths)).toBeLessThan(2 ** 31);
  read.mockRestore();
  const end = new Uint8Array(8);
  expect(await readFully(handle, end, 3 * 2 ** 30 - 3)).toBe(3);
  expect(Buffer.from(end).toString("latin1", 0, 3)).toBe("end");
  await handle.close();
});
