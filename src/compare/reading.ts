// Reading text teacher-forced: what the clean model expected at every token of some windows, and how often each way of making texts different
// would have picked another token there (flips).

import { BrownianError } from "../errors.js";
import type { Stream } from "../noise/index.js";
import { gaussianMax } from "../sampling/gumbel.js";
import { argmax, kl, probabilityOf, softmax } from "../sampling/softmax.js";
import { METHODS, type MethodName } from "./methods.js";
import type { Windows } from "./plan.js";
import { at, type Reading } from "./records.js";
import type { Steps } from "./steps.js";

/** Logits of the clean model that are kept in memory: 256 MB of them at most. */
const MOST_KEPT = 64e6;
/** Draws of the noise on logits for each token that is read: there are no weights to be moved, so they cost little. */
const LOGIT_DRAWS = 4;

/** The clean model on windows of equal length. */
export interface Clean {
  /** What they are read for: part of the names of steps and streams. */
  readonly purpose: "tune" | "check";
  readonly windows: Windows;
  /** After each token to be expected, window after window. */
  readonly logits: readonly Float32Array[];
  readonly likeliest: readonly number[];
}

/** @throws BrownianError usage where the logits are more than are kept */
export async function readClean({ model, watch }: Steps, purpose: Clean["purpose"], windows: Windows): Promise<Clean> {
  const logits: Float32Array[] = [];
  await model.score(windows, watch, (expected) => {
    const most = Math.floor(MOST_KEPT / expected.logits.length);
    if (logits.length >= most)
      throw new BrownianError(
        "usage",
        `With a vocabulary of ${expected.logits.length} tokens at most ${most} can be read at a time: tune on fewer.`,
      );
    logits.push(expected.logits.slice());
  });
  return { purpose, windows, logits, likeliest: logits.map((z) => argmax(z)) };
}

/** Of each window, the mean of 1 - p_T(likeliest): how often a draw at T would be another token. */
export function softmaxFlips({ windows, logits, likeliest }: Clean, temperature: number): number[] {
  const each = logits.length / windows.length;
  const flips = windows.map(() => 0);
  for (const [position, z] of logits.entries()) {
    const window = Math.floor(position / each);
    const stays = probabilityOf(likeliest[position] as number, z, temperature);
    flips[window] = (flips[window] as number) + (1 - stays) / each;
  }
  return flips;
}

/** Of each window, how often the likeliest token after Gaussian noise on the logits is another one. */
export function logitFlips({ windows, logits, likeliest }: Clean, stream: Stream, sigma: number): number[] {
  const each = logits.length / windows.length;
  const flips = windows.map(() => 0);
  for (const [position, z] of logits.entries()) {
    const window = Math.floor(position / each);
    for (let draw = 0; draw < LOGIT_DRAWS; draw++)
      if (gaussianMax(z, stream, { tick: position * LOGIT_DRAWS + draw }, sigma) !== likeliest[position])
        flips[window] = (flips[window] as number) + 1 / (each * LOGIT_DRAWS);
  }
  return flips;
}

/** Mean KL(clean || clean with noise on the logits), nats a token, by the first draw at every token. */
export function logitDivergence({ logits }: Clean, stream: Stream, sigma: number): number {
  let divergence = 0;
  for (const [position, z] of logits.entries()) {
    const noise = stream.normal(new Float32Array(z.length), { tick: position * LOGIT_DRAWS });
    divergence += kl(softmax(z), softmax(Float64Array.from(noise, (e, i) => (z[i] as number) + sigma * e)));
  }
  return divergence / logits.length;
}

/** Moving weights on windows, each with a draw of its own, in motion as while a text is written. */
export async function readMoving(steps: Steps, method: MethodName, level: number, sigma: number, clean: Clean): Promise<Reading> {
  const { model, settings, watch } = steps;
  const { tau, maxTokens } = settings;
  const { dynamics, cost } = METHODS[method];
  const name = `${clean.purpose} ${at(method, level)}`;
  return steps.step(name, maxTokens * cost(tau) * clean.windows.length, async () => {
    const flips: number[] = [];
    let divergence = 0;
    let position = 0;
    for (const [i, window] of clean.windows.entries()) {
      const moving = { sigma, dynamics: dynamics as string, tau, seed: steps.seed(`${name} ${i}`), ticks: true, ...watch };
      let count = 0;
      const visited = await model.score([window], moving, ({ logits }) => {
        if (argmax(logits) !== clean.likeliest[position]) count++;
        divergence += kl(softmax(clean.logits[position] as Float32Array), softmax(logits));
        position++;
      });
      flips.push(count / visited);
    }
    return { flips, kl: divergence / position };
  });
}
