// Bayes by Backprop, weight noise and Langevin dynamics against closed forms: divergences and gradients, means and variances of the estimators,
// the stationary law. Tolerances: 1e-5 relative where float32 and the library's approximate exp and log decide; else standard errors.
import { beforeAll, describe, expect, it } from "vitest";
import { compile, disposeTree, refTree, type Tensor, tensor, valueAndGradient, values } from "../../src/learn/autodiff.js";
import { gaussianKl, sampledKl, sigmaOf } from "../../src/learn/bayes-by-backprop.js";
import {
  bayesByBackprop,
  bayesLinear,
  classification,
  type Dataset,
  draw,
  type Estimator,
  type Gaussian,
  init,
  Key,
  klWeight,
  type Layer,
  linear,
  polynomial,
  posterior,
  preconditionedSgld,
  predict,
  prunedBySignalToNoise,
  relu,
  sequential,
  sgld,
  signalToNoise,
  squaredError,
  train,
  weightNoise,
} from "../../src/learn/index.js";

beforeAll(init);

const key = new Key(20_261_124n);
const softplus = (rho: number) => Math.log1p(Math.exp(rho));
const sigmoid = (rho: number) => 1 / (1 + Math.exp(-rho));
const close = (actual: number, expected: number, relative = 2e-5) =>
  expect(Math.abs(actual - expected), `${actual} instead of ${expected}`).toBeLessThanOrEqual(
    relative * Math.abs(expected) + 1e-7,
  );

/** Mean and variance of columns of many draws. */
function columns(draws: ArrayLike<number>[]): { mean: number; variance: number }[] {
  const n = draws.length;
  return Array.from(draws[0] as ArrayLike<number>, (_, c) => {
    const column = draws.map((d) => d[c] as number);
    const mean = column.reduce((a, b) => a + b) / n;
    return { mean, variance: column.reduce((sum, v) => sum + (v - mean) ** 2, 0) / (n - 1) };
  });
}

describe("the law over a weight", () => {
  const rho = [-20, -12, -8, -5.001, -4.999, -1, 0, 3, 20];
  const mu = [0.5, -1, 0, 2, 0.01, -0.3, 1, -2, 0.1];
  const gaussian = (): Gaussian => ({ mu: tensor(mu), rho: tensor(rho) });

  it("sigma is ln(1 + e^rho) and its derivative 1 / (1 + e^-rho), from rho = -20 on", () => {
    const [, slope] = valueAndGradient((r: Tensor) => sigmaOf(r).sum())(tensor(rho));
    values(sigmaOf(tensor(rho))).forEach((s, i) => {
      close(s, softplus(rho[i] as number));
    });
    values(slope).forEach((d, i) => {
      close(d, sigmoid(rho[i] as number));
    });
  });

  it("KL between normal laws has its closed form and gradient", () => {
    const s = 0.7;
    const [kl, gradient] = valueAndGradient((g: Gaussian) => gaussianKl(g, s))(gaussian());
    const sigma = rho.map(softplus);
    const one = (i: number) =>
      Math.log(s / (sigma[i] as number)) + ((sigma[i] as number) ** 2 + (mu[i] as number) ** 2) / (2 * s * s) - 0.5;
    close(
      kl.js() as number,
      mu.reduce((sum, _, i) => sum + one(i), 0),
    );
    values(gradient.mu).forEach((d, i) => {
      close(d, (mu[i] as number) / (s * s));
    });
    values(gradient.rho).forEach((d, i) => {
      close(d, ((sigma[i] as number) / (s * s) - 1 / (sigma[i] as number)) * sigmoid(rho[i] as number));
    });
    expect(gaussianKl({ mu: tensor([0]), rho: tensor([Math.log(Math.E - 1)]) }, 1).js()).toBeCloseTo(0, 4); // N(0, 1) from itself
  });

  it("the drawn KL to a scale mixture has the gradient of the reparameterized draw, and the right mean", () => {
    const prior = { pi: 0.25, sigma1: 0.8, sigma2: 0.05 };
    const eps = [0.3, -1, 0.7, 0.1, -2, 1.5, -0.4, 0.2, 0.01];
    const [kl, gradient] = valueAndGradient((g: Gaussian) => sampledKl(g, tensor(eps), prior))(gaussian());
    const normal = (w: number, s: number) => Math.exp((-w * w) / (2 * s * s)) / s;
    let sum = 0;
    mu.forEach((m, i) => {
      const [e, r] = [eps[i] as number, rho[i] as number];
      const sigma = softplus(r);
      const w = m + sigma * e;
      const [first, second] = [prior.pi * normal(w, prior.sigma1), (1 - prior.pi) * normal(w, prior.sigma2)];
      sum += -0.5 * e * e - Math.log(sigma) - Math.log(first + second);
      // d(-ln P)/dw = w times the mean precision under the components' responsibilities.
      const slope = (w * (first / prior.sigma1 ** 2 + second / prior.sigma2 ** 2)) / (first + second);
      close(values(gradient.mu.ref)[i] as number, slope, 1e-4);
      close(values(gradient.rho.ref)[i] as number, (slope * e - 1 / sigma) * sigmoid(r), 1e-4);
    });
    close(kl.js() as number, sum);

    // Both components equal: one normal law, whose KL is known. 20,000 draws of ln q - ln P; four standard errors of their mean.
    const n = 20_000;
    const many = { mu: tensor(new Float32Array(n).fill(0.5)), rho: tensor(new Float32Array(n).fill(-1)) };
    const mean = (sampledKl(many, key.normal([n]), { pi: 0.5, sigma1: 0.7, sigma2: 0.7 }).js() as number) / n;
    const sigma = softplus(-1);
    const exact = Math.log(0.7 / sigma) + (sigma ** 2 + 0.25) / 0.98 - 0.5;
    // ln q - ln P = const - e^2/2 + (0.5 + sigma e)^2 / 0.98: variance of a e^2 + b e is 2 a^2 + b^2.
    const [a, b] = [sigma ** 2 / 0.98 - 0.5, sigma / 0.98];
    expect(Math.abs(mean - exact)).toBeLessThan(4 * Math.sqrt((2 * a * a + b * b) / n));
  });
});

