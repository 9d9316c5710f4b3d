// Tensors that are drawn several at a time: told in their order, and none under way any more when it is over, whatever happened.
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { type ModelFile, openModel, readModel } from "../../src/files/index.js";
import { jsKernels } from "../../src/kernels/js.js";
import { drawTensors, Measures } from "../../src/thermostat/draw.js";
import { noiseOf } from "../../src/thermostat/noise.js";
import { scratchFolder, writeGguf } from "../support/synthetic-gguf.js";

const folder = scratchFolder();
const NAMES = ["a", "b", "c", "d", "e", "f", "g"];
let model: ModelFile;

beforeAll(async () => {
  const path = join(folder, "several.gguf");
  const data = Uint8Array.from({ length: 34 * 8 }, (_, i) => (Math.imul(i + 1, 0x9e3779b1) >>> 9) & 63);
  writeGguf(
    path,
    NAMES.map((name) => ({ name, type: "Q8_0", shape: [32, 8], data })),
  );
  model = await readModel(path);
});

/** Draws them, the first of each three takes longest; `perturb` may fail. */
async function drawn(fails: (name: string) => boolean = () => false) {
  const seen = { begun: [] as string[], done: [] as string[], most: 0, told: [] as string[] };
  let now = 0;
  const perturb = async ({ name }: { name: string }) => {
    seen.begun.push(name);
    seen.most = Math.max(seen.most, ++now);
    for (let i = 0; i < 30 * (3 - (NAMES.indexOf(name) % 3)); i++) await new Promise((resolve) => setImmediate(resolve));
    now--;
    seen.done.push(name);
    if (fails(name)) throw new Error(`no ${name}`);
    return NAMES.indexOf(name);
  };
  const reader = await openModel(model, jsKernels);
  const noise = noiseOf({ sigma: 0.1 });
  try {
    const all = drawTensors({ perturb, restore: async () => undefined }, model.tensors, noise, 0, new Measures(reader, model));
    for await (const { tensor, changed } of all) {
      expect(changed).toBe(NAMES.indexOf(tensor.name));
      seen.told.push(tensor.name);
    }
  } catch (error) {
    return { ...seen, underWay: now, error: error as Error };
  } finally {
    await reader.close();
  }
  return seen;
}

describe("drawTensors", () => {
  it("has several under way, and tells them in their order", async () => {
    const { told, most, done } = await drawn();
    expect(told).toEqual(NAMES);
    expect(most).toBe(3);
    expect(done).not.toEqual(NAMES);
  });

  it("throws the first error when those that have begun are done", async () => {
    const seen = await drawn((name) => name === "b");
    expect(seen).toMatchObject({ told: ["a"], underWay: 0, error: { message: "no b" } });
    expect(seen.begun).toContain("d"); // takes longest
    expect([...seen.done].sort()).toEqual([...seen.begun].sort());
    expect(seen.begun).not.toContain("g");
  });
});
