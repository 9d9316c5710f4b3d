// Our own engine as one that answers: all methods but those of servers, and readings of whatever is asked.

import { BrownianError } from "../errors.js";
import { identity } from "../files/identity.js";
import { checkModel, type Model, type TextAsked } from "../llama/model.js";
import type { Question } from "../tasks/question.js";
import type { Half, Task } from "../tasks/task.js";
import { type MethodName, methodOf, weightsOf } from "./methods.js";
import { Reader } from "./reading.js";
import type { Answer, EvaluationSettings } from "./records.js";
import type { Draw, Respondent, Work, Writing } from "./respondent.js";

export class OwnEngine implements Respondent {
  readonly usual = ["quenched"] as const;
  readonly served = undefined;

  /** @throws BrownianError usage where it is no model */
  constructor(private readonly model: Model) {
    checkModel(model);
  }

  identity() {
    return identity(this.model.path);
  }

  lacks(method: MethodName): string | undefined {
    return methodOf(method).served ? "is for servers: give endpoints, or take adapter-1 here" : undefined;
  }

  check({ questions, maxTokens }: EvaluationSettings, task: Task): void {
    const { model } = this;
    for (const number of [...questions.tuning, ...questions.test]) {
      const question = task.questions[number] as Question;
      const { length } = model.tokens(question.prompt);
      if (length + maxTokens > model.contextSize)
        throw new BrownianError(
          "usage",
          `Question ${number + 1} of ${task.name} has ${length} tokens, and ${maxTokens} are to answer it, but the context holds ${model.contextSize}: give a larger context, or fewer tokens.`,
        );
    }
  }

  sigmaNear(sigma: number): number {
    return sigma;
  }

  async write(texts: readonly TextAsked[], draw: Draw | undefined, { maxTokens, tell, signal }: Writing): Promise<Answer[]> {
    const weights = draw === undefined ? {} : weightsOf(draw.method, draw.dial, draw.tau, draw.seed);
    const all = await this.model.completeAll(texts, { ...weights, maxTokens, logprobs: 0, onText: tell, signal });
    return all.map(({ text, tokens, ids, logprobs = [] }) => {
      const logs = logprobs.map(({ logProbability }) => logProbability);
      return { text, tokens, logProbability: logs.reduce((sum, x) => sum + x, 0), least: Math.min(0, ...logs), ids };
    });
  }

  reading(work: Work, half: Half, answers: readonly Answer[]): Reader {
    return new Reader(this.model, work, half, answers);
  }
}
