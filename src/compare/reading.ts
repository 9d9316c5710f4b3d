// Reading text teacher-forced: what the clean model expected at every token of some windows, and how often each way of making texts different
// would have picked another token there (flips).

import type { Kept } from "../engine/index.js";
import type { Stream } from "../noise/index.js";
import { gaussianMax, withNoise } from "../sampling/gumbel.js";
import { kl, softmax } from "../sampling/softmax.js";
import { average, halfInterval } from "../statistics/rates.js";
import type { DynamicsName } from "../thermostat/dynamics/index.js";
import { METHODS, type MethodName } from "./methods.js";
import { cleanWork, type Windows } from "./plan.js";
import { at, type Reading } from "./records.js";
import type { Steps } from "./steps.js";

/** Logits of the clean model that are kept in memory: 256 MB of them. Windows beyond are read again when they are compared with. */
const MOST_KEPT = 2 ** 26;
/** Draws of the noise on logits for each token that is read: there are no weights to be moved, so they cost little. */
const LOGIT_DRAWS = 4;

/** Windows that a reading has at least. */
const FEWEST_WINDOWS = 4;

/** The clean model on windows of equal length. */
export class Clean {
  /** The likeliest token at every place, window by window. */
  readonly likeliest: number[][] = [];
  /** By temperature: of each window, the mean of 1 - p_T(likeliest). */
  private readonly flips = new Map<number, number[]>();
  private readonly memory: (Kept | undefined)[] = [];
  private room = MOST_KEPT;
  /** The last that there was no room for: its memory is used again. */
  private passing: Kept | undefined;

  private constructor(
    /** What they are read for: part of the names of steps and streams. */
    readonly purpose: "tune" | "check",
    readonly windows: Windows,
    private readonly steps: Steps,
  ) {}

  /** Reads the windows once. @param temperatures at which softmax is asked for */
  static async read(steps: Steps, purpose: Clean["purpose"], windows: Windows, temperatures: readonly number[]): Promise<Clean> {
    const clean = new Clean(purpose, windows, steps);
    for (const temperature of temperatures) clean.flips.set(temperature, []);
    for (const number of windows.keys()) {
      await clean.readWindow(number, temperatures);
      steps.advance(cleanWork(steps.settings));
    }
    return clean;
  }

  /** Of each window, how often a draw at the temperature, one of those that were named, would be another token than the likeliest. */
  softmaxFlips(temperature: number): readonly number[] {
    return this.flips.get(temperature) as number[];
  }

  /** The logits of a window, until those of another one are asked for. */
  async kept(number: number): Promise<Kept> {
    return this.memory[number] ?? this.readWindow(number, []);
  }

  private async readWindow(number: number, temperatures: readonly number[]): Promise<Kept> {
    const window = this.windows[number] as readonly number[];
    const likeliest: number[] = [];
    const flips = temperatures.map(() => 0);
    let kept: Kept | undefined;
    const keep = (of: Kept) => {
      kept = of;
    };
    const asked = { temperatures, keep, into: this.passing, ...this.steps.watch };
    this.passing = undefined;
    await this.steps.model.score([window], asked, (expected) => {
      likeliest.push(expected.likeliest);
      for (const [i, stays] of expected.stays.entries()) flips[i] = (flips[i] as number) + (1 - stays) / (window.length - 1);
    });
    this.likeliest[number] = likeliest;
    for (const [i, temperature] of temperatures.entries()) (this.flips.get(temperature) as number[])[number] = flips[i] as number;
    const read = kept as unknown as Kept;
    if (this.memory[number] === undefined && this.room >= read.logits.length) {
      this.memory[number] = read;
      this.room -= read.logits.length;
    } else {
      this.passing = read;
    }
    return read;
  }
}

/** The rows of a window's logits. */
function* rowsOf({ logits }: Kept, count: number): Generator<Float32Array> {
  const length = logits.length / count;
  for (let i = 0; i < count; i++) yield logits.subarray(i * length, (i + 1) * length);
}

/** Of each window, how often the likeliest token after Gaussian noise on the logits is another one. */
export async function logitFlips(clean: Clean, stream: Stream, sigma: number): Promise<number[]> {
  const flips: number[] = [];
  let position = 0;
  for (const [number, likeliest] of clean.likeliest.entries()) {
    let count = 0;
    for (const [i, z] of [...rowsOf(await clean.kept(number), likeliest.length)].entries()) {
      for (let draw = 0; draw < LOGIT_DRAWS; draw++)
        if (gaussianMax(z, stream, { tick: position * LOGIT_DRAWS + draw }, sigma) !== likeliest[i]) count++;
      position++;
    }
    flips.push(count / (likeliest.length * LOGIT_DRAWS));
  }
  return flips;
}

/** Mean KL(clean || clean with noise on the logits), nats a token, by the first draw at every token. */
export async function logitDivergence(clean: Clean, stream: Stream, sigma: number): Promise<number> {
  let divergence = 0;
  let position = 0;
  for (const [number, { length }] of clean.likeliest.entries()) {
    for (const z of rowsOf(await clean.kept(number), length)) {
      const noise = stream.normal(new Float32Array(z.length), { tick: position * LOGIT_DRAWS });
      divergence += kl(softmax(z), softmax(withNoise(z, noise, sigma)));
      position++;
    }
  }
  return divergence / position;
}

/**
 * Moving weights on windows, each with a draw of its own, in motion as while a text is written: as many as it takes to know how much more often they
 * flip than softmax does there, as surely as the settings ask.
 */
export async function readMoving(steps: Steps, method: MethodName, level: number, sigma: number, clean: Clean): Promise<Reading> {
  const { model, settings, watch } = steps;
  const { tau, maxTokens, precision } = settings;
  const { dynamics, cost } = METHODS[method];
  const name = `${clean.purpose} ${at(method, level)}`;
  const softmax = clean.softmaxFlips(level);
  return steps.step(name, maxTokens * cost(tau) * clean.windows.length, async (tell) => {
    const flips: number[] = [];
    let divergence = 0;
    let tokens = 0;
    for (const [i, window] of clean.windows.entries()) {
      const likeliest = clean.likeliest[i] as readonly number[];
      // How far they diverge is only said of windows that dials are checked on.
      const reference = clean.purpose === "check" ? [await clean.kept(i)] : undefined;
      const moving = {
        sigma,
        dynamics: dynamics as DynamicsName,
        tau,
        seed: steps.seed(`${name} ${i}`),
        ticks: true,
        reference,
        ...watch,
      };
      let count = 0;
      tokens += await model.score([window], moving, (expected) => {
        if (expected.likeliest !== likeliest[expected.position]) count++;
        divergence += expected.divergence;
      });
      flips.push(count / likeliest.length);
      tell((i + 1) / clean.windows.length);
      if (isSure(flips, softmax, likeliest.length, precision)) break;
    }
    return { flips, kl: divergence / tokens };
  });
}

/**
 * Whether the mean of these flip rates minus softmax's on the same windows is known within `precision` of softmax's: 95 %, by Student's t. Windows that
 * happen to be alike are taken for no surer than as many throws of a coin with softmax's rate.
 */
export function isSure(flips: readonly number[], softmax: readonly number[], tokens: number, precision: number): boolean {
  if (flips.length < FEWEST_WINDOWS) return false;
  const rate = average(softmax.slice(0, flips.length));
  const more = flips.map((share, i) => share - (softmax[i] as number));
  return halfInterval(more, (rate * (1 - rate)) / tokens) <= precision * rate;
}
