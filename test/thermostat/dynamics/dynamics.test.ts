// How weights move in time: stationary laws, autocorrelation and growth on live files, against closed formulas; the same bytes on every backend;
// schedules; faults.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { LiveCopy, openLiveTensors, readModel, type Tensor, type TensorToMove } from "../../../src/files/index.js";
import type { Kernels } from "../../../src/kernels/contract.js";
import { jsKernels } from "../../../src/kernels/js.js";
import type { Step } from "../../../src/kernels/step.js";
import { collide, collisionThreshold } from "../../../src/lattice/collide.js";
import { makeMove, supportedFormat } from "../../../src/lattice/perturb.js";
import { CELL, COLLISION_CELL } from "../../../src/laws/numbers.js";
import { relaxation } from "../../../src/laws/relaxation.js";
import { visited } from "../../../src/laws/visits.js";
import { streamKey } from "../../../src/noise/index.js";
import { DYNAMICS, exponential, linear, Thermostat, type ThermostatOptions } from "../../../src/thermostat/index.js";
import { noiseOf } from "../../../src/thermostat/noise.js";
import { native, variants } from "../../support/backends.js";
import { scratchFolder, writeGguf } from "../../support/synthetic-gguf.js";

const folder = scratchFolder();

/** Q8_0 blocks of step 1/16 whose codes are 0: rails are far, and a code is its move. */
function still(name: string, weights: number) {
  const data = new Uint8Array((weights / 32) * 34);
  for (let at = 0; at < data.length; at += 34) data[at + 1] = 0x2c;
  return { name, type: "Q8_0", shape: [32, weights / 32], data };
}

/** The moves of the weights of a tensor as they are in the file now; those of every block, or of every fourth one, say. */
function moves(path: string, tensor: Tensor, every = 1): Int8Array {
  const bytes = readFileSync(path).subarray(tensor.offset, tensor.offset + tensor.bytes);
  const k = new Int8Array(tensor.weights / every);
  for (let at = 0, i = 0; i < k.length; at += 34 * every, i += 32) k.set(bytes.subarray(at + 2, at + 34), i);
  return k;
}

const WEIGHTS = 1 << 20;
/** Where many states are compared, weights of one block in so many tell enough: each cell still has some. */
const EVERY = 4;
const SEEN = WEIGHTS / EVERY;
const langevinTheory = DYNAMICS.langevin.theory.correlation;
const path = join(folder, "still.gguf");
writeGguf(path, [still("a", WEIGHTS)]);

function moments(k: Int8Array): { mean: number; variance: number } {
  let sum = 0;
  let squares = 0;
  for (const x of k) {
    sum += x;
    squares += x * x;
  }
  return { mean: sum / k.length, variance: squares / k.length };
}

function product(a: Int8Array, b: Int8Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] as number) * (b[i] as number);
  return sum / a.length;
}

const S = 1.5; // steps
const open = (dynamics: string, tau = 32) =>
  Thermostat.open(path, { sigma: S, scale: "step", dynamics, tau, seed: 11n, scratch: folder });

