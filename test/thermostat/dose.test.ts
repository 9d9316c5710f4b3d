// The dose is the tensor's: whatever the format and the scale, mean (w' - w)^2 over a tensor is what was asked for, within 1 %, and its sigma
// has the same bits on every backend.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { readModel, type Tensor } from "../../src/files/index.js";
import type { Kernels } from "../../src/kernels/contract.js";
import { decode, stepsOf } from "../../src/lattice/decode.js";
import { encodedFormat, type Format, formatNamed } from "../../src/lattice/formats.js";
import { addCensuses, censusColumns, classesOf } from "../../src/laws/census.js";
import { meanSquaresOf, whole } from "../../src/laws/mean-squares.js";
import { Rounding } from "../../src/laws/numbers.js";
import { TensorDose } from "../../src/thermostat/dose.js";
import { type DynamicsName, perturbFile, Thermostat, type ThermostatOptions } from "../../src/thermostat/index.js";
import { fastest, js, variants } from "../support/backends.js";
import { type SyntheticTensor, scratchFolder, writeGguf } from "../support/synthetic-gguf.js";

const folder = scratchFolder();
const TYPES = "test/fixtures/ggml-types.gguf"; // 4096 weights of every type, quantized by ggml, with tails that many codes at rails have
const WIDTH = 512;
const ROWS = 32;
const path = join(folder, "types.gguf");
const fixture = await readModel(TYPES);
const bytes = readFileSync(TYPES);
writeGguf(
  path,
  fixture.tensors.map(
    ({ name, type, offset, bytes: length }): SyntheticTensor => ({
      name,
      type,
      shape: [WIDTH, ROWS],
      data: { repeat: bytes.subarray(offset, offset + length) },
    }),
  ),
);
const pristine = readFileSync(path);
const floats = (values: readonly number[]) => new Uint8Array(Float32Array.from(values).buffer);
const imatrix = join(folder, "imatrix.gguf");
writeGguf(
  imatrix,
  fixture.tensors.flatMap(({ name }): SyntheticTensor[] => [
    {
      name: `${name}.in_sum2`,
      type: "F32",
      shape: [WIDTH, 1],
      data: floats(Array.from({ length: WIDTH }, (_, j) => 64 * 2 ** (((j * 29) % 64) / 8 - 4))),
    },
    { name: `${name}.counts`, type: "F32", shape: [1, 1], data: floats([64]) },
  ]),
  {
    metadata: { "general.type": "imatrix", "imatrix.datasets": ["made up"], "imatrix.chunk_count": 1, "imatrix.chunk_size": 512 },
  },
);

const weightsOf = ({ type, offset, bytes: length }: Tensor, file: Uint8Array) =>
  decode(type, file.subarray(offset, offset + length));

/** Distance in steps of a weight's own grid, where sigma is in steps; weights without a step do not count. */
function inSteps(tensor: Tensor): Float32Array {
  const format = formatNamed(tensor.type) as Format;
  const steps = stepsOf(format, pristine.subarray(tensor.offset, tensor.offset + tensor.bytes));
  const group = tensor.weights / steps.length;
  return Float32Array.from({ length: tensor.weights }, (_, i) => steps[Math.floor(i / group)] as number);
}

const SCALES: Record<string, Omit<ThermostatOptions, "dynamics">> = {
  "rms 0.05": { sigma: 0.05 },
  "rms 0.2": { sigma: 0.2 },
  "absolute 0.004": { sigma: 0.004, scale: "absolute" },
  "step 0.4": { sigma: 0.4, scale: "step" },
  "imatrix 0.1": { sigma: 0.1, scale: "imatrix", imatrix },
};
const DRAWS = 2;

