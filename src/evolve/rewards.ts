// Rewards: what a question's answer is worth, one number a question. Those that need the model's own text let it write greedily; the likelihood of
// the answer that was asked for needs no text, and is read for all questions at once.

import { BrownianError } from "../errors.js";
import type { Seen } from "../llama/index.js";
import { readTexts } from "../llama/read.js";
import type { Session } from "../llama/session.js";
import { complete } from "../llama/write.js";
import { isRight } from "../tasks/answers.js";
import { answerText } from "../tasks/question.js";
import type { Question } from "./task.js";

/** What a reward is told of a question and the model's text. */
export interface Answered {
  readonly question: Question;
  /** What the model wrote, greedily. */
  readonly text: string;
}

/** Those that are read of the answer that was asked for, and what of it they are. */
export const LIKELIHOODS = { likelihood: "mean", first: "first" } as const;

/** Whether a reward is one of these. */
export const isLikelihood = (reward: unknown): reward is keyof typeof LIKELIHOODS =>
  typeof reward === "string" && Object.hasOwn(LIKELIHOODS, reward);

/** Judges what was written to several questions; a number each. */
export type Judge = (answered: readonly Answered[], signal?: AbortSignal) => number[] | Promise<number[]>;

/** Rewards that read what the model writes. */
export const JUDGES = {
  right: (answered) => answered.map(({ question, text }) => Number(isRight(question, text))),
} as const satisfies Record<string, Judge>;

/** Names of the rewards that need nothing from outside. */
export const REWARDS = ["likelihood", "first", "right"] as const;
/** One of {@link REWARDS}. */
export type RewardName = (typeof REWARDS)[number];

/** What a reward is made of, a question each: ln p of the answer (null: no number), or the text that the model wrote. */
export type Answers = readonly (number | null)[] | readonly string[];

/** What the weights as they are now get for these questions, a number each. */
export interface Reward {
  of(questions: readonly Question[], signal?: AbortSignal): Promise<number[]>;
  /** What the model says to them, which rewards are made of: this is what is read of a member, wherever that is. */
  said(questions: readonly Question[], signal?: AbortSignal): Promise<Answers>;
  /** What that is worth. */
  worth(questions: readonly Question[], said: Answers, signal?: AbortSignal): number[] | Promise<number[]>;
}

/** ln p of an answer's tokens. */
export interface AnswerLikelihood {
  readonly mean: number;
  /** Of its first token. */
  readonly first: number;
  /** Of its last: where a chat's template ends the turn, that end. */
  readonly last: number;
  /** Whether every token was the likeliest: greedily, the model answers exactly this. */
  readonly exact: boolean;
}

/** Mean ln p a token of the answer and, in a chat, of the end of the turn; or ln p of its first token alone: nats, at most 0. */
export class Likelihood implements Reward {
  private readonly known = new WeakMap<Question, { readonly tokens: readonly number[]; readonly from: number }>();

  /** @param which of what an answer's tokens tell is the reward */
  constructor(
    private readonly session: Session,
    readonly which: "mean" | "first" = "mean",
  ) {}

  async of(questions: readonly Question[], signal?: AbortSignal): Promise<number[]> {
    return (await this.answers(questions, signal)).map((answer) => answer[this.which]);
  }

  async said(questions: readonly Question[], signal?: AbortSignal): Promise<(number | null)[]> {
    return (await this.of(questions, signal)).map((lnp) => (Number.isFinite(lnp) ? lnp : null));
  }

  worth(_: readonly Question[], said: Answers): number[] {
    return said.map((lnp) => (typeof lnp === "number" ? lnp : Number.NaN));
  }

  async answers(questions: readonly Question[], signal?: AbortSignal): Promise<AnswerLikelihood[]> {
    const seen = await readTexts(
      this.session,
      questions.map((question) => this.text(question)),
      signal,
    );
    return seen.map((tokens) => ({
      mean: tokens.reduce((sum, { logProbability }) => sum + logProbability, 0) / tokens.length,
      first: (tokens[0] as Seen).logProbability,
      last: (tokens[tokens.length - 1] as Seen).logProbability,
      exact: tokens.every(({ likeliest }) => likeliest),
    }));
  }

  /** @throws BrownianError usage for questions without an answer, or that do not fit the context */
  check(questions: readonly Question[]): void {
    for (const question of questions) {
      const { length } = this.text(question).tokens;
      if (length > this.session.contextSize)
        throw new BrownianError(
          "usage",
          `A question with its answer has ${length} tokens, more than the ${this.session.contextSize} of the context: shorten it, or give a larger context.`,
        );
    }
  }

  /** A question with its answer as tokens: told once. */
  private text(question: Question): { readonly tokens: readonly number[]; readonly from: number } {
    const known = this.known.get(question);
    if (known !== undefined) return known;
    const prompt = this.session.promptTokens(question.prompt);
    const answer = this.answerAfter(prompt, question);
    if (answer.length === 0)
      throw new BrownianError("usage", "A question has no answer, whose likelihood is the reward: give it one.");
    const text = { tokens: [...prompt, ...answer], from: prompt.length - 1 };
    this.known.set(question, text);
    return text;
  }

  /** The answer's tokens as they come after the prompt: letters at the border may be one token with those before. */
  private answerAfter(prompt: readonly number[], question: Question): number[] {
    const { engine } = this.session;
    const { prompt: asked } = question;
    const answer = answerText(question);
    const alone = engine.tokensOf(answer, false);
    const begins = (all: readonly number[], start: readonly number[]) => start.every((token, i) => all[i] === token);
    if (typeof asked === "string") {
      const whole = engine.tokenize(asked + answer);
      return begins(whole, prompt) && whole.length > prompt.length ? whole.slice(prompt.length) : alone;
    }
    // Rendered as a turn that is over, the answer has its end behind it.
    const whole = this.session.promptTokens([...asked, { role: "assistant", content: answer }]);
    const after = whole.slice(prompt.length);
    return begins(whole, prompt) && begins(after, alone) ? after.slice(0, alone.length + 1) : alone;
  }
}

/** What a judge says of texts that the model writes. */
export class Judged implements Reward {
  constructor(
    private readonly session: Session,
    private readonly judge: Judge,
    private readonly maxTokens: number,
  ) {}

  async of(questions: readonly Question[], signal?: AbortSignal): Promise<number[]> {
    return this.worth(questions, await this.said(questions, signal), signal);
  }

  async said(questions: readonly Question[], signal?: AbortSignal): Promise<string[]> {
    const texts = await Promise.all(
      questions.map((question) =>
        complete(this.session, question.prompt, { maxTokens: this.maxTokens, countChanges: false, signal }),
      ),
    );
    signal?.throwIfAborted();
    return texts.map(({ text }) => text);
  }

  worth(questions: readonly Question[], said: Answers, signal?: AbortSignal): Promise<number[]> {
    return marksOf(this.judge, questions, said, signal);
  }
}

/** What a judge says of these texts. @throws BrownianError reward-failed where that is no number a question */
export async function marksOf(
  judge: Judge,
  questions: readonly Question[],
  said: Answers,
  signal?: AbortSignal,
): Promise<number[]> {
  const marks = await judge(
    questions.map((question, i) => ({ question, text: String(said[i]) })),
    signal,
  );
  if (!Array.isArray(marks) || marks.length !== questions.length)
    throw new BrownianError("reward-failed", `The reward must give ${questions.length} numbers, one a question.`);
  return marks;
}