describe("on a live file of a million weights", () => {
  it("andersen keeps mean and variance, and forgets as e^(-t/tau)", async () => {
    const tau = 8;
    const bath = await open("andersen", tau);
    const [tensor] = bath.tensors as [Tensor];
    const times = [1, tau / 2, tau, 2 * tau];
    // Averaged over starts: cells collide together, so one pair of times has the noise of 256 coins only.
    const starts = 24;
    const states: Int8Array[] = [];
    for (let t = 0; t < starts + 2 * tau; t++) {
      states.push(moves(bath.livePath, tensor, EVERY));
      await bath.tick();
    }
    await bath.close();
    for (const t of times) {
      let sum = 0;
      for (let start = 0; start < starts; start++) sum += product(states[start] as Int8Array, states[start + t] as Int8Array);
      const correlation = sum / starts / S ** 2;
      // A cell that rests for t ticks from two starts, d < t ticks apart, rests for t + d: the covariance of two coins. Besides, products of
      // weights have a variance below 4 s^4. Five standard errors.
      const rests = (ticks: number) => Math.exp(-ticks / tau);
      let coins = 0;
      for (let d = 1 - t; d < t; d++) coins += Math.max(0, starts - Math.abs(d)) * (rests(t + Math.abs(d)) - rests(2 * t));
      const error = Math.sqrt(coins / starts ** 2 / (WEIGHTS / COLLISION_CELL) + 4 / SEEN);
      expect(Math.abs(correlation - rests(t))).toBeLessThan(5 * error);
    }
    const { mean, variance } = moments(states.at(-1) as Int8Array);
    // k of variance s^2 and kurtosis below 4: five standard errors.
    expect(Math.abs(mean)).toBeLessThan((5 * S) / Math.sqrt(SEEN));
    expect(Math.abs(variance / S ** 2 - 1)).toBeLessThan(5 * Math.sqrt(3 / SEEN));
  });

  it("wiener spreads as sigma^2 t / tau from nothing", async () => {
    const bath = await open("wiener", 16);
    const [tensor] = bath.tensors as [Tensor];
    expect(moments(moves(bath.livePath, tensor)).variance).toBe(0);
    for (let t = 1; t <= 24; t++) {
      const { changed, weights } = await bath.tick();
      expect(weights).toBe(WEIGHTS);
      expect(changed).toBeGreaterThan(0);
      if (![1, 3, 8, 16, 24].includes(t)) continue;
      const { mean, variance } = moments(moves(bath.livePath, tensor));
      const expected = (S ** 2 * t) / 16;
      // In the first 8 ticks each weight is visited once, so the kurtosis is that of a share of them.
      const kurtosis = 3 / Math.min(1, t / 8) + 1 / expected;
      expect(Math.abs(mean)).toBeLessThan((5 * Math.sqrt(expected)) / Math.sqrt(WEIGHTS));
      expect(Math.abs(variance / expected - 1)).toBeLessThan(5 * Math.sqrt(kurtosis / WEIGHTS));
    }
    const k = moves(bath.livePath, tensor);
    expect(await bath.difference()).toBe(k.filter((x) => x !== 0).length);
    await bath.restore();
    expect(readFileSync(bath.livePath).equals(readFileSync(path))).toBe(true);
    await bath.close();
  });

  it("langevin keeps mean and variance, and forgets as e^(-t/tau)", async () => {
    const tau = 8;
    const bath = await open("langevin", tau);
    const [tensor] = bath.tensors as [Tensor];
    for (let t = 0; t < 10; t++) await bath.tick();
    const start = moves(bath.livePath, tensor);
    for (let t = 1; t <= 2 * tau; t++) {
      await bath.tick();
      if (![1, tau / 2, tau, 2 * tau].includes(t)) continue;
      // A million independent products of variance near s^4.
      const correlation = product(start, moves(bath.livePath, tensor)) / S ** 2;
      expect(Math.abs(correlation - langevinTheory(t, tau, 10))).toBeLessThan(0.03 * Math.exp(-t / tau));
      expect(Math.abs(correlation - Math.exp(-t / tau))).toBeLessThan(0.03);
    }
    const { mean, variance } = moments(moves(bath.livePath, tensor));
    expect(Math.abs(mean)).toBeLessThan((5 * S) / Math.sqrt(WEIGHTS));
    expect(Math.abs(variance / S ** 2 - 1)).toBeLessThan(0.01);
    expect(await bath.difference()).toBeGreaterThan(WEIGHTS / 2);
    bath.configure({ rounding: "nearest" });
    await expect(bath.tick()).rejects.toMatchObject({ code: "usage", message: expect.stringMatching(/langevin.*nearest/) });
    await bath.close();
  });

  it("white does not remember", async () => {
    const bath = await open("white");
    const [tensor] = bath.tensors as [Tensor];
    const before = moves(bath.livePath, tensor);
    await bath.tick();
    const correlation = product(before, moves(bath.livePath, tensor)) / S ** 2;
    expect(Math.abs(correlation)).toBeLessThan(5 / Math.sqrt(WEIGHTS));
    await bath.close();
  });
});

