// The scale "imatrix": files by llama.cpp's layout (tools/imatrix/imatrix.cpp, save_imatrix), what sigma becomes of them column by column on
// live files and in perturbFile, and what is refused.

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { LiveCopy, openLiveTensors, readImatrix, readModel, type Tensor, type TensorToMove } from "../../../src/files/index.js";
import type { Kernels } from "../../../src/kernels/contract.js";
import { jsKernels } from "../../../src/kernels/js.js";
import type { Step } from "../../../src/kernels/step.js";
import { collisionThreshold } from "../../../src/lattice/collide.js";
import { decode } from "../../../src/lattice/decode.js";
import { type Format, formatNamed } from "../../../src/lattice/formats.js";
import { makeMove, supportedFormat } from "../../../src/lattice/perturb.js";
import { relaxation } from "../../../src/laws/relaxation.js";
import { streamKey } from "../../../src/noise/index.js";
import { perturbFile, Thermostat, type ThermostatOptions } from "../../../src/thermostat/index.js";
import { columnFactors, DAMPING } from "../../../src/thermostat/scales/equipartition.js";
import { variants } from "../../support/backends.js";
import { type SyntheticTensor, scratchFolder, writeGguf } from "../../support/synthetic-gguf.js";

const folder = scratchFolder();
const WIDTH = 64;
const ROWS = 4096;

/** Q8_0 blocks of step 1/16 and codes of +-20: an RMS of 1.25, rails far away. */
function plain(name: string, shape: readonly number[]): SyntheticTensor {
  const block = Uint8Array.of(0x00, 0x2c, ...Array.from({ length: 32 }, (_, i) => (i % 2 === 0 ? 20 : 236)));
  return { name, type: "Q8_0", shape, data: { repeat: block } };
}
const RMS = 1.25;

const model = join(folder, "model.gguf");
writeGguf(model, [
  plain("token_embd.weight", [WIDTH, 256]),
  plain("blk.0.attn_q.weight", [WIDTH, ROWS]),
  plain("blk.0.ffn_down_exps.weight", [32, 512, 3]),
  { name: "blk.0.attn_norm.weight", type: "F32", shape: [WIDTH], data: { repeat: new Uint8Array(Float32Array.of(1).buffer) } },
]);

const bytes = (values: readonly number[]) => new Uint8Array(Float32Array.from(values).buffer);

interface Entry {
  readonly sums: readonly number[];
  readonly counts: readonly number[];
}

/** An importance matrix as save_imatrix writes it: in_sum2 of [columns, matrices], counts of [1, matrices]. */
function writeImatrix(path: string, entries: Record<string, Entry>, metadata: Record<string, string | number> = {}): string {
  const tensors = Object.entries(entries).flatMap(([name, { sums, counts }]): SyntheticTensor[] => [
    {
      name: `${name}.in_sum2`,
      type: "F32",
      shape: [sums.length / counts.length, counts.length],
      data: bytes(sums),
    },
    { name: `${name}.counts`, type: "F32", shape: [1, counts.length], data: bytes(counts) },
  ]);
  writeGguf(path, tensors, {
    metadata: {
      "general.type": "imatrix",
      "imatrix.datasets": ["fairy tales.txt"],
      "imatrix.chunk_count": 8,
      "imatrix.chunk_size": 512,
      ...metadata,
    },
  });
  return path;
}

const COUNT = 4096;
/** E[x_j^2] from 1/16 to 16. */
const squares = Array.from({ length: WIDTH }, (_, j) => 2 ** (((j * 29) % WIDTH) / 8 - 4));
const q: Entry = { sums: squares.map((e) => e * COUNT), counts: [COUNT] };
/** Three experts, of which no token came to the second. */
const experts: Entry = {
  sums: Array.from({ length: 3 * 32 }, (_, i) => (i < 32 ? 100 * (1 + (i % 2)) : i < 64 ? 0 : 900)),
  counts: [100, 0, 300],
};
const good = { "blk.0.attn_q.weight": q, "blk.0.ffn_down_exps.weight": experts };
const path = writeImatrix(join(folder, "imatrix.gguf"), good);

