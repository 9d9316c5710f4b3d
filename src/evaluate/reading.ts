// Reading answers that are there, teacher-forced: how likely they are, to the clean model and to members, and how often each way of choosing would
// have taken another token (flips).

import { BrownianError } from "../errors.js";
import type { Expected, Model, ScoreOptions } from "../llama/model.js";
import { logSoftmax } from "../sampling/softmax.js";
import { average } from "../statistics/rates.js";
import { answerText, matchOf, type Question } from "../tasks/question.js";
import type { Half } from "../tasks/task.js";
import { type Carried, carrierOf, methodOf } from "./methods.js";
import type { Answer, CleanReading, MemberReading } from "./records.js";
import type { AtRest, Reading, Work } from "./respondent.js";

/** Tokens that members are asked about: nearly all of the probability; of the others together the rest. Lumping them makes information smaller. */
const LOOKED = 32;

/** What is read of one question: its tokens, and where the answer begins. */
interface Window {
  readonly tokens: number[];
  readonly start: number;
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

/** The greedy answers of a half, and the right ones, as windows. */
export class Reader implements Reading {
  private readonly greedy: readonly Window[];
  private readonly right: readonly (Window | undefined)[];
  /** Of every token of a greedy answer, the tokens that the clean model finds likeliest. */
  private looked: number[][][] | undefined;
  private flips: CleanFlips | undefined;

  constructor(
    private readonly model: Model,
    private readonly steps: Work,
    readonly half: Half,
    answers: readonly Answer[],
  ) {
    const questions = steps.questions(half);
    const windowed = (question: Question, ids: readonly number[]): Window => {
      const prompt = model.tokens(question.prompt);
      return { tokens: [...prompt, ...ids].slice(0, model.contextSize), start: prompt.length };
    };
    this.greedy = questions.map((question, i) => windowed(question, answers[i]?.ids ?? []));
    this.right = questions.map((question) =>
      matchOf(question) === "pattern" ? undefined : windowed(question, rightTokens(model, question)),
    );
  }

  /** The clean model's own reading of both. */
  clean(): Promise<readonly CleanReading[]> {
    const { settings } = this.steps;
    return this.steps.step(`read clean ${this.half}`, this.greedy.length, async (tell) => {
      const readings = this.greedy.map(() => ({ logProbabilities: [] as number[], entropies: [] as number[] }));
      await this.read(this.greedy, {}, (question, { logProbability, entropy }) => {
        readings[question]?.logProbabilities.push(logProbability);
        readings[question]?.entropies.push(entropy);
      });
      const rights = this.right.map((window) => (window === undefined ? null : settings.levels.map(() => 0)));
      const right = this.right.map((window): number | null => (window === undefined ? null : 0));
      await this.read(this.right, {}, (question, { logProbability, logits, token }) => {
        right[question] = (right[question] ?? 0) + logProbability;
        for (const [i, temperature] of settings.levels.entries()) {
          const own = rights[question] as number[];
          own[i] = (own[i] as number) + (logSoftmax(logits, { temperature })[token] as number);
        }
      });
      for (const _ of this.greedy) tell();
      return readings.map((reading, i) => ({
        ...reading,
        right: right[i] ?? null,
        rightAt: rights[i] ?? settings.levels.map(() => null),
      }));
    });
  }

  /** One member's reading of both. */
  member(level: number, sample: number, sigma: number): Promise<readonly MemberReading[]> {
    return this.steps.step(`read member ${this.half} ${level} ${sample}`, this.greedy.length, async (tell) => {
      const noise = { sigma, seed: this.steps.seed(`weights ${sample}`) };
      const looked = await this.likeliest();
      const greedy = this.greedy.map(() => 0);
      const expected = this.greedy.map(() => [] as number[][]);
      await this.read(this.greedy, noise, (question, { logProbability, logits }) => {
        greedy[question] = (greedy[question] as number) + logProbability;
        const list = expected[question] as number[][];
        list.push(lumped(logits, looked[question]?.[list.length] as number[]));
      });
      const right = this.right.map((window): number | null => (window === undefined ? null : 0));
      await this.read(this.right, noise, (question, { logProbability }) => {
        right[question] = (right[question] ?? 0) + logProbability;
      });
      for (const _ of this.greedy) tell();
      return greedy.map((sum, i) => ({ greedy: sum, right: right[i] ?? null, expected: expected[i] as number[][] }));
    });
  }

  async atRest(): Promise<AtRest> {
    this.flips ??= await this.readFlips();
    const { softmax, gaps } = this.flips;
    const minP = (temperature: number) =>
      average(gaps.map((own) => 1 - 1 / own.reduce((sum, gap) => sum + Math.exp(gap / temperature), 0)));
    return { softmax, minP };
  }

