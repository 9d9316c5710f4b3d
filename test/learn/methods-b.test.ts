// NoisyNet, adaptive parameter noise, distillation, moving weights at inference: formulas against closed forms, and what is refused.
import { beforeAll, describe, expect, it } from "vitest";
import { BrownianError } from "../../src/errors.js";
import { disposeTree, jax, refTree, type Tensor, tensor, valueAndGradient, values } from "../../src/learn/autodiff.js";
import {
  actionDistance,
  adaptSigma,
  denseWeights,
  distillation,
  distillationLoss,
  draw,
  epsilonDistance,
  factorisedNoise,
  init,
  Key,
  linear,
  MovingNetwork,
  movedEnsemble,
  moveParameters,
  noisyLinear,
  parameterNoise,
  policyDistance,
  predict,
  probabilities,
  relu,
  sequential,
  tanh,
  train,
} from "../../src/learn/index.js";
import { Noise } from "../../src/noise/index.js";
import { kl, softmax } from "../../src/sampling/index.js";

beforeAll(init);

const usage = (f: () => unknown, message: RegExp) => {
  expect(f).toThrow(BrownianError);
  expect(f).toThrow(message);
};
const numbers = (x: Tensor) => Array.from(values(x));

describe("noisyLinear", () => {
  it("starts as the paper says", () => {
    const cases = [
      { layer: noisyLinear(400, 60), bound: 1 / 20, sigma: 0.5 / 20 },
      { layer: noisyLinear(400, 60, { sigma: 0.1 }), bound: 1 / 20, sigma: 0.1 / 20 },
      { layer: noisyLinear(400, 60, { noise: "independent" }), bound: Math.sqrt(3 / 400), sigma: 0.017 },
    ];
    for (const { layer, bound, sigma } of cases) {
      const params = layer.init(new Key(3n));
      const mu = [...numbers(params.weight), ...numbers(params.bias)];
      expect(mu).toHaveLength(401 * 60);
      expect(Math.max(...mu.map(Math.abs))).toBeLessThanOrEqual(bound * (1 + 1e-6));
      // Uniform in ±b: variance b^2 / 3, whose standard error over n values is b^2 sqrt(4 / 45 / n).
      const variance = mu.reduce((sum, x) => sum + x * x, 0) / mu.length;
      expect(Math.abs(variance - bound ** 2 / 3)).toBeLessThan(5 * bound ** 2 * Math.sqrt(4 / 45 / mu.length));
      const sigmas = [...numbers(params.weightSigma), ...numbers(params.biasSigma)];
      expect(sigmas.every((s) => s === Math.fround(sigma))).toBe(true);
    }
  });

  it("factorised noise has the paper's covariance: uncorrelated, variances 2/pi and sqrt(2/pi), fourth moments shared", () => {
    const n = 40_000;
    const [inputs, outputs] = [2, 2];
    const key = new Key(5n);
    // Means over n draws of eps_w[0,0]^2, eps_b[0]^2, eps_w[0,0] eps_w[0,1], eps_w[0,0] eps_b[0], eps_w[0,0]^2 eps_w[0,1]^2, product of all
    // four weights.
    const [e, f] = [key.child("in").normal([n, inputs]), key.child("out").normal([n, outputs])];
    const noise = jax().vmap((input: Tensor, output: Tensor) => factorisedNoise({ input, output }))(e, f) as {
      weight: Tensor;
      bias: Tensor;
    };
    const [w, b] = [values(noise.weight), values(noise.bias)];
    const terms: ((i: number) => number)[] = [
      (i) => w[4 * i]! ** 2,
      (i) => b[2 * i]! ** 2,
      (i) => w[4 * i]! * w[4 * i + 1]!,
      (i) => w[4 * i]! * b[2 * i]!,
      (i) => (w[4 * i]! * w[4 * i + 1]!) ** 2,
      (i) => w[4 * i]! * w[4 * i + 1]! * w[4 * i + 2]! * w[4 * i + 3]!,
    ];
    // f(x)^2 = |x|, mean m = sqrt(2/pi); f^4 = x^2, mean 1. The fourth: E|e_0| E|e_1| E e'^2 = m^2. The last: E|e_0||e_1||e'_0||e'_1| =
    // m^4.
    const m = Math.sqrt(2 / Math.PI);
    const expected = [m ** 2, m, 0, 0, m ** 2, m ** 4];
    // Five standard errors each, of the terms' own second moments: E(w^4) = 1, E(b^4) = 1, E(w00^2 w01^2) = m^2, E(w^2 b^2) = m, E (e_0
    // e_1)^2 e'^4 = 3, E (e_0 e_1 e'_0 e'_1)^2 = 1.
    const squares = [1, 1, m ** 2, m, 3, 1];
    terms.forEach((term, t) => {
      let mean = 0;
      for (let i = 0; i < n; i++) mean += term(i) / n;
      const error = Math.sqrt((squares[t]! - expected[t]! ** 2) / n);
      expect(Math.abs(mean - expected[t]!), `term ${t}: ${mean}, not ${expected[t]}`).toBeLessThan(5 * error);
    });
  });

  it("computes (mu + sigma eps) x, with mu alone when at rest, and learns sigma: d/dsigma = eps times d/dw", () => {
    for (const layer of [noisyLinear(3, 2), noisyLinear(3, 2, { noise: "independent" })] as const) {
      const key = new Key(1n);
      const params = layer.init(key);
      const x = [0.5, -1, 2];
      const noise = draw(layer.noise(1) as never, key.child("noise"), 3) as never;
      const eps = ("input" in (noise as object) ? factorisedNoise(refTree(noise)) : refTree(noise)) as {
        weight: Tensor;
        bias: Tensor;
      };
      const [ew, eb] = [numbers(eps.weight), numbers(eps.bias)];
      const [mw, mb, sw, sb] = [params.weight, params.bias, params.weightSigma, params.biasSigma].map((p) =>
        numbers(p.ref),
      ) as number[][];
      const row = (o: number, still: boolean) =>
        x.reduce(
          (sum, v, i) => sum + v * (mw![3 * o + i]! + (still ? 0 : sw![3 * o + i]! * ew[3 * o + i]!)),
          mb![o]! + (still ? 0 : sb![o]! * eb[o]!),
        );
      const rest = numbers(layer.apply(refTree(params), tensor(x, [1, 3])));
      const noisy = numbers(layer.apply(refTree(params), tensor(x, [1, 3]), refTree(noise)));
      [0, 1].forEach((o) => {
        expect(rest[o]).toBeCloseTo(row(o, true), 5);
        expect(noisy[o]).toBeCloseTo(row(o, false), 5);
      });
      const [, gradient] = valueAndGradient((p: typeof params) => layer.apply(p, tensor(x, [1, 3]), refTree(noise)).sum())(
        params,
      );
      const g = gradient as typeof params;
      const [gw, gs, gb] = [numbers(g.weight), numbers(g.weightSigma), numbers(g.biasSigma)];
      gw.forEach((d, i) => {
        expect(gs[i]).toBeCloseTo(d * ew[i]!, 5);
      });
      gb.forEach((d, i) => {
        expect(d).toBeCloseTo(eb[i]!, 5);
      });
      disposeTree(noise);
      disposeTree(g.bias);
    }
  });

  it("is another function a tick, the same for the same tick", () => {
    const network = sequential(noisyLinear(4, 8), relu(), noisyLinear(8, 2));
    const params = network.init(new Key(2n));
    const x = Float32Array.of(1, 2, 3, 4);
    const at = (tick?: number) =>
      [...predict(network, params, x, 4, tick === undefined ? {} : { key: new Key(9n), tick })].join();
    expect(at(0)).toBe(at(0));
    expect(new Set([at(), at(0), at(1), at(2)]).size).toBe(4);
    expect(at()).toBe(at());
  });

  it("refuses what it cannot be", () => {
    usage(() => noisyLinear(0, 2), /inputs must be/);
    usage(() => noisyLinear(2, 2, { sigma: -0.1 }), /sigma must be .* but is -0.1/);
    usage(() => noisyLinear(2, 2, { noise: "uniform" as never }), /noise must be one of factorised, independent/);
    const layer = noisyLinear(3, 2);
    const params = layer.init(new Key(1n));
    const noise = draw(noisyLinear(4, 2).noise(1), new Key(1n));
    usage(
      () => layer.apply(refTree(params), tensor([1, 2, 3], [1, 3]), refTree(noise)),
      /noise.weight must have shape \[2, 3\], but has \[2, 4\]/,
    );
    usage(() => layer.apply(refTree(params), tensor([1, 2], [1, 2])), /must have shape \[any, 3\]/);
  });
});

