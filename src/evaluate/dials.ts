// Tunes the dials of all methods, on the tuning half alone, so that at each level they flip as often as softmax does there, or are right as often.

import { BrownianError } from "../errors.js";
import { interpolate, interpolatePowers, monotone } from "../statistics/curves.js";
import { average, smooth } from "../statistics/rates.js";
import { isRight } from "../tasks/answers.js";
import { type Carried, carriedBy, carriersOf, type Dial, type MethodName, methodOf } from "./methods.js";
import { MIN_P_TRIALS, MIXTURE_TRIALS } from "./plan.js";
import { type Answers, at } from "./records.js";
import type { AtRest, Reading } from "./respondent.js";
import type { Steps } from "./steps.js";

/** Temperatures of a mixture's softmax are measured at so many, up to the highest level. */
const TEMPERATURES = 8;
/** The temperature of min-p is looked for up to here, in a range that is halved so often. */
const HOTTEST = 50;
const HALVINGS = 40;

/** What tuning resolves to. */
export interface Tuned {
  readonly dials: Readonly<Record<string, Dial>>;
  /** By level: what was made equal. */
  readonly targets: Readonly<Record<string, number>>;
}

/** Dials are said with four digits, and are what is said. */
export const rounded = (x: number): number => Number(x.toPrecision(4));

/** The dials of all methods at all levels. @throws BrownianError usage where weights do not reach a level */
export function tuned(steps: Steps, reading: Reading): Promise<Tuned> {
  return steps.settings.equal === "flips" ? byFlips(steps, reading) : byAccuracy(steps);
}

/** The ways in which weights move in the methods. */
const carriers = ({ settings }: Steps): Carried[] => carriersOf(settings.methods);

async function byFlips(steps: Steps, reading: Reading): Promise<Tuned> {
  const { levels, methods, sigmas } = steps.settings;
  const clean = await reading.atRest();
  const targets = Object.fromEntries(levels.map((level, i) => [level, clean.softmax[i] as number]));
  const dials: Record<string, Dial> = { greedy: {} };
  const highest = targets[levels.at(-1) as number] as number;
  const moved = new Map<Carried, Moved>();
  for (const carried of carriers(steps)) moved.set(carried, await readMoved(steps, reading, carried, highest));
  const live = moved.get("live");
  const rates = (column: number): number[] =>
    monotone((live?.flips ?? []).map((draws) => average(draws.map((draw) => draw[column] as number))));
  const flipping = new Map(
    [...moved].map(([carried, of]) => {
      const hard = of.flips.map((draws) => draws.map(([flips]) => flips as number));
      return [carried, { ...of, rates: monotone(smooth(of.sigmas, hard).map(({ rate }) => rate)) }];
    }),
  );
  const sigmaAt = (method: MethodName, flips: number, level: number): number => {
    const of = flipping.get(carriedBy(method) as Carried) as Moved & { rates: number[] };
    const last = of.rates.at(-1) ?? 0;
    if (flips > last) throw unreached(level, flips, last);
    return interpolatePowers(of.rates, of.sigmas, flips);
  };
  for (const level of levels) {
    const target = targets[level] as number;
    for (const method of methods) {
      const { dials: kind, minP } = methodOf(method);
      if (kind === "temperature")
        dials[at(method, level)] = { temperature: minP === undefined ? level : rounded(minPAt(clean, target)) };
      if (kind === "sigma") dials[at(method, level)] = { sigma: steps.by.sigmaNear(rounded(sigmaAt(method, target, level))) };
      if (kind === "both") {
        const sigma = sigmaAt(method, target / 2, level);
        const grid = temperaturesOf(steps);
        const flips = grid.map((_, i) => interpolate(sigmas.map(Math.log), rates(i + 1), Math.log(sigma)));
        dials[at(method, level)] = { sigma: rounded(sigma), temperature: rounded(interpolate(monotone(flips), grid, target)) };
      }
    }
  }
  return { dials, targets };
}

const temperaturesOf = ({ settings }: Steps): number[] =>
  Array.from({ length: TEMPERATURES }, (_, i) => ((i + 1) / TEMPERATURES) * (settings.levels.at(-1) as number));

function unreached(level: number, wanted: number, last: number): BrownianError {
  const share = (x: number) => `${(100 * x).toPrecision(3)} %`;
  return new BrownianError(
    "usage",
    `Softmax at T = ${level} flips ${share(wanted)} of the tokens, but weights at the largest sigma only ${share(last)}: give lower levels, or larger sigmas.`,
  );
}

