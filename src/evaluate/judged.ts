// Answers, judged question by question: what figures and scores are made from.

import { average } from "../statistics/rates.js";
import { isRight, meaningOf } from "../tasks/answers.js";
import type { Question } from "../tasks/question.js";
import type { Half, Task } from "../tasks/task.js";
import type { Answers, EvaluationSettings } from "./records.js";

/** Answers to one question, judged. */
export interface Judged {
  readonly right: readonly boolean[];
  readonly meanings: readonly string[];
}

/** Answers of samples, question by question. */
export function judged(questions: readonly Question[], samples: readonly Answers[]): Judged[] {
  return questions.map((question, q) => {
    const texts = samples.map(({ answers }) => answers[q]?.text ?? "");
    return { right: texts.map((text) => isRight(question, text)), meanings: texts.map((text) => meaningOf(question, text)) };
  });
}

/** The questions of a half that were asked. */
export const questionsOf = (task: Task, settings: EvaluationSettings, half: Half): Question[] =>
  settings.questions[half].map((number) => task.questions[number] as Question);

/** ln of the mean of e^x. */
export function logMean(values: readonly (number | null)[]): number | null {
  const known = values.filter((value) => value !== null);
  if (known.length === 0) return null;
  const most = Math.max(...known);
  return most + Math.log(average(known.map((value) => Math.exp(value - most))));
}