describe("steps of live files", () => {
  const mixed = join(folder, "mixed.gguf");
  const random = (length: number) => {
    const data = new Uint8Array(length);
    let x = 1;
    for (let i = 0; i < length; i++) {
      x = (Math.imul(x, 1664525) + 1013904223) >>> 0;
      data[i] = (x >>> 24) & 0x3f;
    }
    return data;
  };
  writeGguf(mixed, [
    { name: "q4", type: "Q4_0", shape: [32, 4_501], data: random(4_501 * 18) },
    { name: "q6", type: "Q6_K", shape: [256, 550], data: random(550 * 210) },
    { name: "f16", type: "F16", shape: [5_000], data: random(10_000) },
    { name: "f32", type: "F32", shape: [100], data: random(400) },
  ]);

  it("happen with the probability asked for, independently in every tensor and tick", () => {
    const cells = 1 << 14;
    const kernels: Kernels = { ...jsKernels, perturb: () => 1 };
    const hit = (name: string, tick: number) => {
      const live = new Uint8Array(cells * COLLISION_CELL);
      const pristine = new Uint8Array(cells * COLLISION_CELL).fill(1);
      const move = { ...moveOf("I8", name, tick), index: 0 };
      collide(live, pristine, move, collisionThreshold(0.25), kernels);
      return Uint8Array.from({ length: cells }, (_, cell) => live[cell * COLLISION_CELL] as number);
    };
    const count = (a: Uint8Array, b = a) => a.reduce((sum, x, i) => sum + x * (b[i] as number), 0);
    const error = (p: number) => 5 * Math.sqrt(cells * p * (1 - p));
    const a = hit("a", 1);
    expect(Math.abs(count(a) - cells / 4)).toBeLessThan(error(1 / 4));
    expect(Math.abs(count(a, hit("b", 1)) - cells / 16)).toBeLessThan(error(1 / 16));
    expect(Math.abs(count(a, hit("a", 2)) - cells / 16)).toBeLessThan(error(1 / 16));
  });

  it("of probability 0 and 1 leave and draw everything", () => {
    const pristine = random(64 * 34);
    const live = new Uint8Array(pristine.length);
    const move = { ...moveOf("Q8_0", "a", 3), index: 0 };
    expect(collide(live, pristine, move, collisionThreshold(0), jsKernels)).toBe(0);
    expect(live.every((x) => x === 0)).toBe(true);
    const drawn = pristine.slice();
    const changed = jsKernels.perturb(drawn, move);
    expect(collide(live, pristine, move, collisionThreshold(1), jsKernels)).toBe(changed);
    expect(Buffer.compare(live, drawn)).toBe(0);
  });

  function moveOf(type: string, name: string, tick: number) {
    return makeMove(supportedFormat(type), {
      sigma: 0.5,
      inSteps: true,
      key: streamKey(5n, name),
      tick,
      rounding: "matched",
      index: 0,
      steps: null,
      rowLength: 1,
    });
  }

  /** The live file after ticks of collisions, and a diffusion at the end. */
  async function moved(kernels: Kernels, prepared: boolean): Promise<Buffer> {
    const model = await readModel(mixed);
    const copy = await LiveCopy.create(model, { dir: folder });
    const liveTensors = await openLiveTensors(copy.path, mixed, kernels);
    const list: TensorToMove[] = model.tensors.map((tensor) => ({ tensor, move: moveOf(tensor.type, tensor.name, 0) }));
    const steps: readonly Step[] = [
      { verb: "collide", threshold: collisionThreshold(0.1) },
      { verb: "draw" },
      { verb: "diffuse", factor: 0.1, stride: 1 },
      { verb: "diffuse", factor: 1.5, stride: 5 },
      { verb: "evolve", law: relaxation, strength: 0.8, stride: 7 },
      { verb: "evolve", law: relaxation, strength: 0.9, stride: 1 },
    ];
    let changed = 0;
    for (const step of steps) {
      // Every weight at every tick: JavaScript takes long for each.
      const ticks = step.verb === "evolve" && step.stride === 1 ? 3 : 10;
      for (let tick = 1; tick <= ticks; tick++) {
        const ready = prepared ? await liveTensors.prepare?.(list, tick, step) : undefined;
        // What is not ready by then is made at once: nothing of it, some or all, and the same bytes.
        if (ready && tick % 10 < 5) await setTimeout(2 ** (tick % 10));
        changed += await (ready === undefined ? liveTensors.step(list, tick, step) : ready.write());
        const never = prepared ? await liveTensors.prepare?.(list, tick + 1, step) : undefined;
        never?.drop();
      }
    }
    expect(changed).toBeGreaterThan(0);
    let different = 0;
    for (const { tensor, move } of list) {
      await liveTensors.step([{ tensor, move }], 101, { verb: "diffuse", factor: 1, stride: 1 });
      different += await liveTensors.difference(tensor);
    }
    expect(different).toBeGreaterThan(0);
    await liveTensors.close();
    const bytes = readFileSync(copy.path);
    await copy.dispose();
    return Buffer.concat([bytes, Buffer.from(`${changed} ${different}`)]);
  }

  const expected = moved(jsKernels, false);
  // JavaScript's own bytes again would take as long as all others.
  const others = variants.filter(({ kernels }) => kernels !== jsKernels);
  it.each(others)("on $name: the same bytes", async ({ kernels }) => {
    expect((await moved(kernels, false)).equals(await expected)).toBe(true);
  });
  it.each(native)("on $name: the same when they are made ready beforehand", async ({ kernels }) => {
    expect((await moved(kernels, true)).equals(await expected)).toBe(true);
  });
});

