// Stochastic gradient Langevin dynamics on a posterior of two parameters whose density is known (Welling & Teh 2011, section 5.1): many chains at
// once, each with minibatches of its own, against the density on a grid.
import { init, jax, Key, polynomial, preconditionedSgld, sgd, sgld, tensor, train, values } from "brownian/learn";
import { interval, main } from "./experiment.mjs";

// x is from N(theta1, 2) or N(theta1 + theta2, 2), with probability 1/2 each; theta1 from N(0, 10), theta2 from N(0, 1); 100 x, made with (0, 1).
const DATA = 100;
const [VAR_X, VAR_1, VAR_2] = [2, 10, 1];

function mixtureData() {
  const key = new Key(2011n, "mixture");
  const z = key.numbers("normal", DATA);
  const second = key.child("which").numbers("uniform", DATA);
  return z.map((v, i) => Math.sqrt(VAR_X) * v + (second[i] < 0.5 ? 1 : 0));
}

/** The posterior's mass in cells of a grid, at a temperature: e^(-U / T), by the midpoints of 4 x 4 parts a cell. */
const GRID = { from: [-2, -3.5], to: [3, 3.5], cells: 36 };
function exactMasses(data, temperature) {
  const fine = 4;
  const masses = new Float64Array(GRID.cells ** 2);
  const at = (axis, i) => GRID.from[axis] + ((i + 0.5) * (GRID.to[axis] - GRID.from[axis])) / (GRID.cells * fine);
  const logs = new Float64Array((GRID.cells * fine) ** 2);
  for (let i = 0; i < GRID.cells * fine; i++) {
    for (let j = 0; j < GRID.cells * fine; j++) {
      const [a, b] = [at(0, i), at(1, j)];
      let log = -(a * a) / (2 * VAR_1) - (b * b) / (2 * VAR_2);
      for (const x of data)
        log += Math.log(Math.exp(-((x - a) ** 2) / (2 * VAR_X)) + Math.exp(-((x - a - b) ** 2) / (2 * VAR_X)));
      logs[i * GRID.cells * fine + j] = log / temperature;
    }
  }
  const max = logs.reduce((m, v) => Math.max(m, v));
  let sum = 0;
  logs.forEach((log, n) => {
    const [i, j] = [Math.floor(n / (GRID.cells * fine)), n % (GRID.cells * fine)];
    const p = Math.exp(log - max);
    masses[Math.floor(i / fine) * GRID.cells + Math.floor(j / fine)] += p;
    sum += p;
  });
  return masses.map((m) => m / sum);
}

/** Many chains at once, a row of theta each, with minibatches of their own; what is kept after half the steps is weighted by its rate (eq. 11). */
async function sample({ data, optimizer, rate, steps, chains, batch, key, report }) {
  const masses = new Float64Array(GRID.cells ** 2);
  let [outside, sum] = [0, 0];
  const start = key.child("start").normal([chains, 2]);
  const loss = (theta, { x }) => U(theta, x, batch);
  const { params } = await train({
    params: start,
    loss,
    examples: 1,
    batch(_indices, step) {
      const which = key.child("minibatch").numbers("uniform", chains * batch, step);
      return {
        x: tensor(
          which.map((u) => data[Math.floor(u * DATA)]),
          [chains, batch],
        ),
      };
    },
    optimizer,
    rate,
    steps,
    key,
    onStep(step, _loss, theta) {
      report(step / steps);
      if (step < steps / 2 || step % 10 !== 0) return;
      const weight = typeof rate === "number" ? 1 : rate(step);
      const flat = values(theta.ref);
      for (let c = 0; c < chains; c++) {
        const cell = [0, 1].map((axis) =>
          Math.floor(((flat[2 * c + axis] - GRID.from[axis]) / (GRID.to[axis] - GRID.from[axis])) * GRID.cells),
        );
        sum += weight;
        if (cell.some((i) => i < 0 || i >= GRID.cells)) outside += weight;
        else masses[cell[0] * GRID.cells + cell[1]] += weight;
      }
    },
  });
  params.dispose();
  return { masses: masses.map((m) => m / sum), outside: outside / sum };
}

