// What all of an evaluation's work shares: who answers, questions, seeds, and steps that are taken from what is finished, or done and kept. Every step
// is a pure function of the settings and its name, seconds aside.

import { createHash } from "node:crypto";
import { setMaxListeners } from "node:events";
import type { TextAsked } from "../llama/model.js";
import { Noise } from "../noise/index.js";
import type { Question } from "../tasks/question.js";
import type { Half, Task } from "../tasks/task.js";
import type { Dial, MethodName } from "./methods.js";
import { carriedBy, diceOf } from "./methods.js";
import { type EvaluateOptions, workOf } from "./plan.js";
import type { Answers, EvaluationSettings } from "./records.js";
import type { Draw, Respondent, Work } from "./respondent.js";

/** Questions whose samples with clean weights are one step. */
const QUESTIONS_A_PART = 16;

/** One answer to each question that is asked for. */
export interface Sample {
  readonly method: MethodName;
  /** Of method and level, or of a trial: its dice are of this name. */
  readonly name: string;
  /** Which of them: equal numbers have equal weights, if they move. */
  readonly number: number;
  readonly dial: Dial;
}

export class Steps implements Work {
  readonly noise: Noise;
  /** To be spread into what may be aborted: as many may listen as there are questions. */
  readonly watch: { readonly signal?: AbortSignal } = {};
  private readonly total: number;
  private done = 0;

  constructor(
    readonly by: Respondent,
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

  /**
   * What is asked for, an answer to each question of a half. Samples whose weights stay clean are written question by question, all of them at once, so
   * that each prompt is read once; the others sample by sample, all questions under the same weights.
   */
  async answers(half: Half, asked: readonly Sample[]): Promise<Answers[]> {
    const clean = asked.filter(({ method }) => carriedBy(method) === undefined);
    const found = new Map<Sample, Answers>();
    const parts = clean.length === 0 ? [] : await this.cleanParts(half, clean);
    for (const [i, sample] of clean.entries())
      found.set(sample, {
        answers: parts.flatMap((part) => part[i]?.answers ?? []),
        seconds: parts.reduce((sum, part) => sum + (part[i]?.seconds ?? 0), 0),
      });
    for (const sample of asked) if (!found.has(sample)) found.set(sample, await this.moved(half, sample));
    return asked.map((sample) => found.get(sample) as Answers);
  }

  /** Of so many questions at a time, every sample's answers: what was finished of them is there when it is gone on with. */
  private async cleanParts(half: Half, samples: readonly Sample[]): Promise<Answers[][]> {
    const questions = this.questions(half);
    const parts: Answers[][] = [];
    const name = createHash("sha256").update(JSON.stringify(samples)).digest("hex").slice(0, 12);
    for (let at = 0; at < questions.length; at += QUESTIONS_A_PART) {
      const some = questions.slice(at, at + QUESTIONS_A_PART);
      const step = `answers ${half} at rest ${name} ${at}`;
      parts.push(
        await this.step(step, some.length * samples.length, async (tell) => {
          const texts = some.flatMap((question, i) => samples.map((sample) => this.text(half, sample, question, at + i)));
          const { answers, seconds } = await this.written(texts, undefined, samples, tell);
          const tokens = answers.reduce((sum, answer) => sum + answer.tokens, 0);
          return samples.map((_, i) => {
            const own = answers.filter((__, k) => k % samples.length === i);
            const share = own.reduce((sum, answer) => sum + answer.tokens, 0) / Math.max(1, tokens);
            return { answers: own, seconds: seconds * share };
          });
        }),
      );
    }
    return parts;
  }

  /** One sample with moved weights: the path of its noise is the same for all questions. */
  private moved(half: Half, sample: Sample): Promise<Answers> {
    const questions = this.questions(half);
    const { method, name, number, dial } = sample;
    return this.step(`answers ${half} ${name} ${number}`, questions.length, (tell) =>
      this.written(
        questions.map((question, i) => this.text(half, sample, question, i)),
        { method, dial, tau: this.settings.tau, number, seed: this.seed(`weights ${number}`) },
        [sample],
        tell,
      ),
    );
  }

  private text(half: Half, { method, name, number, dial }: Sample, question: Question, place: number): TextAsked {
    const { prompt, choices } = question;
    return {
      prompt,
      stop: this.settings.stop,
      seed: this.seed(`answers ${half} ${name} ${number} ${this.settings.questions[half][place]}`),
      ...diceOf(method, dial),
      ...(choices === undefined ? {} : { grammar: oneOf(choices) }),
    };
  }

  private async written(
    texts: readonly TextAsked[],
    draw: Draw | undefined,
    samples: readonly Sample[],
    tell: () => void,
  ): Promise<Answers> {
    const began = performance.now();
    const all = await this.by.write(texts, draw, { maxTokens: this.settings.maxTokens, tell, ...this.watch });
    // Of all but greedy answers nothing is read again.
    const answers = all.map(({ ids, seen, ...bare }, i) =>
      samples[i % samples.length]?.method === "greedy" ? { ...bare, ...(ids && { ids }), ...(seen && { seen }) } : bare,
    );
    return { answers, seconds: (performance.now() - began) / 1000 };
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