/** The temperature at which min-p flips so often; the hottest where it never does. */
function minPAt({ minP: flips }: AtRest, target: number): number {
  let [low, high] = [0, HOTTEST];
  for (let i = 0; i < HALVINGS; i++) {
    const middle = (low + high) / 2;
    if (flips(middle) < target) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

/** What was measured of moved weights. */
interface Moved {
  readonly sigmas: readonly number[];
  /** Of every sigma and draw: the share of tokens that flip, greedily, and then (for a mixture) at each temperature. */
  readonly flips: readonly (readonly (readonly number[])[])[];
}

/** Adapters move matrices alone, so that they need larger sigmas: these are doubled, up to so often, until they reach the highest share of flips. */
const DOUBLINGS = 4;

async function readMoved(steps: Steps, reading: Reading, carried: Carried, highest: number): Promise<Moved> {
  const { draws, methods, served } = steps.settings;
  const sigmas = [...steps.settings.sigmas];
  const doubles = carried !== "live" && (served === undefined || served.levels === null);
  const most = sigmas.length + (doubles ? DOUBLINGS : 0);
  const grid = carried === "live" && methods.includes("mixture") ? temperaturesOf(steps) : [];
  const all: number[][][] = [];
  for (const sigma of sigmas) {
    const own: number[][] = [];
    for (let draw = 0; draw < draws; draw++) own.push(await reading.moved(carried, sigma, draw, grid));
    all.push(own);
    const reached = average(own.map(([flips]) => flips as number));
    if (sigma === sigmas.at(-1) && reached <= highest && sigmas.length < most) sigmas.push(2 * sigma);
  }
  return { sigmas, flips: all };
}

/** How often some samples of the tuning half are right. */
export function accuracyOf(steps: Steps, samples: readonly Answers[]): number {
  const questions = steps.questions("tuning");
  return average(
    samples.map(({ answers }) => average(questions.map((question, i) => (isRight(question, answers[i]?.text ?? "") ? 1 : 0)))),
  );
}

/** The dial at which a falling accuracy is the target; the ends beyond. */
export function dialAt(dials: readonly number[], accuracies: readonly number[], target: number): number {
  return interpolate(monotone(accuracies.map((accuracy) => -accuracy)), dials, -target);
}

async function byAccuracy(steps: Steps): Promise<Tuned> {
  const { levels, methods, samples, sigmas, draws } = steps.settings;
  const measured = async (method: MethodName, name: string, dial: Dial, count: number): Promise<number> => {
    const asked = Array.from({ length: count }, (_, number) => ({ method, name, number, dial }));
    return accuracyOf(steps, await steps.answers("tuning", asked));
  };
  const clean = await measured("greedy", "greedy", {}, 1);
  const targets: Record<string, number> = {};
  for (const level of levels) targets[level] = await measured("softmax", at("softmax", level), { temperature: level }, samples);
  const trials = async (method: MethodName, values: readonly number[], dialOf: (value: number) => Dial): Promise<number[]> => {
    const all: number[] = [];
    for (const value of values)
      all.push(await measured(method, `trial ${method} ${JSON.stringify(dialOf(value))}`, dialOf(value), draws));
    return all;
  };
  const weights = new Map<Carried, number[]>();
  for (const carried of carriers(steps)) {
    const method = carried === "live" ? "quenched" : (carried as MethodName);
    weights.set(carried, [clean, ...(await trials(method, sigmas, (sigma) => ({ sigma })))]);
  }
  const cut = methods.includes("min-p")
    ? [clean, ...(await trials("min-p", MIN_P_TRIALS, (temperature) => ({ temperature })))]
    : [];
  const dials: Record<string, Dial> = { greedy: {} };
  for (const level of levels) {
    const target = targets[level] as number;
    const least = (sigmas[0] as number) / 2;
    for (const method of methods) {
      const accuracies = weights.get(carriedBy(method) as Carried);
      const sigma = Math.max(least, accuracies === undefined ? 0 : dialAt([0, ...sigmas], accuracies, target));
      const { dials: kind, minP } = methodOf(method);
      if (kind === "temperature" && minP === undefined) dials[at(method, level)] = { temperature: level };
      if (minP !== undefined)
        dials[at(method, level)] = { temperature: rounded(Math.max(0.05, dialAt([0, ...MIN_P_TRIALS], cut, target))) };
      if (kind === "sigma") dials[at(method, level)] = { sigma: steps.by.sigmaNear(rounded(sigma)) };
      if (kind === "both") {
        const half = rounded(sigma / Math.SQRT2);
        const grid = MIXTURE_TRIALS.map((share) => share * level);
        const warmed = await trials(method, grid, (temperature) => ({ sigma: half, temperature }));
        dials[at(method, level)] = { sigma: half, temperature: rounded(dialAt(grid, warmed, target)) };
      }
    }
  }
  return { dials, targets };
}
