// Bayes by Backprop (Blundell et al. 2015) on MNIST at half the resolution: accuracy, calibration, what it says about rotated digits; pruning by signal-to-noise
// ratio; and the variance of the gradient under its three estimators (Kingma et al. 2015; Wen et al. 2018).
import {
  accuracy,
  bayesByBackprop,
  bayesLinear,
  classification,
  compile,
  disposeTree,
  draw,
  ece,
  ensemble,
  init,
  Key,
  linear,
  nll,
  predict,
  predictiveEntropy,
  probabilities,
  prunedBySignalToNoise,
  refTree,
  relu,
  sequential,
  train,
  valueAndGradient,
  values,
} from "brownian/learn";
import { format, interval, main } from "./experiment.mjs";
import { CLASSES, halved, mnist, rotated } from "./mnist.mjs";

const SIZES = {
  full: { seeds: [1, 2, 3], train: 60_000, test: 10_000, hidden: 100, steps: 4680, members: 10, gradients: 200 },
  small: { seeds: [1, 2], train: 1000, test: 300, hidden: 16, steps: 120, members: 3, gradients: 30 },
};
const BATCH = 128;
const RATE = 3e-3;
const PRUNED = [0.5, 0.75, 0.9];
const ESTIMATORS = ["weights", "flipout", "local"];

export async function run(size = "full", progress = () => {}) {
  await init();
  const { seeds, hidden, steps, members, gradients, ...counts } = SIZES[size];
  const digits = mnist(counts);
  const outside = halved(rotated(digits.test, 90));
  const [learned, test] = [halved(digits.train), halved(digits.test)];
  const { features } = test;
  const plain = sequential(linear(features, hidden), relu(), linear(hidden, CLASSES));
  const bayes = bayesNetwork("local", features, hidden);

  const plainRuns = [];
  const bayesRuns = [];
  const atRest = [];
  const pruned = PRUNED.map(() => []);
  const variances = ESTIMATORS.map(() => []);
  for (const [s, seed] of seeds.entries()) {
    const key = new Key(BigInt(seed));
    const report = (name, from, share) => (step) =>
      progress((s + from + (share * step) / steps) / seeds.length, `${name}, seed ${seed}`);
    const common = { key, steps, batchSize: BATCH, rate: RATE };
    const point = await train({
      ...classification(plain, learned),
      ...common,
      params: plain.init(key),
      onStep: report("plain network", 0, 0.2),
    });
    const one = (network, params) => (inputs) => probabilities(predict(network, params, inputs, features), CLASSES);
    plainRuns.push(scores(one(plain, point.params), test, outside));
    disposeTree(point.params);

    const { params } = await train({
      ...bayesByBackprop(bayes, learned),
      ...common,
      params: bayes.init(key),
      onStep: report("Bayes by Backprop", 0.2, 0.7),
    });
    const drawn = (inputs) =>
      ensemble(
        Array.from({ length: members }, (_, tick) =>
          probabilities(predict(bayes, params, inputs, features, { key: key.child("ensemble"), tick }), CLASSES),
        ),
      );
    bayesRuns.push(scores(drawn, test, outside));
    atRest.push(scores(one(bayes, params), test, outside));
    for (const [i, share] of PRUNED.entries()) {
      const left = prunedBySignalToNoise(params, share);
      pruned[i].push(accuracy(one(bayes, left)(test.inputs), test.labels, CLASSES));
      disposeTree(left);
    }
    for (const [i, estimator] of ESTIMATORS.entries()) {
      variances[i].push(gradientVariance(bayesNetwork(estimator, features, hidden), params, learned, key, gradients));
      progress((s + 0.9 + (0.1 * (i + 1)) / ESTIMATORS.length) / seeds.length, `variance of the gradient, ${estimator}`);
    }
    disposeTree(params);
  }

  const table = (runs) => Object.keys(runs[0]).map((score) => interval(runs.map((r) => r[score])));
  const mean = (values) => interval(values).mean;
  const get = (runs, score) => mean(runs.map((r) => r[score]));
  const empty = Array(4).fill("");
  const rows = [
    ["plain network", ...table(plainRuns), ""],
    [`Bayes by Backprop, ${members} draws`, ...table(bayesRuns), ""],
    ["Bayes by Backprop, means", ...table(atRest), ""],
    ...PRUNED.map((share, i) => [`means, ${100 * share} % of the weights pruned`, interval(pruned[i]), ...empty, ""]),
    ...ESTIMATORS.map((estimator, i) => [`gradient, ${estimator}`, ...empty, "", interval(variances[i])]),
  ];
  /** Between networks of one seed. */
  const more = (a, b, score) => interval(a.map((run, i) => run[score] - b[i][score]));
  const loss = more(plainRuns, bayesRuns, "accuracy");
  const [weights, flipout, local] = variances.map(mean);
  const claims = [
    {
      held: loss.mean <= 0.005,
      text: `accuracy ${format({ ...loss, mean: 100 * loss.mean, half: 100 * loss.half })} points below the plain network's`,
    },
    {
      held: get(bayesRuns, "ece") < get(plainRuns, "ece"),
      text: `ECE ${format(get(bayesRuns, "ece"))} against ${format(get(plainRuns, "ece"))}`,
    },
    {
      held: get(bayesRuns, "outside") > get(plainRuns, "outside"),
      text: `entropy on rotated digits ${format(get(bayesRuns, "outside"))} against ${format(get(plainRuns, "outside"))}`,
    },
    {
      held: mean(pruned[0]) > get(atRest, "accuracy") - 0.005,
      text: `accuracy with half the weights ${format(mean(pruned[0]))}, with all ${format(get(atRest, "accuracy"))}`,
    },
    {
      held: weights > flipout && flipout > local,
      text: `variance of the gradient ${[weights, flipout, local].map((v) => format(v, 3)).join(" > ")}`,
    },
  ];
  return {
    title: "Bayes by Backprop: weights that know how sure they are",
    paper:
      'Blundell et al. 2015, "Weight Uncertainty in Neural Networks"; Kingma et al. 2015, local reparameterization; Wen et al. 2018, Flipout',
    claim:
      "Accuracy within 0.5 % of the plain network's, better calibrated, less sure of what it has not seen; half the weights can go; the gradient's variance falls from weights to Flipout to local.",
    columns: [
      "network",
      "accuracy",
      "NLL (nats)",
      "ECE",
      "entropy (nats)",
      "entropy, rotated by 90°",
      "variance of the gradient",
    ],
    rows,
    seeds,
    reproduced: claims.every(({ held }) => held),
    verdict: `${claims.map(({ held, text }) => `${held ? "" : "not so: "}${text}`).join("; ")}.`,
  };
}