/** sigma_j^2 in units of the tensor's, from the formula. */
function expected(e: readonly number[]): number[] {
  const lambda = (DAMPING * e.reduce((a, b) => a + b)) / e.length;
  const compliance = e.map((x) => 1 / (x + lambda));
  const mean = compliance.reduce((a, b) => a + b) / e.length;
  return compliance.map((c) => c / mean);
}

describe("an importance matrix", () => {
  it("becomes one sigma a column, by the formula, of the same total", async () => {
    const importance = await readImatrix(path, await readModel(model));
    expect([...importance.keys()]).toEqual(["blk.0.attn_q.weight", "blk.0.ffn_down_exps.weight"]);
    const { factors, width, matrix } = columnFactors(importance.get("blk.0.attn_q.weight") as never);
    expect([width, matrix]).toEqual([WIDTH, WIDTH * ROWS]);
    const wanted = expected(squares);
    for (const [j, c] of factors.entries()) expect(c * c).toBeCloseTo(wanted[j] as number, 5);
    expect(factors.reduce((sum, c) => sum + c * c, 0) / WIDTH).toBeCloseTo(1, 5);
  });

  it("of experts goes by expert; those that no token came to are as stiff as the others on average", async () => {
    const importance = (await readImatrix(path, await readModel(model))).get("blk.0.ffn_down_exps.weight");
    const { factors, width, matrix } = columnFactors(importance as never);
    expect([factors.length, width, matrix]).toEqual([96, 32, 32 * 512]);
    // E[x^2]: 1 or 2 in the first, 3 in the third; with lambda, kappa = 1.015, 2.015 and 3.03, on average 2.2725: that of the second.
    const kappa = [1.015, 2.015, 2.2725, 3.03];
    const mean = (1 / 1.015 + 1 / 2.015) / 6 + 1 / 2.2725 / 3 + 1 / 3.03 / 3;
    const c2 = kappa.map((k) => 1 / k / mean);
    for (const [i, c] of factors.entries()) expect(c * c).toBeCloseTo(c2[i < 32 ? i % 2 : i < 64 ? 2 : 3] as number, 5);
  });

  const options = (more: Partial<ThermostatOptions> = {}): ThermostatOptions => ({
    sigma: 0.08, // of an RMS of 1.25: 0.1, 1.6 steps
    scale: "imatrix",
    imatrix: path,
    seed: 3n,
    scratch: folder,
    ...more,
  });

  /** Of every column, the variance of its moves in units of what the formula says; of a whole tensor, in units of sigma^2. */
  function measured(file: string, { tensor, e }: { tensor: Tensor; e: readonly number[] | null }) {
    const read = (from: string) =>
      decode(formatNamed(tensor.type) as Format, readFileSync(from).subarray(tensor.offset, tensor.offset + tensor.bytes));
    const before = read(model);
    const after = read(file);
    const columns = new Float64Array(WIDTH);
    let total = 0;
    for (let i = 0; i < before.length; i++) {
      const d2 = ((after[i] as number) - (before[i] as number)) ** 2 / (0.08 * RMS) ** 2;
      columns[i % WIDTH] = (columns[i % WIDTH] as number) + d2;
      total += d2;
    }
    const rows = before.length / WIDTH;
    const wanted = e === null ? new Array<number>(WIDTH).fill(1) : expected(e);
    return { columns: Array.from(columns, (sum, j) => sum / rows / (wanted[j] as number)), total: total / before.length };
  }

  async function tensorsOf() {
    const { tensors } = await readModel(model);
    const named = (name: string) => tensors.find((tensor) => tensor.name === name) as Tensor;
    return {
      q: { tensor: named("blk.0.attn_q.weight"), e: squares },
      embedding: { tensor: named("token_embd.weight"), e: null },
    };
  }

  it.each(["quenched", "white", "andersen", "langevin"])(
    "sets the variance of every column of a live file: %s",
    async (dynamics) => {
      const bath = await Thermostat.open(model, options({ dynamics, tau: 4 }));
      for (let t = 0; t < 8; t++) await bath.tick();
      const { q: weights, embedding } = await tensorsOf();
      const { columns, total } = measured(bath.livePath, weights);
      // 4,096 weights a column: a variance is known to sqrt(kurtosis / n) at most, kurtosis <= 3 + step^2/variance; columns move as cells of 4096
      // weights, 64 of each column, under andersen, which leaves them independent at any one tick. Six of those for 64 columns.
      columns.forEach((ratio, j) => {
        const v = (expected(squares)[j] as number) * (0.08 * RMS * 16) ** 2;
        expect(Math.abs(ratio - 1), `column ${j}`).toBeLessThan(5 * Math.sqrt((3 + 1 / v) / ROWS));
      });
      expect(Math.abs(total - 1)).toBeLessThan(0.03); // of 262,144 weights, where a few columns have most of it: as many as 10,000
      // The embedding has no entry: it goes by RMS, 256 weights a column and 16,384 in all.
      expect(Math.abs(measured(bath.livePath, embedding).total - 1)).toBeLessThan(5 * Math.sqrt(3 / 16384));
      await bath.restore();
      expect(readFileSync(bath.livePath).equals(readFileSync(model))).toBe(true);
      await bath.close();
    },
  );

  it("sets the growth of every column under wiener", async () => {
    const bath = await Thermostat.open(model, options({ dynamics: "wiener", tau: 8 }));
    for (let t = 0; t < 8; t++) await bath.tick();
    const { columns } = measured(bath.livePath, (await tensorsOf()).q);
    columns.forEach((ratio, j) => {
      const v = (expected(squares)[j] as number) * (0.08 * RMS * 16) ** 2;
      expect(Math.abs(ratio - 1), `column ${j}`).toBeLessThan(5 * Math.sqrt((3 + 1 / v) / ROWS));
    });
    await bath.close();
  });

  it("gives perturbFile the bytes of a draw; other scales and back are told apart", async () => {
    const out = join(folder, "moved.gguf");
    const { scratch: _, ...settings } = options();
    const done = await perturbFile(model, out, { ...settings, sigma: 0.08, tick: 5 });
    expect(done.tensors.filter(({ sigma }) => sigma.columns !== undefined).map(({ tensor }) => tensor.name)).toEqual([
      "blk.0.attn_q.weight",
      "blk.0.ffn_down_exps.weight",
    ]);
    const bath = await Thermostat.open(model, options());
    await bath.draw(5);
    expect(readFileSync(bath.livePath).equals(readFileSync(out))).toBe(true);
    // Rare moves by RMS are redrawn through an index, which columns must not go through.
    bath.configure({ scale: "rms", imatrix: undefined, sigma: 1e-4 });
    await bath.draw(6);
    await bath.draw(7);
    bath.configure({ scale: "imatrix", imatrix: path, sigma: 0.08 });
    await bath.draw(5);
    expect(readFileSync(bath.livePath).equals(readFileSync(out))).toBe(true);
    await bath.close();
  });

  it("is refused where it cannot be this model's, by name", async () => {
    const refused = async (file: string, code: string, message: RegExp) => {
      const failed = await Thermostat.open(model, options({ imatrix: file })).catch((error) => error);
      expect(failed).toMatchObject({ code, message: expect.stringMatching(message) });
      expect(failed.message).toContain(file);
      await expect(
        perturbFile(model, join(folder, "never.gguf"), { sigma: 0.1, scale: "imatrix", imatrix: file }),
      ).rejects.toMatchObject({ code });
    };
    let number = 0;
    const file = (entries: Record<string, Entry>, metadata = {}) =>
      writeImatrix(join(folder, `bad-${number++}.gguf`), entries, metadata);
    const name = "blk.0.attn_q.weight";
    await refused(join(folder, "none.gguf"), "file-not-found", /no file/);
    await refused(model, "usage", /no importance matrix \(its general.type is missing/);
    await refused(file(good, { "general.type": "model" }), "usage", /general.type is "model"/);
    const old = join(folder, "old.dat");
    writeFileSync(
      old,
      Uint8Array.from({ length: 64 }, (_, i) => (i === 0 ? 2 : 0)),
    );
    await refused(old, "not-gguf", /llama-imatrix --in-file .*old\.dat/);
    await refused(file({ ...good, "blk.7.attn_q.weight": q }), "usage", /another model.*blk\.7\.attn_q\.weight/);
    await refused(file({ ...good, [name]: { sums: [1, 2], counts: [1] } }), "usage", /attn_q\.weight has 64 columns .* but 2/);
    await refused(
      file({ ...good, "blk.0.ffn_down_exps.weight": { sums: experts.sums, counts: [1, 1] } }),
      "usage",
      /has 3 matrices .* but 2 counts/,
    );
    await refused(file({ "token_embd.weight": q }), "usage", /only 0 of the 2 weight matrices.*attn_q\.weight/);
    await refused(file({}), "usage", /only 0 of the 2/);
    await refused(file({ ...good, [name]: { ...q, counts: [0] } }), "corrupt-gguf", /attn_q\.weight has a count of 0/);
    await refused(file({ ...good, [name]: { ...q, counts: [-1] } }), "corrupt-gguf", /attn_q\.weight was counted -1 times/);
    await refused(file({ ...good, [name]: { ...q, counts: [Number.NaN] } }), "corrupt-gguf", /counted NaN times/);
    for (const bad of [-1, Number.NaN, Number.POSITIVE_INFINITY]) {
      const sums = q.sums.map((sum, j) => (j === 5 ? bad : sum));
      await refused(file({ ...good, [name]: { sums, counts: [1] } }), "corrupt-gguf", /attn_q\.weight .* in column 5/);
    }
    await refused(file({ ...good, [name]: { sums: q.sums.map(() => 0), counts: [1] } }), "corrupt-gguf", /sums of 0 only/);
    const lone = join(folder, "lone.gguf");
    writeGguf(lone, [{ name: `${name}.in_sum2`, type: "F32", shape: [WIDTH], data: bytes(q.sums) }], {
      metadata: { "general.type": "imatrix" },
    });
    await refused(lone, "corrupt-gguf", /has no tensor blk\.0\.attn_q\.weight\.counts/);
  });

  const small = join(folder, "small.gguf");
  writeGguf(small, [plain("blk.0.attn_q.weight", [WIDTH, 256]), plain("blk.0.ffn_down_exps.weight", [32, 100, 3])]);

  /** The live file after ticks of every kind. */
  async function moved(kernels: Kernels): Promise<Buffer> {
    const file = await readModel(small);
    const importance = await readImatrix(path, file);
    const copy = await LiveCopy.create(file, { dir: folder });
    const liveTensors = await openLiveTensors(copy.path, small, kernels);
    const list: TensorToMove[] = file.tensors.map((tensor) => {
      const own = importance.get(tensor.name);
      return {
        tensor,
        move: makeMove(supportedFormat(tensor.type), {
          sigma: Math.fround(0.05),
          inSteps: false,
          key: streamKey(5n, tensor.name),
          tick: 0,
          rounding: "matched",
          index: 0,
          steps: null,
          rowLength: 1,
          columns: own && columnFactors(own),
        }),
      };
    });
    let changed = 0;
    for (const { tensor, move } of list) changed += await liveTensors.perturb(tensor, move);
    for (let tick = 1; tick <= 100; tick++) {
      const step: Step = { verb: "collide", threshold: collisionThreshold(0.05) };
      changed += await ((await liveTensors.prepare?.(list, tick, step))?.write() ?? liveTensors.step(list, tick, step));
    }
    for (let tick = 200; tick < 206; tick++) {
      const step: Step = { verb: "evolve", law: relaxation, strength: 0.9, stride: 3 };
      changed += await ((await liveTensors.prepare?.(list, tick, step))?.write() ?? liveTensors.step(list, tick, step));
    }
    for (const { tensor, move } of list) {
      changed += await liveTensors.step([{ tensor, move }], 300, { verb: "diffuse", factor: 1, stride: 1 });
      changed += await liveTensors.difference(tensor);
    }
    await liveTensors.close();
    const bytes = readFileSync(copy.path);
    await copy.dispose();
    return Buffer.concat([bytes, Buffer.from(String(changed))]);
  }

  const onJs = moved(jsKernels);
  it.each(variants)("moves a live file to the same bytes on $name, over 100 ticks and more", async ({ kernels }) => {
    expect((await moved(kernels)).equals(await onJs)).toBe(true);
  });

  it("needs its scale, its file and matched rounding", async () => {
    const open = (more: Partial<ThermostatOptions>) => Thermostat.open(model, options(more));
    await expect(open({ imatrix: undefined })).rejects.toThrow(/needs an importance matrix/);
    await expect(open({ scale: "rms" })).rejects.toThrow(/for the scale imatrix/);
    await expect(open({ rounding: "nearest" })).rejects.toThrow(/matched, not nearest/);
  });
});
