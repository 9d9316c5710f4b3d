// The stationary laws of the dynamics on live files of Q4_0, Q8_0 and F16 weights: variance, autocorrelation, growth. A million weights in
// `npm test`, within five standard errors; 16 million in `npm run trial:large` (vitest's mode "large"), within 1 % and 3 % as they stand.

import { closeSync, openSync, readFileSync, readSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { LiveCopy, openLiveTensors, readModel, type Tensor } from "../../../src/files/index.js";
import type { Kernels } from "../../../src/kernels/contract.js";
import { jsKernels } from "../../../src/kernels/js.js";
import type { Step } from "../../../src/kernels/step.js";
import { makeMove, supportedFormat } from "../../../src/lattice/perturb.js";
import { COLLISION_CELL } from "../../../src/laws/numbers.js";
import { relaxation } from "../../../src/laws/relaxation.js";
import { streamKey } from "../../../src/noise/index.js";
import { DYNAMICS, Thermostat } from "../../../src/thermostat/index.js";
import { variants } from "../../support/backends.js";
import { type SyntheticTensor, scratchFolder, writeGguf } from "../../support/synthetic-gguf.js";

const LARGE = import.meta.env.MODE === "large";
const N = LARGE ? 1 << 24 : 1 << 20;
const TAU = 8;
const folder = scratchFolder();

/** Weights in the middle of their grid: rails, and the next binade, are more than five steps away. */
const FORMATS = {
  Q8_0: {
    block: Uint8Array.of(0x00, 0x2c, ...new Array(32).fill(0)),
    moves: (bytes: Uint8Array, k: Int8Array) => {
      for (let i = 0; i < k.length; i++) k[i] = bytes[(i >>> 5) * 34 + 2 + (i & 31)] as number;
    },
  },
  Q4_0: {
    block: Uint8Array.of(0x00, 0x2c, ...new Array(16).fill(0x88)),
    moves: (bytes: Uint8Array, k: Int8Array) => {
      for (let i = 0; i < k.length; i++) {
        const byte = bytes[(i >>> 5) * 18 + 2 + (i & 15)] as number;
        k[i] = ((i & 16 ? byte >>> 4 : byte & 15) as number) - 8;
      }
    },
  },
  F16: {
    block: Uint8Array.of(0x00, 0x3e), // 1.5, with ulp 2^-10
    moves: (bytes: Uint8Array, k: Int8Array) => {
      for (let i = 0; i < k.length; i++) k[i] = ((bytes[2 * i] as number) | ((bytes[2 * i + 1] as number) << 8)) - 0x3e00;
    },
  },
} as const;
type Name = keyof typeof FORMATS;
const NAMES = Object.keys(FORMATS) as Name[];

const tensorOf = (name: Name, weights: number): SyntheticTensor => ({
  name,
  type: name,
  shape: [32, weights / 32],
  data: { repeat: FORMATS[name].block },
});

/** Moves in steps of every weight, as they are in the file now. */
function movesIn(path: string, tensor: Tensor): Int8Array {
  const bytes = new Uint8Array(tensor.bytes);
  const file = openSync(path, "r");
  readSync(file, bytes, 0, bytes.length, tensor.offset);
  closeSync(file);
  const k = new Int8Array(tensor.weights);
  FORMATS[tensor.name as Name].moves(bytes, k);
  return k;
}

function sums(a: Int8Array, b: Int8Array): { mean: number; product: number } {
  let sum = 0;
  let product = 0;
  for (let i = 0; i < a.length; i++) {
    sum += a[i] as number;
    product += (a[i] as number) * (b[i] as number);
  }
  return { mean: sum / a.length, product: product / a.length };
}

/** Steps: 1.2 is the dense path; 0.1 the sparse one, where moves are so rare that only the large run can tell 1 %. */
const NOISE = LARGE ? [1.2, 0.1] : [1.2];

describe.each(NAMES)("on a live file of %s weights", (name) => {
  const path = join(folder, `${name}.gguf`);
  writeGguf(path, [tensorOf(name, N)]);

  const open = (dynamics: string, s: number) =>
    Thermostat.open(path, { sigma: s, scale: "step", dynamics, tau: TAU, seed: 21n, scratch: folder });

  describe.each(NOISE)("at %f steps", (s) => {
    const v = s * s;
    // Var k^2 <= E k^4 <= 3 v^2 + v: a normal's, or single steps'.
    const spread = Math.sqrt((2 * v * v + v) / N);
    const withinVariance = (k: Int8Array, expected = v) => {
      const { mean, product } = sums(k, k);
      expect(Math.abs(mean)).toBeLessThan(5 * Math.sqrt(v / N));
      expect(Math.abs(product / expected - 1), `variance ${product}`).toBeLessThan(LARGE ? 0.01 : (5 * spread) / v);
    };

    it.each(["andersen", "langevin"] as const)(
      "%s keeps mean and variance after burn-in, and forgets as e^(-t/tau)",
      async (dynamics) => {
        const bath = await open(dynamics, s);
        const [tensor] = bath.tensors as [Tensor];
        for (let t = 0; t < TAU; t++) await bath.tick();
        // Several starts, 2 tau apart.
        const starts = LARGE ? 4 : 1;
        const times = [1, TAU / 2, TAU, 2 * TAU];
        const correlations = times.map(() => 0);
        let start = movesIn(bath.livePath, tensor);
        for (let round = 0; round < starts; round++) {
          let now = start;
          for (let t = 1; t <= 2 * TAU; t++) {
            await bath.tick();
            const which = times.indexOf(t);
            if (which < 0) continue;
            now = movesIn(bath.livePath, tensor);
            correlations[which] = (correlations[which] as number) + sums(start, now).product / v / starts;
          }
          start = now;
        }
        withinVariance(start);
        for (const [i, t] of times.entries()) {
          const expected = DYNAMICS[dynamics].theory.correlation(t, TAU, 0);
          // Of andersen, each cell of 4096 weights is a coin that shows "kept" with this probability; and k k' has a variance of its own.
          const coins = dynamics === "andersen" ? (expected * (1 - expected) * COLLISION_CELL) / N : 0;
          const error = Math.sqrt(coins + (3 + 1 / v) / N);
          const tolerance = Math.max(LARGE ? 0.03 * expected : 0, (5 * error) / Math.sqrt(starts));
          expect(Math.abs((correlations[i] as number) - expected), `${dynamics} at t = ${t}`).toBeLessThan(tolerance);
        }
        await bath.close();
      },
      600_000,
    );

    it("wiener spreads as s^2 t / tau", async () => {
      const bath = await open("wiener", s);
      const [tensor] = bath.tensors as [Tensor];
      for (let t = 1; t <= TAU; t++) {
        await bath.tick();
        if (t === TAU / 4 || t === TAU) {
          const expected = (v * t) / TAU;
          const { product } = sums(movesIn(bath.livePath, tensor), movesIn(bath.livePath, tensor));
          // Where not all have been visited: fewer weights have kicks of twice the variance.
          const error = Math.sqrt((5 + 1 / expected) / N);
          expect(Math.abs(product / expected - 1)).toBeLessThan(LARGE && s > 1 ? 0.01 : 5 * error);
        }
      }
      await bath.close();
    });

    it("white has the variance, and no memory", async () => {
      const bath = await open("white", s);
      const [tensor] = bath.tensors as [Tensor];
      const before = movesIn(bath.livePath, tensor);
      await bath.tick();
      const after = movesIn(bath.livePath, tensor);
      withinVariance(after);
      expect(Math.abs(sums(before, after).product / v)).toBeLessThan(5 / Math.sqrt(N));
      await bath.close();
    });
  });
});

const mixed = join(folder, "mixed.gguf");
writeGguf(mixed, [
  ...NAMES.map((name) => tensorOf(name, 1 << 11)),
  { name: "table", type: "IQ4_NL", shape: [32, 64], data: { repeat: Uint8Array.of(0x00, 0x2c, ...new Array(16).fill(0x57)) } },
]);

describe("a hundred ticks", () => {
  async function moved(kernels: Kernels, dynamics: "white" | "langevin" | "wiener"): Promise<Buffer> {
    const model = await readModel(mixed);
    const copy = await LiveCopy.create(model, { dir: folder });
    const liveTensors = await openLiveTensors(copy.path, mixed, kernels);
    const langevin: Step = { verb: "evolve", law: relaxation, strength: 0.9, stride: 1 };
    let changed = 0;
    for (const tensor of model.tensors) {
      const common = { sigma: Math.fround(0.7), inSteps: true, index: 0, steps: null, rowLength: 1 };
      const format = supportedFormat(tensor.type);
      const key = streamKey(9n, tensor.name);
      for (let tick = 0; tick < 100; tick++) {
        const move = makeMove(format, { ...common, key, tick, rounding: "matched" });
        if (dynamics === "white") changed += await liveTensors.perturb(tensor, move);
        else if (dynamics === "langevin") changed += await liveTensors.step([{ tensor, move }], tick, langevin);
        else changed += await liveTensors.step([{ tensor, move }], tick, { verb: "diffuse", factor: 1 / 7, stride: 1 });
      }
    }
    await liveTensors.close();
    const bytes = readFileSync(copy.path);
    await copy.dispose();
    return Buffer.concat([bytes, Buffer.from(String(changed))]);
  }

  for (const dynamics of ["white", "langevin", "wiener"] as const) {
    const expected = moved(jsKernels, dynamics);
    it.each(variants)(`of ${dynamics} on $name: the same bytes`, async ({ kernels }) => {
      expect((await moved(kernels, dynamics)).equals(await expected)).toBe(true);
    });
  }
});

it("after ten thousand ticks of all dynamics in turn, a restore brings back every byte", async () => {
  const bath = await Thermostat.open(mixed, { sigma: 0.6, scale: "step", tau: 4, seed: 2n, scratch: folder });
  const turns = ["andersen", "langevin", "wiener", "white", "quenched"];
  for (let t = 0; t < 10_000; t++) {
    if (t % 500 === 0) bath.configure({ dynamics: turns[(t / 500) % turns.length] as string });
    await bath.tick();
  }
  expect(await bath.difference()).toBeGreaterThan(0);
  await bath.restore();
  expect(await bath.difference()).toBe(0);
  expect(readFileSync(bath.livePath).equals(readFileSync(mixed))).toBe(true);
  await bath.close();
});