describe.each(Object.keys(SCALES))("%s", (name) => {
  const options = SCALES[name] as Omit<ThermostatOptions, "dynamics">;

  it("moves the weights of every type by the sigma that was asked for", async () => {
    const bath = await Thermostat.open(path, { ...options, seed: 9n, skipUnsupported: true, scratch: folder }, fastest);
    const doses = await bath.doses();
    const sums = doses.map(({ tensor }) => ({
      square: 0,
      fourth: 0,
      n: 0,
      before: weightsOf(tensor, pristine),
      steps: options.scale === "step" ? inSteps(tensor) : undefined,
    }));
    for (let tick = 0; tick < DRAWS; tick++) {
      await bath.draw(tick);
      const live = readFileSync(bath.livePath);
      for (const [t, { tensor }] of doses.entries()) {
        if (options.scale === "step" && tensor.type === "F32") continue; // rounds to its grid, as adding does
        const after = weightsOf(tensor, live);
        const sum = sums[t] as (typeof sums)[number];
        const { before, steps } = sum;
        for (let i = 0; i < before.length; i++) {
          const step = steps === undefined ? 1 : (steps[i] as number);
          if (!(step > 0)) continue;
          const square = (((after[i] as number) - (before[i] as number)) / step) ** 2;
          sum.square += square;
          sum.fourth += square * square;
          sum.n++;
        }
      }
    }
    for (const [t, { tensor, dose }] of doses.entries()) {
      const { square, fourth, n } = sums[t] as (typeof sums)[number];
      if (n === 0) continue;
      const mean = square / n;
      // 1 % is promised; the rest is five standard errors of so many weights, from the spread of their own squares.
      const error = Math.sqrt((fourth / n - mean * mean) / n);
      expect(Math.abs(mean - dose.given ** 2), `${tensor.type}: ${mean / dose.asked ** 2}`).toBeLessThan(0.01 * mean + 5 * error);
      expect(dose.given / dose.asked, tensor.type).toBeCloseTo(1, 6);
    }
    expect(doses.length).toBe(18);
    await bath.close();
  });

  const dosesOn = async (kernels: Kernels, dynamics: DynamicsName) => {
    const bath = await Thermostat.open(TYPES, { ...options, dynamics, skipUnsupported: true, scratch: folder }, kernels);
    if (dynamics === "langevin") await bath.tick();
    const doses = (await bath.doses()).map(({ dose }) => dose);
    await bath.close();
    return doses;
  };
  const byJs = new Map<DynamicsName, Awaited<ReturnType<typeof dosesOn>>>();

  const others = variants.filter(({ kernels }) => kernels !== js.kernels).map(({ name: of, kernels }) => ({ of, kernels }));
  it.each(others)("has the same sigma on $of as on JavaScript", async ({ kernels }) => {
    for (const dynamics of name === "rms 0.05" ? (["quenched", "langevin"] as const) : (["quenched"] as const)) {
      const expected = byJs.get(dynamics) ?? (await dosesOn(js.kernels, dynamics));
      byJs.set(dynamics, expected);
      expect(await dosesOn(kernels, dynamics)).toEqual(expected);
    }
  });
});

describe("a census", () => {
  const columns = censusColumns({
    factors: Float32Array.from({ length: WIDTH }, (_, j) => 2 ** ((j % 41) / 8 - 2.5)),
    width: WIDTH,
    matrix: WIDTH * 8,
  });
  const same = (a: Float64Array, b: Float64Array) => Buffer.compare(new Uint8Array(a.buffer), new Uint8Array(b.buffer)) === 0;

  it.each(variants)("is JavaScript's on $name, in parts as in one", ({ kernels }) => {
    for (const tensor of fixture.tensors) {
      const format = formatNamed(tensor.type);
      if (format?.lattice === undefined) continue;
      const encoded = encodedFormat(format);
      const data = bytes.subarray(tensor.offset, tensor.offset + tensor.bytes);
      for (const by of [undefined, columns]) {
        const whole = js.kernels.census(data, encoded, by, 0);
        const half = (4 * WIDTH * format.bytes) / format.weights;
        const parts = [
          kernels.census(data.subarray(0, half), encoded, by, 0),
          kernels.census(data.subarray(half), encoded, by, 4 * WIDTH),
        ];
        expect(same(kernels.census(data, encoded, by, 0), whole), tensor.type).toBe(true);
        expect(same(addCensuses(parts, encoded), whole), tensor.type).toBe(true);
        if (by !== undefined) continue;
        const counts = whole.filter((_, i) => i % (1 + classesOf(encoded)) !== 0);
        expect(counts.reduce((sum, n) => sum + n, 0)).toBe(tensor.weights);
      }
    }
  });
});