describe("bayesLinear", () => {
  const inputs = [0.5, -2, 1, 0, 0.3, 3];
  const mu = [0.1, -0.2, 0.3, 0.5, 0, -1];
  const rho = [-1, -2, 0, -3, 0.5, -1.5];
  const [biasMu, biasRho] = [
    [0.2, -0.1],
    [-1, -2],
  ];
  const params = () => ({
    weight: { mu: tensor(mu, [2, 3]), rho: tensor(rho, [2, 3]) },
    bias: { mu: tensor(biasMu), rho: tensor(biasRho) },
  });
  const x = () => tensor(inputs, [2, 3]);
  const sum = (f: (k: number) => number) => f(0) + f(1) + f(2);
  /** Of output o of example e: x mu^T + b, and x^2 (sigma^2)^T + sigma_b^2. */
  const exact = [0, 1, 2, 3].map((cell) => {
    const [e, o] = [cell >> 1, cell & 1];
    return {
      mean: sum((k) => (inputs[3 * e + k] as number) * (mu[3 * o + k] as number)) + (biasMu[o] as number),
      variance:
        sum((k) => ((inputs[3 * e + k] as number) * softplus(rho[3 * o + k] as number)) ** 2) +
        softplus(biasRho[o] as number) ** 2,
    };
  });
  /** Of output o of the two examples, where one draw of the weights serves both. */
  const shared = [0, 1].map(
    (o) =>
      sum((k) => (inputs[k] as number) * (inputs[3 + k] as number) * softplus(rho[3 * o + k] as number) ** 2) +
      softplus(biasRho[o] as number) ** 2,
  );

  it("at rest computes with the means", () => {
    values(bayesLinear(3, 2).apply(params(), x())).forEach((y, cell) => {
      close(y, exact[cell]?.mean as number);
    });
  });

  it.each<Estimator>(["weights", "flipout", "local"])("%s: every output has the law of drawn weights", (estimator) => {
    const layer = bayesLinear(3, 2, { estimator });
    const forward = compile(layer.apply);
    const kept = params();
    const n = 1500;
    const draws = Array.from({ length: n }, (_, tick) =>
      values(forward(refTree(kept), x(), draw(layer.noise(2), key.child(estimator), tick))),
    );
    disposeTree(kept);
    columns(draws).forEach(({ mean, variance }, cell) => {
      const law = exact[cell] as (typeof exact)[number];
      expect(Math.abs(mean - law.mean)).toBeLessThan(4 * Math.sqrt(law.variance / n));
      expect(Math.abs(variance / law.variance - 1)).toBeLessThan(4 * Math.sqrt(2 / n)); // outputs are normal
    });
    // Across examples: one draw of the weights correlates them; signs and draws of one's own do not.
    for (const o of [0, 1]) {
      const [a, b] = [exact[o], exact[2 + o]] as [(typeof exact)[number], (typeof exact)[number]];
      const covariance = draws.reduce((s, y) => s + ((y[o] as number) - a.mean) * ((y[2 + o] as number) - b.mean), 0) / n;
      const expected = estimator === "weights" ? (shared[o] as number) : 0;
      // Var of a product of two normals: v1 v2 + c^2; where Flipout's is no normal, its fourth moments are at most three times as large.
      const error = Math.sqrt((3 * a.variance * b.variance + (shared[o] as number) ** 2) / n);
      expect(Math.abs(covariance - expected)).toBeLessThan(4 * error);
      if (estimator === "weights") expect(Math.abs(expected)).toBeGreaterThan(4 * error); // so that the test can tell
    }
  });

  it.each<Estimator>(["weights", "flipout", "local"])("%s: the gradient goes through the draw", (estimator) => {
    // loss = y^2 / 2 with one input and one output: d loss = y dy, with dy in closed form for the drawn numbers.
    const layer = bayesLinear(1, 1, { estimator });
    const [m, r, b, br, xx] = [0.7, -0.5, 0.2, -1.5, 1.3];
    const one = (v: number, shape: number[] = [1, 1]) => tensor([v], shape);
    const law = { weight: { mu: one(m), rho: one(r) }, bias: { mu: one(b, [1]), rho: one(br, [1]) } };
    const noise = { weight: one(0.8), bias: one(-1.1, [1]), inputSign: one(-1), outputSign: one(-1), output: one(0.6) };
    const wanted = layer.noise(1) as Record<string, unknown>;
    const given = Object.fromEntries(Object.entries(noise).filter(([name]) => name in wanted));
    const [loss, gradient] = valueAndGradient((p: typeof law) => {
      const y = layer.apply(p, one(xx), given);
      return y.ref.mul(y).mul(0.5).sum();
    })(law);
    const [s, sb] = [softplus(r), softplus(br)];
    const [y, dr, dbr] = (() => {
      if (estimator === "weights") return [(m + s * 0.8) * xx + b + sb * -1.1, xx * 0.8, -1.1];
      if (estimator === "flipout") return [m * xx + b + (s * 0.8 * xx * -1 + sb * -1.1) * -1, xx * 0.8, 1.1];
      const width = Math.sqrt((xx * s) ** 2 + sb ** 2);
      return [m * xx + b + width * 0.6, (0.6 * xx * xx * s) / width, (0.6 * sb) / width];
    })();
    close(loss.js() as number, (y * y) / 2, 1e-4);
    close(values(gradient.weight.mu)[0] as number, y * xx, 1e-4);
    close(values(gradient.weight.rho)[0] as number, y * dr * sigmoid(r), 1e-4);
    close(values(gradient.bias.mu)[0] as number, y, 1e-4);
    close(values(gradient.bias.rho)[0] as number, y * dbr * sigmoid(br), 1e-4);
  });

  it("shares the KL divergence out over an epoch", () => {
    for (const kind of ["uniform", "geometric"] as const) {
      const shares = Array.from({ length: 20 }, (_, i) => klWeight(kind, i, 20));
      expect(shares.reduce((a, b) => a + b)).toBeCloseTo(1, 12);
      expect((shares[0] as number) / (shares[1] as number)).toBeCloseTo(kind === "uniform" ? 1 : 2, 12);
    }
  });

  it("the loss is (T pi KL + NLL) / batch, and the network's KL the sum of its layers'", () => {
    const network = sequential(bayesLinear(3, 2, { prior: { pi: 1 } }), relu());
    const dataset: Dataset = { inputs: Float32Array.from(inputs), labels: [1, 0], features: 3, classes: 2 };
    const { loss, batch, noise } = bayesByBackprop(network, dataset, { temperature: 0.5 });
    const plain = classification(network, dataset);
    const both = Uint32Array.of(0, 1);
    const epsilon = () => draw(noise?.(2) as never, key, 5) as never;
    const full = () => [params(), {}] as never;
    const divergence = (gaussianKl(params().weight, 1).js() as number) + (gaussianKl(params().bias, 1).js() as number);
    const nats = plain.loss(full(), plain.batch(both, 0), epsilon()).js() as number;
    close(loss(full(), batch(both, 0), epsilon()).js() as number, (0.5 * divergence) / 2 + nats);
  });

  it("prunes the weights of least |mu| / sigma, over all layers, and leaves biases", () => {
    const law = params();
    const ratios = mu.map((m, i) => Math.abs(m) / softplus(rho[i] as number));
    [...signalToNoise(law.weight)].forEach((ratio, i) => {
      expect(ratio).toBeCloseTo(ratios[i] as number, 6);
    });
    const median = [...ratios].sort((a, b) => a - b)[3] as number;
    const [half] = prunedBySignalToNoise([law], 0.5) as [typeof law];
    expect([...values(half.weight.mu)]).toEqual(ratios.map((r, i) => (r >= median ? Math.fround(mu[i] as number) : 0)));
    expect([...values(sigmaOf(half.weight.rho))].filter((s) => s === 0)).toHaveLength(3);
    expect(values(half.bias.mu)).toEqual(Float32Array.from(biasMu));
    const [none] = prunedBySignalToNoise([law], 1) as [typeof law];
    expect([...values(none.weight.mu)]).toEqual([0, 0, 0, 0, 0, 0]);
    disposeTree(law);
  });

  it("refuses what is no such network", () => {
    const dataset: Dataset = { inputs: Float32Array.from(inputs), labels: [1, 0], features: 3, classes: 2 };
    expect(() => bayesByBackprop(linear(3, 2), dataset)).toThrow(/no law over its weights: build it of bayesLinear/);
    expect(() => bayesByBackprop(bayesLinear(3, 2), dataset, { temperature: 0 })).toThrow(
      /temperature must be a finite number above 0, but is 0/,
    );
    expect(() => bayesByBackprop(bayesLinear(3, 2), { ...dataset, inputs: new Float32Array(), labels: [] })).toThrow(
      /set is empty/,
    );
    expect(() => bayesByBackprop(bayesLinear(3, 2), { ...dataset, labels: [2, 0] })).toThrow(/Label 0 is 2/);
    expect(() => bayesLinear(3, 2, { prior: { sigma1: -1 } })).toThrow(/prior.sigma1 must be a finite number above 0/);
    expect(() => bayesLinear(3, 2, { prior: { pi: 1.5 } })).toThrow(/prior.pi must be a number from 0 to 1/);
    expect(() => bayesLinear(3, 2, { estimator: "reinforce" as never })).toThrow(
      /estimator must be one of weights, flipout, local/,
    );
    expect(() => bayesLinear(4, 2).apply(params(), x())).toThrow(/weight.mu must have shape \[2, 4\], but has \[2, 3\]/);
    expect(() => bayesLinear(3, 2).apply(params(), x(), {})).toThrow(/noise.weight is missing/);
    expect(() => bayesLinear(3, 2).kl?.(params())).toThrow(/estimated from a draw: hand in noise/);
    expect(() => prunedBySignalToNoise({ weight: tensor([1]) }, 0.5)).toThrow(/no law over weights/);
    expect(() => prunedBySignalToNoise(params(), 1.5)).toThrow(/share must be/);
  });
});