describe("langevin by visits", () => {
  const tau = 8;

  it.each([1, 2, 4, 8])(
    "of stride %d remembers as it says from tick 0 and from a later one, at every tick with the variance of a draw",
    async (stride) => {
      const bath = await Thermostat.open(path, {
        sigma: S,
        scale: "step",
        dynamics: "langevin",
        tau,
        stride,
        seed: 3n,
        scratch: folder,
      });
      const [tensor] = bath.tensors as [Tensor];
      const states = [moves(bath.livePath, tensor, EVERY)];
      for (let t = 1; t <= 21; t++) {
        await bath.tick();
        states.push(moves(bath.livePath, tensor, EVERY));
      }
      await bath.close();
      for (const from of [0, 5]) {
        for (const t of [1, 2, 3, tau / 2, tau, tau + 1, 2 * tau]) {
          const correlation = product(states[from] as Int8Array, states[from + t] as Int8Array) / S ** 2;
          // A quarter of a million products of variance near s^4 or below, five standard errors; and stretches are an equal share of them but for a cell.
          const error = 5 / Math.sqrt(SEEN) + (stride * CELL) / WEIGHTS;
          expect(Math.abs(correlation - langevinTheory(t, tau, from, stride)), `${from} + ${t}`).toBeLessThan(error);
          if (stride <= tau / 2) expect(Math.abs(correlation - Math.exp(-t / tau))).toBeLessThan(0.03);
        }
      }
      for (const k of states) {
        const { mean, variance } = moments(k);
        expect(Math.abs(mean)).toBeLessThan((5 * S) / Math.sqrt(SEEN));
        expect(Math.abs(variance / S ** 2 - 1)).toBeLessThan(5 * Math.sqrt(3 / SEEN));
      }
    },
  );

  it("changes at a tick what is visited at it, of as many weights as any", async () => {
    const bath = await Thermostat.open(path, { sigma: S, scale: "step", dynamics: "langevin", tau, stride: 5, scratch: folder });
    const [tensor] = bath.tensors as [Tensor];
    const seen = new Uint8Array(WEIGHTS);
    for (let t = 1; t <= 5; t++) {
      const before = moves(bath.livePath, tensor);
      const { changed } = await bath.tick();
      const after = moves(bath.livePath, tensor);
      const { from, to } = visited(WEIGHTS, { key: streamKey(0n, tensor.name), tick: t }, 5);
      expect(Math.abs(to - from - WEIGHTS / 5)).toBeLessThanOrEqual(CELL);
      seen.fill(1, from, to);
      let moved = 0;
      let elsewhere = 0;
      for (let i = 0; i < WEIGHTS; i++) {
        if (before[i] === after[i]) continue;
        moved++;
        if (i < from || i >= to) elsewhere++;
      }
      expect(changed).toBe(moved);
      expect(elsewhere).toBe(0);
    }
    expect(seen.every((x) => x === 1)).toBe(true);
    await bath.close();
  });

  it("keeps the variance when sigma, tau, stride, seed and dynamics change on the way, to the same bytes with and without work made ahead", async () => {
    const few = WEIGHTS / 8;
    const path = join(folder, "few.gguf");
    writeGguf(path, [still("a", few)]);
    const run = async (kernels: Kernels | undefined, patient: boolean) => {
      const options = { sigma: S, scale: "step", dynamics: "langevin", tau, scratch: folder } as const;
      const bath = await Thermostat.open(path, options, kernels);
      const [tensor] = bath.tensors as [Tensor];
      const counts: number[] = [];
      const ticks = async (n: number) => {
        for (let t = 0; t < n; t++) {
          if (patient) await setTimeout(20); // for the background
          counts.push((await bath.tick()).changed);
        }
      };
      await ticks(3);
      bath.configure({ stride: 2 });
      await ticks(3);
      bath.configure({ tau: 3, seed: 9n });
      await ticks(3);
      bath.configure({ stride: undefined, tau, dynamics: "andersen" });
      await ticks(2);
      bath.configure({ dynamics: "wiener", tau: 1e9 }); // of next to no variance
      await ticks(2);
      bath.configure({ dynamics: "white", tau });
      await ticks(3);
      counts.push((await bath.draw(16)).changed, (await bath.draw(17)).changed);
      await ticks(1);
      bath.configure({ dynamics: "langevin" });
      bath.configure({ dynamics: "langevin" });
      await ticks(3);
      expect(Math.abs(moments(moves(bath.livePath, tensor)).variance / S ** 2 - 1)).toBeLessThan(5 * Math.sqrt(3 / few));
      await bath.draw(14); // what was made ahead of tick 15 rests on other weights
      await ticks(2);
      bath.configure({ sigma: linear(S, S / 2, 16) });
      await ticks(2);
      counts.push(await bath.difference());
      const bytes = readFileSync(bath.livePath);
      await bath.restore();
      expect(readFileSync(bath.livePath).equals(readFileSync(path))).toBe(true);
      await ticks(2);
      counts.push(await bath.difference());
      await bath.close();
      return { bytes, counts };
    };
    const expected = await run(jsKernels, false);
    for (const { kernels } of native) {
      for (const patient of [false, true]) {
        const { bytes, counts } = await run(kernels, patient);
        expect(counts).toEqual(expected.counts);
        expect(bytes.equals(expected.bytes)).toBe(true);
      }
    }
  });

  it("has a stride of half of tau, from 1 to 64, unless told otherwise", () => {
    const visits = (options: Partial<ThermostatOptions>) => noiseOf({ sigma: 1, dynamics: "langevin", ...options }).visits;
    expect([0.5, 3, 4, 9, 32, 1e9].map((own) => visits({ tau: own }))).toEqual([1, 1, 2, 4, 16, 64]);
    expect(visits({ tau: 32, stride: 5 })).toBe(5);
    for (const stride of [0, 1.5, -1, 65537, Number.NaN]) expect(() => visits({ stride })).toThrow(/stride/);
  });
});

