// Knowledge distillation (Hinton, Vinyals & Dean 2015): a small student with and without a teacher's soft targets, and the mythical digit:
// no 3 is in the student's transfer set, and yet it knows most of them once the bias of that class is corrected.
import {
  accuracy,
  classification,
  distillation,
  dropout,
  init,
  Key,
  linear,
  predict,
  relu,
  sequential,
  train,
} from "brownian/learn";
import { interval, main } from "./experiment.mjs";
import { mnist } from "./mnist.mjs";

const SIZES = {
  full: {
    seeds: [1, 2, 3, 4, 5],
    digits: 40_000,
    heldOut: 5000,
    test: 10_000,
    teacher: { hidden: 200, steps: 2000 },
    transfer: 3000,
    small: 30,
    steps: 800,
    wide: 100,
  },
  small: {
    seeds: [1, 2],
    digits: 4000,
    heldOut: 600,
    test: 1000,
    teacher: { hidden: 100, steps: 250 },
    transfer: 500,
    small: 20,
    steps: 150,
    wide: 50,
  },
};
const MYTHICAL = 3;
/** Of the soft targets. The mythical digit needs them hotter: what is said about 3s of other digits is a small part of a small part. */
const TEMPERATURE = { student: 4, mythical: 8 };

/**
 * @param {"full" | "small"} size
 * @param {(share: number, what: string) => void} progress
 * @returns {Promise<import("./experiment.mjs").Experiment>}
 */
export async function run(size, progress) {
  await init();
  const { seeds, digits: count, heldOut, test: tested, teacher: large, transfer, small, steps, wide } = SIZES[size];
  const { train: all, test } = mnist({ train: count + heldOut, test: tested });
  const { features, classes } = all;
  const held = subset(all, range(count, count + heldOut));
  const lessons = large.steps + seeds.length * 4 * steps;
  let done = 0;
  const onStep = () => progress(++done / lessons, done < large.steps ? "teacher" : "students");
  const learn = async (network, task, key, steps, rate) => {
    const { params } = await train({ ...task, key, params: network.init(key.child("init")), steps, rate, batchSize: 64, onStep });
    return (inputs) => predict(network, params, inputs, features);
  };
  const student = (hidden) => sequential(linear(features, hidden), relu(), linear(hidden, classes));

  // One teacher for all students, with dropout, so that it is not sure of everything it was trained on.
  const network = sequential(linear(features, large.hidden), relu(), dropout(0.4, large.hidden), linear(large.hidden, classes));
  const digits = subset(all, range(0, count));
  const teacher = await learn(network, classification(network, digits), new Key(0n).child("teacher"), large.steps, 1e-3);
  const knows = teacher(digits.inputs);
  const soft = (indices) =>
    Float32Array.from(
      { length: indices.length * classes },
      (_, i) => knows[indices[Math.floor(i / classes)] * classes + (i % classes)],
    );

  const results = [];
  for (const seed of seeds) {
    const key = new Key(BigInt(seed)).child("distillation");
    const order = [...key.child("transfer").permutation(count)];
    const few = order.slice(0, transfer);
    const without = order.filter((i) => digits.labels[i] !== MYTHICAL);
    const tasks = {
      hard: [small, few, undefined],
      soft: [small, few, TEMPERATURE.student],
      hardMythical: [wide, without, undefined],
      softMythical: [wide, without, TEMPERATURE.mythical],
    };
    const found = {};
    for (const [name, [hidden, indices, temperature]] of Object.entries(tasks)) {
      const set = subset(digits, indices);
      const net = student(hidden);
      // Soft targets alone: labels of the transfer set are the teacher's affair.
      const task =
        temperature === undefined ? classification(net, set) : distillation(net, set, soft(indices), { temperature, soft: 1 });
      // T^2 keeps the gradient of the soft part as large as that of the hard one, so the rate is the same.
      const answers = await learn(net, task, key.child(name), steps, 2e-3);
      found[name] = judge(answers(test.inputs), test.labels, classes);
      if (indices !== without) continue;
      const shift = bestShift(answers(held.inputs), held.labels, classes, MYTHICAL);
      found[`${name}Shifted`] = {
        ...judge(shifted(answers(test.inputs), classes, MYTHICAL, shift), test.labels, classes),
        shift,
      };
    }
    results.push(found);
  }
  const over = (name, of) => interval(results.map((found) => found[name][of]));
  const row = (label, set, name) => [
    label,
    set,
    over(name, "accuracy"),
    over(name, "threes"),
    name.endsWith("Shifted") ? over(name, "shift") : "",
  ];
  const taught = judge(teacher(test.inputs), test.labels, classes);
  const rows = [
    [`teacher (${large.hidden} units, dropout)`, `${count} digits, labels`, taught.accuracy, taught.threes, ""],
    row(`student (${small} units)`, `${transfer} digits, labels`, "hard"),
    row(`student (${small} units)`, `${transfer} digits, soft targets at T = ${TEMPERATURE.student}`, "soft"),
    row(`student (${wide} units)`, "no 3s, labels", "hardMythical"),
    row("the same, bias of 3 corrected", "", "hardMythicalShifted"),
    row(`student (${wide} units)`, `no 3s, soft targets at T = ${TEMPERATURE.mythical}`, "softMythical"),
    row("the same, bias of 3 corrected", "", "softMythicalShifted"),
  ];
  const gains = interval(results.map((found) => found.soft.accuracy - found.hard.accuracy));
  const mythical = results.map((found) => found.softMythicalShifted.threes);
  const percent = (share) => `${(100 * share).toFixed(1)} %`;
  return {
    title: "Knowledge distillation: a small student, and the digit that it has never seen",
    paper: "Hinton, Vinyals & Dean 2015, Distilling the Knowledge in a Neural Network",
    claim:
      "Soft targets teach a small student more than labels do, and a student whose transfer set has no 3 recognises most 3s once the bias of that class is corrected (on held-out digits).",
    columns: ["network", "learned from", "accuracy", "3s recognised", "bias of 3 raised by"],
    rows,
    seeds,
    reproduced: gains.mean - gains.half > 0 && Math.min(...mythical) > 0.5,
    verdict: `soft targets gain ${percent(gains.mean)} ± ${percent(gains.half)} of accuracy; of the 3s that it never saw, the student recognises ${percent(over("softMythical", "threes").mean)} at once and ${percent(over("softMythicalShifted", "threes").mean)} after the correction (${percent(over("hardMythicalShifted", "threes").mean)} without a teacher).`,
  };
}

