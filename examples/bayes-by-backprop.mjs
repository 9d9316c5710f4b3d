// Bayes by Backprop (Blundell et al. 2015) on 10,000 digits of MNIST at half the resolution, which a plain network comes to know too well: accuracy, calibration, what it says about rotated digits; pruning by signal-to-noise
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
  full: { seeds: [1, 2, 3], train: 10_000, test: 10_000, hidden: 64, steps: 2000, members: 10, gradients: 400 },
  small: { seeds: [1, 2], train: 1000, test: 300, hidden: 16, steps: 120, members: 3, gradients: 30 },
};
const BATCH = 128;
const RATE = 3e-3;
/**
 * Of the posterior: the paper's, and a cold one (Wenzel et al. 2020). Predictions and pruning are judged by the cold one; the gradient by the paper's, whose
 * laws are wide enough for noise to matter.
 */
const TEMPERATURES = [1, 0.1];
const COLD = 1;
const PRUNED = [0.5, 0.75, 0.9];
const ESTIMATORS = ["weights", "flipout", "local"];
const LOCAL = 2;

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
  const bayesRuns = TEMPERATURES.map(() => []);
  const atRest = [];
  const pruned = PRUNED.map(() => []);
  const variances = TEMPERATURES.map(() => ESTIMATORS.map(() => []));
  const parts = 1 + 4 * TEMPERATURES.length; // of a seed's time
  for (const [s, seed] of seeds.entries()) {
    const key = new Key(BigInt(seed));
    const report = (name, from, length) => (step) =>
      progress((s + (from + (length * step) / steps) / parts) / seeds.length, `${name}, seed ${seed}`);
    const common = { key, steps, batchSize: BATCH, rate: RATE };
    const atOnce = (network, params) => (inputs) => probabilities(predict(network, params, inputs, features), CLASSES);
    const point = await train({
      ...classification(plain, learned),
      ...common,
      params: plain.init(key),
      onStep: report("plain network", 0, 1),
    });
    plainRuns.push(scores(atOnce(plain, point.params), test, outside));
    disposeTree(point.params);

    for (const [t, temperature] of TEMPERATURES.entries()) {
      const { params } = await train({
        ...bayesByBackprop(bayes, learned, { temperature }),
        ...common,
        params: bayes.init(key),
        onStep: report(`Bayes by Backprop, T = ${temperature}`, 1 + 4 * t, 3),
      });
      const drawn = (inputs) => {
        const member = (tick) => predict(bayes, params, inputs, features, { key: key.child("ensemble"), tick });
        return ensemble(Array.from({ length: members }, (_, tick) => probabilities(member(tick), CLASSES)));
      };
      bayesRuns[t].push(scores(drawn, test, outside));
      if (t === COLD) {
        atRest.push(scores(atOnce(bayes, params), test, outside));
        for (const [i, share] of PRUNED.entries()) {
          const left = prunedBySignalToNoise(params, share);
          pruned[i].push(accuracy(atOnce(bayes, left)(test.inputs), test.labels, CLASSES));
          disposeTree(left);
        }
      }
      for (const [i, estimator] of ESTIMATORS.entries()) {
        variances[t][i].push(gradientVariance(bayesNetwork(estimator, features, hidden), params, learned, key, gradients));
        const done = (steps * (i + 1)) / ESTIMATORS.length;
        report(`variance of the gradient, ${estimator}`, 4 + 4 * t, 1)(done);
      }
      disposeTree(params);
    }
  }

  const table = (runs) => Object.keys(runs[0]).map((score) => interval(runs.map((r) => r[score])));
  const mean = (values) => interval(values).mean;
  const get = (runs, score) => mean(runs.map((r) => r[score]));
  const blank = Array(4).fill("");
  /** Of the variances under two estimators, on the network of one seed. */
  const ratio = (t, a, b) => interval(variances[t][a].map((v, seed) => v / variances[t][b][seed]));
  const rows = [
    ["plain network", ...table(plainRuns), ""],
    ...TEMPERATURES.map((T, t) => [`Bayes by Backprop, T = ${T}, ${members} draws`, ...table(bayesRuns[t]), ""]),
    [`T = ${TEMPERATURES[COLD]}, means`, ...table(atRest), ""],
    ...PRUNED.map((share, i) => [
      `T = ${TEMPERATURES[COLD]}, means, ${100 * share} % of the weights pruned`,
      interval(pruned[i]),
      ...blank,
      "",
    ]),
    ...TEMPERATURES.flatMap((T, t) =>
      ESTIMATORS.map((estimator, i) => [`T = ${T}, gradient, ${estimator}`, ...blank, "", i === LOCAL ? 1 : ratio(t, i, LOCAL)]),
    ),
  ];
  /** How a fit compares with the plain networks of the same seeds. */
  const compared = (runs) => {
    const loss = 100 * (get(plainRuns, "accuracy") - get(runs, "accuracy"));
    const [a, b] = [get(runs, "ece"), get(plainRuns, "ece")];
    const [c, d] = [get(runs, "outside"), get(plainRuns, "outside")];
    return [
      { held: loss <= 0.5, text: `accuracy ${loss.toFixed(2)} points below the plain network's` },
      { held: a < b, text: `ECE ${format(a)} against ${format(b)}` },
      { held: c > d, text: `entropy on rotated digits ${format(c)} against ${format(d)}` },
    ];
  };
  const claims = [
    ...compared(bayesRuns[COLD]),
    {
      held: mean(pruned[0]) > get(atRest, "accuracy") - 0.005,
      text: `accuracy with half the weights ${format(mean(pruned[0]))}, with all ${format(get(atRest, "accuracy"))}`,
    },
  ];
  const variance = TEMPERATURES.map((T, t) => {
    const [first, second] = [ratio(t, 0, 1), ratio(t, 1, LOCAL)];
    return {
      held: first.mean - first.half > 1 && second.mean - second.half > 1,
      text: `variance of the gradient at T = ${T} under weights ${format(first)} times Flipout's, under Flipout ${format(second)} times local's`,
    };
  });
  const told = (list) => list.map(({ held, text }) => `${held ? "" : "not so: "}${text}`).join("; ");
  return {
    title: "Bayes by Backprop: weights that know how sure they are",
    paper:
      'Blundell et al. 2015, "Weight Uncertainty in Neural Networks"; Kingma et al. 2015, local reparameterization; Wen et al. 2018, Flipout',
    claim: `Accuracy within 0.5 % of the plain network's, better calibrated, less sure of what it has not seen; half the weights can go; the gradient's variance falls from weights to Flipout to local. Here with the KL divergence weighed by T = ${TEMPERATURES[COLD]}, but for the gradient.`,
    columns: [
      "network",
      "accuracy",
      "NLL (nats)",
      "ECE",
      "entropy (nats)",
      "entropy, rotated by 90°",
      "variance of the gradient (local: 1)",
    ],
    rows,
    seeds,
    plots: [
      {
        title: `Accuracy without the weights of least |mu| / sigma, T = ${TEMPERATURES[COLD]}`,
        x: "share of the weights pruned",
        y: "accuracy",
        series: [
          {
            name: "means",
            points: [[0, atRest.map((run) => run.accuracy)], ...PRUNED.map((share, i) => [share, pruned[i]])].map(
              ([x, runs]) => ({
                x,
                y: interval(runs).mean,
                half: interval(runs).half,
              }),
            ),
          },
        ],
      },
    ],
    reproduced: [...claims, variance[0]].every(({ held }) => held),
    verdict: `${told(claims)}. At T = 1, the paper's: ${told(compared(bayesRuns[0]))}. ${told(variance)}.`,
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
