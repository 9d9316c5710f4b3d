// The law of members: its moments, its independence, and the same bits on every backend.
import { describe, expect, it } from "vitest";
import { Members, type Pair } from "../../src/adapters/members.js";
import { readModel } from "../../src/files/index.js";
import { noiseOf } from "../../src/thermostat/noise.js";
import { fastest, variants } from "../support/backends.js";
import { scratchFolder, writeGguf } from "../support/synthetic-gguf.js";

const FILE = "models/fairytales-3M-Q8_0.gguf";
const folder = scratchFolder();

const open = async (rank = 1, settings: object = {}, kernels = fastest) =>
  Members.open(await readModel(FILE), noiseOf({ carrier: "adapter", rank, sigma: 1, seed: 7n, ...settings }), kernels);

const drawn = (members: Members, member: number, sigma = 0.1): Map<string, Pair> =>
  new Map([...members.draw(member, sigma)].map((pair) => [pair.matrix.tensor.name, pair]));

/** Correlation of two lists; for independent normals its standard error is 1 / sqrt(n). */
function correlation(x: Float32Array, y: Float32Array): number {
  const dot = (u: Float32Array, v: Float32Array) => u.reduce((sum, value, i) => sum + value * (v[i] as number), 0);
  return dot(x, y) / Math.sqrt(dot(x, x) * dot(y, y));
}

describe("a member", () => {
  it("moves the matrices of blocks, and says what it leaves alone", async () => {
    const members = await open();
    expect(members.matrices).toHaveLength(28); // 4 blocks of 7
    expect(members.skipped.map(({ tensor }) => tensor.name)).toContain("token_embd.weight");
    expect(members.numbers).toBe(members.matrices.reduce((sum, { rows, columns }) => sum + rows + columns, 0));
  });

  it("gives every weight the variance that was asked for, at every rank", async () => {
    const sigma = 0.1;
    for (const rank of [1, 4, 16]) {
      const members = await open(rank, { only: ["blk.0.ffn_up.weight"] });
      const DRAWS = 200;
      let sum = 0;
      for (let member = 0; member < DRAWS; member++) {
        const { a, b, matrix } = drawn(members, member, sigma).get("blk.0.ffn_up.weight") as Pair;
        // ||B A||^2 = sum over k, l of (B^T B)_kl (A A^T)_kl
        let square = 0;
        for (let k = 0; k < rank; k++)
          for (let l = 0; l < rank; l++) {
            let [bb, aa] = [0, 0];
            for (let i = 0; i < matrix.rows; i++) bb += (b[k * matrix.rows + i] as number) * (b[l * matrix.rows + i] as number);
            for (let j = 0; j < matrix.columns; j++)
              aa += (a[k * matrix.columns + j] as number) * (a[l * matrix.columns + j] as number);
            square += bb * aa;
          }
        sum += square / (matrix.rows * matrix.columns) / (sigma * matrix.unit) ** 2;
      }
      // Of one draw, the relative variance of ||E||^2 is about (2/m + 2/n) / r + 2/(mn) (1 - 1/r): 0.0117 at m = 512, n = 256, r = 1.
      const error = Math.sqrt(((2 / 512 + 2 / 256) / rank + 2 / (512 * 256)) / DRAWS);
      expect(Math.abs(sum / DRAWS - 1), `rank ${rank}`).toBeLessThan(5 * error);
    }
  });

  it("is a pure function of name, seed and number", async () => {
    const [members, again] = [await open(2), await open(2, { only: ["blk.3.attn_q.weight"] })];
    const name = "blk.3.attn_q.weight";
    drawn(members, 9);
    expect(drawn(members, 5).get(name)?.a).toEqual(drawn(again, 5).get(name)?.a);
    expect(drawn(members, 5).get(name)?.b).toEqual(drawn(again, 5).get(name)?.b);
    expect(drawn(members, 5).get(name)?.a).not.toEqual(drawn(members, 6).get(name)?.a);
    expect(drawn(members, 5).get(name)?.a).not.toEqual(drawn(await open(2, { seed: 8n }), 5).get(name)?.a);
  });

  it("has the same first terms at every rank, and a mirror image", async () => {
    const [one, four] = [await open(1), await open(4)];
    const name = "blk.1.ffn_down.weight";
    const [narrow, wide] = [drawn(one, 3).get(name) as Pair, drawn(four, 3).get(name) as Pair];
    expect(wide.a.slice(0, narrow.a.length)).toEqual(narrow.a);
    // B has 1 / sqrt(r) in it.
    for (const [i, b] of narrow.b.entries()) expect((2 * (wide.b[i] as number)) / b).toBeCloseTo(1, 6);
    const mirror = drawn(one, 3, -0.1).get(name) as Pair;
    expect(mirror.b).toEqual(narrow.b.map((b) => -b));
    expect(mirror.a).toEqual(narrow.a);
  });

  it("shares no noise between tensors of equal shape, between members, or between A and B", async () => {
    const members = await open(8);
    const pairs = [...members.draw(0, 1), ...members.draw(1, 1)].filter(
      ({ matrix }) => matrix.rows === 256 && matrix.columns === 256,
    );
    const lists = pairs.flatMap(({ a, b }) => [a, b]);
    expect(lists.length).toBe(32); // 4 blocks, q and output, A and B, two members
    // 496 pairs of 2048 numbers: 6 standard errors are exceeded once in a million.
    for (const [i, x] of lists.entries())
      for (const y of lists.slice(i + 1)) expect(Math.abs(correlation(x, y))).toBeLessThan(6 / Math.sqrt(2048));
  });

  it("has the bits of plain JavaScript on every backend", async () => {
    const of = async (kernels: typeof fastest) => drawn(await open(3, {}, kernels), 11);
    const [first, ...others] = variants;
    const expected = await of((first as (typeof variants)[0]).kernels);
    for (const { name, kernels } of others) {
      const found = await of(kernels);
      for (const [tensor, { a, b }] of expected) {
        expect(found.get(tensor)?.a, `${name} ${tensor}`).toEqual(a);
        expect(found.get(tensor)?.b, `${name} ${tensor}`).toEqual(b);
      }
    }
  });
});

