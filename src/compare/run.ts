// Does what is planned, in this order: dials are tuned, and checked on other windows; the memory of moved weights is measured; every method
// writes. What an interrupted comparison had finished is not done again.

import { createHash } from "node:crypto";
import { identity } from "../files/identity.js";
import type { GenerateOptions, Model } from "../llama/model.js";
import { gaussianMax } from "../sampling/gumbel.js";
import { weightSigma } from "../statistics/calibration.js";
import { average, NORMAL_95, spread } from "../statistics/rates.js";
import type { DynamicsName } from "../thermostat/dynamics/index.js";
import { autocorrelation, type Remembered } from "./autocorrelation.js";
import { rounded, tuned } from "./dials.js";
import { METHODS, type MethodName, remembering, tickCost } from "./methods.js";
import { RARE, type Written } from "./metrics.js";
import {
  type CompareOptions,
  chooseWindows,
  comparisonSettings,
  refuseUnseen,
  rememberedTicks,
  rememberingWork,
  type Windows,
} from "./plan.js";
import { Clean, logitDivergence, logitFlips, readMoving } from "./reading.js";
import { at, type Comparison, type ComparisonSettings, levelsOf, type Reading, type Records } from "./records.js";
import { evaluate } from "./results.js";
import { Steps } from "./steps.js";

/** Where the flip rate of softmax is said, between levels too. */
const TEMPERATURES = Array.from({ length: 24 }, (_, i) => (i + 1) / 20);

/**
 * Compares ways of making texts different: at equal flip rates, and along each one's frontier of quality and diversity. The same model, text,
 * settings and seed give the same numbers, tokens per second aside.
 * @throws BrownianError usage for settings out of range, temperatures beyond the breaking point, empty prompts, a text too short; not-live where a
 * dynamics moves what the engine does not see; the signal's reason when aborted
 *
 * @example
 * const profile = JSON.parse(await readFile("model.calibration.json", "utf8"));
 * const { points } = await compare(model, text, { profile, methods: ["softmax", "quenched"] });
 */
export async function compare(model: Model, text: string, options: CompareOptions): Promise<Comparison> {
  const settings = comparisonSettings(model, text, options);
  const windows = chooseWindows(model, text, settings);
  await refuseUnseen(model, settings);
  const steps = new Steps(model, settings, options);
  const { dials, factors } = await tuned(steps, windows.tune);
  const { readings, softmaxCurve } = await checked(steps, windows.check, dials);
  const memory: Record<string, readonly Remembered[]> = {};
  for (const dynamics of remembering) memory[dynamics] = await remembered(steps, dynamics);
  const { texts, samples } = await writtenInRounds(steps, dials);
  const { noise, nll, breaking } = options.profile;
  return evaluate({
    model: await identity(model.path),
    text: { sha256: createHash("sha256").update(text).digest("hex") },
    settings: { ...settings, samples },
    profile: { noise, nll, breaking },
    dials,
    factors,
    softmaxCurve,
    readings,
    texts,
    memory,
  });
}

/** What all methods do at their dials on windows that they were not tuned on. */
async function checked(
  steps: Steps,
  windows: Windows,
  dials: Records["dials"],
): Promise<Pick<Records, "readings" | "softmaxCurve">> {
  const { levels, methods } = steps.settings;
  const clean = await Clean.read(steps, "check", windows, [...new Set([...TEMPERATURES, ...levels])]);
  const readings: Record<string, Reading> = {};
  for (const level of levels)
    for (const method of methods)
      if (method !== "greedy")
        readings[at(method, level)] = await readingOf(steps, method, level, dials[at(method, level)] as number, clean);
  const softmaxCurve = TEMPERATURES.map((temperature) => ({ temperature, flipRate: average(clean.softmaxFlips(temperature)) }));
  return { readings, softmaxCurve };
}

async function readingOf(steps: Steps, method: MethodName, level: number, dial: number, clean: Clean): Promise<Reading> {
  if (METHODS[method].dynamics !== undefined) return readMoving(steps, method, level, dial, clean);
  if (method === "softmax") return { flips: clean.softmaxFlips(dial), kl: 0 };
  const stream = steps.noise.stream("check logits");
  return { flips: await logitFlips(clean, stream, dial), kl: await logitDivergence(clean, stream, dial) };
}

/** The memory of weights at the sigma of the middle level, over two correlation times. */
async function remembered(steps: Steps, dynamics: DynamicsName): Promise<readonly Remembered[]> {
  const { settings, options, watch } = steps;
  const { tau, levels, seed } = settings;
  const sigma = rounded(weightSigma(options.profile, levels[Math.floor(levels.length / 2)] as number));
  const where = options.scratch === undefined ? {} : { scratch: options.scratch };
  return steps.step(`memory ${dynamics}`, rememberingWork(settings, tickCost(dynamics, tau)), () =>
    autocorrelation(steps.model.path, {
      sigma,
      dynamics,
      tau,
      ticks: rememberedTicks(tau),
      seed: BigInt(seed),
      ...watch,
      ...where,
    }),
  );
}

