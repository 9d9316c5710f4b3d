// An ensemble of networks from one run of stochastic gradient Langevin dynamics (Welling & Teh 2011; preconditioned: Li et al. 2016): MNIST, networks of
// one hidden layer, the parameters kept every so many steps of the second half.
import {
  accuracy,
  disposeTree,
  ece,
  ensemble,
  init,
  Key,
  linear,
  nll,
  posterior,
  preconditionedSgld,
  predict,
  predictiveEntropy,
  probabilities,
  refTree,
  relu,
  sequential,
  sgd,
  sgld,
  train,
} from "brownian/learn";
import { interval, main } from "./experiment.mjs";
import { CLASSES, FEATURES, mnist, rotated } from "./mnist.mjs";

const SIZES = {
  full: { seeds: [1, 2, 3], train: 60_000, test: 10_000, hidden: 100, steps: 2000, members: 20 },
  small: { seeds: [1, 2], train: 1000, test: 300, hidden: 16, steps: 200, members: 5 },
};
const BATCH = 64;
/** Of the mean loss; the energy sums over the examples, and moves by half its rate. */
const RATE = 0.2;
/** Of the preconditioned steps. */
const PRECONDITIONED = 2e-3;

export async function run(size = "full", progress = () => {}) {
  await init();
  const { seeds, hidden, steps, members, ...counts } = SIZES[size];
  const digits = mnist(counts);
  const N = counts.train;
  const outside = rotated(digits.test, 90);
  const network = sequential(linear(FEATURES, hidden), relu(), linear(hidden, CLASSES));
  const energy = posterior(network, digits.train, { priorSigma: 0.1 });
  const methods = [
    { name: "SGD", optimizer: sgd(), rate: (t) => (RATE / N) * (t < steps / 2 ? 1 : 0.1) }, // a point, for which the rate falls at last
    { name: "SGLD", optimizer: sgld(), rate: (2 * RATE) / N },
    { name: "preconditioned SGLD", optimizer: preconditionedSgld({ examples: N }), rate: (2 * PRECONDITIONED) / N },
  ];
  const found = new Map();
  const sizes = new Map();
  for (const [s, seed] of seeds.entries()) {
    for (const [m, { name, optimizer, rate }] of methods.entries()) {
      const key = new Key(BigInt(seed));
      const kept = [];
      const { params } = await train({
        ...energy,
        params: network.init(key),
        optimizer,
        rate,
        steps,
        key,
        batchSize: BATCH,
        onStep(step, _loss, now) {
          progress((s + (m + step / steps) / methods.length) / seeds.length, `${name}, seed ${seed}`);
          if (name !== "SGD" && step > steps / 2 && (steps - step) % Math.floor(steps / 2 / members) === 0)
            kept.push(refTree(now));
        },
      });
      const all = (inputs) => kept.map((member) => probabilities(predict(network, member, inputs, FEATURES), CLASSES));
      const last = (inputs) => probabilities(predict(network, params, inputs, FEATURES), CLASSES);
      const note = (what, predicted) => found.set(what, [...(found.get(what) ?? []), scores(predicted, digits.test, outside)]);
      note(name === "SGD" ? "SGD, the last network" : `${name}, the last network`, last);
      if (kept.length > 0) {
        note(`${name}, ensemble of ${kept.length}`, (inputs) => ensemble(all(inputs)));
        const predicted = all(digits.test.inputs);
        const bySize = sizes.get(name) ?? kept.map(() => []);
        sizes.set(name, bySize);
        bySize.forEach((runs, n) => {
          runs.push(nll(ensemble(predicted.slice(0, n + 1)), digits.test.labels, CLASSES));
        });
      }
      for (const member of [...kept, params]) disposeTree(member);
    }
  }
  const rows = [...found].map(([name, runs]) => [
    name,
    ...Object.keys(runs[0]).map((score) => interval(runs.map((r) => r[score]))),
  ]);
  const mean = (name, score) => interval(found.get([...found.keys()].find((k) => k.startsWith(name))).map((r) => r[score])).mean;
  const better = ["SGLD", "preconditioned SGLD"].map((name) => {
    const [nlls, eces] = ["nll", "ece"].map((score) => [mean(`${name}, the last`, score), mean(`${name}, ensemble`, score)]);
    return { name, nll: nlls, ece: eces };
  });
  const sgdNll = mean("SGD", "nll");
  return {
    title: "SGLD: an ensemble from one run on MNIST",
    paper: 'Welling & Teh 2011, "Bayesian Learning via Stochastic Gradient Langevin Dynamics"; Li et al. 2016, preconditioned',
    claim:
      "The parameters that Langevin dynamics passes through are samples of the posterior: averaging their predictions beats any one of them.",
    columns: ["method", "accuracy", "NLL (nats)", "ECE", "entropy (nats)", "entropy, rotated by 90°"],
    rows,
    seeds,
    plots: [
      {
        title: "NLL of an ensemble by its size",
        x: "networks of one run",
        y: "NLL (nats)",
        series: [...sizes].map(([name, bySize]) => ({
          name,
          points: bySize.map((runs, i) => ({ x: i + 1, y: interval(runs).mean, half: interval(runs).half })),
        })),
      },
    ],
    reproduced: better.every(({ nll: [one, many] }) => many < one),
    verdict: `${better
      .map(
        ({ name, nll, ece }) =>
          `${name}: NLL ${nll[0].toFixed(4)} for one network and ${nll[1].toFixed(4)} for the ensemble, ECE ${ece[0].toFixed(4)} and ${ece[1].toFixed(4)}${ece[1] > ece[0] ? " (the ensemble is less sure than it is right)" : ""}`,
      )
      .join("; ")}; NLL of SGD ${sgdNll.toFixed(4)}.`,
  };
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