describe("weightNoise", () => {
  const w = [0.3, -0.4, 1.2, 0.5];
  const params = () => ({ weight: tensor(w, [2, 2]), bias: tensor([0.1, 0.2]) });
  const rms = Math.sqrt(w.reduce((s, v) => s + v * v, 0) / 4);
  const x = () => tensor([1, -2], [1, 2]);
  const outputs = (layer: Layer<ReturnType<typeof params>, never>, n: number, tick = 0) => {
    const kept = params();
    const forward = compile(layer.apply);
    return columns(
      Array.from({ length: n }, (_, i) =>
        values(forward(refTree(kept), x(), draw(layer.noise(1), key.child("kick"), tick + i) as never)),
      ),
    );
  };

  it("moves weights by sigma times their RMS, and biases only when asked to", () => {
    const n = 1000;
    const law = { sigma: 0.2, absolute: 0.2 ** 2 * 5, rms: (0.2 * rms) ** 2 * 5 }; // |x|^2 = 5
    for (const [options, variance] of [
      [{ sigma: 0.2 }, law.rms],
      [{ sigma: 0.2, scale: "absolute" }, law.absolute],
      [{ sigma: 0.2, scale: "absolute", biases: true }, law.absolute + 0.04],
    ] as const) {
      outputs(weightNoise(linear(2, 2), options) as never, n).forEach((column, o) => {
        const mean = (w[2 * o] as number) - 2 * (w[2 * o + 1] as number) + 0.1 * (o + 1);
        expect(Math.abs(column.mean - mean)).toBeLessThan(4 * Math.sqrt(variance / n));
        expect(Math.abs(column.variance / variance - 1)).toBeLessThan(4 * Math.sqrt(2 / n));
      });
    }
  });

  it("follows a schedule, is still without noise, and lets the gradient through", () => {
    const layer = weightNoise(linear(2, 2), { sigma: (step) => (step < 5 ? 0 : 1) });
    const still = values(layer.apply(params(), x()));
    expect(values(layer.apply(params(), x(), draw(layer.noise(1), key, 4)))).toEqual(still);
    expect(values(layer.apply(params(), x(), draw(layer.noise(1), key, 5)))).not.toEqual(still);

    // Mean loss over draws: loss(w) + sigma^2 / 2 tr H, exact for a squared error: tr H = |x|^2 for each of two outputs, loss the mean of both.
    const noisy = weightNoise(linear(2, 2), { sigma: 0.3, scale: "absolute" });
    const target = () => tensor([0, 0], [1, 2]);
    const loss = compile((p: ReturnType<typeof params>, noise: never) =>
      squaredError(noisy.apply(p, x(), noise), target()).mul(0.5),
    );
    const n = 1000;
    const losses = Array.from(
      { length: n },
      (_, tick) => loss(params(), draw(noisy.noise(1), key.child("loss"), tick) as never).js() as number,
    );
    const { mean, variance } = columns(losses.map((l) => [l]))[0] as { mean: number; variance: number };
    const atRest = squaredError(linear(2, 2).apply(params(), x(), {}), target()).js() as number;
    expect(Math.abs(mean - (atRest / 2 + (0.09 / 2) * 5))).toBeLessThan(4 * Math.sqrt(variance / n));

    // d/dw of the moved loss is x times the moved output, under "rms" too.
    const relative = weightNoise(linear(2, 2), { sigma: 0.3 });
    const noise = draw(relative.noise(1), key, 9);
    const moved = values(relative.apply(params(), x(), refTree(noise as never)));
    const [, gradient] = valueAndGradient((p: ReturnType<typeof params>) =>
      squaredError(relative.apply(p, x(), noise), target()),
    )(params());
    const expected = [moved[0], -2 * (moved[0] as number), moved[1], -2 * (moved[1] as number)];
    values(gradient.weight).forEach((g, i) => {
      close(g, expected[i] as number, 1e-5);
    });
  });

  it("refuses sigma below 0, now or at the step where it falls there", () => {
    expect(() => weightNoise(linear(2, 2), { sigma: -0.1 })).toThrow(/sigma must be a finite number, at least 0, but is -0.1/);
    const layer = weightNoise(linear(2, 2), { sigma: (step) => 1 - step });
    expect(() => draw(layer.noise(1), key, 2)).toThrow(/sigma at step 2 must be/);
    expect(() => weightNoise(linear(2, 2), { sigma: 1, scale: "relative" as never })).toThrow(
      /scale must be one of rms, absolute/,
    );
  });
});

