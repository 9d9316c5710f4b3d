// Folders of results: whole or not at all, and never in the place of anything else.
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { checkOutputFolder, writeFolderWhole } from "../../src/files/index.js";
import { scratchFolder } from "../support/synthetic-gguf.js";

const folder = scratchFolder();

describe("folders appear whole or not at all", () => {
  it("replace a former one of the same kind, and nothing else", async () => {
    const output = join(folder, "report");
    const write = (word: string) => writeFolderWhole(output, ["a"], async (at) => writeFileSync(join(at, "a"), word));
    await write("one");
    await write("two");
    expect(readFileSync(join(output, "a"), "utf8")).toBe("two");
    const failing = writeFolderWhole(output, ["a"], async () => Promise.reject(new Error("no")));
    await expect(failing).rejects.toThrow("no");
    expect(readFileSync(join(output, "a"), "utf8")).toBe("two");
    writeFileSync(join(output, "mine"), "");
    await expect(write("three")).rejects.toMatchObject({ code: "output-exists" });
    expect(readdirSync(folder).filter((name) => name.includes("partial"))).toEqual([]);
    writeFileSync(join(folder, "file"), "");
    await expect(checkOutputFolder(join(folder, "file"), [])).rejects.toMatchObject({ code: "file-access" });
    await expect(checkOutputFolder(join(folder, "nowhere", "x"), [])).rejects.toMatchObject({ code: "file-not-found" });
    mkdirSync(join(folder, "empty"));
    await checkOutputFolder(join(folder, "empty"), []);
  });
});