describe("a tensor that cannot have what is asked for", () => {
  const q8 = encodedFormat(formatNamed("Q8_0") as Format);
  const doseOf = (codes: number[]) => {
    const block = Uint8Array.of(0x00, 0x3c, ...codes.map((code) => code & 255)); // step 1
    const census = new Float32Array(js.kernels.census(block, q8, undefined, 0));
    const known = new TensorDose(census, q8, meanSquaresOf(q8, Rounding.matched), false);
    return { dose: (asked: number) => whole(known.dose(asked)) };
  };
  it("says what it gets", () => {
    // All codes at the rails: none moves.
    expect(doseOf(new Array(32).fill(127)).dose(3)).toEqual({ asked: 3, law: 3, given: 0 });
    // All but one: it goes four times as far as was asked for, and no farther.
    const one = doseOf([0, ...new Array(31).fill(-127)]).dose(1);
    expect(one.law).toBe(4);
    expect(one.given).toBeCloseTo(Math.sqrt(16 / 32), 3);
    // Half of them: those by the root of two.
    const half = doseOf([...new Array(16).fill(0), ...new Array(16).fill(127)]).dose(1);
    expect(half.law).toBeCloseTo(Math.SQRT2, 3);
    expect(half.given).toBe(1);
    // One step to go, two asked for on average.
    const near = doseOf(new Array(32).fill(126)).dose(2);
    expect(near.given).toBeLessThan(1);
    expect(near.given).toBeGreaterThan(0.9);
  });

  it("leaves sigmas that no grid knows as they are", () => {
    const plain = doseOf(Array.from({ length: 32 }, (_, i) => 4 * i));
    expect(plain.dose(1e9).law).toBe(1e9);
    // Rare moves alone: only the distance 0 matters. 1 of 32 codes is 124, 3 steps from its rail.
    expect(plain.dose(1e-25).law / Math.fround(1e-25)).toBeCloseTo(1, 5);
  });
});

describe("dynamics", () => {
  const MODEL = "models/fairytales-3M-Q8_0.gguf"; // 2.9 million weights: one standard error of a mean square is 0.1 %
  const meanSquare = async (bath: Thermostat, model: Uint8Array) => {
    const live = readFileSync(bath.livePath);
    let sum = 0;
    let asked = 0;
    for (const { tensor, dose } of await bath.doses()) {
      const [before, after] = [weightsOf(tensor, model), weightsOf(tensor, live)];
      for (let i = 0; i < before.length; i++) sum += ((after[i] as number) - (before[i] as number)) ** 2 / dose.asked ** 2;
      asked += tensor.weights;
    }
    return sum / asked;
  };

  it.each([
    ["langevin", 32, 1],
    ["wiener", 1, 1 / 8],
  ] as const)("%s has it, too", async (dynamics, ticks, share) => {
    const model = readFileSync(MODEL);
    const bath = await Thermostat.open(MODEL, { sigma: 0.2, dynamics, tau: 8, seed: 4n, scratch: folder }, fastest);
    for (let tick = 0; tick < ticks; tick++) await bath.tick();
    expect(Math.abs((await meanSquare(bath, model)) / share - 1)).toBeLessThan(0.01);
    await bath.close();
  });

  it("perturbFile says it of every tensor", async () => {
    const { tensors } = await perturbFile(TYPES, join(folder, "moved.gguf"), { sigma: 0.1, skipUnsupported: true });
    for (const { sigma, dose, tensor } of tensors) {
      expect(dose.asked).toBe(sigma.sigma);
      expect(dose.given).toBe(dose.asked);
      if (formatNamed(tensor.type)?.lattice) expect(dose.law).toBeGreaterThan(dose.asked);
      else expect(dose.law).toBe(dose.asked);
    }
  });
});
