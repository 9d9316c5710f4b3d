// Files that change while they are open: cut short, written over, exchanged, taken away. Always an error that names the file and what happened to
// it, or no matter; never a signal, and never weights of two files.
import {
  copyFileSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { openLiveModel, openLiveTensors, openModel, openReader, openWriter, readModel } from "../../../src/files/index.js";
import { encodedFormat, formatNamed } from "../../../src/lattice/formats.js";
import { DYNAMICS, perturbFile, Thermostat } from "../../../src/thermostat/index.js";
import { fastest, js, native } from "../../support/backends.js";
import { scratchFolder } from "../../support/synthetic-gguf.js";

const q8 = fileURLToPath(new URL("../../../models/fairytales-3M-Q8_0.gguf", import.meta.url));
const folder = scratchFolder();
const bytes = readFileSync(q8);
const HEADER = 8192;

function fresh(): { path: string; scratch: string } {
  const scratch = mkdtempSync(join(folder, "case-"));
  const path = join(folder, `${scratch.slice(-6)}.gguf`);
  copyFileSync(q8, path);
  return { path, scratch };
}

/** As `cp other model` does it: another time of change, and other weights. */
function writeOver(path: string): void {
  const other = Buffer.from(bytes);
  other.fill(1, other.length / 2);
  writeFileSync(path, other);
}

const CHANGES: [string, (path: string) => void, RegExp][] = [
  ["cut short", (path) => truncateSync(path, HEADER), /became shorter \(8192 of \d+ bytes are left\) while it was in use/],
  ["emptied", (path) => truncateSync(path, 0), /became shorter \(0 of \d+ bytes are left\)/],
  ["written over", writeOver, /was written to or exchanged while it was in use/],
];

const variants = [js, ...native.slice(-1)];

describe.each(variants)("a model on $name", ({ kernels }) => {
  describe.each(CHANGES)("that is %s", (_, change, message) => {
    it.each(Object.keys(DYNAMICS))("ends the draws and ticks of %s, and leaves nothing", async (dynamics) => {
      const { path, scratch } = fresh();
      const bath = await Thermostat.open(path, { sigma: 0.05, scratch, dynamics, only: ["blk.0.*", "output*"] }, kernels);
      if (DYNAMICS[dynamics as keyof typeof DYNAMICS].moves) for (let i = 0; i < 2; i++) await bath.tick();
      change(path);
      const changed = { code: "file-changed", message: expect.stringMatching(message) };
      if (DYNAMICS[dynamics as keyof typeof DYNAMICS].moves) await expect(bath.tick()).rejects.toMatchObject(changed);
      await expect(bath.draw(9)).rejects.toMatchObject(changed);
      await expect(bath.restore()).rejects.toMatchObject(changed);
      await bath.close();
      expect(readdirSync(scratch)).toEqual([]);
    });

    it("ends sums and writers", async () => {
      const { path, scratch } = fresh();
      const model = await readModel(path);
      const reader = await openReader(path, kernels);
      const writer = await openWriter([join(scratch, "out")], model, kernels);
      change(path);
      await expect(reader.sumSquares(model.tensors[1]!)).rejects.toMatchObject({ code: "file-changed" });
      await expect(writer.copyRest([])).rejects.toMatchObject({ code: expect.stringMatching(/file-changed|truncated-gguf/) });
      await writer.close();
      await reader.close();
      // Nor is it taken for what it was when its header was read.
      await expect(openReader(path, kernels, model.parts[0])).rejects.toMatchObject({ code: "file-changed" });
      await expect(openWriter([join(scratch, "again")], model, kernels)).rejects.toMatchObject({ code: "file-changed" });
    });
  });

  it("that goes away, or gives its name to another, stays open as it was", async () => {
    for (const change of [(path: string) => rmSync(path), (path: string) => renameSync(fresh().path, path)]) {
      const { path, scratch } = fresh();
      const settings = { sigma: 0.05, scratch, dynamics: "andersen", tau: 4, only: ["blk.0.*", "output*"] };
      const bath = await Thermostat.open(path, settings, kernels);
      change(path);
      await bath.tick();
      await bath.restore();
      expect(readFileSync(bath.livePath).equals(bytes)).toBe(true);
      await bath.close();
    }
  });
});

it("another header is another file, whatever its times say", async () => {
  const { path, scratch } = fresh();
  const model = await readModel(path);
  const { atime, mtime } = statSync(path);
  utimesSync(path, atime, mtime); // to the millisecond, so that the same can be set again
  const read = await readModel(path);
  const other = Buffer.from(bytes);
  other.write("ShortTales", other.indexOf("fairytales", 0, "latin1"), "latin1");
  writeFileSync(path, other);
  utimesSync(path, atime, mtime);
  const again = await readModel(path);
  expect(again.parts[0]?.stamp).toBe(read.parts[0]?.stamp);
  expect(again.parts[0]?.header?.sha256).not.toBe(model.parts[0]?.header?.sha256);
  const changed = { code: "file-changed", message: expect.stringMatching(/was written to or exchanged/) };
  await expect(openModel(read, fastest)).rejects.toMatchObject(changed);
  await expect(openWriter([join(scratch, "out")], read, fastest)).rejects.toMatchObject(changed);
  const live = join(scratch, "live");
  copyFileSync(path, live);
  await expect(openLiveModel([live], read, fastest)).rejects.toMatchObject(changed);
});

describe.each(native.slice(-1))("memory of files on $name", ({ kernels }) => {
  const format = encodedFormat(formatNamed("Q8_0")!);

  it("that were cut short: the work is an error, and so is all that follows", async () => {
    const { path } = fresh();
    const [tensor] = (await readModel(path)).tensors.filter(({ type, offset }) => type === "Q8_0" && offset > HEADER);
    const mapped = kernels.files!.map(path);
    truncateSync(path, HEADER);
    for (let i = 0; i < 2; i++) await expect(mapped.sumSquares(tensor!, format)).rejects.toThrow(/pages of the file are lost/);
    await mapped.close();
    const again = fresh();
    const whole = kernels.files!.map(again.path);
    expect(await whole.sumSquares(tensor!, format)).toBeGreaterThan(0); // another file in the same memory, perhaps
    await whole.close();
  });

  it("a live file that is cut short is named", async () => {
    const { path, scratch } = fresh();
    const live = join(scratch, "live.gguf");
    copyFileSync(path, live);
    const { tensors } = await readModel(path);
    const liveTensors = await openLiveTensors(live, path, kernels);
    truncateSync(live, HEADER);
    const failed = liveTensors.restore(tensors.at(-1)!);
    await expect(failed).rejects.toMatchObject({ code: "file-changed", message: expect.stringContaining(live) });
    await liveTensors.close();
  });
});

it("perturbFile of a model that is written over meanwhile writes nothing", async () => {
  const { path, scratch } = fresh();
  const out = join(scratch, "out.gguf");
  let told = false;
  const onProgress = () => {
    if (!told) writeOver(path);
    told = true;
  };
  await expect(perturbFile(path, out, { sigma: 0.05, onProgress })).rejects.toMatchObject({ code: "file-changed" });
  expect(readdirSync(scratch)).toEqual([]);
});

it("hundreds of files may be mapped at a time, and one after the other", async () => {
  const open = () => Array.from({ length: 300 }, () => fastest.files?.map(q8));
  for (let round = 0; round < 20; round++) for (const file of open()) await file?.close();
});