describe("refused by name is", () => {
  it("a rank larger than a matrix, or none", async () => {
    await expect(open(129)).rejects.toThrow(/rank 129 is larger than blk\.0\.attn_k\.weight .*256 x 128.*: take 128 or less/);
    await expect(open(0)).rejects.toMatchObject({ code: "usage" });
  });

  it("a scale of steps, and a sigma beyond float32", async () => {
    await expect(open(1, { scale: "step" })).rejects.toThrow(/steps of blocks: take the scale rms/);
    const members = await open();
    expect(() => [...members.draw(0, 1e40)]).toThrow(/beyond float32 on tensor blk\.0/);
    expect(() => [...members.draw(-1, 1)]).toThrow(/member must be/);
  });

  it("a tensor that engines would pass over, unless it is left alone", async () => {
    const path = `${folder}/experts.gguf`;
    const data = { repeat: Uint8Array.of(0, 0, 128, 63) };
    const tensors = [
      { name: "blk.0.ffn_up_exps.weight", type: "F32", shape: [32, 32, 4], data },
      { name: "blk.0.ssm_conv1d.weight", type: "F32", shape: [4, 32], data },
      { name: "blk.0.attn_q.weight", type: "F32", shape: [32, 32], data },
      { name: "output.weight", type: "F32", shape: [32, 64], data },
    ];
    writeGguf(path, tensors);
    const model = await readModel(path);
    const refused = Members.open(model, noiseOf({ sigma: 1 }));
    await expect(refused).rejects.toMatchObject({ code: "unsupported-type" });
    await expect(refused).rejects.toThrow(/ffn_up_exps\.weight \(3-D, as of experts\) and 1 more cannot be moved by an adapter/);
    const left = await Members.open(model, noiseOf({ sigma: 1, skipUnsupported: true }));
    expect(left.matrices.map(({ tensor }) => tensor.name)).toEqual(["blk.0.attn_q.weight"]);
    expect(left.skipped).toHaveLength(3);
    const named = await Members.open(model, noiseOf({ sigma: 1, only: ["output.weight"] }));
    expect(named.matrices.map(({ tensor }) => tensor.name)).toEqual(["output.weight"]);
  });

  it("a choice that leaves nothing", async () => {
    await expect(open(1, { only: ["*_norm.weight"] })).rejects.toThrow(/no matrix that an adapter could move/);
    await expect(open(1, { only: ["nothing"] })).rejects.toMatchObject({ code: "no-such-tensor" });
  });
});