  private readFlips(): Promise<CleanFlips> {
    const { levels, methods } = this.steps.settings;
    const floor = Math.log(methodOf("min-p").minP as number);
    return this.steps.step("flips clean", this.greedy.length, async () => {
      const likeliest: number[] = [];
      const gaps: number[][] = [];
      const flips = levels.map(() => 0);
      await this.read(this.greedy, { temperatures: levels }, (_, expected) => {
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
      if (likeliest.length === 0) throw noTokens();
      return { likeliest, softmax: flips.map((sum) => sum / likeliest.length), gaps };
    });
  }

  async moved(carried: Carried, sigma: number, draw: number, temperatures: readonly number[]): Promise<number[]> {
    this.flips ??= await this.readFlips();
    const { likeliest } = this.flips;
    const by = carried as Exclude<Carried, "members">;
    const name = `flips ${by === "live" ? "" : `${by} `}${sigma} ${draw}`;
    return this.steps.step(name, this.greedy.length, async () => {
      const flips = [0, ...temperatures].map(() => 0);
      let position = 0;
      await this.read(this.greedy, { sigma, seed: this.steps.seed(name), ...carrierOf(by) }, (_, expected) => {
        const clean = likeliest[position++] as number;
        if (expected.likeliest !== clean) flips[0] = (flips[0] as number) + 1;
        if (temperatures.length === 0) return;
        const { logits } = expected;
        for (const [i, temperature] of temperatures.entries())
          flips[i + 1] = (flips[i + 1] as number) + 1 - Math.exp(logSoftmax(logits, { temperature })[clean] as number);
      });
      return flips.map((count) => count / position);
    });
  }

  /** Of every token of every greedy answer, the clean model's likeliest; read once. */
  private async likeliest(): Promise<number[][][]> {
    if (this.looked === undefined) {
      const looked = this.greedy.map(() => [] as number[][]);
      await this.read(this.greedy, {}, (question, { logits }) => looked[question]?.push(largest(logits, LOOKED)));
      this.looked = looked;
    }
    return this.looked;
  }

  /** Reads windows with the weights as `noise` moves them, and visits the tokens of answers. */
  private async read(
    windows: readonly (Window | undefined)[],
    noise: Pick<ScoreOptions, "sigma" | "seed" | "carrier" | "rank" | "temperatures">,
    visit: (question: number, expected: Expected) => void,
  ): Promise<void> {
    const numbers = windows.flatMap((window, i) => (window !== undefined && window.tokens.length > window.start ? [i] : []));
    const { watch } = this.steps;
    const begun: number[] = [];
    const list = numbers.map((i) => (windows[i] as Window).tokens);
    if (list.length === 0) return;
    await this.model.score(list, { ...noise, ...watch }, (expected) => {
      begun[expected.window] ??= expected.position;
      const question = numbers[expected.window] as number;
      const token = expected.position - (begun[expected.window] as number) + 1;
      if (token >= (windows[question] as Window).start) visit(question, expected);
    });
    watch.signal?.throwIfAborted();
  }
}

/** Where there is nothing to flip. */
export const noTokens = (): BrownianError =>
  new BrownianError("usage", "The model answers none of the tuning questions with anything: ask in another way.");

/** The right answer as a model would write it. Some tokenizers put a space before every text of their own accord. */
function rightTokens(model: Model, question: Question): number[] {
  const text = answerText(question);
  const bare = model.tokenize(text.trimStart());
  return text.startsWith(" ") && model.text(bare, model.tokens(question.prompt)) === text ? bare : model.tokenize(text);
}

/** The numbers of the largest logits, the largest first; equal ones in their order. */
export function largest(logits: Float32Array, count: number): number[] {
  const found: number[] = [];
  for (let i = 0; i < logits.length; i++) {
    const z = logits[i] as number;
    if (found.length === count && z <= (logits[found.at(-1) as number] as number)) continue;
    let place = found.length;
    while (place > 0 && z > (logits[found[place - 1] as number] as number)) place--;
    found.splice(place, 0, i);
    if (found.length > count) found.pop();
  }
  return found;
}

/** Probabilities of these tokens, and of all others together. */
function lumped(logits: Float32Array, looked: readonly number[]): number[] {
  const all = logSoftmax(logits);
  const own = looked.map((token) => Math.exp(all[token] as number));
  return [...own, Math.max(0, 1 - own.reduce((sum, p) => sum + p, 0))].map((p) => Number(p.toPrecision(6)));
}
