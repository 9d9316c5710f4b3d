// Exploration by noise on weights: NoisyNet (Fortunato et al. 2018) and adaptive parameter noise (Plappert et al. 2018) beside random
// actions, in Deep Sea of bsuite (Osband et al. 2020), with the same network, learning and number of episodes.
import { epsilonDistance, init, Key, linear, noisyLinear, relu, sequential } from "brownian/learn";
import { dqn } from "./dqn.mjs";
import { DeepSea } from "./environments/deep-sea.mjs";
import { interval, main } from "./experiment.mjs";

const SIZES = {
  full: { size: 10, seeds: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10], episodes: 1000 },
  small: { size: 4, seeds: [1, 2, 3], episodes: 100 },
};
const HIDDEN = 20;
/** The same for all: an Adam rate, steps of the world between two lessons. Chosen on other worlds than those of the seeds above. */
const LEARNING = { rate: 2e-3, learnEvery: 2 };
/** Chance of a random action: bsuite's; and the share of episodes in which it falls to this from 1, where it does. */
const EPSILON = 0.05;
const ANNEALED = 0.2;
/** sigma_0 of noisyLinear. The paper's 0.5 was too little here. */
const SIGMA_0 = 1;
/** Where parameter noise begins (it is steered from there), and as how much random action it should count. */
const ADAPTIVE = { sigma: 0.05, epsilon: 0.1 };
const TREASURE = 0.5; // returns above had it

/**
 * @param {"full" | "small"} size
 * @param {(share: number, what: string) => void} progress
 * @returns {Promise<import("./experiment.mjs").Experiment>}
 */
export async function run(size, progress) {
  await init();
  const { size: n, seeds, episodes } = SIZES[size];
  const makeWorlds = () => seeds.map((seed) => new DeepSea(n, seed));
  // Observations are one 1 among zeros. Scaled to mean square 1, so that one input's noise (sigma_0 / sqrt(inputs)) counts as it does among
  // dense inputs.
  const scaled = { init: () => ({}), noise: () => ({}), apply: (_, x) => x.mul(n) };
  const plain = (inputs, actions) => sequential(scaled, linear(inputs, HIDDEN), relu(), linear(HIDDEN, actions));
  const noisy = (inputs, actions) =>
    sequential(scaled, noisyLinear(inputs, HIDDEN, { sigma: SIGMA_0 }), relu(), noisyLinear(HIDDEN, actions, { sigma: SIGMA_0 }));
  const ways = {
    "epsilon-greedy, 0.05": { network: plain, epsilon: () => EPSILON },
    "epsilon-greedy, 1 to 0.05": {
      network: plain,
      epsilon: (share) => Math.max(EPSILON, 1 - (share / ANNEALED) * (1 - EPSILON)),
    },
    NoisyNet: { network: noisy, redraw: "episode" },
    "adaptive parameter noise": {
      network: plain,
      adaptive: { sigma: ADAPTIVE.sigma, target: epsilonDistance(ADAPTIVE.epsilon, 2) },
    },
  };
  const found = {};
  for (const [i, [name, exploration]] of Object.entries(ways).entries()) {
    found[name] = await dqn(makeWorlds, exploration, {
      key: new Key(7n).child("deep-sea").child(name),
      episodes,
      ...LEARNING,
      onEpisode: (episode) => progress((i + episode / episodes) / Object.keys(ways).length, name),
    });
  }
  const all = seeds.length;
  const summary = (name) => {
    const { returns, still, sigma } = found[name];
    const treasures = returns.map((path) => path.filter((r) => r > TREASURE).length);
    const first = returns.map((path) => path.findIndex((r) => r > TREASURE));
    return {
      finders: treasures.filter((count) => count > 0).length,
      solved: still.filter((path) => path.at(-1) > TREASURE).length,
      median: median(first.map((episode) => (episode < 0 ? Infinity : episode + 1))),
      share: interval(treasures.map((count) => count / episodes)),
      sigma: interval(sigma.map((path) => path.at(-1))),
    };
  };
  const names = Object.keys(ways);
  const of = Object.fromEntries(names.map((name) => [name, summary(name)]));
  const cells = (name) => [
    name,
    `${of[name].finders} of ${all}`,
    `${of[name].solved} of ${all}`,
    of[name].median === Infinity ? "never" : of[name].median,
    of[name].share,
  ];
  const [epsilon, annealed, net, adaptive] = names.map((name) => of[name]);
  const [p, pAdaptive] = [net, adaptive].map(({ finders }) => fisher(finders, epsilon.finders, all));
  return {
    title: `Exploring by moving weights: Deep Sea, N = ${n}`,
    paper:
      "Fortunato et al. 2018, Noisy Networks for Exploration; Plappert et al. 2018, Parameter Space Noise for Exploration; Osband et al. 2020, bsuite",
    claim: `In ${episodes} episodes agents that explore by noise on their weights (NoisyNet) find the treasure, which one of 2^${n} courses leads to, where random actions (epsilon 0.05, as in bsuite) do not (one-sided Fisher test at 5 %). "Has it at the end": the greedy policy without noise.`,
    columns: ["exploration", "found it", "has it at the end", "first found (median)", "episodes with treasure"],
    rows: names.map(cells),
    seeds,
    reproduced: p < 0.05,
    verdict: `NoisyNet found the treasure in ${net.finders} of ${all} worlds and epsilon-greedy in ${epsilon.finders} (p = ${p.toPrecision(2)}); with epsilon falling from 1 it was found in ${annealed.finders} (p = ${fisher(net.finders, annealed.finders, all).toPrecision(2)} against that). Adaptive parameter noise: **${pAdaptive < 0.05 ? "reproduced" : "not reproduced"}**, ${adaptive.finders} of ${all} (p = ${pAdaptive.toPrecision(2)}; its sigma ended at ${adaptive.sigma.mean.toFixed(2)}).`,
    plots: [
      {
        title: "Worlds in which the treasure was found",
        x: "episode",
        y: "worlds",
        series: names.map((name) => ({ name, points: discovered(found[name].returns, episodes) })),
      },
    ],
  };
}

/** In how many worlds the treasure had been found by an episode. */
function discovered(returns, episodes) {
  const first = returns.map((path) => path.findIndex((r) => r > TREASURE));
  return Array.from({ length: 21 }, (_, i) => {
    const x = Math.round((i * episodes) / 20);
    return { x, y: first.filter((episode) => episode >= 0 && episode < x).length };
  });
}

/** The middle world's value, the later one of two. */
function median(values) {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
}

/**
 * Fisher's exact test, one-sided: the chance of `a` or more of the a + b finders among the first n of 2n worlds if it made no difference.
 */
export function fisher(a, b, n) {
  const choose = (n, k) => Array.from({ length: k }, (_, i) => (n - i) / (i + 1)).reduce((x, y) => x * y, 1);
  let p = 0;
  for (let k = a; k <= Math.min(n, a + b); k++)
    if (a + b - k <= n) p += (choose(n, k) * choose(n, a + b - k)) / choose(2 * n, a + b);
  return p;
}

await main(import.meta.url, run);
