// Files of ours must not outlive their owner: swept when it is dead, kept when it lives, and gone when it ends amid its work.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { LiveCopy, readModel, writeWhole } from "../../src/files/index.js";
import { claim, discard, own } from "../../src/files/owned.js";
import { patiently } from "../../src/files/patience.js";
import { interrupted, run } from "../support/processes.js";
import { scratchFolder } from "../support/synthetic-gguf.js";

const folder = scratchFolder();
const fresh = () => mkdtempSync(join(folder, "case-"));
const q8 = fileURLToPath(new URL("../../models/fairytales-3M-Q8_0.gguf", import.meta.url));
const hash = (path: string) => createHash("sha256").update(readFileSync(path)).digest("hex");
const posix = process.platform !== "win32";
/** Whether live copies lose their names once they are made. */
const unnamed = process.platform === "linux";

describe("files of ours", () => {
  it("of dead processes are swept; those of living ones, of other machines, and files of others are kept", async () => {
    const dir = fresh();
    const model = await readModel(q8);
    const mine = await claim(dir, "model", ".brownian-live"); // as a live copy is called, at least until it is made
    writeFileSync(mine, "");
    const name = basename(mine);
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
    expect(readdirSync(dir).sort()).toEqual([...kept, ...(unnamed ? [] : [basename(next.path)])].sort());
    await discard(mine);
    await next.dispose();
    expect(readdirSync(dir).sort()).toEqual(kept.slice(1).sort());
  });

  it("sweep on when something cannot be removed", async () => {
    const dir = fresh();
    const model = await readModel(q8);
    const mine = await claim(dir, "model", ".brownian-live");
    // A folder under the name of a dead process's copy: removing it as a file fails, for root too.
    const stuck = basename(mine).replace(`.${process.pid}.`, ".999999999.");
    mkdirSync(join(dir, stuck));
    await (await LiveCopy.create(model, { dir })).dispose();
    await discard(mine);
    expect(readdirSync(dir)).toEqual([stuck]);
  });
});

describe("what others put in the place of ours", () => {
  it("stays: a folder, and another file", async () => {
    const dir = fresh();
    const folderThere = await claim(dir, "one", ".brownian-live");
    mkdirSync(join(folderThere, "keep"), { recursive: true });
    writeFileSync(join(folderThere, "keep", "mine"), "");
    await discard(folderThere);
    expect(readdirSync(join(folderThere, "keep"))).toEqual(["mine"]);
    const exchanged = await claim(dir, "two", ".brownian-live");
    writeFileSync(exchanged, "ours");
    await own(exchanged);
    writeFileSync(join(dir, "theirs"), "theirs");
    renameSync(join(dir, "theirs"), exchanged);
    await discard(exchanged);
    expect(readFileSync(exchanged, "utf8")).toBe("theirs");
  });

  it.skipIf(!posix)("stays when the process ends, too", async () => {
    const dir = fresh();
    const body = `
      const { claim } = await import(${JSON.stringify(new URL("../../dist/files/owned.js", import.meta.url).href)});
      const { mkdirSync, writeFileSync } = await import("node:fs");
      const path = await claim(process.argv[1], "x", ".brownian-live");
      mkdirSync(path + "/keep", { recursive: true });
      const gone = await claim(process.argv[1], "y", ".brownian-live");
      writeFileSync(gone, "");
      console.log(path);`;
    const path = (await run(body, [dir])).trim();
    expect(readdirSync(dir)).toEqual([basename(path)]);
    expect(readdirSync(path)).toEqual(["keep"]);
  });
});

it("files that are in use are waited for, where the system lets nobody remove them", async () => {
  const failing = (times: number, code: string) => {
    let calls = 0;
    return async () => {
      if (calls++ < times) throw Object.assign(new Error(code), { code });
      return calls;
    };
  };
  expect(await patiently(failing(2, "EBUSY"), "win32")).toBe(3);
  await expect(patiently(failing(1, "EBUSY"), "linux")).rejects.toMatchObject({ code: "EBUSY" });
  await expect(patiently(failing(1, "ENOENT"), "win32")).rejects.toMatchObject({ code: "ENOENT" });
  await expect(patiently(failing(9, "EPERM"), "win32")).rejects.toMatchObject({ code: "EPERM" });
});

describe.skipIf(!posix)("processes that end amid their work", () => {
  /** A live copy and a partial output at once, for as long as it may take. */
  const holding = `
    const [model, dir, out] = process.argv.slice(1);
    await LiveCopy.create(await readModel(model), { dir });
    await writeWhole(out, model, async (partial) => {
      await copyModel(await readModel(model), partial, "");
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
      ...(unnamed ? [] : [".<owner>.brownian-live"]),
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
        await copyModel(model, partial, "");
        const liveTensors = await openLiveTensors(partial, input, jsKernels);
        for (const tensor of model.tensors) await liveTensors.restore(tensor);
        await liveTensors.close();
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
