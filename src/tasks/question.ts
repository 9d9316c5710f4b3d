// A question, and the answers that are right: what readers of tasks make, what answers are judged by, and what searches learn.

import { checkChoice, checkList, checkObject, checkText } from "../errors.js";
import { isChat } from "../llama/chat.js";
import type { Message } from "../llama/model.js";

/** How an answer is judged. */
export type Match =
  /** Its first sentence has one of the right answers in it, as whole words. */
  | "contains"
  /** Its first line has the words of a right answer and no others. */
  | "exact"
  /** Its last number is a right answer. */
  | "number"
  /** Its first words are those of a right answer. */
  | "begins"
  /** It matches a pattern. */
  | "pattern";

/** All of them. */
export const MATCHES = ["contains", "exact", "number", "begins", "pattern"] as const satisfies readonly Match[];

/** A question, as tasks are written: one JSON document a line. */
export interface Question {
  /** What the model goes on from: a text, or a chat that it answers. */
  readonly prompt: string | readonly Message[];
  /**
   * Right answers, of which one is enough; of `pattern` a regular expression as /source/flags. The first is the one whose likelihood is told. None where
   * answers are judged by something else.
   */
  readonly answers: readonly string[];
  /** How an answer is judged; default by what there is: `pattern`, `exact` with choices, else `contains`. */
  readonly match?: Match | undefined;
  /** The only answers that there are: the model is held to them by a grammar. */
  readonly choices?: readonly string[] | undefined;
  /** What groups it with others of its kind, such as "capital". */
  readonly kind?: string | undefined;
}

/** A question, if it is one. @throws BrownianError usage */
export function checkQuestion(question: Question): Question {
  const { prompt, answers, match, choices } = checkObject("A question", question);
  isChat(prompt); // refuses what is no prompt
  for (const answer of Array.from(checkList("answers", answers))) checkText("An answer", answer);
  if (match !== undefined) checkChoice("match", match, MATCHES);
  if (choices !== undefined) for (const choice of Array.from(checkList("choices", choices))) checkText("A choice", choice);
  return question;
}

/** How answers to a question are judged. */
export function matchOf({ answers, match, choices }: Question): Match {
  if (match !== undefined) return match;
  if (answers.length === 1 && patternOf(answers[0] as string) !== undefined) return "pattern";
  return choices === undefined ? "contains" : "exact";
}

/**
 * The right answer as a model goes on with it: of a text that ends in no space, after one, unless the answer begins with one. What is
 * chosen from is taken as it stands.
 */
export function answerText({ prompt, answers, choices }: Question): string {
  const [answer = ""] = answers;
  const apart = typeof prompt !== "string" || choices !== undefined || /\s$/.test(prompt) || /^\s/.test(answer);
  return apart || answer === "" ? answer : ` ${answer}`;
}

/** A regular expression that is written as /source/flags; undefined where it is not. */
export function patternOf(text: string): RegExp | undefined {
  const [, source, flags] = /^\/(.+)\/([dimsuv]*)$/s.exec(text) ?? [];
  if (source === undefined) return undefined;
  try {
    return new RegExp(source, flags);
  } catch {
    return undefined;
  }
}
