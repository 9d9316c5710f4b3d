// What the centre is worth, told in the same few numbers before, during and after a search: on questions that it does not learn from, and on a text
// that has nothing to do with the task.

import type { Kept } from "../engine/index.js";
import type { Session } from "../llama/session.js";
import { Likelihood, type Reward } from "./rewards.js";
import type { Question } from "./task.js";

/** How much of 1.96 standard errors is 95 %. */
const NORMAL_95 = 1.96;

/** Figures of the centre. */
export interface Measured {
  /** Mean reward of the questions that judge (those that are learned from, where there are none), and its 95 % interval over questions. */
  readonly reward: number;
  readonly low: number;
  readonly high: number;
  /** Where the reward is a likelihood: mean ln p of the first token of the answer, and of its last (the end of the turn, in chats); nats. */
  readonly first?: number | undefined;
  readonly last?: number | undefined;
  /** Where the reward is a likelihood: share of the questions that the model answers so, word for word, greedily. */
  readonly exact?: number | undefined;
  /** KL(base || centre) on the text, nats a token. */
  readonly kl?: number | undefined;
  /** Of the text, nats a token. */
  readonly nll?: number | undefined;
}

/** The text that has nothing to do with the task, with what the base expected of it. */
export class Leash {
  /** Reads the text with the weights as they are. */
  static async of(session: Session, windows: readonly (readonly number[])[]): Promise<Leash> {
    const kept: Kept[] = [];
    for (const window of windows) {
      const one = await session.alone(() => session.engine.score(window, { keep: true }, () => undefined));
      if (one !== undefined) kept.push(one);
    }
    return new Leash(session, windows, kept);
  }

  private constructor(
    private readonly session: Session,
    private readonly windows: readonly (readonly number[])[],
    private readonly reference: readonly Kept[],
  ) {}

  /** How far the weights as they are now have gone from there. */
  async read(signal?: AbortSignal): Promise<{ kl: number; nll: number }> {
    let [kl, nll, tokens] = [0, 0, 0];
    for (const [i, window] of this.windows.entries()) {
      const reference = this.reference[i];
      const visit = (_: number, { divergence, logProbability }: { divergence: number; logProbability: number }) => {
        kl += divergence;
        nll -= logProbability;
        tokens++;
      };
      await this.session.alone(() => this.session.engine.score(window, { reference }, visit, undefined, signal));
    }
    return { kl: kl / tokens, nll: nll / tokens };
  }
}

const meanOf = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;

/** The figures of the weights as they are now. */
export async function measure(
  questions: readonly Question[],
  reward: Reward,
  leash: Leash | undefined,
  signal?: AbortSignal,
): Promise<Measured> {
  const told = leash === undefined ? {} : await leash.read(signal);
  if (!(reward instanceof Likelihood)) return { ...withInterval(await reward.of(questions, signal)), ...told };
  const answers = await reward.answers(questions, signal);
  return {
    ...withInterval(answers.map((answer) => answer[reward.which])),
    first: meanOf(answers.map(({ first }) => first)),
    last: meanOf(answers.map(({ last }) => last)),
    exact: meanOf(answers.map(({ exact }) => Number(exact))),
    ...told,
  };
}

function withInterval(rewards: readonly number[]): { reward: number; low: number; high: number } {
  const reward = meanOf(rewards);
  const square = rewards.reduce((sum, r) => sum + (r - reward) ** 2, 0);
  const half = rewards.length > 1 ? NORMAL_95 * Math.sqrt(square / (rewards.length - 1) / rewards.length) : 0;
  return { reward, low: reward - half, high: reward + half };
}