const range = (from, to) => Array.from({ length: to - from }, (_, i) => from + i);

function subset(dataset, indices) {
  const { features } = dataset;
  const inputs = new Float32Array(indices.length * features);
  for (const [row, i] of indices.entries()) inputs.set(dataset.inputs.subarray(i * features, (i + 1) * features), row * features);
  return { ...dataset, inputs, labels: Uint8Array.from(indices, (i) => dataset.labels[i]) };
}

/** Accuracy, and the share of mythical digits that were recognised. */
function judge(logits, labels, classes) {
  const threes = [...labels.keys()].filter((i) => labels[i] === MYTHICAL);
  const of = (indices) =>
    accuracy(
      indices.flatMap((i) => [...logits.subarray(i * classes, (i + 1) * classes)]),
      indices.map((i) => labels[i]),
      classes,
    );
  return { accuracy: accuracy(logits, labels, classes), threes: of(threes) };
}

function shifted(logits, classes, digit, shift) {
  return logits.map((z, i) => (i % classes === digit ? z + shift : z));
}

/** What must be added to the logits of a class for the best accuracy: all places where an answer changes are tried. */
export function bestShift(logits, labels, classes, digit) {
  const changes = [...labels.keys()].map((i) => {
    const row = logits.subarray(i * classes, (i + 1) * classes);
    let best = digit === 0 ? 1 : 0;
    row.forEach((z, c) => {
      if (c !== digit && z > row[best]) best = c;
    });
    // Below `at` the answer is `best`, above it is the digit.
    return { at: row[best] - row[digit], gain: (labels[i] === digit ? 1 : 0) - (labels[i] === best ? 1 : 0) };
  });
  changes.sort((a, b) => a.at - b.at);
  let [sum, most, shift] = [0, 0, changes[0].at - 1];
  changes.forEach(({ at, gain }, i) => {
    sum += gain;
    if (sum > most) [most, shift] = [sum, (at + (changes[i + 1]?.at ?? at + 2)) / 2];
  });
  return shift;
}

await main(import.meta.url, run);
