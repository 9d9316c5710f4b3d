// The foundation of brownian/learn: noise, layers, losses, optimizers, the loop, metrics; against closed forms and hand-made cases.
import { spawnSync } from "node:child_process";
import { beforeAll, describe, expect, it } from "vitest";
import { BrownianError } from "../../src/errors.js";
import { disposeTree, mapTree, refTree, type Tensor, tensor, valueAndGradient, values } from "../../src/learn/autodiff.js";
import type * as learn from "../../src/learn/index.js";
import {
  accuracy,
  adam,
  auroc,
  brier,
  classification,
  draw,
  dropout,
  ece,
  ensemble,
  huber,
  init,
  Key,
  linear,
  nll,
  oneHot,
  predict,
  predictiveEntropies,
  probabilities,
  reliability,
  relu,
  sequential,
  sgd,
  softmaxCrossEntropy,
  squaredError,
  train,
} from "../../src/learn/index.js";
import { Noise } from "../../src/noise/index.js";

const usage = (f: () => unknown, message: RegExp) => {
  expect(f).toThrow(BrownianError);
  expect(f).toThrow(message);
};

it("says what to call before init, and what to install where the peer is missing", () => {
  const root = new URL("../../", import.meta.url).pathname;
  const program = `
    import { register } from "node:module";
    register("data:text/javascript," + encodeURIComponent(
      "export async function resolve(name, context, next) { if (name === '@jax-js/jax') throw new Error('Cannot find package'); return next(name, context); }"));
    const { init, tensor } = await import(${JSON.stringify(`${root}dist/learn/index.js`)});
    for (const f of [() => tensor([1]), init]) try { await f(); } catch (e) { console.log(e.name, e.code, e.message); }`;
  const { stdout } = spawnSync(process.execPath, ["--input-type=module", "-e", program], { encoding: "utf8" });
  expect(stdout).toMatch(/^BrownianError usage Call `await init\(\)`/);
  expect(stdout).toMatch(/BrownianError autodiff-missing .*npm install @jax-js\/jax@0\.1\.25/);
});

describe("metrics", () => {
  // Three of four right; confidences 0.9, 0.9 | 0.6, 0.6 in the bins (0.8, 1] and (0.6 - 0.8 exclusive]: with five bins (0.8, 1] and (0.4, 0.6].
  const p = [0.9, 0.1, 0.1, 0.9, 0.6, 0.4, 0.4, 0.6];
  const labels = [0, 1, 0, 0];

  it("accuracy, NLL, Brier and ECE of a hand-made case", () => {
    expect(accuracy(p, labels, 2)).toBe(0.75);
    expect(nll(p, labels, 2)).toBeCloseTo(-(2 * Math.log(0.9) + Math.log(0.6) + Math.log(0.4)) / 4, 14);
    expect(brier(p, labels, 2)).toBeCloseTo((0.02 + 0.02 + 0.32 + 0.72) / 4, 14);
    // bins: 2 examples, accuracy 1, confidence 0.9; 2 examples, accuracy 1/2, confidence 0.6: (0.1 + 0.1) / 2.
    expect(ece(p, labels, 2, 5)).toBeCloseTo(0.1, 14);
    const bins = reliability(p, labels, 2, 5);
    expect(bins.map((bin) => bin.count)).toEqual([0, 0, 2, 0, 2]);
    expect(bins[2]).toMatchObject({ accuracy: 0.5, confidence: 0.6 });
    expect(ece([1, 0, 0, 1], [0, 1], 2)).toBe(0); // sure and right
    expect(ece([1, 0, 0, 1], [1, 0], 2)).toBe(1); // sure and wrong
    expect(ece(p, labels, 2, 1)).toBeCloseTo(0); // one bin: mean confidence 0.75, accuracy 0.75
  });

  it("entropies, ensembles, AUROC", () => {
    const [sure, even] = predictiveEntropies([1, 0, 0, 0, 0.25, 0.25, 0.25, 0.25], 4);
    expect(sure).toBe(0);
    expect(even).toBeCloseTo(Math.log(4), 14);
    expect([...ensemble([Float64Array.of(1, 0), Float64Array.of(0.5, 0.5)])]).toEqual([0.75, 0.25]);
    expect([...ensemble([Float64Array.of(1, 0), Float64Array.of(0.5, 0.5)], [1, 3])]).toEqual([0.625, 0.375]);
    usage(() => ensemble([[1], [1]], [1]), /2 members, but 1 weights/);
    usage(() => ensemble([[1], [1]], [1, -1]), /weight 1 must be/);
    usage(() => ensemble([[1], [1]], [0, 0]), /sum of the weights must be/);
    expect(auroc([3, 4], [1, 2])).toBe(1);
    expect(auroc([1, 2], [1, 2])).toBe(0.5);
    expect(auroc([2, 3], [1, 2, 2])).toBeCloseTo((1 / 3 + 2 / 6 + 1) / 2, 14);
    expect(probabilities([Math.log(3), 0], 2)[0]).toBeCloseTo(0.75, 14);
    expect(probabilities([Math.log(9), 0], 2, 2)[0]).toBeCloseTo(0.75, 14);
  });

  it("refuses what is no evaluation", () => {
    usage(() => ece([], [], 2), /set is empty/);
    usage(() => accuracy(p, [0], 2), /4 examples, but 1 labels/);
    usage(() => nll(p, [0, 1, 2, 0], 2), /Label 2 is 2, but there are 2 classes/);
    usage(() => accuracy([0.5, 0.2, 0.3], [0], 2), /no multiple of 2 classes/);
    usage(() => probabilities(p, 2, 0), /temperature must be .*above 0/);
    usage(() => ensemble([]), /at least one member/);
    usage(() => auroc([], [1]), /empty/);
  });
});