/** The energy of every chain, summed: -ln P(theta) - (100 / n) sum over its minibatch of ln P(x | theta), constants left out. */
function U(theta, x, batch) {
  const column = (i) => theta.ref.slice([], [i, i + 1]);
  const [first, second] = [column(0), column(1)];
  theta.dispose();
  const prior = first.ref
    .mul(first.ref)
    .div(2 * VAR_1)
    .add(second.ref.mul(second.ref).div(2 * VAR_2));
  const log = (mean) => {
    const distance = x.ref.sub(mean);
    return distance.ref.mul(distance).div(-2 * VAR_X);
  };
  const either = jax().numpy.logaddexp(log(first.ref), log(first.add(second)));
  x.dispose();
  return prior.sum().sub(either.sum().mul(DATA / batch));
}

/** Half the sum of |p - q|: 0 for equal laws, 1 for laws that share nothing. */
const totalVariation = (p, q, outside) => p.reduce((sum, m, i) => sum + Math.abs(m - q[i]), outside) / 2;

/** The share of theta2 > 0: of the mode that the data were made with, and its mirror's the rest. */
const upper = (masses) => masses.reduce((sum, m, i) => sum + (i % GRID.cells >= GRID.cells / 2 ? m : 0), 0);

/** The density of theta2 at the middles of its cells. */
function margin(masses) {
  const width = (GRID.to[1] - GRID.from[1]) / GRID.cells;
  const density = new Float64Array(GRID.cells);
  masses.forEach((mass, i) => {
    density[i % GRID.cells] += mass / width;
  });
  return Array.from(density, (y, j) => ({ x: GRID.from[1] + (j + 0.5) * width, y }));
}

const SIZES = {
  full: { seeds: [1, 2, 3], chains: 1000, steps: 3000 },
  small: { seeds: [1, 2], chains: 200, steps: 300 },
};

export async function run(size = "full", progress = () => {}) {
  await init();
  const { seeds, chains, steps } = SIZES[size];
  const data = mixtureData();
  const decaying = polynomial(0.1, 10, 0.55);
  const methods = [
    { name: "SGLD, rates 0.1 (10 + t)^-0.55", T: 1, optimizer: () => sgld(), rate: decaying },
    { name: "SGLD, T = 2", T: 2, optimizer: () => sgld({ temperature: 2 }), rate: decaying },
    { name: "SGLD, rate 0.04 throughout", T: 1, optimizer: () => sgld(), rate: 0.04 },
    { name: "preconditioned SGLD", T: 1, optimizer: () => preconditionedSgld({ examples: DATA }), rate: (t) => decaying(t) / 4 },
    { name: "SGD: the same without noise", T: 1, optimizer: () => sgd(), rate: (t) => decaying(t) / 2 },
  ];
  const rows = [];
  const distance = {};
  const plotted = [];
  for (const [m, { name, T, optimizer, rate }] of methods.entries()) {
    const exact = exactMasses(data, T);
    const runs = [];
    for (const [s, seed] of seeds.entries()) {
      const report = (share) => progress((m + (s + share) / seeds.length) / methods.length, name);
      const key = new Key(BigInt(seed), `density.${m}`);
      runs.push(await sample({ data, optimizer: optimizer(), rate, steps, chains, batch: 10, key, report }));
    }
    if (m === 0) plotted.push({ name: "exact", points: margin(exact) });
    if (T === 1) plotted.push({ name, points: margin(runs[0].masses) });
    distance[name] = interval(runs.map(({ masses, outside }) => totalVariation(masses, exact, outside)));
    rows.push([name, distance[name], interval(runs.map(({ masses }) => upper(masses))), upper(exact)]);
  }
  const [best, , coarse, , still] = methods.map(({ name }) => distance[name].mean);
  const reproduced = best < 0.1 && coarse > best && still > 0.5;
  return {
    title: "SGLD: a posterior of known density",
    paper:
      'Welling & Teh 2011, "Bayesian Learning via Stochastic Gradient Langevin Dynamics"; Li et al. 2016, "Preconditioned Stochastic Gradient Langevin Dynamics for Deep Neural Networks"',
    claim:
      "Gradient steps on minibatches with noise of variance rate x T sample the posterior, better the smaller the rate; without the noise they end in its modes.",
    columns: ["method", "total variation from the exact density", "P(theta2 > 0)", "exact"],
    rows,
    seeds,
    reproduced,
    plots: [{ title: "Density of theta2, seed 1", x: "theta2", y: "density", series: plotted }],
    verdict: `total variation ${best.toFixed(3)} with falling rates, ${coarse.toFixed(3)} with a large one, ${still.toFixed(3)} without noise (${GRID.cells} x ${GRID.cells} cells; 0: equal, 1: disjoint).`,
  };
}

await main(import.meta.url, run);
