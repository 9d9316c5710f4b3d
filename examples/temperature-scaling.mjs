// Temperature scaling (Guo et al. 2017): a network trained until it is sure of everything, before and after one number is fitted.
import {
  accuracy,
  classification,
  ece,
  fitTemperature,
  init,
  Key,
  linear,
  nll,
  predict,
  probabilities,
  reliability,
  relu,
  sequential,
  train,
} from "brownian/learn";
import { interval, main } from "./experiment.mjs";
import { mnist } from "./mnist.mjs";

// Few digits and many epochs: the training error is 0 long before the end, and the network goes on getting surer.
const SIZES = {
  full: { seeds: [1, 2, 3, 4, 5], trained: 2000, heldOut: 2000, test: 10_000, hidden: 100, epochs: 20, better: 2 },
  small: { seeds: [1, 2], trained: 500, heldOut: 1000, test: 2000, hidden: 50, epochs: 40, better: 1.5 },
};
const BINS = 15;

/**
 * @param {"full" | "small"} size
 * @param {(share: number, what: string) => void} progress
 * @returns {Promise<import("./experiment.mjs").Experiment>}
 */
export async function run(size, progress) {
  await init();
  const { seeds, trained, heldOut, test: tested, hidden, epochs, better } = SIZES[size];
  const digits = mnist({ train: seeds.length * trained + heldOut, test: tested });
  const { features, classes } = digits.test;
  // Held-out digits are the same for all seeds, each seed trains on its own.
  const part = (first, n) => ({
    ...digits.train,
    inputs: digits.train.inputs.subarray(first * features, (first + n) * features),
    labels: digits.train.labels.subarray(first, first + n),
  });
  const validation = part(seeds.length * trained, heldOut);
  const steps = epochs * Math.floor(trained / 64);
  const all = [];
  for (const [i, seed] of seeds.entries()) {
    const network = sequential(linear(features, hidden), relu(), linear(hidden, classes));
    const key = new Key(BigInt(seed)).child("temperature-scaling");
    const { params } = await train({
      ...classification(network, part(i * trained, trained)),
      key,
      params: network.init(key.child("init")),
      steps,
      rate: 5e-3,
      onStep: (step) => progress((i + step / steps) / seeds.length, `seed ${seed}`),
    });
    const fit = fitTemperature(predict(network, params, validation.inputs, features), validation.labels, classes);
    const logits = predict(network, params, digits.test.inputs, features);
    const at = (temperature) => {
      const p = probabilities(logits, classes, temperature);
      const of = (measure) => measure(p, digits.test.labels, classes);
      return { accuracy: of(accuracy), ece: of(ece), nll: of(nll), bins: reliability(p, digits.test.labels, classes, BINS) };
    };
    all.push({ fit, before: at(1), after: at(fit.temperature) });
  }
  const row = (name, when) => [
    name,
    ...["accuracy", "ece", "nll"].map((measure) => interval(all.map((run) => run[when][measure]))),
    when === "before" ? "1" : interval(all.map((run) => run.fit.temperature)),
  ];
  const [before, after] = [row("before", "before"), row("after", "after")];
  const same = all.every((run) => run.before.accuracy === run.after.accuracy);
  const factor = before[2].mean / after[2].mean;
  return {
    title: "Temperature scaling: honest probabilities for one number",
    paper: "Guo, Pleiss, Sun & Weinberger 2017, On Calibration of Modern Neural Networks",
    claim: `One temperature, fitted on held-out digits, lowers the calibration error of an over-confident network (here by a factor of ${better} or more) and changes no answer.`,
    columns: ["", "accuracy", "ECE", "NLL (nats)", "T"],
    rows: [before, after],
    seeds,
    reproduced: same && factor >= better,
    verdict: `ECE falls from ${(100 * before[2].mean).toFixed(2)} % to ${(100 * after[2].mean).toFixed(2)} %, a factor of ${factor.toFixed(1)}; the accuracy ${same ? "is the same to the last digit" : "changes"}.`,
    plots: [
      {
        title: "Reliability: accuracy against confidence",
        x: "confidence",
        y: "accuracy",
        series: [
          { name: "before", points: diagram(all.map((run) => run.before.bins)) },
          { name: "after", points: diagram(all.map((run) => run.after.bins)) },
          { name: "honest", points: [0.2, 1].map((x) => ({ x, y: x })) },
        ],
      },
    ],
  };
}

/** The mean reliability diagram of several runs, without bins that hold less than a fiftieth of a percent. */
function diagram(runs) {
  const total = runs.flat().reduce((sum, bin) => sum + bin.count, 0);
  return runs[0].flatMap((_, b) => {
    const bins = runs.map((bins) => bins[b]).filter((bin) => bin.count > 0);
    const count = bins.reduce((sum, bin) => sum + bin.count, 0);
    if (count < total / 5000) return [];
    const mean = (of) => bins.reduce((sum, bin) => sum + bin.count * bin[of], 0) / count;
    return [{ x: mean("confidence"), y: mean("accuracy") }];
  });
}

await main(import.meta.url, run);
