// Moving weights at inference (this project): one trained network as 8-bit blocks, and the ensemble of what its weights become when they
// move, beside Monte Carlo dropout (Gal & Ghahramani 2016) and the network at rest. How good, how honest, and how well each knows what is
// no digit.
import {
  accuracy,
  auroc,
  classification,
  denseWeights,
  dropout,
  ece,
  ensemble,
  init,
  Key,
  linear,
  MovingNetwork,
  movedEnsemble,
  nll,
  predict,
  predictiveEntropies,
  probabilities,
  relu,
  sequential,
  train,
} from "brownian/learn";
import { interval, main } from "./experiment.mjs";
import { fashion, mnist, rotated } from "./mnist.mjs";

const SIZES = {
  full: {
    seeds: [1, 2, 3],
    trained: 10_000,
    heldOut: 1000,
    tested: 1000,
    hidden: 100,
    steps: 1500,
    members: 16,
    sigmas: [0.1, 0.2, 0.3, 0.5],
  },
  small: { seeds: [1, 2], trained: 2000, heldOut: 500, tested: 500, hidden: 50, steps: 200, members: 4, sigmas: [0.2, 0.5] },
};
const DROPOUT = 0.2;
const DEGREES = 90;

/**
 * @param {"full" | "small"} size
 * @param {(share: number, what: string) => void} progress
 * @returns {Promise<import("./experiment.mjs").Experiment>}
 */
export async function run(size, progress) {
  await init();
  const { seeds, trained, heldOut, tested, hidden, steps, members, sigmas } = SIZES[size];
  const digits = mnist({ train: trained + heldOut, test: tested });
  const { features, classes } = digits.test;
  const first = (n) => ({
    ...digits.train,
    inputs: digits.train.inputs.subarray(0, n * features),
    labels: digits.train.labels.subarray(0, n),
  });
  const held = { inputs: digits.train.inputs.subarray(trained * features), labels: digits.train.labels.subarray(trained) };
  const clothes = fashion(tested);
  const outOfDistribution = {
    turned: rotated(digits.test, DEGREES).inputs,
    ...(clothes === null ? {} : { clothes: clothes.inputs }),
  };

  const measure = (of) => {
    const p = of(digits.test.inputs);
    const known = predictiveEntropies(p, classes);
    const knows = Object.entries(outOfDistribution).map(([name, inputs]) => [
      name,
      auroc(predictiveEntropies(of(inputs), classes), known),
    ]);
    const score = (f) => f(p, digits.test.labels, classes);
    return { accuracy: score(accuracy), nll: score(nll), ece: score(ece), ...Object.fromEntries(knows) };
  };

  const runs = [];
  for (const [i, seed] of seeds.entries()) {
    const key = new Key(BigInt(seed)).child("moving-weights");
    const network = sequential(linear(features, hidden), relu(), dropout(DROPOUT, hidden), linear(hidden, classes));
    const part = (share, what) => progress((i + share) / seeds.length, `seed ${seed}: ${what}`);
    const { params } = await train({
      ...classification(network, first(trained)),
      key,
      params: network.init(key.child("init")),
      steps,
      onStep: (step) => part((0.4 * step) / steps, "training"),
    });
    const still = new MovingNetwork(denseWeights(params), features);
    const found = {
      "float32, at rest": measure((inputs) => probabilities(predict(network, params, inputs, features), classes)),
      "8 bits, at rest": measure((inputs) => probabilities(still.logits(inputs), classes)),
    };
    part(0.45, "dropout");
    found["Monte Carlo dropout"] = measure((inputs) =>
      ensemble(
        Array.from({ length: members }, (_, tick) =>
          probabilities(predict(network, params, inputs, features, { key: key.child("mc"), tick }), classes),
        ),
      ),
    );
    const moved = (sigma) => (inputs) => movedEnsemble(still, inputs, { members, sigma, seed: BigInt(seed) });
    // Sigma is chosen on held-out digits: the one with the least negative log-likelihood.
    const nlls = sigmas.map((sigma) => nll(moved(sigma)(held.inputs), held.labels, classes));
    const best = sigmas[nlls.indexOf(Math.min(...nlls))];
    for (const [s, sigma] of sigmas.entries()) {
      part(0.6 + (0.4 * s) / sigmas.length, `sigma ${sigma}`);
      found[movingName(sigma)] = measure(moved(sigma));
    }
    runs.push({ found, best });
  }
  const measures = ["accuracy", "nll", "ece", ...Object.keys(outOfDistribution)];
  const over = (name, of) => interval(runs.map(({ found }) => found[name][of]));
  const names = Object.keys(runs[0].found);
  const rest = "8 bits, at rest";
  /** Seed by seed, how much more than the network at rest. */
  const more = (pick) => (of) => interval(runs.map((run) => run.found[pick(run)][of] - run.found[rest][of]));
  const [chosen, loudest, dropped] = [
    more(({ best }) => movingName(best)),
    more(() => movingName(sigmas.at(-1))),
    more(() => "Monte Carlo dropout"),
  ];
  const [gain, loss] = [chosen("turned"), chosen("accuracy")];
  const percent = ({ mean, half }, digits = 2) => `${(100 * mean).toFixed(digits)} % ± ${(100 * half).toFixed(digits)} %`;
  const column = {
    accuracy: "accuracy",
    nll: "NLL (nats)",
    ece: "ECE",
    turned: `AUROC, digits turned by ${DEGREES}°`,
    clothes: "AUROC, clothes",
  };
  return {
    title: "Moving weights at inference: an ensemble out of one network",
    paper: "This project",
    claim: `An ensemble of ${members} draws of one network's moving 8-bit weights (sigma in units of RMS; chosen by the likelihood of held-out digits) tells turned digits from digits better than the network at rest, at the price of less than 0.5 % of accuracy.`,
    columns: ["", ...measures.map((m) => column[m])],
    rows: [
      ...names.map((name) => [name, ...measures.map((m) => over(name, m))]),
      [`sigma chosen (${runs.map((run) => run.best).join(", ")}), more than at rest`, ...measures.map(chosen)],
      [`sigma ${sigmas.at(-1)}, more than at rest`, ...measures.map(loudest)],
      ["Monte Carlo dropout, more than at rest", ...measures.map(dropped)],
    ],
    seeds,
    reproduced: gain.mean - gain.half > 0 && loss.mean > -0.005,
    verdict: `with the sigma that is likeliest, AUROC on turned digits changes by ${percent(gain)} and accuracy by ${percent(loss)}; at sigma ${sigmas.at(-1)} by ${percent(loudest("turned"))} and ${percent(loudest("accuracy"))}; under Monte Carlo dropout by ${percent(dropped("turned"))} and ${percent(dropped("accuracy"))}.${clothes === null ? " (No clothes: Debian's dataset-fashion-mnist is not installed.)" : ""}`,
    plots: [
      {
        title: "Knowing what is no digit",
        x: "sigma (RMS)",
        y: "AUROC",
        series: Object.keys(outOfDistribution).map((name) => path(name, name)),
      },
      { title: "Accuracy of the ensemble", x: "sigma (RMS)", y: "accuracy", series: [path("accuracy", "accuracy")] },
    ],
  };

  function path(name, of) {
    return {
      name,
      points: [0, ...sigmas].map((sigma) => {
        const { mean, half } = over(sigma === 0 ? rest : movingName(sigma), of);
        return { x: sigma, y: mean, half };
      }),
    };
  }
}

const movingName = (sigma) => `moving, sigma ${sigma}`;

await main(import.meta.url, run);