describe("a schedule", () => {
  it("goes from one end to the other", () => {
    expect([0, 5, 10, 99].map(linear(0.2, 0.1, 10))).toEqual([0.2, 0.15000000000000002, 0.1, 0.1]);
    expect([0, 1, 2, 3].map(exponential(8, 2, 2))).toEqual([8, 4, 2, 2]);
    expect(() => linear(-1, 0, 1)).toThrow(/from must be/);
    expect(() => exponential(1, 0, 1)).toThrow(/to must be/);
    expect(() => linear(1, 0, 0)).toThrow(/ticks must be/);
  });

  it("sets sigma at every tick; one that gives no number is refused by tick and value", async () => {
    const bath = await Thermostat.open(path, { sigma: linear(1, 0, 2), scale: "step", dynamics: "white", scratch: folder });
    const [tensor] = bath.tensors as [Tensor];
    await bath.tick();
    expect(Math.abs(moments(moves(bath.livePath, tensor)).variance / 0.25 - 1)).toBeLessThan(0.02);
    await bath.tick();
    expect(moments(moves(bath.livePath, tensor)).variance).toBe(0);
    bath.configure({ sigma: (tick) => (tick === 0 ? 1 : Number.NaN) });
    await bath.start();
    await expect(bath.tick()).rejects.toMatchObject({ code: "usage", message: expect.stringMatching(/sigma\(1\).*NaN/) });
    await bath.close();
  });
});

describe("faults", () => {
  it("tau must be above 0", async () => {
    for (const tau of [0, -1, Number.NaN]) await expect(open("andersen", tau)).rejects.toMatchObject({ code: "usage" });
  });

  it("an aborted tick says why, and a restore makes up for it", async () => {
    const bath = await open("wiener");
    await bath.tick();
    await expect(bath.tick({ signal: AbortSignal.abort() })).rejects.toThrow(/abort/);
    await bath.restore();
    expect(readFileSync(bath.livePath).equals(readFileSync(path))).toBe(true);
    await bath.close();
  });
});
