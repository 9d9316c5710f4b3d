// The examples of Bayes by Backprop, weight noise and Langevin dynamics at reduced size: they run whole, and what does not need the full size holds.
import { expect, it } from "vitest";
// @ts-expect-error: an example, in JavaScript
import { run as bayes } from "../../examples/bayes-by-backprop.mjs";
// @ts-expect-error: an example, in JavaScript
import { format, interval, markdown } from "../../examples/experiment.mjs";
// @ts-expect-error: an example, in JavaScript
import { halved, mnist, rotated } from "../../examples/mnist.mjs";
// @ts-expect-error: an example, in JavaScript
import { run as density } from "../../examples/sgld-density.mjs";
// @ts-expect-error: an example, in JavaScript
import { run as sgldMnist } from "../../examples/sgld-mnist.mjs";
// @ts-expect-error: an example, in JavaScript
import { run as weightNoise } from "../../examples/weight-noise.mjs";

type Interval = { mean: number; half: number; n: number };
type Experiment = {
  columns: string[];
  rows: (string | number | Interval)[][];
  seeds: number[];
  reproduced: boolean;
  verdict: string;
};

/** Runs an example small; checks its table and its progress. @returns cells by row and column name */
async function small(run: (size: string, progress: (share: number) => void) => Promise<Experiment>) {
  const shares: number[] = [];
  const experiment = await run("small", (share) => shares.push(share));
  expect(shares.length).toBeGreaterThan(10);
  expect([...shares].sort((a, b) => a - b)).toEqual(shares);
  expect(shares.at(-1)).toBeCloseTo(1, 6);
  for (const row of experiment.rows) {
    expect(row).toHaveLength(experiment.columns.length);
    for (const cell of row)
      if (typeof cell === "object") expect(Number.isFinite(cell.mean) && cell.half >= 0 && cell.n === 2).toBe(true);
  }
  expect(markdown(experiment)).toContain(experiment.reproduced ? "Reproduced:" : "**Not reproduced**:");
  expect(markdown(experiment, "small")).not.toMatch(/reproduced(\*\*)?:/i);
  expect(markdown(experiment, "small")).toContain("Too small to decide anything.");
  return (row: number, column: string): number => {
    const cell = experiment.rows[row]?.[experiment.columns.indexOf(column)];
    return typeof cell === "object" ? cell.mean : Number(cell);
  };
}

it("the digits are all there, turn and shrink", () => {
  const { train, test } = mnist({ train: 5, test: 3 });
  expect([...train.labels]).toEqual([5, 0, 4, 1, 9]); // the set's first, as everywhere
  expect([...test.labels]).toEqual([7, 2, 1]);
  const sum = (x: Float32Array) => x.reduce((a, b) => a + b, 0);
  expect(sum(halved(test).inputs)).toBeCloseTo(sum(test.inputs) / 4, 2);
  const [quarter, turn] = [rotated(test, 90), rotated(rotated(rotated(rotated(test, 90), 90), 90), 90)];
  expect(sum(quarter.inputs)).toBeCloseTo(sum(test.inputs), 1); // nothing of a square is lost by a quarter turn
  turn.inputs.forEach((pixel: number, i: number) => {
    expect(pixel).toBeCloseTo(test.inputs[i], 4);
  });
  expect(() => mnist({ train: 60_001 })).toThrow(/has 60000 images/);
});

it("intervals are Student's", () => {
  // 1, 2, 3: s = 1, t(2) = 4.303.
  expect(interval([1, 2, 3])).toMatchObject({ mean: 2, n: 3 });
  expect(interval([1, 2, 3]).half).toBeCloseTo(4.303 / Math.sqrt(3), 12);
  expect(format(interval([1, 2, 3]))).toBe("2.0 ± 2.5");
  expect(interval([1]).half).toBeNaN();
});

/** The longest of them run in `npm run trial:examples` only (vitest's mode "examples"). */
const long = it.skipIf(import.meta.env.MODE !== "examples");

long("Bayes by Backprop: learns; estimators differ in the variance of the gradient; half the weights can go", async () => {
  const at = await small(bayes);
  expect(at(2, "accuracy")).toBeGreaterThan(0.6);
  expect(at(4, "accuracy")).toBeGreaterThan(at(3, "accuracy") - 0.05);
  const variance = "variance of the gradient (local: 1)";
  for (const weights of [7, 10]) {
    // At T = 1 and 0.1; local is 1.
    expect(at(weights, variance)).toBeGreaterThan(1.5 * at(weights + 1, variance));
    expect(at(weights, variance)).toBeGreaterThan(1.5 * at(weights + 2, variance));
  }
});

long("weight noise: what learned with noise bears loud moves", async () => {
  const at = await small(weightNoise);
  expect(at(0, "accuracy, unmoved")).toBeGreaterThan(0.7);
  expect(at(0, "moved by 1.5")).toBeLessThan(at(0, "accuracy, unmoved"));
  expect(Math.max(at(1, "moved by 1"), at(2, "moved by 1"))).toBeGreaterThan(at(0, "moved by 1") - 0.02);
});

long("SGLD samples the known density, better with falling rates; without noise it does not", async () => {
  const at = await small(density);
  const distance = "total variation from the exact density";
  expect(at(0, distance)).toBeLessThan(0.25);
  expect(at(1, distance)).toBeLessThan(0.25);
  expect(at(2, distance)).toBeGreaterThan(0.4);
  expect(at(4, distance)).toBeGreaterThan(at(0, distance) + 0.1);
});

long("SGLD's ensemble on digits predicts no worse than one of its networks", async () => {
  const at = await small(sgldMnist);
  expect(at(0, "accuracy")).toBeGreaterThan(0.6);
  for (const row of [2, 4]) expect(at(row, "NLL (nats)")).toBeLessThan(at(row - 1, "NLL (nats)") + 0.02);
});
