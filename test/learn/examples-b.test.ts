// The experiments at reduced size: that they run, say what they found, and find what they should where that is not a matter of luck (all is
// a function of the seeds).
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import * as deepSea from "../../examples/deep-sea.mjs";
import * as distillation from "../../examples/distillation.mjs";
import { type Experiment, type Interval, interval, markdown } from "../../examples/experiment.mjs";
import { EXPERIMENTS } from "../../examples/index.mjs";
import * as languages from "../../examples/languages.mjs";
import * as movingWeights from "../../examples/moving-weights.mjs";
import * as temperatureScaling from "../../examples/temperature-scaling.mjs";
import { accuracy } from "../../src/learn/index.js";
import { Noise } from "../../src/noise/index.js";
import { scratchFolder } from "../support/synthetic-gguf.js";

const folder = scratchFolder();

async function small(run: (size: "small", progress: (share: number) => void) => Promise<Experiment>): Promise<Experiment> {
  const shares: number[] = [];
  const experiment = await run("small", (share) => shares.push(share));
  expect(shares.length).toBeGreaterThan(1);
  expect(shares.every((share, i) => share >= (shares[i - 1] ?? 0) && share <= 1)).toBe(true);
  for (const row of experiment.rows) expect(row).toHaveLength(experiment.columns.length);
  expect(experiment.seeds.length).toBeGreaterThan(1);
  const text = markdown(experiment);
  expect(text).toContain(experiment.reproduced ? "Reproduced: " : "**Not reproduced**: ");
  expect(text).not.toMatch(/NaN|undefined|object/);
  return experiment;
}

const mean = (cell: unknown) => (cell as Interval).mean;
const rowOf = (experiment: Experiment, name: RegExp) => experiment.rows.find(([first]) => name.test(String(first)))!;

/** The longest of them run in `npm run trial:examples` only (vitest's mode "examples"). */
const long = it.skipIf(import.meta.env.MODE !== "examples");

describe("experiments, reduced", () => {
  it("temperature scaling makes a network honest and changes no answer", async () => {
    const experiment = await small(temperatureScaling.run);
    const [before, after] = [rowOf(experiment, /before/), rowOf(experiment, /after/)];
    expect(after[1]).toEqual(before[1]);
    expect(mean(after[2])).toBeLessThan(mean(before[2]) / 1.5);
    expect(mean(after[3])).toBeLessThan(mean(before[3]));
    expect(mean(after[4])).toBeGreaterThan(1.2);
    expect(experiment.reproduced).toBe(true);
  });

  long("a student learns more from soft targets, and knows most of the digits that it never saw", async () => {
    const experiment = await small(distillation.run);
    const accuracyOf = (name: number) => mean(experiment.rows[name]![2]);
    expect(accuracyOf(2)).toBeGreaterThan(accuracyOf(1));
    expect(mean(experiment.rows[3]![3])).toBe(0); // labels alone: no 3 is ever said
    expect(mean(experiment.rows[6]![3])).toBeGreaterThan(0.5);
  });

  long("NoisyNet explores Deep Sea of size 4", async () => {
    const experiment = await small(deepSea.run);
    expect(experiment.rows.map(([name]) => name)).toEqual([
      "epsilon-greedy, 0.05",
      "epsilon-greedy, 1 to 0.05",
      "NoisyNet",
      "adaptive parameter noise",
    ]);
    expect(Number.parseInt(String(rowOf(experiment, /NoisyNet/)[1]), 10)).toBeGreaterThanOrEqual(2);
  });

  long("moving weights keep their accuracy; what was measured is all there", async () => {
    const experiment = await small(movingWeights.run);
    const [exact, rest, moving] = [/float32/, /8 bits/, /^moving, sigma 0.2/].map((name) => rowOf(experiment, name));
    // 8 bits change hardly an answer; small moves cost little.
    expect(Math.abs(mean(rest![1]) - mean(exact![1]))).toBeLessThan(0.01);
    expect(mean(rest![1]) - mean(moving![1])).toBeLessThan(0.03);
    expect(mean(moving![4])).toBeGreaterThan(0.6);
  });

  it("a network from a package, in its own 8-bit codes, knows languages", async () => {
    const experiment = await small(languages.run);
    expect(Number(experiment.rows[0]![1])).toBeGreaterThan(0.4); // 47 languages, by names of countries alone: chance is 0.02
    expect(Number(experiment.rows[1]![3])).toBeLessThan(Number(experiment.rows[0]![3])); // temperature scaling
  });
});

describe("what experiments count with", () => {
  it("Fisher's exact test of the lady tasting tea, and of ten worlds each", () => {
    // Fisher 1935: all four cups right, 1/70; three or more, 17/70.
    expect(deepSea.fisher(4, 0, 4)).toBeCloseTo(1 / 70, 12);
    expect(deepSea.fisher(3, 1, 4)).toBeCloseTo(17 / 70, 12);
    expect(deepSea.fisher(10, 0, 10)).toBeCloseTo(1 / 184_756, 12);
    expect(deepSea.fisher(0, 10, 10)).toBeCloseTo(1, 12);
  });

  it("the best shift of a class is the best of all that are tried", () => {
    const [n, classes, digit] = [60, 4, 3];
    const noise = new Noise(8n);
    const logits = noise.stream("z").normal(new Float32Array(n * classes));
    const labels = Array.from(noise.stream("y").uniform(new Float32Array(n)), (u) => Math.floor(u * classes));
    const right = (shift: number) =>
      accuracy(
        logits.map((z, i) => (i % classes === digit ? z + shift : z)),
        labels,
        classes,
      );
    const best = Math.max(...Array.from({ length: 1201 }, (_, i) => right(i / 100 - 6)));
    expect(right(distillation.bestShift(logits, labels, classes, digit))).toBeGreaterThanOrEqual(best);
  });
});

describe("the table of experiments", () => {
  it("has names that are files", async () => {
    for (const { name, seconds, load } of EXPERIMENTS) {
      expect(name).toMatch(/^[a-z-]+$/);
      expect(seconds).toBeGreaterThan(0);
      expect(await load()).toHaveProperty("run");
    }
  });

  it("gives intervals by Student's t", () => {
    // Of 1, 2, 3: s = 1, half = 4.303 / sqrt 3.
    const { mean, half, n } = interval([1, 2, 3]);
    expect([mean, n]).toEqual([2, 3]);
    expect(half).toBeCloseTo(4.303 / Math.sqrt(3), 6);
    expect(interval([5]).half).toBeNaN();
  });

  it("is run by `npm run examples`, which writes a page and refuses what is not in the table", () => {
    const page = join(folder, "examples.html");
    const examples = (...options: string[]) =>
      spawnSync(process.execPath, ["scripts/figures/examples.mjs", ...options], {
        encoding: "utf8",
        cwd: new URL("../../", import.meta.url),
      });
    const { status, stdout } = examples("--quick", "--only", "languages", "-o", page);
    expect(status).toBe(0);
    expect(stdout).toMatch(/^## Moving weights in a network from a package/);
    expect(stdout).toContain("Too small to decide anything.");
    expect(stdout).not.toMatch(/reproduced/i);
    const html = readFileSync(page, "utf8");
    expect(html).toContain("<td>at rest</td>");
    expect(html).toContain("Too small to decide anything.");
    const unknown = examples("--only", "nothing");
    expect([unknown.status, unknown.stdout]).toEqual([2, ""]);
    expect(unknown.stderr).toMatch(/no experiment nothing: there are temperature-scaling, /);
  });
});