/** Texts of every prompt, method and level that are written before it is asked whether more are needed. */
const ROUND = 4;

/** The texts of all methods at all levels, equally many of each prompt; more of them until figures are as sure as the settings ask. */
async function writtenInRounds(steps: Steps, dials: Records["dials"]): Promise<Pick<Records, "texts"> & { samples: number }> {
  const { settings } = steps;
  const kinds = settings.methods.flatMap((method) => levelsOf(method, settings).map((level) => ({ method, level })));
  const byPrompt = new Map(kinds.map(({ method, level }) => [at(method, level), settings.prompts.map((): Written[] => [])]));
  let samples = 0;
  while (samples < settings.samples && !(samples > 0 && isSureOfTexts(settings, byPrompt))) {
    const end = settings.samples - samples < 2 * ROUND ? settings.samples : samples + ROUND;
    for (const { method, level } of kinds) {
      const name = at(method, level);
      await writeUpTo(end, steps, { method, level, dial: dials[name] ?? 0 }, byPrompt.get(name) as Written[][]);
    }
    samples = end;
  }
  const spared = kinds.reduce((sum, { method }) => sum + (method === "greedy" ? 0 : textWork(steps, method)), 0);
  steps.spare(spared * settings.prompts.length * (settings.samples - samples));
  return { texts: Object.fromEntries([...byPrompt].map(([name, prompts]) => [name, prompts.flat()])), samples };
}

/** Whether NLL minus softmax's, averaged over the levels up to the breaking point, is known as surely as the settings ask for every method. */
function isSureOfTexts(
  { methods, levels, precisionNats }: ComparisonSettings,
  byPrompt: ReadonlyMap<string, Written[][]>,
): boolean {
  /** The variance of the mean over prompts of texts' means. */
  const variance = (method: MethodName, level: number) => {
    const prompts = byPrompt.get(at(method, level)) as Written[][];
    const each = prompts.map((texts) => spread(texts.map(({ nll }) => nll)) / texts.length);
    return each.reduce((sum, one) => sum + one, 0) / prompts.length ** 2;
  };
  return methods
    .filter((method) => method !== "greedy" && method !== "softmax")
    .every((method) => {
      const sum = levels.reduce((all, level) => all + variance(method, level) + variance("softmax", level), 0);
      return NORMAL_95 * (Math.sqrt(sum) / levels.length) <= precisionNats;
    });
}

/** Milliseconds' worth of a text, roughly. */
const textWork = ({ settings }: Steps, method: MethodName): number => settings.maxTokens * METHODS[method].cost(settings.tau);

/** The texts of one method at one level, prompt after prompt, up to number `end` of each. */
async function writeUpTo(
  end: number,
  steps: Steps,
  { method, level, dial }: { readonly method: MethodName; readonly level: number; readonly dial: number },
  written: readonly Written[][],
): Promise<void> {
  for (const [number, prompt] of steps.settings.prompts.entries()) {
    const texts = written[number] as Written[];
    while (texts.length < end) {
      const [first] = texts;
      // Greedy texts of a prompt are all the same one.
      if (method === "greedy" && first !== undefined) texts.push(first);
      else {
        const name = `text ${at(method, level)} ${number} ${texts.length}`;
        texts.push(
          await steps.step(name, textWork(steps, method), () => write(steps, prompt, writing(steps, method, dial, name))),
        );
      }
    }
  }
}

async function write({ model, settings, watch }: Steps, prompt: string, how: GenerateOptions): Promise<Written> {
  const { text, ids, seconds } = await model.complete(prompt, {
    ...how,
    maxTokens: settings.maxTokens,
    endless: true,
    ...watch,
  });
  watch.signal?.throwIfAborted();
  const seen = await model.follow(prompt, ids);
  return {
    text,
    ids,
    nll: -average(seen.map((one) => one.logProbability)),
    sameTop: average(seen.map((one) => (one.likeliest ? 1 : 0))),
    rare: average(seen.map((one) => (one.logProbability < Math.log(RARE) ? 1 : 0))),
    seconds,
  };
}

/** How a method writes the text of this name. */
function writing(steps: Steps, method: MethodName, dial: number, name: string): GenerateOptions {
  const { dynamics } = METHODS[method];
  if (dynamics !== undefined) return { sigma: dial, dynamics, tau: steps.settings.tau, seed: steps.seed(name) };
  if (method === "softmax") return { temperature: dial, seed: steps.seed(name) };
  if (method === "greedy") return {};
  const stream = steps.noise.stream(name);
  return { pick: (logits, tick) => gaussianMax(logits, stream, { tick }, dial) };
}