describe("Langevin dynamics", () => {
  it("samples e^(-U / T): the variance of Euler's scheme, T / (k (1 - rate k / 4)), at every stiffness and temperature", async () => {
    const stiffness = [0.5, 1, 4];
    const chains = 4096;
    const [rate, temperature] = [0.5, 0.7];
    const { params } = await train({
      params: tensor(new Float32Array(3 * chains), [chains, 3]),
      loss: (theta: Tensor) => theta.ref.mul(theta).mul(tensor(stiffness)).mul(0.5).sum(),
      examples: 1,
      batch: () => ({}),
      optimizer: sgld({ temperature }),
      rate,
      steps: 60, // (1 - rate k / 2)^(2 * 60) of the start is left: below 1e-6
      key,
    });
    const flat = values(params);
    stiffness.forEach((k, c) => {
      const column = Array.from({ length: chains }, (_, i) => [flat[3 * i + c] as number]);
      const { mean, variance } = columns(column)[0] as { mean: number; variance: number };
      const exact = temperature / (k * (1 - (rate * k) / 4));
      expect(Math.abs(mean)).toBeLessThan(4 * Math.sqrt(exact / chains));
      expect(Math.abs(variance / exact - 1)).toBeLessThan(4 * Math.sqrt(2 / chains));
    });
  });

  it("makes the steps of its formulas, plain and preconditioned", () => {
    const rate = () => tensor(0.04);
    const [theta, g, xi] = [
      [1, -2],
      [3, 50],
      [0.5, -1],
    ];
    const plain = sgld();
    const [next] = plain.update(tensor(theta), tensor(g), {}, rate(), { kicks: tensor(xi) });
    values(next).forEach((v, i) => {
      close(v, (theta[i] as number) - 0.02 * (g[i] as number) + 0.2 * (xi[i] as number));
    });
    const rms = preconditionedSgld({ examples: 10, alpha: 0.9, lambda: 0.01 });
    const [moved, { square }] = rms.update(tensor(theta), tensor(g), { square: tensor([0.04, 1]) }, rate(), {
      kicks: tensor(xi),
    });
    values(square as Tensor).forEach((v, i) => {
      close(v, 0.9 * ([0.04, 1][i] as number) + 0.1 * ((g[i] as number) / 10) ** 2);
    });
    values(moved).forEach((v, i) => {
      const G = 1 / (0.01 + Math.sqrt(0.9 * ([0.04, 1][i] as number) + 0.1 * ((g[i] as number) / 10) ** 2));
      close(v, (theta[i] as number) - 0.02 * G * (g[i] as number) + Math.sqrt(0.04 * G) * (xi[i] as number));
    });
    // The noise is normal with variance T at every step of a schedule.
    const { kicks } = draw(sgld({ temperature: (step) => step }).noise(tensor(new Float32Array(10_000))), key, 9);
    const { variance } = columns([...values(kicks as Tensor)].map((v) => [v]))[0] as { variance: number };
    expect(Math.abs(variance / 9 - 1)).toBeLessThan(4 * Math.sqrt(2 / 10_000));
  });

  it("the posterior's energy is N times the loss plus the prior's", () => {
    const dataset: Dataset = { inputs: Float32Array.of(1, 2, 3, 4), labels: [0, 1], features: 2, classes: 2 };
    const network = linear(2, 2);
    const params = () => ({ weight: tensor([1, 2, 3, 4], [2, 2]), bias: tensor([1, 0]) });
    const U = posterior(network, dataset, { priorSigma: 0.5 });
    const plain = classification(network, dataset);
    const one = Uint32Array.of(1);
    const nats = plain.loss(params(), plain.batch(one, 0), {}).js() as number;
    close(U.loss(params(), U.batch(one, 0), {}).js() as number, 2 * nats + 31 / 0.5);
    expect(() => posterior(network, dataset, { priorSigma: 0 })).toThrow(/priorSigma must be a finite number above 0/);
    expect(() => sgld({ temperature: 0 })).toThrow(/temperature must be a finite number above 0, but is 0/);
    expect(() => preconditionedSgld({ examples: 0 })).toThrow(/examples must be a finite number above 0/);
    expect(() => draw(sgld({ temperature: (t) => 1 - t }).noise(tensor([1])), key, 1)).toThrow(/temperature at step 1 must be/);
    expect(() => polynomial(0, 1, 0.55)).toThrow(/a must be a finite number above 0/);
    expect(polynomial(0.01, 1, 0.55)(0)).toBe(0.01);
  });

  it("an ensemble predicts with a member a tick", () => {
    const network = sequential(bayesLinear(2, 2, { rho: 0 }));
    const params = network.init(key);
    const inputs = Float32Array.of(1, 2, 3, 4);
    const member = (tick: number) => predict(network, params, inputs, 2, { key, tick });
    expect(member(0)).toEqual(member(0));
    expect(member(0)).not.toEqual(member(1));
    disposeTree(params);
  });
});