describe("adaptive parameter noise", () => {
  it("steers sigma to the distance wanted", () => {
    expect(adaptSigma(1, 0.1, { target: 0.1 })).toBeCloseTo(1.01, 12);
    expect(adaptSigma(1, 0.2, { target: 0.1, alpha: 2 })).toBe(0.5);
    // A distance of 3 sigma: it ends within one factor of target / 3, whichever side it starts from.
    for (let sigma of [1e-3, 10]) {
      for (let i = 0; i < 2000; i++) sigma = adaptSigma(sigma, 3 * sigma, { target: 0.6 });
      expect(sigma / 0.2).toBeGreaterThan(1 / 1.0101);
      expect(sigma / 0.2).toBeLessThan(1.0101);
    }
  });

  it("measures distances as the paper does", () => {
    const [still, moved] = [
      [1, 0, 2, 2],
      [0, 0, 1, -1],
    ];
    const rows = [0, 2].map((i) => kl(softmax(still.slice(i, i + 2)), softmax(moved.slice(i, i + 2))));
    expect(policyDistance(still, moved, 2)).toBeCloseTo((rows[0]! + rows[1]!) / 2, 12);
    expect(policyDistance(still, still, 2)).toBe(0);
    expect(actionDistance([0, 0], [3, 4])).toBeCloseTo(Math.sqrt(12.5), 12);
    // Gaussian noise of strength 0.3 on 10,000 actions is 0.3 away: standard error 0.3 / sqrt(20,000).
    const noise = new Noise(1n).stream("a").normal(new Float32Array(10_000));
    expect(
      Math.abs(
        actionDistance(
          new Float32Array(10_000),
          noise.map((z) => 0.3 * z),
        ) - 0.3,
      ),
    ).toBeLessThan(5 * (0.3 / Math.sqrt(20_000)));
    // KL of the greedy law (1, 0, ...) from the epsilon-greedy one.
    expect(epsilonDistance(0.1, 4)).toBeCloseTo(kl([1, 0, 0, 0], [0.925, 0.025, 0.025, 0.025]), 12);
    expect(epsilonDistance(0, 2)).toBe(-0);
  });

  it("moves every parameter by sigma, anew a tick", () => {
    const layer = linear(100, 50);
    const params = layer.init(new Key(1n));
    const before = numbers(params.weight.ref);
    const differences = (tick: number) => {
      const moved = moveParameters(refTree(params), 0.2, draw(parameterNoise(params), new Key(7n), tick));
      disposeTree(moved.bias);
      return numbers(moved.weight).map((w, i) => w - before[i]!);
    };
    const [a, b] = [differences(0), differences(1)];
    const variance = (x: number[]) => x.reduce((sum, v) => sum + v * v, 0) / x.length;
    // 5000 weights: the variance is known to sqrt(2 / 5000) of itself; the two ticks' correlation is 0 to sqrt(1 / 5000).
    for (const d of [a, b]) expect(Math.abs(variance(d) / 0.04 - 1)).toBeLessThan(5 * Math.sqrt(2 / 5000));
    expect(Math.abs(a.reduce((sum, v, i) => sum + v * b[i]!, 0) / 5000 / 0.04)).toBeLessThan(5 / Math.sqrt(5000));
    expect(differences(0)).toEqual(a);
    expect(numbers(params.weight)).toEqual(before);
  });

  it("refuses what is no sigma, target or distance", () => {
    usage(() => adaptSigma(-1, 0.1, { target: 0.1 }), /sigma must be a finite number above 0, but is -1/);
    usage(() => adaptSigma(1, 0.1, { target: 0 }), /target must be .* above 0/);
    usage(() => adaptSigma(1, 0.1, { target: 1, alpha: 1 }), /alpha must be .* above 1/);
    usage(() => adaptSigma(1, Number.NaN, { target: 1 }), /distance must be/);
    usage(() => policyDistance([1, 2, 3], [1, 2, 3], 2), /3 values are no multiple of 2 actions/);
    usage(() => policyDistance([], [], 2), /give at least one state/);
    usage(() => policyDistance([1, 2], [1], 1), /still has 2 values and moved 1/);
    usage(() => actionDistance([1], [Number.NaN]), /Value 0 is 1 still and NaN moved/);
    usage(() => epsilonDistance(2, 2), /epsilon must be/);
    usage(() => moveParameters({ w: tensor([1]) }, -1, { w: tensor([1]) }), /sigma must be/);
  });
});

