// What all of an evaluation's work shares: the model, questions, seeds, and steps that are taken from what is finished, or done and kept. Every step
// is a pure function of the settings and its name, seconds aside.

import { setMaxListeners } from "node:events";
import type { Model } from "../llama/model.js";
import { Noise } from "../noise/index.js";
import type { Question } from "../tasks/question.js";
import type { Half, Task } from "../tasks/task.js";
import type { Dial, MethodName } from "./methods.js";
import { sharesWeights, writing } from "./methods.js";
import { type EvaluateOptions, workOf } from "./plan.js";
import type { Answer, Answers, EvaluationSettings } from "./records.js";

export class Steps {
  readonly noise: Noise;
  /** To be spread into what may be aborted: as many may listen as there are questions. */
  readonly watch: { readonly signal?: AbortSignal } = {};
  private readonly total: number;
  private done = 0;

  constructor(
    readonly model: Model,
    readonly task: Task,
    readonly settings: EvaluationSettings,
    readonly options: EvaluateOptions,
  ) {
    this.noise = new Noise(BigInt(settings.seed));
    this.total = workOf(settings);
    if (options.signal !== undefined) {
      const signal = AbortSignal.any([options.signal]);
      setMaxListeners(0, signal);
      this.watch = { signal };
    }
  }

  /** The questions of a half that are answered. */
  questions(half: Half): Question[] {
    return this.settings.questions[half].map((number) => this.task.questions[number] as Question);
  }

  /** One step: taken from what is finished, or done and kept. @param work questions that it answers or reads */
  async step<T>(name: string, work: number, make: (tell: () => void) => Promise<T>): Promise<T> {
    const { signal, finished, onFinished } = this.options;
    signal?.throwIfAborted();
    const known = finished?.get(name) as T | undefined;
    if (known !== undefined) {
      this.tell(work);
      return known;
    }
    let told = 0;
    const outcome = await make(() => {
      if (told++ < work) this.tell(1);
    });
    signal?.throwIfAborted(); // half an answer is none
    await onFinished?.(name, outcome);
    this.tell(Math.max(0, work - told));
    return outcome;
  }

  /** One answer of a method to each question of a half. Those whose weights are the same and at rest are written at once. */
  answers(half: Half, method: MethodName, name: string, sample: number, dial: Dial): Promise<Answers> {
    const questions = this.questions(half);
    const step = `answers ${half} ${name} ${sample}`;
    return this.step(step, questions.length, async (tell) => {
      const began = performance.now();
      const weights = this.seed(`weights ${sample}`);
      const answers = await Promise.all(
        questions.map(async (question, i) => {
          const own = this.seed(`${step} ${this.settings.questions[half][i]}`);
          const seeds = { weights: sharesWeights(method) ? weights : own, dice: own };
          const answer = await this.answer(question, method, dial, seeds);
          tell();
          return answer;
        }),
      );
      return { answers, seconds: (performance.now() - began) / 1000 };
    });
  }

  private async answer(
    question: Question,
    method: MethodName,
    dial: Dial,
    seeds: Parameters<typeof writing>[3],
  ): Promise<Answer> {
    const { maxTokens, stop, tau } = this.settings;
    const {
      text,
      tokens,
      ids,
      logprobs = [],
    } = await this.model.complete(question.prompt, {
      ...writing(method, dial, tau, seeds),
      maxTokens,
      stop,
      logprobs: 0,
      countChanges: false,
      ...(question.choices === undefined ? {} : { grammar: oneOf(question.choices) }),
      ...this.watch,
    });
    const logs = logprobs.map(({ logProbability }) => logProbability);
    const answer = { text, tokens, logProbability: logs.reduce((sum, x) => sum + x, 0), least: Math.min(0, ...logs) };
    return method === "greedy" ? { ...answer, ids } : answer;
  }

  /** 64 bits for what has this name. */
  seed(name: string): bigint {
    const words = this.noise.stream(name).bits(new Uint32Array(2));
    return (BigInt(words[1] as number) << 32n) | BigInt(words[0] as number);
  }

  private tell(work: number): void {
    this.done += work;
    this.options.onProgress?.(Math.min(this.done, this.total), this.total);
  }
}

/** GBNF of one of these texts. */
export function oneOf(choices: readonly string[]): string {
  return `root ::= ${choices.map((text) => JSON.stringify(text)).join(" | ")}`;
}
