// Noise on the weights while they are learned (An 1996; Graves 2011), and what it does for a network whose quantized weights are moved afterwards: MNIST,
// Q8_0 blocks, `perturb`.
import {
  accuracy,
  classification,
  cosine,
  denseWeights,
  disposeTree,
  init,
  Key,
  linear,
  MovingNetwork,
  predict,
  probabilities,
  relu,
  sequential,
  tensor,
  train,
  weightNoise,
} from "brownian/learn";
import { interval, main } from "./experiment.mjs";
import { CLASSES, halved, mnist } from "./mnist.mjs";

const SIZES = {
  full: { seeds: [1, 2, 3], train: 60_000, test: 10_000, hidden: 100, steps: 1870, draws: 3 },
  small: { seeds: [1, 2], train: 1000, test: 300, hidden: 24, steps: 150, draws: 2 },
};
const BATCH = 128;
const RATE = 3e-3;
/** Of the moves that the trained network is put to, in units of each tensor's RMS. */
const SIGMAS = [0, 0.25, 0.5, 0.75, 1, 1.5];

export async function run(size = "full", progress = () => {}) {
  await init();
  const { seeds, hidden, steps, draws, ...counts } = SIZES[size];
  const digits = mnist(counts);
  const [learned, test] = [halved(digits.train), halved(digits.test)];
  const network = sequential(linear(test.features, hidden), relu(), linear(hidden, CLASSES));
  // Noise that is there from the first step keeps a network from learning at all when it is loud: it rises over the first half.
  const ramp = (sigma) => (step) => sigma * Math.min(1, step / (steps / 2));
  const trainings = [
    { name: "none", network },
    { name: "sigma 0.5", network: weightNoise(network, { sigma: ramp(0.5) }) },
    { name: "sigma 1", network: weightNoise(network, { sigma: ramp(1) }) },
  ];
  const scores = trainings.map(() => SIGMAS.map(() => []));
  for (const [s, seed] of seeds.entries()) {
    for (const [n, training] of trainings.entries()) {
      const key = new Key(BigInt(seed));
      const { params } = await train({
        ...classification(training.network, learned),
        params: training.network.init(key),
        key,
        steps,
        batchSize: BATCH,
        rate: cosine(RATE, 0, steps),
        onStep: (step) =>
          progress(
            (s + (n + step / steps) / trainings.length) / seeds.length,
            `noise in training: ${training.name}, seed ${seed}`,
          ),
      });
      const moving = new MovingNetwork(denseWeights(params), test.features);
      disposeTree(params);
      for (const [i, sigma] of SIGMAS.entries()) {
        const members = sigma === 0 ? 1 : draws;
        let sum = 0;
        for (let tick = 0; tick < members; tick++) {
          moving.move({ sigma, seed: BigInt(seed), tick });
          sum += accuracy(movedProbabilities(network, moving, test), test.labels, CLASSES);
        }
        scores[n][i].push(sum / members);
      }
    }
  }
  const intervals = scores.map((row) => row.map(interval));
  // Decided where the move is as loud as the weights, between networks of one seed.
  const where = SIGMAS.indexOf(1);
  const gains = scores.map((row) => interval(row[where].map((value, seed) => value - scores[0][where][seed])));
  const best = gains.reduce((b, gain, n) => (gain.mean > gains[b].mean ? n : b), 1);
  const percent = (value) => `${(100 * value).toFixed(1)} %`;
  return {
    title: "Weight noise in training: networks that bear being moved",
    paper:
      'An 1996, "The effects of adding noise during backpropagation training on a generalization performance"; Graves 2011, "Practical variational inference for neural networks"',
    claim: `A network that learned with noise on its weights keeps more of its accuracy when its Q8_0 weights are moved (matched rounding, sigma in units of each tensor's RMS; mean of ${draws} draws).`,
    columns: ["noise in training", ...SIGMAS.map((sigma) => (sigma === 0 ? "accuracy, unmoved" : `moved by ${sigma}`))],
    rows: trainings.map(({ name }, n) => [name, ...intervals[n]]),
    seeds,
    reproduced: gains[best].mean > gains[best].half,
    verdict: `moved by ${SIGMAS[where]}, ${percent(intervals[0][where].mean)} without noise in training and ${percent(intervals[best][where].mean)} with ${trainings[best].name} (${percent(gains[best].mean)} ± ${percent(gains[best].half)} more on one seed); unmoved, ${percent(intervals[0][0].mean)} and ${percent(intervals[best][0].mean)}.`,
    plots: [
      {
        title: "Accuracy of a moved network",
        x: "sigma of the move (RMS)",
        y: "accuracy",
        series: trainings.map(({ name }, n) => ({
          name: `noise in training: ${name}`,
          points: SIGMAS.map((x, i) => ({ x, y: intervals[n][i].mean, half: intervals[n][i].half })),
        })),
      },
    ],
  };
}

/** What the network predicts with the weights as they were moved to. */
function movedProbabilities(network, moving, { inputs, features }) {
  const [first, last] = moving.weights().map(({ weight, bias }) => ({
    weight: tensor(weight, [bias.length, weight.length / bias.length]),
    bias: tensor(bias),
  }));
  const params = [first, {}, last];
  const p = probabilities(predict(network, params, inputs, features), CLASSES);
  disposeTree(params);
  return p;
}

await main(import.meta.url, run);
