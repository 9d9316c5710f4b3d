// Tunes the dials of all methods, on the tuning half alone, so that at each level they flip as often as softmax does there, or are right as often.

import { BrownianError } from "../errors.js";
import { logSoftmax } from "../sampling/softmax.js";
import { interpolate, interpolatePowers, monotone } from "../statistics/curves.js";
import { average, smooth } from "../statistics/rates.js";
import { isRight } from "../tasks/answers.js";
import { type Carried, carriedBy, carrierOf, carriersOf, type Dial, type MethodName, methodOf } from "./methods.js";
import { MIN_P_TRIALS, MIXTURE_TRIALS } from "./plan.js";
import type { Reader } from "./reading.js";
import { type Answers, at } from "./records.js";
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
export function tuned(steps: Steps, reader: Reader): Promise<Tuned> {
  return steps.settings.equal === "flips" ? byFlips(steps, reader) : byAccuracy(steps);
}

/** The ways in which weights move in the methods. */
const carriers = ({ settings }: Steps): Carried[] => carriersOf(settings.methods);

async function byFlips(steps: Steps, reader: Reader): Promise<Tuned> {
  const { levels, methods, sigmas } = steps.settings;
  const clean = await readClean(steps, reader);
  const targets = Object.fromEntries(levels.map((level, i) => [level, clean.softmax[i] as number]));
  const dials: Record<string, Dial> = { greedy: {} };
  const highest = targets[levels.at(-1) as number] as number;
  const moved = new Map<Carried, Moved>();
  for (const carried of carriers(steps)) moved.set(carried, await readMoved(steps, reader, clean.likeliest, carried, highest));
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
        dials[at(method, level)] = { temperature: minP === undefined ? level : rounded(minPAt(clean.gaps, target)) };
      if (kind === "sigma") dials[at(method, level)] = { sigma: rounded(sigmaAt(method, target, level)) };
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

/** What the clean model says of the tokens of its own greedy answers. */
interface CleanFlips {
  /** Of every token. */
  readonly likeliest: readonly number[];
  /** Of each level: the mean of 1 - p_T(likeliest). */
  readonly softmax: readonly number[];
  /** Of every token: the logits that min-p leaves, less the largest. */
  readonly gaps: readonly (readonly number[])[];
}

function readClean(steps: Steps, reader: Reader): Promise<CleanFlips> {
  const { levels, methods } = steps.settings;
  const floor = Math.log(methodOf("min-p").minP as number);
  return steps.step("flips clean", reader.greedy.length, async () => {
    const likeliest: number[] = [];
    const gaps: number[][] = [];
    const flips = levels.map(() => 0);
    await reader.read(reader.greedy, { temperatures: levels }, (_, expected) => {
      likeliest.push(expected.likeliest);
      for (const [i, stays] of expected.stays.entries()) flips[i] = (flips[i] as number) + 1 - stays;
      if (!methods.includes("min-p")) return;
      const most = expected.logits[expected.likeliest] as number;
      gaps.push(
        Array.from(
          expected.logits.filter((z) => z - most >= floor),
          (z) => z - most,
        ),
      );
    });
    if (likeliest.length === 0)
      throw new BrownianError("usage", "The model answers none of the tuning questions with anything: ask in another way.");
    return { likeliest, softmax: flips.map((sum) => sum / likeliest.length), gaps };
  });
}

/** The temperature at which min-p flips so often; the hottest where it never does. */
function minPAt(gaps: readonly (readonly number[])[], target: number): number {
  const flips = (temperature: number) =>
    average(gaps.map((own) => 1 - 1 / own.reduce((sum, gap) => sum + Math.exp(gap / temperature), 0)));
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

async function readMoved(
  steps: Steps,
  reader: Reader,
  likeliest: readonly number[],
  carried: Carried,
  highest: number,
): Promise<Moved> {
  const { draws, methods } = steps.settings;
  const sigmas = [...steps.settings.sigmas];
  const most = sigmas.length + (carried === "live" ? 0 : DOUBLINGS);
  const grid = carried === "live" && methods.includes("mixture") ? temperaturesOf(steps) : [];
  const all: number[][][] = [];
  for (const sigma of sigmas) {
    const own: number[][] = [];
    for (let draw = 0; draw < draws; draw++) {
      const name = `flips ${carried === "live" ? "" : `${carried} `}${sigma} ${draw}`;
      const seed = steps.seed(name);
      own.push(
        await steps.step(name, reader.greedy.length, async () => {
          const flips = [0, ...grid].map(() => 0);
          let position = 0;
          await reader.read(reader.greedy, { sigma, seed, ...carrierOf(carried) }, (_, expected) => {
            const clean = likeliest[position++] as number;
            if (expected.likeliest !== clean) flips[0] = (flips[0] as number) + 1;
            if (grid.length === 0) return;
            const { logits } = expected;
            for (const [i, temperature] of grid.entries())
              flips[i + 1] = (flips[i + 1] as number) + 1 - Math.exp(logSoftmax(logits, { temperature })[clean] as number);
          });
          return flips.map((count) => count / position);
        }),
      );
    }
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
      if (kind === "sigma") dials[at(method, level)] = { sigma: rounded(sigma) };
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