describe("with the autodiff library", () => {
  beforeAll(init);

  it("noise is this project's streams, bit for bit, and depends on names, ticks and examples alone", () => {
    const key = new Key(42n);
    const stream = new Noise(42n).stream("layer.w").normal(new Float32Array(6), { tick: 3 });
    const draws = { w: { law: "normal", shape: [2, 3] } } as const;
    const all = values(draw<{ w: Tensor }>(draws, key.child("layer"), 3).w);
    expect(all).toEqual(stream);
    const rows = { w: { law: "normal", shape: [1, 3], perExample: true } } as const;
    expect(values(draw<{ w: Tensor }>(rows, key.child("layer"), 3, 1).w)).toEqual(stream.subarray(3));
    const signs = values(key.child("s").sign([1000]));
    // Mean of 1000 signs: standard error 0.032; four of them.
    expect(Math.abs(signs.reduce((a, b) => a + b) / 1000)).toBeLessThan(0.127);
    expect(new Set(signs)).toEqual(new Set([-1, 1]));
    expect([...key.permutation(100)].sort((a, b) => a - b)).toEqual(Array.from({ length: 100 }, (_, i) => i));
  });

  it("losses and their gradients agree with the closed forms", () => {
    const z = [0.3, -1.2, 2, 0.1, 0.4, -0.7];
    const labels = [2, 0];
    const [loss, gradient] = valueAndGradient((x: Tensor) => softmaxCrossEntropy(x, oneHot(labels, 3)))(tensor(z, [2, 3]));
    const p = probabilities(z, 3);
    // The library's exp and log: a few 1e-6.
    expect(loss.js()).toBeCloseTo(nll(p, labels, 3), 5);
    values(gradient).forEach((g, i) => {
      expect(g).toBeCloseTo(((p[i] as number) - (i === 2 || i === 3 ? 1 : 0)) / 2, 5);
    });
    expect(squaredError(tensor([1, 2]), tensor([0, 4])).js()).toBeCloseTo(2.5);
    expect(huber(tensor([0.5, 3]), tensor([0, 0])).js()).toBeCloseTo((0.125 + 2.5) / 2);
    usage(() => oneHot([0, 3], 3), /Label 1 is 3, but there are 3 classes/);
    usage(() => softmaxCrossEntropy(tensor([1, 2], [1, 2]), tensor([1], [1, 1])), /targets must have shape \[1, 2\]/);
  });

  it("linear computes x W^T + b, starts in ±sqrt(6 / in), and refuses other shapes", () => {
    const layer = linear(2, 3);
    const params = { weight: tensor([1, 2, 3, 4, 5, 6], [3, 2]), bias: tensor([0.5, 0, -0.5]) };
    expect(layer.apply(params, tensor([1, 10], [1, 2])).js()).toEqual([[21.5, 43, 64.5]]);
    const weight = values(linear(600, 10).init(new Key(1n)).weight);
    expect(Math.max(...weight)).toBeLessThanOrEqual(0.1);
    // Variance 0.1^2 / 3 of 6000 uniforms: standard error sqrt(4/5 / 6000) = 1.2 % of it; four of them.
    expect(Math.abs(weight.reduce((sum, w) => sum + w * w, 0) / 6000 / (0.01 / 3) - 1)).toBeLessThan(0.046);
    usage(() => layer.apply(layer.init(new Key(1n)), tensor([1, 2, 3], [1, 3])), /must have shape \[any, 2\], but has \[1, 3\]/);
    usage(() => linear(0, 3), /inputs must be/);
    usage(() => tensor([1, 2, 3], [2, 2]), /4 elements, but 3/);
  });

  it("dropout drops p of its inputs and keeps the mean; at rest it does nothing", () => {
    const layer = dropout(0.25, 1000);
    const x = () => tensor(new Float32Array(1000).fill(1), [1, 1000]);
    expect(values(layer.apply({}, x())).every((v) => v === 1)).toBe(true);
    const y = values(layer.apply({}, x(), draw(layer.noise(1), new Key(5n))));
    const dropped = y.filter((v) => v === 0).length;
    expect(Math.abs(dropped - 250)).toBeLessThan(4 * Math.sqrt(1000 * 0.25 * 0.75));
    expect(y.find((v) => v !== 0)).toBeCloseTo(4 / 3, 6);
    usage(() => dropout(1, 10), /below 1/);
  });

  it("sgd and Adam make the steps of their formulas", () => {
    const steps = (optimizer: ReturnType<typeof sgd> | ReturnType<typeof adam>, gradients: number[]) => {
      let params: Tensor = tensor([1]);
      let state = optimizer.init(params);
      for (const g of gradients)
        [params, state] = (optimizer as ReturnType<typeof sgd>).update(params, tensor([g]), state as never, tensor(0.1), {});
      disposeTree(state);
      return values(params)[0] as number;
    };
    expect(steps(sgd(), [2, 3])).toBeCloseTo(1 - 0.2 - 0.3, 6);
    expect(steps(sgd({ momentum: 0.5 }), [2, 3])).toBeCloseTo(1 - 0.2 - 0.1 * (0.5 * 2 + 3), 6);
    // Adam's first step is the rate whatever the gradient; its second by hand.
    const m = 0.9 * 0.1 * 2 + 0.1 * 3;
    const v = 0.999 * 0.001 * 4 + 0.001 * 9;
    const second = (0.1 * (m / (1 - 0.81))) / Math.sqrt(v / (1 - 0.999 ** 2));
    expect(steps(adam(), [2])).toBeCloseTo(0.9, 5);
    expect(steps(adam(), [2, 3])).toBeCloseTo(0.9 - second, 4);
  });

  // Two clouds of points, at (1, 1) and (-1, -1).
  const clouds = (n: number): learn.Dataset => {
    const inputs = new Noise(3n).stream("clouds").normal(new Float32Array(2 * n));
    const labels = Uint8Array.from({ length: n }, (_, i) => i % 2);
    for (let i = 0; i < 2 * n; i++) inputs[i] = 0.3 * (inputs[i] as number) + (labels[i >> 1] === 1 ? 1 : -1);
    return { inputs, labels, features: 2, classes: 2 };
  };

  it("train learns, equally in every run of a seed, and leaves no memory behind", async () => {
    const network = sequential(linear(2, 8), relu(), dropout(0.1, 8), linear(8, 2));
    const data = clouds(200);
    const run = () => {
      const key = new Key(9n);
      return train({ ...classification(network, data), params: network.init(key), key, steps: 60, rate: 0.02, batchSize: 32 });
    };
    const [a, b] = [await run(), await run()];
    expect(a.losses).toEqual(b.losses);
    expect(values(a.params[0].weight.ref)).toEqual(values(b.params[0].weight.ref));
    const logits = predict(network, a.params, data.inputs, 2);
    expect(accuracy(probabilities(logits, 2), data.labels, 2)).toBeGreaterThan(0.97); // Bayes: 1 - Q(sqrt(2) / 0.3)
    expect(predict(network, a.params, data.inputs, 2, { batchSize: 7 })).toEqual(logits);
    const key = new Key(1n);
    const noisy = predict(network, a.params, data.inputs, 2, { key, tick: 1 });
    expect(predict(network, a.params, data.inputs, 2, { key, tick: 1, batchSize: 64 })).toEqual(noisy);
    expect(predict(network, a.params, data.inputs, 2, { key, tick: 2 })).not.toEqual(noisy);
    expect(a.params[0].weight.refCount).toBe(1);
    disposeTree(a.params);
    disposeTree(b.params);
  });

  it("train refuses what it cannot learn from, stops when told, and says when it diverges", async () => {
    const network = sequential(linear(2, 2));
    const data = clouds(20);
    const key = new Key(1n);
    const start = (more: object) =>
      train({ ...classification(network, data), params: network.init(key), key, steps: 50, ...more });
    usage(() => classification(network, { ...data, inputs: new Float32Array(), labels: [] }), /set is empty/);
    usage(
      () => classification(network, { ...data, inputs: new Float32Array(39) }),
      /39 numbers, but 20 labels and 2 features make 40/,
    );
    usage(() => classification(network, { ...data, classes: 1 }), /Label 1 is 1, but there are 1 classes/);
    usage(() => predict(network, network.init(key), new Float32Array(3), 2), /no multiple of 2 features/);
    await expect(start({ batchSize: 21 })).rejects.toThrow(/batchSize must be a number from 1 to 20/);
    await expect(start({ rate: -1 })).rejects.toThrow(/rate must be/);
    await expect(start({ signal: AbortSignal.abort() })).rejects.toMatchObject({ code: "aborted" });
    await expect(start({ rate: 1e38, optimizer: sgd({ momentum: 0.9 }) })).rejects.toMatchObject({ code: "diverged" });
  });

  it("trees keep their structure", () => {
    const tree = { a: tensor([1, 2]), b: [tensor(3)] };
    const doubled = mapTree((x) => x.mul(2), refTree(tree));
    expect(doubled.a.js()).toEqual([2, 4]);
    expect(doubled.b[0]?.js()).toBe(6);
    disposeTree(tree);
  });
});