describe("distillation", () => {
  const [z, v] = [
    [1, -0.5, 2],
    [0.3, 0.8, -1.1],
  ];
  const at = (temperature: number, soft: number) => {
    const p = Float32Array.from(softmax(v, { temperature }));
    return valueAndGradient((logits: Tensor) =>
      distillationLoss(logits, tensor(p, [1, 3]), tensor([0, 1, 0], [1, 3]), { temperature, soft }),
    )(tensor(z, [1, 3])) as [Tensor, Tensor];
  };

  it("is T^2 H(p, q) mixed with H(y, q), with gradient T (q - p) mixed with q_1 - y", () => {
    for (const temperature of [0.5, 1, 4])
      for (const soft of [0, 0.3, 1]) {
        const [p, q, q1] = [softmax(v, { temperature }), softmax(z, { temperature }), softmax(z)];
        const [loss, gradient] = at(temperature, soft);
        const expected =
          -soft * temperature ** 2 * p.reduce((sum, x, i) => sum + x * Math.log(q[i]!), 0) - (1 - soft) * Math.log(q1[1]!);
        expect(numbers(loss)[0]! / expected).toBeCloseTo(1, 4);
        numbers(gradient).forEach((g, i) => {
          expect(g).toBeCloseTo(soft * temperature * (q[i]! - p[i]!) + (1 - soft) * (q1[i]! - (i === 1 ? 1 : 0)), 4);
        });
      }
  });

  it("matches logits when it is hot: the gradient tends to (z - v) / classes, whatever T is", () => {
    const centre = (x: number[]) => x.map((a) => a - x.reduce((s, b) => s + b, 0) / x.length);
    const expected = centre(z).map((a, i) => (a - centre(v)[i]!) / 3);
    // What is neglected falls as 1 / T; float32 takes T times its resolution.
    for (const temperature of [100, 300])
      numbers(at(temperature, 1)[1]).forEach((g, i) => {
        expect(Math.abs(g - expected[i]!)).toBeLessThan(1 / temperature);
      });
  });

  it("teaches a student what the teacher thinks", async () => {
    const dataset = { inputs: Float32Array.of(1, 0, 0, 1), labels: [0, 1], features: 2, classes: 3 };
    const teacher = [2, 1, 0, -1, 0, 1.5];
    const student = linear(2, 3);
    const { params } = await train({
      ...distillation(student, dataset, teacher, { temperature: 2, soft: 1 }),
      key: new Key(1n),
      params: student.init(new Key(1n)),
      steps: 300,
      rate: 0.1,
    });
    const p = probabilities(predict(student, params, dataset.inputs, 2), 3);
    const expected = probabilities(teacher, 3);
    p.forEach((x, i) => {
      expect(x).toBeCloseTo(expected[i]!, 2);
    });
  });

  it("refuses T <= 0, shares beyond 1, and a teacher of other data", () => {
    const dataset = { inputs: Float32Array.of(1, 0, 0, 1), labels: [0, 1], features: 2, classes: 3 };
    usage(
      () => distillation(linear(2, 3), dataset, [1, 2, 3, 4, 5, 6], { temperature: 0 }),
      /temperature must be a finite number above 0, but is 0/,
    );
    usage(() => distillation(linear(2, 3), dataset, [1, 2, 3, 4, 5, 6], { soft: 1.5 }), /soft must be a number from 0 to 1/);
    usage(
      () => distillation(linear(2, 3), dataset, [1, 2, 3]),
      /3 logits, but 2 examples and 3 classes make 6: predict the whole/,
    );
    usage(() => distillation(linear(2, 3), { ...dataset, labels: [0, 3] }, [1, 2, 3, 4, 5, 6]), /Label 1 is 3/);
    usage(() => distillationLoss(tensor([1, 2], [1, 2]), tensor([1], [1, 1]), tensor([1, 0], [1, 2])), /targets must have shape/);
  });
});