/** One hidden layer with laws over its weights: the paper's mixture of a wide and a narrow normal law as the prior. */
function bayesNetwork(estimator, features, hidden) {
  const options = { estimator, prior: { pi: 0.5, sigma1: 1, sigma2: Math.exp(-6) } };
  return sequential(bayesLinear(features, hidden, options), relu(), bayesLinear(hidden, CLASSES, options));
}

/** Of the likelihood's gradient by all means, summed over them, over draws of the noise on one minibatch. */
function gradientVariance(network, params, dataset, key, draws) {
  const { loss, batch, noise } = classification(network, dataset);
  const indices = Uint32Array.from({ length: BATCH }, (_, i) => i);
  const gradient = compile((p, b, n) => {
    const [value, g] = valueAndGradient(loss)(p, b, n);
    value.dispose();
    const means = [g[0].weight.mu.ref, g[2].weight.mu.ref];
    disposeTree(g);
    return means;
  });
  const sums = [];
  for (let tick = 0; tick < draws; tick++) {
    const means = gradient(refTree(params), batch(indices, 0), draw(noise(BATCH), key.child("gradient"), tick));
    means.map(values).forEach((g, layer) => {
      sums[layer] ??= { first: new Float64Array(g.length), second: new Float64Array(g.length) };
      for (let i = 0; i < g.length; i++) {
        sums[layer].first[i] += g[i] / draws;
        sums[layer].second[i] += (g[i] * g[i]) / draws;
      }
    });
  }
  gradient.dispose();
  return sums.reduce(
    (sum, { first, second }) => sum + second.reduce((s, m, i) => s + (m - first[i] ** 2) * (draws / (draws - 1)), 0),
    0,
  );
}

function scores(predicted, { inputs, labels }, outside) {
  const p = predicted(inputs);
  return {
    accuracy: accuracy(p, labels, CLASSES),
    nll: nll(p, labels, CLASSES),
    ece: ece(p, labels, CLASSES),
    entropy: predictiveEntropy(p, CLASSES),
    outside: predictiveEntropy(predicted(outside.inputs), CLASSES),
  };
}

await main(import.meta.url, run);