describe("a network that moves", () => {
  const network = () => sequential(linear(70, 40), relu(), linear(40, 5));
  const inputs = () => new Noise(4n).stream("x").uniform(new Float32Array(20 * 70));
  const make = (type: "Q8_0" | "I8") => {
    const params = network().init(new Key(1n));
    return { params, moving: new MovingNetwork(denseWeights(params), 70, { type }) };
  };

  it.each(["Q8_0", "I8"] as const)("%s computes what was trained, up to its rounding", (type) => {
    const { params, moving } = make(type);
    const exact = predict(network(), params, inputs(), 70);
    const rounded = moving.logits(inputs());
    expect(rounded).toHaveLength(100);
    // Weights are off by at most half a step of bound / 127, uniform: the logits' errors have standard deviation below 0.01 of their size
    // here.
    const scale = Math.sqrt(exact.reduce((sum, x) => sum + x * x, 0) / 100);
    rounded.forEach((x, i) => {
      expect(Math.abs(x - exact[i]!) / scale).toBeLessThan(0.03);
    });
    // And exactly what its own decoded weights say.
    const [first, second] = moving.weights();
    const x = inputs().subarray(0, 70);
    const hidden = Array.from(first!.bias, (b, o) =>
      Math.max(
        0,
        x.reduce((sum, v, i) => sum + v * first!.weight[o * 70 + i]!, b),
      ),
    );
    Array.from(second!.bias, (b, o) => hidden.reduce((sum, v, i) => sum + v * second!.weight[o * 40 + i]!, b)).forEach((y, o) => {
      expect(rounded[o]).toBeCloseTo(y, 5);
    });
  });

  it.each(["Q8_0", "I8"] as const)("%s moves by sigma RMS, always from the trained weights, and comes to rest", (type) => {
    const { moving } = make(type);
    const still = moving.logits(inputs());
    const before = moving.weights()[0]!.weight;
    const rms = Math.sqrt(before.reduce((sum, w) => sum + w * w, 0) / before.length);
    let squares = 0;
    const draws = 20;
    for (let tick = 0; tick < draws; tick++) {
      moving.move({ sigma: 0.1, seed: 1n, tick });
      squares += moving.weights()[0]!.weight.reduce((sum, w, i) => sum + (w - before[i]!) ** 2, 0);
    }
    // 56,000 moves of variance s^2, kurtosis near 3: sqrt(2 / 56,000) = 0.6 %. Codes near the rails are cut: of uniform codes, 127 of them 1.73 RMS,
    // s = 7.3, the moves lose 2/3 E|z|^3 s / 127 = 6 % of their squares, and one code in 32 is on its rail: 0.91. Which codes lie near rails (2,800 of
    // them, a standard deviation of about 0.2 each) adds 0.4 %. Five standard errors of 0.75 %.
    const share = squares / draws / before.length / (0.1 * rms) ** 2;
    expect(share).toBeGreaterThan(0.87);
    expect(share).toBeLessThan(1.03);
    const first = (() => {
      moving.move({ sigma: 0.1, seed: 1n, tick: 0 });
      return moving.logits(inputs());
    })();
    expect(first).not.toEqual(still);
    moving.move({ sigma: 0.3, seed: 2n, tick: 5 });
    moving.move({ sigma: 0.1, seed: 1n, tick: 0 });
    expect(moving.logits(inputs())).toEqual(first);
    expect(moving.move({ sigma: 0, seed: 1n }).changed).toBe(0);
    expect(moving.logits(inputs())).toEqual(still);
    moving.move({ sigma: 0.1, seed: 1n });
    moving.restore();
    expect(moving.logits(inputs())).toEqual(still);
  });

  it("has the activation that it is told", () => {
    const net = sequential(linear(70, 40), tanh(), linear(40, 5));
    const params = net.init(new Key(1n));
    const exact = predict(net, params, inputs(), 70);
    const moving = new MovingNetwork(denseWeights(params), 70, { activation: "tanh" });
    for (const [i, x] of moving.logits(inputs()).entries()) expect(Math.abs(x - exact[i]!)).toBeLessThan(0.05);
  });

  it("is an ensemble: the mean of its members' probabilities", () => {
    const { moving } = make("Q8_0");
    const p = movedEnsemble(moving, inputs(), { members: 3, sigma: 0.2, seed: 1n });
    const members = [0, 1, 2].map((tick) => {
      moving.move({ sigma: 0.2, seed: 1n, tick });
      return probabilities(moving.logits(inputs()), 5);
    });
    p.forEach((x, i) => {
      expect(x).toBeCloseTo((members[0]![i]! + members[1]![i]! + members[2]![i]!) / 3, 12);
    });
  });

  it("takes networks that come as codes, and moves them on their own grid", () => {
    const codes = new Uint8Array(Int8Array.of(127, -127, 10, 0, 5, -60).buffer);
    const steps = Float32Array.of(0.5, 0.25);
    const moving = new MovingNetwork([{ codes, steps, bias: Float32Array.of(1, -1) }], 3);
    expect([...moving.logits(Float32Array.of(1, 1, 2))]).toEqual([0.5 * 20 + 1, 0.25 * (5 - 120) - 1]);
    moving.move({ sigma: 1, scale: "step", seed: 1n });
    const moved = moving.weights()[0]!.weight.map((w, i) => w / steps[Math.floor(i / 3)]!);
    expect(moved.every(Number.isInteger)).toBe(true);
    expect([...moved.subarray(0, 2)]).toEqual([127, -127]); // on the rails
    expect([...moved]).not.toEqual([127, -127, 10, 0, 5, -60]);
    expect([...new Int8Array(codes.buffer)]).toEqual([127, -127, 10, 0, 5, -60]); // the caller's own stay
    usage(() => new MovingNetwork([{ codes, steps: Float32Array.of(1), bias: new Float32Array(2) }], 3), /1 steps, but 2 rows/);
  });

  it("refuses what does not fit", () => {
    const { moving } = make("Q8_0");
    usage(() => moving.move({ sigma: -0.1, seed: 1n }), /sigma must be .* but is -0.1/);
    usage(() => moving.move({ sigma: 0.1, seed: 1n, scale: "percent" as never }), /scale must be one of rms, absolute, step/);
    usage(() => moving.logits(new Float32Array(71)), /71 numbers, which is no multiple of 70/);
    usage(() => moving.logits(new Float32Array(0)), /set is empty/);
    usage(() => movedEnsemble(moving, inputs(), { members: 0, sigma: 0.1, seed: 1n }), /members must be/);
    usage(() => new MovingNetwork([], 3), /at least one layer/);
    usage(() => new MovingNetwork([{ weight: new Float32Array(6), bias: new Float32Array(2) }], 4), /weight must be \[2, 4\]/);
    usage(
      () => new MovingNetwork([{ weight: new Float32Array(6), bias: new Float32Array(2) }], 3, { type: "Q4_0" as never }),
      /type must be one of Q8_0, I8/,
    );
    usage(
      () => denseWeights([noisyLinear(2, 2).init(new Key(1n))]),
      /Layer 0 has the parameters weight, bias, weightSigma, biasSigma/,
    );
  });
});
